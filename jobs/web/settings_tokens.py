"""Settings: one's own API tokens."""

from django import forms
from django.contrib import messages
from django.db import transaction
from django.http import HttpResponseBase
from django.shortcuts import resolve_url
from django.views.decorators.cache import never_cache

from jobs.models import ApiToken, Role
from jobs.teams.access import token_for
from jobs.teams.audit import record
from jobs.teams.crypto import decrypt, encrypt
from jobs.teams.policy import Action
from jobs.teams.selectors import token_list
from jobs.teams.tokens import token_create, token_revoke
from jobs.web.confirmation import Question
from jobs.web.pages import PageRequest, go_to, page, submitted
from jobs.web.settings_shared import settings_page

TAB = "settings_tokens"
# In the session, encrypted, until it is shown once.
MADE = "token_made"


class TokenForm(forms.Form):
    name = forms.CharField(
        max_length=100, help_text="What will use it, so that you know later which one to revoke."
    )
    role = forms.ChoiceField(
        help_text="The most it may do; never more than you may yourself at the time of a call."
    )

    def __init__(self, *args: object, most: Role, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        within = [role for role in Role if role.rank <= most.rank]
        self.fields["role"].choices = [(role.value, role.label) for role in within]  # type: ignore[attr-defined]


@page(Action.TOKEN_OWN)
def tokens(request: PageRequest) -> HttpResponseBase:
    lines = [(token, _question(token).words) for token in token_list(request.actor)]
    return settings_page(request, "tokens.html", TAB, {"tokens": lines})


def _question(token: ApiToken) -> Question:
    name = token.name or f"{token.prefix}…"
    return Question(f"Revoke “{name}”? Whatever uses it is locked out at once.", "Revoke")


def _revoke_question(request: PageRequest, public_id: str) -> Question:
    return _question(token_for(request.actor, public_id))


@page(Action.TOKEN_OWN, methods=("GET", "POST"), keeps=True)
@never_cache
def token_new(request: PageRequest) -> HttpResponseBase:
    actor = request.actor
    form = TokenForm(request.POST or None, most=actor.role)
    if submitted(request) and form.is_valid():
        with transaction.atomic():
            token, raw = token_create(
                user=actor.user,
                team=actor.team,
                role=Role(form.cleaned_data["role"]),
                name=form.cleaned_data["name"],
            )
            record(actor, "token.create", token, name=token.name, role=token.role)
        request.session[MADE] = {"token": token.public_id, "sealed": encrypt(raw)}
        return go_to(request, f"{resolve_url('settings_token_new')}?made={token.public_id}")
    if "made" in request.GET and request.method == "GET":
        return _made(request, request.GET["made"])
    return settings_page(
        request,
        "token_new.html",
        TAB,
        {"form": form},
        status=422 if submitted(request) else 200,
    )


def _made(request: PageRequest, public_id: str) -> HttpResponseBase:
    """The token, for as long as the way from the form to this page: loading it again shows none, and
    makes none."""
    token = token_for(request.actor, public_id)
    made = request.session.pop(MADE, None)
    if made is None or made["token"] != token.public_id:
        messages.info(
            request,
            f"{token.name or token.prefix} was made and shown already: only its hash is stored. "
            "If it was not kept, revoke it and make another.",
        )
        return go_to(request, resolve_url(TAB))
    context = {"token": token, "raw": decrypt(made["sealed"])}
    return settings_page(request, "token_created.html", TAB, context)


@page(Action.TOKEN_OWN, methods=("POST",), confirm=_revoke_question)
def token_take_back(request: PageRequest, public_id: str) -> HttpResponseBase:
    token = token_for(request.actor, public_id)
    with transaction.atomic():
        token_revoke(token)
        record(request.actor, "token.revoke", token, name=token.name)
    messages.success(request, f"Revoked {token.name or token.prefix}.")
    return go_to(request, resolve_url(TAB))
