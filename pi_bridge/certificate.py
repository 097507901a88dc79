"""The bridge's own TLS certificate: made once, and pinned by Home Assistant at pairing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
import os
from pathlib import Path
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


@dataclass(frozen=True, slots=True)
class Certificate:
    """A self-signed certificate; `fingerprint` is the SHA-256 of its DER form in lower-case hex."""

    fingerprint: str
    context: ssl.SSLContext

    @property
    def bridge_id(self) -> str:
        """The bridge's id: who it is and what it proves itself with are one and the same."""
        return self.fingerprint[:8]

    @property
    def short_fingerprint(self) -> str:
        """The start of the fingerprint for people to compare, as Home Assistant shows it."""
        return " ".join(self.fingerprint[place : place + 4].upper() for place in range(0, 16, 4))


def load_or_make(path: Path) -> Certificate:
    """Return the certificate kept (with its key) in the PEM file `path`; makes the file once. Raises ConfigError."""
    if not path.exists():
        _write_secret(path, _make())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(path)
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
    except (ssl.SSLError, ValueError) as error:
        raise ConfigError(f"{path} is damaged: delete it, then pair every client again.") from error
    return Certificate(certificate.fingerprint(hashes.SHA256()).hex(), context)


def _make() -> bytes:
    """Return a new key and its certificate as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Face Doorbell")])
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
