"""The form of the log: every line stands alone, and none quotes a row, a prompt or an answer."""

import io
import json
import logging
import logging.config
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import DatabaseError, connection

from jobs import queue
from jobs.logs import JsonLines, Lines, OwnWords, configuration, words_of

PROMPT = "my neighbour's diagnosis is \ud800 rare"


@pytest.fixture(params=["line", "json"])
def told(request: pytest.FixtureRequest) -> Iterator[Callable[[], Any]]:
    """What the loggers `jobs` and `library` write: lines, or what they are read as."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines() if request.param == "json" else Lines())
    handler.addFilter(OwnWords())
    loggers = [logging.getLogger(name) for name in ("jobs", "library", "django-q")]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)

    def read() -> list[Any]:
        lines = stream.getvalue().splitlines()
        return [json.loads(line) for line in lines] if request.param == "json" else lines

    yield read
    for logger in loggers:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)


def raised(what: Callable[[], object]) -> BaseException:
    try:
        what()
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


def test_a_line_has_the_fields_of_the_list_and_no_other(told: Callable[[], Any]) -> None:
    extra = {"job": 5, "record": 7, "attempt": 2, "reason": "", "prompt": PROMPT, "path": "/a\nb c"}
    logging.getLogger("jobs.engine").warning("record failed", extra=extra)
    (line,) = told()
    if isinstance(line, str):
        words = 'WARNING jobs.engine record failed job=5 record=7 attempt=2 path="/a\\nb c"'
        assert line.endswith(words)
    else:
        assert {"time", "pid"} < line.keys()
        assert {k: v for k, v in line.items() if k not in ("time", "pid")} == {
            "level": "WARNING", "logger": "jobs.engine", "message": "record failed",
            "job": 5, "record": 7, "attempt": 2, "path": "/a\nb c",
        }  # fmt: skip


def test_an_exception_is_told_by_its_kind_and_its_place(told: Callable[[], Any]) -> None:
    def fails() -> None:
        try:
            json.loads("{")
        except ValueError as error:
            raise RuntimeError(PROMPT) from error

    logging.getLogger("jobs").error("fault of ours", exc_info=raised(fails))
    lines = told()
    text = lines[0]["exception"] if isinstance(lines[0], dict) else "\n".join(lines)
    assert text.endswith("RuntimeError")
    assert text.index("JSONDecodeError") < text.rindex("in fails")
    assert "neighbour" not in str(lines)


def test_of_a_library_it_takes_the_first_line(told: Callable[[], Any]) -> None:
    logging.getLogger("library").error("task failed\nfuture: %r", ValueError(PROMPT))
    logging.getLogger("django-q").error(f"Failed 'a' (b) - {PROMPT} : Traceback …")
    assert len(told()) == 2
    assert "neighbour" not in str(told())


def test_a_task_that_fails_is_told_with_its_place(told: Callable[[], Any]) -> None:
    @queue.task
    def expand(job_id: int) -> None:
        raise KeyError(PROMPT)

    assert isinstance(raised(lambda: expand(3)), KeyError)
    assert "in expand" in str(told())
    assert "neighbour" not in str(told())


@pytest.mark.django_db(transaction=True)
def test_the_database_s_words_are_told_where_they_quote_no_value() -> None:
    def ask(query: str, *values: object) -> str:
        with connection.cursor() as cursor:
            error = raised(lambda: cursor.execute(query, values))
        connection.close()
        assert isinstance(error, DatabaseError)
        return words_of(error)

    assert "no_such_thing" in ask("SELECT 1 FROM no_such_thing")
    if connection.vendor == "postgresql":
        quoting = "SELECT n FROM json_to_recordset(%s::json) AS r(n int)"
        assert ask(quoting, '[{"n": "diagnosis"}]') == "DataError: 22P02"
    else:
        quoting = "INSERT INTO jobs_errand (name, owner) VALUES (%s, NULL)"
        assert ask(quoting, "diagnosis") == "IntegrityError"


def test_all_its_settings_can_be_set_up() -> None:
    kept = logging.root.handlers[:], logging.root.level
    try:
        for form in ("line", "json"):
            logging.config.dictConfig(configuration(form, "INFO"))
    finally:
        logging.root.handlers[:], logging.root.level = kept
