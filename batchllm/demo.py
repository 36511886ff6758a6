"""`python -m batchllm.demo`: makes the demo's secrets once, then runs `manage.py demo`.

The secrets must be there before the settings are read; they lie beside the demo's data, where every
other command finds them again.
"""

import os
import secrets
import sys
from pathlib import Path

from cryptography.fernet import Fernet

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    data = Path(os.environ.setdefault("DATA_DIR", str(ROOT / "data"))).resolve()
    data.mkdir(parents=True, exist_ok=True)
    kept = data / "demo.env"
    if not kept.exists():
        kept.touch(mode=0o600)
        kept.write_text(
            "\n".join(
                [
                    "ENVIRONMENT=demo",
                    "HTTPS=0",
                    "ALLOW_PRIVATE_ADDRESSES=1",
                    f"SECRET_KEY={secrets.token_urlsafe(48)}",
                    f"FIELD_ENCRYPTION_KEYS={Fernet.generate_key().decode()}",
                    "",
                ]
            )
        )
    command = [sys.executable, str(ROOT / "manage.py"), "demo", *sys.argv[1:]]
    os.execv(sys.executable, command)  # noqa: S606  no shell is wanted


if __name__ == "__main__":
    main()
