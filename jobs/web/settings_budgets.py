"""Settings: what the team may spend in a month, what of it is used, and who set it."""

from datetime import UTC, date
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.http import HttpResponseBase
from django.shortcuts import resolve_url
from django.utils import timezone

from jobs.control.budget_history import (
    BudgetChange,
    budget_changes,
    budget_months,
    budget_now,
    budget_rules,
)
from jobs.control.budgets import BudgetState, budget_set, budget_states
from jobs.costs.budgets import month_of, next_month
from jobs.costs.months import Month
from jobs.errors import Conflict, Invalid
from jobs.models import Budget, Connection
from jobs.money import usd_string
from jobs.teams.access import Actor, connection_for
from jobs.teams.policy import Action
from jobs.teams.selectors import connection_list
from jobs.web.pages import PageRequest, go_to, page, submitted, tell_ignored
from jobs.web.settings_shared import put_errors, settings_page, why_not

TAB = "budgets"
MONTHS_AHEAD = 12
LINKED_MONTHS = 13
_LIMITS = (("warn at", "warn_at"), ("stop at", "stop_at"))


def _amount(label: str, words: str) -> forms.CharField:
    # As text: which amounts there are is for the service to say, the same as through the API.
    typed = forms.TextInput(attrs={"inputmode": "decimal"})
    return forms.CharField(
        label=label, required=False, max_length=40, widget=typed, help_text=words
    )


class BudgetForm(forms.Form):
    connection = forms.ChoiceField(required=False, label="On")
    month = forms.ChoiceField(required=False, label="For")
    warn_at = _amount("Warn at, USD", "Leads are told once. Blank: no warning.")
    stop_at = _amount("Stop at, USD", "Jobs pause before they go beyond. Blank: no limit.")

    def __init__(self, *args: Any, actor: Actor, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        connections = [(one.public_id, one.name) for one in connection_list(actor)]
        months = [(f"{one:%Y-%m}", f"{one:%B %Y} alone") for one in _months_ahead()]
        self._offer("connection", [("", "All connections"), *connections])
        self._offer("month", [("", "Each month from this one on"), *months])

    def _offer(self, name: str, choices: list[tuple[str, str]]) -> None:
        self.fields[name].choices = choices  # type: ignore[attr-defined]


def _today() -> date:
    return timezone.now().astimezone(UTC).date()


def _months_ahead() -> list[date]:
    months = [month_of(_today())]
    while len(months) < MONTHS_AHEAD:
        months.append(next_month(months[-1]))
    return months


@page(Action.BUDGET_READ)
def budgets(request: PageRequest) -> HttpResponseBase:
    actor, today = request.actor, _today()
    asked = request.GET.get("month", "")
    chosen = Month.parse(asked)
    if asked and chosen is None:
        tell_ignored(request, [f"month={asked[:40]}"])
    month = chosen.first if chosen else month_of(today)
    over = month < month_of(today)
    states = budget_states(actor, month)
    if over:  # a rule that was made since did not hold then
        states = [state for state in states if state.budget.month is not None]
    usable = {one.pk for one in connection_list(actor)}
    context = {
        "month": month,
        "over": over,
        "months": [
            (one, f"?month={one:%Y-%m}", one == month)
            for one in budget_months(actor, today)[:LINKED_MONTHS]
        ],
        "budgets": [_state(state, over, usable) for state in states],
        "rules": [(rule, _change_url(rule, None, usable)) for rule in budget_rules(actor)],
        "changes": [(one, _scope_words(one), _change_words(one)) for one in budget_changes(actor)],
        "why_not": why_not(actor, Action.BUDGET_WRITE),
    }
    return settings_page(request, "budgets.html", TAB, context)


def _state(state: BudgetState, over: bool, usable: set[int]) -> dict[str, Any]:
    stop, used = state.budget.stop_at, state.spent + state.reserved
    share = None if stop is None else (used / stop if stop else 1.0)
    return {
        "state": state,
        "budget": state.budget,
        "share": share,
        "bar": min(1000, round(1000 * share)) if share is not None else None,
        "used_up": stop is not None and state.spent >= stop,
        "change": "" if over else _change_url(state.budget, state.month, usable),
    }


def _change_url(budget: Budget, month: date | None, usable: set[int]) -> str:
    """Blank for a connection that was removed: nothing is spent there any more."""
    if budget.connection_id is not None and budget.connection_id not in usable:
        return ""
    return set_url(budget.connection, month)


def set_url(connection: Connection | None, month: date | None) -> str:
    """The form, filled in with what is set now."""
    query = {
        "connection": connection.public_id if connection else "",
        "month": f"{month:%Y-%m}" if month else "",
    }
    filled = {name: value for name, value in query.items() if value}
    return resolve_url("settings_budget_set") + (f"?{urlencode(filled)}" if filled else "")


def _scope_words(change: BudgetChange) -> str:
    on = "All connections" if change.connection == "all" else change.connection
    return f"{on}, {change.month}"


def _change_words(change: BudgetChange) -> str:
    """From what to what; only what changed."""
    parts = []
    for words, name in _LIMITS:
        before, after = change.before.get(name), change.after.get(name)
        if before != after:
            parts.append(f"{words} {_usd(before)} → {_usd(after)}")
    return ", ".join(parts) or "no limit"


def _usd(amount: str | None) -> str:
    return "none" if amount is None else f"{amount} USD"


@page(Action.BUDGET_WRITE, methods=("GET", "POST"), keeps=True)
def budget_put(request: PageRequest) -> HttpResponseBase:
    """Not `budget_set`, which does it."""
    given = request.POST if request.method == "POST" else request.GET
    named = given.get("connection", "")
    connection = connection_for(request.actor, named) if named else None
    form = BudgetForm(
        request.POST or None, actor=request.actor, initial=_initial(request, connection)
    )
    if submitted(request) and form.is_valid():
        month = Month.parse(form.cleaned_data["month"])
        try:
            budget_set(
                actor=request.actor,
                connection=connection,
                month=month.first if month else None,
                warn_at=form.cleaned_data["warn_at"],
                stop_at=form.cleaned_data["stop_at"],
            )
        except Invalid as fault:
            put_errors(form, fault)
        except Conflict as conflict:
            form.add_error(None, str(conflict))
        else:
            on = f" on {connection.name}" if connection else ""
            words = month.words if month else "each month"
            messages.success(request, f"The budget{on} for {words} is set.")
            shown = f"?month={month}" if month and month.first != month_of(_today()) else ""
            return go_to(request, resolve_url(TAB) + shown)
    status = 422 if form.errors and submitted(request) else 200
    return settings_page(request, "budget_set.html", TAB, {"form": form}, status)


def _initial(request: PageRequest, connection: Connection | None) -> dict[str, Any]:
    month = Month.parse(request.GET.get("month", ""))
    budget = budget_now(request.actor, connection, month.first if month else None)
    return {
        "connection": connection.public_id if connection else "",
        "month": f"{month}" if month else "",
        "warn_at": usd_string(budget.warn_at) if budget else None,
        "stop_at": usd_string(budget.stop_at) if budget else None,
    }
