"""The question that product and bare clients ask alike; no Django here."""

MODEL = "sim-small"
SYSTEM = "You sort support tickets."
SCHEMA = {
    "type": "object",
    "properties": {"label": {"type": "string"}, "score": {"type": "integer"}},
    "required": ["label", "score"],
    "additionalProperties": False,
}


def text_of(n: int) -> str:
    return f"Ticket number {n}: the parcel is late and nobody answers the telephone."
