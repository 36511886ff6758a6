"""One filter object each for jobs and records: it feeds the list, the counts, the next page's link,
the export and the bulk action. Names and values from outside are looked up in allow-lists."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone

from jobs.failures import FailureClass
from jobs.models import Job, JobStatus, Record, RecordStatus

TABS = {
    "all": tuple(JobStatus),
    "active": (JobStatus.QUEUED, JobStatus.RUNNING, JobStatus.CANCELLING),
    "paused": (JobStatus.PAUSED,),
    "failures": tuple(JobStatus),  # narrowed by WITH_FAILURES: a running job can have some, too
    "done": (JobStatus.COMPLETED,),
    "cancelled": (JobStatus.CANCELLED,),
}
# Where a job of each status is listed.
_TAB_OF = dict.fromkeys(JobStatus, "failures") | {
    status: tab for tab in ("active", "paused", "done", "cancelled") for status in TABS[tab]
}
WITH_FAILURES = Q(failed__gt=0) | Q(status=JobStatus.FAILED)
RECORD_STATUSES = {status.label: status for status in RecordStatus}
# Which records a replay sends of those that match. What succeeded is sent, and paid, again only where
# that is said.
REPLAYED = {
    "failed": (RecordStatus.FAILED,),
    "succeeded": (RecordStatus.SUCCEEDED,),
    "all": (RecordStatus.FAILED, RecordStatus.SUCCEEDED),
}
# A search without an index looks at so many records at most, as many as fit into a tenth of a second;
# the page says so.
SEARCH_ROWS = 12_000


@dataclass(frozen=True, slots=True)
class JobFilter:
    tab: str = "all"
    status: str = ""  # of JobStatus
    template: str = ""
    dataset: str = ""
    model: str = ""
    owner: str = ""
    day_from: date | None = None
    day_to: date | None = None
    text: str = ""
    ignored: tuple[str, ...] = field(default=(), compare=False)  # what was given and means nothing

    @classmethod
    def parse(cls, query: Mapping[str, str]) -> "JobFilter":
        """Unknown values mean no filter and are named as ignored: a link from yesterday still opens."""
        tab, status = query.get("tab", "all"), query.get("status", "")
        known = {
            "tab": tab in TABS,
            "status": status in _TAB_OF,  # the failures badge leads here, too
            "from": _day(query.get("from", "")),
            "to": _day(query.get("to", "")),
        }
        return cls(
            tab=_TAB_OF[JobStatus(status)] if known["status"] else tab if known["tab"] else "all",
            template=query.get("template", "")[:40],
            dataset=query.get("dataset", "")[:40],
            model=query.get("model", "")[:200],
            owner=query.get("owner", "")[:150],
            day_from=_day(query.get("from", "")),
            day_to=_day(query.get("to", "")),
            text=query.get("q", "").strip()[:200],
            ignored=ignored_of(query, known),
        )

    @property
    def active(self) -> bool:
        """Whether anything beyond the tab narrows the list."""
        return any(
            (
                self.template,
                self.dataset,
                self.model,
                self.owner,
                self.day_from,
                self.day_to,
                self.text,
            )
        )

    def apply(self, jobs: QuerySet[Job], *, with_tab: bool = True) -> QuerySet[Job]:
        if with_tab and self.tab == "failures":
            jobs = jobs.filter(WITH_FAILURES)
        elif with_tab and self.tab != "all":
            jobs = jobs.filter(status__in=TABS[self.tab])
        if self.status:
            jobs = jobs.filter(status=self.status)
        if self.template:
            jobs = jobs.filter(template_version__template__public_id=self.template)
        if self.dataset:
            jobs = jobs.filter(dataset__public_id=self.dataset)
        if self.model:
            jobs = jobs.filter(model=self.model)
        if self.owner:
            jobs = jobs.filter(created_by__username=self.owner)
        if self.day_from:
            jobs = jobs.filter(created_at__gte=_midnight(self.day_from))
        if self.day_to:
            jobs = jobs.filter(created_at__lt=_midnight(self.day_to + timedelta(days=1)))
        if self.text:
            jobs = jobs.filter(Q(name__icontains=self.text) | Q(public_id=self.text))
        return jobs


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def ignored_of(query: Mapping[str, str], known: Mapping[str, object]) -> tuple[str, ...]:
    """What was given and is not known, in words."""
    return tuple(
        f"{name} “{query[name][:40]}”"
        for name, found in known.items()
        if query.get(name) and not found
    )


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, tzinfo=timezone.get_default_timezone())


@dataclass(frozen=True, slots=True)
class RecordFilter:
    status: RecordStatus | None = None
    failure_class: str = ""
    fingerprint: str = ""
    text: str = ""
    replay: str = ""
    rows: tuple[int, ...] = field(default_factory=tuple)
    replayed: str = "failed"  # of REPLAYED; heeded by replays alone
    ignored: tuple[str, ...] = field(default=(), compare=False)  # what was given and means nothing

    @classmethod
    def parse(cls, query: Mapping[str, str]) -> "RecordFilter":
        failure_class = query.get("failure_class", "")
        fingerprint = query.get("fingerprint", "")[:12]
        known = {
            "status": query.get("status", "") in RECORD_STATUSES,
            "failure_class": failure_class in set(FailureClass),
            "fingerprint": fingerprint.isalnum(),
        }
        return cls(
            status=RECORD_STATUSES.get(query.get("status", "")),
            failure_class=failure_class if known["failure_class"] else "",
            fingerprint=fingerprint if known["fingerprint"] else "",
            text=query.get("q", "").strip()[:200],
            replay=query.get("replay", "")[:16],
            ignored=ignored_of(query, known),
        )

    @property
    def active(self) -> bool:
        return any(
            (self.status is not None, self.failure_class, self.fingerprint, self.text, self.replay)
        )

    def apply(self, records: QuerySet[Record]) -> QuerySet[Record]:
        """Everything but the text search, which `selectors.record_page` bounds."""
        if self.failure_class:
            records = records.filter(failure_class=self.failure_class)
        elif self.status is RecordStatus.FAILED:
            # Names the partial index.
            records = records.filter(failure_class__isnull=False)
        if self.fingerprint:
            records = records.filter(failure_class__isnull=False, fingerprint=self.fingerprint)
        if self.status is not None and self.status is not RecordStatus.FAILED:
            records = records.filter(status=self.status)
        if self.replay:
            records = records.filter(replay__public_id=self.replay)
        if self.rows:
            records = records.filter(n__in=self.rows)
        return records

    def as_dict(self) -> dict[str, Any]:
        """What a replay stores of it."""
        kept: dict[str, Any] = {}
        if self.failure_class:
            kept["failure_class"] = self.failure_class
        if self.fingerprint:
            kept["fingerprint"] = self.fingerprint
        if self.rows:
            kept["rows"] = list(self.rows)
        if self.replayed != "failed":
            kept["status"] = self.replayed
        return kept
