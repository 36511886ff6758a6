"""People in a team: added with a password shown once, given roles, taken out."""

import re
import secrets

from django.contrib.auth.models import User
from django.db import transaction

from jobs.errors import Conflict, Invalid
from jobs.models import KeepAnswers, Membership, Role
from jobs.teams.access import Actor
from jobs.teams.audit import record
from jobs.teams.initial_passwords import mark_initial_password
from jobs.teams.policy import Action

_USERNAME = re.compile(r"^[\w.@+-]{2,150}$")


def new_password() -> str:
    """Random, 120 bits; long enough for every validator."""
    return secrets.token_urlsafe(15)


def member_add(*, actor: Actor, username: str, role: str) -> tuple[Membership, str | None]:
    """Add a person; a new account comes with its first password, else None. Raises Invalid."""
    actor.require(Action.MEMBER_WRITE)
    username = username.strip()
    if not _USERNAME.match(username):
        raise Invalid.field("username", "2 to 150 letters, digits or any of . @ + - _")
    if role not in Role.values:
        raise Invalid.field("role", f"One of {', '.join(Role.values)}")
    with transaction.atomic():
        user = User.objects.filter(username=username).first()
        password = None
        if user is None:
            password = new_password()
            user = User.objects.create_user(username=username, password=password)
            mark_initial_password(user)
        membership, created = Membership.objects.get_or_create(
            team=actor.team, user=user, defaults={"role": role}
        )
        if not created:
            raise Invalid.field("username", f"{username} is in this team already")
        record(actor, "member.add", membership, username=username, role=role)
    return membership, password


def member_set_role(*, actor: Actor, membership: Membership, role: str) -> None:
    actor.require(Action.MEMBER_WRITE)
    if role not in Role.values:
        raise Invalid.field("role", f"One of {', '.join(Role.values)}")
    with transaction.atomic():
        if role != Role.ADMIN:
            _keep_an_admin(membership)
        before, membership.role = membership.role, role
        membership.save(update_fields=["role"])
        record(
            actor,
            "member.role",
            membership,
            username=membership.user.username,
            before=before,
            after=role,
        )


def member_remove(*, actor: Actor, membership: Membership) -> None:
    """Takes the person out of the team; their tokens for it stop working at once."""
    actor.require(Action.MEMBER_WRITE)
    with transaction.atomic():
        _keep_an_admin(membership)
        record(actor, "member.remove", membership, username=membership.user.username)
        membership.delete()


def _keep_an_admin(membership: Membership) -> None:
    others = Membership.objects.select_for_update().filter(team=membership.team, role=Role.ADMIN)
    if membership.role == Role.ADMIN and not others.exclude(pk=membership.pk).exists():
        raise Conflict("A team keeps at least one admin. Make somebody else admin first.")


def team_keep_answers(*, actor: Actor, policy: str) -> None:
    """Which raw answers the team keeps from now on; what is stored already stays."""
    actor.require(Action.TEAM_SETTINGS)
    if policy not in KeepAnswers.values:
        raise Invalid.field("keep_answers", f"One of {', '.join(KeepAnswers.values)}")
    before, actor.team.keep_answers = actor.team.keep_answers, policy
    actor.team.save(update_fields=["keep_answers"])
    record(actor, "team.keep_answers", actor.team, before=before, after=policy)
