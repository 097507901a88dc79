"""The bridge's own TLS certificate, which Home Assistant pins at pairing, and with it the bridge's id."""

from __future__ import annotations

from datetime import UTC, datetime
import os
from pathlib import Path
import secrets
import ssl
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from .errors import ConfigError

# Fixed dates: a Pi has no clock of its own, and its first start may be in the year 1970.
VALID_FROM: Final = datetime(2020, 1, 1, tzinfo=UTC)
VALID_UNTIL: Final = datetime(2070, 1, 1, tzinfo=UTC)
ID_BYTES: Final = 4  # it tells the doorbells of a household apart; proof of anything is the certificate alone


class Certificate:
    """A self-signed certificate in a PEM file, with its key."""

    def __init__(self, path: Path) -> None:
        """Read the file; raises ConfigError."""
        self._path = path
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._load()

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of its DER form in lower-case hex."""
        return self._certificate.fingerprint(hashes.SHA256()).hex()

    @property
    def bridge_id(self) -> str:
        """The bridge's id, which outlives the certificate."""
        (name,) = self._certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        return str(name.value)

    @property
    def short_fingerprint(self) -> str:
        """The start of the fingerprint for people to compare, as Home Assistant shows it."""
        return " ".join(self.fingerprint[place : place + 4].upper() for place in range(0, 16, 4))

    def renew(self) -> None:
        """Make another key and certificate for the same bridge: what connects from now on gets it. Raises OSError."""
        _write_secret(self._path, _make(self.bridge_id))
        self._load()

    def _load(self) -> None:
        try:
            self._certificate = x509.load_pem_x509_certificate(self._path.read_bytes())
            self.context.load_cert_chain(self._path)  # after that: its OSError would not say which file
        except (ssl.SSLError, ValueError) as error:
            raise ConfigError(f"{self._path} is damaged: delete it, then pair every client again.") from error


def load_or_make(path: Path) -> Certificate:
    """Return the certificate of a file, which is made, with a new id, when there is none. Raises ConfigError."""
    if not path.exists():
        _write_secret(path, _make(secrets.token_hex(ID_BYTES)))
    return Certificate(path)


def _make(bridge_id: str) -> bytes:
    """Return a new key and its certificate as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, bridge_id)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(VALID_FROM)
        .not_valid_after(VALID_UNTIL)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return secret + certificate.public_bytes(pem)


def _write_secret(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    unfinished = path.with_suffix(".new")
    unfinished.unlink(missing_ok=True)
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
