"""Which sign separates the fields of a CSV file."""

import csv
import re

from jobs.datasets.readers.rows import ReadError

DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "pipes"}
_NAMES = {"comma": ",", "semicolon": ";", "tab": "\t", "\\t": "\t", "pipe": "|", "space": " "}
MAX_DELIMITER_CHARS = 5
_ROWS = 200  # more rows tell nothing new about the delimiter
# The line that Excel writes and obeys, before the header.
SEPARATOR_LINE = re.compile(r'\ufeff?"?sep=([^"\r\n])"?\r?\n?\Z', re.IGNORECASE)


def is_delimiter(chosen: str) -> bool:
    """Whether `known_delimiter` knows it, and it is no longer than what can be kept of it."""
    try:
        return bool(known_delimiter(chosen)) and len(chosen) <= MAX_DELIMITER_CHARS
    except ReadError:
        return False


def known_delimiter(chosen: str) -> str:
    """The sign that a person chose, itself or by name; raises ReadError for anything else."""
    sign = _NAMES.get(chosen.strip().lower(), chosen)
    if len(sign) != 1 or sign in '"\r\n\0':
        raise ReadError(
            f"“{chosen[:20]}” cannot separate fields. Choose one character: a comma, a "
            "semicolon, a tab or a pipe."
        )
    return sign


def guess_delimiter(sample: str, hint: str | None) -> tuple[str, str | None]:
    """The delimiter by which most of the sample's rows are as wide as its header, and a notice
    when it is not a comma. `hint` wins a tie. `sample` must end with a complete line."""
    lines = sample.splitlines(keepends=True)
    if lines and (found := SEPARATOR_LINE.match(lines[0])):
        sign = found.group(1)
        return sign, f"Fields are separated by “{sign}”, as the first line says."
    scores: dict[str, tuple[float, bool, int]] = {}
    for sign in DELIMITERS:
        widths = _widths(lines, sign)
        if widths:
            share = round(widths.count(widths[0]) / len(widths), 1)
            scores[sign] = (share, sign == hint, widths[0])
    several = {sign: score for sign, score in scores.items() if score[2] > 1 and score[0] >= 0.5}
    if several:
        best = max(several, key=lambda sign: several[sign])
        notice = None if best == "," else f"Fields are separated by {DELIMITERS[best]}."
        return best, notice
    if scores.get(",", (1.0,))[0] < 1.0:
        # One column of unquoted text: a sign that never occurs leaves its commas alone.
        for sign, score in scores.items():
            if score[0] == 1.0 and score[2] == 1:
                return sign, (
                    "The file has one column, and its commas are taken for text. Choose a "
                    "delimiter if there are more columns."
                )
    return ",", None


def _widths(lines: list[str], sign: str) -> list[int]:
    """Fields in each of the first rows; what comes after an error in the sample is not told."""
    widths: list[int] = []
    try:
        for fields in csv.reader(lines, delimiter=sign):
            if fields:
                widths.append(len(fields))
            if len(widths) >= _ROWS:
                break
    except csv.Error:
        return widths
    return widths
