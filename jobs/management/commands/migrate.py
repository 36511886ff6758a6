"""Django's own, with the time that the change of a large table takes."""

from typing import Any

from django.core.management.commands import migrate

from jobs.postgresql import LONG_S, wait_anew


class Command(migrate.Command):
    def handle(self, *args: Any, **options: Any) -> None:
        wait_anew(LONG_S)
        super().handle(*args, **options)
