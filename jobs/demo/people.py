"""The demo's teams and people, with passwords made at random once and kept beside the data."""

import json
import secrets
from pathlib import Path

from django.contrib.auth.models import User

from jobs.models import KeepAnswers, Membership, Role, Team

SUPPORT, SALES = "Customer support", "Sales operations"
# name: (what they are for people, {team: role}, installation admin?)
_CAST: dict[str, tuple[str, dict[str, Role], bool]] = {
    "olivia": ("operator", {SUPPORT: Role.OPERATOR}, False),
    "leo": ("team lead", {SUPPORT: Role.LEAD, SALES: Role.LEAD}, False),
    "ada": ("admin", {SUPPORT: Role.ADMIN, SALES: Role.ADMIN}, True),
    "sam": ("operator of another team", {SALES: Role.OPERATOR}, False),
}


def make_people(logins: Path) -> None:
    """Teams and accounts; the passwords are written to `logins` (readable by its owner only)."""
    teams = {
        name: Team.objects.create(name=name, keep_answers=KeepAnswers.ALL)
        for name in (SUPPORT, SALES)
    }
    passwords = {}
    for username, (_, roles, everywhere) in _CAST.items():
        passwords[username] = secrets.token_urlsafe(9)
        user = User.objects.create_user(username, password=passwords[username])
        user.is_superuser = everywhere
        user.save(update_fields=["is_superuser"])
        for team, role in roles.items():
            Membership.objects.create(team=teams[team], user=user, role=role)
    logins.touch(mode=0o600)
    logins.write_text(json.dumps(passwords))


def login_lines(logins: Path) -> list[str]:
    """One line a person, for the terminal."""
    passwords = json.loads(logins.read_text())
    return [
        f"  {username:<8} {passwords.get(username, '?'):<14} {words}"
        for username, (words, _, _) in _CAST.items()
    ]
