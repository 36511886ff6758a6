"""The log of a whole installation in which things go wrong."""

import json
from typing import Any

import pytest

from jobs.models import Attempt, AttemptOutcome, DatasetRow, Job, Record, RecordStatus
from tests.installation.installation import Installation
from tests.installation.processes import wait_until
from tests.installation.reckoning import ended, settled
from tests.simulator_process import SimulatorProcess

pytestmark = pytest.mark.installation


def test_it_tells_what_went_wrong_by_ids_and_nothing_of_what_was_said(
    installation: Installation, simulator: SimulatorProcess
) -> None:
    faults = {
        "invalid_request": 0.1,
        "schema_violation": 0.1,
        "rate_limited": 0.05,
        "echo_key": 0.1,
    }
    simulator.set_faults(faults, latency_ms=300.0)
    tree = installation.running
    before = len(tree.words())
    job = installation.launch(400, timeout=20)
    # Many rows fail here, and of the first after the resume it may be most.
    Job.objects.filter(pk=job.pk).update(tolerated_failure_rate=1.0)
    wait_until(lambda: settled(job) >= 50, "the first rows")
    installation.api(f"/jobs/{job.public_id}/pause", {})
    installation.api(f"/jobs/{job.public_id}/resume", {})
    installation.kill_a_worker()
    wait_until(lambda: ended(job), "the job's end")
    job.refresh_from_db()
    in_doubt = Attempt.objects.filter(job_id=job.pk, outcome=AttemptOutcome.IN_DOUBT)
    failed = Record.objects.filter(job_id=job.pk, status=RecordStatus.FAILED)
    assert in_doubt.exists()
    assert failed.exists()
    wait_until(lambda: "job finished" in tree.words()[before:], "the last word")

    said = tree.words()[before:]
    lines: list[dict[str, Any]] = [json.loads(line) for line in said.splitlines()]
    ours = [line for line in lines if line.get("job") == job.pk]
    (launched,) = (line for line in ours if line["message"] == "job launched")
    assert (launched["public_id"], launched["rows"]) == (job.public_id, 400)
    for message in ("job started", "job paused by a person", "job resumed by a person"):
        assert message in [line["message"] for line in ours]
    (finished,) = (line for line in ours if line["message"] == "job finished")
    counts = (job.status, job.succeeded, job.failed)
    assert tuple(finished[name] for name in ("status", "succeeded", "failed")) == counts

    # Each failed record by the attempt that was its last, but for those beyond the twenty of a batch.
    told = {(o["record"], o["failure_class"]) for o in ours if o["message"] == "record failed"}
    assert told == set(failed.values_list("n", "failure_class"))
    last = next(line for line in ours if line["message"] == "record failed")
    attempt = Attempt.objects.get(job_id=job.pk, n=last["record"], number=last["attempt"])
    assert last["http_status"] == attempt.http_status
    assert last.get("provider_request_id", "") == attempt.provider_request_id
    assert {"worker", "connection", "fingerprint"} < last.keys()
    doubted = {(o["record"], o["attempt"]) for o in ours if o["message"] == "call in doubt"}
    assert doubted <= set(in_doubt.values_list("n", "number"))
    assert doubted
    assert "rate_limited" not in said  # a wait is no event
    assert any(o["message"] == "request" and o["path"].endswith("/pause") for o in lines)

    rows = DatasetRow.objects.values_list("data", flat=True)[:400]
    secrets = {"sk-test-key", installation.token, "Sort."}
    secrets |= {json.loads(data)["text"] for data in rows}
    secrets |= set(Record.objects.filter(job_id=job.pk).values_list("output", flat=True))
    attempts = Attempt.objects.filter(job_id=job.pk)
    for name in ("answer", "request", "message"):
        secrets |= set(attempts.values_list(name, flat=True))
    secrets -= {None, ""}
    assert len(secrets) > 600
    assert [
        secret for secret in secrets if secret in said or json.dumps(secret)[1:-1] in said
    ] == []
