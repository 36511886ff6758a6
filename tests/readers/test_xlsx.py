"""XLSX: saved values only, one sheet, and archives that lie are found before they are opened."""

from pathlib import Path

import pytest

from jobs.datasets.readers import Limits, ReadError
from tests.readers.corpus import (
    bad,
    cell,
    everything,
    good,
    lying_workbook,
    opened,
    rows_of,
    table,
    values,
    workbook,
)


def test_it_gives_values_the_way_a_person_sees_them(tmp_path: Path) -> None:
    names = ["text", "number", "whole", "flag", "day", "moment", "time", "formula"]
    names += ["empty", "error", "spaces"]
    cells = [
        cell("A3", "007"),
        cell("B3", 1.5),
        cell("C3", 45000),
        cell("D3", 1, kind="b"),
        cell("E3", 45000, style=1),
        cell("F3", 45000.5, style=2),
        cell("G3", 0.5, style=3),
        cell("H3", "done", kind="str", formula="A1"),
        cell("J3", "#N/A", kind="e"),
        cell("K3", "  é "),
    ]
    header = [cell(f"{chr(65 + at)}1", name) for at, name in enumerate(names)]
    reader = opened(workbook(tmp_path, {"S": rows_of(header, [], cells)}))
    (row,) = good(list(reader))
    assert row.line == 3
    assert row.values == {
        "text": "007",
        "number": 1.5,
        "whole": 45000,
        "flag": True,
        "day": "2023-03-15",
        "moment": "2023-03-15T12:00:00",
        "time": "12:00:00",
        "formula": "done",
        "empty": None,
        "error": None,
        "spaces": "  é ",
    }
    assert type(row.values["whole"]) is int
    assert "1 cells of the workbook hold an error" in reader.detected.notices[0]
    assert reader.bytes_read == reader.bytes_total


def test_it_writes_long_numbers_out_and_says_that_digits_may_be_lost(tmp_path: Path) -> None:
    cells = [
        cell("A2", 12345678901234567),
        cell("B2", "1.5E+17", kind="n"),
        cell("C2", 999999999999999),
    ]
    header = [cell(f"{name}1", name) for name in "ABC"]
    reader = opened(workbook(tmp_path, {"S": rows_of(header, cells)}))
    (row,) = values(list(reader))
    assert [str(value) for value in row.values()] == [
        "12345678901234568", "150000000000000000", "999999999999999"
    ]  # fmt: skip
    assert "Numbers of more than 15 digits: 2." in reader.notices[0]


def test_it_tells_about_formulas_without_a_saved_result(tmp_path: Path) -> None:
    rows = rows_of(
        [cell("A1", "a"), cell("B1", "b")],
        [cell("A2", 1), cell("B2", formula="A2+1")],
        [cell("A3", 2)],
    )
    reader = opened(workbook(tmp_path, {"S": rows}))
    assert values(list(reader)) == [{"a": 1, "b": None}, {"a": 2, "b": None}]
    assert "1 formulas have no saved result" in reader.detected.notices[0]


def test_it_reads_the_first_sheet_and_lists_the_others(tmp_path: Path) -> None:
    book = workbook(tmp_path, {"One": table(["a"], ["x"]), "Two": table(["b"], ["y"])})
    assert opened(book).detected.sheets == ("One", "Two")
    assert values(everything(book)) == [{"a": "x"}]
    assert values(everything(book, sheet="Two")) == [{"b": "y"}]
    with pytest.raises(ReadError, match=r"no sheet “Three”\. It has: “One”, “Two”"):
        everything(book, sheet="Three")


def test_it_says_which_sheet_to_take_when_the_first_is_empty(tmp_path: Path) -> None:
    book = workbook(tmp_path, {"Cover": "", "Data": table(["a"], ["x"])})
    with pytest.raises(ReadError, match=r"“Cover” is empty\. Choose another one: “Data”"):
        everything(book)
    with pytest.raises(ReadError, match="header but no rows"):
        everything(workbook(tmp_path, {"S": table(["a"])}))


