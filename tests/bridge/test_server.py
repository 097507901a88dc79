"""What the bridge answers over HTTPS and the WebSocket, to clients and to everybody else."""

from __future__ import annotations

import asyncio
from pathlib import Path
import ssl
import zlib

import aiohttp
import cv2
import numpy as np
import pytest

from pi_bridge.errors import NotAnImageError
from pi_bridge.mjpeg import RESEND_S
from pi_bridge.model import Box, CameraState, Embedding, Face, FacesFound, FacesState, Output

from .conftest import EMPTY, SHARP
from .doubles import FakeFaces, RunningBridge, running_bridge
from .home import Home, Stream, stranger

CLOSED = [
    ("GET", "/v1/ws"),
    ("GET", "/v1/rings/1/0.jpg"),
    ("POST", "/v1/faces"),
    ("GET", "/v1/frame.jpg"),
    ("GET", "/v1/stream.mjpg"),
    ("GET", "/v1/health"),
    ("DELETE", "/v1/token"),
    ("GET", "/v1/no-such-thing"),
]


async def code_of(response: aiohttp.ClientResponse) -> tuple[int, str]:
    answer = await response.json()
    assert answer["message"]
    return response.status, answer["code"]


@pytest.mark.parametrize(("method", "path"), CLOSED)
@pytest.mark.parametrize("token", [None, "wrong"])
async def test_who_has_no_token_gets_nothing(
    bridge: RunningBridge, nobody: Home, method: str, path: str, token: str | None
) -> None:
    bridge.press(SHARP)
    assert await code_of(await nobody.ask(method, path, token=token)) == (401, "unauthorized")


async def test_info_is_open(bridge: RunningBridge, nobody: Home) -> None:
    info = await (await nobody.ask("GET", "/v1/info")).json()
    assert info["id"] == bridge.bridge_id
    assert info["api"] == 1
    assert info["name"] == "Front door"
    assert info["paired"] is False
    assert info["fingerprint"] == bridge.fingerprint
    await nobody.pair()
    assert (await (await nobody.ask("GET", "/v1/info")).json())["paired"] is True


async def test_certificate_is_the_same_after_a_restart_and_its_key_is_secret(
    bridge: RunningBridge, tmp_path: Path
) -> None:
    before = bridge.fingerprint
    await bridge.restart()
    assert bridge.fingerprint == before
    assert (tmp_path / "state" / "certificate.pem").stat().st_mode & 0o777 == 0o600


async def test_old_tls_is_refused(bridge: RunningBridge) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await asyncio.open_connection(bridge.host, bridge.port, ssl=context)


@pytest.mark.parametrize("headers", [{"Origin": "https://evil.example"}, {"Host": "evil.example"}])
@pytest.mark.parametrize("path", ["/v1/info", "/v1/health", "/v1/ws"])
async def test_browsers_are_refused(home: Home, headers: dict[str, str], path: str) -> None:
    assert await code_of(await home.ask("GET", path, headers=headers)) == (403, "forbidden")


async def test_pairing(bridge: RunningBridge, nobody: Home) -> None:
    body = {"code": "AAAA-BBBB", "client": "Home"}
    assert await code_of(await nobody.ask("POST", "/v1/pair", json=body)) == (403, "pairing_closed")
    code = bridge.pairing_code()
    assert await code_of(await nobody.ask("POST", "/v1/pair", json=body)) == (403, "wrong_code")
    answer = await (await nobody.ask("POST", "/v1/pair", json={"code": code, "client": "Home"})).json()
    assert answer["id"] == bridge.bridge_id
    assert answer["name"] == "Front door"
    assert answer["fingerprint"] == bridge.fingerprint
    assert (await nobody.ask("GET", "/v1/health", token=answer["token"])).status == 200
    body["code"] = code
    assert await code_of(await nobody.ask("POST", "/v1/pair", json=body)) == (403, "pairing_closed")


