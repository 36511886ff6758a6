"""Prompt templates and their immutable versions."""

from django.conf import settings
from django.db import models

from jobs.models.fields import OrderedJSON, public_id
from jobs.models.teams import Team


class TemplateKind(models.TextChoices):
    GENERATE = "generate", "Generate"


class PromptTemplate(models.Model):
    public_id = public_id()
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="prompt_templates")
    name = models.CharField(max_length=200)
    kind = models.CharField(max_length=10, choices=TemplateKind, default=TemplateKind.GENERATE)
    latest_version = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    archived_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["team", "name"], name="one_template_per_name")
        ]

    def __str__(self) -> str:
        return self.name


class TemplateVersion(models.Model):
    """One numbered text of a template. Never changed, never deleted."""

    template = models.ForeignKey(PromptTemplate, on_delete=models.CASCADE, related_name="versions")
    version = models.PositiveIntegerField()
    system = models.TextField(blank=True)
    user = models.TextField()
    output_schema = OrderedJSON(null=True)
    rules = models.JSONField(default=list)
    defaults = models.JSONField(default=dict)  # parameters offered on the launch form
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["template", "version"], name="one_version_per_number")
        ]

    def __str__(self) -> str:
        return f"{self.template.name} v{self.version}"
