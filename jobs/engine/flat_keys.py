"""Keys of 16 bytes and the positions where they were first seen, in flat memory.

A dictionary takes 200 bytes a key; of a million rows that alone would be more than a task may hold.
"""

from array import array
from struct import Struct

_HALVES = Struct("=QQ")


class FlatKeys:
    """A hash table with open addressing over arrays: 24 to 32 bytes a key, one million in a second."""

    def __init__(self, at_most: int) -> None:
        size = 1 << max(4, (at_most * 3 // 2).bit_length())
        self._mask = size - 1
        self._slots = array("I", bytes(4 * size))  # position + 1; 0: free
        self._first, self._second = array("Q"), array("Q")

    def __len__(self) -> int:
        return len(self._first)

    def add(self, key: bytes) -> int:
        """Take the next position for a key. Returns the position of the same key before it, or -1."""
        first, second = _HALVES.unpack(key)
        slot, found = self._look_for(first, second)
        self._first.append(first)
        self._second.append(second)
        if found < 0:
            self._slots[slot] = len(self._first)
        return found

    def find(self, key: bytes) -> int:
        """The first position of a key, or -1."""
        return self._look_for(*_HALVES.unpack(key))[1]

    def _look_for(self, first: int, second: int) -> tuple[int, int]:
        slots, mask = self._slots, self._mask
        slot = second & mask
        while taken := slots[slot]:
            if self._first[taken - 1] == first and self._second[taken - 1] == second:
                return slot, taken - 1
            slot = (slot + 1) & mask
        return slot, -1
