"""Rows that need no call of their own, looked for in the background: twins within a job, and rows that
an earlier job of the team has asked just so.

Two rows are twins where the template takes the same values from both; no prompt is rendered for that.
Only where earlier answers may be taken (`Job.reuse`) are requests rendered, and compared by their keys.
What is found is written as hints (`Borrowed`), a chunk in a transaction under the job's lock.

Claims wait for the look at a small job, and for any that may take earlier answers; a large one is
looked at beside its claims, and rows claimed by then are simply called for. Whoever looks says so every
few seconds: if it dies, claims go on, and the reconciler has somebody look again. Memory is that of the
keys, 40 bytes a row at most.
"""

import logging
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Exists, OuterRef, Q

from jobs import queue
from jobs.costs.told import told_without
from jobs.datasets.selection import selected_rows
from jobs.engine.counters import lock_job
from jobs.engine.dialect import Dialect
from jobs.engine.flat_keys import FlatKeys
from jobs.engine.plan import CannotRun, make_plan
from jobs.engine.request_keys import Hash, key_of_values, with_messages
from jobs.engine.store import Store
from jobs.models import AttemptOutcome, Borrowed, Job, JobStatus, Replay, Scan
from jobs.prompts.template import PromptText, RenderFault, TemplateFault
from jobs.written import read_row

logger = logging.getLogger(__name__)

# Up to so many rows claims wait for the look; 50,000 rows take half a second.
LOOK_FIRST_ROWS = 50_000
# Whoever looks says so for so long in advance.
SAYS_SO = timedelta(seconds=15)
READ_AT_ONCE = 5_000
WRITE_AT_ONCE = 5_000
# Of earlier jobs the newest are looked through, until so many of their answers were.
EARLIER_ANSWERS = 5_000_000

# n, job, n there, number of the attempt there (None: a row of the same job).
Hint = tuple[int, int, int, int | None]


def scan_of(job: Job) -> Scan:
    """What a launch has to look for before the job's rows may take results."""
    if job.reuse:
        return Scan.FIRST
    if not job.share_duplicates or job.total < 2:
        return Scan.NONE
    return Scan.FIRST if job.total <= LOOK_FIRST_ROWS else Scan.BESIDE


def look(store: Store, job_id: int) -> None:
    """Look through a job's rows. Done twice, or by two at once, it comes to the same."""
    job = (
        Job.objects.select_related("dataset", "template_version")
        .exclude(scan=Scan.NONE)
        .filter(pk=job_id)
        .first()
    )
    if job is None:
        return
    try:
        _Look(store, job).run()
    except (CannotRun, TemplateFault):
        pass  # the claim will say so
    except RowsGone:
        return
    _end(store, job_id)


def _end(store: Store, job_id: int) -> None:
    """The look is over; what was told of the job's cost is told anew, if nothing was called for yet."""
    with transaction.atomic(), connection.cursor() as cursor:
        lock_job(store.dialect, cursor, job_id)
        job = Job.objects.filter(pk=job_id).first()
        if job is None:
            return
        if job.started_at is None and job.estimate:
            job.estimate = told_without(job.estimate, job.borrows)
        job.scan, job.scan_until = Scan.NONE, None
        job.save(update_fields=["scan", "scan_until", "estimate"])


class RowsGone(Exception):
    """Nobody needs to look any more."""


@dataclass(frozen=True, slots=True)
class RowKeys:
    """What says of a row what it asks: the key of its request, or of the values it is made of."""

    prompt: PromptText
    constant: Hash | None  # set: of the whole request

    def of(self, values: dict[str, Any]) -> bytes | None:
        """None where the row cannot be rendered."""
        if self.constant is None:
            return key_of_values(self.prompt.taken_from(values))
        try:
            rendered = self.prompt.render(values)
        except RenderFault:
            return None
        return with_messages(self.constant, rendered.system, rendered.user).digest()


class _Look:
    def __init__(self, store: Store, job: Job) -> None:
        self.store = store
        self.dialect = store.dialect
        self.job = job
        self.apart: list[tuple[int, int]] = []  # twins that share nothing: n, position of the first
        self.says_so_at = store.clock.monotonic()
        if job.reuse:
            plan = make_plan(job.pk, None, now=store.clock.now(), monotonic=0.0)
            self.keys = RowKeys(plan.prompt, plan.request_hash)
        else:
            version = job.template_version
            self.keys = RowKeys(PromptText.compile(version.system, version.user), None)

    def run(self) -> None:
        known, numbers = FlatKeys(self.job.total), array("I")
        hints: list[Hint] = []
        for n, values in rows_of(self.dialect, self.job):
            self._say_so()
            key = self.keys.of(values)
            if key is None:
                continue
            before = known.add(key)
            numbers.append(n)
            if before >= 0 and self.job.share_duplicates:
                hints.append((n, self.job.pk, numbers[before], None))
            elif before >= 0:
                self.apart.append((n, before))
            if len(hints) >= WRITE_AT_ONCE:
                self._write(hints)
                hints = []
        if hints:
            self._write(hints)
        if self.job.reuse:
            self._match_earlier(known, numbers)

    def _match_earlier(self, known: FlatKeys, numbers: "array[int]") -> None:
        """The newest accepted answer to each request; a twin takes it through its leader."""
        found, hints = bytearray(len(numbers)), []
        twins: dict[int, list[int]] = {}
        for n, at in self.apart:
            twins.setdefault(at, []).append(n)
        for from_job, from_n, from_number, key in earlier_answers(self.dialect, self.job):
            self._say_so()
            at = known.find(key)
            if at < 0 or found[at]:
                continue
            found[at] = 1
            for n in (numbers[at], *twins.get(at, ())):
                hints.append((n, from_job, from_n, from_number))
            if len(hints) >= WRITE_AT_ONCE:
                self._write(hints)
                hints = []
        if hints:
            self._write(hints)

    def _say_so(self) -> None:
        now = self.store.clock.monotonic()
        if now - self.says_so_at > SAYS_SO.total_seconds() / 5:
            self.says_so_at = now
            until = self.store.clock.now() + SAYS_SO
            Job.objects.filter(pk=self.job.pk).update(scan_until=until)

    def _write(self, hints: Sequence[Hint]) -> None:
        """Hints for rows that no claim has met yet."""
        dialect, job_id = self.dialect, self.job.pk
        with transaction.atomic(), connection.cursor() as cursor:
            state = lock_job(dialect, cursor, job_id)
            if state is None or not state.status.takes_rows:
                raise RowsGone
            ahead = [(job_id, *hint) for hint in hints if hint[0] > state.cursor]
            if not ahead:
                return
            dialect.insert_rows(
                cursor,
                "jobs_borrowed",
                [
                    ("job_id", "bigint"), ("n", "int"), ("from_job_id", "bigint"),
                    ("from_n", "int"), ("from_number", "int"),
                ],
                ahead,
                "ON CONFLICT (job_id, n) DO UPDATE SET from_job_id = excluded.from_job_id, "
                "from_n = excluded.from_n, from_number = excluded.from_number",
            )  # fmt: skip
            _count(cursor, job_id)


