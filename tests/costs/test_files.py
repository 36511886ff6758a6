"""The files of a month: their amounts are the costs page's, and who may have them."""

import csv
import io
import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from jobs.costs.months import Month
from jobs.costs.selectors import cost_table
from jobs.models import ConnectionKind, JobStatus, Team
from jobs.money import to_usd
from jobs.providers.types import Usage
from tests.cast import cast, make_connection  # noqa: F401
from tests.costs.books import (
    BATCH,
    RATES,
    USAGE,
    write_call,
    write_correction,
    write_direct_call,
)
from tests.costs.validator import install, validate
from tests.engine.build import make_job
from tests.engine.drive import run_job
from tests.environment import REQUIRE_ALL
from tests.simulator_process import SimulatorProcess
from tests.web.work import MODEL, Work, work  # noqa: F401

pytestmark = pytest.mark.django_db
MAY, JUNE = Month(date(2026, 5, 1)), Month(date(2026, 6, 1))


def lines(client: Client, url: str) -> list[dict[str, str]]:
    answer: Any = client.get(url)
    assert answer.status_code == 200, url
    return list(csv.DictReader(io.StringIO(b"".join(answer).decode("utf-8-sig"))))


def spend(work: Work) -> Team:  # noqa: F811
    """A month with every kind of line; returns a second team, which spent as well."""
    job = work.job(
        status=JobStatus.COMPLETED, name="=Nightly", tags={"cost_center": "42", "q": "é"}
    )
    openai = make_connection(work.cast.team, name="OpenAI main")
    openai.kind = ConnectionKind.OPENAI
    openai.save()
    for day in (1, 1, 2, 31):
        write_call(job, date(2026, 5, day))
    write_call(job, date(2026, 5, 2), connection=openai, model="gpt-x", rates=BATCH)
    write_call(job, date(2026, 5, 2), usage=Usage(input_tokens=10, output_tokens=3, estimated=True))
    write_call(job, date(2026, 5, 2), outcome="failed")
    write_call(job, date(2026, 5, 2), model="nobody-knows", rates=None)
    write_call(job, date(2026, 5, 2), outcome="in_doubt", cost=10**12)
    first = write_call(job, date(2026, 4, 30))
    write_correction(first, date(2026, 5, 3), -123_456_789)
    write_call(job, date(2026, 6, 1), cost=5, rates=None)
    write_direct_call(work.cast.team, work.connection, MODEL, date(2026, 5, 9))
    other = work.cast.other_team
    write_direct_call(other, make_connection(other), MODEL, date(2026, 5, 9))
    return other


def total(teams: list[Team], month: Month) -> int:
    table = cost_table(
        team_ids=[team.pk for team in teams],
        group_by="day",
        date_from=month.first,
        date_to=month.last,
    )
    return table.total.cost


def test_focus_adds_up_to_the_costs_page_and_each_line_to_itself(work: Work) -> None:  # noqa: F811
    other = spend(work)
    team, root = work.cast.team, work.cast.client(work.cast.root)
    bob = work.cast.client(work.cast.bob)
    for client, teams, month, query in (
        (bob, [team], MAY, ""),
        (bob, [team], JUNE, ""),
        (root, [other], MAY, f"&team={other.public_id}"),
        (root, [team, other], MAY, "&team=all"),
    ):
        found = lines(client, f"/costs/focus.csv?month={month}{query}")
        assert sum(Decimal(line["BilledCost"]) for line in found) == to_usd(total(teams, month))
        for line in found:
            assert line["BilledCost"] == line["EffectiveCost"] == line["ListCost"]
            if line["ChargeClass"] != "Correction":
                product = Decimal(line["PricingQuantity"]) * Decimal(line["ListUnitPrice"])
                assert product == Decimal(line["ContractedCost"])
    found = lines(bob, f"/costs/focus.csv?month={MAY}")
    on_the_first = {
        line["SkuMeter"]: (line["PricingQuantity"], line["ListUnitPrice"])
        for line in found
        if line["ChargePeriodStart"] == "2026-05-01T00:00:00Z"
    }
    assert on_the_first == {
        "Input tokens": ("800.0", "0.00000025"),
        "Cached input tokens": ("600.0", "0.000000025"),
        "Cache write tokens, 5 minutes": ("400.0", "0.0000003125"),
        "Cache write tokens, 1 hour": ("200.0", "0.0000005"),
        "Output tokens": ("154.0", "0.000002"),
    }
    batch = next(
        line for line in found if line["x_Mode"] == "batch" and line["SkuId"].endswith("output")
    )
    # Half of an odd number of pico a token is rounded up, so that the line adds up.
    assert (batch["ListUnitPrice"], batch["ProviderName"]) == ("0.000001000001", "OpenAI")
    assert json.loads(batch["Tags"]) == {"cost_center": "42", "q": "é"}
    assert batch["ResourceName"] == "'=Nightly"
    unknown = [line for line in found if line["x_PriceUnknown"] == "true"]
    assert {line["x_Model"] for line in unknown} == {"nobody-knows"}
    assert {line["BilledCost"] for line in unknown} == {"0.00"}
    correction = next(line for line in found if line["ChargeClass"] == "Correction")
    assert (correction["BilledCost"], correction["x_Correction"]) == ("-0.000123456789", "revalued")
    assert "x_Estimated" in found[0]
    assert sum(line["x_Estimated"] == "true" for line in found) == 2
    outside = [line for line in found if not line["ResourceId"]]
    assert {line["ChargePeriodStart"][:10] for line in outside} == {"2026-05-09"}


