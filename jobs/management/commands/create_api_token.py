"""A token for a program: printed once, alone on standard output."""

from typing import Any

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from jobs.models import Membership, Role, Team
from jobs.teams.access import Actor
from jobs.teams.audit import record
from jobs.teams.tokens import token_create

MAX_NAME = 100


class Command(BaseCommand):
    help = "Prints a new API token, once. It speaks for a person in one of their teams."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--user", required=True)
        parser.add_argument("--team", required=True)
        parser.add_argument(
            "--role",
            choices=Role.values,
            default=Role.OPERATOR,
            help="at most this role, and never more than the person has (default: operator)",
        )
        parser.add_argument("--name", default="", help="what the token is for")
        parser.add_argument(
            "--create",
            action="store_true",
            help="make the user, team and membership that are missing; the user gets no password",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        role = Role(options["role"])
        if len(options["name"]) > MAX_NAME:
            raise CommandError(f"--name has at most {MAX_NAME} characters.")
        with transaction.atomic():
            user, team = self._find(options, role)
            token, raw = token_create(user=user, team=team, role=role, name=options["name"])
            actor = Actor(user, team, role, user.is_superuser, via="command")
            record(actor, "token.create", token, name=token.name, role=role, by="command line")
        self.stdout.write(raw)

    def _find(self, options: dict[str, Any], role: Role) -> tuple[User, Team]:
        user = User.objects.filter(username=options["user"]).first()
        team = Team.objects.filter(name=options["team"]).first()
        if not options["create"]:
            if user is None:
                raise CommandError(f"There is no user “{options['user']}” (--create makes one).")
            if team is None:
                raise CommandError(f"There is no team “{options['team']}” (--create makes one).")
        if user is None:
            user = User(username=options["user"])
            user.set_unusable_password()
            _save(user)
        if team is None:
            team = Team(name=options["team"])
            _save(team)
        known = Membership.objects.filter(user=user, team=team).first()
        if known is None and not user.is_superuser:
            if not options["create"]:
                raise CommandError(
                    f"{user.username} is not in the team “{team.name}” (--create adds them)."
                )
            Membership.objects.create(user=user, team=team, role=role)
        elif known is not None and not user.is_superuser and Role(known.role).rank < role.rank:
            # A token is worth what its person is; saying otherwise would only look like more.
            raise CommandError(
                f"{user.username} is {known.role} in “{team.name}”: a token cannot be worth more. "
                "Change the role in the settings first."
            )
        return user, team


def _save(made: User | Team) -> None:
    """Save what --create makes, if its name is one. Raises CommandError."""
    try:
        made.full_clean()
    except ValidationError as error:
        kind = "user" if isinstance(made, User) else "team"
        raise CommandError(f"No such {kind} can be made: {' '.join(error.messages)}") from error
    made.save()
