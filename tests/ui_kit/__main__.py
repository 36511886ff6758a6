"""Serves the gallery until it is interrupted: `python -m tests.ui_kit`."""

import threading
from contextlib import suppress

import django

import tests.environment  # noqa: F401 (points the settings at a scratch directory)

django.setup()

from tests.ui_kit.gallery import serving  # noqa: E402 (it imports models)

with serving() as address:
    print(f"{address}/gallery/ — Ctrl-C ends it", flush=True)
    with suppress(KeyboardInterrupt):
        threading.Event().wait()
