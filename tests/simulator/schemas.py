"""Schemas as people write them, and the bodies that ask for answers that follow them."""

from typing import Any

TICKET: dict[str, Any] = {
    "type": "object",
    "properties": {
        "category": {"type": "string", "enum": ["billing", "technical", "shipping", "other"]},
        "priority": {"type": "integer", "minimum": 1, "maximum": 5},
        "summary": {"type": "string", "maxLength": 80},
        "confidence": {"type": "number", "minimum": 0, "maximum": 1},
    },
    "required": ["category", "priority", "summary", "confidence"],
    "additionalProperties": False,
}


def response_format(schema: dict[str, Any], *, strict: bool = False) -> dict[str, Any]:
    """OpenAI's chat completions' way to ask for a schema."""
    described = {"name": "output", "schema": schema, "strict": strict}
    return {"type": "json_schema", "json_schema": described}


def text_format(schema: dict[str, Any]) -> dict[str, Any]:
    """OpenAI's responses' way."""
    return {"format": {"type": "json_schema", "name": "output", "schema": schema}}


def output_config(schema: dict[str, Any]) -> dict[str, Any]:
    """Anthropic's way."""
    return {"format": {"type": "json_schema", "schema": schema}}


def said(prompt: str) -> list[Any]:
    """A conversation of one user message."""
    return [{"role": "user", "content": prompt}]
