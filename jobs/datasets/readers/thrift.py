"""Thrift's compact protocol, as far as Parquet uses it: structs to dicts by field number."""

from typing import Any

_DEEPEST = 12
_LONGEST_KEPT = 256  # of texts and bytes; longer ones are statistics, which nobody here needs


class CutError(Exception):
    """The data ends before the struct does."""


class MalformedError(Exception):
    """This is no struct."""


class Compact:
    """Reads from `place` on, which moves; raises CutError and MalformedError."""

    def __init__(self, data: bytes, place: int = 0) -> None:
        self.data = data
        self.place = place

    def byte(self) -> int:
        place = self.place
        if place >= len(self.data):
            raise CutError
        self.place = place + 1
        return self.data[place]

    def varint(self) -> int:
        value = shift = 0
        while True:
            byte = self.byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7
            if shift > 63:
                raise MalformedError

    def integer(self) -> int:
        value = self.varint()
        return (value >> 1) ^ -(value & 1)

    def field(self, last: int) -> tuple[int, int]:
        """Number and kind of the next field of a struct; kind 0 is its end."""
        head = self.byte()
        if not head:
            return 0, 0
        return (last + (head >> 4) if head >> 4 else self.integer()), head & 15

    def struct(self, depth: int = 0) -> dict[int, Any]:
        if depth > _DEEPEST:
            raise MalformedError
        fields: dict[int, Any] = {}
        number = 0
        while True:
            number, kind = self.field(number)
            if not kind:
                return fields
            fields[number] = kind == 1 if kind in (1, 2) else self.value(kind, depth)

    def items(self) -> tuple[int, int]:
        """Length and kind of a list; its items follow."""
        head = self.byte()
        length = self.varint() if head >> 4 == 15 else head >> 4
        if length > len(self.data) - self.place:
            raise CutError
        return length, head & 15

    def value(self, kind: int, depth: int) -> Any:
        if kind in (1, 2, 3):  # in lists true and false are bytes
            return self.byte()
        if kind in (4, 5, 6):
            return self.integer()
        if kind == 7:
            return self._bytes(8)
        if kind == 8:
            return self._bytes(self.varint())
        if kind in (9, 10):
            length, inner = self.items()
            return [self.value(inner, depth + 1) for _ in range(length)]
        if kind == 12:
            return self.struct(depth + 1)
        raise MalformedError

    def _bytes(self, length: int) -> bytes:
        start = self.place
        if length > len(self.data) - start:
            raise CutError
        self.place = start + length
        return self.data[start : start + min(length, _LONGEST_KEPT)]
