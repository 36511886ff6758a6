"""The steps of the benchmark of the costs pages; see `bench.inside`."""

import statistics
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib.auth.models import User
from django.db import connection, transaction
from django.test import Client

from bench.actions import prepare
from jobs.models import (
    Connection,
    Job,
    Membership,
    PromptTemplate,
    Role,
    Team,
    TemplateVersion,
)
from jobs.models.fields import new_public_id
from jobs.teams.tokens import token_create

TEAMS, TEMPLATES, VERSIONS, MODELS = 6, 30, 3, 3


def fill(*, days: int, jobs_a_day: int, attempts: int) -> dict[str, Any]:
    """A ledger of so many attempts in all, the roll-ups that it sums to, and the jobs: an installation
    of six teams with the larger half in one."""
    world = prepare(rows=10, url="http://127.0.0.1:9")
    first = Team.objects.get(pk=world["team"])
    teams = [first, *(Team.objects.create(name=f"Team {n}") for n in range(1, TEAMS))]
    person = User.objects.get(pk=world["user"])
    person.is_superuser = True
    person.save()
    people = [User.objects.create(username=f"person-{n}") for n in range(20)]
    made = [
        Connection.objects.create(team=teams[n % TEAMS], name=f"C{n}", kind="simulator")
        for n in range(TEAMS * 2)
    ]
    versions = []
    for n in range(TEMPLATES):
        template = PromptTemplate.objects.create(
            team=teams[n % TEAMS], name=f"Template {n}", latest_version=VERSIONS
        )
        versions += [
            TemplateVersion.objects.create(template=template, version=v, user="x")
            for v in range(1, VERSIONS + 1)
        ]
    for one in people:
        Membership.objects.create(user=one, team=first, role=Role.OPERATOR)
    number = days * jobs_a_day
    _jobs(world["job"], number, days, jobs_a_day, teams, people, versions, made)
    each = attempts // number
    _attempts(world["job"], number, each)
    _roll_up()
    return {"user": person.pk, "lead": people[0].pk, "team": first.pk, "jobs": number}


def _execute(sql: str, parameters: Any = None) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql, parameters)


def _series(number: int) -> str:
    if connection.vendor == "postgresql":
        return f"generate_series(1, {number:d}) AS s(i)"
    return (
        f"(WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < {number:d}) "
        "SELECT i FROM c) AS s"
    )


def _pick(ids: list[int], index: str) -> str:
    """One of some ids by a number in SQL."""
    cases = " ".join(f"WHEN {at} THEN {pk}" for at, pk in enumerate(ids))
    return f"CASE ({index}) % {len(ids)} {cases} END"


