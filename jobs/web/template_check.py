"""What stands beside the template editor: a row as the model would see it, and what that costs."""

from django.db.models import QuerySet
from django.utils import timezone

from jobs.costs.prefix_advice import PrefixAdvice, prefix_advice
from jobs.costs.pricing import resolve_price
from jobs.models import Connection, Dataset, DatasetStatus, Price, PromptTemplate
from jobs.prompts.selectors import PreviewRow, VariableUse, preview, variable_use
from jobs.prompts.template import PromptText, TemplateFault
from jobs.teams.access import Actor
from jobs.web.template_form import EditorForm


def ready_datasets(actor: Actor) -> QuerySet[Dataset]:
    """What a template can be held against, newest first."""
    return Dataset.objects.filter(team=actor.team, status=DatasetStatus.READY).order_by("-pk")


def connection_of(connections: QuerySet[Connection], chosen: str) -> Connection | None:
    """The one that stands beside "Try"."""
    return (connections.filter(public_id=chosen) if chosen else connections).first()


def price_of(connection: Connection | None, model: str) -> Price | None:
    """What the model that stands beside "Try" costs; None where nobody knows."""
    if connection is None or not model:
        return None
    return resolve_price(connection=connection, model=model.strip(), at=timezone.now())


def usual_dataset(datasets: QuerySet[Dataset], template: PromptTemplate | None) -> Dataset | None:
    """What the template ran over the last time, else the newest."""
    if template is not None:
        used = datasets.filter(jobs__template_version__template=template).order_by("-jobs__pk")
        if (last := used.first()) is not None:
            return last
    return datasets.first()


def checked(
    form: EditorForm, dataset: Dataset | None, row: int
) -> tuple[PreviewRow | None, VariableUse | None, TemplateFault | None]:
    """The row as the model would see it, how variables meet columns, or why neither can be told."""
    try:
        prompt = PromptText.compile(form.system, form.user)
    except TemplateFault as fault:
        return None, None, fault
    use = variable_use(prompt, dataset)
    if dataset is None:
        return None, use, None
    return preview(prompt=prompt, dataset=dataset, rows=[row])[0], use, None


def advice_of(
    form: EditorForm, connection: Connection | None, model: str, price: Price | None
) -> PrefixAdvice | None:
    """What the provider keeps of these prompts between calls, or could; of texts that compile."""
    if connection is None:
        return None
    return prefix_advice(
        system=form.system, user=form.user, connection=connection, model=model.strip(), price=price
    )
