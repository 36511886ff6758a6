"""What a file is: decided by its content; the name is only a hint."""

import re
from pathlib import Path

import orjson

from jobs.datasets.readers.archive import inspect_workbook, open_zip
from jobs.datasets.readers.delimiters import DELIMITERS, guess_delimiter, known_delimiter
from jobs.datasets.readers.encodings import detect_encoding
from jobs.datasets.readers.rows import Detected, Format, Limits, ReadError, ReadOptions
from jobs.datasets.readers.signatures import refuse_foreign
from jobs.datasets.readers.text import TextFile
from jobs.datasets.readers.xlsx_rows import sheet_names

_HEAD = 64 * 1024
_SAMPLE = 256 * 1024  # characters looked at for format, line ends and delimiter
_BY_ENDING: dict[str, Format] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".tab": "csv",
    ".txt": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".xlsx": "xlsx",
    ".xlsm": "xlsx",
}
_NAMES = {
    "csv": "CSV",
    "jsonl": "JSONL (one object a line)",
    "json": "a JSON list",
    "parquet": "Parquet",
    "xlsx": "an Excel workbook",
}
_LIST_BEGINS = re.compile(r'\[\s*(?:[{\["\]\-0-9]|true|false|null)')
_OBJECT_BEGINS = re.compile(r'\{\s*["}\']')


def detect(
    path: Path, filename: str, overrides: ReadOptions, limits: Limits | None = None
) -> Detected:
    """How the file will be read. Raises ReadError if it cannot be.

    Text is read once from end to end (to know whether its encoding holds), a workbook is unpacked
    once; a file that passes can still have bad rows.
    """
    limits = limits or Limits()
    total = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if not head:
        raise ReadError("The file is empty (0 bytes). Upload one with a header and rows.")
    ending = Path(filename).suffix.lower()
    hint = _BY_ENDING.get(ending)
    refuse_foreign(path, head)
    if head.startswith(b"PAR1"):
        if total < 12:
            raise ReadError("The Parquet file was cut off. Upload it again.")
        return Detected("parquet", notices=_mismatch(ending, hint, "parquet"))
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _workbook(path, ending, hint, limits)
    return _text(path, head, ending, hint, overrides)


def _mismatch(ending: str, hint: Format | None, found: Format) -> tuple[str, ...]:
    if hint is None or hint == found:
        return ()
    return (f"The name ends in {ending}, but the content is {_NAMES[found]} and is read as that.",)


def _workbook(path: Path, ending: str, hint: Format | None, limits: Limits) -> Detected:
    with open_zip(path) as archive:
        names = set(archive.namelist())
    if "xl/workbook.bin" in names:
        raise ReadError("This is a binary workbook (.xlsb). Save it as .xlsx or CSV.")
    if "mimetype" in names and "content.xml" in names:
        raise ReadError("This is an OpenDocument file. Save the table as .xlsx or CSV.")
    if "xl/workbook.xml" not in {name.lower() for name in names}:
        raise ReadError(
            "This is a zip archive, not a table. Unpack it and upload the file that is inside."
        )
    found = inspect_workbook(path, limits)
    sheets = sheet_names(str(path))
    if not sheets:
        raise ReadError("The workbook has no sheet with cells.")
    notices = list(_mismatch(ending, hint, "xlsx"))
    if found.macros:
        notices.append("The workbook has macros. They are not run; only values are read.")
    if found.error_cells:
        notices.append(
            f"{found.error_cells:,} cells of the workbook hold an error such as #N/A; they are "
            "read as empty."
        )
    if found.unsaved_formulas:
        notices.append(
            f"{found.unsaved_formulas:,} formulas have no saved result and are read as empty. "
            "Open the workbook, save it, and upload it again."
        )
    return Detected("xlsx", sheets=tuple(sheets), notices=tuple(notices))


