"""The people that tests are about, and what they hold.

alice is admin of the team Support, bob its lead, olivia an operator in it. charlie is a stranger:
admin of another team, Search, and nothing here. root is the installation's admin, in no team.

Import the fixture where it is used: `from tests.cast import cast` (with `# noqa: F401`).
"""

from dataclasses import dataclass

import pytest
from django.contrib.auth.models import User
from django.test import Client

from jobs.models import Connection, ConnectionKind, Membership, Role, Team
from jobs.teams.access import Actor
from jobs.teams.crypto import encrypt
from jobs.teams.tokens import token_create

PASSWORD = "correct-horse-battery-staple-9"


@dataclass(frozen=True)
class Cast:
    team: Team
    other_team: Team
    alice: User
    bob: User
    olivia: User
    charlie: User
    root: User

    def actor(self, user: User) -> Actor:
        """The person in their team, as by a session."""
        return actor_for(user, self.other_team if user == self.charlie else self.team)

    def client(self, user: User) -> Client:
        """A browser in which the person is logged in."""
        client = Client()
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        return client

    def token(self, user: User, role: Role = Role.ADMIN) -> str:
        """The text of an API token of the person for their team."""
        team = self.other_team if user == self.charlie else self.team
        return token_create(user=user, team=team, role=role, name="test")[1]


def make_user(name: str, **options: bool) -> User:
    return User.objects.create_user(name, f"{name}@example.com", PASSWORD, **options)


def join(user: User, team: Team, role: Role) -> Membership:
    return Membership.objects.create(user=user, team=team, role=role)


def actor_for(user: User, team: Team) -> Actor:
    role = Role.ADMIN
    if not user.is_superuser:
        role = Role(Membership.objects.get(user=user, team=team).role)
    return Actor(
        user=user,
        team=team,
        role=role,
        is_installation_admin=user.is_superuser,
        via="session",
        address="127.0.0.1",
    )


def make_connection(
    team: Team, *, name: str = "Simulator", base_url: str = "http://127.0.0.1:9", key: str = ""
) -> Connection:
    """A connection written straight to the table; its address need not answer."""
    return Connection.objects.create(
        team=team,
        name=name,
        kind=ConnectionKind.SIMULATOR,
        base_url=base_url,
        key_encrypted=encrypt(key) if key else "",
        key_last4=key[-4:],
    )


def make_cast() -> Cast:
    team = Team.objects.create(name="Support")
    other_team = Team.objects.create(name="Search")
    made = Cast(
        team=team,
        other_team=other_team,
        alice=make_user("alice"),
        bob=make_user("bob"),
        olivia=make_user("olivia"),
        charlie=make_user("charlie"),
        root=make_user("root", is_staff=True, is_superuser=True),
    )
    join(made.alice, team, Role.ADMIN)
    join(made.bob, team, Role.LEAD)
    join(made.olivia, team, Role.OPERATOR)
    join(made.charlie, other_team, Role.ADMIN)
    return made


@pytest.fixture
def cast(db: None) -> Cast:
    return make_cast()
