"""Settings: connections to providers."""

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import HttpResponseBase
from django.shortcuts import resolve_url

from jobs.control.connection_tests import connection_test
from jobs.control.limits_seen import limits_seen
from jobs.errors import Invalid
from jobs.models import Connection, ConnectionKind, WireApi
from jobs.teams.access import connection_for
from jobs.teams.connections import (
    APIS,
    DEFAULT_BASE_URLS,
    LIMITS,
    MAX_LIMIT,
    connection_remove,
    connection_save,
)
from jobs.teams.policy import Action
from jobs.teams.selectors import connection_list, models_of, unfinished_jobs_on
from jobs.web.confirmation import Question
from jobs.web.pages import PageRequest, go_to, page, submitted
from jobs.web.settings_shared import put_errors, settings_page, why_not

TAB = "settings_connections"
# How a schema reaches the model, as the last test found.
STRUCTURED = {
    "json_schema": "enforced by the server",
    "tool": "through the arguments of a tool the model must call",
    "json_object": "put to the model in words; the server enforces JSON alone",
    "prompt": "put to the model in words; nothing is enforced",
}


class ConnectionForm(forms.Form):
    """For one kind. The stored key is never part of it."""

    name = forms.CharField(max_length=100, help_text="As people will choose it on the launch form.")
    api = forms.ChoiceField(label="Wire format")
    base_url = forms.CharField(label="Base URL", max_length=500, required=False)
    api_key = forms.CharField(
        label="API key",
        max_length=1000,
        required=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
    )
    remove_key = forms.BooleanField(label="Remove the stored key", required=False)
    rpm = forms.IntegerField(label="Requests a minute", required=False)
    input_tpm = forms.IntegerField(label="Input tokens a minute", required=False)
    output_tpm = forms.IntegerField(label="Output tokens a minute", required=False)
    max_in_flight = forms.IntegerField(label="Calls at the same time", required=False)

    def __init__(self, *args: Any, kind: ConnectionKind, stored: Connection | None, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.kind, self.stored = kind, stored
        self.fields["api"].choices = [(api.value, api.label) for api in APIS[kind]]  # type: ignore[attr-defined]
        default = DEFAULT_BASE_URLS[kind]
        self.fields["base_url"].required = not default
        self.fields["base_url"].help_text = (
            f"Empty: {default}"
            if default
            else "As the server's documentation gives it, with or without /v1."
        )
        for name in LIMITS:
            field = self.fields[name]
            field.min_value, field.max_value = 1, MAX_LIMIT  # type: ignore[attr-defined]
            field.widget.attrs.update({"min": 1, "placeholder": "no limit of ours"})
        if stored is None or not stored.key_encrypted:
            del self.fields["remove_key"]
        self.fields["api_key"].help_text = self._key_words()

    def _key_words(self) -> str:
        if self.stored is None or not self.stored.key_encrypted:
            return "Stored encrypted and never shown again."
        shown = f" (ends in {self.stored.key_last4})" if self.stored.key_last4 else ""
        return (
            f"Empty keeps the stored one{shown}. With another base URL enter it again: a key is "
            "only sent where it was entered for."
        )

    def save(self, request: PageRequest) -> Connection | None:
        """None when something is wrong; the errors then stand beside the fields."""
        if not self.is_valid():
            self._ask_for_key_again()
            return None
        given = self.cleaned_data
        key = given["api_key"] or ("" if given.get("remove_key") else None)
        try:
            return connection_save(
                actor=request.actor,
                connection=self.stored,
                name=given["name"],
                kind=self.kind,
                api=given["api"],
                base_url=given["base_url"],
                api_key=key,
                limits={name: given[name] for name in LIMITS},
            )
        except Invalid as fault:
            put_errors(self, fault)
            self._ask_for_key_again()
            return None

    def _ask_for_key_again(self) -> None:
        if self.data.get("api_key") and not self.has_error("api_key"):
            self.add_error("api_key", "Enter the key again: it is not sent back to this page.")


def _initial(connection: Connection) -> dict[str, Any]:
    names = ("name", "api", "base_url", *LIMITS)
    return {name: getattr(connection, name) for name in names}


@page(Action.CONNECTION_READ)
def connections(request: PageRequest) -> HttpResponseBase:
    return settings_page(
        request,
        "connections.html",
        TAB,
        {
            "connections": connection_list(request.actor),
            "why_not": why_not(request.actor, Action.CONNECTION_WRITE),
        },
    )


@page(Action.CONNECTION_WRITE, methods=("GET", "POST"), keeps=True)
def connection_new(request: PageRequest) -> HttpResponseBase:
    asked = request.GET.get("kind", "")
    kind = ConnectionKind(asked) if asked in ConnectionKind.values else ConnectionKind.OPENAI
    form = ConnectionForm(request.POST or None, kind=kind, stored=None)
    if submitted(request):
        connection = form.save(request)
        if connection is not None:
            messages.success(request, f"Added {connection.name}. Test it now.")
            return _back_to(request, connection)
    tabs = [
        {"label": one.label, "url": f"?kind={one.value}", "active": one is kind}
        for one in ConnectionKind
    ]
    return settings_page(
        request,
        "connection_new.html",
        TAB,
        {
            "form": form,
            "kind_tabs": tabs,
            "kind": kind,
            "private": settings.ALLOW_PRIVATE_ADDRESSES,
        },
        status=422 if submitted(request) else 200,
    )


@page(Action.CONNECTION_READ)
def connection(request: PageRequest, public_id: str) -> HttpResponseBase:
    return _show(request, connection_for(request.actor, public_id))


@page(Action.CONNECTION_WRITE, methods=("GET", "POST"), keeps=True)
def connection_change(request: PageRequest, public_id: str) -> HttpResponseBase:
    found = connection_for(request.actor, public_id)
    if request.method != "POST":
        return _back_to(request, found)  # the answer to a faulty form was loaded again
    had_key = bool(found.key_encrypted)
    form = ConnectionForm(request.POST, kind=ConnectionKind(found.kind), stored=found)
    if request.resumed:
        return _show(request, found, form=form)
    saved = form.save(request)
    if saved is None:
        return _show(request, connection_for(request.actor, public_id), form=form, status=422)
    if had_key and not saved.key_encrypted and not form.cleaned_data.get("remove_key"):
        messages.warning(
            request, "Saved. The address changed, so the stored key was removed: enter it again."
        )
    else:
        messages.success(request, "Saved.")
    return _back_to(request, found)


@page(Action.CONNECTION_WRITE, methods=("GET", "POST"), keeps=True)
def connection_try(request: PageRequest, public_id: str) -> HttpResponseBase:
    """Make a real call; the connection keeps what came of it, and its page says it in words."""
    found = connection_for(request.actor, public_id)
    if request.method != "POST":
        return _back_to(request, found)
    model = request.POST.get("model", "").strip()
    if request.resumed:
        return _show(request, found, typed=model)
    try:
        connection_test(actor=request.actor, connection=found, model=model)
    except Invalid as fault:
        return _show(request, found, test_error=str(fault.errors[0].msg), typed=model, status=422)
    return _back_to(request, found)


def _question(found: Connection) -> Question:
    jobs = unfinished_jobs_on(found)
    pause = f", and {jobs} unfinished job{'s' * (jobs != 1)} on it will pause" if jobs else ""
    return Question(f"Remove {found.name}? Its key is erased{pause}.", "Remove")


def _remove_question(request: PageRequest, public_id: str) -> Question:
    return _question(connection_for(request.actor, public_id))


@page(Action.CONNECTION_WRITE, methods=("POST",), confirm=_remove_question)
def connection_take_away(request: PageRequest, public_id: str) -> HttpResponseBase:
    found = connection_for(request.actor, public_id)
    connection_remove(actor=request.actor, connection=found)
    messages.success(request, f"Removed {found.name}; its key is erased.")
    return go_to(request, resolve_url(TAB))


def _back_to(request: PageRequest, found: Connection) -> HttpResponseBase:
    return go_to(request, resolve_url("settings_connection", found.public_id))


def _show(
    request: PageRequest,
    found: Connection,
    *,
    form: ConnectionForm | None = None,
    status: int = 200,
    **context: Any,
) -> HttpResponseBase:
    kind = ConnectionKind(found.kind)
    if form is None:
        form = ConnectionForm(initial=_initial(found), kind=kind, stored=found)
    models = models_of(found)
    return settings_page(
        request,
        "connection.html",
        TAB,
        {
            "connection": found,
            "form": form,
            "kind": kind,
            "api_label": WireApi(found.api).label,
            "structured_words": STRUCTURED.get(found.capabilities.get("structured", "")),
            "models": models,
            "typed": found.capabilities.get("model") or next(iter(models), ""),
            "seen": limits_seen(found),
            "limits": [(form.fields[name].label, getattr(found, name)) for name in LIMITS],
            "may_write": request.actor.may(Action.CONNECTION_WRITE),
            "why_not": why_not(request.actor, Action.CONNECTION_WRITE),
            "remove_question": _question(found).words,
            **context,
        },
        status=status,
    )
