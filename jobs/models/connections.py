"""Connections to providers, their prices, and the limits that all slices share."""

from django.conf import settings
from django.db import models

from jobs.failures import POLICIES, FailureClass
from jobs.models.fields import public_id
from jobs.models.teams import Team


class ConnectionKind(models.TextChoices):
    OPENAI = "openai", "OpenAI"
    ANTHROPIC = "anthropic", "Anthropic"
    OPENAI_COMPATIBLE = "openai_compatible", "OpenAI-compatible server"
    SIMULATOR = "simulator", "Simulator"


class WireApi(models.TextChoices):
    OPENAI_CHAT = "openai_chat", "Chat completions"
    OPENAI_RESPONSES = "openai_responses", "Responses"
    ANTHROPIC_MESSAGES = "anthropic_messages", "Messages"


class Connection(models.Model):
    """One account at a provider. The key is encrypted at rest and never shown again."""

    public_id = public_id()
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="connections")
    name = models.CharField(max_length=100)
    kind = models.CharField(max_length=20, choices=ConnectionKind)
    api = models.CharField(max_length=20, choices=WireApi, default=WireApi.OPENAI_CHAT)
    base_url = models.CharField(max_length=500)
    key_encrypted = models.TextField(blank=True)
    key_last4 = models.CharField(max_length=4, blank=True)
    # null: no limit of ours; the provider's own answers still shape the concurrency.
    rpm = models.PositiveIntegerField(null=True, blank=True)
    input_tpm = models.PositiveBigIntegerField(null=True, blank=True)
    output_tpm = models.PositiveBigIntegerField(null=True, blank=True)
    max_in_flight = models.PositiveIntegerField(null=True, blank=True)
    # What the last connection test found: structured, legacy_max_tokens, models, usage, …
    capabilities = models.JSONField(default=dict)
    tested_at = models.DateTimeField(null=True)
    test_failure = models.CharField(max_length=30, blank=True)  # a failure class, or blank
    test_message = models.CharField(max_length=500, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    removed_at = models.DateTimeField(null=True)  # kept for the ledger, usable no more

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["team", "name"],
                condition=models.Q(removed_at__isnull=True),
                name="one_connection_per_name",
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def test_failure_label(self) -> str:
        """What the last test failed with, as on a badge; empty where it did not."""
        known = self.test_failure in set(FailureClass)
        return POLICIES[FailureClass(self.test_failure)].label if known else self.test_failure


class Price(models.Model):
    """What a model costs from a date on: pico-USD per token. Immutable once written.

    Own prices have a team (and perhaps a connection, or the kind of it as `provider`); a * in `model`
    stands for any characters. Rows without a team come from the price list
    that ships with the product and are written when first used. `batch_discount_ppm` is the share
    taken off in batch mode, in millionths.
    """

    public_id = public_id()
    team = models.ForeignKey(Team, on_delete=models.CASCADE, null=True, related_name="prices")
    connection = models.ForeignKey(
        Connection, on_delete=models.CASCADE, null=True, related_name="prices"
    )
    provider = models.CharField(max_length=20, blank=True)
    model = models.CharField(max_length=200)
    input = models.BigIntegerField()
    cached_input = models.BigIntegerField()
    cache_write = models.BigIntegerField()
    cache_write_1h = models.BigIntegerField(default=0)
    output = models.BigIntegerField()
    # Long context: above `start` input tokens, all tokens of the call cost the tier's prices.
    # [{start, input, cached_input, cache_write, cache_write_1h, output}], ascending.
    tiers = models.JSONField(default=list)
    batch_discount_ppm = models.PositiveIntegerField(default=500_000)
    effective_from = models.DateTimeField()
    source = models.CharField(max_length=200)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = [models.Index(fields=["model", "-effective_from"], name="price_model")]

    def __str__(self) -> str:
        return f"{self.model} from {self.effective_from:%F}"


class LimitState(models.Model):
    """The shared state of one connection and model: buckets, cool-down, level.

    Every slice takes its permits from this row under a lock (`jobs.engine.limits`), so that no
    number of slices on any number of machines exceeds what is configured. Times in it are of the
    database's clock.
    """

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="+")
    model = models.CharField(max_length=200)
    state = models.JSONField(default=dict)  # see jobs.engine.limits.SharedState
    cooldown_until = models.DateTimeField(null=True)
    updated_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["connection", "model"], name="one_limit_state")
        ]

    def __str__(self) -> str:
        return f"{self.connection_id} {self.model}"
