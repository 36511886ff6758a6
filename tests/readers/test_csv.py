"""CSV: verbatim values, true line numbers, and faults that name their place."""

import csv
import io
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobs.datasets.readers import Limits, ReadError
from tests.readers.corpus import bad, everything, file_of, good, opened, values

PERSONAL = "name,city\nZoë,Köln\nJosé,Málaga\n"


def test_it_keeps_values_verbatim(tmp_path: Path) -> None:
    path = file_of(tmp_path, "a.csv", 'id,n,s,e\n007,1e5,  two  ,\n"",NULL,"a ""b""",-0\n')
    assert values(everything(path)) == [
        {"id": "007", "n": "1e5", "s": "  two  ", "e": ""},
        {"id": "", "n": "NULL", "s": 'a "b"', "e": "-0"},
    ]


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_it_reads_every_line_ending(tmp_path: Path, ending: str) -> None:
    path = file_of(tmp_path, "a.csv", ending.join(["a,b", "1,2", "", "3,4"]))
    rows = good(everything(path))
    assert [(row.line, row.values) for row in rows] == [
        (2, {"a": "1", "b": "2"}),
        (4, {"a": "3", "b": "4"}),
    ]


def test_it_names_the_line_where_a_row_of_several_lines_begins(tmp_path: Path) -> None:
    path = file_of(tmp_path, "a.csv", 'a,b\n1,"x\r\ny\n\nz"\n2,w\n')
    rows = good(everything(path))
    assert [(row.line, row.values["b"]) for row in rows] == [(2, "x\r\ny\n\nz"), (6, "w")]


@pytest.mark.parametrize(
    ("delimiter", "notice"),
    [(",", None), (";", "semicolons"), ("\t", "tabs"), ("|", "pipes")],
)
def test_it_finds_the_delimiter(tmp_path: Path, delimiter: str, notice: str | None) -> None:
    text = "\n".join(delimiter.join(row) for row in (["a", "b"], ["1 x", "2"], ["3", "4"]))
    reader = opened(file_of(tmp_path, "a.csv", text))
    assert reader.detected.delimiter == delimiter
    assert [notice] == [
        word for told in reader.detected.notices for word in told.rstrip(".").split()[-1:]
    ] or not notice
    assert values(list(reader)) == [{"a": "1 x", "b": "2"}, {"a": "3", "b": "4"}]


def test_it_prefers_the_delimiter_of_the_header_to_decimal_commas(tmp_path: Path) -> None:
    path = file_of(tmp_path, "a.csv", "name;price\na;1,5\nb;2,5\n")
    assert values(everything(path))[0] == {"name": "a", "price": "1,5"}


def test_it_leaves_commas_in_a_file_of_one_column_alone(tmp_path: Path) -> None:
    reader = opened(file_of(tmp_path, "a.txt", "text\nHello, world\nYes\n"))
    assert values(list(reader)) == [{"text": "Hello, world"}, {"text": "Yes"}]
    assert "one column" in reader.detected.notices[0]


def test_it_obeys_the_separator_line_of_excel(tmp_path: Path) -> None:
    rows = good(everything(file_of(tmp_path, "a.csv", "sep=;\r\na;b\r\n1;2\r\n")))
    assert [(row.line, row.values) for row in rows] == [(3, {"a": "1", "b": "2"})]


@pytest.mark.parametrize("chosen", [";", "semicolon"])
def test_it_takes_the_delimiter_that_a_person_chose(tmp_path: Path, chosen: str) -> None:
    path = file_of(tmp_path, "a.csv", "a,b\n1,2\n")
    assert values(everything(path, delimiter=chosen)) == [{"a,b": "1,2"}]


@pytest.mark.parametrize("chosen", ["", ";;", '"', "\n"])
def test_it_refuses_what_cannot_delimit(tmp_path: Path, chosen: str) -> None:
    path = file_of(tmp_path, "a.csv", "a,b\n1,2\n")
    if not chosen:
        assert values(everything(path, delimiter=chosen)) == [{"a": "1", "b": "2"}]
        return
    with pytest.raises(ReadError, match="cannot separate fields"):
        everything(path, delimiter=chosen)


