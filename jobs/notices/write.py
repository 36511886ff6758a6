"""Notices are written here, in the transaction of what they tell of."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from jobs.models import Notice, NoticeKind, Role


def notice_write(
    *,
    team_id: int,
    kind: NoticeKind,
    key: str,
    title: str,
    link: str,
    at: datetime,
    body: str = "",
    facts: Sequence[tuple[str, str]] = (),
    data: Mapping[str, Any] | None = None,
    person_id: int | None = None,
    role: Role | None = None,
    lasted_s: int = 0,
) -> None:
    """Tell something once: a second notice under the same `key` is dropped, whoever writes it.

    It reaches `person_id` and everybody who has `role` or more in the team, in the application and by
    mail as each of them prefers, and the team's webhooks. `link` is a path of this application, `facts`
    are lines for people (label, value), `data` is the same for programs. Nothing in it may be a secret
    or a row's content.
    """
    Notice.objects.bulk_create(
        [
            Notice(
                team_id=team_id,
                kind=kind,
                key=key,
                title=title[:300],
                body=body,
                link=link,
                facts=[[label, value] for label, value in facts],
                data=dict(data or {}),
                person_id=person_id,
                role=role or "",
                lasted_s=lasted_s,
                created_at=at,
            )
        ],
        ignore_conflicts=True,
    )
