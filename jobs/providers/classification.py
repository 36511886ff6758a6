"""The failure class of an error, from its status, type, code and words.

Codes are believed before words, and words only where the status leaves more than one meaning:
compatible servers reuse statuses freely (a wrong key as 400 or as a text/plain 500, overflow as
500, an empty account as 429).
"""

import re

from jobs.failures import FailureClass

# What stands in quotes is the caller's: a schema called "billing" is no bill.
_QUOTED = re.compile(r"\"[^\"]*\"|`[^`]*`|“[^”]*”|(?<!\w)'[^']*'(?!\w)")
_CONTEXT = re.compile(
    r"context.?(length|window|size|limit)|maximum (context|model|prompt) length|"
    r"longer than the (maximum )?model|too many (input |prompt )?tokens|"
    r"(prompt|input|inputs|message|request) (is|are) too (long|large)|string too long|"
    r"(token count|input tokens?|prompt tokens?|prompt length).{0,40}exceeds?|"
    r"exceeds? the (available )?(context|maximum number of (input )?tokens|limit of|model)|"
    r"too large for model|token limit exceeded|tokens? .{0,20}must (be <=|have less than)|"
    r"reduce (the length|your (message|prompt|input))|max_tokens must be at least 1, got -|"
    r"current length is \d+ while limit is",
    re.IGNORECASE,
)
# A request above the whole minute's allowance: waiting cannot help it.
_TOO_LARGE = re.compile(
    r"request too large|tokens must be reduced|reduce your message size", re.IGNORECASE
)
_FILTER = re.compile(
    r"content.?(filter|management|policy|moderation)|safety (system|filter|policy|settings)|"
    r"responsible.?ai|\bflagged\b|\bmoderation\b|prohibited content|usage policies|"
    r"blocked by .{0,30}(filter|policy|safety)",
    re.IGNORECASE,
)
_QUOTA = re.compile(
    r"insufficient.?(quota|credit|balance|funds)|exceeded your current quota|"
    r"credit.?balance|credits? (are|is|has been|have been) (exhausted|depleted|used up)|"
    r"check your plan and billing|billing (hard|details|limit|not active|account)|"
    r"account is not active|payment required|out of credits?|not enough credits?|more credits|"
    r"quota (has been )?exceeded|spend(ing)? limit|usage limits?\b|budget has been exceeded|"
    r"exceeded budget",
    re.IGNORECASE,
)
# A quota of the minute is a rate limit, whatever it is called.
_PER_MINUTE = re.compile(
    r"per.?(minute|second|min\b|sec\b)|\b[rt]pm\b|retry in \d|try again in \d", re.IGNORECASE
)
_PER_DAY = re.compile(r"per.?day|daily|\brpd\b|\btpd\b", re.IGNORECASE)
_NO_MODEL = re.compile(
    r"model\b.{0,80}(not found|does not exist|doesn't exist|not exist|unknown|unsupported|"
    r"decommissioned|deprecated|no longer available|not supported|not available|is not a)|"
    r"(no such|unknown|invalid|unsupported) model|does not have access to model|"
    r"not a valid model|no endpoints found|no allowed providers|deployment .{0,60}does not exist",
    re.IGNORECASE | re.DOTALL,
)
_KEY = re.compile(
    r"(invalid|incorrect|missing|expired|wrong|bad|no|provide an?) .{0,20}"
    r"(api.?key|credentials?)\b|"
    r"api.?key .{0,30}(invalid|not valid|missing|expired|incorrect|required|not found)|"
    r"(invalid|expired|missing) (access |auth\w* |bearer )?token\b|\bunauthorized\b|"
    r"\bunauthenticated\b|no auth credentials|authentication.{0,10}(error|failed|failure|required)|"
    r"failed to authenticate|x-api-key",
    re.IGNORECASE,
)
_OVERLOAD = re.compile(
    r"overload|at capacity|too busy|server is busy|engine is currently|loading model|"
    r"no available (channel|worker|capacity)",
    re.IGNORECASE,
)
_RATE = re.compile(
    r"rate.?limit|too many requests|requests per|tokens per min|throttl", re.IGNORECASE
)
_IN_CODE: tuple[tuple[tuple[str, ...], FailureClass], ...] = (
    (("context_length", "exceed_context", "string_above_max", "request_too_large"),
     FailureClass.CONTEXT_LENGTH),
    (("content_filter", "content_policy", "responsibleaipolicy", "data_inspection_failed"),
     FailureClass.CONTENT_FILTER),
    (("invalid_api_key", "api_key_invalid", "authentication", "unauthenticated"),
     FailureClass.AUTHENTICATION),
)  # fmt: skip


