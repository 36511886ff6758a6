"""Faults that are answers other than 200. None of them is charged."""

import time
from email.utils import formatdate

from jobs.simulator.anthropic import Messages
from jobs.simulator.effects import Case, Effect, Headers
from jobs.simulator.http import head
from jobs.simulator.wire import ApiError

RETRY_AFTER_VARIANTS = (
    "negative",
    "zero",
    "huge",
    "past_date",
    "future_date",
    "text",
    "twice",
    "missing",
    "milliseconds",
    "fraction",
)


def _retry_after(variant: str) -> Headers:
    now = time.time()
    named: dict[str, Headers] = {
        "negative": [("retry-after", "-5")],
        "zero": [("retry-after", "0")],
        "huge": [("retry-after", "1000000000")],
        "past_date": [("retry-after", formatdate(now - 3600, usegmt=True))],
        "future_date": [("retry-after", formatdate(now + 2, usegmt=True))],
        "text": [("retry-after", "soon")],
        "twice": [("retry-after", "1"), ("retry-after", "2")],
        "missing": [],
        "milliseconds": [("retry-after-ms", "250")],
        "fraction": [("retry-after", "0.5")],
    }
    return named.get(variant, [("retry-after", variant)])


def _limited(case: Case, headers: Headers) -> Effect:
    model = case.question.model
    return case.refused(
        ApiError(
            429,
            "requests",
            f"Rate limit reached for {model} on requests per min (RPM). Please try again later.",
            code="rate_limit_exceeded",
            headers=tuple(headers),
        )
    )


def rate_limited(case: Case) -> Effect:
    """429; parameter `retry_after`: a variant's name or the header's value, default "1"."""
    return _limited(case, _retry_after(str(case.params.get("retry_after", "1"))))


def retry_after(case: Case) -> Effect:
    """429 with one of the odd forms of Retry-After."""
    variant = RETRY_AFTER_VARIANTS[case.draws.below(len(RETRY_AFTER_VARIANTS))]
    return _limited(case, _retry_after(variant))


def overloaded(case: Case) -> Effect:
    """529 from Anthropic, 503 from OpenAI; parameter `status`."""
    anthropic = isinstance(case.shape, Messages)
    message = "Overloaded" if anthropic else "The server is currently overloaded. Try again later."
    status = int(case.number("status", 529 if anthropic else 503))
    return case.refused(ApiError(status, "server_error", message))


def server_error(case: Case) -> Effect:
    """500 in the vendor's shape; parameter `status`."""
    message = "The server had an error while processing your request. Sorry about that!"
    status = int(case.number("status", 500))
    return case.refused(ApiError(status, "server_error", message))


def _page(case: Case, status: int, title: str) -> Effect:
    body = f"<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>".encode()
    lines = [("content-type", "text/html"), ("server", "gateway")]
    return Effect(iter((head(status, lines, len(body)) + body,)), str(status))


def bad_gateway(case: Case) -> Effect:
    """502, an HTML page of a proxy."""
    return _page(case, 502, "502 Bad Gateway")


def gateway_timeout(case: Case) -> Effect:
    """504, an HTML page of a proxy."""
    return _page(case, 504, "504 Gateway Time-out")


def text_error(case: Case) -> Effect:
    """500 as plain text, as compatible servers send it."""
    body = b"Internal Server Error"
    lines = [("content-type", "text/plain; charset=utf-8")]
    return Effect(iter((head(500, lines, len(body)) + body,)), "500")


def authentication(case: Case) -> Effect:
    """401."""
    return case.refused(wrong_key())


def permission(case: Case) -> Effect:
    """403."""
    return case.refused(no_access(case.question.model))


def quota_exhausted(case: Case) -> Effect:
    """429 insufficient_quota from OpenAI, 400 about credit from Anthropic."""
    return case.refused(no_quota(anthropic=isinstance(case.shape, Messages)))


def payment_required(case: Case) -> Effect:
    """402, as some compatible servers say it."""
    return case.refused(ApiError(402, "billing_error", "Insufficient credits."))


def model_not_found(case: Case) -> Effect:
    """404."""
    anthropic = isinstance(case.shape, Messages)
    return case.refused(no_model(case.question.model, anthropic=anthropic))


def invalid_request(case: Case) -> Effect:
    """400 about something else than length or content."""
    message = "Unsupported value: the simulator was told to refuse this request."
    return case.refused(ApiError(400, "invalid_request_error", message, code="unsupported_value"))


def context_length(case: Case) -> Effect:
    """400, the prompt is too long."""
    anthropic = isinstance(case.shape, Messages)
    return case.refused(too_long(case.question.input_tokens, 1, anthropic=anthropic))


def content_filter(case: Case) -> Effect:
    """OpenAI: a charged answer cut by the filter; Anthropic: a 400."""
    if isinstance(case.shape, Messages):
        message = "Output blocked by content filtering policy"
        return case.refused(ApiError(400, "invalid_request_error", message))
    case.answer.finish = "content_filter"
    case.answer.text = ""
    return case.answered(case.answer)


def content_filter_400(case: Case) -> Effect:
    """400, the prompt was filtered."""
    message = "The response was filtered due to the prompt triggering the content policy."
    error = ApiError(400, "invalid_request_error", message, code="content_filter", param="prompt")
    return case.refused(error)


def wrong_key() -> ApiError:
    """The error of a key that is not known."""
    message = "Incorrect API key provided. Check the key and try again."
    return ApiError(401, "invalid_request_error", message, code="invalid_api_key")


def no_access(model: str) -> ApiError:
    """The error of a key that may not use the model."""
    message = f"Project does not have access to model {model}."
    return ApiError(403, "invalid_request_error", message, code="model_not_found")


def no_quota(*, anthropic: bool) -> ApiError:
    """The error of an account without credit."""
    if anthropic:
        message = "Your credit balance is too low to access the API. Please go to Plans & Billing."
        return ApiError(400, "invalid_request_error", message)
    message = "You exceeded your current quota, please check your plan and billing details."
    return ApiError(429, "insufficient_quota", message, code="insufficient_quota")


def no_model(model: str, *, anthropic: bool) -> ApiError:
    """The error of a name no model has."""
    if anthropic:
        return ApiError(404, "not_found_error", f"model: {model}")
    message = f"The model `{model}` does not exist or you do not have access to it."
    return ApiError(404, "invalid_request_error", message, code="model_not_found", param="model")


def too_long(tokens: int, context: int, *, anthropic: bool) -> ApiError:
    """The error of a prompt that does not fit into the model's context."""
    if anthropic:
        message = f"prompt is too long: {tokens} tokens > {context} maximum"
        return ApiError(400, "invalid_request_error", message)
    message = (
        f"This model's maximum context length is {context} tokens. However, your messages "
        f"resulted in {tokens} tokens. Please reduce the length of the messages."
    )
    code = "context_length_exceeded"
    return ApiError(400, "invalid_request_error", message, code=code, param="messages")
