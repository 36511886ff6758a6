"""Which encoding a text file has, and where it stops being that encoding."""

import codecs
import re
from dataclasses import dataclass
from pathlib import Path

import charset_normalizer

from jobs.datasets.readers.rows import ReadError

# What a person may choose. A list, because Python's own registry also holds codecs that are no
# encodings of text.
ENCODINGS = (
    "utf-8",
    "utf-16",
    "utf-16-le",
    "utf-16-be",
    "windows-1252",
    "iso-8859-1",
    "iso-8859-15",
    "windows-1250",
    "iso-8859-2",
    "windows-1251",
    "koi8-r",
    "windows-1253",
    "windows-1254",
    "windows-1255",
    "windows-1256",
    "windows-1257",
    "cp874",
    "macintosh",
    "cp437",
    "cp850",
    "shift_jis",
    "euc-jp",
    "gb18030",
    "big5",
    "euc-kr",
)
_BY_CODEC = {codecs.lookup(name).name: name for name in reversed(ENCODINGS)}
_BY_CODEC |= {"utf-8-sig": "utf-8", "ascii": "utf-8", "cp949": "euc-kr", "gb2312": "gb18030"}
_GUESSABLE = [
    codecs.lookup(name).name for name in ENCODINGS if not name.startswith(("utf", "iso-8859-1"))
]

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CHUNK = 1024 * 1024
_GUESS_BYTES = 64 * 1024  # the guess looks at this much of the lines that are not ASCII
_RUNS = 10_000  # runs of bytes that are not ASCII: so many tell what a file is
_RUN = re.compile("[^\0-\x7f]+")
_INVALID = re.compile("[\udc80-\udcff]")
_WORD = re.compile(r"\w+")
# Signs that stand beside letters in western text, unlike ¶, ¯ or ³, which betray another encoding.
_WESTERN_SIGNS = "’‘“”„‚«»–—…·ªº°®™©€£§¿¡•´\u00a0\u00ad"


@dataclass(frozen=True)
class Damage:
    """The first bytes that are not the encoding: line and byte in the line, both from 1."""

    line: int
    byte: int
    value: int
    offset: int


@dataclass(frozen=True)
class Encoding:
    name: str
    damage: Damage | None = None
    notice: str | None = None


def known_encoding(name: str) -> str:
    """The listed name of an encoding that a person chose; raises ReadError for any other."""
    try:
        found = _BY_CODEC.get(codecs.lookup(name.strip()).name)
    except (LookupError, ValueError):
        found = None
    if found is None:
        raise ReadError(
            f"“{name[:40]}” is not an encoding that can be read. Choose one of: "
            f"{', '.join(ENCODINGS)}."
        )
    return found


def detect_encoding(path: Path, head: bytes, chosen: str | None) -> Encoding:
    """Decide by byte order mark, then by reading the whole file as UTF-8, then by a guess that
    the notice asks the person to confirm. Raises ReadError when nothing fits."""
    if chosen:
        name = known_encoding(chosen)
        damage = first_damage(path, name)
        return _checked(name, damage)
    for mark, name in _BOMS:
        if head.startswith(mark):
            damage = first_damage(path, name)
            return _checked(name, damage)
    name = _utf16_without_mark(head) or "utf-8"
    damage = first_damage(path, name)
    if damage is None:
        notice = None if name == "utf-8" else f"The file is read as {name.upper()}."
        return Encoding(name, None, notice)
    if name == "utf-8" and not _is_broken_utf8(path):
        return _guess(path, damage)
    return _checked(name, damage)


def _checked(name: str, damage: Damage | None) -> Encoding:
    return Encoding(name, damage, _damaged_notice(name, damage) if damage else None)


