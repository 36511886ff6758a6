"""Small pieces of a page: icon, badge, figure tile, field, one-button form. Part of `batchllm`."""

# ruff: noqa: A002 (whoever writes a template says `id=` and `open=`)

from django import template
from django.forms import BoundField
from django.template.context import Context
from django.templatetags.static import static
from django.urls import NoReverseMatch, get_script_prefix, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from jobs.templatetags.statuses import look_of, status_key, status_words

library = template.Library()


@library.simple_tag
def icon(name: str, label: str = "") -> SafeString:
    """A sign of the sprite; without a label it is decoration and hidden from screen readers."""
    use = format_html('<use href="{}#{}"/>', static("icons.svg"), name)
    if label:
        return format_html('<svg class="icon" role="img" aria-label="{}">{}</svg>', label, use)
    return format_html('<svg class="icon" aria-hidden="true">{}</svg>', use)


@library.simple_tag
def pill(text: object, tone: str = "grey", icon: str = "", title: str = "") -> SafeString:
    """A small label: tone, words, and a sign if it has one."""
    sign = _icon(icon) if icon else ""
    return format_html(
        '<span class="badge tone-{}"{}>{}{}</span>',
        tone,
        format_html(' title="{}"', title) if title else "",
        sign,
        text,
    )


@library.simple_tag
def badge(status: str | int, title: str = "") -> SafeString:
    """The one look of a status; None is not a status and raises TypeError on purpose."""
    if status is None:
        raise TypeError("badge needs a status")
    key = status_key(status)
    look = look_of(key)
    return pill(status_words(key), tone=look.tone, icon=look.icon, title=title)


_icon = icon


@library.inclusion_tag("components/stat.html")
def stat(
    label: str, value: object, href: str = "", hint: object = "", tone: str = ""
) -> dict[str, object]:
    return {"label": label, "value": value, "href": href, "hint": hint, "tone": tone}


@library.inclusion_tag("components/raw_text.html")
def raw_text(
    text: object,
    label: str = "",
    fold: bool = False,
    open: bool = False,
    id: str = "",
    name: str = "",
) -> dict[str, object]:
    """Text from outside: escaped, wrapped, never interpreted. `name` is its name for screen readers
    where the label is not shown."""
    return {"text": text, "label": label, "fold": fold, "open": open, "id": id, "name": name}


@library.inclusion_tag("components/post_button.html", takes_context=True)
def post_button(
    context: Context,
    label: str,
    url: str,
    icon: str = "",
    reason: str = "",
    confirm: str = "",
    tone: str = "",
    shortcut: str = "",
    name: str = "",
    value: object = "",
    small: bool = False,
) -> dict[str, object]:
    """A form with one button; with a `reason` it is shown, does nothing and says why."""
    return {
        "csrf_token": context.get("csrf_token"),
        "label": label,
        "url": url,
        "icon": icon,
        "reason": reason,
        "confirm": confirm,
        "tone": tone,
        "shortcut": shortcut,
        "name": name,
        "value": value,
        "small": small,
    }


_WIDGET_CLASSES = {
    "select": "form-select",
    "selectmultiple": "form-select",
    "nullbooleanselect": "form-select",
    "checkbox": "form-check-input",
    "radioselect": "form-radios",
    "checkboxselectmultiple": "form-radios",
}


@library.inclusion_tag("components/field.html")
def field(bound: BoundField) -> dict[str, object]:
    """A bound field with its label, help and errors; what was typed stays in the control."""
    kind = bound.widget_type
    classes = [_WIDGET_CLASSES.get(kind, "form-control")]
    if bound.errors:
        classes.append("is-invalid")
    own = bound.field.widget.attrs.get("class")
    if own:
        classes.append(own)
    return {
        "field": bound,
        "control": bound.as_widget(attrs={"class": " ".join(classes)}),
        "kind": kind,
        "help_id": f"{bound.auto_id}_helptext",
        "error_id": f"{bound.auto_id}_error",
    }


@library.inclusion_tag("components/live_state.html")
def live_state(target: str) -> dict[str, object]:
    """Says whether the polled region with this id is live, and how old it is."""
    return {"target": target}


@library.simple_tag(takes_context=True)
def nav_link(context: Context, label: str, url_name: str, key: str) -> SafeString:
    """A link of the main navigation, marked when the page is in its part; `g` + key goes there.

    Renders nothing for a page that this installation does not have.
    """
    try:
        url = reverse(url_name)
    except NoReverseMatch:
        return SafeString("")
    path = context["request"].path if "request" in context else ""
    here = path == url if url == get_script_prefix() else path.startswith(url)
    return format_html(
        '<a href="{}" data-go="{}"{}>{}</a>',
        url,
        key,
        SafeString(' aria-current="page"') if here else "",
        label,
    )
