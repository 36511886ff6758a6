"""Settings: what models cost."""

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpResponseBase
from django.shortcuts import resolve_url

from jobs.costs.prices import (
    ListedPrice,
    PriceInUse,
    price_set,
    prices_in_use,
    team_prices,
    unit_prices,
)
from jobs.costs.pricing import METERS
from jobs.errors import FieldError, Invalid
from jobs.models import ConnectionKind
from jobs.money import price_to_usd
from jobs.teams.access import Actor, connection_for
from jobs.teams.policy import Action
from jobs.teams.selectors import connection_list
from jobs.web.models_known import known_models
from jobs.web.pages import PageRequest, go_to, page, submitted
from jobs.web.settings_shared import put_errors, settings_page, why_not

TAB = "settings_prices"
STATES = {"in_force": "", "upcoming": "from then on", "replaced": "replaced"}
_TIER = "tier_"


def _usd(label: str, *, required: bool = False, words: str = "") -> forms.DecimalField:
    return forms.DecimalField(label=label, required=required, min_value=0, help_text=words)


class PriceForm(forms.Form):
    """In USD per million tokens. One tier is enough for most price lists; the API takes more."""

    model = forms.CharField(
        max_length=200,
        widget=forms.TextInput(attrs={"list": "models"}),
        help_text="A * stands for any characters, as in gpt-4o*. A model's own price goes first.",
    )
    connection = forms.ChoiceField(
        required=False, help_text="Only there, or on every connection of the team."
    )
    provider = forms.ChoiceField(
        required=False,
        label="Kind of connection",
        choices=[("", "All kinds"), *ConnectionKind.choices],
    )
    input = _usd("Input", required=True, words="USD per million tokens")
    output = _usd("Output", required=True, words="USD per million tokens")
    cached_input = _usd("Cached input", words="Blank: as plain input")
    cache_write = _usd("Cache write, 5 minutes", words="Blank: as plain input")
    cache_write_1h = _usd("Cache write, 1 hour", words="Blank: as the other")
    batch_discount = forms.DecimalField(
        required=False,
        label="Batch discount",
        min_value=0,
        max_value=1,
        help_text="A share; 0.5, the usual half, where it is blank",
    )
    tier_above = forms.IntegerField(
        required=False,
        min_value=1,
        label="Above so many input tokens",
        help_text="All tokens of a longer call then cost what follows.",
    )
    tier_input = _usd("Input")
    tier_output = _usd("Output")
    tier_cached_input = _usd("Cached input", words="Blank: as plain input")
    tier_cache_write = _usd("Cache write, 5 minutes", words="Blank: as plain input")
    tier_cache_write_1h = _usd("Cache write, 1 hour", words="Blank: as the other")
    effective_from = forms.DateTimeField(
        required=False,
        label="From (UTC)",
        help_text="Blank: from now on. What was paid before keeps its price.",
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}),
    )

    def __init__(self, *args: Any, actor: Actor, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = [(one.public_id, one.name) for one in connection_list(actor)]
        self.fields["connection"].choices = [("", "All connections"), *choices]  # type: ignore[attr-defined]

    def given(self) -> dict[str, Any]:
        """As `price_set` takes it."""
        data = dict(self.cleaned_data)
        tier = {
            name.removeprefix(_TIER): data.pop(name) for name in [*data] if name.startswith(_TIER)
        }
        filled = any(value is not None for value in tier.values())
        return {**data, "tiers": [tier] if filled else []}

    def with_tier(self, fault: Invalid) -> Invalid:
        """The faults by this form's names."""
        return Invalid(
            [
                FieldError((f"{_TIER}{e.loc[2]}",), e.msg) if e.loc[:2] == ("tiers", 0) else e
                for e in fault.errors
            ]
        )


@page(Action.PRICE_READ)
def prices(request: PageRequest) -> HttpResponseBase:
    """What the models in use cost now, and the team's own prices."""
    used = prices_in_use(request.actor.team)
    return settings_page(
        request,
        "prices.html",
        TAB,
        {
            "prices": [_line(one) for one in team_prices(request.actor.team)],
            "in_use": [_in_use(one) for one in used if one.price is not None],
            "unknown": sorted({one.model for one in used if one.price is None}),
            "why_not": why_not(request.actor, Action.PRICE_WRITE),
        },
    )


def _line(one: ListedPrice) -> dict[str, Any]:
    price = one.price
    tiers = [
        {"above": tier["start"], **{name: f"{price_to_usd(tier[name]):f}" for name in METERS}}
        for tier in price.tiers
    ]
    return {
        "price": price,
        "state": STATES[one.state],
        "tiers": tiers,
        "batch": f"−{price.batch_discount_ppm / 10_000:g}%",
        **unit_prices(price),
    }


def _in_use(one: PriceInUse) -> dict[str, Any]:
    assert one.price is not None
    return {
        "model": one.model,
        "connection": one.connection,
        **_line(ListedPrice(one.price, "in_force")),
    }


@page(Action.PRICE_WRITE, methods=("GET", "POST"), keeps=True)
def price_new(request: PageRequest) -> HttpResponseBase:
    initial = {"model": request.GET.get("model", "")[:200]}
    form = PriceForm(request.POST or None, actor=request.actor, initial=initial)
    if submitted(request) and form.is_valid():
        given = form.given()
        chosen = given.pop("connection")
        try:
            price = price_set(
                actor=request.actor,
                connection=connection_for(request.actor, chosen) if chosen else None,
                **given,
            )
        except Invalid as fault:
            put_errors(form, form.with_tier(fault))
        else:
            messages.success(request, f"The price of {price.model} is set.")
            return go_to(request, resolve_url(TAB))
    status = 422 if form.errors and submitted(request) else 200
    context = {
        "form": form,
        "models": known_models(request.actor.team),
        "tier_open": any(
            form[name].errors or form[name].value()
            for name in form.fields
            if name.startswith(_TIER)
        ),
    }
    return settings_page(request, "price_new.html", TAB, context, status)