async def test_tries_to_pair_are_limited(bridge: RunningBridge, nobody: Home) -> None:
    code = bridge.pairing_code()
    for _ in range(5):
        await nobody.ask("POST", "/v1/pair", json={"code": "AAAA-BBBB", "client": "Home"})
    response = await nobody.ask("POST", "/v1/pair", json={"code": code, "client": "Home"})
    assert await code_of(response) == (429, "too_many_tries")
    assert 0 < int(response.headers["Retry-After"]) <= 60


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no json",
        b"[]",
        b"{}",
        b'{"code": 5, "client": "Home"}',
        b'{"code": "X", "client": " "}',
        b'{"code": "X", "client": "\\u001b[2J"}',
        b'{"code": "X", "client": "\\ud800"}',
        pytest.param(b"[" * 16_000, id="deeply nested"),
        b"\xff",
    ],
)
async def test_malformed_pairing_uses_up_no_try(bridge: RunningBridge, nobody: Home, body: bytes) -> None:
    code = bridge.pairing_code()
    for _ in range(6):
        assert await code_of(await nobody.ask("POST", "/v1/pair", data=body)) == (400, "bad_request")
    await nobody.pair(code=code)


async def test_large_bodies_are_refused(home: Home) -> None:
    for path, size in (("/v1/pair", 17 * 1024), ("/v1/faces", 10 * 1024 * 1024 + 1)):
        response = await home.ask("POST", path, data=bytes(size), headers={"Content-Type": "image/jpeg"})
        assert await code_of(response) == (413, "too_large")


async def test_what_strangers_send_does_not_fill_the_log(
    bridge: RunningBridge, caplog: pytest.LogCaptureFixture
) -> None:
    async with stranger(bridge, tls=True) as visitor:
        await visitor.say(
            b"GET /v1/health HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer secret\0\r\n\r\n"
        )
        assert b" 400 " in await visitor.answer()
    half = b"POST /v1/pair HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\n{"
    async with stranger(bridge, tls=True) as visitor:
        await visitor.say(half)
    async with stranger(bridge, tls=True) as visitor:
        await visitor.say(half.replace(b"Content-Length: 1000", b"Transfer-Encoding: chunked") + b"xyz\r\n")
        assert b" 400 " in await visitor.answer()
    async with stranger(bridge, tls=True) as visitor:
        await visitor.say(b"GET /v1/info HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n")
        assert b" 200 " in await visitor.answer()
    assert caplog.records == []


async def test_compressed_bodies_are_not_blown_up(home: Home) -> None:
    bomb = zlib.compress(bytes(10_000_000))
    headers = {"Content-Encoding": "deflate"}
    assert await code_of(await home.ask("POST", "/v1/pair", data=bomb, headers=headers)) == (
        400,
        "bad_request",
    )


async def test_client_can_leave(bridge: RunningBridge, home: Home) -> None:
    async with home.listen() as line:
        assert (await home.ask("DELETE", "/v1/token")).status == 204
        await line.ended()
    assert (await home.ask("GET", "/v1/health")).status == 401
    await bridge.restart()
    assert (await home.ask("GET", "/v1/health")).status == 401


async def test_token_survives_a_restart(bridge: RunningBridge, home: Home) -> None:
    await bridge.restart()
    assert (await home.ask("GET", "/v1/health")).status == 200


async def test_faces_of_a_photo(tmp_path: Path) -> None:
    face = Face(Box(0.1, 0.2, 0.3, 0.4), 0.9, 0.7, Embedding("model", (1.0, 0.0)), -12.34)
    finder = FakeFaces({SHARP: FacesFound(640, 480, (face,))})
    async with (
        running_bridge(tmp_path / "state", finder=finder) as bridge,
        aiohttp.ClientSession() as session,
    ):
        home = Home(session, bridge)
        await home.pair()
        jpeg = {"Content-Type": "image/jpeg"}
        found = await (await home.ask("POST", "/v1/faces", data=SHARP, headers=jpeg)).json()
        assert found == {
            "width": 640,
            "height": 480,
            "faces": [
                {
                    "box": [0.1, 0.2, 0.3, 0.4],
                    "score": 0.9,
                    "quality": 0.7,
                    "embedding": {"model": "model", "vector": "AACAPwAAAAA="},
                    "yaw": -12.3,
                }
            ],
        }
        response = await home.ask("POST", "/v1/faces", data=SHARP, headers={"Content-Type": "text/plain"})
        assert await code_of(response) == (415, "not_an_image")
        finder.state = FacesState.OFF
        assert await code_of(await home.ask("POST", "/v1/faces", data=SHARP, headers=jpeg)) == (
            503,
            "no_faces",
        )


