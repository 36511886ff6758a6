"""The values that pass between the store and a slice."""

from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from jobs.costs.pricing import Rates
from jobs.engine.decide import DEATHS_UNTIL_SUSPECT
from jobs.failures import FailureClass
from jobs.models import AttemptOutcome, DueReason, Purpose, RecordStatus, StatusReason, Waste
from jobs.providers.formats import fingerprint
from jobs.providers.types import Usage

UNSTORABLE = "The database refused to store what came back; it is not kept."


@dataclass(frozen=True, slots=True)
class Offer:
    """A result that answers a record's request, and what the call for it cost."""

    job_id: int
    n: int
    output: str
    model: str
    cost: int


@dataclass(slots=True)
class Claimed:
    """A record held under a lease, with what is needed to ask. Not yet sent."""

    job_id: int
    n: int
    lease: str
    number: int  # of the attempt that this claim allows
    tries: int
    generation: int
    replay_id: int | None
    deaths: int
    reserved: int
    claimed_at: float  # monotonic
    day: date  # of the claim (UTC): what it costs is booked on it
    values: dict[str, Any]
    repair: tuple[str, str] | None = None
    # Of another record (jobs.engine.borrowing): whose result it may take (n; 0: of another job), that
    # result, or that it waits for one.
    hinted: int | None = None
    offer: Offer | None = None
    waits: bool = False
    # Filled in when the claim is made ready (jobs.engine.plan).
    system: str = ""
    user: str = ""
    input_tokens: int = 0
    team_id: int = 0
    connection_id: int = 0
    model: str = ""
    priced: bool = True  # the highest cost of its call is known: `reserved`
    # What its call was thought to take in tokens when it was sent, and when that was (monotonic),
    # and which cut of the pace was the last known then (jobs.engine.pace).
    input_estimate: float = 0.0
    output_estimate: float = 0.0
    sent_at: float = 0.0
    epoch: int = 0
    told: bool = False  # whether it was let in or sent away is known, and the pace knows
    fault: str | None = None  # the row cannot be rendered: fails without a call
    probe: bool = False  # its call asks whether a provider that was down is back

    @property
    def suspect(self) -> bool:
        """Has cost workers their life before; see `jobs.engine.reclaiming`."""
        return self.deaths >= DEATHS_UNTIL_SUSPECT


@dataclass(slots=True)
class Settlement:
    """What a call came to, ready to be written: the attempt, and what it makes of the record."""

    job_id: int
    n: int
    lease: str
    number: int
    status: RecordStatus
    reserved: int
    uses_try: bool
    # The record.
    output: str | None = None
    model: str = ""
    failure_class: str | None = None
    fingerprint: str | None = None
    message: str = ""
    not_before: datetime | None = None
    due: DueReason | None = None
    pause: StatusReason | None = None
    # Found when it is written: the record has a result, which stays unless this one takes its place.
    stands: bool = False
    # The attempt; None where no call was made (a row that cannot be rendered).
    attempt: "AttemptLine | None" = None

    def without_what_was_answered(self) -> "Settlement":
        """The same as a failure that any database takes: nothing in it was written by a provider.
        What the call cost stays."""
        failure = FailureClass.UNKNOWN
        line = self.attempt and replace(
            self.attempt,
            outcome=AttemptOutcome.FAILED,
            waste=Waste.FAILED if self.attempt.charged else None,
            model_returned="",
            provider_request_id="",
            failure_class=failure.value,
            message=UNSTORABLE,
            usage=replace(self.attempt.usage, raw=""),
            request=None,
            answer=None,
        )
        return replace(
            self,
            status=RecordStatus.FAILED,
            uses_try=True,
            output=None,
            model="",
            failure_class=failure.value,
            fingerprint=fingerprint(failure, UNSTORABLE),
            message=UNSTORABLE,
            not_before=None,
            due=None,
            attempt=line,
        )


@dataclass(slots=True)
class AttemptLine:
    """A line of the ledger. `cost` is None when the price is unknown."""

    outcome: AttemptOutcome
    purpose: Purpose
    generation: int
    replay_id: int | None
    template_version_id: int
    connection_id: int
    model: str
    model_returned: str
    day: date
    started_at: datetime
    waited_ms: int
    took_ms: int
    http_status: int | None
    provider_request_id: str
    failure_class: str
    message: str
    retry_after_ms: int | None
    usage: Usage
    price_id: int | None
    cost: int | None
    charged: bool  # the provider bills it, or may (in doubt)
    rates: Rates | None = None  # what it was valued with; None where it was not, or is in doubt
    waste: Waste | None = None  # why what it cost brought no result that counts
    request_key: str | None = None  # None: nobody can take its answer for that of another request
    request: str | None = None
    answer: str | None = None


@dataclass(slots=True)
class JobHead:
    """What a slice must know of a runnable job to share itself out among them."""

    id: int
    team_id: int
    priority: int
    connection_id: int
    model: str
    pending: int
    running: int
