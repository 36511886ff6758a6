"""The form of a replay: what is laid over the job's own set-up."""

from typing import Any

from django import forms

from jobs.control.replays import Overrides
from jobs.errors import Invalid
from jobs.models import Connection, Job
from jobs.teams.access import Actor
from jobs.web.models_known import known_models
from jobs.web.parameter_fields import ParameterFields, parameters_of

# A template with more versions than that is edited, not chosen from; the newest count.
VERSIONS = 50


class ReplayForm(ParameterFields, forms.Form):
    """Blank fields mean "as in the job"."""

    template_version = forms.ChoiceField(required=False, label="Template version")
    connection = forms.ChoiceField(required=False)
    model = forms.CharField(
        required=False,
        max_length=200,
        help_text="Blank: the model the job was launched with.",
        widget=forms.TextInput(attrs={"list": "models", "autocomplete": "off"}),
    )
    field_order = ("template_version", "connection", "model")

    def __init__(self, data: Any, *, actor: Actor, job: Job, initial: dict[str, Any] | None = None):
        super().__init__(data, initial=initial)
        self.job = job
        used = job.template_version
        self.versions = {
            str(one.version): one for one in used.template.versions.order_by("-version")[:VERSIONS]
        }
        self.connections = {
            one.public_id: one
            for one in Connection.objects.filter(team=actor.team, removed_at__isnull=True)
        }
        self.fields["template_version"].choices = [  # type: ignore[attr-defined]
            ("", f"As in the job (v{used.version})"),
            *((key, f"v{key}") for key in self.versions if key != str(used.version)),
        ]
        self.fields["connection"].choices = [  # type: ignore[attr-defined]
            ("", f"As in the job ({job.connection.name})"),
            *(
                (key, one.name)
                for key, one in self.connections.items()
                if one.pk != job.connection_id
            ),
        ]
        self.fields["model"].widget.attrs["placeholder"] = job.model
        self.models = known_models(actor.team)
        for name in ("max_tokens", "temperature", "top_p"):
            self.fields[name].widget.attrs["placeholder"] = str(job.parameters.get(name, ""))

    def overrides(self) -> Overrides:
        """Of a valid form."""
        cleaned = self.cleaned_data
        return Overrides(
            template_version=self.versions.get(cleaned["template_version"]),
            connection=self.connections.get(cleaned["connection"]),
            model=cleaned["model"].strip(),
            parameters=parameters_of(cleaned),
        )

    def take(self, invalid: Invalid) -> None:
        """Put a service's faults beside the fields they are about."""
        for error in invalid.errors:
            name = str(error.loc[-1])
            self.add_error(name if name in self.fields else None, error.msg)
