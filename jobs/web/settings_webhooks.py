"""Settings: webhooks, which tell other programs what people are told."""

from django import forms
from django.contrib import messages
from django.http import HttpResponseBase
from django.shortcuts import resolve_url
from django.views.decorators.cache import never_cache

from jobs.errors import Invalid
from jobs.models import DeliveryState, NoticeKind, Webhook
from jobs.notices.failing import Failing
from jobs.notices.selectors import recent_deliveries, webhooks_of
from jobs.notices.webhooks import webhook_add, webhook_change, webhook_remove, webhook_test
from jobs.teams.access import webhook_for
from jobs.teams.crypto import decrypt, encrypt
from jobs.teams.policy import Action
from jobs.web.confirmation import Question
from jobs.web.pages import PageRequest, go_to, page, submitted
from jobs.web.settings_shared import put_errors, settings_page

TAB = "settings_webhooks"
# In the session, encrypted, until it is shown once.
MADE = "webhook_made"
_STATES = {
    DeliveryState.WAITING: ("orange", "clock"),
    DeliveryState.SENT: ("green", "circle-check"),
    DeliveryState.GIVEN_UP: ("red", "circle-x"),
}


class KindsForm(forms.Form):
    kinds = forms.MultipleChoiceField(
        label="Tell of",
        choices=[(kind.value, f"{kind.label} ({kind.value})") for kind in NoticeKind],
        widget=forms.CheckboxSelectMultiple,
    )


class WebhookForm(KindsForm):
    url = forms.CharField(
        label="Address",
        max_length=500,
        widget=forms.URLInput(attrs={"placeholder": "https://"}),
        help_text="Gets a signed POST for each notice. It cannot be changed later: another address "
        "is another webhook, with a secret of its own.",
    )
    field_order = ("url", "kinds")


@page(Action.WEBHOOK_WRITE)
def webhooks(request: PageRequest) -> HttpResponseBase:
    lines = [(one, _failing(one), len(one.kinds)) for one in webhooks_of(request.actor)]
    context = {"webhooks": lines, "kinds": len(NoticeKind)}
    return settings_page(request, "webhooks.html", TAB, context)


def _failing(webhook: Webhook) -> str:
    return Failing(webhook.failure).label if webhook.failure else ""


@page(Action.WEBHOOK_WRITE, methods=("GET", "POST"), keeps=True)
@never_cache
def webhook_new(request: PageRequest) -> HttpResponseBase:
    form = WebhookForm(request.POST or None, initial={"kinds": NoticeKind.values})
    if submitted(request) and form.is_valid():
        try:
            made, secret = webhook_add(
                actor=request.actor,
                url=form.cleaned_data["url"],
                kinds=form.cleaned_data["kinds"],
            )
        except Invalid as fault:
            put_errors(form, fault)
        else:
            request.session[MADE] = {"webhook": made.public_id, "sealed": encrypt(secret)}
            return go_to(request, f"{resolve_url('settings_webhook_new')}?made={made.public_id}")
    if "made" in request.GET and request.method == "GET":
        return _made(request, webhook_for(request.actor, request.GET["made"]))
    status = 422 if submitted(request) else 200
    return settings_page(request, "webhook_new.html", TAB, {"form": form}, status=status)


def _made(request: PageRequest, webhook: Webhook) -> HttpResponseBase:
    """The secret, for as long as the way from the form to this page."""
    made = request.session.pop(MADE, None)
    if made is None or made["webhook"] != webhook.public_id:
        messages.info(
            request,
            "The secret was shown already and cannot be shown again. If it was not kept, remove the "
            "webhook and add it anew.",
        )
        return go_to(request, resolve_url("settings_webhook", webhook.public_id))
    context = {"webhook": webhook, "secret": decrypt(made["sealed"])}
    return settings_page(request, "webhook_created.html", TAB, context)


@page(Action.WEBHOOK_WRITE)
def webhook(request: PageRequest, webhook_id: str) -> HttpResponseBase:
    return _show(request, webhook_for(request.actor, webhook_id))


@page(Action.WEBHOOK_WRITE, methods=("GET", "POST"), keeps=True)
def webhook_kinds(request: PageRequest, webhook_id: str) -> HttpResponseBase:
    found = webhook_for(request.actor, webhook_id)
    if request.method != "POST":
        return _back_to(request, found)
    form = KindsForm(request.POST)
    if request.resumed:
        return _show(request, found, form=form)
    if not form.is_valid():
        return _show(request, found, form=form, status=422)
    webhook_change(actor=request.actor, webhook=found, kinds=form.cleaned_data["kinds"])
    messages.success(request, "Saved. It counts for notices from now on.")
    return _back_to(request, found)


@page(Action.WEBHOOK_WRITE, methods=("POST",))
def webhook_try(request: PageRequest, webhook_id: str) -> HttpResponseBase:
    """Post a real event; the webhook keeps what came of it, and its page says it in words of ours."""
    found = webhook_for(request.actor, webhook_id)
    failed = webhook_test(actor=request.actor, webhook=found)
    if failed is None:
        messages.success(request, "The receiver took the test.")
    else:
        messages.error(request, f"{failed.failing.label}. {failed.message}")
    return _back_to(request, found)


def _question(found: Webhook) -> Question:
    words = "What waits for it is dropped, and its secret is erased."
    return Question(f"Remove the webhook to {found.host}? {words}", "Remove")


def _remove_question(request: PageRequest, webhook_id: str) -> Question:
    return _question(webhook_for(request.actor, webhook_id))


@page(Action.WEBHOOK_WRITE, methods=("POST",), confirm=_remove_question)
def webhook_take_away(request: PageRequest, webhook_id: str) -> HttpResponseBase:
    found = webhook_for(request.actor, webhook_id)
    webhook_remove(actor=request.actor, webhook=found)
    messages.success(request, f"Removed the webhook to {found.host}.")
    return go_to(request, resolve_url(TAB))


def _back_to(request: PageRequest, found: Webhook) -> HttpResponseBase:
    return go_to(request, resolve_url("settings_webhook", found.public_id))


def _show(
    request: PageRequest, found: Webhook, *, form: KindsForm | None = None, status: int = 200
) -> HttpResponseBase:
    deliveries = [
        (one, *_STATES[DeliveryState(one.state)], Failing(one.failure).label if one.failure else "")
        for one in recent_deliveries(found)
    ]
    context = {
        "webhook": found,
        "form": form or KindsForm(initial={"kinds": found.kinds}),
        "failing": _failing(found),
        "deliveries": deliveries,
        "remove_question": _question(found).words,
    }
    return settings_page(request, "webhook.html", TAB, context, status=status)
