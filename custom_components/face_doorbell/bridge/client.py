"""The bridge's requests (docs/protocol.md), each as one method."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
import hashlib
import hmac
from http import HTTPStatus
from types import MappingProxyType
from typing import Final

import aiohttp
from yarl import URL

from ..model import Face
from ..recognition.errors import EngineSetupError, EngineUnavailableError, PhotoRefusedError, RecognitionError
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
from .messages import API_VERSION, BridgeInfo, Json, Pairing, read_faces, read_info, read_pairing

CONNECT_S: Final = (
    5  # a TLS handshake on a busy Pi takes well under a second; more means that nobody is there
)
REQUEST_S: Final = 10  # every answer but those below comes from memory or from one row of the journal
PRESS_S: Final = 35  # the bridge waits 25 s for somebody to press the doorbell
FACES_S: Final = 30  # the bridge looks at one photo at a time, and a large one takes a Pi seconds
STREAM_SILENCE_S: Final = (
    12  # the bridge repeats the last frame every 5 s, so two missing ones are a dead stream
)

MAX_PHOTO_MB: Final = 10  # the bridge takes no larger body

_TIMEOUT: Final = aiohttp.ClientTimeout(total=REQUEST_S, sock_connect=CONNECT_S)
_PRESS_TIMEOUT: Final = aiohttp.ClientTimeout(total=PRESS_S, sock_connect=CONNECT_S)
_FACES_TIMEOUT: Final = aiohttp.ClientTimeout(total=FACES_S, sock_connect=CONNECT_S)
_STREAM_TIMEOUT: Final = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=STREAM_SILENCE_S)

_CLOSE_TIMEOUT: Final = aiohttp.ClientWSTimeout(ws_close=CONNECT_S)
_NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})

# No certificate has this SHA-256: asking with it shows the real one, before a byte of an unknown server is read.
_NO_CERTIFICATE: Final = bytes(32)


class BridgeClient:
    """Talks to one bridge, and to none with another certificate.

    Unless it says otherwise, a method raises BridgeConnectionError, BridgeCertificateError, BridgeAuthError and
    BridgeRefusedError.
    """

    def __init__(
        self, session: aiohttp.ClientSession, host: str, port: int, fingerprint: str, token: str = ""
    ) -> None:
        """Pin `fingerprint`, the SHA-256 of the certificate in hex.

        Only pairing does without a token; with one, the bridge puts the new client in the place of the old one.
        """
        self.host = host
        self.port = port
        self._session = session
        self._fingerprint = fingerprint
        self._token = token
        self._base = URL.build(scheme="https", host=host, port=port, path="/v1")
        self._pin = aiohttp.Fingerprint(
            bytes.fromhex(fingerprint)
        )  # one object: pooled connections are found by it
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    @classmethod
    async def get_info(cls, session: aiohttp.ClientSession, host: str, port: int) -> BridgeInfo:
        """Return who answers at an address and with which certificate; needs no pairing.

        Raises BridgeCertificateError when the bridge names another certificate than it shows, BridgeVersionError
        when it speaks another version of the protocol.
        """
        seen = await cls._seen_fingerprint(session, host, port)
        return await cls(session, host, port, seen).info()

    @staticmethod
    async def _seen_fingerprint(session: aiohttp.ClientSession, host: str, port: int) -> str:
        url = URL.build(scheme="https", host=host, port=port, path="/v1/info")
        try:
            async with session.get(url, ssl=aiohttp.Fingerprint(_NO_CERTIFICATE), timeout=_TIMEOUT):
                raise BridgeCertificateError("The certificate cannot be seen")
        except aiohttp.ServerFingerprintMismatch as mismatch:
            return mismatch.got.hex()
        except (aiohttp.ClientError, TimeoutError) as err:
            raise BridgeConnectionError(f"Nobody answers at {host}:{port}") from err

    def at(self, host: str, port: int) -> BridgeClient:
        """Return a client of the same bridge at another address."""
        return BridgeClient(self._session, host, port, self._fingerprint, self._token)

    async def info(self) -> BridgeInfo:
        """Return who the bridge is; raises BridgeVersionError too."""
        info = read_info(await self._json("GET", "info"))
        check_api(info.api)
        if info.fingerprint not in ("", self._fingerprint):
            raise BridgeCertificateError("The bridge shows another certificate than its own")
        return replace(info, fingerprint=self._fingerprint)

    async def pair(self, code: str, client_name: str) -> Pairing:
        """Trade the owner's code for a token; refused with `pairing_closed`, `wrong_code` or `too_many_tries`."""
        return await self._pair({"code": code, "client": client_name})

    async def pair_by_press(self, client_name: str) -> Pairing:
        """Wait until somebody presses the doorbell, and return the token.

        Refused with `pairing_closed`, `contested`, `too_many_tries`, or `not_pressed`: then ask again.
        """
        return await self._pair({"client": client_name}, timeout=_PRESS_TIMEOUT)

    async def _pair(self, body: Json, *, timeout: aiohttp.ClientTimeout = _TIMEOUT) -> Pairing:
        """Pair in the place of the token, if there is one.

        It is proven and not told: who shows another certificate than before may be anybody.
        """
        if self._token:
            body = {**body, "instead_of": _proof(self._token, self._fingerprint)}
        nobody = BridgeClient(self._session, self.host, self.port, self._fingerprint)
        return read_pairing(await nobody._json("POST", "pair", json=body, timeout=timeout))

    async def picture(self, seq: int, n: int) -> bytes:
        """Return the JPEG of the `n`-th picture of ring `seq`."""
        return await self._bytes("GET", f"rings/{seq}/{n}.jpg")

    async def frame(self) -> bytes:
        """Return the camera's newest JPEG; refused with `no_camera` when there is none."""
        return await self._bytes("GET", "frame.jpg")

    async def health(self) -> Json:
        """Return the bridge's own measurements, for diagnostics."""
        return await self._json("GET", "health")

    async def forget_token(self) -> None:
        """Make the bridge forget this client."""
        await self._bytes("DELETE", "token")

    async def find_faces(self, image: bytes) -> Sequence[Face]:
        """Return the faces of a JPEG or PNG, largest first; raises only the errors of `recognition/errors.py`."""
        try:
            found = await self._json(
                "POST",
                "faces",
                data=image,
                headers={"Content-Type": _image_type(image)},
                timeout=_FACES_TIMEOUT,
            )
            return read_faces(found)
        except BridgeRefusedError as err:
            raise _recognition_error(err) from err
        except BridgeError as err:
            raise EngineUnavailableError("cannot_connect") from err

    async def stream(self) -> AsyncGenerator[bytes]:
        """Yield the camera's JPEGs as they come, the newest only, until the caller closes the generator."""
        async with self._request("GET", "stream.mjpg", timeout=_STREAM_TIMEOUT) as response:
            try:
                reader = aiohttp.MultipartReader.from_response(response)
                while isinstance(part := await reader.next(), aiohttp.BodyPartReader):
                    yield bytes(await part.read())
            except ValueError as err:
                raise BridgeConnectionError("The bridge sent a broken stream") from err

    async def connect(self) -> Connection:
        """Open the WebSocket and return it after the bridge's hello; raises BridgeVersionError too."""
        try:
            socket = await self._open_socket()
        except BridgeRefusedError:
            await self.info()  # a bridge of another version has no such path, and tells its version here
            raise
        connection = Connection(socket)
        try:
            hello = await connection.read_hello()
            check_api(hello.api)
            await connection.tell_time()
        except BaseException:
            await connection.close()
            raise
        return connection

    async def _open_socket(self) -> aiohttp.ClientWebSocketResponse:
        with _client_errors(self.host, self.port):
            async with asyncio.timeout(REQUEST_S):
                return await self._session.ws_connect(
                    self._base / "ws",
                    ssl=self._pin,
                    headers=self._headers,
                    timeout=_CLOSE_TIMEOUT,
                )

    async def _json(
        self,
        method: str,
        path: str,
        *,
        json: Json | None = None,
        data: bytes | None = None,
        headers: Mapping[str, str] = _NO_HEADERS,
        timeout: aiohttp.ClientTimeout = _TIMEOUT,
    ) -> Json:
        async with self._request(
            method, path, json=json, data=data, headers=headers, timeout=timeout
        ) as response:
            try:
                answer = await response.json()
            except (ValueError, aiohttp.ContentTypeError) as err:
                raise BridgeAnswerError("The bridge sent something unreadable") from err
        if not isinstance(answer, dict):
            raise BridgeAnswerError("The bridge sent something unreadable")
        return answer

    async def _bytes(self, method: str, path: str) -> bytes:
        async with self._request(method, path) as response:
            return await response.read()

    @asynccontextmanager
    async def _request(
        self,
        method: str,
        path: str,
        *,
        json: Json | None = None,
        data: bytes | None = None,
        headers: Mapping[str, str] = _NO_HEADERS,
        timeout: aiohttp.ClientTimeout = _TIMEOUT,
    ) -> AsyncGenerator[aiohttp.ClientResponse]:
        with _client_errors(self.host, self.port):
            async with self._session.request(
                method,
                self._base / path,
                json=json,
                data=data,
                headers={**self._headers, **headers},
                timeout=timeout,
                ssl=self._pin,
            ) as response:
                if not response.ok:
                    raise await _refusal(response)
                yield response


