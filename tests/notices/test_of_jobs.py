"""A job tells of its end and of a pause of its own, once, as soon as it comes true."""

import pytest
from django.core import mail
from django.utils import timezone

from jobs.control.actions import job_cancel, job_pause, job_resume
from jobs.engine.reconcile import sweep
from jobs.models import Job, Notice, NoticeCopy, NoticeKind
from jobs.notices.of_jobs import note_difference
from tests.cast import Cast, cast  # noqa: F401
from tests.engine.build import make_job
from tests.engine.drive import run_job
from tests.engine.test_job_state_machine import Bench, _run_away
from tests.notices.test_delivery import go
from tests.simulator_process import SimulatorProcess

pytestmark = pytest.mark.django_db(transaction=True)


def told(job: Job) -> list[tuple[str, str]]:
    notices = Notice.objects.filter(key__startswith=f"job:{job.pk}:").order_by("id")
    return list(notices.values_list("kind", "title"))


def test_a_job_that_ends_or_pauses_itself_tells_whoever_launched_it(cast: Cast) -> None:  # noqa: F811
    with SimulatorProcess({"authentication": 1.0}) as simulator:
        job = run_job(make_job(6, url=simulator.url, team=cast.team, created_by=cast.olivia))
        assert told(job) == [("job.paused", "job paused itself: key refused")]
        go()
        assert [message.to for message in mail.outbox] == [["olivia@example.com"]]
        assert f"/jobs/{job.public_id}/" in mail.outbox[0].body
        actor = cast.actor(cast.alice)
        for _ in range(2):
            # What a person does needs no telling; what comes of it anew does.
            run_job(job_resume(actor=actor, job=job_pause(actor=actor, job=job)))
        assert {kind for kind, _ in told(job)} == {"job.paused"}
        simulator.set_faults({})
        job = run_job(job_resume(actor=actor, job=job))
    assert told(job)[-1] == ("job.completed", "job completed")
    ended = Notice.objects.get(kind=NoticeKind.JOB_COMPLETED)
    assert ["Succeeded", "6"] in ended.facts
    assert ended.data["cost"] != "0.00"
    go()
    assert NoticeCopy.objects.filter(notice=ended).get().user == cast.olivia
    assert all("completed" not in message.subject for message in mail.outbox)  # it was a short one
    cancelled = make_job(2, team=cast.team)
    job_cancel(actor=actor, job=cancelled)
    assert told(cancelled) == []


def test_a_runaway_is_told_to_the_leads_by_the_next_sweep(cast: Cast) -> None:  # noqa: F811
    bench = Bench(6)
    Job.objects.filter(pk=bench.id).update(team=cast.team, created_by=cast.olivia)
    _run_away(bench)
    assert bench.job.status_reason == "runaway"
    sweep(bench.store)
    people = NoticeCopy.objects.filter(notice__kind=NoticeKind.JOB_PAUSED)
    assert set(people.values_list("user__username", flat=True)) == {"alice", "bob", "olivia"}


def test_a_difference_in_the_books_is_told_once(cast: Cast) -> None:  # noqa: F811
    job = make_job(1, team=cast.team)
    for _ in range(2):
        note_difference(job.pk, "cost: expected 3, found 4", timezone.now())
    assert [kind for kind, _ in told(job)] == ["ledger.difference"]
