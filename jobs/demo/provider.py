"""Setting the demo's provider, the simulator, while it runs."""

import urllib.request
from typing import Any

import orjson


def settle(url: str, **settings: Any) -> None:
    """What is not named stays; `faults` is a whole mix."""
    request = urllib.request.Request(  # noqa: S310  an address of this machine
        f"{url}/faults", data=orjson.dumps(settings), headers={"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        answer.read()
