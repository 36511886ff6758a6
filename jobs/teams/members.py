"""People in a team: added with a password shown once, given roles, taken out."""

import re
import secrets

from django.contrib.auth.models import User
from django.db import transaction

from jobs.errors import Conflict, Invalid
from jobs.models import ApiToken, Membership, Role, Team
from jobs.teams.access import Actor
from jobs.teams.audit import record
from jobs.teams.initial_passwords import mark_initial_password
from jobs.teams.policy import Action
from jobs.teams.tokens import token_revoke

_USERNAME = re.compile(r"^[\w.@+-]{2,150}$")


def new_password() -> str:
    """Random, 120 bits; long enough for every validator."""
    return secrets.token_urlsafe(15)


def member_add(*, actor: Actor, username: str, role: str) -> tuple[Membership, str | None]:
    """Add a person. Raises Invalid.

    A new account comes with its first password, good for one log-in; for an account that exists
    the second value is None and its password stays as it is.
    """
    actor.require(Action.MEMBER_WRITE)
    username = username.strip()
    if not _USERNAME.match(username):
        raise Invalid.field("username", "2 to 150 letters, digits or any of . @ + - _")
    _check_role(role)
    with transaction.atomic():
        password = None
        user = User.objects.filter(username=username).first()
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
    """Raises Invalid, and Conflict when the team would be left without an admin."""
    actor.require(Action.MEMBER_WRITE)
    _check_role(role)
    with transaction.atomic():
        before = _locked_role(membership)
        if before == role:
            return
        if role != Role.ADMIN:
            _keep_an_admin(membership, before)
        membership.role = role
        membership.save(update_fields=["role"])
        username = membership.user.username
        record(actor, "member.role", membership, username=username, before=before, after=role)


def member_remove(*, actor: Actor, membership: Membership) -> None:
    """Takes the person out of the team and revokes their tokens for it, for good: they do not come
    back to life with the person. Raises Conflict when it is the last admin."""
    actor.require(Action.MEMBER_WRITE)
    with transaction.atomic():
        _keep_an_admin(membership, _locked_role(membership))
        tokens = ApiToken.objects.filter(team=membership.team, user=membership.user)
        for token in tokens.filter(revoked_at__isnull=True):
            token_revoke(token)
        record(actor, "member.remove", membership, username=membership.user.username)
        membership.delete()


def _check_role(role: str) -> None:
    if role not in Role.values:
        raise Invalid.field("role", f"One of {', '.join(Role.values)}")


def _locked_role(membership: Membership) -> str:
    """The present role, read under the team's lock: two admins who demote each other at the same
    moment would otherwise both find that one remains."""
    Team.objects.select_for_update().get(pk=membership.team_id)
    role = Membership.objects.filter(pk=membership.pk).values_list("role", flat=True).first()
    if role is None:
        raise Conflict(f"{membership.user.username} is no longer in this team.")
    return role


def _keep_an_admin(membership: Membership, role: str) -> None:
    others = Membership.objects.filter(team=membership.team_id, role=Role.ADMIN)
    if role == Role.ADMIN and not others.exclude(pk=membership.pk).exists():
        raise Conflict("A team keeps at least one admin. Make somebody else admin first.")
