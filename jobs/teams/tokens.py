"""API tokens: shown once, stored as a hash, never worth more than their user's present role."""

import hashlib
import secrets
from datetime import timedelta

from django.contrib.auth.models import User
from django.db.models import Q
from django.utils import timezone

from jobs.models import ApiToken, Membership, Role, Team
from jobs.teams.access import Actor

_PREFIX = "bllm_"
_SEEN_EVERY = timedelta(minutes=1)


def _hash(raw: str) -> str:
    # 256 random bits need no slow hash: there is nothing to guess.
    return hashlib.sha256(raw.encode()).hexdigest()


def token_create(*, user: User, team: Team, role: Role, name: str) -> tuple[ApiToken, str]:
    """A new token and its text, which nothing can show again."""
    raw = _PREFIX + secrets.token_urlsafe(32)
    token = ApiToken.objects.create(
        team=team, user=user, role=role, name=name, prefix=raw[:12], token_hash=_hash(raw)
    )
    return token, raw


def token_revoke(token: ApiToken) -> None:
    """Idempotent."""
    ApiToken.objects.filter(pk=token.pk, revoked_at__isnull=True).update(revoked_at=timezone.now())


def actor_of_token(raw: str, address: str | None) -> Actor | None:
    """Who a token speaks for: None for an unknown or revoked one, or a membership that is gone."""
    token = (
        ApiToken.objects.select_related("user", "team")
        .filter(token_hash=_hash(raw), revoked_at__isnull=True, user__is_active=True)
        .first()
    )
    if token is None:
        return None
    role = Role(token.role)
    if not token.user.is_superuser:
        membership = Membership.objects.filter(user=token.user, team=token.team).first()
        if membership is None:
            return None
        role = min(role, Role(membership.role), key=lambda r: r.rank)
    now = timezone.now()
    # At most once a minute: a busy program would otherwise write at each call.
    ApiToken.objects.filter(pk=token.pk).filter(
        Q(last_used_at__isnull=True) | Q(last_used_at__lt=now - _SEEN_EVERY)
    ).update(last_used_at=now)
    return Actor(
        user=token.user,
        team=token.team,
        role=role,
        is_installation_admin=token.user.is_superuser,
        via="token",
        address=address,
    )