async def test_what_is_no_picture_is_refused(tmp_path: Path) -> None:
    class Strict(FakeFaces):
        async def find(self, image: bytes, *, embed: bool = True) -> FacesFound:
            await asyncio.sleep(0)
            raise NotAnImageError("no picture")

    async with (
        running_bridge(tmp_path / "state", finder=Strict()) as bridge,
        aiohttp.ClientSession() as session,
    ):
        home = Home(session, bridge)
        await home.pair()
        response = await home.ask("POST", "/v1/faces", data=b"text", headers={"Content-Type": "image/png"})
        assert await code_of(response) == (415, "not_an_image")


async def test_frame(bridge: RunningBridge, home: Home) -> None:
    bridge.camera.show(SHARP)
    response = await home.ask("GET", "/v1/frame.jpg")
    assert (response.content_type, await response.read()) == ("image/jpeg", SHARP)


async def test_without_a_camera_there_is_no_picture(tmp_path: Path) -> None:
    async with running_bridge(tmp_path / "state") as bridge, aiohttp.ClientSession() as session:
        home = Home(session, bridge)
        await home.pair()
        assert await code_of(await home.ask("GET", "/v1/frame.jpg")) == (503, "no_camera")
        async with home.watch() as reader:
            assert size_of(await next_frame(reader)) == (1280, 720)


async def test_when_the_camera_goes_viewers_see_that_and_not_the_past(
    bridge: RunningBridge, home: Home
) -> None:
    async with home.watch() as reader:
        bridge.camera.show(SHARP)
        while await next_frame(reader) != SHARP:
            pass
        bridge.camera.become(CameraState.STALLED)
        assert [await next_frame(reader), await next_frame(reader)] == [SHARP, SHARP]
        assert await code_of(await home.ask("GET", "/v1/frame.jpg")) == (503, "no_camera")
        bridge.camera.become(CameraState.ABSENT)
        while (frame := await next_frame(reader)) == SHARP:
            pass
        assert size_of(frame) == (1280, 720)
        assert await next_frame(reader) == frame  # and so do those who look away for a while
        bridge.camera.show(EMPTY)
        while await next_frame(reader) == frame:
            pass


async def test_no_picture_is_ever_a_picture_of_a_ring(tmp_path: Path) -> None:
    async with running_bridge(tmp_path / "state") as bridge, aiohttp.ClientSession() as session:
        home = Home(session, bridge)
        await home.pair()
        async with home.listen() as line:
            bridge.panel.press()
            assert [message["type"] for message in await line.ring()] == ["ring", "burst"]


async def test_missing_things_are_not_found(home: Home) -> None:
    for path in (
        "/v1/rings/1/0.jpg",
        "/v1/rings/x/0.jpg",
        "/v1/rings/999999999999999/99999.jpg",
        "/v1/nothing",
    ):
        assert await code_of(await home.ask("GET", path)) == (404, "not_found")


async def test_what_never_ends_has_no_head(home: Home) -> None:
    for path in ("/v1/stream.mjpg", "/v1/ws"):
        assert (await home.ask("HEAD", path)).status == 405
    assert (await home.ask("HEAD", "/v1/frame.jpg")).status == 200


def size_of(jpeg: bytes) -> tuple[int, int]:
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return image.shape[1], image.shape[0]


async def next_frame(reader: Stream) -> bytes:
    part = await reader.next()
    assert isinstance(part, aiohttp.BodyPartReader)
    assert part.headers["Content-Type"] == "image/jpeg"
    return bytes(await part.read())


async def test_live_picture_starts_twice(tmp_path: Path) -> None:
    async with (
        running_bridge(tmp_path / "state", photos=[SHARP]) as bridge,
        aiohttp.ClientSession() as session,
    ):
        home = Home(session, bridge)
        await home.pair()
        async with home.watch() as reader, asyncio.timeout(RESEND_S / 2):
            assert [await next_frame(reader), await next_frame(reader)] == [SHARP, SHARP]


