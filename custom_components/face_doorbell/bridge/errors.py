"""The client's errors, named by what the caller should do about them."""


class BridgeError(Exception):
    """Root of all errors of this package."""


class BridgeAuthError(BridgeError):
    """The token is not known to the bridge: pair again."""


class BridgeCertificateError(BridgeError):
    """The certificate is another one: the bridge was set up anew, or something else answers. Ask the owner."""


class BridgeConnectionError(BridgeError):
    """The bridge cannot be reached or broke off: try again later."""


class BridgeAnswerError(BridgeConnectionError):
    """Something answers, but not as docs/protocol.md says: look whether it is a bridge at all."""


class BridgeVersionError(BridgeError):
    """The bridge speaks another version of the protocol; `newer` than this side's, or older: update the older one."""

    def __init__(self, message: str, *, newer: bool) -> None:
        """Keep which side is behind."""
        super().__init__(message)
        self.newer = newer


class BridgeRefusedError(BridgeError):
    """The bridge answered no; `code` is a word of docs/protocol.md and says whether to repeat."""

    def __init__(self, code: str, message: str = "", *, retry_after: int | None = None) -> None:
        """Keep the bridge's answer; `retry_after` is in seconds."""
        super().__init__(f"{code}: {message}" if message else code)
        self.code = code
        self.message = message
        self.retry_after = retry_after
