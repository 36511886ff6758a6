"""`manage.py simulator`: a provider of one's own, for demos, tests and benchmarks."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from jobs.simulator.options import add_arguments, read_settings
from jobs.simulator.process import run


class Command(BaseCommand):
    help = "Runs a simulated provider that speaks OpenAI's and Anthropic's formats over HTTP."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            settings = read_settings(options)
        except (ValueError, OSError) as error:
            raise CommandError(str(error)) from error
        run(
            settings,
            host=options["host"],
            port=options["port"],
            until_stdin_closes=options["until_stdin_closes"],
        )
