"""Raw requests and answers are forgotten in time; what they came to and cost is not."""

from datetime import datetime, timedelta

import pytest
from django.test import override_settings
from django.utils import timezone
from django_q.models import OrmQ

from jobs.engine import retention, tasks
from jobs.engine.reconcile import sweep
from jobs.engine.store import Store
from jobs.models import Attempt, Errand, Job, KeepAnswers, Record
from tests.engine.build import check_invariants, make_job
from tests.engine.drive import run_slice
from tests.simulator_process import SimulatorProcess

pytestmark = pytest.mark.django_db(transaction=True)


def ended(job: Job, days: float) -> datetime:
    at = timezone.now() - timedelta(days=days)
    Job.objects.filter(pk=job.pk).update(finished_at=at)
    return at


def kept(job: Job) -> int:
    bodies = Attempt.objects.filter(job_id=job.pk, answer__isnull=False, request__isnull=False)
    return bodies.count()


def test_it_forgets_what_was_said_days_after_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "CHUNK", 7)
    with SimulatorProcess({"refusal": 0.2}, seed=3) as simulator:
        old, new, open_ = (make_job(30, url=simulator.url) for _ in range(3))
        for job in (old, new, open_):
            job.team.keep_answers = KeepAnswers.ALL
            job.team.save()
        run_slice()
    assert [kept(job) for job in (old, new, open_)] == [30, 30, 30]
    ended(new, days=6)
    at = ended(old, days=8)
    Job.objects.filter(pk=open_.pk).update(finished_at=None)
    with override_settings(ANSWERS_DAYS=7):
        tasks.forget()
        assert [kept(job) for job in (old, new, open_)] == [0, 30, 30]
        assert Errand.objects.get(name="bodies").done_at == at
        # All else is as it was: the results, the books and the words about failures.
        succeeded = check_invariants(old.pk).succeeded
        assert Record.objects.filter(job_id=old.pk, output__isnull=False).count() == succeeded > 0
        assert Attempt.objects.filter(job_id=old.pk).exclude(message="").exists()
        # A job that was replayed has ended anew.
        Attempt.objects.filter(job_id=old.pk, n=30).update(request="{}", answer="{}")
        ended(old, days=7.5)
        tasks.forget()
        assert kept(old) == 0


@pytest.mark.parametrize("days", [0, 7])
def test_it_looks_now_and_then_where_there_is_an_end_to_keeping(days: int) -> None:
    with override_settings(ANSWERS_DAYS=days):
        sweep(Store())
    asked = [message.func() for message in OrmQ.objects.all()]
    assert asked == ([] if not days else ["jobs.engine.tasks.forget"])
