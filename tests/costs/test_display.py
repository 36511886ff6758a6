"""A display currency stands beside the USD, with its rate and day; files stay in USD."""

from typing import Any

import pytest

from jobs.display import display_currency
from jobs.models import JobStatus
from tests.cast import cast  # noqa: F401
from tests.web.reading import text
from tests.web.work import Work, work  # noqa: F401


@pytest.mark.django_db
def test_totals_show_it_beside_the_usd(work: Work, settings: Any) -> None:  # noqa: F811
    work.spent(work.job(succeeded=3, status=JobStatus.COMPLETED), cost=2 * 10**12)
    plain = b"".join(work.olivia.get("/costs/costs.csv?by=model"))  # type: ignore[arg-type]
    assert "EUR" not in text(work.olivia.get("/costs/"))
    settings.DISPLAY = display_currency("EUR", "0.917", "2026-11-01")
    for path in ("/costs/", "/costs/months/", "/"):
        page = text(work.olivia.get(path))
        assert "$2.00 1.83 EUR" in page, path
        assert "shown in EUR at 0.917 a USD of 1 Nov 2026" in page
    file = b"".join(work.olivia.get("/costs/costs.csv?by=model"))  # type: ignore[arg-type]
    assert file == plain


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (("EUR", "", "2026-11-01"), "set together"),
        (("EUR", "0.92", ""), "set together"),
        (("euro", "0.92", "2026-11-01"), "three letters"),
        (("USD", "1", "2026-11-01"), "not USD"),
        (("EUR", "0", "2026-11-01"), "above 0"),
        (("EUR", "NaN", "2026-11-01"), "above 0"),
        (("EUR", "0,92", "2026-11-01"), "above 0"),
        (("EUR", "0.92", "1.11.2026"), "the day of the rate"),
    ],
)
def test_what_is_set_wrong_is_said_at_the_start(given: tuple[str, str, str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        display_currency(*given)


def test_without_the_settings_there_is_none() -> None:
    assert display_currency("", "", "") is None
