"""Two jobs on the same rows: counts that are right, rows that can be opened, nothing of others."""

import csv
import io
import json

import pytest

from jobs.control import compare
from jobs.models import Job, JobStatus, Record, RecordStatus, TemplateVersion
from tests.cast import cast  # noqa: F401
from tests.web.reading import assert_harmless, queries, tags, text
from tests.web.work import HOSTILE, Work, work  # noqa: F401

pytestmark = pytest.mark.django_db


def _answer(job: Job, n: int, answer: object) -> None:
    Record.objects.filter(job=job, n=n).update(
        output=json.dumps(answer), status=RecordStatus.SUCCEEDED, failure_class=None
    )


@pytest.fixture
def two(work: Work) -> tuple[Job, Job]:  # noqa: F811
    """Rows 1–8 and 1–9; B failed where A did not, and the other way round; two answers differ."""
    a = work.job(succeeded=7, failed=1, status=JobStatus.COMPLETED_WITH_FAILURES, name="Small")
    b = work.job(
        succeeded=8, failed=1, status=JobStatus.COMPLETED_WITH_FAILURES, name="Large", model="large"
    )
    for n in range(1, 8):
        _answer(a, n, {"category": "late", "score": 1})
    for n in range(1, 9):
        _answer(b, n, {"score": 1.0, "category": "late"})  # the same, written otherwise
    _answer(b, 2, {"category": HOSTILE, "score": 1})
    _answer(b, 3, {"category": "early", "score": 2})
    Record.objects.filter(job=b, n=5).update(
        output=None, status=RecordStatus.FAILED, failure_class="refusal"
    )
    return a, b


def test_it_counts_the_rows_that_both_have(work: Work, two: tuple[Job, Job]) -> None:  # noqa: F811
    a, b = two
    response = work.olivia.get(f"/jobs/compare/?a={a.public_id}&b={b.public_id}")
    page = text(response)
    assert "Rows in both 8 all of them" in page
    assert "Agree 4 67% of the 6 both answered" in page
    assert "Differ 2 category 2, score 1" in page
    assert "Only A 1 B has no result" in page
    assert "Only B 1 A has no result" in page
    assert "All that differ 4" in page
    assert "Model refused 1 2" in page  # by class
    assert "200 ms" not in page
    assert "0 ms" in page
    assert_harmless(response)
    for n in (2, 3, 5, 8):
        for job in two:
            assert f"/jobs/{job.public_id}/records/{n}/" in [
                one["href"] for one in tags(response, "a")
            ]
    only = text(work.olivia.get(f"/jobs/compare/?a={a.public_id}&b={b.public_id}&show=only_a"))
    assert "5 only A succeeded" in only
    assert "8 only B" not in only


def test_it_goes_through_all_rows_page_by_page_and_as_a_file(
    work: Work,  # noqa: F811
    two: tuple[Job, Job],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    a, b = two
    address = f"/jobs/compare/?a={a.public_id}&b={b.public_id}"
    monkeypatch.setattr(compare, "PAGE", 1)
    seen, url = [], address
    while url and len(seen) < 9:
        page = work.olivia.get(url)
        rows = [
            one
            for one in tags(page, "a")
            if "data-row-open" in one and "/records/" in str(one["href"])
        ]
        seen += [str(one["href"]).rstrip("/").rpartition("/")[2] for one in rows]
        following = [one["href"] for one in tags(page, "a") if one.get("rel") == "next"]
        url = f"/jobs/compare/{following[0]}" if following else ""
    assert seen == ["2", "3", "5", "8"]
    response = work.olivia.get(f"/jobs/compare/differences.csv?a={a.public_id}&b={b.public_id}")
    lines = list(csv.DictReader(io.StringIO(response.getvalue().decode())))
    assert [(line["row"], line["what"]) for line in lines] == [
        ("2", "differ"), ("3", "differ"), ("5", "only A succeeded"), ("8", "only B succeeded"),
    ]  # fmt: skip
    assert json.loads(lines[1]["b_answer"]) == {"category": "early", "score": 2}
    assert (lines[2]["b_status"], lines[2]["b_failure_class"]) == ("failed", "refusal")


def test_it_counts_a_large_job_in_a_sample_and_says_so(
    work: Work,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(compare, "SAMPLE", 20)
    monkeypatch.setattr(compare, "STRETCHES", 10)
    a, b = (work.job(succeeded=100, status=JobStatus.COMPLETED) for _ in range(2))
    address = f"/jobs/compare/?a={a.public_id}&b={b.public_id}"
    page = text(work.olivia.get(address))
    assert "Counted in a sample. 20 rows in stretches spread evenly over the dataset" in page
    assert "Agree 20 100% of the 20" in page
    assert "No row differs" in page
    assert queries(work.olivia, address) < 45


def test_jobs_over_different_data_are_compared_in_their_totals_alone(work: Work) -> None:  # noqa: F811
    a = work.job(succeeded=3, status=JobStatus.COMPLETED)
    b = work.job(succeeded=3, status=JobStatus.COMPLETED)
    dataset = work.dataset
    dataset.pk, dataset.public_id = None, "another2222222222"[:16]
    dataset.save()
    Job.objects.filter(pk=b.pk).update(dataset=dataset)
    page = text(work.olivia.get(f"/jobs/compare/?a={a.public_id}&b={b.public_id}"))
    assert "They run over different datasets" in page
    assert "Rows in both" not in page
    file = f"/jobs/compare/differences.csv?a={a.public_id}&b={b.public_id}"
    assert work.olivia.get(file).status_code == 404


def test_one_gets_there_from_a_job_the_list_and_a_template(
    work: Work,  # noqa: F811
    two: tuple[Job, Job],
) -> None:
    a, b = two
    second = TemplateVersion.objects.create(
        template=work.version.template, version=2, user="x", output_schema={"type": "object"}
    )
    Job.objects.filter(pk=b.pk).update(template_version=second)
    template = work.version.template
    template.latest_version = 2
    template.save()
    assert (
        f"/jobs/compare/?a={a.public_id}"
        in work.olivia.get(f"/jobs/{a.public_id}/").content.decode()
    )
    ticks = [
        one for one in tags(work.olivia.get("/jobs/"), "input") if one.get("form") == "compare"
    ]
    assert {one["value"] for one in ticks} == {a.public_id, b.public_id}
    by_ticks = f"/jobs/compare/?job={a.public_id}&job={b.public_id}"
    versions = f"/jobs/compare/?a={template.public_id}@1&b={template.public_id}@2"
    assert (
        versions.replace("&", "&amp;")
        in work.olivia.get(f"/templates/{template.public_id}/").content.decode()
    )
    for address in (by_ticks, versions):
        assert "Agree 4" in text(work.olivia.get(address))
    assert "Choose two jobs" in text(work.olivia.get(f"/jobs/compare/?a={a.public_id}"))
    assert (
        work.olivia.get(
            f"/jobs/compare/?a={template.public_id}@1&b={template.public_id}@9"
        ).status_code
        == 404
    )


def test_another_teams_jobs_cannot_be_compared(work: Work, two: tuple[Job, Job]) -> None:  # noqa: F811
    a, b = two
    charlie = work.cast.client(work.cast.charlie)
    for query in (f"a={a.public_id}&b={b.public_id}", f"a={a.public_id}", f"job={b.public_id}"):
        assert charlie.get(f"/jobs/compare/?{query}").status_code == 404
    assert "Small" not in text(charlie.get("/jobs/compare/"))
