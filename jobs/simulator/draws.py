"""A stream of numbers that looks random and is the same for the same key, on any machine."""

import hashlib

_MASK = (1 << 64) - 1


def digest(*parts: str | int) -> int:
    """64 bits that depend on all parts, and on nothing else."""
    text = "\x1f".join(str(part) for part in parts).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest())


def share(*parts: str | int) -> float:
    """A number in [0, 1) that depends on all parts, and on nothing else."""
    return digest(*parts) / (1 << 64)


class Draws:
    """SplitMix64: each call gives the next number of the stream."""

    def __init__(self, key: int) -> None:
        self._state = key & _MASK

    def bits(self) -> int:
        """The next 64 bits."""
        self._state = state = (self._state + 0x9E3779B97F4A7C15) & _MASK
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & _MASK
        return state ^ (state >> 31)

    def below(self, bound: int) -> int:
        """A whole number from 0 to `bound` - 1."""
        return self.bits() % bound

    def between(self, low: int, high: int) -> int:
        """A whole number from `low` to `high`, both included."""
        return low + self.bits() % (high - low + 1)

    def fraction(self) -> float:
        """A number in [0, 1)."""
        return (self.bits() >> 11) / (1 << 53)

    def weighted(self, weights: list[int]) -> int:
        """An index, each as likely as its weight says. The weights' sum must be positive."""
        left = self.below(sum(weights))
        for index, weight in enumerate(weights):
            left -= weight
            if left < 0:
                return index
        return len(weights) - 1
