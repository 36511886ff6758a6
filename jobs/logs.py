"""The form of the log: lines for people (`LOG_FORMAT=line`) or JSON for machines (`json`).

A line says what happened in a few fixed words; what it happened to stands in fields, given by `extra=`
under the names of `FIELDS`, the same everywhere. Nothing is written that a person put into a row, a
prompt or a search, nor what a model answered: other fields are dropped, of other people's libraries only
the first line of a message is taken, and of an exception only its kind and where it was raised, unless
it is of a kind that speaks of the system and not of the values in it.
"""

import json
import logging
import traceback
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from django.db.utils import DatabaseError, DataError, IntegrityError, InterfaceError
from pythonjsonlogger.json import JsonFormatter

FIELDS = (
    "job", "public_id", "team", "record", "attempt", "replay", "dataset", "worker", "connection",
    "status", "reason", "failure_class", "fingerprint", "http_status", "provider_request_id",
    "rows", "succeeded", "failed", "cancelled", "count", "seconds", "since", "error", "duty", "task",
    "process_name", "method", "path", "status_code", "bytes", "client",
)  # fmt: skip
_LONGEST = 300
_Raised = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
# Their words name files, addresses, names in our code; never a value that came in.
_SPEAKING = (OSError, ImportError, NameError, AttributeError, TypeError, NotImplementedError)


def words_of(error: BaseException) -> str:
    """What may be told of an exception. One of the database is told in its first sentence, without the
    details that quote a row, and where the values themselves are at fault only by its code."""
    kind = type(error).__name__
    if isinstance(error, DatabaseError | InterfaceError):
        diagnosis = getattr(error.__cause__ or error, "diag", None)
        code = getattr(diagnosis, "sqlstate", None) or ""
        first = getattr(diagnosis, "message_primary", None) or str(error)
        words = "" if isinstance(error, DataError | IntegrityError) else first
        told = f"{code} {words}".strip()
    else:
        told = str(error) if isinstance(error, _SPEAKING) else ""
    return f"{kind}: {told}"[:_LONGEST] if told else kind


def trace_of(error: BaseException | None) -> str:
    """Where it was raised, and what led to it; the latter first, as Python tells it."""
    told: list[str] = []
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        frames = "".join(traceback.format_tb(error.__traceback__))
        told.insert(0, f"Traceback (most recent call last):\n{frames}{words_of(error)}")
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "\n\n".join(told)


def _fields_of(given: Mapping[str, Any]) -> dict[str, int | float | str]:
    return {name: _plain(given[name]) for name in FIELDS if given.get(name) not in (None, "")}


def _plain(value: Any) -> int | float | str:
    if isinstance(value, BaseException):
        return words_of(value)
    if isinstance(value, int | float):
        return value
    return str(value)[:_LONGEST]


class OwnWords(logging.Filter):
    """Of libraries' messages the first line, and of django-q2's about a failed task not the exception,
    which `jobs.queue.task` has told of already."""

    def filter(self, record: logging.LogRecord) -> logging.LogRecord:
        if record.name.partition(".")[0] in ("jobs", "batchllm"):
            return record
        kept = logging.makeLogRecord(record.__dict__)
        lines = record.getMessage().splitlines() or [""]
        kept.msg, kept.args = lines[0][:_LONGEST], None
        if record.name == "django-q" and kept.msg.startswith("Failed "):
            kept.msg = kept.msg.partition(" - ")[0]
        return kept


class Lines(logging.Formatter):
    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  logging's name
        told = " ".join(
            f"{name}={_word(value)}" for name, value in _fields_of(record.__dict__).items()
        )
        return f"{super().formatMessage(record)} {told}".rstrip()

    def formatException(self, raised: _Raised) -> str:  # noqa: N802
        return trace_of(raised[1])


def _word(value: int | float | str) -> str:
    """Quoted where it could be taken for more than one word, or for a line of its own."""
    text = str(value)
    return text if text.isprintable() and not set(text) & {" ", '"', "="} else json.dumps(text)


class JsonLines(JsonFormatter):
    def __init__(self) -> None:
        super().__init__(
            ["levelname", "name", "process", "message"],
            rename_fields={"levelname": "level", "name": "logger", "process": "pid"},
            timestamp="time",
        )

    def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
        told = {name: log_data[name] for name in ("time", "level", "logger", "pid", "message")}
        told |= _fields_of(log_data)
        if "exc_info" in log_data:
            told["exception"] = log_data["exc_info"]
        return told

    def formatException(self, raised: _Raised) -> str:  # noqa: N802
        return trace_of(raised[1])


def configuration(form: str, level: str) -> dict[str, Any]:
    """For `logging.config`: everything to standard error, everything in one form."""
    passed_on: dict[str, Any] = {"handlers": [], "propagate": True}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"own": {"()": "jobs.logs.OwnWords"}},
        "formatters": {
            "line": {"()": "jobs.logs.Lines"},
            "json": {"()": "jobs.logs.JsonLines"},
        },
        "handlers": {
            "stderr": {"class": "logging.StreamHandler", "formatter": form, "filters": ["own"]}
        },
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            "django": passed_on,
            "django.server": passed_on,
            "django.db.backends": {"level": "INFO"},  # below, it writes the values of each query
            "django-q": {"level": "WARNING", **passed_on},
            "gunicorn.error": {"level": "WARNING", **passed_on},
            "gunicorn.access": passed_on,
        },
    }
