"""Why something could not be delivered: a closed list, so that nothing of what the other side wrote is
shown to anybody."""

from dataclasses import dataclass
from enum import StrEnum


class Failing(StrEnum):
    ADDRESS = "address"
    CONNECTION = "connection"
    TIMEOUT = "timeout"
    REDIRECT = "redirect"
    REFUSED = "refused"
    SERVER_ERROR = "server_error"
    LOGIN = "login"
    NO_SECRET = "no_secret"  # noqa: S105

    @property
    def label(self) -> str:
        return _LABELS[self]


_LABELS = {
    Failing.ADDRESS: "Address not allowed",
    Failing.CONNECTION: "Connection failed",
    Failing.TIMEOUT: "No answer in time",
    Failing.REDIRECT: "Redirected",
    Failing.REFUSED: "Refused",
    Failing.SERVER_ERROR: "Server error",
    Failing.LOGIN: "Log-in refused",
    Failing.NO_SECRET: "Secret unreadable",
}


@dataclass(frozen=True, slots=True)
class Failed:
    """A try that came to nothing. The words are ours. `for_good`: another try cannot help.
    `of_target`: it is the target's trouble, and whatever else goes there can wait as long."""

    failing: Failing
    message: str
    for_good: bool = False
    of_target: bool = True
