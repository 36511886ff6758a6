"""What a connection's limits do: the level they were held at and the calls that were made, by model."""

from dataclasses import dataclass
from datetime import timedelta

from django.utils import timezone

from jobs.engine.history import KEPT, filled
from jobs.engine.lane import rounded
from jobs.engine.limits import SharedState
from jobs.models import Connection, LimitState

MODELS = 20  # on one page, those used last


@dataclass(frozen=True, slots=True)
class LimitLine:
    model: str
    level: int  # requests/min that calls are held to; 0: no limit known
    why: str
    used: int  # calls in the last full minute, the refused ones too
    calls: int  # in all minutes shown
    refused: int
    levels: list[int]  # by minute
    sent: list[int]  # but for the minute under way

    @property
    def used_percent(self) -> int:
        return round(100 * self.used / self.level) if self.level else 0


def limits_seen(connection: Connection) -> list[LimitLine]:
    """One line for each model that was called in the minutes that are kept, the latest first."""
    now = timezone.now()
    states = LimitState.objects.filter(
        connection=connection, updated_at__gt=now - timedelta(minutes=KEPT)
    ).order_by("-updated_at", "model")[:MODELS]
    return [_line(connection, one, now.timestamp()) for one in states]


def _line(connection: Connection, stored: LimitState, now: float) -> LimitLine:
    state = SharedState.load(stored.state)
    minutes = filled(state.past, now)
    sent = [let_in + refused for _, let_in, refused, _ in minutes]
    level = minutes[-1][3]
    own = connection.rpm is not None and level >= 0.9 * connection.rpm
    if own and connection.rpm is not None:
        level = connection.rpm  # slots are a little wider than it needs
    elif level and not state.pace.told:
        level = rounded(level)
    return LimitLine(
        model=stored.model,
        level=level,
        why=_why(level, own, state),
        used=sent[-2],
        calls=sum(sent),
        refused=sum(refused for _, _, refused, _ in minutes),
        levels=[one[3] for one in minutes],
        sent=sent[:-1],
    )


def _why(level: int, own: bool, state: SharedState) -> str:
    if not level:
        return "no limit met"
    if own:
        return "your limit"
    return "told by the provider" if state.pace.told else "as found"