def _jobs(
    like: int,
    number: int,
    days: int,
    a_day: int,
    teams: list[Team],
    people: list[User],
    versions: list[TemplateVersion],
    made: list[Connection],
) -> None:
    """Copies of a job, spread over the days, the newest last."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM jobs_job WHERE id = %s", [like])
        columns = [column[0] for column in cursor.description]
    start = datetime.now(UTC).replace(hour=2, minute=0, second=0) - timedelta(days - 1)
    team = f"CASE WHEN i % 2 = 0 THEN {teams[0].pk} ELSE {_pick([t.pk for t in teams[1:]], 'i / 2')} END"
    at = (
        f"TIMESTAMPTZ '{start.isoformat()}' + ((i - 1) / {a_day}) * INTERVAL '1 day'"
        if connection.vendor == "postgresql"
        else f"datetime('{start:%Y-%m-%d %H:%M:%S}', '+' || ((i - 1) / {a_day}) || ' days')"
    )
    changed = {
        "id": f"{like} + i",
        "public_id": "'bench' || i",
        "team_id": team,
        "name": f"CASE WHEN i % 3 = 0 THEN 'Nightly ' || (i % {a_day}) ELSE 'Job ' || i END",
        "template_version_id": _pick([v.pk for v in versions], "i * 7"),
        "connection_id": _pick([c.pk for c in made], "i"),
        "model": f"'model-' || (i % {MODELS})",
        "tags": "CASE i % 4 WHEN 0 THEN '{}' WHEN 1 THEN '{\"centre\": \"a\"}' ELSE "
        '\'{"centre": "b", "source": "crm"}\' END'
        + ("::jsonb" if connection.vendor == "postgresql" else ""),
        "status": "'completed'",
        "created_by_id": _pick([p.pk for p in people], "i / 3"),
        **dict.fromkeys(("created_at", "started_at", "finished_at"), at),
    }
    values = ", ".join(changed.get(name, f"j.{name}") for name in columns)
    _execute(
        f"INSERT INTO jobs_job ({', '.join(columns)}) SELECT {values} FROM jobs_job j, "
        f"{_series(number)} WHERE j.id = {like}".replace("%", "%%"),
        [],
    )


def _attempts(like: int, number: int, each: int) -> None:
    """Two models a job: what failed was tried again with the larger one."""
    costs = "(200 + 40 * (n % 9)) * 150000 + (20 + 7 * (n % 11)) * 600000"
    day = (
        "date(j.created_at)"
        if connection.vendor == "sqlite"
        else "(j.created_at AT TIME ZONE 'UTC')::date"
    )
    step = max(1, 2_000_000 // each)
    for first in range(1, number + 1, step):
        _execute(
            "INSERT INTO jobs_attempt (job_id, n, number, outcome, purpose, generation, "
            "template_version_id, connection_id, model, model_returned, worker, day, started_at, "
            "waited_ms, took_ms, http_status, provider_request_id, failure_class, message, "
            "input_tokens, cached_input_tokens, cache_write_tokens, cache_write_1h_tokens, "
            "output_tokens, reasoning_tokens, usage_estimated, usage, rates, cost, waste) "
            "SELECT j.id, i, 1, CASE WHEN i % 12 = 0 THEN 'failed' ELSE 'accepted' END, 'first', 0, "
            "j.template_version_id, j.connection_id, CASE WHEN i % 5 = 0 THEN j.model || '-large' "
            f"ELSE j.model END, j.model, 'w', {day}, j.created_at, 1, 300 + i % 900, 200, '', "
            "CASE WHEN i % 12 = 0 THEN 'invalid_json' ELSE '' END, '', 200 + 40 * (i % 9), "
            "100 * (i % 2), 0, 0, 20 + 7 * (i % 11), 0, i % 40 = 0, '', '', "
            f"{costs.replace('n ', 'i ')}, CASE WHEN i % 24 = 0 THEN 'failed' WHEN i % 12 = 0 THEN "
            f"'retried' ELSE '' END FROM jobs_job j, {_series(each)} WHERE j.id BETWEEN "
            f"{like + first:d} AND {like + min(number, first + step - 1):d}".replace("%", "%%"),
            [],
        )


def _roll_up() -> None:
    wasted = {
        cause: f"SUM(CASE WHEN waste = '{cause}' THEN a.cost ELSE 0 END)"
        for cause in ("failed", "retried")
    }
    one = "SUM(CASE WHEN {} THEN 1 ELSE 0 END)"
    sums = {
        "calls": "COUNT(*)",
        "input_tokens": "SUM(a.input_tokens)",
        "cached_input_tokens": "SUM(a.cached_input_tokens)",
        "cache_write_tokens": "0",
        "output_tokens": "SUM(a.output_tokens)",
        "cost": "SUM(a.cost)",
        "wasted_cost": "SUM(CASE WHEN waste <> '' THEN a.cost ELSE 0 END)",
        "in_doubt_cost": "0",
        "in_doubt_calls": "0",
        "unpriced_calls": "0",
        "estimated_calls": one.format("usage_estimated"),
        "estimated_cost": "SUM(CASE WHEN usage_estimated THEN a.cost ELSE 0 END)",
        "accepted": one.format("outcome = 'accepted'"),
        **{f"{cause}_cost": sql for cause, sql in wasted.items()},
        "cache_savings": "SUM(a.cached_input_tokens) * 75000",
    }
    _execute(
        "INSERT INTO jobs_costrollup (job_id, template_version_id, connection_id, model, day, team_id, "
        f"{', '.join(sums)}) SELECT a.job_id, a.template_version_id, a.connection_id, a.model, a.day, "
        f"j.team_id, {', '.join(sums.values())} FROM jobs_attempt a JOIN jobs_job j ON j.id = a.job_id "
        "GROUP BY a.job_id, a.template_version_id, a.connection_id, a.model, a.day, j.team_id"
    )
    _execute(
        "UPDATE jobs_job SET cost = COALESCE((SELECT SUM(cost) FROM jobs_costrollup r WHERE "
        "r.job_id = jobs_job.id), 0)"
    )
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # Jobs are updated in their pages as they run; the update above has left holes instead.
            cursor.execute("VACUUM (FULL) jobs_job")
        cursor.execute("VACUUM" if connection.vendor == "sqlite" else "VACUUM (ANALYZE)")
        if connection.vendor == "sqlite":
            cursor.execute("ANALYZE")


def cost_pages(*, user: int, lead: int, team: int, times: int) -> dict[str, float]:
    """p95 of the server's time in ms: each view of the costs, of the largest team and of all teams."""
    groups = (
        "model", "template", "version", "job", "person", "tag", "connection", "team", "day",
    )  # fmt: skip
    own, every = _client(lead), _client(user)
    found = {f"team, by {by}": _p95(own, f"/costs/?by={by}", times) for by in groups}
    found |= {f"all, by {by}": _p95(every, f"/costs/?teams=all&by={by}", times) for by in groups}
    month = datetime.now(UTC).date() - timedelta(29)
    found["team, 30 days"] = _p95(own, f"/costs/?by=model&from={month}", times)
    found["all, 30 days"] = _p95(every, f"/costs/?teams=all&by=model&from={month}", times)
    found["team, one template"] = _p95(own, f"/costs/?by=job&template={_template(team)}", times)
    person = User.objects.get(pk=user)
    token = token_create(user=person, team=Team.objects.get(pk=team), role=Role.ADMIN, name="b")[1]
    bearer = {"headers": {"Authorization": f"Bearer {token}"}}
    for by in ("model", "template", "day", "team"):
        found[f"API, by {by}"] = _p95(
            Client(SERVER_NAME="localhost"),
            f"/api/v1/costs?group_by={by}&from={month}",
            times,
            **bearer,
        )
    return found


