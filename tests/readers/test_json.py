"""JSONL and JSON lists: types stay, broken rows are named, the file is never held as a whole."""

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobs.datasets.readers import Limits, ReadError, row_json
from jobs.datasets.readers.json_values import parse_row
from jobs.written import Written, read_row
from tests.readers.corpus import bad, everything, file_of, good, json_lines, opened, values

NESTED = {"id": 7, "tags": ["a", {"b": None}], "ok": True, "price": 1.5, "text": " é\n", "no": ""}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "windows-1252"])
def test_it_keeps_types_and_nesting(tmp_path: Path, encoding: str) -> None:
    text = json.dumps(NESTED, ensure_ascii=False)
    lines = file_of(tmp_path, "a.jsonl", f"{text}\n\n{text}\r\n".encode(encoding))
    assert [(row.line, row.values) for row in good(everything(lines))] == [(1, NESTED), (3, NESTED)]
    array = file_of(tmp_path, "a.json", f"[{text},\n {text}]\n".encode(encoding))
    assert [(row.line, row.values) for row in good(everything(array))] == [(1, NESTED), (2, NESTED)]


def test_it_leaves_absent_values_absent_and_unites_columns(tmp_path: Path) -> None:
    reader = opened(json_lines(tmp_path, [{"a": 1}, {"b": None}, {"a": "", "c": 2}]))
    assert values(list(reader)) == [{"a": 1}, {"b": None}, {"a": "", "c": 2}]
    assert reader.columns == ["a", "b", "c"]


BROKEN = [
    ('{"a": 1', "not valid JSON"),
    ("{'a': 1}", "double quotes"),
    ('{"a": NaN}', "NaN is not JSON"),
    ('{"a": -Infinity}', "Infinity is not JSON"),
    ("[1, 2]", "a list, not an object"),
    ('"text"', "a text, not an object"),
    ("12", "a number, not an object"),
    ("null", "null, not an object"),
    ("true", "true or false, not an object"),
    ('{"": 1}', "without a name"),
    ('{"a": ' + "[" * 150 + "]" * 150 + "}", "deeper than 100 levels"),
    ('{"a": ' + "[" * 5000 + "]" * 5000 + "}", "nested too deeply"),
    ('{"a": 1} {"b": 2}', "not valid JSON"),
    ('{"a": "\\ud800", "b": }', "not valid JSON"),
]


@pytest.mark.parametrize(("line", "words"), BROKEN)
def test_it_sets_a_broken_line_aside(tmp_path: Path, line: str, words: str) -> None:
    items = everything(file_of(tmp_path, "a.jsonl", f'{{"a": 1}}\n{line}\n{{"a": 3}}\n'))
    assert [row.line for row in good(items)] == [1, 3]
    assert [row.line for row in bad(items)] == [2]
    assert words in bad(items)[0].message
    assert line.startswith(bad(items)[0].raw[:100])


@pytest.mark.parametrize(
    ("item", "words"),
    [pair for pair in BROKEN if pair[0] not in ('{"a": 1', '{"a": 1} {"b": 2}')],
)
def test_it_sets_a_broken_item_aside(tmp_path: Path, item: str, words: str) -> None:
    items = everything(file_of(tmp_path, "a.json", f'[{{"a": 1}},\n{item},\n{{"a": 3}}]'))
    assert [row.line for row in good(items)] == [1, 3]
    (fault,) = bad(items)
    assert fault.line == 2
    assert fault.message.startswith("Item 2 (line 2): ")
    assert words in fault.message


def test_it_names_the_byte_that_is_not_utf_8(tmp_path: Path) -> None:
    content = '{"a": "é"}\n'.encode() + b'{"a": "\xff"}\n' + '{"a": "ü"}'.encode()
    items = everything(file_of(tmp_path, "a.jsonl", content))
    assert [(row.line, row.message[:38]) for row in bad(items)] == [
        (2, "Byte 8 is 0xFF, which is not UTF-8. Co")
    ]


@pytest.mark.parametrize("number", [2**64 - 1, -(2**63), 0, 12345678901234567890])
def test_it_keeps_integers_of_64_bits(tmp_path: Path, number: int) -> None:
    assert values(everything(json_lines(tmp_path, [{"a": number}]))) == [{"a": number}]


@pytest.mark.parametrize(
    "number",
    ["1e5", "1E+05", "2.50", "100.00", "0.000001", "1e-7", "-0", "-0.0", "0.1", "1.0", "1e16",
     "0.30000000000000004", "3.141592653589793238", "12345678.123456789", str(2**64),
     str(-(2**63) - 1), "9" * 30],
)  # fmt: skip
@pytest.mark.parametrize(
    "form", ['{"a":%s,"b":[{"c":%s}]}', '{ "a": %s ,\n "b" : [ {"c": %s } ] }']
)
def test_it_keeps_a_number_as_it_was_written(tmp_path: Path, number: str, form: str) -> None:
    text = form % (number, number)
    (row,) = values(everything(file_of(tmp_path, "a.json", f"[{text}]")))
    stored = row_json(row)
    assert stored.strip() == f'{{"a":{number},"b":[{{"c":{number}}}]}}'
    assert read_row(stored) == row


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    text=st.from_regex(
        r"-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,20})?([eE][-+]?[0-9]{1,2})?", fullmatch=True
    )
)
def test_no_number_is_ever_written_anew(text: str) -> None:
    row, _ = parse_row(b'{"a":[1, %s ]}' % text.encode(), Limits())
    assert row_json(row).strip() == f'{{"a":[1,{text}]}}'


