"""The bridge's errors, named by what the caller should do about them."""


class BridgeError(Exception):
    """Root of all errors that the bridge raises on purpose."""


class ConfigError(BridgeError):
    """The configuration is wrong; the message is one line per mistake, for the owner to mend."""


class HardwareError(BridgeError):
    """A pin or a camera cannot be used; the message says which and what to look at."""


class JournalError(BridgeError):
    """The journal cannot be read or written; the bell rings all the same."""


class NotAnImageError(BridgeError):
    """The bytes are no picture that can be decoded."""


class FacesOffError(BridgeError):
    """The face models are not there; whoever looks at the finder's `state` first does not meet this."""


class Refused(BridgeError):  # noqa: N818 - a refusal is an answer, not a fault
    """A client's request is refused with an HTTP status and a code of the protocol."""

    def __init__(self, status: int, code: str, message: str, *, retry_after: int | None = None) -> None:
        """Keep what the answer will say; `retry_after` is in seconds."""
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.retry_after = retry_after
