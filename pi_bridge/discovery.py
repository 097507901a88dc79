"""Announce the doorbell in the network: on a Pi by a file that Avahi reads, a simulated one by python-zeroconf."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
import socket
from typing import Final
from xml.sax.saxutils import escape

from .errors import ConfigError
from .model import API_VERSION

SERVICE_TYPE: Final = "_face-doorbell._tcp"
AVAHI_FILE: Final = Path("/etc/avahi/services/face-doorbell.service")
MDNS: Final = ("224.0.0.251", 5353)
MAX_INSTANCE_BYTES: Final = 63  # RFC 6763, 4.1.1

_AVAHI: Final = """\
<?xml version="1.0" standalone="no"?>
<!DOCTYPE service-group SYSTEM "avahi-service.dtd">
<!-- Made by install.sh. Run it again when the name or the port has changed. -->
<service-group>
  <name>{instance}</name>
  <service>
    <type>{type}</type>
    <port>{port}</port>
{records}
  </service>
</service-group>
"""


def avahi_service(name: str, bridge_id: str, port: int) -> str:
    """Return the file by which Avahi announces the doorbell."""
    records = [
        f"    <txt-record>{escape(f'{key}={value}')}</txt-record>"
        for key, value in _properties(name, bridge_id).items()
    ]
    instance = escape(_instance(name, bridge_id))
    return _AVAHI.format(instance=instance, type=SERVICE_TYPE, port=port, records="\n".join(records))


@asynccontextmanager
async def announced(name: str, bridge_id: str, port: int) -> AsyncIterator[None]:
    """Announce the doorbell within this context; raises ConfigError without python-zeroconf."""
    try:
        from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf  # noqa: PLC0415 - optional
    except ImportError as error:
        raise ConfigError("--advertise needs the package zeroconf: pip install zeroconf") from error
    info = AsyncServiceInfo(
        f"{SERVICE_TYPE}.local.",
        f"{_instance(name, bridge_id)}.{SERVICE_TYPE}.local.",
        port=port,
        parsed_addresses=[own_address()],
        properties=_properties(name, bridge_id),
        server=f"face-doorbell-{bridge_id}.local.",
    )
    network = AsyncZeroconf()
    try:
        await network.async_register_service(info)
        yield
    finally:
        await network.async_unregister_all_services()
        await network.async_close()


def own_address() -> str:
    """Return the address by which this machine reaches the local network; nothing is sent. Raises OSError."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(MDNS)
        address: str = probe.getsockname()[0]
        return address


def _properties(name: str, bridge_id: str) -> dict[str, str]:
    return {"id": bridge_id, "name": name, "api": str(API_VERSION), "path": "/v1"}


def _instance(name: str, bridge_id: str) -> str:
    """Return a name that no other doorbell in the network has, cut to what DNS-SD takes."""
    room = MAX_INSTANCE_BYTES - len(f" {bridge_id}")
    return f"{name.encode()[:room].decode(errors='ignore')} {bridge_id}"
