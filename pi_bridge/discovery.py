"""Announce a simulated doorbell in the network. On a Pi, Avahi does it from a file (packaging/)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
import socket
from typing import Final

from .errors import ConfigError
from .model import API_VERSION

SERVICE_TYPE: Final = "_face-doorbell._tcp.local."
MDNS: Final = ("224.0.0.251", 5353)


@asynccontextmanager
async def announced(name: str, bridge_id: str, port: int) -> AsyncIterator[None]:
    """Announce the doorbell within this context; raises ConfigError without python-zeroconf."""
    try:
        from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf  # noqa: PLC0415 - optional
    except ImportError as error:
        raise ConfigError("--advertise needs the package zeroconf: pip install zeroconf") from error
    info = AsyncServiceInfo(
        SERVICE_TYPE,
        f"{name} {bridge_id}.{SERVICE_TYPE}",
        port=port,
        parsed_addresses=[_own_address()],
        properties={"id": bridge_id, "name": name, "api": str(API_VERSION), "path": "/v1"},
        server=f"face-doorbell-{bridge_id}.local.",
    )
    network = AsyncZeroconf()
    try:
        await network.async_register_service(info)
        yield
    finally:
        await network.async_unregister_all_services()
        await network.async_close()


def _own_address() -> str:
    """Return the address by which this machine reaches the local network; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(MDNS)
        address: str = probe.getsockname()[0]
        return address
