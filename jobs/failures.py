"""The closed list of failure classes: what each means for a record, for its job and for a person.

Every failed call ends in exactly one of these. The classifier of a wire format (`jobs.providers`)
returns one; the engine acts on its `Policy`; pages and API show its words. Nothing else in the
product decides what a failure means.
"""

from dataclasses import dataclass
from enum import StrEnum


class FailureClass(StrEnum):
    RATE_LIMITED = "rate_limited"
    OVERLOADED = "overloaded"
    SERVER_ERROR = "server_error"
    TIMEOUT = "timeout"
    CONNECTION = "connection"
    AUTHENTICATION = "authentication"
    PERMISSION = "permission"
    QUOTA_EXHAUSTED = "quota_exhausted"
    MODEL_NOT_FOUND = "model_not_found"
    INVALID_REQUEST = "invalid_request"
    CONTEXT_LENGTH = "context_length"
    RENDER_ERROR = "render_error"
    CONTENT_FILTER = "content_filter"
    REFUSAL = "refusal"
    TRUNCATED = "truncated"
    EMPTY_OUTPUT = "empty_output"
    INVALID_JSON = "invalid_json"
    SCHEMA_VIOLATION = "schema_violation"
    RULE_VIOLATION = "rule_violation"
    BUDGET_EXHAUSTED = "budget_exhausted"
    BATCH_EXPIRED = "batch_expired"
    WORKER_LOST = "worker_lost"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"


class Action(StrEnum):
    """What the engine does with a record after an attempt of this class."""

    WAIT = "wait"  # back to pending, uses up no attempt, cools the connection down
    RETRY = "retry"  # back to pending with backoff, until the attempts are used up
    FAIL = "fail"  # the record fails now; sending the same again cannot help
    PAUSE = "pause"  # back to pending, uses up no attempt; the job pauses at once


@dataclass(frozen=True, slots=True)
class Policy:
    action: Action
    label: str  # the words on a badge
    suggestion: str  # what a person can do, shown beside the group


_WAIT, _RETRY, _FAIL, _PAUSE = Action.WAIT, Action.RETRY, Action.FAIL, Action.PAUSE

POLICIES: dict[FailureClass, Policy] = {
    FailureClass.RATE_LIMITED: Policy(
        _WAIT, "Rate limited", "Nothing to do: the job slows down and sends these rows again."
    ),
    FailureClass.OVERLOADED: Policy(
        _WAIT,
        "Provider overloaded",
        "Nothing to do: the job slows down and sends these rows again.",
    ),
    FailureClass.SERVER_ERROR: Policy(
        _RETRY, "Provider error", "The provider failed several times. Replay these rows later."
    ),
    FailureClass.TIMEOUT: Policy(
        _RETRY, "Timed out", "The provider did not answer in time. Replay, or lower max tokens."
    ),
    FailureClass.CONNECTION: Policy(
        _RETRY,
        "Connection broken",
        "The line to the provider broke several times. Replay these rows later.",
    ),
    FailureClass.AUTHENTICATION: Policy(
        _PAUSE, "Key refused", "Enter a valid key for the connection, test it, then resume the job."
    ),
    FailureClass.PERMISSION: Policy(
        _PAUSE,
        "Not permitted",
        "Give the key access to this model at the provider, then resume the job.",
    ),
    FailureClass.QUOTA_EXHAUSTED: Policy(
        _PAUSE, "Credit exhausted", "Top up the account at the provider, then resume the job."
    ),
    FailureClass.MODEL_NOT_FOUND: Policy(
        _PAUSE,
        "Model not found",
        "Check the model's name; clone the job with another model, or resume once it exists.",
    ),
    FailureClass.INVALID_REQUEST: Policy(
        _FAIL,
        "Request refused as invalid",
        "Read the provider's message; change the template or parameters and replay.",
    ),
    FailureClass.CONTEXT_LENGTH: Policy(
        _FAIL,
        "Too long for the model",
        "Shorten the row or the template, or replay with a model of larger context.",
    ),
    FailureClass.RENDER_ERROR: Policy(
        _FAIL,
        "Prompt could not be rendered",
        "Fill in the missing column in the row, or change the template, then replay.",
    ),
    FailureClass.CONTENT_FILTER: Policy(
        _FAIL,
        "Blocked by content filter",
        "Change the template or edit the row, or replay with another model.",
    ),
    FailureClass.REFUSAL: Policy(
        _FAIL, "Model refused", "Change the template, or replay with another model."
    ),
    FailureClass.TRUNCATED: Policy(_FAIL, "Answer cut off", "Raise max tokens and replay."),
    FailureClass.EMPTY_OUTPUT: Policy(
        _RETRY,
        "Empty answer",
        "Look at the raw answer; change the template or the model and replay.",
    ),
    FailureClass.INVALID_JSON: Policy(
        _RETRY,
        "Answer is not JSON",
        "Look at the raw answer; change the template or the model and replay.",
    ),
    FailureClass.SCHEMA_VIOLATION: Policy(
        _RETRY,
        "Answer does not fit the schema",
        "Look at the raw answer; loosen the schema or change the template, and replay.",
    ),
    FailureClass.RULE_VIOLATION: Policy(
        _RETRY,
        "Answer breaks a rule",
        "Look at the raw answer; change the rule or the template, and replay.",
    ),
    FailureClass.BUDGET_EXHAUSTED: Policy(
        _PAUSE, "Budget used up", "Raise the job's budget, then resume."
    ),
    FailureClass.BATCH_EXPIRED: Policy(
        _RETRY, "Batch expired", "Nothing to do: these rows are sent again."
    ),
    FailureClass.WORKER_LOST: Policy(
        _FAIL,
        "Worker died on this row",
        "The worker died three times while it had this row. Look at the row before you replay it.",
    ),
    FailureClass.CANCELLED: Policy(
        _FAIL, "Cancelled", "The job was cancelled before this row was sent."
    ),
    FailureClass.UNKNOWN: Policy(
        _RETRY, "Unclassified", "Read the raw answer. If it is a new kind of error, report it."
    ),
}

# How our own words begin, or what they hold, where it is the address that is most likely wrong: trying
# again later would not help.
_OF_ADDRESS = (
    "Could not connect",
    "The connection's address",
    "The answer is a web page",
    "the server redirects elsewhere",
    "nothing is found at this address",
)


def suggestion_for(failure: FailureClass, message: str) -> str:
    """What a person can do about failures of this class that say this."""
    if any(words in message for words in _OF_ADDRESS):
        return (
            "Check the connection's base URL and that its server runs, test the connection, then "
            "replay."
        )
    return POLICIES[failure].suggestion
