"""Arrow arrays to values that JSON has.

Numbers, true and false, texts, lists and structs stay what they are. Dates, times and timestamps
become ISO 8601 with all their digits (with a time zone: the same moment in UTC, ending in Z),
durations ISO 8601 in seconds, decimals and UUIDs text. Bytes are read as UTF-8 text, and bytes
that are not UTF-8 are a fault of their row. NaN and infinities become the texts NaN, Infinity and
-Infinity. Maps become objects if their keys are texts, lists of pairs otherwise.
"""

import datetime as dt
import math
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from jobs.datasets.readers.rows import ReadError, RowFaultError

Convert = Callable[[Any], Any]

_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001 - without a zone, as the stored number is


def column_reader(kind: pa.DataType, name: str) -> Callable[[pa.Array], list[Any]]:
    """How a column of this type becomes a list of values.

    Raises ReadError for types without a meaning in JSON. The function raises RowFaultError
    or one of Arrow's errors when some value cannot be read.
    """
    target, convert = _plan(kind, name)

    def read(array: pa.Array) -> list[Any]:
        array = plain(array)
        if array.type != target:
            array = array.cast(target)
        values: list[Any] = array.to_pylist()
        if convert is None:
            return values
        return [None if value is None else convert(value) for value in values]

    return read


def plain(array: pa.Array) -> pa.Array:
    """Without the outermost extension type or dictionary."""
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array


def decoded_size(array: pa.Array) -> int:
    """Bytes of the values once decoded; dictionaries count what they refer to. An estimate of
    8 bytes for anything that is no text."""
    if isinstance(array, pa.ExtensionArray):
        return decoded_size(array.storage)
    kind = array.type
    if pa.types.is_dictionary(kind):
        if not _is_bytes(kind.value_type):
            return 8 * len(array)
        lengths = pc.take(pc.binary_length(array.dictionary), array.indices)
        return (pc.sum(pc.cast(lengths, pa.int64())).as_py() or 0) + 8 * len(array)
    if _is_bytes(kind):
        lengths = pc.cast(pc.binary_length(array), pa.int64())
        return (pc.sum(lengths).as_py() or 0) + 8 * len(array)
    if pa.types.is_map(kind):
        array = array.cast(pa.list_(pa.struct([kind.key_field, kind.item_field])))
        return decoded_size(array)
    if _is_list(kind):
        return decoded_size(array.flatten()) + 8 * len(array)
    if pa.types.is_struct(kind):
        return sum(decoded_size(part) for part in array.flatten())
    return 8 * len(array)


def _plan(kind: pa.DataType, name: str) -> tuple[pa.DataType, Convert | None]:
    """The type to cast to before Python sees the values, and what Python then does to each."""
    types = pa.types
    if isinstance(kind, pa.BaseExtensionType):
        if kind.extension_name == "arrow.uuid":
            return pa.binary(16), lambda value: _uuid(value)
        return _plan(kind.storage_type, name)
    if types.is_dictionary(kind):
        return _plan(kind.value_type, name)
    if types.is_boolean(kind) or types.is_integer(kind) or types.is_null(kind):
        return kind, None
    if types.is_floating(kind):
        return pa.float64(), _fraction
    if types.is_decimal(kind):
        return kind, str
    if _is_bytes(kind):
        # The cast checks UTF-8, which a file's own claim that it is text does not.
        return (pa.large_string(), _text) if types.is_large_binary(kind) else (pa.string(), _text)
    if types.is_date(kind):
        return pa.date32(), lambda value: value.isoformat()
    if types.is_timestamp(kind):
        unit, zone = _PER_SECOND[kind.unit], "Z" if kind.tz else ""
        return pa.int64(), lambda value: _moment(value, unit) + zone
    if types.is_time(kind):
        unit = _PER_SECOND[kind.unit]
        whole = pa.int32() if types.is_time32(kind) else pa.int64()
        return whole, lambda value: _moment(value, unit).partition("T")[2]
    if types.is_duration(kind):
        unit = _PER_SECOND[kind.unit]
        return pa.int64(), lambda value: _seconds(value, unit)
    return _nested_plan(kind, name)


def _nested_plan(kind: pa.DataType, name: str) -> tuple[pa.DataType, Convert | None]:
    if pa.types.is_map(kind):
        key, convert_key = _plan(kind.key_type, name)
        item, convert_item = _plan(kind.item_type, name)
        texts = pa.types.is_string(key) or pa.types.is_large_string(key)

        def pairs(value: Any) -> Any:
            done = [
                (_apply(convert_key, left), _apply(convert_item, right)) for left, right in value
            ]
            return dict(done) if texts else [list(pair) for pair in done]

        return pa.map_(key, item), pairs
    if _is_list(kind):
        inner, convert = _plan(kind.value_type, name)
        return pa.list_(inner), lambda value: [_apply(convert, item) for item in value]
    if pa.types.is_struct(kind):
        plans = {part.name: _plan(part.type, name) for part in kind}
        if len(plans) != kind.num_fields:
            raise ReadError(f"Column “{name}” has two parts of the same name.", column=name)
        target = pa.struct([(part, plan[0]) for part, plan in plans.items()])
        return target, lambda value: {
            part: _apply(plan[1], value[part]) for part, plan in plans.items()
        }
    raise ReadError(
        f"Column “{name}” has the type {kind}, which cannot be put into a prompt. Convert it to "
        "text, or leave it out.",
        column=name,
    )


def _apply(convert: Convert | None, value: Any) -> Any:
    return value if value is None or convert is None else convert(value)


def _is_bytes(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(
        types.is_string(kind)
        or types.is_large_string(kind)
        or types.is_string_view(kind)
        or types.is_binary(kind)
        or types.is_large_binary(kind)
        or types.is_binary_view(kind)
        or types.is_fixed_size_binary(kind)
    )


def _is_list(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))


def _fraction(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")


def _text(value: str) -> str:
    return value.replace("\0", "\ufffd") if "\0" in value else value


def _uuid(value: bytes) -> str:
    digits = value.hex()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def _moment(value: int, unit: int) -> str:
    seconds, rest = divmod(value, unit)
    try:
        text = (_EPOCH + dt.timedelta(seconds=seconds)).isoformat()
    except OverflowError as error:
        raise RowFaultError("It holds a date outside of the years 1 to 9999.") from error
    return text + _digits(rest, unit)


def _seconds(value: int, unit: int) -> str:
    seconds, rest = divmod(abs(value), unit)
    return f"{'-' if value < 0 else ''}PT{seconds}{_digits(rest, unit)}S"


def _digits(rest: int, unit: int) -> str:
    """The fraction of a second without zeros at its end; blank for a whole second."""
    return f".{rest:0{len(str(unit)) - 1}d}".rstrip("0") if rest else ""
