"""/connections and /prices"""

import json
from typing import Any

import pytest

from jobs.models import Connection, DirectCall
from tests.api.caller import MODEL, Caller
from tests.simulator_process import SimulatorProcess

pytestmark = pytest.mark.django_db
KEY = "sk-canary-0123456789"
DRAFT = {"name": "Sim", "kind": "simulator", "base_url": "http://127.0.0.1:9"}


def test_it_never_gives_a_key_back(api: Caller) -> None:
    limits = {"rpm": 600, "input_tpm": None, "max_in_flight": 8}
    answer = api.ask(
        "POST", "/connections", json.dumps({**DRAFT, "api_key": KEY, "limits": limits})
    )
    assert answer.status_code == 201
    assert KEY not in answer.text
    made = answer.json()
    assert made["has_key"]
    assert made["limits"] == {
        "rpm": 600, "input_tpm": None, "output_tpm": None, "max_in_flight": 8,
    }  # fmt: skip
    listed = api.ask("GET", "/connections")
    assert KEY not in listed.text
    assert listed.json()["items"] == [made]
    assert KEY not in Connection.objects.get().key_encrypted


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"name": ""}, ("name",)),
        ({"kind": "carrier pigeon"}, ("kind",)),
        ({"api": "anthropic_messages", "kind": "openai"}, ("api",)),
        ({"base_url": "ftp://x"}, ("base_url",)),
        ({"base_url": "http://user:pw@127.0.0.1"}, ("base_url",)),
        ({"api_key": "has\nbreak"}, ("api_key",)),
        ({"limits": {"rpm": 0}}, ("limits", "rpm")),
        ({"limits": {"rpm": 10**30}}, ("limits", "rpm")),
        ({"limits": {"rps": 1}}, ("limits", "rps")),
        ({"key": "x"}, ("key",)),
    ],
)
def test_it_names_the_field_of_a_connection_that_is_wrong(
    api: Caller, change: dict[str, Any], place: tuple[str, ...]
) -> None:
    assert list(api.refused("/connections", {**DRAFT, **change})) == [place]
    assert not Connection.objects.exists()


def test_it_refuses_a_name_twice(api: Caller) -> None:
    api.post("/connections", DRAFT, 201)
    assert list(api.refused("/connections", DRAFT)) == [("name",)]


@pytest.mark.django_db(transaction=True)
def test_it_tests_a_connection_with_a_real_call_and_says_what_is_wrong(
    api: Caller, simulator: SimulatorProcess
) -> None:
    connection = api.connection(simulator.url)
    path = f"/connections/{connection}/test"
    good = api.post(path, {"model": MODEL})
    assert (good["ok"], good["failure_class"]) == (True, None)
    assert simulator.stats()["models"][MODEL]["calls"] >= 1
    simulator.set_faults({"authentication": 1.0})
    bad = api.post(path, {"model": MODEL})
    assert (bad["ok"], bad["failure_class"]) == (False, "authentication")
    assert "key" in bad["message"].lower()
    assert DirectCall.objects.filter(purpose="test").count() >= 2
    assert list(api.refused(path, {"modell": "x"})) == [("modell",)]
    api.post("/connections/none/test", {"model": MODEL}, 404)


@pytest.mark.django_db(transaction=True)
def test_it_says_that_nobody_answers(api: Caller) -> None:
    connection = api.connection("http://127.0.0.1:9")
    answer = api.post(f"/connections/{connection}/test", {"model": MODEL})
    assert (answer["ok"], answer["failure_class"]) == (False, "connection")


def test_it_keeps_prices_to_the_last_digit(api: Caller) -> None:
    connection = api.connection("http://127.0.0.1:9")
    body = {
        "connection": connection,
        "model": MODEL,
        "input": "0.150001",
        "cached_input": "0.075",
        "cache_write": "0.1875",
        "output": 0.6,
        "batch_discount": "0.5",
        "effective_from": "2026-01-01T00:00:00+02:00",
    }
    made = api.post("/prices", body, 201)
    assert {name: made[name] for name in body} == {
        **body, "output": "0.6", "effective_from": "2025-12-31T22:00:00Z",
    }  # fmt: skip
    everywhere = api.post("/prices", {"model": "other", "input": 1, "output": 2}, 201)
    assert (everywhere["connection"], everywhere["cached_input"]) == (None, "1")
    assert [price["model"] for price in api.items("/prices")] == ["other", MODEL]


def test_it_takes_all_that_a_price_list_says_and_tells_which_price_is_in_force(api: Caller) -> None:
    tier = {"above": 200_000, "input": "6", "cached_input": "0.6", "cache_write": "7.5",
            "cache_write_1h": "12", "output": "22.5"}  # fmt: skip
    body = {
        "model": "claude-*", "provider": "anthropic", "input": "3", "cached_input": "0.3",
        "cache_write": "3.75", "cache_write_1h": "6", "output": "15", "batch_discount": "0.5",
        "tiers": [tier],
    }  # fmt: skip
    made = api.post("/prices", body, 201)
    assert {name: made[name] for name in body} == body
    assert made["state"] == "in_force"
    api.post("/prices", {**body, "effective_from": "2020-01-01T00:00:00Z"}, 201)
    api.post("/prices", {**body, "effective_from": "2099-01-01T00:00:00Z"}, 201)
    states = [price["state"] for price in api.items("/prices")]
    assert states == ["upcoming", "in_force", "replaced"]
    for wrong, at in (
        ({"tiers": [tier, tier]}, ("tiers",)),
        ({"tiers": [{**tier, "above": 0}]}, ("tiers", 0, "above")),
        ({"tiers": [{**tier, "output": "-1"}]}, ("tiers", 0, "output")),
        ({"provider": "somebody"}, ("provider",)),
        ({"model": "**"}, ("model",)),
    ):
        assert list(api.refused("/prices", {**body, **wrong})) == [at]


@pytest.mark.parametrize(
    ("change", "place", "status"),
    [
        ({"model": ""}, "model", 422),
        ({"input": "-1"}, "input", 422),
        ({"input": "cheap"}, "input", 422),
        ({"input": "NaN"}, "input", 422),
        ({"output": "1e30"}, "output", 422),
        ({"output": "0.0000001"}, "output", 422),
        ({"batch_discount": "2"}, "batch_discount", 422),
        ({"effective_from": "yesterday"}, "effective_from", 422),
        ({"effective_from": "0001-01-01T00:00:00+14:00"}, "effective_from", 422),
        ({"currency": "EUR"}, "currency", 422),
        ({"connection": "none"}, "connection", 404),
    ],
)
def test_it_names_the_field_of_a_price_that_is_wrong(
    api: Caller, change: dict[str, Any], place: str, status: int
) -> None:
    body = {"model": MODEL, "input": "1", "output": "2", **change}
    assert list(api.refused("/prices", body, status=status)) == [(place,)]
    assert api.items("/prices") == []


def test_it_lets_operators_read_and_not_write(api: Caller, operator: Caller) -> None:
    connection = api.connection("http://127.0.0.1:9")
    assert [found["id"] for found in operator.items("/connections")] == [connection]
    operator.post("/connections", {**DRAFT, "name": "x"}, 403)
    operator.post(f"/connections/{connection}/test", {}, 403)
    operator.post("/prices", {"model": MODEL, "input": 1, "output": 1}, 403)
    assert operator.items("/prices") == []