@pytest.mark.parametrize(
    ("encoding", "mark", "expected"),
    [
        ("utf-8", b"", "utf-8"),
        ("utf-8", b"\xef\xbb\xbf", "utf-8"),
        ("utf-16-le", b"\xff\xfe", "utf-16"),
        ("utf-16-be", b"\xfe\xff", "utf-16"),
        ("utf-16-le", b"", "utf-16-le"),
        ("utf-16-be", b"", "utf-16-be"),
        ("windows-1252", b"", "windows-1252"),
    ],
)
def test_it_finds_the_encoding(tmp_path: Path, encoding: str, mark: bytes, expected: str) -> None:
    reader = opened(file_of(tmp_path, "a.csv", mark + PERSONAL.encode(encoding)))
    assert reader.detected.encoding == expected
    assert values(list(reader)) == [
        {"name": "Zoë", "city": "Köln"},
        {"name": "José", "city": "Málaga"},
    ]
    assert reader.columns == ["name", "city"]


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("windows-1252", "id,note\n1,don’t – „gut“ 5 €\n2,plain\n"),
        ("windows-1252", "a,b\n1,café\n"),
        ("windows-1250", "imię,nazwisko\nŁukasz,Źródło\nMałgorzata,zażółć gęślą jaźń\n"),
        ("windows-1251", "имя,город\nИван,Москва\nПётр,это длинный текст\n"),
        ("shift_jis", "名前,住所\n田中太郎,東京都千代田区\nこれはテスト,です\n"),
        ("gb18030", "姓名,城市\n张三,北京\n李四,上海市浦东新区\n"),
    ],
)
def test_it_guesses_an_encoding_and_asks_to_confirm_it(
    tmp_path: Path, encoding: str, text: str
) -> None:
    reader = opened(file_of(tmp_path, "a.csv", text.encode(encoding)))
    assert reader.detected.encoding == encoding
    assert "check letters" in reader.detected.notices[0]
    header, *rows = csv.reader(io.StringIO(text))
    assert [list(row.values()) for row in values(list(reader))] == rows
    assert reader.columns == header


def test_it_sets_broken_utf_8_aside_by_line_and_byte(tmp_path: Path) -> None:
    text = "é,b\nä,1\n".encode() + b"ok\xff,2\n" + "ü,3\nö,4\n".encode()
    reader = opened(file_of(tmp_path, "a.csv", text))
    items = list(reader)
    assert [row.line for row in good(items)] == [2, 4, 5]
    (fault,) = bad(items)
    assert fault.line == 3
    assert "Line 3, byte 3 is 0xFF, which is not UTF-8" in fault.message
    assert "line 3, byte 3 (0xFF)" in reader.detected.notices[0]


@pytest.mark.parametrize("between", ["", "plain,0\n" * 500_000], ids=["near", "far"])
@pytest.mark.parametrize("broken", [b"\xff\xfe\x80", b"\x81"])
def test_it_takes_no_broken_place_for_another_encoding(
    tmp_path: Path, between: str, broken: bytes
) -> None:
    """Were it windows-1252, “café” would stand there as “cafÃ©”."""
    text = b"id,t\n1,ok\n2,%bbad\n" % broken + f"{between}3,café\n".encode()
    items = everything(file_of(tmp_path, "a.csv", text))
    assert good(items)[-1].values["t"] == "café"
    (fault,) = bad(items)
    assert fault.line == 3
    assert f"Line 3, byte 3 is 0x{broken[0]:02X}, which is not UTF-8" in fault.message


def test_it_reads_western_text_in_which_capitals_look_like_utf_8(tmp_path: Path) -> None:
    text = "a,b\ncafé,„MENÜ“\nnaïve,größer\n"  # Ü“ are the bytes of a letter in UTF-8
    reader = opened(file_of(tmp_path, "a.csv", text.encode("windows-1252")))
    assert reader.detected.encoding == "windows-1252"


