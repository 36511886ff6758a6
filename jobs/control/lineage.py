"""With which template version a record was last sent: the job's own, or that of its replay."""

from dataclasses import dataclass

from jobs.models import Job, Replay, TemplateVersion


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
    """By `Record.replay_id`; None for records that were never replayed."""
    found: dict[int | None, Sent] = {None: Sent(job.template_version, None)}
    for replay in Replay.objects.filter(job=job).select_related("template_version"):
        version = replay.template_version or job.template_version
        found[replay.pk] = Sent(version, replay.public_id)
    return found