@pytest.fixture(scope="session")
def validator(pytestconfig: pytest.Config) -> Path:
    """The Python that has it; without a network, and never installed before, the test is skipped."""
    assert pytestconfig.cache is not None
    try:
        return install(pytestconfig.cache.mkdir("focus-validator"))
    except RuntimeError as fault:
        message = f"the validator of FOCUS files cannot be installed: {fault}"
        if REQUIRE_ALL:
            pytest.fail(message)
        pytest.skip(message)


def test_its_validator_accepts_the_focus_file(work: Work, validator: Path) -> None:  # noqa: F811
    spend(work)
    root = work.cast.client(work.cast.root)
    answer: Any = root.get(f"/costs/focus.csv?month={MAY}&team=all")
    kept, broken = validate(validator, b"".join(answer))
    assert broken == []
    assert kept > 250


def test_chargeback_adds_up_and_names_who_launched_what(work: Work) -> None:  # noqa: F811
    spend(work)
    found = lines(work.cast.client(work.cast.bob), f"/costs/chargeback.csv?month={MAY}")
    assert sum(Decimal(line["cost_usd"]) for line in found) == to_usd(total([work.cast.team], MAY))
    dearest = max(found, key=lambda line: Decimal(line["cost_usd"]))
    assert (dearest["job"], dearest["launched_by"]) == ("'=Nightly", "olivia")
    assert dearest["tags"] == "cost_center=42; q=é"
    assert sum(Decimal(line["in_doubt_cost_usd"]) for line in found) == 1
    assert {line["job"] for line in found if not line["job_id"]} == {"Outside jobs"}
    everybody = lines(
        work.cast.client(work.cast.root), f"/costs/chargeback.csv?month={MAY}&team=all"
    )
    assert {line["team"] for line in everybody} == {"Support", "Search"}


def test_files_are_for_leads_and_those_of_other_teams_for_the_installations_admins(
    work: Work,  # noqa: F811
) -> None:
    cast = work.cast  # noqa: F811
    for file in ("focus", "chargeback"):
        url = f"/costs/{file}.csv?month=2026-05"
        assert cast.client(cast.olivia).get(url).status_code == 403
        assert cast.client(cast.bob).get(url).status_code == 200
        assert cast.client(cast.bob).get(f"{url}&team=all").status_code == 403
        other = f"{url}&team={cast.other_team.public_id}"
        assert cast.client(cast.bob).get(other).status_code == 404
        assert cast.client(cast.root).get(other).status_code == 200
        assert cast.client(cast.bob).get(f"/costs/{file}.csv?month=may").status_code == 404


def test_the_ledger_of_a_job_is_a_handful_of_lines(work: Work) -> None:  # noqa: F811
    job = work.job(status=JobStatus.COMPLETED)
    for _ in range(30):
        write_call(job, date(2026, 5, 1))
    found = lines(work.cast.client(work.cast.bob), "/costs/focus.csv?month=2026-05")
    assert len(found) == 5
    assert sum(Decimal(line["BilledCost"]) for line in found) == to_usd(30 * RATES.cost(USAGE))


@pytest.mark.django_db(transaction=True)
def test_of_a_real_job_it_says_what_the_provider_counted(work: Work) -> None:  # noqa: F811
    """Retries, repairs and a replay are in it, each token once."""
    with SimulatorProcess({"invalid_json": 0.2, "refusal": 0.1}, seed=3) as simulator:
        job = run_job(make_job(40, url=simulator.url, team=work.cast.team))
        stats = simulator.stats()["models"][job.model]
    today = Month.of(timezone.now().date())
    found = lines(work.cast.client(work.cast.bob), f"/costs/focus.csv?month={today}")
    assert sum(Decimal(line["BilledCost"]) for line in found) == to_usd(job.cost)
    tokens = {"Input tokens": Decimal(0), "Output tokens": Decimal(0)}
    for line in found:
        tokens[line["SkuMeter"]] += Decimal(line["PricingQuantity"])
    assert list(tokens.values()) == [stats["input_tokens"], stats["output_tokens"]]
    assert job.attempts > 40