def _text(
    path: Path, head: bytes, ending: str, hint: Format | None, overrides: ReadOptions
) -> Detected:
    encoding = detect_encoding(path, head, overrides.encoding)
    if encoding.name == "utf-8" and _is_binary(head):
        raise ReadError(
            "This is not a table: the file holds binary data. Upload CSV, JSONL, JSON, Parquet "
            "or XLSX."
        )
    if encoding.damage and encoding.name.startswith("utf-16"):
        # Behind a broken place nothing tells where the next character begins.
        raise ReadError(
            f"The file is not {encoding.name.upper()} from line {encoding.damage.line:,} on: it "
            "may be cut off. Upload it again, or choose its encoding.",
            encoding.damage.line,
        )
    plain = Detected("csv", encoding.name, newline="\n")
    file = TextFile(path, plain)
    try:
        sample = file.text.read(_SAMPLE)
        complete = not file.text.read(1)
    except UnicodeDecodeError as error:
        raise ReadError(f"The file is not {encoding.name.upper()}. Choose its encoding.") from error
    finally:
        file.close()
    if not sample.strip().strip("\ufeff\0"):
        raise ReadError("The file is empty. Upload one with a header and rows.")
    newline = "\r" if "\r" in sample and "\n" not in sample else "\n"
    found = _text_format(sample.removeprefix("\ufeff"), complete, hint)
    delimiter, notice = None, None
    if found == "csv":
        if overrides.delimiter:
            delimiter = known_delimiter(overrides.delimiter)
        else:
            cut = sample if complete else sample[: sample.rfind(newline) + 1] or sample
            delimiter, notice = guess_delimiter(cut, "\t" if ending in (".tsv", ".tab") else None)
    notices = [*_mismatch(ending, hint, found), encoding.notice, notice]
    return Detected(
        found,
        encoding.name,
        delimiter,
        newline,
        encoding.damage is not None,
        notices=tuple(told for told in notices if told),
    )


def _text_format(sample: str, complete: bool, hint: Format | None) -> Format:
    """csv, jsonl or json. Raises ReadError for JSON that is neither lines nor a list."""
    text = sample.lstrip()
    if _LIST_BEGINS.match(text):
        first = text.splitlines()[0]
        several = "\n" in text.strip()
        return "jsonl" if hint == "jsonl" and several and _parses(first) else "json"
    if not _OBJECT_BEGINS.match(text):
        # A first line that is broken does not make JSONL another format.
        return "jsonl" if hint == "jsonl" and _some_objects(text) else "csv"
    lines = [line for line in text.splitlines() if line.strip()]
    if hint != "jsonl" and complete and (value := _parses(text)) is not None:
        _refuse_wrapped(value, one_line=len(lines) == 1)
    if hint == "jsonl" or _parses(lines[0]) is not None or _some_objects(text):
        return "jsonl"
    if len(lines) == 1 and not complete:
        return "jsonl"
    if hint == "csv" and any(sign in lines[0] for sign in DELIMITERS) and '"' not in lines[0]:
        return "csv"
    raise ReadError(
        "This is JSON, but neither a list nor one object a line. Write the rows as [ {…}, {…} ], "
        "or each object on a line of its own (JSONL).",
        1,
    )


def _refuse_wrapped(value: object, *, one_line: bool) -> None:
    """An object that carries the rows under a key is refused: a guess could take the wrong one."""
    if not isinstance(value, dict):
        return
    for name, item in value.items():
        if isinstance(item, list) and item and isinstance(item[0], dict):
            raise ReadError(
                f"This is one JSON object; the rows seem to be the list under “{name[:60]}”. "
                "Upload that list alone.",
                1,
                name[:60],
            )
    if not one_line:
        raise ReadError(
            "This is a single JSON object over several lines. Write the rows as a list "
            "[ {…}, {…} ], or each object on a line of its own (JSONL).",
            1,
        )


def _parses(text: str) -> object | None:
    try:
        value: object = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return value


def _some_objects(text: str) -> bool:
    """Whether some of the first lines are objects on their own."""
    lines = [line.strip() for line in text.splitlines()[:50]]
    return any(line.startswith("{") and isinstance(_parses(line), dict) for line in lines)


def _is_binary(head: bytes) -> bool:
    """Control characters that no text has: many of them, in more than one of twenty bytes."""
    odd = sum(head.count(bytes((code,))) for code in range(32) if code not in (9, 10, 12, 13, 27))
    return odd > 32 and odd * 20 > len(head)