def test_a_number_that_no_reader_holds_is_kept_as_text(tmp_path: Path) -> None:
    digits = "1" * 10_000
    path = file_of(
        tmp_path, "a.jsonl", f'{{"a": {digits}, "b": [{digits}], "c": 1e5, "d": -1E+400}}'
    )
    assert values(everything(path)) == [
        {"a": digits, "b": [digits], "c": Written("1e5"), "d": "-1E+400"}
    ]


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ('{"a": 1, "b": 2, "a": 3}', "a"),
        ('{"a": 1, "a" : 1}', "a"),
        ('{"a": {"x": 1, "y": [{"k": 1, "k": 2}]}}', "k"),
        ('{"say \\"hi\\"": "b", "say \\"hi\\"": "\\":"}', 'say "hi"'),
        ('{"a": ":", "b": 1, "b": 2}', "b"),
        ('{"a\\\\":1,"b":1,"b":2}', "b"),
    ],
)
def test_it_sets_a_row_aside_that_names_a_value_twice(tmp_path: Path, line: str, name: str) -> None:
    items = everything(file_of(tmp_path, "a.jsonl", f'{{"a": ":\\":", "b":{{"a": 1}}}}\n{line}\n'))
    assert len(good(items)) == 1
    assert [(row.line, row.message) for row in bad(items)] == [
        (2, f"The name “{name}” stands twice in one object. Rename or remove one.")
    ]


def test_it_marks_characters_that_cannot_be_stored(tmp_path: Path) -> None:
    text = '{"a": "x\\u0000y", "b": ["\\ud800z", {"c": "\\ud83d\\ude00"}]}\n{"a": "\\\\u0000"}\n'
    reader = opened(file_of(tmp_path, "a.jsonl", text))
    assert values(list(reader)) == [
        {"a": "x\ufffdy", "b": ["\ufffdz", {"c": "😀"}]},
        {"a": "\\u0000"},
    ]
    assert "cannot be stored" in reader.notices[0]


def test_it_sets_a_line_or_value_beyond_the_limits_aside(tmp_path: Path) -> None:
    limits = Limits(cell_bytes=100, row_bytes=300)
    rows: list[Any] = [{"a": "x" * 50}, {"a": "x" * 150}, {"a": "x" * 5000}, {"a": 4}]
    for encoding in ("utf-8", "utf-16"):
        content = "".join(json.dumps(row) + "\n" for row in rows).encode(encoding)
        items = everything(file_of(tmp_path, "a.jsonl", content), limits=limits)
        assert [row.line for row in good(items)] == [1, 4]
        assert [(row.line, row.message) for row in bad(items)] == [
            (2, "The value of “a” is larger than 100 bytes."),
            (3, "The line is longer than 300 bytes."),
        ]


def test_it_refuses_endless_new_names(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match="more than 10 different names"):
        everything(
            json_lines(tmp_path, [{f"n{n}": 1} for n in range(20)]), limits=Limits(columns=10)
        )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[]", "no rows"),
        (" [ ] ", "no rows"),
        ('[{"a": 1}', "expected a comma or ] after an item, found the end of the file"),
        ('[{"a": 1},\n{"a": ', "ends in the middle of the item that begins on line 2"),
        ('[{"a": 1}\n{"a": 2}]', "Line 2: expected a comma or ] after an item, found “{”"),
        ('[{"a": 1},\n]', "Line 2: expected an item, found “]”"),
        ('[{"a": 1}]\n{"b": 2}', "Line 2: text follows the closing ]"),
        ('{"data": [{"a": 1}], "n": 1}', "list under “data”"),
        ('{\n "data": [\n {"a": 1}\n]}', "list under “data”"),
        ('{\n "a": 1,\n "b": 2\n}', "single JSON object over several lines"),
        ('{\n "a": 1\n}\n{\n "a": 2\n}', "neither a list nor one object a line"),
    ],
)
def test_it_says_what_is_wrong_with_a_json_file(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ReadError) as error:
        everything(file_of(tmp_path, "a.json", text))
    assert words in error.value.message


def test_it_names_the_item_that_never_ends(tmp_path: Path) -> None:
    text = '[{"a": 1},\n\n{"a": "x}, ' + '{"a": 1}, ' * 100_000 + "]"
    with pytest.raises(ReadError, match="begins on line 3"):
        everything(file_of(tmp_path, "a.json", text), limits=Limits(row_bytes=1000))


def test_it_reads_an_array_of_any_size_in_little_memory(tmp_path: Path) -> None:
    row = json.dumps({"text": 'brackets ]}{[ and "quotes" \\ ' * 20, "list": [[1], {"x": "]"}]})
    path = tmp_path / "a.json"
    with path.open("w") as file:
        file.write("[" + row)
        for _ in range(20):
            file.write(("," + row) * 1000)
        file.write(', {"text": "' + "z\\n" * 200_000 + '"}]')
    tracemalloc.start()
    count = longest = 0
    for item in opened(path):
        count += 1
        longest = max(longest, len(item.values["text"]))  # type: ignore[union-attr]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (count, longest) == (20_002, 400_000)
    assert path.stat().st_size > 14_000_000
    assert peak < 12_000_000


KEYS = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=6)
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    rows=st.lists(st.dictionaries(KEYS, VALUES, min_size=1, max_size=4), min_size=1, max_size=5),
    ascii_only=st.booleans(),
    indent=st.sampled_from([None, 1]),
)
def test_it_gives_back_what_a_json_writer_wrote(
    tmp_path: Path, rows: list[dict[str, Any]], ascii_only: bool, indent: int | None
) -> None:
    lines = "".join(json.dumps(row, ensure_ascii=ascii_only) + "\n" for row in rows)
    array = json.dumps(rows, ensure_ascii=ascii_only, indent=indent)
    written = [json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in rows]
    for path in (file_of(tmp_path, "a.jsonl", lines), file_of(tmp_path, "a.json", array)):
        assert [row_json(row).strip() for row in values(everything(path))] == written
