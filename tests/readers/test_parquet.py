"""Parquet: typed values to JSON's, and files that unpack to more than they say."""

import datetime as dt
import decimal
import uuid
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobs.datasets.readers import Limits, ReadError, row_json
from tests.readers.corpus import (
    bad,
    everything,
    file_of,
    good,
    opened,
    parquet,
    parquet_with_huge_page,
    parquet_with_shared_text,
    values,
)

MOMENT = dt.datetime(2024, 2, 29, 12, 30, 1, 500_000)
NANO = 1_709_209_801_000_000_001


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array(["007", " x ", ""]), ["007", " x ", ""]),
        (pa.array([1, None, -(2**63)]), [1, None, -(2**63)]),
        (pa.array([2**64 - 1], pa.uint64()), [2**64 - 1]),
        (pa.array([True, None]), [True, None]),
        (pa.array([1.5, float("nan"), float("-inf")]), [1.5, "NaN", "-Infinity"]),
        (pa.array([decimal.Decimal("1.10"), None]), ["1.10", None]),
        (pa.array([dt.date(2024, 2, 29)]), ["2024-02-29"]),
        (pa.array([dt.time(1, 2, 3)]), ["01:02:03"]),
        (pa.array([MOMENT], pa.timestamp("ms")), ["2024-02-29T12:30:01.5"]),
        (pa.array([NANO], pa.timestamp("ns")), ["2024-02-29T12:30:01.000000001"]),
        (pa.array([NANO], pa.timestamp("ns", "Europe/Berlin")), ["2024-02-29T12:30:01.000000001Z"]),
        (pa.array([-1], pa.timestamp("s")), ["1969-12-31T23:59:59"]),
        (pa.array([-1500], pa.duration("ms")), ["-PT1.5S"]),
        (pa.array([b"caf\xc3\xa9"]), ["café"]),
        (pa.array([b"abc"], pa.binary(3)), ["abc"]),
        (pa.array([[1, None], [], None]), [[1, None], [], None]),
        (pa.array([[["x"]], None]), [[["x"]], None]),
        (
            pa.array([{"a": 1, "t": [MOMENT]}, None]),
            [{"a": 1, "t": ["2024-02-29T12:30:01.5"]}, None],
        ),
        (pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int64())), [{"k": 1}, None]),
        (pa.array([[(1, "v")]], pa.map_(pa.int64(), pa.string())), [[[1, "v"]]]),
        (pa.array(["a", "b", "a", None]).dictionary_encode(), ["a", "b", "a", None]),
        (pa.array(["x\0y"]), ["x\ufffdy"]),
        (pa.nulls(2), [None, None]),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else "",
)
def test_it_turns_typed_values_into_json(
    tmp_path: Path, column: pa.Array, expected: list[Any]
) -> None:
    reader = opened(parquet(tmp_path, {"n": list(range(len(column))), "v": column}))
    rows = good(list(reader))
    assert [row.values["v"] for row in rows] == expected
    assert [row.line for row in rows] == list(range(1, len(column) + 1))
    assert all(row_json(row.values) for row in rows)
    assert reader.columns == ["n", "v"]
    assert reader.bytes_read == reader.bytes_total


def test_it_reads_uuids_as_text(tmp_path: Path) -> None:
    value = uuid.uuid4()
    column = pa.array([value.bytes], pa.uuid())
    assert values(everything(parquet(tmp_path, {"v": column}))) == [{"v": str(value)}]


def test_it_sets_rows_with_binary_values_aside(tmp_path: Path) -> None:
    path = parquet(
        tmp_path, {"n": range(9), "v": [b"\xff\0" if n == 5 else b"ok" for n in range(9)]}
    )
    items = everything(path)
    assert [row.line for row in good(items)] == [1, 2, 3, 4, 5, 7, 8, 9]
    assert [row.line for row in bad(items)] == [6]
    assert "“v” is binary or not UTF-8" in bad(items)[0].message


@pytest.mark.parametrize("compression", ["none", "snappy", "gzip", "zstd", "lz4", "brotli"])
@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_it_reads_every_compression_and_page_version(
    tmp_path: Path, compression: str, version: str
) -> None:
    columns = {"n": range(5000), "t": [f"text {n % 7}" for n in range(5000)]}
    options = {"compression": compression, "data_page_version": version, "row_group_size": 700}
    rows = good(everything(parquet(tmp_path, columns, data_page_size=500, **options)))
    assert [row.values for row in rows] == [{"n": n, "t": f"text {n % 7}"} for n in range(5000)]
    assert [row.line for row in rows] == list(range(1, 5001))


@pytest.mark.parametrize("encoding", ["PLAIN", "DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY"])
def test_it_reads_every_encoding_of_texts(tmp_path: Path, encoding: str) -> None:
    texts = [f"same beginning {n}" for n in range(300)]
    path = parquet(tmp_path, {"t": texts}, use_dictionary=False, column_encoding={"t": encoding})
    assert [row["t"] for row in values(everything(path))] == texts


