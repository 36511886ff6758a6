"""gunicorn's configuration where `manage.py serve` runs it."""

from typing import Any

from jobs.lifeline import end_with_parent

worker_class = "gthread"
workers = 1
threads = 16
# A thread lost to a slow upload is no reason to kill the process and its other requests.
timeout = 0
graceful_timeout = 10
loglevel = "warning"


def on_starting(server: Any) -> None:
    end_with_parent()
