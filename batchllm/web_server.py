"""gunicorn's configuration where `manage.py serve` runs it."""

from datetime import timedelta
from typing import Any

from gunicorn.glogging import Logger

from batchllm import settings
from jobs.lifeline import end_with_parent

worker_class = "gthread"
workers = 1
threads = 16
# A thread lost to a slow upload is no reason to kill the process and its other requests.
timeout = 0
graceful_timeout = 10
loglevel = "warning"
logconfig_dict = settings.LOGGING


class AccessLog(Logger):  # type: ignore[misc]
    """Requests by their path alone: what stands behind it, as the words of a search, is not told."""

    def access(self, resp: Any, req: Any, asked: dict[str, Any], request_time: timedelta) -> None:
        if settings.ACCESS_LOG:
            told = {
                "method": asked["REQUEST_METHOD"],
                "path": asked["PATH_INFO"],
                "status_code": resp.status_code,
                "bytes": getattr(resp, "sent", None),
                "seconds": round(request_time.total_seconds(), 3),
                "client": asked.get("REMOTE_ADDR"),
            }
            self.access_log.info("request", extra=told)


logger_class = AccessLog


def on_starting(server: Any) -> None:
    end_with_parent()
