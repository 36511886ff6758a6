"""The launch form: what it offers, and how it becomes a `LaunchSpec`."""

from collections import Counter
from typing import Any

from django import forms

from jobs.control.launch import MAX_ATTEMPTS, MAX_SEED, LaunchSpec
from jobs.engine.pilots import SIZES
from jobs.errors import Invalid, NotFound
from jobs.models import (
    Connection,
    Dataset,
    DatasetStatus,
    Job,
    PromptTemplate,
    TemplateVersion,
)
from jobs.teams.access import Actor, template_version_for
from jobs.templatetags.figures import count_text
from jobs.web.models_known import known_models
from jobs.web.parameter_fields import ParameterFields, parameter_initial, parameters_of

# What fits into a list to choose from; the newest. Pages of others link here with their id.
OFFERED = 500
_FIELD_OF = {"limit": "row_count", "sample": "row_count", "seed": "seed", "rows": "row_count"}


class LaunchForm(ParameterFields, forms.Form):
    name = forms.CharField(
        required=False, max_length=200, help_text="Blank: made of the template and the dataset."
    )
    dataset = forms.ChoiceField()
    template = forms.ChoiceField()
    template_version = forms.IntegerField(
        required=False, min_value=1, label="Version", help_text="Blank: the latest."
    )
    connection = forms.ChoiceField()
    model = forms.CharField(
        max_length=200, widget=forms.TextInput(attrs={"list": "models", "autocomplete": "off"})
    )
    rows = forms.ChoiceField(
        choices=[("all", "All rows"), ("limit", "The first"), ("sample", "A random sample of")],
        initial="all",
    )
    row_count = forms.IntegerField(required=False, min_value=1, label="How many")
    seed = forms.IntegerField(
        required=False, min_value=0, max_value=MAX_SEED,
        help_text="Of the sample: the same seed takes the same rows. Blank: by chance.",
    )  # fmt: skip
    pilot = forms.TypedChoiceField(
        coerce=int, required=False, initial=0, empty_value="0",
        choices=[(0, "None: all rows at once"), *((n, f"{n} random rows first") for n in SIZES)],
        help_text="Then the job pauses with a new estimate. Their answers stay: nothing is paid twice.",
    )  # fmt: skip
    share_duplicates = forms.BooleanField(
        required=False, initial=True, label="Call once for rows that ask the same",
        help_text="The others take that answer, and say whose it is.",
    )  # fmt: skip
    reuse = forms.BooleanField(
        required=False, label="Take answers that earlier jobs of the team got",
        help_text="To the very same request: messages, schema, model and parameters. They cost nothing.",
    )  # fmt: skip
    max_attempts = forms.IntegerField(
        initial=3, min_value=1, max_value=MAX_ATTEMPTS, label="Attempts a row",
        help_text="Waiting for a rate limit uses up none.",
    )  # fmt: skip
    max_repairs = forms.IntegerField(
        initial=1, min_value=0, max_value=MAX_ATTEMPTS, label="Of them, repairs",
        help_text="A repair shows the model its answer and what is wrong with it.",
    )  # fmt: skip
    tolerated = forms.FloatField(
        initial=30, min_value=0, max_value=100, label="Tolerated failures, %",
        help_text="Above this share of failed rows the job pauses itself.",
    )  # fmt: skip
    budget = forms.DecimalField(
        required=False, min_value=0, max_digits=18, decimal_places=12, label="Budget, USD",
        help_text="The job pauses before it would cost more. Blank: no limit.",
        widget=forms.NumberInput(attrs={"step": "any"}),
    )  # fmt: skip
    max_cost_per_minute = forms.DecimalField(
        required=False, min_value=0, max_digits=18, decimal_places=12, label="Cost per minute, USD",
        help_text="A job that costs more within a minute pauses as a runaway. Blank: no limit.",
        widget=forms.NumberInput(attrs={"step": "any"}),
    )  # fmt: skip
    priority = forms.IntegerField(
        initial=0, min_value=-100, max_value=100, help_text="Higher goes first within the team."
    )
    tags = forms.CharField(
        required=False,
        help_text="One name=value a line; they come back in exports and costs.",
        widget=forms.Textarea(attrs={"rows": 2, "placeholder": "campaign=autumn"}),
    )

    def __init__(self, data: Any, *, actor: Actor, initial: dict[str, Any] | None = None):
        super().__init__(data, initial=initial)
        self.actor = actor
        team = actor.team
        datasets = Dataset.objects.filter(team=team, status=DatasetStatus.READY).order_by("-id")
        self.datasets = {one.public_id: one for one in datasets[:OFFERED]}
        templates = PromptTemplate.objects.filter(team=team, archived_at__isnull=True)
        self.templates = {one.public_id: one for one in templates.order_by("name")[:OFFERED]}
        connections = Connection.objects.filter(team=team, removed_at__isnull=True)
        self.connections = {one.public_id: one for one in connections.order_by("name")}
        names = Counter(one.name for one in self.datasets.values())
        self._offer(
            "dataset",
            {k: _dataset_words(v, twin=names[v.name] > 1) for k, v in self.datasets.items()},
        )
        self._offer(
            "template", {k: f"{v.name} (v{v.latest_version})" for k, v in self.templates.items()}
        )
        self._offer(
            "connection",
            {k: f"{v.name} ({v.get_kind_display()})" for k, v in self.connections.items()},
        )
        self.models = known_models(team)

    def _offer(self, name: str, choices: dict[str, str]) -> None:
        """A single choice is taken; among several somebody has to choose."""
        first = [] if len(choices) == 1 else [("", "Choose…")]
        self.fields[name].choices = [*first, *choices.items()]  # type: ignore[attr-defined]

    @property
    def missing(self) -> list[tuple[str, str]]:
        """What the team lacks for a launch: (words, name of the page that helps)."""
        needed = [
            (self.datasets, "A dataset that is ready", "datasets"),
            (self.templates, "A prompt template", "templates"),
            (self.connections, "A connection to a provider", "settings"),
        ]
        return [(words, page) for have, words, page in needed if not have]

    def clean_tags(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for line in self.cleaned_data["tags"].splitlines():
            if not line.strip():
                continue
            name, sign, value = line.partition("=")
            if not sign or not name.strip():
                raise forms.ValidationError(f"Write name=value, not “{line.strip()[:50]}”.")
            found[name.strip()] = value.strip()
        return found

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        some = cleaned.get("rows") in ("limit", "sample")
        if some and cleaned.get("row_count") is None and "row_count" not in self.errors:
            self.add_error("row_count", "How many rows?")
        return cleaned

    def version(self) -> TemplateVersion | None:
        """The template version that was chosen, as far as it is valid."""
        template = self.cleaned_data.get("template")
        if not template:
            return None
        try:
            return template_version_for(
                self.actor, template, self.cleaned_data.get("template_version")
            )
        except NotFound as error:
            self.add_error("template_version", str(error))
            return None

    def selection(self) -> dict[str, int]:
        """`LaunchSpec.rows` of what was chosen."""
        how, many = self.cleaned_data.get("rows"), self.cleaned_data.get("row_count")
        if how not in ("limit", "sample") or many is None:
            return {}
        chosen = {how: many}
        if how == "sample" and self.cleaned_data.get("seed") is not None:
            chosen["seed"] = self.cleaned_data["seed"]
        return chosen

    def spec(self, version: TemplateVersion, *, mode: str, key: str) -> LaunchSpec:
        """Of a valid form."""
        cleaned = self.cleaned_data
        return LaunchSpec(
            dataset=self.datasets[cleaned["dataset"]],
            template_version=version,
            connection=self.connections[cleaned["connection"]],
            model=cleaned["model"],
            name=cleaned["name"],
            mode=mode,
            parameters=parameters_of(cleaned),
            rows=self.selection(),
            pilot=cleaned["pilot"],
            tags=cleaned["tags"],
            priority=cleaned["priority"],
            max_attempts=cleaned["max_attempts"],
            max_repairs=cleaned["max_repairs"],
            budget=cleaned["budget"],
            max_cost_per_minute=cleaned["max_cost_per_minute"],
            tolerated_failure_rate=cleaned["tolerated"] / 100,
            share_duplicates=cleaned["share_duplicates"],
            reuse=cleaned["reuse"],
            launch_key=key,
        )

    def take(self, invalid: Invalid) -> None:
        """Put a service's faults beside the fields they are about."""
        for error in invalid.errors:
            place, last = str(error.loc[0]), str(error.loc[-1])
            name = last if place == "parameters" else _FIELD_OF.get(last, place)
            if name == "tolerated_failure_rate":
                name = "tolerated"
            if name not in self.fields and place == "parameters":
                name = "more_parameters"
            self.add_error(name if name in self.fields else None, error.msg)


def _dataset_words(dataset: Dataset, *, twin: bool) -> str:
    """Datasets of one name are told apart by their files."""
    rows = f"{count_text(dataset.rows)} row{'' if dataset.rows == 1 else 's'}"
    return f"{dataset.name} ({rows}{f', {dataset.filename}' if twin else ''})"


def cloned(job: Job) -> dict[str, Any]:
    """A job's set-up as initial values."""
    chosen = job.selection
    how = next((name for name in ("sample", "limit") if name in chosen), "all")
    return {
        "name": job.name,
        "dataset": job.dataset.public_id,
        "template": job.template_version.template.public_id,
        "template_version": job.template_version.version,
        "connection": job.connection.public_id,
        "model": job.model,
        "rows": how,
        "row_count": chosen.get(how),
        "seed": chosen.get("seed"),
        "max_attempts": job.max_attempts,
        "max_repairs": job.max_repairs,
        "tolerated": round(job.tolerated_failure_rate * 100, 4),
        "priority": job.priority,
        "share_duplicates": job.share_duplicates,
        "reuse": job.reuse,
        "tags": "\n".join(f"{name}={value}" for name, value in job.tags.items()),
        **parameter_initial(job.parameters),
    }