def _count(cursor: Any, job_id: int) -> None:
    cursor.execute(
        "UPDATE jobs_job SET borrows = (SELECT COUNT(*) FROM jobs_borrowed WHERE job_id = %s) "
        "WHERE id = %s",
        [job_id, job_id],
    )


def rows_of(dialect: Dialect, job: Job) -> Iterator[tuple[int, dict[str, Any]]]:
    """The rows of a job in the order in which they are claimed, so that the first of several twins
    leads: no row of a pilot waits for one that comes later."""
    for start in range(0, job.total, READ_AT_ONCE):
        stop = min(job.total, start + READ_AT_ONCE)
        numbers = selected_rows(job.selection, job.dataset.rows, start, stop)
        if isinstance(numbers, range):
            where, parameters = "n BETWEEN %s AND %s", [numbers.start, numbers.stop - 1]
        else:
            where, parameters = dialect.in_list("n", list(numbers))
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT n, data FROM jobs_datasetrow WHERE dataset_id = %s AND {where}",
                [job.dataset_id, *parameters],
            )
            found = dict(cursor.fetchall())
        for n in numbers:
            yield n, read_row(found.pop(n))


def earlier_answers(dialect: Dialect, job: Job) -> Iterator[tuple[int, int, int, bytes]]:
    """Accepted answers of the team's jobs with this model, newest jobs first: job, n, number, key of the
    request."""
    replayed = Replay.objects.filter(job=OuterRef("pk"), model=job.model)
    jobs = Job.objects.filter(team=job.team_id, succeeded__gt=0).exclude(pk=job.pk)
    if job.pk is not None:
        jobs = jobs.filter(pk__lt=job.pk)
    jobs = jobs.filter(Q(model=job.model) | Exists(replayed))
    left = EARLIER_ANSWERS
    for job_id, succeeded in jobs.order_by("-pk").values_list("pk", "succeeded").iterator():
        yield from _answers_of(job_id)
        left -= succeeded
        if left <= 0:
            return


def _answers_of(job_id: int) -> Iterator[tuple[int, int, int, bytes]]:
    last = 0
    while True:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT n, number, request_key FROM jobs_attempt WHERE job_id = %s AND n > %s "
                "AND outcome = %s AND request_key IS NOT NULL ORDER BY n LIMIT %s",
                [job_id, last, AttemptOutcome.ACCEPTED.value, READ_AT_ONCE],
            )
            rows = cursor.fetchall()
        for n, number, key in rows:
            yield job_id, n, number, (key if isinstance(key, UUID) else UUID(key)).bytes
        if len(rows) < READ_AT_ONCE:
            return
        last = rows[-1][0]


# --- duties of the reconciler -------------------------------------------------------------------
def look_again(store: Store) -> None:
    """Have somebody look where whoever looked has died; claims wait for it no longer."""
    now = store.clock.now()
    silent = Job.objects.exclude(scan=Scan.NONE).filter(scan_until__lt=now)
    for job_id, status in list(silent.values_list("pk", "status")):
        if JobStatus(status).takes_rows:
            said = silent.filter(pk=job_id).update(scan=Scan.BESIDE, scan_until=now + SAYS_SO)
            if said:
                queue.enqueue("jobs.engine.tasks.look_for_twins", job_id)
        else:
            Job.objects.filter(pk=job_id).update(scan=Scan.NONE, scan_until=None)


def forget_hints(store: Store) -> None:
    """Of jobs that have ended."""
    over = [status for status in JobStatus if not status.takes_rows]
    for job_id in Job.objects.filter(status__in=over, borrows__gt=0).values_list("pk", flat=True):
        numbers = Borrowed.objects.filter(job_id=job_id).order_by("n").values_list("n", flat=True)
        last = list(numbers[:WRITE_AT_ONCE])[-1:]
        with transaction.atomic(), connection.cursor() as cursor:
            lock_job(store.dialect, cursor, job_id)
            if last:
                cursor.execute(
                    "DELETE FROM jobs_borrowed WHERE job_id = %s AND n <= %s", [job_id, last[0]]
                )
            _count(cursor, job_id)
