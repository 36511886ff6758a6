"""What a call costs, held against figures worked out by hand: every meter at its own price, in the tier
of the whole input, less the batch discount; and which of several prices counts."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.costs.pricing import Rates, Tariff, resolve_price, value
from jobs.models import Connection, Price, Team
from jobs.providers.types import Usage
from jobs.providers.usage import anthropic_usage, openai_usage

NOW = datetime(2026, 11, 24, tzinfo=UTC)
# As a vendor's list has it, in USD per million: 3 in, 0.30 read, 3.75 and 6 written, 15 out; twice that
# (and 22.5 out) for calls with more than 200,000 tokens in; half of it in a batch.
LISTED = Price(
    input=3_000_000, cached_input=300_000, cache_write=3_750_000, cache_write_1h=6_000_000,
    output=15_000_000, batch_discount_ppm=500_000,
    tiers=[
        {"start": 200_000, "input": 6_000_000, "cached_input": 600_000, "cache_write": 7_500_000,
         "cache_write_1h": 12_000_000, "output": 22_500_000},
    ],
)  # fmt: skip


@pytest.mark.parametrize(
    ("usage", "batch", "pico"),
    [
        (Usage(input_tokens=1000, output_tokens=100), False, 3_000_000_000 + 1_500_000_000),
        # Reasoning is part of the output, and neither added to it nor taken for all of it.
        (Usage(input_tokens=1000, output_tokens=100, reasoning_tokens=90), False, 4_500_000_000),
        # 300 plain (0.9), 600 read (0.18), 100 written (0.375), nothing out, in thousandths.
        (Usage(1000, 0, 600, 100), False, 900_000_000 + 180_000_000 + 375_000_000),
        # An hour costs 6 where five minutes cost 3.75.
        (Usage(1000, 0, 0, 0, 100), False, 2_700_000_000 + 600_000_000),
        # At the boundary the base price holds, one above it the tier's, for every token.
        (Usage(200_000, 10), False, 600_000_000_000 + 150_000_000),
        (Usage(200_001, 10), False, 200_001 * 6_000_000 + 225_000_000),
        # What was read counts for the tier as well: 1 plain, 200,000 read, 10 out.
        (Usage(200_001, 10, 200_000), False, 6_000_000 + 120_000_000_000 + 225_000_000),
        # Tier, then meter, then discount: half of the line above.
        (Usage(200_001, 10, 200_000), True, 3_000_000 + 60_000_000_000 + 112_500_000),
        # 100 plain, 500 read, 200 for five minutes, 200 for an hour, 50 out; half of it.
        (
            Usage(1000, 50, 500, 200, 200), True,
            (300_000_000 + 150_000_000 + 750_000_000 + 1_200_000_000 + 750_000_000) // 2,
        ),
    ],
)  # fmt: skip
def test_it_prices_each_meter_once_in_its_tier_and_then_discounts(
    usage: Usage, batch: bool, pico: int
) -> None:
    rates = Tariff(LISTED, batch=batch).at(usage.input_tokens)
    assert rates.cost(usage) == pico
    assert sum(meter.amount for meter in rates.proof(usage)) == pico
    assert Rates.parse(rates.text) == rates
    if not batch:
        assert value(usage, LISTED) == pico
        assert rates.batch_savings(usage) == 0
    else:
        assert rates.batch_savings(usage) == pico


@given(
    st.lists(st.integers(0, 10**12), min_size=5, max_size=5),
    st.integers(0, 1_000_000),
    st.lists(st.tuples(*[st.integers(0, 10**6)] * 5), min_size=1, max_size=5),
)
def test_what_lines_cost_together_is_what_their_tokens_cost_together(
    prices: list[int], discount: int, calls: list[tuple[int, ...]]
) -> None:
    rates = Rates.of(prices, discount)
    assert Rates.parse(rates.text) == rates
    assert len(rates.text) <= 120
    usages = [Usage(a + b + c + d, e, a, b, c) for a, b, c, d, e in calls]
    together = Usage(
        input_tokens=sum(u.input_tokens for u in usages),
        output_tokens=sum(u.output_tokens for u in usages),
        cached_input_tokens=sum(u.cached_input_tokens for u in usages),
        cache_write_tokens=sum(u.cache_write_tokens for u in usages),
        cache_write_1h_tokens=sum(u.cache_write_1h_tokens for u in usages),
    )
    assert sum(rates.cost(u) for u in usages) == rates.cost(together)
    assert sum(rates.cache_savings(u) for u in usages) == rates.cache_savings(together)
    most = Tariff(LISTED).highest(together.input_tokens, together.output_tokens)
    assert Tariff(LISTED).at(together.input_tokens).cost(together) <= most


def test_both_vendors_ways_of_counting_cached_tokens_come_to_the_same_cost() -> None:
    """One counts them inside the input, the other beside it: full, twice or not at all is wrong."""
    inside = openai_usage(
        {"prompt_tokens": 1000, "completion_tokens": 10,
         "prompt_tokens_details": {"cached_tokens": 600}}, "x",
    )  # fmt: skip
    beside = anthropic_usage(
        {"input_tokens": 400, "cache_read_input_tokens": 600, "output_tokens": 10}, "x"
    )
    cost = 400 * 3_000_000 + 600 * 300_000 + 10 * 15_000_000
    assert value(inside, LISTED) == value(beside, LISTED) == cost


def test_usage_that_cannot_be_read_never_makes_a_bill_of_nothing() -> None:
    for usage in (
        None,
        {},
        {"prompt_tokens": "many"},
        {"prompt_tokens": 0, "completion_tokens": 0},
    ):
        assert value(openai_usage(usage, "four words of answer"), LISTED) > 0
        assert value(anthropic_usage(usage, "four words of answer"), LISTED) > 0


# --- Which price counts -----------------------------------------------------------------------
@pytest.fixture
def connection(db: None) -> Connection:
    team = Team.objects.create(name="ours")
    return Connection.objects.create(
        team=team, name="c", kind="openai_compatible", base_url="http://x"
    )


def price(
    connection: Connection | None, model: str, amount: int, day: int = 1, **more: str
) -> None:
    team = connection.team if connection else Team.objects.get(name="ours")
    Price.objects.create(
        team=team, connection=connection, model=model, input=amount, cached_input=amount,
        cache_write=amount, output=amount, effective_from=datetime(2026, 11, day, tzinfo=UTC),
        source="test", **more,
    )  # fmt: skip


def found(connection: Connection, model: str, at: datetime = NOW) -> int | None:
    made = resolve_price(connection=connection, model=model, at=at)
    return made.input if made else None


def test_the_closest_price_counts_whatever_its_date(connection: Connection) -> None:
    assert found(connection, "gpt-4o-mini") is None  # unknown, and not 0
    price(None, "*", 1, day=20)
    assert found(connection, "gpt-4o-mini") == 1
    price(None, "gpt-4o*", 2, day=19)
    price(None, "gpt-*", 3, day=20)
    assert found(connection, "gpt-4o-mini") == 2  # the longer pattern
    assert found(connection, "gpt-5") == 3
    price(None, "gpt-4o*", 4, day=20, provider="openai_compatible")
    price(None, "gpt-4o*", 5, day=21, provider="anthropic")
    assert found(connection, "gpt-4o-mini") == 4  # of this kind of connections
    price(connection, "gpt-4o*", 6, day=18)
    assert found(connection, "gpt-4o-mini") == 6  # of this connection
    price(None, "gpt-4o-mini", 7, day=2)
    assert found(connection, "gpt-4o-mini") == 7  # of this model
    price(connection, "gpt-4o-mini", 8, day=1)
    price(connection, "gpt-4o-mini", 9, day=3)
    price(connection, "gpt-4o-mini", 10, day=28)  # not yet
    assert found(connection, "gpt-4o-mini") == 9
    assert found(connection, "gpt-4o-mini", datetime(2026, 11, 2, tzinfo=UTC)) == 8
    assert found(connection, "gpt-4o.mini") == 6  # a dot is a dot
    assert found(connection, "GPT-4o") == 1


def test_another_teams_price_counts_for_nobody_else(connection: Connection) -> None:
    other = Connection.objects.create(
        team=Team.objects.create(name="theirs"),
        name="c",
        kind="openai_compatible",
        base_url="http://x",
    )
    price(other, "m", 1)
    assert found(connection, "m") is None
    assert found(other, "m") == 1


def test_the_shipped_list_has_every_meter_and_tier(connection: Connection) -> None:
    claude = Connection.objects.create(
        team=connection.team, name="a", kind="anthropic", base_url="http://x"
    )
    listed = resolve_price(connection=claude, model="claude-sonnet-4-5", at=NOW)
    assert listed is not None
    assert listed.source.startswith("genai-prices ")
    assert (listed.input, listed.cached_input, listed.output) == (3_000_000, 300_000, 15_000_000)
    assert listed.cache_write == 3_750_000
    assert [tier["start"] for tier in listed.tiers] == [200_000]
    assert resolve_price(connection=claude, model="claude-sonnet-4-5", at=NOW) == listed
    assert resolve_price(connection=claude, model="nobody-knows-me", at=NOW) is None