def test_it_refuses_a_header_that_cannot_be_decoded(tmp_path: Path) -> None:
    text = b"a\xff,b\n" + "é,ü\nö,ä\n".encode()
    with pytest.raises(ReadError, match="header cannot be read: Line 1, byte 2 is 0xFF"):
        everything(file_of(tmp_path, "a.csv", text))


def test_it_takes_the_encoding_that_a_person_chose(tmp_path: Path) -> None:
    path = file_of(tmp_path, "a.csv", "a,b\n1,Ж\n".encode("koi8-r"))
    assert values(everything(path, encoding="KOI8-R")) == [{"a": "1", "b": "Ж"}]


@pytest.mark.parametrize("name", ["rot13", "base64", "klingon", "idna", "\0"])
def test_it_refuses_an_encoding_that_is_none(tmp_path: Path, name: str) -> None:
    with pytest.raises(ReadError, match="not an encoding that can be read"):
        everything(file_of(tmp_path, "a.csv", "a,b\n1,2\n"), encoding=name)


def test_it_says_where_utf_16_is_cut_off(tmp_path: Path) -> None:
    path = file_of(tmp_path, "a.csv", "a,b\n1,2\n3,4\n".encode("utf-16")[:-1])
    with pytest.raises(ReadError, match="cut off"):
        everything(path)


def test_it_names_ragged_rows_by_line(tmp_path: Path) -> None:
    items = everything(file_of(tmp_path, "a.csv", 'a,b,c\n1,2,3\n4,5\n6,"x\ny",8,9\n7,8,9\n'))
    assert [row.line for row in good(items)] == [2, 6]
    assert [(row.line, row.message, row.raw) for row in bad(items)] == [
        (3, "The row has 2 fields, the header has 3: c missing.", "4,5"),
        (
            4,
            "The row has 4 fields, the header has 3. Quote cells that hold the delimiter.",
            '6,"x\ny",8,9',
        ),
    ]


def test_it_goes_on_behind_a_quote_that_is_never_closed(tmp_path: Path) -> None:
    items = everything(file_of(tmp_path, "a.csv", 'a,b\n1,"x\ny"\n2,"oops\n3,z\n4,w\n'))
    assert [(row.line, row.values["b"]) for row in good(items)] == [(2, "x\ny"), (5, "z"), (6, "w")]
    assert [(row.line, row.raw) for row in bad(items)] == [(4, '2,"oops')]
    assert "quote that opens on line 4 is never closed" in bad(items)[0].message


def test_it_names_the_line_of_the_quote_not_of_the_row(tmp_path: Path) -> None:
    limits = Limits(cell_lines=5)
    path = file_of(tmp_path, "a.csv", 'a,b\n"x\ny","oops\n' + "more,text\n" * 10)
    with pytest.raises(ReadError, match="quote opens on line 3") as error:
        everything(path, limits=limits)
    assert error.value.line == 3


def test_it_sets_text_behind_a_closing_quote_aside(tmp_path: Path) -> None:
    items = everything(file_of(tmp_path, "a.csv", 'a,b\n1,"say "hi" now"\n2,x\n'))
    assert [row.line for row in good(items)] == [3]
    assert bad(items)[0].line == 2
    assert "Double the quotes" in bad(items)[0].message


def test_it_reads_a_cell_of_a_megabyte_and_sets_a_larger_one_aside(tmp_path: Path) -> None:
    large, huge = "x" * 1_000_000, "y" * (9 * 1024 * 1024)
    items = everything(file_of(tmp_path, "a.csv", f"a,b\n1,{large}\n2,{huge}\n3,z\n"))
    assert [(row.line, len(row.values["b"])) for row in good(items)] == [(2, 1_000_000), (4, 1)]
    assert [(row.line, row.message) for row in bad(items)] == [(3, "A cell is larger than 8 MB.")]
    assert len(bad(items)[0].raw) == 500