def first_damage(path: Path, name: str) -> Damage | None:
    """Read the whole file (about 1 GB/s for UTF-8); None when every byte decodes."""
    decoder = codecs.getincrementaldecoder(name)()
    lines, line_start, offset = 0, 0, 0
    with path.open("rb") as file:
        while True:
            chunk = file.read(_CHUNK)
            held = decoder.getstate()[0]
            try:
                decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                place = offset - len(held) + error.start
                before = chunk[: max(0, place - offset)]
                lines += before.count(b"\n")
                if b"\n" in before:
                    line_start = offset + before.rindex(b"\n") + 1
                return Damage(lines + 1, place - line_start + 1, error.object[error.start], place)
            if not chunk:
                return None
            lines += chunk.count(b"\n")
            if b"\n" in chunk:
                line_start = offset + chunk.rindex(b"\n") + 1
            offset += len(chunk)


def _damaged_notice(name: str, damage: Damage) -> str:
    return (
        f"The file is read as {name.upper()}, but line {damage.line:,}, byte {damage.byte:,} "
        f"(0x{damage.value:02X}) is not. Save the file again as UTF-8, or choose its encoding."
    )


def _utf16_without_mark(head: bytes) -> str | None:
    """UTF-16 that is mostly ASCII has a NUL in every other byte."""
    half = len(head) // 2
    if half < 2:
        return None
    even, odd = head[0 : half * 2 : 2].count(0) / half, head[1 : half * 2 : 2].count(0) / half
    if odd > 0.4 and even < 0.05:
        return "utf-16-le"
    return "utf-16-be" if even > 0.4 and odd < 0.05 else None


def _is_broken_utf8(path: Path) -> bool:
    """Whether a file that is not UTF-8 throughout is so where it is not broken. Then most of what is not
    ASCII is valid, or as many runs of it are valid as are broken: in another encoding next to no word
    happens to be UTF-8. All of the file counts: the first letter with an accent may come late."""
    valid = invalid = whole = broken = 0
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    with path.open("rb") as file:
        while whole + broken < _RUNS and (chunk := file.read(_CHUNK)):
            text = decoder.decode(chunk)
            for run in () if text.isascii() else _RUN.findall(text):
                wrong = len(_INVALID.findall(run))
                invalid += wrong
                valid += len(run) - wrong
                broken += wrong > 0
                whole += not wrong
    return valid > invalid or 0 < whole >= broken


def _sample(path: Path, offset: int) -> bytes:
    """Lines with bytes above 127 around the first damage."""
    kept: list[bytes] = []
    total = 0
    with path.open("rb") as file:
        file.seek(max(0, offset - _CHUNK))
        window = file.read(3 * _CHUNK)
    for line in window.splitlines():
        if not line.isascii():
            kept.append(line[:4096])
            total += len(kept[-1])
            if total > _GUESS_BYTES:
                break
    return b"\n".join(kept)


def _guess(path: Path, damage: Damage) -> Encoding:
    sample = _sample(path, damage.offset)
    candidates = ["windows-1252"] if _looks_western(sample) else []
    match = charset_normalizer.from_bytes(sample, cp_isolation=_GUESSABLE).best()
    if match is not None and match.encoding in _BY_CODEC:
        candidates.append(_BY_CODEC[match.encoding])
    for name in candidates:
        if first_damage(path, name) is None:
            return Encoding(
                name,
                None,
                f"The file is not UTF-8. It is read as {name}: check letters such as é, ß or ł "
                "in the first rows, and choose another encoding if they look wrong.",
            )
    raise ReadError(
        f"The file is not UTF-8: line {damage.line:,}, byte {damage.byte:,} is "
        f"0x{damage.value:02X}. Save it as UTF-8, or choose its encoding.",
        damage.line,
    )


def _looks_western(sample: bytes) -> bool:
    """Whether Windows-1252 gives words with a few accented letters among plain ones."""
    try:
        text = sample.decode("windows-1252")
    except UnicodeDecodeError:
        return False
    high = [sign for sign in text if sign > "\x7f"]
    fine = sum(sign in _WESTERN_SIGNS for sign in high)
    for word in _WORD.findall(text):
        accented = sum(sign > "\x7f" and sign.isalpha() for sign in word)
        signs = sum(sign > "\x7f" and not sign.isalpha() for sign in word)
        if accented and not signs and (accented * 2 <= len(word) or len(word) <= 2):
            fine += accented
    return fine >= 0.9 * len(high)
