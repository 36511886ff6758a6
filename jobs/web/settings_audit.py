"""Settings: the audit log."""

from django.http import HttpResponseBase, QueryDict

from jobs.teams.policy import Action
from jobs.teams.selectors import AuditFilter, audit_kinds, audit_page
from jobs.web.pages import PageRequest, page
from jobs.web.settings_shared import settings_page

TAB = "settings_audit"
_LARGEST_ID = 2**63 - 1


def _filter(query: QueryDict, kinds: list[str]) -> AuditFilter:
    """What cannot be understood does not filter."""
    kind = query.get("kind", "")
    before = query.get("before", "")
    number = int(before) if before.isascii() and before.isdigit() else None
    return AuditFilter(
        q=query.get("q", "").strip()[:150],
        kind=kind if kind in kinds else "",
        before=number if number is not None and number <= _LARGEST_ID else None,
    )


@page(Action.AUDIT_READ)
def audit(request: PageRequest) -> HttpResponseBase:
    kinds = audit_kinds(request.actor)
    wanted = _filter(request.GET, kinds)
    found = audit_page(request.actor, wanted)
    newer, older = request.GET.copy(), request.GET.copy()
    newer.pop("before", None)
    older["before"] = str(found.next_before)
    return settings_page(
        request,
        "audit.html",
        TAB,
        {
            "events": found.events,
            "kinds": kinds,
            "wanted": wanted,
            "filtered": bool(wanted.q or wanted.kind),
            "first_url": f"?{newer.urlencode()}" if wanted.before is not None else "",
            "next_url": f"?{older.urlencode()}" if found.next_before is not None else "",
        },
    )
