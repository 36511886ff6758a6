"""Estimates in words: what they were told from, and what came of them."""

from jobs.costs.estimates import HISTORY, PILOT, Estimate
from jobs.costs.told import Told
from jobs.models import Job
from jobs.templatetags.figures import count_text, percent_text


def _many(count: int, noun: str) -> str:
    return f"{count_text(count)} {noun}{'' if count == 1 else 's'}"


def basis_words(told: Estimate) -> str:
    """What it was told from; blank where there is nothing to go by."""
    if told.basis != HISTORY:
        return ""
    of = "this version" if told.same_version else "other versions of the template"
    return f"{_many(told.seen_rows, 'row')} of {_many(told.seen_jobs, 'earlier job')} with {of}"


def told_words(told: Told) -> str:
    if told.basis == PILOT:
        return f"after a pilot of {_many(told.seen_rows, 'row')}"
    return f"from {_many(told.seen_jobs, 'earlier job')}"


def outcome_words(job: Job, told: Told) -> str:
    """Of a job that has ended: how far off the estimate was."""
    if not told.cost.expected:
        return ""
    off = job.cost / told.cost.expected - 1
    where = "inside" if told.cost.holds(job.cost) else "outside"
    if abs(off) < 0.0005:
        return f"it cost just that; {where} the range"
    return f"it cost {percent_text(abs(off))} {'more' if off > 0 else 'less'}; {where} the range"
