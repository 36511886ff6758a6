"""What is said of an advice on page and mail: what happened, what to do, how its saving was computed."""

from dataclasses import dataclass

from jobs.costs.advice import Advice
from jobs.money import money_text, usd_string


@dataclass(frozen=True, slots=True)
class Words:
    title: str
    text: str
    arithmetic: str


def words_of(advice: Advice) -> Words:
    said = {
        "failures": _failures,
        "replays": _replays,
        "duplicates": _duplicates,
        "again": _again,
        "model": _model,
    }[advice.kind]
    return said(advice)


def _failures(one: Advice) -> Words:
    return Words(
        f"{one.failure}: {_calls(one.count)} of {_jobs(one)} were paid and brought nothing",
        one.suggestion or "Look at the failures and mend their cause before the next run.",
        f"what these {_calls(one.count)} cost",
    )


def _replays(one: Advice) -> Words:
    return Words(
        f"Replays threw away results of {_jobs(one)} that were paid",
        "Try template and model on a pilot first, and replay only the rows whose result is wrong.",
        "what the results cost that replays took the place of",
    )


def _duplicates(one: Advice) -> Words:
    return Words(
        f"{_calls(one.count)} of {_jobs(one)} asked what another row had asked",
        "Let rows that ask the same share one call: tick it when the job is launched.",
        "what such calls cost, less the dearest of each kind",
    )


def _again(one: Advice) -> Words:
    return Words(
        f"{_calls(one.count)} asked what an earlier job of the month had an answer to",
        "Let the later job reuse earlier results: tick it when the job is launched.",
        "what such calls cost, less the dearest of each kind",
    )


def _model(one: Advice) -> Words:
    each, other = money_text(one.each), money_text(one.other_each)
    return Words(
        f"A result of “{one.template}” cost {each} by {one.model}, and {other} by {one.other_model}",
        f"Compare the answers of both on the same rows, and run it with {one.other_model} where they "
        "are as good.",
        # Every digit, so that it multiplies out.
        f"{one.count:,} results × (${usd_string(one.each)} − ${usd_string(one.other_each)})",
    )


def _calls(count: int) -> str:
    return f"{count:,} call{'' if count == 1 else 's'}"


def _jobs(one: Advice) -> str:
    return f"“{one.job}”" if one.jobs == 1 else f"{one.jobs:,} jobs (most in “{one.job}”)"
