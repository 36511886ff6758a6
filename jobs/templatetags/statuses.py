"""How each status looks: its words are the database's, its tone and icon stand here alone."""

from dataclasses import dataclass

from jobs.models import RecordStatus


@dataclass(frozen=True, slots=True)
class Look:
    tone: str
    icon: str


LOOKS = {
    # records
    "pending": Look("grey", "circle-dashed"),
    "running": Look("blue", "progress"),
    "succeeded": Look("green", "circle-check"),
    "failed": Look("red", "circle-x"),
    "cancelled": Look("grey", "ban"),
    "retrying": Look("orange", "refresh"),
    "waiting": Look("purple", "hourglass"),
    # jobs
    "queued": Look("grey", "clock"),
    "paused": Look("orange", "player-pause"),
    "cancelling": Look("orange", "ban"),
    "completed": Look("green", "circle-check"),
    "completed_with_failures": Look("orange", "alert-triangle"),
    # datasets
    "ingesting": Look("blue", "progress"),
    "ready": Look("green", "circle-check"),
    # attempts
    "accepted": Look("green", "circle-check"),
    "superseded": Look("grey", "history"),
    "late": Look("purple", "history"),
    "in_doubt": Look("purple", "help"),
}
_UNKNOWN = Look("grey", "info-circle")
# The order of a stacked bar and its legend: what is settled first, what is left last.
BAR_ORDER = ("succeeded", "failed", "running", "retrying", "waiting", "pending", "cancelled")


def status_key(status: str | int) -> str:
    """The name of a status; a record's is an integer in the tables."""
    if isinstance(status, int):
        return RecordStatus(status).label.lower()
    return str(status)


def status_words(key: str) -> str:
    return key.replace("_", " ")


def look_of(key: str) -> Look:
    """A status that nobody gave a look (from a newer release, say) is grey, never an error."""
    return LOOKS.get(key, _UNKNOWN)
