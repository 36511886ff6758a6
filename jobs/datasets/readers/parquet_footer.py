"""A Parquet file's description of itself, read without the decoder.

The decoder's own access to it ends the process over some damaged files: an exception passes a
border where nobody catches it. What is read here decides whether the decoder sees the file.
"""

from dataclasses import dataclass, field
from typing import IO, Any

from jobs.datasets.readers.rows import Limits, ReadError, size
from jobs.datasets.readers.thrift import Compact, CutError, MalformedError

DAMAGED = "The Parquet file is damaged or was cut off. Write it again, and upload it."
ENCRYPTED = "The Parquet file is encrypted. Write it again without encryption."
_BYTE_ARRAY = 6
_REPEATED = 2


@dataclass(frozen=True)
class Leaf:
    """One column of values; a nested column has several."""

    path: str
    is_text: bool
    repeated: bool  # below a list: a row can have any number of values


@dataclass(frozen=True)
class Chunk:
    """Where the pages of a leaf lie in one row group; all of it only the footer's words."""

    place: int
    end: int
    values: int


@dataclass(frozen=True)
class Group:
    rows: int
    chunks: list[Chunk]


@dataclass
class Footer:
    rows: int = 0
    leaves: list[Leaf] = field(default_factory=list)
    groups: list[Group] = field(default_factory=list)


def read_footer(file: IO[bytes], limits: Limits) -> Footer:
    """Raises ReadError for damage, encryption, and a footer beyond the limit."""
    total = file.seek(0, 2)
    file.seek(max(0, total - 8))
    tail = file.read(8)
    if tail[4:] == b"PARE":
        raise ReadError(ENCRYPTED)
    length = int.from_bytes(tail[:4], "little")
    if tail[4:] != b"PAR1" or length > total - 12:
        raise ReadError(DAMAGED)
    if length > limits.parquet_footer_bytes:
        raise ReadError(
            f"The Parquet file's description of itself has {size(length)}. Write it again with "
            "fewer columns or larger row groups."
        )
    file.seek(total - 8 - length)
    try:
        return _footer(Compact(file.read(length)), total)
    except (
        CutError,
        MalformedError,
        LookupError,
        ValueError,
        TypeError,
        AttributeError,
    ) as error:
        # The last four: a field is missing, or is of another kind than it should be.
        raise ReadError(DAMAGED) from error


def _footer(data: Compact, total: int) -> Footer:
    """Row groups are reduced one by one: as dicts a large footer would take 20 times its size."""
    footer = Footer()
    number = 0
    while True:
        number, kind = data.field(number)
        if not kind:
            break
        if number == 2:
            footer.leaves = _leaves(data.value(kind, 0))
        elif number == 4 and kind == 9:
            length, inner = data.items()
            for _ in range(length):
                footer.groups.append(_group(data.value(inner, 0), total))
        else:
            value = None if kind in (1, 2) else data.value(kind, 0)
            if number == 3:
                footer.rows = int(value or 0)
            elif number == 8:
                raise ReadError(ENCRYPTED)
    if not footer.leaves or footer.rows != sum(group.rows for group in footer.groups):
        raise ReadError(DAMAGED)
    if any(len(group.chunks) != len(footer.leaves) for group in footer.groups):
        raise ReadError(DAMAGED)
    return footer


def _group(fields: dict[int, Any], total: int) -> Group:
    chunks = []
    for column in fields[1]:
        if 8 in column or 9 in column:
            raise ReadError(ENCRYPTED)
        if 1 in column:  # the values lie in another file
            raise ReadError(DAMAGED)
        found = column[3]
        place = found[9]
        if 0 < found.get(11, 0) < place:
            place = found[11]
        if found[5] < 0 or (found[5] and not 4 <= place <= place + found[7] <= total):
            raise ReadError(DAMAGED)
        chunks.append(Chunk(place, place + found[7], found[5]))
    if fields[3] < 0:
        raise ReadError(DAMAGED)
    return Group(fields[3], chunks)


def _leaves(schema: list[dict[int, Any]]) -> list[Leaf]:
    """The schema is a tree in the order of a walk; the first element is the nameless root."""
    leaves: list[Leaf] = []
    # For each open branch: its path, whether it repeats, and how many children are to come.
    open_branches: list[tuple[tuple[str, ...], bool, int]] = [((), False, schema[0].get(5, 0))]
    for element in schema[1:]:
        while open_branches and not open_branches[-1][2]:
            open_branches.pop()
        if not open_branches:
            raise MalformedError
        path, repeated, left = open_branches[-1]
        open_branches[-1] = (path, repeated, left - 1)
        name = element[4].decode()
        repeated = repeated or element.get(3) == _REPEATED
        children = element.get(5, 0)
        if children:
            open_branches.append(((*path, name), repeated, children))
        else:
            leaves.append(Leaf(".".join((*path, name)), element[1] == _BYTE_ARRAY, repeated))
    return leaves
