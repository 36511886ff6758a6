"""Settings: what models cost."""

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpResponseBase
from django.shortcuts import resolve_url
from django.utils import timezone

from jobs.costs.pricing import resolve_price
from jobs.costs.selectors import team_prices
from jobs.costs.services import price_set
from jobs.errors import Invalid
from jobs.models import Connection, Job, Price
from jobs.money import price_to_usd
from jobs.teams.access import Actor, connection_for
from jobs.teams.policy import Action
from jobs.teams.selectors import connection_list
from jobs.web.models_known import known_models
from jobs.web.pages import PageRequest, go_to, page, submitted
from jobs.web.settings_shared import put_errors, settings_page, why_not

TAB = "settings_prices"


class PriceForm(forms.Form):
    """In USD per million tokens."""

    model = forms.CharField(max_length=200, widget=forms.TextInput(attrs={"list": "models"}))
    connection = forms.ChoiceField(
        required=False, help_text="Only there, or on every connection of the team."
    )
    input = forms.DecimalField(label="Input", min_value=0, help_text="USD per million tokens")
    output = forms.DecimalField(label="Output", min_value=0, help_text="USD per million tokens")
    cached_input = forms.DecimalField(
        required=False, min_value=0, help_text="Blank: as plain input"
    )
    cache_write = forms.DecimalField(required=False, min_value=0, help_text="Blank: as plain input")
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


@page(Action.PRICE_READ)
def prices(request: PageRequest) -> HttpResponseBase:
    """The team's own prices, and the models it uses whose price nobody knows."""
    listed = [_line(price) for price in team_prices(request.actor.team)]
    return settings_page(
        request,
        "prices.html",
        TAB,
        {
            "prices": listed,
            "unknown": _unknown(request.actor),
            "why_not": why_not(request.actor, Action.PRICE_WRITE),
        },
    )


def _line(price: Price) -> dict[str, Any]:
    usd = {
        name: f"{price_to_usd(getattr(price, name)):f}"
        for name in ("input", "cached_input", "cache_write", "output")
    }
    return {"price": price, **usd}


def _unknown(actor: Actor) -> list[str]:
    """Models of the team's jobs on connections in use that have no price: their cost is unknown."""
    used = (
        Job.objects.filter(team=actor.team, connection__removed_at__isnull=True)
        .values_list("connection_id", "model")
        .distinct()
    )
    connections = Connection.objects.in_bulk({pk for pk, _ in used})
    now = timezone.now()
    return sorted(
        {
            model
            for pk, model in used
            if resolve_price(connection=connections[pk], model=model, at=now) is None
        }
    )


@page(Action.PRICE_WRITE, methods=("GET", "POST"), keeps=True)
def price_new(request: PageRequest) -> HttpResponseBase:
    initial = {"model": request.GET.get("model", "")[:200]}
    form = PriceForm(request.POST or None, actor=request.actor, initial=initial)
    if submitted(request) and form.is_valid():
        given = dict(form.cleaned_data)
        chosen = given.pop("connection")
        try:
            price = price_set(
                actor=request.actor,
                connection=connection_for(request.actor, chosen) if chosen else None,
                **given,
            )
        except Invalid as fault:
            put_errors(form, fault)
        else:
            messages.success(request, f"The price of {price.model} is set.")
            return go_to(request, resolve_url(TAB))
    status = 422 if form.errors and submitted(request) else 200
    context = {"form": form, "models": known_models(request.actor.team)}
    return settings_page(request, "price_new.html", TAB, context, status)
