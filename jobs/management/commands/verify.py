"""Whether the books of this installation are right."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from jobs.engine.verify import snapshot, verify
from jobs.postgresql import LONG_S, wait_anew


class Command(BaseCommand):
    help = (
        "Holds counters, ledger, roll-ups and leases of all jobs against the rows themselves. Reads "
        "only, and while jobs run. Says the first difference and ends with 1, or how much is right."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        wait_anew(LONG_S)
        with snapshot():
            seen = verify()
        if seen.difference is not None:
            raise CommandError(str(seen.difference))
        self.stdout.write(
            f"All is right: {seen.jobs:,} jobs, {seen.records:,} records, "
            f"{seen.attempts:,} attempts."
        )
