"""What becomes of a record after a call: one pure function, and the one that closes jobs.

A retry is a decision about money: only what can succeed is sent again, and waiting for a provider
is not failing.
"""

import random
from dataclasses import dataclass

from jobs.failures import POLICIES, Action, FailureClass
from jobs.models import DueReason, JobStatus, RecordStatus, StatusReason

BACKOFF_BASE_S = 0.5
BACKOFF_CAP_S = 60.0
# A worker that dies three times over a record: the record is parked (see Store.reclaim).
DEATHS_UNTIL_SUSPECT = 2
DEATHS_UNTIL_PARKED = 3
# Below this many settled rows a share of failures says nothing.
FAILURE_RATE_MIN_ROWS = 20

# These point at the answer, not at the wire: showing the model its fault may mend it.
REPAIRABLE = frozenset(
    {
        FailureClass.INVALID_JSON,
        FailureClass.SCHEMA_VIOLATION,
        FailureClass.RULE_VIOLATION,
    }
)

_PAUSE_REASON = {
    FailureClass.AUTHENTICATION: StatusReason.AUTHENTICATION,
    FailureClass.PERMISSION: StatusReason.PERMISSION,
    FailureClass.QUOTA_EXHAUSTED: StatusReason.QUOTA,
    FailureClass.MODEL_NOT_FOUND: StatusReason.MODEL_NOT_FOUND,
    FailureClass.BUDGET_EXHAUSTED: StatusReason.BUDGET,
}


@dataclass(frozen=True, slots=True)
class Decision:
    """`delay` (seconds) and `due` are set when the record goes back to pending."""

    status: RecordStatus
    uses_try: bool
    delay: float = 0.0
    due: DueReason | None = None
    pause: StatusReason | None = None


SUCCEED = Decision(RecordStatus.SUCCEEDED, uses_try=True)


def decide(
    failure: FailureClass | None,
    *,
    tries: int,
    max_attempts: int,
    retry_after: float | None,
    cooldown: float,
    rng: random.Random,
) -> Decision:
    """`tries` are the attempts used up before this call; `cooldown` (seconds) is what is left of the
    connection's shared cool-down."""
    if failure is None:
        return SUCCEED
    action = POLICIES[failure].action
    if action is Action.WAIT:
        return Decision(
            RecordStatus.PENDING,
            uses_try=False,
            delay=max(retry_after or 0.0, cooldown),
            due=DueReason.RATE_LIMIT,
        )
    if action is Action.PAUSE:
        return Decision(
            RecordStatus.PENDING,
            uses_try=False,
            due=DueReason.RETURNED,
            pause=_PAUSE_REASON[failure],
        )
    if action is Action.RETRY and tries + 1 < max_attempts:
        # Full jitter around an exponential: a burst of failures does not come back as a burst.
        backoff = min(BACKOFF_CAP_S, BACKOFF_BASE_S * 2**tries) * rng.uniform(0.5, 1.5)
        return Decision(
            RecordStatus.PENDING,
            uses_try=True,
            delay=max(backoff, retry_after or 0.0),
            due=DueReason.RETRY,
        )
    return Decision(RecordStatus.FAILED, uses_try=True)


def failure_rate_exceeded(
    *, succeeded: int, failed: int, excused_succeeded: int, excused_failed: int, tolerated: float
) -> tuple[int, int] | None:
    """Failed and settled of the rows settled since a person last resumed the job, or sent records of it
    again after its end, if more failed than are tolerated."""
    bad = max(0, failed - excused_failed)
    good = max(0, succeeded - excused_succeeded)
    settled = bad + good
    if settled < FAILURE_RATE_MIN_ROWS or bad <= tolerated * settled:
        return None
    return bad, settled


def finished_status(
    *, status: JobStatus, failed: int, cancelled: int, replayed: bool = False
) -> JobStatus:
    """The terminal status of a job with nothing pending or running."""
    if cancelled:
        # A replay of a cancelled job ends as what it was: some rows were never sent.
        return JobStatus.CANCELLED
    if status is JobStatus.CANCELLING and not replayed:
        return JobStatus.CANCELLED
    # Where a replay was cancelled and no row with it, the job is what its rows are.
    return JobStatus.COMPLETED_WITH_FAILURES if failed else JobStatus.COMPLETED