def test_it_skips_formatting_far_from_the_table(tmp_path: Path) -> None:
    rows = table(["a"], ["x"]) + f'<row r="1048576">{cell("XFD1048576", style=1)}</row>'
    assert values(everything(workbook(tmp_path, {"S": rows}))) == [{"a": "x"}]


def test_it_names_a_value_beside_the_table_and_a_repeated_name(tmp_path: Path) -> None:
    items = everything(workbook(tmp_path, {"S": table(["a", "b"], ["x", "y", "z"], ["u", "v"])}))
    assert [row.line for row in good(items)] == [3]
    assert "Cell C2 has a value, but column C has no name" in bad(items)[0].message
    with pytest.raises(ReadError, match=r"“a” \(columns 1, 2\)"):
        everything(workbook(tmp_path, {"S": table(["a", "a"], ["x", "y"])}))
    with pytest.raises(ReadError, match="Column 2 has no name"):
        everything(workbook(tmp_path, {"S": table(["a", "", "b"], ["x", "y", "z"])}))


def test_it_sets_a_cell_beyond_the_limit_aside(tmp_path: Path) -> None:
    book = workbook(tmp_path, {"S": table(["a"], ["x" * 300], ["y"])})
    items = everything(book, limits=Limits(cell_bytes=200))
    assert [(row.line, row.message) for row in bad(items)] == [
        (2, "The cell of “a” is larger than 200 bytes.")
    ]
    assert [row.line for row in good(items)] == [3]


def test_it_reads_a_workbook_with_macros_without_them(tmp_path: Path) -> None:
    book = workbook(
        tmp_path, {"S": table(["a"], ["x"])}, name="m.xlsm", parts={"xl/vbaProject.bin": b"code"}
    )
    reader = opened(book)
    assert "macros" in reader.detected.notices[0]
    assert values(list(reader)) == [{"a": "x"}]


def test_it_refuses_cells_in_opposite_corners(tmp_path: Path) -> None:
    """They would make the parser allocate 17 thousand million cells, and end the process."""
    rows = rows_of([cell("A1", "a")]) + f'<row r="1048576">{cell("XFD1048576", 1)}</row>'
    with pytest.raises(ReadError, match="row 1,048,576 and column 16,384"):
        everything(workbook(tmp_path, {"S": rows}))


def test_it_counts_what_an_archive_really_unpacks_to(tmp_path: Path) -> None:
    limits = Limits(zip_free_bytes=1_000_000)
    rows = table(["a"], ["x" * 5_000_000])
    with pytest.raises(ReadError, match="unpacks to more than"):
        everything(workbook(tmp_path, {"S": rows}), limits=limits)
    with pytest.raises(ReadError, match="unpacks to more than"):
        everything(lying_workbook(tmp_path, 5_000_000), limits=limits)
    with pytest.raises(ReadError, match="damaged"):
        everything(lying_workbook(tmp_path, 500_000))


def test_it_refuses_entities_and_hidden_encodings(tmp_path: Path) -> None:
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>'
    with pytest.raises(ReadError, match="document type"):
        everything(workbook(tmp_path, {"S": table(["a"], ["&b;"])}, prolog=bomb))
    hidden = {"xl/worksheets/s2.xml": "<worksheet/>".encode("utf-16")}
    with pytest.raises(ReadError, match="damaged"):
        everything(workbook(tmp_path, {"S": table(["a"], ["x"])}, parts=hidden))


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_it_says_that_a_cut_upload_is_damaged(tmp_path: Path, share: float) -> None:
    path = workbook(tmp_path, {"S": table(["a"], ["x"])})
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(ReadError, match="damaged or was cut off"):
        everything(path)


def test_it_never_ends_the_process_over_flipped_bytes(tmp_path: Path) -> None:
    path = workbook(tmp_path, {"S": table(["a", "b"], ["x", "y"])})
    content = path.read_bytes()
    outcomes = set()
    for place in range(0, len(content), 7):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0x55]) + content[place + 1 :])
        try:
            outcomes.add(str(values(everything(path))))
        except ReadError:
            outcomes.add("refused")
    assert "refused" in outcomes
    assert outcomes <= {"refused", str([{"a": "x", "b": "y"}])}
