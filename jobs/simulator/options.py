"""The command line, for `python -m jobs.simulator` and for the management command alike."""

import argparse
from pathlib import Path
from typing import Any

import orjson

from jobs.simulator.settings import Settings

type Json = Any


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds all options to a parser."""
    default = Settings()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: one that is free")
    parser.add_argument("--latency-ms", type=float, default=default.latency_ms)
    parser.add_argument(
        "--jitter", type=float, default=default.jitter, help="share by which a latency varies"
    )
    parser.add_argument(
        "--faults", default="{}", metavar="FILE|JSON", help='as {"timeout": 0.01, "markers": true}'
    )
    parser.add_argument("--rpm", type=int, default=default.rpm, help="requests a minute and model")
    parser.add_argument("--tpm", type=int, default=default.tpm, help="tokens a minute and model")
    parser.add_argument("--output-tpm", type=int, default=default.output_tpm)
    parser.add_argument("--burst-seconds", type=float, default=default.burst_seconds)
    parser.add_argument(
        "--limit-minutes", action="store_true", help="count in fixed minutes, not in buckets"
    )
    parser.add_argument(
        "--no-limit-headers", dest="limit_headers", action="store_false", help="a bare 429"
    )
    parser.add_argument("--max-in-flight", type=int, default=default.max_in_flight)
    parser.add_argument("--context-tokens", type=int, default=default.context_tokens)
    parser.add_argument("--prompt-cache", action="store_true")
    parser.add_argument(
        "--markers", action="store_true", help="prompts may ask: [[fault:NAME]], [[tokens:N]]"
    )
    parser.add_argument("--seed", type=int, default=default.seed)
    parser.add_argument(
        "--until-stdin-closes",
        action="store_true",
        help="end with the process that holds the other end of standard input",
    )


def read_settings(options: dict[str, Any]) -> Settings:
    """Settings from parsed options; those in `--faults` have the last word.

    Raises `BadSettingsError`, `UnknownFaultError`, `OSError`, or `ValueError` on what is no JSON.
    """
    named = (
        "seed latency_ms jitter rpm tpm output_tpm burst_seconds limit_minutes limit_headers "
        "max_in_flight context_tokens prompt_cache markers"
    )
    settings = Settings().changed({name: options[name] for name in named.split()})
    given = str(options["faults"]).strip()
    text = given if given.startswith("{") else Path(given).read_text(encoding="utf-8")
    return settings.changed(orjson.loads(text))
