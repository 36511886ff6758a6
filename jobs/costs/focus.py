"""A month's charges in the words of FOCUS, the FinOps Open Cost and Usage Specification, version 1.2; of
1.3 the names of who sells and who hosts stand beside.

To FOCUS a connection is the billing account, a team the sub-account, a job the resource. What is in
doubt is not billed and not in it. Tokens of unknown price are in it at a price of 0 and marked
`x_PriceUnknown`: the specification knows no charge without an amount.
"""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import Any

import orjson
from django.db.models import QuerySet

from jobs.costs.charges import OTHER, Charge, charges
from jobs.costs.months import Month, midnight
from jobs.models import Connection, ConnectionKind, CorrectionKind, Job, Team
from jobs.money import usd_string
from jobs.written import Written

type Line = dict[str, Any]

COLUMNS = (
    "BilledCost", "BillingAccountId", "BillingAccountName", "BillingCurrency", "BillingPeriodEnd",
    "BillingPeriodStart", "ChargeCategory", "ChargeClass", "ChargeDescription", "ChargeFrequency",
    "ChargePeriodEnd", "ChargePeriodStart", "CommitmentDiscountStatus", "ConsumedQuantity",
    "ConsumedUnit", "ContractedCost", "ContractedUnitPrice", "EffectiveCost", "HostProviderName",
    "InvoiceId", "InvoiceIssuerName", "ListCost", "ListUnitPrice", "PricingCategory",
    "PricingCurrency", "PricingCurrencyContractedUnitPrice", "PricingCurrencyEffectiveCost",
    "PricingCurrencyListUnitPrice", "PricingQuantity", "PricingUnit", "ProviderName",
    "PublisherName", "ResourceId", "ResourceName", "ResourceType", "ServiceCategory", "ServiceName",
    "ServiceProviderName", "ServiceSubcategory", "SkuId", "SkuMeter", "SkuPriceDetails",
    "SkuPriceId", "SubAccountId", "SubAccountName", "Tags", "x_Correction", "x_Estimated", "x_Mode",
    "x_Model", "x_PriceUnknown", "x_Template",
)  # fmt: skip
_METERS = {
    "input": "Input tokens",
    "cached_input": "Cached input tokens",
    "cache_write": "Cache write tokens, 5 minutes",
    "cache_write_1h": "Cache write tokens, 1 hour",
    "output": "Output tokens",
    OTHER: "Charges without a unit price",
}


def focus_lines(*, team_ids: Sequence[int], month: Month) -> Iterator[list[Line]]:
    """Chunks of lines, each with all of `COLUMNS` in their order."""
    teams = Team.objects.in_bulk(team_ids)
    for chunk in charges(team_ids, month):
        jobs: QuerySet[Job] = Job.objects.select_related("template_version__template")
        found = jobs.in_bulk({charge.job_id for charge in chunk if charge.job_id})
        connections = Connection.objects.in_bulk({charge.connection_id for charge in chunk})
        yield [
            _line(
                charge,
                month,
                teams[charge.team_id],
                connections[charge.connection_id],
                found.get(charge.job_id),
            )
            for charge in chunk
        ]


def _line(
    charge: Charge, month: Month, team: Team, connection: Connection, job: Job | None
) -> Line:
    cost = _amount(charge.cost)
    provider = ConnectionKind(connection.kind).label
    meter = _METERS[charge.meter]
    unit = "Charges" if charge.meter == OTHER else "Tokens"
    sku = f"{connection.kind}/{charge.model}/{charge.meter}"
    mode = "batch" if charge.batch else "realtime"
    price = _amount(charge.unit_price)
    line = dict.fromkeys(COLUMNS, None) | {
        "BilledCost": cost,
        "BillingAccountId": connection.public_id,
        "BillingAccountName": connection.name,
        "BillingCurrency": "USD",
        "BillingPeriodEnd": _moment(month.next.first),
        "BillingPeriodStart": _moment(month.first),
        "ChargeCategory": "Usage",
        "ChargeDescription": f"{meter} of {charge.model}{_remark(charge)}",
        "ChargeFrequency": "Usage-Based",
        "ChargePeriodEnd": _moment(charge.day + timedelta(1)),
        "ChargePeriodStart": _moment(charge.day),
        "ConsumedQuantity": _count(charge.quantity),
        "ConsumedUnit": unit,
        "ContractedCost": cost,
        "ContractedUnitPrice": price,
        "EffectiveCost": cost,
        "HostProviderName": provider,
        "InvoiceIssuerName": provider,
        "ListCost": cost,
        "ListUnitPrice": price,
        "PricingCategory": "Standard",
        "PricingCurrency": "USD",
        "PricingCurrencyContractedUnitPrice": price,
        "PricingCurrencyEffectiveCost": cost,
        "PricingCurrencyListUnitPrice": price,
        "PricingQuantity": _count(charge.quantity),
        "PricingUnit": unit,
        "ProviderName": provider,
        "PublisherName": provider,
        "ServiceCategory": "AI and Machine Learning",
        "ServiceName": f"{provider} API",
        "ServiceProviderName": provider,
        "ServiceSubcategory": "Generative AI",
        "SkuId": sku,
        "SkuMeter": meter,
        "SkuPriceDetails": orjson.dumps({"x_Mode": mode}).decode(),
        "SkuPriceId": f"{sku}/{mode}/{usd_string(charge.unit_price)}",
        "SubAccountId": team.public_id,
        "SubAccountName": team.name,
        "x_Estimated": charge.estimated,
        "x_Mode": mode,
        "x_Model": charge.model,
        "x_PriceUnknown": not charge.priced,
    }
    if job is not None:
        line["ResourceId"], line["ResourceName"] = job.public_id, job.name
        line["ResourceType"] = "Job"
        line["x_Template"] = job.template_version.template.name
        line["Tags"] = (
            orjson.dumps(job.tags, option=orjson.OPT_SORT_KEYS).decode() if job.tags else None
        )
    if charge.correction:
        line |= dict.fromkeys(_OF_A_PRICE, None)
        kind = CorrectionKind(charge.correction)
        line |= {
            "ChargeClass": "Correction",
            "ChargeDescription": f"{kind.label}: {charge.model}",
            "ConsumedQuantity": _count(0),
            "x_Correction": kind.value,
        }
    return line


# What a correction, an amount alone, says nothing of.
_OF_A_PRICE = (
    "ContractedUnitPrice", "ListUnitPrice", "PricingCategory", "PricingCurrencyContractedUnitPrice",
    "PricingCurrencyListUnitPrice", "PricingQuantity", "PricingUnit", "SkuId", "SkuMeter",
    "SkuPriceDetails", "SkuPriceId", "x_Estimated", "x_Mode",
)  # fmt: skip


def _remark(charge: Charge) -> str:
    if not charge.priced:
        return ", price unknown"
    return ", counted by estimate" if charge.estimated else ""


def _amount(pico: int) -> Written:
    """All digits, with a point; a number, so that none is taken for a text that begins with a minus."""
    return Written(usd_string(pico) or "")


def _count(quantity: int) -> Written:
    """Quantities are decimals: a whole one without a point would be taken for another type."""
    return Written(f"{quantity}.0")


def _moment(day: date) -> str:
    return f"{midnight(day):%Y-%m-%dT%H:%M:%SZ}"