def _template(team: int) -> str:
    return PromptTemplate.objects.filter(team=team).values_list("public_id", flat=True)[1]


def _client(user: int) -> Client:
    client = Client(SERVER_NAME="localhost")
    client.force_login(
        User.objects.get(pk=user), backend="django.contrib.auth.backends.ModelBackend"
    )
    return client


def _p95(client: Client, address: str, times: int, **options: Any) -> float:
    took = []
    for at in range(times + 2):
        began = time.monotonic()
        response = client.get(address, **options)
        assert response.status_code == 200, (address, response.status_code)
        if at >= 2:  # the first ones compile templates
            took.append((time.monotonic() - began) * 1000)
    return statistics.quantiles(took, n=20)[-1]


def twin(*, job: int) -> dict[str, int]:
    """Another job over the same rows."""
    found = Job.objects.get(pk=job)
    found.pk, found.public_id, found.name = None, new_public_id(), "twin"
    found.save(force_insert=True)
    return {"job": found.pk}


def compare_pages(*, user: int, job: int, other: int, times: int) -> dict[str, float]:
    """p95 of the server's time in ms; every hundredth answer of the other job is another."""
    with connection.cursor() as cursor:
        cursor.execute(
            'UPDATE jobs_record SET output = \'{"label":"early"}\' WHERE job_id = %s AND '
            "n %% 100 = 1",
            [other],
        )
        cursor.execute("VACUUM (ANALYZE) jobs_record")
    ids = [Job.objects.get(pk=pk).public_id for pk in (job, other)]
    address = f"/jobs/compare/?a={ids[0]}&b={ids[1]}"
    client = _client(user)
    return {
        "compare": _p95(client, address, times),
        "compare, only one succeeded": _p95(client, f"{address}&show=only_a", times),
    }
