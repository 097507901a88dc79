"""Typed async client of the bridge (docs/protocol.md). Imports nothing of Home Assistant."""

from .client import BridgeClient
from .connection import Connection
from .errors import (
    BridgeAnswerError,
    BridgeAuthError,
    BridgeCertificateError,
    BridgeConnectionError,
    BridgeError,
    BridgeRefusedError,
    BridgeVersionError,
)
from .messages import (
    BridgeInfo,
    BridgeState,
    Burst,
    CameraState,
    Chime,
    FacesState,
    Hello,
    Message,
    Output,
    Pairing,
    Pattern,
    QuietHours,
    Ring,
    RingPicture,
    StateChange,
)

__all__ = [
    "BridgeAnswerError",
    "BridgeAuthError",
    "BridgeCertificateError",
    "BridgeClient",
    "BridgeConnectionError",
    "BridgeError",
    "BridgeInfo",
    "BridgeRefusedError",
    "BridgeState",
    "BridgeVersionError",
    "Burst",
    "CameraState",
    "Chime",
    "Connection",
    "FacesState",
    "Hello",
    "Message",
    "Output",
    "Pairing",
    "Pattern",
    "QuietHours",
    "Ring",
    "RingPicture",
    "StateChange",
]