def classify(status: int, kind: str, code: str, message: str) -> FailureClass:
    """The failure class of an error answer. `status` is HTTP's, or the one the body tells if HTTP's
    says nothing; `kind` and `code` are the body's type and codes."""
    marks = f"{kind} {code}".lower()
    words = f"{marks} {_QUOTED.sub('“”', message)}"
    if "overloaded" in marks or status == 529:
        return FailureClass.OVERLOADED
    if status in (402, 429) or "rate_limit" in marks or "insufficient_quota" in marks:
        return _limited(status, marks, words)
    if "billing" in marks or "credit" in marks:
        return FailureClass.QUOTA_EXHAUSTED
    for codes, failure in _IN_CODE:
        if any(name in marks for name in codes):
            return failure
    if status == 403 or "permission" in marks:
        return _forbidden(words)
    if "model_not_found" in marks:
        return FailureClass.MODEL_NOT_FOUND
    if status == 401:
        return FailureClass.AUTHENTICATION
    if status == 404:
        return FailureClass.MODEL_NOT_FOUND
    if status in (408, 504, 524):
        return FailureClass.TIMEOUT
    if status == 413:
        return FailureClass.CONTEXT_LENGTH
    return _by_words(status, words)


def _limited(status: int, marks: str, words: str) -> FailureClass:
    if "insufficient_quota" in marks or status == 402 or "billing" in marks:
        return FailureClass.QUOTA_EXHAUSTED
    if _TOO_LARGE.search(words):
        return FailureClass.CONTEXT_LENGTH
    if _QUOTA.search(words) and (_PER_DAY.search(words) or not _PER_MINUTE.search(words)):
        return FailureClass.QUOTA_EXHAUSTED
    if _OVERLOAD.search(words) and not _RATE.search(words):
        return FailureClass.OVERLOADED
    return FailureClass.RATE_LIMITED


def _forbidden(words: str) -> FailureClass:
    for pattern, failure in (
        (_FILTER, FailureClass.CONTENT_FILTER),
        (_QUOTA, FailureClass.QUOTA_EXHAUSTED),
        (_KEY, FailureClass.AUTHENTICATION),
    ):
        if pattern.search(words):
            return failure
    return FailureClass.PERMISSION


def _by_words(status: int, words: str) -> FailureClass:
    for pattern, failure in (
        (_CONTEXT, FailureClass.CONTEXT_LENGTH),
        (_QUOTA, FailureClass.QUOTA_EXHAUSTED),
        (_KEY, FailureClass.AUTHENTICATION),
        (_FILTER, FailureClass.CONTENT_FILTER),
        (_NO_MODEL, FailureClass.MODEL_NOT_FOUND),
    ):
        if pattern.search(words):
            return failure
    asked_wrongly = 400 <= status < 500 and status not in (409, 425, 499)
    if asked_wrongly or (status < 300 and "invalid_request" in words):
        return FailureClass.INVALID_REQUEST
    if _RATE.search(words):
        return FailureClass.RATE_LIMITED
    if status == 503 or _OVERLOAD.search(words):
        return FailureClass.OVERLOADED
    return FailureClass.SERVER_ERROR
