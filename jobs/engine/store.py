"""The store: everything a slice asks of the database, behind one object.

A slice takes it as a parameter, so that a test or a simulation can stand between. All methods block;
a slice calls them from one thread of its own. Each is one or a few short transactions, safe to
repeat after an answer was lost.
"""

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import orjson
from django.db import DatabaseError, InterfaceError, connection, transaction

from jobs.engine import claiming, reclaiming, settling
from jobs.engine.claiming import LEASE, Prepare
from jobs.engine.clock import Clock, DatabaseClock
from jobs.engine.counters import JobDelta, apply_delta, lock_job, unlocked_jobs
from jobs.engine.dialect import dialect_of, read_time
from jobs.engine.limits import Ask, Limits, Permits, SharedState, take
from jobs.engine.records import Claimed, JobHead, Settlement
from jobs.models import JobStatus, StatusReason, Worker


class Store:
    def __init__(self, clock: Clock | None = None) -> None:
        self.dialect = dialect_of(connection)
        self.clock = clock or DatabaseClock()

    def disconnect(self) -> None:
        """Close this thread's connection, also a broken one; the next call makes another."""
        with suppress(DatabaseError, InterfaceError):
            connection.close()

    # --- time -------------------------------------------------------------------------------
    def sync_clock(self) -> None:
        """Read the database's clock. SQLite has none of its own: one machine, one clock."""
        if isinstance(self.clock, DatabaseClock):
            now = datetime.now(UTC)
            if self.dialect.postgresql:
                with connection.cursor() as cursor:
                    cursor.execute("SELECT clock_timestamp()")
                    (now,) = cursor.fetchone()
            self.clock.sync(now)

    # --- records ----------------------------------------------------------------------------
    def claim(
        self,
        job_id: int,
        worker: str,
        limit: int,
        prepare: Prepare,
        *,
        allow_suspect: bool,
        token: str = "",
    ) -> list[Claimed]:
        return claiming.claim(
            self.dialect,
            job_id=job_id,
            worker=worker,
            limit=limit,
            allow_suspect=allow_suspect,
            token=token,
            prepare=prepare,
            now=self.clock.now(),
            monotonic=self.clock.monotonic(),
        )

    def settle(
        self,
        job_id: int,
        worker: str,
        settlements: Sequence[Settlement],
        leases_done: Sequence[str],
    ) -> JobStatus | None:
        return settling.settle(
            self.dialect,
            job_id=job_id,
            worker=worker,
            settlements=settlements,
            leases_done=leases_done,
            now=self.clock.now(),
        )

    def give_back(self, token: str, job_id: int, numbers: Sequence[int], sent: set[int]) -> None:
        reclaiming.give_back(self.dialect, token, job_id, numbers, sent, self.clock.now())

    def abandon(self, token: str, job_id: int) -> None:
        """Undo a claim of which nobody knows whether it was committed; nothing of it was sent."""
        reclaiming.abandon(self.dialect, token, job_id, self.clock.now())

    def drop_leases(self, tokens: Sequence[str]) -> None:
        """Delete leases whose records are all settled or given back."""
        if tokens:
            with transaction.atomic(), connection.cursor() as cursor:
                condition, parameters = self.dialect.in_list("token", list(tokens))
                cursor.execute(f"DELETE FROM jobs_lease WHERE {condition}", parameters)

    # --- what there is to do ----------------------------------------------------------------
    def runnable_jobs(self) -> list[JobHead]:
        """Jobs that slices may claim from, oldest first."""
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT id, team_id, priority, connection_id, model, pending, running "
                "FROM jobs_job WHERE status IN ('queued', 'running') AND pending > 0 ORDER BY id"
            )
            return [JobHead(*row) for row in cursor.fetchall()]

    def stopped(self, job_ids: Sequence[int]) -> dict[int, JobStatus]:
        """Which of these jobs may not be claimed from any more (paused, cancelled, ended)."""
        if not job_ids:
            return {}
        with connection.cursor() as cursor:
            condition, parameters = self.dialect.in_list("id", list(job_ids))
            cursor.execute(
                "SELECT id, status FROM jobs_job WHERE status NOT IN ('queued', 'running') "
                f"AND {condition}",
                parameters,
            )
            return {job_id: JobStatus(status) for job_id, status in cursor.fetchall()}

    def is_unlocked(self, job_id: int) -> bool:
        return bool(unlocked_jobs(self.dialect, [job_id]))

    def pause(self, job_id: int, reason: StatusReason, detail: str) -> None:
        """Pause a job that cannot run as it is set up; heeded only while it is runnable."""
        with transaction.atomic(), connection.cursor() as cursor:
            state = lock_job(self.dialect, cursor, job_id)
            if state is not None:
                apply_delta(
                    self.dialect,
                    cursor,
                    state,
                    JobDelta(),
                    self.clock.now(),
                    pause=reason,
                    detail=detail,
                )

    # --- heartbeat --------------------------------------------------------------------------
    def heartbeat(
        self, worker: str, *, in_flight: int, detail: dict[str, Any], tokens: Sequence[str]
    ) -> set[str]:
        """Say that this slice lives, and renew its leases: only those it still means to keep.

        Returns those that are lost.
        """
        now = self.clock.now()
        with transaction.atomic(), connection.cursor() as cursor:
            lost = self._renew(cursor, worker, list(tokens), now) if tokens else set()
        # Apart: what people are told of it may wait, or have no room.
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE jobs_worker SET seen_at = %s, in_flight = %s, detail = %s WHERE id = %s",
                [self.dialect.time(now), in_flight, orjson.dumps(detail).decode(), worker],
            )
        return lost

    def _renew(self, cursor: Any, worker: str, tokens: list[str], now: datetime) -> set[str]:
        condition, parameters = self.dialect.in_list("token", tokens)
        cursor.execute(
            f"UPDATE jobs_lease SET until = %s WHERE worker = %s AND {condition}",
            [self.dialect.time(now + LEASE), worker, *parameters],
        )
        if cursor.rowcount == len(tokens):
            return set()
        cursor.execute(f"SELECT token FROM jobs_lease WHERE {condition}", parameters)
        return set(tokens) - {token for (token,) in cursor.fetchall()}

    def sign_off(self, worker: str) -> None:
        Worker.objects.filter(pk=worker).delete()

    def live_slices(self) -> int:
        return Worker.objects.filter(kind="slice", seen_at__gt=self.clock.now() - LEASE).count()

    # --- limits -----------------------------------------------------------------------------
    def take_permits(
        self, lane: tuple[int, str], limits: Limits, slice_id: str, ask: Ask
    ) -> tuple[Permits, datetime | None]:
        """Permits until the next tick, and the end of the shared cool-down if there is one."""
        now = self.clock.now()
        with transaction.atomic(), connection.cursor() as cursor:
            self._ensure_limit_row(cursor, lane)
            cursor.execute(
                "SELECT id, state, cooldown_until FROM jobs_limitstate "
                "WHERE connection_id = %s AND model = %s" + self.dialect.lock(),
                lane,
            )
            row_id, raw, until = cursor.fetchone()
            cooldown = read_time(until)
            state = SharedState.load(orjson.loads(raw) if isinstance(raw, str) else raw)
            permits = take(
                state,
                limits,
                slice_id,
                ask,
                now=now.timestamp(),
                cooldown=cooldown.timestamp() if cooldown else 0.0,
            )
            cursor.execute(
                "UPDATE jobs_limitstate SET state = %s, updated_at = %s WHERE id = %s",
                [orjson.dumps(state.dump()).decode(), self.dialect.time(now), row_id],
            )
            return permits, cooldown

    def cool_down(self, lane: tuple[int, str], until: datetime) -> None:
        """Hold back all slices on this lane until then; never shortens a longer cool-down."""
        with transaction.atomic(), connection.cursor() as cursor:
            self._ensure_limit_row(cursor, lane)
            moment = self.dialect.time(until)
            cursor.execute(
                "UPDATE jobs_limitstate SET cooldown_until = %s WHERE connection_id = %s "
                "AND model = %s AND (cooldown_until IS NULL OR cooldown_until < %s)",
                [moment, *lane, moment],
            )

    @staticmethod
    def _ensure_limit_row(cursor: Any, lane: tuple[int, str]) -> None:
        cursor.execute(
            "INSERT INTO jobs_limitstate (connection_id, model, state) VALUES (%s, %s, '{}') "
            "ON CONFLICT (connection_id, model) DO NOTHING",
            lane,
        )
