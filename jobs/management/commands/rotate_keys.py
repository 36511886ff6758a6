"""After a change of FIELD_ENCRYPTION_KEYS: what older keys encrypted, encrypted with the first one."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from jobs.teams.crypto import rotate_stored_keys


class Command(BaseCommand):
    help = (
        "Encrypts all stored provider keys anew with the first of FIELD_ENCRYPTION_KEYS, so that the "
        "others can be taken out of the list. Safe to repeat, and while jobs run."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        done, unreadable = rotate_stored_keys()
        self.stdout.write(f"Encrypted {done} stored keys with the first encryption key.")
        if unreadable:
            raise CommandError(
                "No key of FIELD_ENCRYPTION_KEYS reads what is stored for: "
                + ", ".join(unreadable)
                + ". Enter these keys again in the settings."
            )
