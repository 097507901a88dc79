"""Who may ask: tokens, the pairing code, limits on tries, Host and Origin. No sockets; the clock is passed in."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
import hashlib
import hmac
import ipaddress
import math
import secrets
import time
from typing import Final
from urllib.parse import urlsplit

from .errors import Refused

CODE_ALPHABET: Final = "23456789ABCDEFGHJKMNPQRSTVWXYZ"  # nothing that can be read as another character
CODE_LENGTH: Final = 8
CODE_LIFETIME_S: Final = 300.0  # time to walk from the Pi to Home Assistant's form
CODE_TRIES: Final = 5  # enough for typing errors, far too few to guess one of 30**8
PAIRING_TRIES_PER_MINUTE: Final = 5
FAILED_LOGINS_PER_MINUTE: Final = 10
ADDRESSES_REMEMBERED: Final = 1000  # bounds the memory that somebody with many addresses can take


@dataclass(frozen=True, slots=True)
class Client:
    """Somebody who paired. `acked_seq` is the newest ring whose visit the client has stored."""

    token_hash: str
    name: str
    created: datetime
    last_seen: datetime
    acked_seq: int


def new_token() -> str:
    """Return a new secret of 256 random bits."""
    return secrets.token_urlsafe(32)


def hash_token(token: str) -> str:
    """Return what is kept of a token; 256 random bits need no slow hash."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()  # a header may hold any bytes


def proof(token_hash: str, fingerprint: str) -> str:
    """Return what shows the bridge of this certificate, and nobody else, that a client has a token."""
    return hmac.new(token_hash.encode("ascii"), fingerprint.encode("ascii"), "sha256").hexdigest()


class TryLimit:
    """Counts the failed tries of each address in the last minute."""

    def __init__(self, per_minute: int, clock: Callable[[], float]) -> None:
        self._per_minute = per_minute
        self._clock = clock
        self._tries: dict[str, deque[float]] = {}

    def check(self, address: str) -> None:
        """Raise Refused (429) when the address has used up its tries."""
        tries = self._tries.get(address, deque())
        while tries and tries[0] <= self._clock() - 60:
            tries.popleft()
        if len(tries) >= self._per_minute:
            wait = math.ceil(tries[0] + 60 - self._clock())
            raise Refused(429, "too_many_tries", f"Too many tries; wait {wait} s.", retry_after=wait)

    def count(self, address: str) -> None:
        """Remember one failed try."""
        tries = self._tries.pop(address, deque())
        tries.append(self._clock())
        self._tries[address] = tries  # at the end: the address heard of last is forgotten last
        if len(self._tries) > ADDRESSES_REMEMBERED:
            del self._tries[next(iter(self._tries))]


@dataclass(slots=True)
class _PairingCode:
    """A code that the owner opened."""

    code: str
    expires: float
    tries_left: int = CODE_TRIES


class Access:
    """Decides who may ask; `clients` is read only and belongs to the bridge."""

    def __init__(
        self,
        clients: Mapping[str, Client],
        host_names: Collection[str] = (),
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clients = clients
        self._host_names = {name.lower() for name in host_names}
        self._clock = clock
        self._failed_logins = TryLimit(FAILED_LOGINS_PER_MINUTE, clock)
        self.failed_pairings = TryLimit(PAIRING_TRIES_PER_MINUTE, clock)
        self._code: _PairingCode | None = None

    def check_origin(self, host: str | None, origin: str | None) -> None:
        """Refuse browsers: no page of another site may talk to the bridge, nor one whose name was rebound to it."""
        if origin is not None:
            raise Refused(403, "forbidden", "Requests from web pages are not answered.")
        if host is None or not self._host_allowed(host):
            raise Refused(
                403, "forbidden", "Ask by IP address, by a .local name or by a name in the configuration."
            )

    def client(self, authorization: str | None, address: str) -> Client:
        """Return the client who sent this Authorization header; raises Refused (401, or 429 after too many tries)."""
        if client := self.known(authorization):
            return client
        self._failed_logins.check(address)
        self._failed_logins.count(address)
        raise Refused(401, "unauthorized", "This needs the token of a paired client; pair again.")

    def known(self, authorization: str | None) -> Client | None:
        """Return the client who sent this Authorization header, or None."""
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        hashed = hash_token(token.strip())
        matches = (
            client for client in self._clients.values() if hmac.compare_digest(client.token_hash, hashed)
        )
        return next(matches, None)

    def proven(self, given: str | None, fingerprint: str) -> Client | None:
        """Return the client who gave this proof to the bridge of this certificate, or None."""
        proofs = ((client, proof(client.token_hash, fingerprint)) for client in self._clients.values())
        return next((client for client, right in proofs if hmac.compare_digest(right, given or "")), None)

    def open_pairing(self) -> str:
        """Open pairing for one client and return its code, as XXXX-XXXX; an older code ends."""
        code = "".join(secrets.choice(CODE_ALPHABET) for _ in range(CODE_LENGTH))
        self._code = _PairingCode(code, self._clock() + CODE_LIFETIME_S)
        return f"{code[:4]}-{code[4:]}"

    def redeem(self, code: str, address: str) -> None:
        """Use up the pairing code; raises Refused (403 `pairing_closed` or `wrong_code`, 429)."""
        self.failed_pairings.check(address)
        if self._code is None or self._code.expires <= self._clock() or not self._code.tries_left:
            self.failed_pairings.count(address)
            raise Refused(
                403, "pairing_closed", "No pairing code is open; ask the owner of the doorbell for one."
            )
        typed = "".join(character for character in code.upper() if character.isalnum())
        if not hmac.compare_digest(self._code.code.encode(), typed.encode()):
            self._code.tries_left -= 1
            self.failed_pairings.count(address)
            raise Refused(403, "wrong_code", "The pairing code is wrong.")
        self._code = None

    def _host_allowed(self, host: str) -> bool:
        try:
            name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
        except ValueError:
            return False
        if name == "localhost" or name.endswith(".local") or name in self._host_names:
            return True
        try:
            ipaddress.ip_address(name.partition("%")[0])
        except ValueError:
            return False
        return True
