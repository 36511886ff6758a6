"""How many rows of a launch would need no call of their own, told before it is launched.

Twins are counted once for a dataset, the columns that a template takes and the rows that are chosen,
since none of these change; a large dataset in the background. Earlier answers grow, so that rows which
find one are counted anew each time, where that is done within a second; else when the job starts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from hashlib import blake2b
from typing import Any

import orjson
from django.db import connection as database
from django.db.models import Q, Sum
from django.utils import timezone

from jobs import queue
from jobs.control.parameters import check_parameters
from jobs.datasets.selection import selection_size
from jobs.engine.dialect import dialect_of
from jobs.engine.flat_keys import FlatKeys
from jobs.engine.plan import request_parameters
from jobs.engine.request_keys import constant_part
from jobs.engine.twins import RowKeys, earlier_answers, rows_of
from jobs.models import Connection, Dataset, Job, Team, TemplateVersion, TwinCount
from jobs.prompts.template import PromptText, TemplateFault
from jobs.teams.endpoints import endpoint_of

# What is counted while a person waits.
ROWS_NOW, BYTES_NOW = 30_000, 20_000_000
REUSABLE_ROWS_NOW, ANSWERS_NOW = 5_000, 200_000
# A count in the background that has said nothing for so long is begun anew.
COUNTS_FOR = timedelta(minutes=3)


@dataclass(frozen=True, slots=True)
class Repeats:
    """Rows that need no call: they repeat an earlier row, or find an earlier job's answer. None: not
    known yet, or not asked for; `counting` tells which."""

    duplicates: int | None = None
    reusable: int | None = None
    counting: bool = False

    @property
    def saved_rows(self) -> int:
        return (self.duplicates or 0) + (self.reusable or 0)


def repeats(
    *,
    team: Team,
    dataset: Dataset,
    version: TemplateVersion | None,
    connection: Connection | None,
    model: str,
    selection: Mapping[str, Any],
    parameters: Mapping[str, Any],
    share_duplicates: bool = True,
    reuse: bool = False,
) -> Repeats:
    """Of a launch as far as it is filled in."""
    if version is None:
        return Repeats()
    try:
        prompt = PromptText.compile(version.system, version.user)
    except TemplateFault:
        return Repeats()
    job = Job(
        team=team, dataset=dataset, template_version=version, model=model,
        selection=dict(selection), total=selection_size(selection, dataset.rows),
    )  # fmt: skip
    duplicates, counting = None, False
    if share_duplicates:
        duplicates = _duplicates(job, prompt)
        counting = duplicates is None
    reusable = None
    if reuse and connection is not None and model:
        reusable = _reusable(job, prompt, connection, parameters)
    return Repeats(duplicates, reusable, counting)


def known_duplicates(job: Job) -> int:
    """Of a job that is launched: counted before, or 0."""
    version = job.template_version
    if not job.share_duplicates:
        return 0
    key = _key(job, PromptText.compile(version.system, version.user))
    known = TwinCount.objects.filter(dataset=job.dataset, key=key).first()
    return 0 if known is None else known.duplicates or 0


def _key(job: Job, prompt: PromptText) -> str:
    """Of the columns taken and the rows chosen; in which order they go is no matter."""
    chosen = {name: n for name, n in job.selection.items() if name != "pilot"}
    written = orjson.dumps([prompt.takes, chosen], option=orjson.OPT_SORT_KEYS)
    return blake2b(written, digest_size=16).hexdigest()


def _duplicates(job: Job, prompt: PromptText) -> int | None:
    key = _key(job, prompt)
    known = TwinCount.objects.filter(dataset=job.dataset, key=key).first()
    if known is not None and known.duplicates is not None:
        return known.duplicates
    size = job.dataset.bytes * job.total // max(1, job.dataset.rows)
    if job.total <= ROWS_NOW and size <= BYTES_NOW:
        return _count(job, prompt, key)
    now = timezone.now()
    if known is None or known.begun_at < now - COUNTS_FOR:
        TwinCount.objects.update_or_create(dataset=job.dataset, key=key, defaults={"begun_at": now})
        told = orjson.dumps(job.selection).decode()
        task = "jobs.control.tasks.count_twins"
        queue.enqueue(task, job.dataset.pk, job.template_version.pk, told, key)
    return None


def count_twins(dataset_id: int, version_id: int, selection: str, key: str) -> None:
    """The count in the background."""
    dataset = Dataset.objects.get(pk=dataset_id)
    version = TemplateVersion.objects.get(pk=version_id)
    chosen = orjson.loads(selection)
    total = selection_size(chosen, dataset.rows)
    job = Job(dataset=dataset, selection=chosen, total=total)
    _count(job, PromptText.compile(version.system, version.user), key)


def _count(job: Job, prompt: PromptText, key: str) -> int:
    keys, known = RowKeys(prompt, None), FlatKeys(job.total)
    duplicates = 0
    for _, values in rows_of(dialect_of(database), job):
        found = keys.of(values)
        duplicates += found is not None and known.add(found) >= 0
    TwinCount.objects.update_or_create(
        dataset=job.dataset,
        key=key,
        defaults={"duplicates": duplicates, "begun_at": timezone.now()},
    )
    return duplicates


def _reusable(
    job: Job, prompt: PromptText, connection: Connection, parameters: Mapping[str, Any]
) -> int | None:
    """Rows that find an answer; of twins that do, the first alone: the others repeat it."""
    answers = Job.objects.filter(Q(team=job.team_id), Q(model=job.model)).aggregate(
        known=Sum("succeeded")
    )
    if job.total > REUSABLE_ROWS_NOW or (answers["known"] or 0) > ANSWERS_NOW:
        return None
    try:
        endpoint = endpoint_of(connection)
    except ValueError:
        return None
    version = job.template_version
    asked = check_parameters({**version.defaults, **parameters}, [])
    constant = constant_part(
        endpoint, job.model, version.output_schema, request_parameters(asked)[0]
    )
    dialect, keys, known = dialect_of(database), RowKeys(prompt, constant), FlatKeys(job.total)
    for _, values in rows_of(dialect, job):
        key = keys.of(values)
        if key is not None:
            known.add(key)
    found = {known.find(key) for *_, key in earlier_answers(dialect, job)}
    return len(found - {-1})
