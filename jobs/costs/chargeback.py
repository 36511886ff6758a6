"""What a month cost each team, by job, person and model: the lines by which a company charges its teams.

From the roll-ups: so what is said of a closed month never changes.
"""

from collections.abc import Iterator, Sequence
from itertools import batched
from typing import Any

from django.db.models import Sum

from jobs.costs.months import Month
from jobs.models import Connection, CostRollup, Job, Team, TemplateVersion
from jobs.money import usd_string
from jobs.written import Written

type Line = dict[str, Any]

CHUNK = 1_000
_KEYS = ("job_id", "template_version_id", "connection_id", "model")
_COUNTS = (
    "calls", "accepted", "input_tokens", "cached_input_tokens", "cache_write_tokens",
    "cache_write_1h_tokens", "output_tokens",
)  # fmt: skip
_MONEY = ("cost", "wasted_cost", "in_doubt_cost", "estimated_cost")
_DOUBTS = ("in_doubt_calls", "unpriced_calls")
COLUMNS = (
    "month", "team", "team_id", "job", "job_id", "launched_by", "template", "template_version",
    "connection", "model", "tags", *_COUNTS, *(f"{name}_usd" for name in _MONEY), *_DOUBTS,
)  # fmt: skip
_SUMMED = {f"sum_{name}": Sum(name) for name in (*_COUNTS, *_MONEY, *_DOUBTS)}


def chargeback_lines(*, team_ids: Sequence[int], month: Month) -> Iterator[list[Line]]:
    """Chunks of lines, each with all of `COLUMNS` in their order; team by team."""
    teams = Team.objects.in_bulk(team_ids)
    for team_id in team_ids:
        groups = (
            CostRollup.objects.filter(team_id=team_id, day__gte=month.first, day__lte=month.last)
            .values(*_KEYS)
            .annotate(**_SUMMED)
            .order_by(*_KEYS)
        )
        # One group a job or so: small enough to be read at once, which is of one moment.
        for chunk in batched(list(groups), CHUNK, strict=False):
            yield _lines(chunk, month, teams[team_id])


def _lines(groups: Sequence[dict[str, Any]], month: Month, team: Team) -> list[Line]:
    jobs = Job.objects.select_related("created_by").in_bulk({group["job_id"] for group in groups})
    connections = Connection.objects.in_bulk({group["connection_id"] for group in groups})
    versions = TemplateVersion.objects.select_related("template").in_bulk(
        {group["template_version_id"] for group in groups}
    )
    lines = []
    for group in groups:
        job, version = jobs.get(group["job_id"]), versions.get(group["template_version_id"])
        person = job.created_by if job else None
        line: Line = {
            "month": f"{month}",
            "team": team.name,
            "team_id": team.public_id,
            "job": job.name if job else "Outside jobs",
            "job_id": job.public_id if job else None,
            "launched_by": person.get_username() if person else None,
            "template": version.template.name if version else None,
            "template_version": version.version if version else None,
            "connection": connections[group["connection_id"]].name,
            "model": group["model"],
            "tags": "; ".join(f"{k}={v}" for k, v in sorted(job.tags.items())) if job else None,
        }
        line |= {name: int(group[f"sum_{name}"]) for name in _COUNTS}
        line |= {f"{name}_usd": _usd(int(group[f"sum_{name}"])) for name in _MONEY}
        line |= {name: int(group[f"sum_{name}"]) for name in _DOUBTS}
        lines.append(line)
    return lines


def _usd(pico: int) -> Written:
    return Written(usd_string(pico) or "")
