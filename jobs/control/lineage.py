"""What a record's result was made with: the template version, the job's own or that of a replay, and the
row as it stood then."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from jobs.models import Job, Record, Replay, RowEdit, TemplateVersion


@dataclass(frozen=True, slots=True)
class Sent:
    """How the records of one replay were sent; without a replay, as the job says."""

    version: TemplateVersion
    replay: str | None  # public id

    @property
    def structured(self) -> bool:
        """Whether answers are JSON values; else they are texts."""
        return self.version.output_schema is not None


def sent_by_replay(job: Job) -> dict[int | None, Sent]:
    """By `Record.result_replay_id`; None for what the first run brought."""
    found: dict[int | None, Sent] = {None: Sent(job.template_version, None)}
    for replay in Replay.objects.filter(job=job).select_related("template_version"):
        version = replay.template_version or job.template_version
        found[replay.pk] = Sent(version, replay.public_id)
    return found


def sources_of(records: Iterable[Record]) -> dict[int, dict[str, Any]]:
    """Of those that took another record's answer: its job (public id) and row."""
    taken = {
        one.n: (one.source_job_id, one.source_n) for one in records if one.source_job_id is not None
    }
    jobs = public_ids({job_id for job_id, _ in taken.values() if job_id is not None})
    return {
        n: {"job": jobs[job_id], "row": source_n}
        for n, (job_id, source_n) in taken.items()
        if job_id in jobs
    }


def public_ids(job_ids: Collection[int]) -> dict[int | None, str]:
    if not job_ids:
        return {}
    return dict(Job.objects.filter(pk__in=job_ids).values_list("pk", "public_id"))


def edited_rows(
    job: Job, replays: Mapping[int, int | None], among: Mapping[str, Any]
) -> dict[int, str]:
    """Of these rows the newest edit, as JSON text, up to the replay that `replays` names for each
    (`Record.result_replay_id`): what was sent then. One that is still to be applied, or came to nothing
    beside a result that is kept, is not what that result was made of."""
    edits = RowEdit.objects.filter(job=job, **among).order_by("id")
    found: dict[int, str] = {}
    for n, replay_id, data in edits.values_list("n", "replay_id", "data"):
        if replay_id <= (replays.get(n) or 0):
            found[n] = data
    return found
