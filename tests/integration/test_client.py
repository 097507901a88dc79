"""The client of the bridge, against the real bridge over loopback."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import aiohttp
import pytest

from custom_components.face_doorbell.bridge import (
    BridgeAuthError,
    BridgeCertificateError,
    BridgeClient,
    BridgeConnectionError,
    BridgeRefusedError,
    Burst,
    CameraState,
    Connection,
    FacesState,
    Message,
    Output,
    Pattern,
    Ring,
    RingPicture,
    StateChange,
)
from custom_components.face_doorbell.bridge.acks import Acks
from custom_components.face_doorbell.recognition.errors import EngineUnavailableError, PhotoRefusedError
from pi_bridge import session as bridge_session
from pi_bridge.model import Output as BridgeOutput
from tests import photos
from tests.bridge.doubles import RunningBridge


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def client(session: aiohttp.ClientSession, bridge: RunningBridge) -> BridgeClient:
    info = await BridgeClient.get_info(session, bridge.host, bridge.port)
    unpaired = BridgeClient(session, bridge.host, bridge.port, info.fingerprint)
    pairing = await unpaired.pair(bridge.pairing_code(), "Home")
    return BridgeClient(session, bridge.host, bridge.port, info.fingerprint, pairing.token)


async def listen(connection: Connection, kind: type[Message]) -> Message:
    """Return the next message of a kind."""
    async for message in connection:
        if isinstance(message, kind):
            return message
    raise AssertionError("unreachable")


async def test_info_shows_the_certificate_before_pairing(
    session: aiohttp.ClientSession, bridge: RunningBridge
) -> None:
    info = await BridgeClient.get_info(session, bridge.host, bridge.port)

    assert info.id == bridge.bridge_id
    assert info.fingerprint == bridge.fingerprint
    assert not info.paired


async def test_nobody_there(session: aiohttp.ClientSession, bridge: RunningBridge) -> None:
    await bridge.stop()

    with pytest.raises(BridgeConnectionError):
        await BridgeClient.get_info(session, bridge.host, bridge.port)


async def test_pairing_with_a_wrong_code(session: aiohttp.ClientSession, bridge: RunningBridge) -> None:
    client = BridgeClient(session, bridge.host, bridge.port, bridge.fingerprint)
    bridge.pairing_code()

    with pytest.raises(BridgeRefusedError) as refused:
        await client.pair("not-the-code", "Home")

    assert refused.value.code == "wrong_code"


async def test_another_certificate_is_told_nothing(
    session: aiohttp.ClientSession, bridge: RunningBridge
) -> None:
    client = BridgeClient(session, bridge.host, bridge.port, "ab" * 32, "secret")

    with pytest.raises(BridgeCertificateError):
        await client.frame()
    with pytest.raises(BridgeCertificateError):
        await client.connect()


async def test_a_forgotten_token_asks_for_pairing(client: BridgeClient) -> None:
    await client.forget_token()

    with pytest.raises(BridgeAuthError):
        await client.frame()
    with pytest.raises(BridgeAuthError):
        await client.connect()


async def test_hello_tells_the_state(client: BridgeClient, bridge: RunningBridge) -> None:
    connection = await client.connect()

    assert connection.hello.id == bridge.bridge_id
    assert connection.hello.pending == 0
    assert connection.hello.state.camera is CameraState.OK
    assert connection.hello.state.faces is FacesState.OK
    assert connection.hello.state.outputs == dict.fromkeys(Output, Pattern.OFF)
    await connection.close()


async def test_a_ring_its_picture_and_the_end_of_its_burst(
    client: BridgeClient, bridge: RunningBridge
) -> None:
    connection = await client.connect()
    bridge.press()

    ring = await listen(connection, Ring)
    picture = await listen(connection, RingPicture)
    burst = await listen(connection, Burst)

    assert isinstance(ring, Ring)
    assert isinstance(picture, RingPicture)
    assert isinstance(burst, Burst)
    assert ring.ring_id == picture.ring_id == burst.ring_id
    assert (ring.replay, ring.test) == (False, False)
    assert picture.good
    assert burst.best == picture.n == 0
    assert await client.picture(ring.seq, 0) == photos.photo("obama2")
    await connection.close()


async def test_what_is_not_acked_comes_again(client: BridgeClient, bridge: RunningBridge) -> None:
    connection = await client.connect()
    bridge.press()
    first = await listen(connection, Ring)
    await connection.close()

    connection = await client.connect()
    again = await listen(connection, Ring)
    assert isinstance(first, Ring)
    assert isinstance(again, Ring)
    assert again.ring_id == first.ring_id
    assert again.replay
    await connection.ack(again.seq)
    await connection.close()

    connection = await client.connect()
    assert connection.hello.pending == 0
    await connection.close()


async def test_commands_are_answered(client: BridgeClient, bridge: RunningBridge) -> None:
    connection = await client.connect()
    listening = asyncio.create_task(listen(connection, StateChange))

    await connection.do(Output.GREEN, Pattern.ON, 60_000)

    changed = await listening
    assert isinstance(changed, StateChange)
    assert changed.state.outputs[Output.GREEN] is Pattern.ON
    assert bridge.panel.is_lit(BridgeOutput.GREEN)
    await connection.close()


async def test_a_bridge_that_goes_after_a_ping_has_gone(
    client: BridgeClient, bridge: RunningBridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bridge_session, "HEARTBEAT_S", 0.05)
    connection = await client.connect()
    while (await client.health())["sessions"]:  # nobody reads here, so the bridge hears no pong
        pass
    with pytest.raises(BridgeConnectionError):
        async for _ in connection:
            pass
    await connection.close()


async def test_a_command_out_of_bounds_is_refused(client: BridgeClient) -> None:
    connection = await client.connect()
    listening = asyncio.create_task(listen(connection, Ring))

    with pytest.raises(BridgeRefusedError):
        await connection.do(Output.BUZZER, Pattern.ON, 61_000)

    await connection.close()
    with pytest.raises(BridgeConnectionError):
        await listening


async def test_a_command_fails_when_the_bridge_goes(client: BridgeClient, bridge: RunningBridge) -> None:
    connection = await client.connect()
    listening = asyncio.create_task(listen(connection, Ring))
    await bridge.stop()

    with pytest.raises(BridgeConnectionError):
        await connection.press()
    with pytest.raises(BridgeConnectionError):
        await listening
    await connection.close()


async def test_stills_and_the_stream(client: BridgeClient, bridge: RunningBridge) -> None:
    assert await client.frame() == photos.photo("obama2")

    stream = client.stream()
    assert await anext(stream) == photos.photo("obama2")
    bridge.camera.show(photos.photo("biden"))
    while await anext(stream) != photos.photo("biden"):
        pass
    await stream.aclose()


async def test_no_frame_without_a_camera(client: BridgeClient, bridge: RunningBridge) -> None:
    bridge.camera.jpeg = None
    await bridge.restart()

    with pytest.raises(BridgeRefusedError) as refused:
        await client.frame()

    assert refused.value.code == "no_camera"


async def test_finding_faces(client: BridgeClient) -> None:
    faces = await client.find_faces(photos.photo("obama2"))

    assert [face.quality for face in faces] == [0.9]


async def test_finding_faces_with_the_bridge_away(client: BridgeClient, bridge: RunningBridge) -> None:
    await bridge.stop()

    with pytest.raises(EngineUnavailableError):
        await client.find_faces(photos.photo("obama2"))


async def test_finding_faces_in_too_large_a_photo(client: BridgeClient) -> None:
    with pytest.raises(PhotoRefusedError) as refused:
        await client.find_faces(bytes(11 * 1024 * 1024))

    assert refused.value.key == "photo_too_large"


async def test_health_has_no_secret(client: BridgeClient) -> None:
    assert "fps" in await client.health()


def ring(seq: int) -> Ring:
    return Ring(seq, f"ring {seq}", datetime.now(UTC))


def test_acks_never_pass_a_ring_that_is_not_stored() -> None:
    acks = Acks()
    for seq in (4, 5, 6):
        acks.opened(ring(seq))

    acks.stored("ring 5")
    assert acks.take() is None
    acks.stored("ring 4")
    assert acks.take() == 5
    assert acks.take() is None
    acks.stored("ring 6")
    assert acks.take() == 6


async def test_pairing_by_a_press(session: aiohttp.ClientSession, bridge: RunningBridge) -> None:
    client = BridgeClient(session, bridge.host, bridge.port, bridge.fingerprint)
    pressing = asyncio.create_task(client.pair_by_press("Home"))
    await bridge.panel.until(BridgeOutput.RED, lit=True)
    bridge.press()

    pairing = await pressing

    assert pairing.id == bridge.bridge_id
    paired = BridgeClient(session, bridge.host, bridge.port, bridge.fingerprint, pairing.token)
    assert await paired.health()


async def test_a_press_pairs_nobody_else(client: BridgeClient) -> None:
    with pytest.raises(BridgeRefusedError) as refused:
        await client.pair_by_press("Home")

    assert refused.value.code == "pairing_closed"
