"""The transports by name, as an installation's setting tells them."""

from importlib import import_module

from jobs.providers.transport import LeanTransport, Transport


def make_transport(kind: str, *, allow_private: bool, max_connections: int) -> Transport:
    """A transport of the kind "lean" or "sdk"; raises ValueError for others. Make it inside the
    running loop, after the process was forked, and close it at the end."""
    if kind == "lean":
        return LeanTransport(allow_private=allow_private, max_connections=max_connections)
    if kind != "sdk":
        raise ValueError(f"TRANSPORT is lean or sdk, not {kind!r}")
    # The SDKs take two seconds and 65 MB to import: only where they are used.
    module = import_module("jobs.providers.sdk_transport")
    transport: Transport = module.SdkTransport(
        allow_private=allow_private, max_connections=max_connections
    )
    return transport
