"""Every error body means one failure class, whatever API it comes through."""

import json
from typing import Any

import pytest

from jobs.failures import FailureClass
from jobs.providers.formats import FORMATS, fingerprint
from jobs.providers.types import HttpResponse, Outcome
from tests.providers.error_bodies import ONLY_CHAT, ROWS, Row, openai

ROWS_BY_NAME = {row.name: row for row in ROWS}
CASES = [
    pytest.param(api, row, id=f"{api}-{row.name}")
    for row in ROWS
    for api in FORMATS
    if row.name not in ONLY_CHAT or api == "openai_chat"
]


def response_of(status: int, body: Any, headers: dict[str, str] | None = None) -> HttpResponse:
    data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    return HttpResponse(status, headers or {}, data)


def read(status: int, body: Any, headers: dict[str, str] | None = None) -> Outcome:
    return FORMATS["openai_chat"].parse(response_of(status, body, headers))


@pytest.mark.parametrize(("api", "row"), CASES)
def test_it_knows_what_an_error_body_means(api: str, row: Row) -> None:
    outcome = FORMATS[api].parse(response_of(row.status, row.body))
    assert outcome.failure is row.means
    assert 0 < len(outcome.message) <= 2_000
    assert outcome.http_status == row.status
    assert outcome.usage is None
    # A gateway that gave up had passed the request on; an answer that broke off had begun.
    unknown = row.status in (504, 524) or row.name == "openrouter in a choice"
    assert outcome.charged is (None if unknown else False)


def test_it_tells_the_providers_own_words() -> None:
    assert read(400, openai("Bad thing", "x", None)).message == "Bad thing"
    told = read(200, ROWS_BY_NAME["openrouter in 200"].body).message
    assert told == "Provider returned error: gemma is temporarily rate-limited upstream"


def test_it_never_shows_a_page_of_html() -> None:
    for name in ("nginx 502", "nginx 504", "cloudflare 524", "nginx 404"):
        row = ROWS_BY_NAME[name]
        assert "<" not in read(row.status, row.body).message


def test_it_says_that_a_redirect_is_not_followed() -> None:
    assert "redirects" in read(302, "").message


def test_it_bounds_a_message_and_hides_keys_in_it() -> None:
    outcome = read(401, openai("no " + "x" * 5_000_000, None, None))
    assert len(outcome.message) == 2_000
    told = read(401, openai("Bad key sk-ant-api03-SECRETSECRET here", None, None)).message
    assert told == "Bad key [key] here"
    # Also where the cut would go through it.
    cut = read(400, openai("y" * 1_990 + " sk-ant-api03-SECRETSECRET", None, None)).message
    assert "SECRET" not in cut


def test_it_takes_the_wait_from_the_body_where_the_headers_name_none() -> None:
    rows = {
        "openai rpm": 0.12,
        "openai tpm": 2.0,
        "groq rate": 86.4,
        "gemini minute": pytest.approx(34.07, abs=0.01),
        "azure limit": 6.0,
    }
    for name, wait in rows.items():
        row = ROWS_BY_NAME[name]
        assert read(row.status, row.body).hints.retry_after == wait, name
        told = read(row.status, row.body, {"retry-after": "9"}).hints.retry_after
        assert told == 9.0


def test_it_takes_the_wait_from_googles_retry_info() -> None:
    info = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34s"}
    body = [{"error": {"code": 429, "message": "Resource exhausted", "details": [info]}}]
    assert read(429, body).hints.retry_after == 34.0


def test_it_groups_failures_that_differ_in_numbers_ids_and_names_only() -> None:
    one = fingerprint(
        FailureClass.RATE_LIMITED,
        "Rate limit reached for `gpt-4o` in org-Abc1 on tokens: Limit 30000, Used 29,001. "
        "Try again in 1.204s. Id req_011CSHoEeqs5C35K2UUqR7Fy, 0f8fad5b-d9cb-469f-a165-70867728950e",
    )
    other = fingerprint(
        FailureClass.RATE_LIMITED,
        "Rate limit reached for `gpt-4.1` in org-Zz on tokens: Limit 500, Used 12. "
        "Try again in 20s. Id req_9, 7c9e6679-7425-40de-944b-e07fc1f90ae7",
    )
    assert one == other
    assert len(one) == 12
    int(one, 16)


def test_it_keeps_failures_apart_that_differ_in_words_or_class() -> None:
    told = "The field is missing"
    assert fingerprint(FailureClass.INVALID_REQUEST, told) != fingerprint(
        FailureClass.SERVER_ERROR, told
    )
    assert fingerprint(FailureClass.INVALID_REQUEST, told) != fingerprint(
        FailureClass.INVALID_REQUEST, "The field is too long"
    )