def test_it_refuses_a_line_without_end(tmp_path: Path) -> None:
    path = file_of(tmp_path, "a.csv", "a,b\n1,2\n" + "x," * 2000)
    with pytest.raises(ReadError, match="Line 3 is longer than 1 KB"):
        everything(path, limits=Limits(row_bytes=1024))


def test_it_shows_nul_characters_as_a_mark(tmp_path: Path) -> None:
    reader = opened(file_of(tmp_path, "a.csv", "a,b\n1,x\0y\n2,z\n"))
    assert values(list(reader))[0] == {"a": "1", "b": "x\ufffdy"}
    assert "Lines with NUL characters, which cannot be stored: 1." in reader.notices[0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a,b,a,c,b\n1,2,3,4,5\n", "“a” .columns 1, 3.; “b” .columns 2, 5."),
        ("a,,c, \n1,2,3,4\n", "Columns 2, 4 have no name"),
        ("a,b,\n1,2,3\n", "Column 3 has no name"),
        ("a,b\n", "header but no rows"),
        ("a,b", "header but no rows"),
        ("", "empty .0 bytes."),
        (" \n\n", "file is empty"),
        ("\ufeff", "file is empty"),
        ('"a\nb",c\n1,2\n', "cannot be seen"),
        (f"{'n' * 300},b\n1,2\n", "has 300 characters"),
        (",".join(f"c{n}" for n in range(2001)) + "\n1\n", "2,001 columns"),
    ],
)
def test_it_refuses_a_header_that_cannot_be_used(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ReadError, match=words):
        everything(file_of(tmp_path, "a.csv", text))


def test_it_tells_how_far_it_is(tmp_path: Path) -> None:
    path = file_of(tmp_path, "a.csv", "a,b\n" + "1,some text\n" * 200_000)
    reader = opened(path)
    assert reader.bytes_read == 0
    seen = [reader.bytes_read for number, _ in enumerate(reader) if number % 50_000 == 0]
    assert seen == sorted(seen)
    assert 0 < seen[1] < seen[-1] < reader.bytes_total == path.stat().st_size
    assert reader.bytes_read == reader.bytes_total


def test_it_closes_the_file_when_left_early(tmp_path: Path) -> None:
    with opened(file_of(tmp_path, "a.csv", "a,b\n1,2\n3,4\n")) as reader:
        assert next(iter(reader)).line == 2
    assert reader.bytes_read == reader.bytes_total


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    rows=st.lists(st.tuples(TEXTS, TEXTS, TEXTS), min_size=1, max_size=6),
    delimiter=st.sampled_from(",;\t|"),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_it_gives_back_what_a_csv_writer_wrote(
    tmp_path: Path, rows: list[tuple[str, ...]], delimiter: str, encoding: str
) -> None:
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, delimiter=delimiter, quoting=csv.QUOTE_ALL)
    writer.writerows([("a", "b", "c"), *rows])
    path = file_of(tmp_path, "a.csv", buffer.getvalue().encode(encoding))
    read = values(everything(path, delimiter=delimiter))
    assert [tuple(row.values()) for row in read] == rows


MEASURE = """
import re, sys
from pathlib import Path
from jobs.datasets.readers import ReadOptions, detect, read

def peak():
    return int(re.search("VmHWM:[^0-9]*([0-9]+)", Path("/proc/self/status").read_text())[1]) // 1024

path, before, options = Path(sys.argv[1]), peak(), ReadOptions()
count = sum(1 for _ in read(path, detect(path, path.name, options), options))
print(count, peak() - before, peak())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
def test_it_needs_no_more_memory_for_a_large_file(tmp_path: Path) -> None:
    path = tmp_path / "large.csv"
    line = "1234567,someone," + "word " * 40 + "\n"
    with path.open("w") as file:
        file.write("id,name,text\n")
        for _ in range(100):
            file.write(line * 4600)
    assert path.stat().st_size > 95_000_000
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(path)], capture_output=True, text=True, check=True
    )
    count, grown, peak = map(int, done.stdout.split())
    assert count == 460_000
    assert grown < 20
    assert peak < 100