async def test_live_picture_shows_the_newest_and_repeats_it(bridge: RunningBridge, home: Home) -> None:
    async with home.watch() as reader:
        assert await next_frame(reader) == EMPTY
        bridge.camera.show(SHARP)
        while (frame := await next_frame(reader)) == EMPTY:
            pass
        assert frame == SHARP
        assert [await next_frame(reader), await next_frame(reader)] == [SHARP, SHARP]  # nothing new came
        assert (await (await home.ask("GET", "/v1/health")).json())["viewers"] == 1


async def test_places_for_viewers_and_sessions_are_limited(home: Home) -> None:
    from contextlib import AsyncExitStack

    async with AsyncExitStack() as stack:
        for _ in range(8):
            await stack.enter_async_context(home.listen())
        assert await code_of(await home.ask("GET", "/v1/ws")) == (503, "busy")
        for _ in range(64):
            await stack.enter_async_context(home.watch())
        assert await code_of(await home.ask("GET", "/v1/stream.mjpg")) == (503, "busy")


async def test_stopping_ends_viewers_and_sessions(bridge: RunningBridge, home: Home) -> None:
    async with home.listen() as line, home.watch() as reader:
        await reader.next()
        stopping = asyncio.create_task(bridge.stop())
        assert await line.ended() == aiohttp.WSCloseCode.GOING_AWAY
        await stopping


async def test_outputs_expire(bridge: RunningBridge, home: Home) -> None:
    async with home.listen() as line:
        await line.send(type="do", id=7, output="green", pattern="on", for_ms=30)
        assert await line.answer(7) == {"type": "done", "id": 7}
        await bridge.panel.until(Output.GREEN, lit=False)
        assert (Output.GREEN, True) in bridge.panel.writes


@pytest.mark.parametrize(
    ("request_fields", "code"),
    [
        ({"output": "blue", "pattern": "on", "for_ms": 5}, "unknown_output"),
        ({"output": "green", "pattern": "disco", "for_ms": 5}, "unknown_pattern"),
        ({"output": "green", "pattern": "on"}, "bad_duration"),
        ({"output": "buzzer", "pattern": "on", "for_ms": 60_001}, "bad_duration"),
        ({"output": 5, "pattern": "on", "for_ms": 5}, "bad_request"),
        ({"pattern": "on", "for_ms": 5}, "bad_request"),
        ({"output": "green", "pattern": "on", "for_ms": True}, "bad_duration"),
    ],
)
async def test_impossible_commands_fail_with_a_reason(
    bridge: RunningBridge, home: Home, request_fields: dict[str, object], code: str
) -> None:
    async with home.listen() as line:
        await line.send(type="do", id=7, **request_fields)
        failed = await line.answer(7)
        assert (failed["type"], failed["code"]) == ("failed", code)
        assert failed["message"]
    assert bridge.panel.writes == []


async def test_test_ring(bridge: RunningBridge, home: Home) -> None:
    async with home.listen() as line:
        await line.send(type="press", id=8)
        assert (await line.next("ring"))["test"] is True
    await bridge.panel.until(Output.BUZZER, lit=True)


async def test_unknown_types_and_fields_are_ignored(bridge: RunningBridge, home: Home) -> None:
    async with home.listen() as line:
        await line.send(type="from_the_future", id=1)
        await line.send(nothing="known")
        await line.send(type="do", id=2, output="red", pattern="off", colour="pink")
        assert await line.answer(2) == {"type": "done", "id": 2}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no json",
        "[1]",
        "7",
        '{"type": "ack"}',
        '{"type": "ack", "seq": "x"}',
        '{"type": "ack", "seq": -1}',
        pytest.param("[" * 4000, id="deeply nested"),
    ],
)
async def test_malformed_messages_end_the_session_and_nothing_else(
    bridge: RunningBridge, home: Home, text: str
) -> None:
    async with home.listen() as line:
        await line.send_text(text)
        assert await line.ended() == aiohttp.WSCloseCode.POLICY_VIOLATION
    async with home.listen() as line:
        bridge.press(SHARP)
        assert (await line.ring())[0]["seq"] == 1


async def test_endless_messages_end_the_session(home: Home) -> None:
    async with home.listen() as line:
        await line.send_text("x" * 5000)
        await line.ended()
    async with home.listen() as line:
        assert line.hello["pending"] == 0
