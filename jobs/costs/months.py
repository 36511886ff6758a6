"""Months of the books: whole ones, in UTC."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

# What ended at midnight may still be settled for a while; after that a month can be closed.
SETTLES_FOR = timedelta(hours=24)


@dataclass(frozen=True, slots=True, order=True)
class Month:
    first: date

    @classmethod
    def of(cls, day: date) -> "Month":
        return cls(day.replace(day=1))

    @classmethod
    def parse(cls, text: str) -> "Month | None":
        """Of “2026-11”; None of anything else."""
        try:
            # A strict form: `fromisoformat` alone would take weeks, too.
            if len(text) != 7 or text[4] != "-":
                return None
            return cls(date.fromisoformat(f"{text}-01"))
        except ValueError:
            return None

    @property
    def next(self) -> "Month":
        year, month = divmod(self.first.year * 12 + self.first.month, 12)
        return Month(date(year, month + 1, 1))

    @property
    def before(self) -> "Month":
        return Month.of(self.first - timedelta(1))

    @property
    def last(self) -> date:
        return self.next.first - timedelta(1)

    @property
    def closes_from(self) -> datetime:
        """When it can be closed at the earliest."""
        return midnight(self.next.first) + SETTLES_FOR

    @property
    def words(self) -> str:
        return f"{self.first:%B %Y}"

    def __str__(self) -> str:
        return f"{self.first:%Y-%m}"


def midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
