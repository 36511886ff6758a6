"""The settings that a company runs with: complete, strict, and no start without secrets."""

import json
import os
import subprocess
import sys
from pathlib import Path

from cryptography.fernet import Fernet

ROOT = Path(__file__).resolve().parents[2]
SECRETS = {
    "SECRET_KEY": "production-5b0c7f0c1f0e4d7ab6b7c1f5d0a3e2c49f8e7d6c5b4a39281706f5e4",
    "FIELD_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
}
# Checks, then asks for the log-in page over HTTPS and over HTTP; no database is needed for it.
SCRIPT = """
import json, django
django.setup()
from django.conf import settings
from django.core.management import call_command
from django.test import Client
call_command("check", deploy=True, fail_level="WARNING")
# Nothing was collected here, and file names are not the point.
settings.STORAGES["staticfiles"]["BACKEND"] = (
    "django.contrib.staticfiles.storage.StaticFilesStorage"
)
client = Client(SERVER_NAME="localhost")
page = client.get("/accounts/login/", secure=True)
print(json.dumps({
    "csrf": page.cookies["csrftoken"].OutputString(),
    "session": [settings.SESSION_COOKIE_SECURE, settings.SESSION_COOKIE_HTTPONLY,
                settings.SESSION_COOKIE_SAMESITE],
    "headers": dict(page.headers),
    "plain": client.get("/accounts/login/").headers["Location"],
    "health": client.get("/healthz").status_code,
    "debug": settings.DEBUG,
    "foreign": Client(SERVER_NAME="evil.example").get("/healthz").status_code,
}))
"""


def run(tmp_path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {"PATH": os.environ["PATH"], "DATA_DIR": str(tmp_path)}
    clean["DJANGO_SETTINGS_MODULE"] = "batchllm.settings"
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SCRIPT],
        cwd=ROOT, env=clean | environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def test_it_is_strict_by_default(tmp_path: Path) -> None:
    done = run(tmp_path, **SECRETS)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "no issues" in done.stdout
    told = json.loads(done.stdout.splitlines()[-1])
    assert "Secure" in told["csrf"]
    assert "SameSite=Lax" in told["csrf"]
    assert told["session"] == [True, True, "Lax"]
    assert told["plain"] == "https://localhost/accounts/login/"
    assert told["health"] == 200
    assert told["debug"] is False
    assert told["foreign"] == 400
    headers = {name.lower(): value for name, value in told["headers"].items()}
    assert headers["strict-transport-security"] == "max-age=31536000; includeSubDomains; preload"
    assert headers["x-frame-options"] == "DENY"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    policy = headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "http" not in policy
    assert "default-src 'self'" in policy


def test_it_does_not_start_without_its_secrets(tmp_path: Path) -> None:
    for missing in SECRETS:
        done = run(tmp_path, **{name: text for name, text in SECRETS.items() if name != missing})
        assert done.returncode != 0
        assert f"{missing} is not set" in done.stderr
        assert not any(text in done.stderr for text in SECRETS.values())