def test_it_refuses_a_page_that_inflates_too_far(tmp_path: Path) -> None:
    path = parquet_with_huge_page(tmp_path)
    assert path.stat().st_size < 100_000
    with pytest.raises(ReadError, match="page of column “a” unpacks to"):
        everything(path, limits=Limits(parquet_page_bytes=10_000_000))


def test_it_stops_when_rows_unpack_to_more_than_the_file_can_hold(tmp_path: Path) -> None:
    path = parquet_with_shared_text(tmp_path, chars=100_000, rows=200_000)  # 20 GB of text
    assert path.stat().st_size < 20_000
    before = pa.total_allocated_bytes()
    with opened(path, limits=Limits(decoded_free_bytes=2**30)) as reader:
        items = iter(reader)
        assert len(good([next(items)])[0].values["a"]) == 100_000
        assert pa.total_allocated_bytes() - before < 20_000_000
        seen = [1]
        with pytest.raises(ReadError, match="unpacks to more than 1 GB"):
            seen.extend(item.line for item in items)
    assert seen == list(range(1, 2 * 4096 + 1))


def test_it_sets_values_beyond_the_limit_aside(tmp_path: Path) -> None:
    texts = ["x" * (5000 if n == 3 else 10) for n in range(8)]
    for column in (texts, [[text] for text in texts]):
        items = everything(parquet(tmp_path, {"t": column}), limits=Limits(cell_bytes=1000))
        assert [row.line for row in good(items)] == [1, 2, 3, 5, 6, 7, 8]
        assert "“t” is larger than 1000 bytes" in bad(items)[0].message


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"a": pa.array([], pa.string())}, "columns but no rows"),
        ({"": ["x"]}, "Column 1 has no name"),
        ({"a": ["x"], " a ": ["y"]}, "same name more than once"),
        ({"a": pa.array([(1, 2, 3)], pa.month_day_nano_interval())}, None),
    ],
)
def test_it_refuses_tables_that_cannot_be_rows(
    tmp_path: Path, columns: dict[str, Any], words: str | None
) -> None:
    if words is None:
        with pytest.raises(pa.ArrowNotImplementedError):
            parquet(tmp_path, columns)
        return
    with pytest.raises(ReadError, match=words):
        everything(parquet(tmp_path, columns))


@pytest.mark.parametrize("tail", [b"PAR1", b"PARE"])
def test_it_tells_damage_from_encryption(tmp_path: Path, tail: bytes) -> None:
    path = file_of(tmp_path, "a.parquet", b"PAR1" + b"x" * 60 + b"\x05\0\0\0" + tail)
    with pytest.raises(ReadError, match="encrypted" if tail == b"PARE" else "damaged"):
        everything(path)


@pytest.mark.parametrize("share", [0.02, 0.5, 0.97])
def test_it_says_that_a_cut_upload_is_damaged(tmp_path: Path, share: float) -> None:
    path = parquet(tmp_path, {"a": ["x", "y"] * 500})
    content = path.read_bytes()
    path.write_bytes(content[: max(12, int(len(content) * share))])
    with pytest.raises(ReadError, match="damaged or was cut off"):
        everything(path)


def test_it_answers_flipped_bytes_with_an_error_or_with_rows(tmp_path: Path) -> None:
    """The decoder's own reading of the footer ends the process over some of these files."""
    columns = {"a": ["x", "yy"] * 20, "b": list(range(40)), "c": [[1, 2], None] * 20}
    path = parquet(tmp_path, columns, store_schema=False)
    content = path.read_bytes()
    refused = 0
    for place in range(4, len(content)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0x2A]) + content[place + 1 :])
        try:
            everything(path)
        except ReadError:
            refused += 1
    assert refused > 100


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    rows=st.lists(
        st.fixed_dictionaries(
            {
                "text": st.none() | TEXTS,
                "whole": st.none() | st.integers(-(2**63), 2**63 - 1),
                "part": st.none() | st.floats(allow_nan=False, allow_infinity=False),
                "texts": st.none() | st.lists(st.none() | TEXTS, max_size=3),
            }
        ),
        min_size=1,
        max_size=8,
    ),
    dictionary=st.booleans(),
)
def test_it_gives_back_what_a_parquet_writer_wrote(
    tmp_path: Path, rows: list[dict[str, Any]], dictionary: bool
) -> None:
    schema = pa.schema(
        [
            ("text", pa.string()),
            ("whole", pa.int64()),
            ("part", pa.float64()),
            ("texts", pa.list_(pa.string())),
        ]
    )
    path = tmp_path / "a.parquet"
    pq.write_table(pa.Table.from_pylist(rows, schema), path, use_dictionary=dictionary)
    assert values(everything(path)) == rows
