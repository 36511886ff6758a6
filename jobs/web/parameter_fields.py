"""The fields for a call's parameters, shared by the launch and replay forms."""

import json
from collections.abc import Mapping
from typing import Any

from django import forms

from jobs.control.parameters import MAX_TOKENS, NAMES

_OWN_FIELDS = ("max_tokens", "temperature", "top_p")


class ParameterFields(forms.Form):
    """The usual parameters as fields, all others as one JSON object. Blank: as it was."""

    max_tokens = forms.IntegerField(
        required=False, min_value=1, max_value=MAX_TOKENS, label="Max tokens",
        help_text="The longest answer allowed; also what an answer can cost at most.",
    )  # fmt: skip
    temperature = forms.FloatField(required=False, min_value=0, max_value=2)
    top_p = forms.FloatField(required=False, min_value=0, max_value=1, label="Top p")
    more_parameters = forms.CharField(
        required=False,
        label="More parameters",
        help_text=f"A JSON object of: {', '.join(n for n in NAMES if n not in _OWN_FIELDS)}.",
        widget=forms.Textarea(attrs={"rows": 2, "placeholder": '{"stop": ["###"]}'}),
    )

    def clean_more_parameters(self) -> dict[str, Any]:
        text = self.cleaned_data["more_parameters"].strip()
        if not text:
            return {}
        try:
            value = json.loads(text)
        except ValueError as error:
            raise forms.ValidationError("This is not JSON.") from error
        if not isinstance(value, dict):
            raise forms.ValidationError('Write an object, such as {"stop": ["###"]}.')
        return value


def parameters_of(cleaned: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters that were given; a field of its own goes before the JSON."""
    given = {name: cleaned[name] for name in _OWN_FIELDS if cleaned.get(name) is not None}
    return {**cleaned.get("more_parameters", {}), **given}


def parameter_initial(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """A job's parameters as the fields' initial values."""
    rest = {name: value for name, value in parameters.items() if name not in _OWN_FIELDS}
    return {
        **{name: parameters.get(name) for name in _OWN_FIELDS},
        "more_parameters": json.dumps(rest) if rest else "",
    }