def _proof(token: str, fingerprint: str) -> str:
    """Return what shows the bridge of this certificate, and nobody else, that this side has a token."""
    token_hash = hashlib.sha256(token.encode()).hexdigest()
    return hmac.new(token_hash.encode(), fingerprint.encode(), "sha256").hexdigest()


def check_api(api: int) -> None:
    """Raise BridgeVersionError unless the bridge speaks this version of the protocol."""
    if api != API_VERSION:
        raise BridgeVersionError(
            f"The bridge speaks protocol {api}, this side {API_VERSION}", newer=api > API_VERSION
        )


@contextmanager
def _client_errors(host: str, port: int) -> Generator[None]:
    try:
        yield
    except aiohttp.ServerFingerprintMismatch as err:
        raise BridgeCertificateError(
            f"Another certificate than the pinned one answers at {host}:{port}"
        ) from err
    except aiohttp.WSServerHandshakeError as err:
        if err.status == HTTPStatus.UNAUTHORIZED:
            raise BridgeAuthError("The bridge does not know this token") from err
        raise BridgeRefusedError(_http_code(err.status)) from err
    except (aiohttp.ClientError, TimeoutError) as err:
        raise BridgeConnectionError(f"Nobody answers at {host}:{port} ({type(err).__name__})") from err


async def _refusal(response: aiohttp.ClientResponse) -> BridgeError:
    try:
        answer = await response.json()
        code, message = str(answer["code"]), str(answer.get("message", ""))
    except ValueError, TypeError, KeyError, AttributeError, aiohttp.ContentTypeError:
        code, message = _http_code(response.status), ""
    if response.status == HTTPStatus.UNAUTHORIZED:
        return BridgeAuthError(message or "The bridge does not know this token")
    retry_after = response.headers.get("Retry-After", "")
    return BridgeRefusedError(
        code, message, retry_after=int(retry_after) if retry_after.isdecimal() else None
    )


def _http_code(status: int) -> str:
    """Return the code of a refusal that does not say its own."""
    return f"http_{status}"


def _image_type(image: bytes) -> str:
    return "image/png" if image.startswith(b"\x89PNG") else "image/jpeg"


# What the refusals of POST /v1/faces mean to an engine; every other one is for trying later.
_FACES_REFUSALS: Final[Mapping[str, Callable[[], RecognitionError]]] = {
    "no_faces": lambda: EngineSetupError("no_faces"),
    "not_an_image": lambda: PhotoRefusedError("photo_not_an_image"),
    "too_large": lambda: PhotoRefusedError("photo_too_large", limit_mb=str(MAX_PHOTO_MB)),
}


def _recognition_error(refused: BridgeRefusedError) -> RecognitionError:
    make = _FACES_REFUSALS.get(refused.code, lambda: EngineUnavailableError("service_unavailable"))
    return make()
