from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
import json
from pathlib import Path
import shutil

import aiohttp
import cv2
import numpy as np
from numpy.typing import NDArray
import pytest

from pi_bridge.config import ButtonConfig, BuzzerConfig, BuzzerKind, CameraConfig, Config
from pi_bridge.errors import ConfigError, NotAnImageError, Refused
from pi_bridge.faces import Faces
from pi_bridge.melodies import pitch
from pi_bridge.model import CameraState, Output, Pattern
from pi_bridge.outputs import Outputs
from pi_bridge.simulator import NOBODY, Simulator
from tests.photos import folder as photos_folder

CONFIG = Config(name="Test door", camera=CameraConfig(fps=30), button=ButtonConfig(lockout_ms=50))


class Door:
    """A running simulator without its page: rings play the buzzer as the daemon does."""

    def __init__(self, source: Path, config: Config = CONFIG) -> None:
        self.simulator = Simulator(config, source, page_port=0)
        self.outputs = Outputs(self.simulator.panel, lambda: None)
        self.rings: asyncio.Queue[int] = asyncio.Queue()

    def ring(self, pressed_ns: int) -> None:
        self.outputs.play(Output.BUZZER, Pattern.ON, 60_000)
        self.rings.put_nowait(pressed_ns)

    async def picture(self) -> NDArray[np.uint8]:
        """Return what the camera sees now."""
        frame = await self.simulator.frames.next(0)
        return pixels(frame.jpeg)


def pixels(jpeg: bytes) -> NDArray[np.uint8]:
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return image.astype(np.uint8)


@asynccontextmanager
async def running(source: Path, config: Config = CONFIG) -> AsyncIterator[Door]:
    door = Door(source, config)
    simulator = door.simulator
    up = asyncio.Event()
    simulator.panel.start(door.ring)
    camera = asyncio.ensure_future(simulator.camera.run(lambda frame: None, up.set))
    try:
        await up.wait()
        yield door
    finally:
        camera.cancel()
        await asyncio.wait([camera])
        door.outputs.close()
        simulator.panel.close()


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a person of three photos, and two visitors of one."""
    folder = tmp_path_factory.mktemp("people")
    (folder / "obama").mkdir()
    for number, name in enumerate(("obama", "obama2", "obama3"), 1):
        shutil.copy(photos_folder() / f"{name}.jpg", folder / "obama" / f"{number}.jpg")
    shutil.copy(photos_folder() / "biden.jpg", folder / "Joe Biden.jpg")
    shutil.copy(photos_folder() / "astronaut.png", folder / "astronaut.png")
    (folder / "notes.txt").write_text("no photo")
    (folder / "empty").mkdir()
    return folder


@pytest.fixture
async def door(people: Path) -> AsyncIterator[Door]:
    async with running(people) as door:
        yield door


@pytest.fixture
async def page(door: Door) -> AsyncIterator[str]:
    async with door.simulator.listening() as address:
        yield address


@pytest.fixture
async def browser() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture(scope="module")
def faces() -> Iterator[Faces]:
    faces = Faces()
    yield faces
    faces.close()


# The door


async def test_who_may_stand_there(door: Door) -> None:
    assert door.simulator.visitors == (
        "nobody",
        "Joe Biden",
        "astronaut",
        "obama",
        "obama/2.jpg",
        "obama/3.jpg",
    )
    assert door.simulator.visitor == NOBODY
    assert door.simulator.camera.state is CameraState.OK


async def test_after_choosing_the_camera_sees_the_visitor(door: Door) -> None:
    before = await door.picture()
    await door.simulator.choose("obama/2.jpg")
    after = await door.picture()
    assert before.shape == after.shape == (720, 1280, 3)
    assert np.abs(after[200:, 440:840].astype(int) - before[200:, 440:840]).mean() > 20
    assert (
        np.abs(after[:, :300].astype(int) - before[:, :300]).mean() < 3
    )  # beside the visitor nothing has moved


async def test_frames_differ_as_those_of_a_sensor(door: Door) -> None:
    first = await door.simulator.frames.next(0)
    second = await door.simulator.frames.next(first.taken_ns)
    assert first.jpeg != second.jpeg


@pytest.mark.parametrize(
    ("visitor", "count"),
    [("nobody", 0), ("obama", 1), ("obama/3.jpg", 1), ("Joe Biden", 1), ("astronaut", 1)],
)
async def test_the_daemon_finds_a_good_face_of_a_visitor_and_none_of_nobody(
    door: Door, faces: Faces, visitor: str, count: int
) -> None:
    await door.simulator.choose(visitor)
    frame = await door.simulator.frames.next(0)
    found = await faces.find(frame.jpeg, embed=False)
    assert len(found.faces) == count
    assert found.good is bool(count)


async def test_somebody_unknown_is_refused_and_nothing_changes(door: Door) -> None:
    with pytest.raises(Refused, match="no visitor nobody-else; there are nobody, Joe Biden"):
        await door.simulator.choose("nobody-else")
    assert door.simulator.visitor == NOBODY


async def test_a_file_that_is_no_picture_is_named_and_nothing_changes(tmp_path: Path) -> None:
    shutil.copy(photos_folder() / "biden.jpg", tmp_path / "biden.jpg")
    (tmp_path / "broken.jpg").write_text("no picture")
    async with running(tmp_path) as door:
        with pytest.raises(NotAnImageError, match=r"broken\.jpg"):
            await door.simulator.choose("broken")
        assert door.simulator.visitor == NOBODY
        await door.simulator.choose("biden")


async def test_a_picture_named_nobody_is_the_empty_doorstep(tmp_path: Path) -> None:
    shutil.copy(photos_folder() / "brick.png", tmp_path / "nobody.png")
    async with running(tmp_path) as door:
        assert door.simulator.visitors == (NOBODY,)
        columns = (await door.picture()).reshape(720, 1280, 3)
        wall = pixels((photos_folder() / "brick.png").read_bytes())
        assert abs(float(columns.mean()) - float(wall.mean())) < 15


@pytest.mark.parametrize("make", [lambda path: path.mkdir(), lambda path: None])
def test_a_folder_without_photos_is_a_clear_mistake(tmp_path: Path, make: Callable[[Path], None]) -> None:
    folder = tmp_path / "photos"
    make(folder)
    with pytest.raises(ConfigError, match=str(folder)):
        Simulator(CONFIG, folder)


async def test_a_video_instead_of_photos(tmp_path: Path) -> None:
    path = tmp_path / "visitors.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 30, (320, 180))
    for brightness in (60, 180):
        writer.write(np.full((180, 320, 3), brightness, np.uint8))
    writer.release()
    async with running(path) as door:
        assert (await door.picture()).shape == (180, 320, 3)
        assert door.simulator.visitor is None
        assert door.simulator.visitors == ()
        with pytest.raises(Refused, match="video"):
            await door.simulator.choose("nobody")


@pytest.mark.parametrize("pull", ["up", "down"])
async def test_a_press_goes_the_way_of_a_real_one(people: Path, pull: str) -> None:
    async with running(people, Config(button=ButtonConfig(pull=pull))) as door:
        at = door.simulator.press()
        assert await door.rings.get()
        assert abs(datetime.now(UTC) - at) < timedelta(seconds=5)
        assert door.simulator.outputs == {Output.GREEN: False, Output.RED: False, Output.BUZZER: True}
        assert list(door.simulator.presses) == [at]


async def test_a_passive_buzzer_plays_a_melody(people: Path) -> None:
    async with running(people, Config(buzzer=BuzzerConfig(kind=BuzzerKind.PASSIVE))) as door:
        simulator = door.simulator
        heard: list[float | None] = []
        assert simulator.hz is None
        playing = Outputs(simulator.panel, lambda: None, melodies=True)
        playing.play("buzzer", "ding_dong")
        while playing.playing[Output.BUZZER] is not Pattern.OFF:
            heard.append(simulator.hz)
            await simulator.changed.next.wait()
        assert [hz for hz in heard if hz] == [pytest.approx(pitch(note)) for note in ("E6", "C6")]
        assert not simulator.outputs[Output.BUZZER]


# The page


async def test_the_page_needs_nothing_from_elsewhere(page: str, browser: aiohttp.ClientSession) -> None:
    async with browser.get(page) as response:
        text = await response.text()
        assert response.content_type == "text/html"
        assert "frame-ancestors 'none'" in response.headers["Content-Security-Policy"]
    assert "http://" not in text
    assert "https://" not in text


async def test_press_and_choose_over_the_page(door: Door, page: str, browser: aiohttp.ClientSession) -> None:
    async with browser.post(f"{page}/visitor", json={"visitor": "Joe Biden"}) as response:
        assert response.status == 200
    async with browser.post(f"{page}/press") as response:
        at = (await response.json())["at"]
    await door.rings.get()
    async with browser.get(f"{page}/state") as response:
        assert await response.json() == {
            "name": "Test door",
            "visitor": "Joe Biden",
            "visitors": list(door.simulator.visitors),
            "outputs": {"green": False, "red": False, "buzzer": True},
            "hz": None,
            "presses": [at],
        }
    assert abs(datetime.now(UTC) - datetime.fromisoformat(at)) < timedelta(seconds=5)


async def test_changes_come_by_themselves(door: Door, page: str, browser: aiohttp.ClientSession) -> None:
    async with browser.get(f"{page}/events") as response:
        assert response.content_type == "text/event-stream"

        async def until_green_is(lit: bool) -> None:
            async for line in response.content:
                if line.startswith(b"data: ") and json.loads(line[6:])["outputs"]["green"] is lit:
                    return

        await until_green_is(False)
        door.outputs.play("green", "on", 50)
        await until_green_is(True)
        await until_green_is(False)


async def test_the_live_picture_and_thumbnails(page: str, browser: aiohttp.ClientSession) -> None:
    async with browser.get(f"{page}/stream.mjpg") as response:
        reader = aiohttp.MultipartReader.from_response(response)
        for _ in range(3):
            part = await reader.next()
            assert isinstance(part, aiohttp.BodyPartReader)
            assert pixels(bytes(await part.read())).shape == (720, 1280, 3)
    for visitor in ("nobody", "obama/2.jpg"):
        async with browser.get(f"{page}/thumbnail", params={"visitor": visitor}) as response:
            assert pixels(await response.read()).shape[0] == 160


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b'{"visitor": "nobody-else"}', 404, "not_found"),
        (b'{"visitor": 7}', 400, "bad_request"),
        (b"[]", 400, "bad_request"),
        (b"{", 400, "bad_request"),
        (b"\xff", 400, "bad_request"),
    ],
)
async def test_bad_requests_are_told(
    page: str, browser: aiohttp.ClientSession, body: bytes, status: int, code: str
) -> None:
    async with browser.post(f"{page}/visitor", data=body) as response:
        assert (response.status, (await response.json())["code"]) == (status, code)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://elsewhere.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},  # another server on this machine
        {"Host": "elsewhere.example"},  # a name that was made to point here
    ],
)
async def test_other_sites_are_refused(
    door: Door, page: str, browser: aiohttp.ClientSession, headers: dict[str, str]
) -> None:
    for method, path in (
        ("POST", "/press"),
        ("POST", "/visitor"),
        ("GET", "/state"),
        ("GET", "/stream.mjpg"),
    ):
        async with browser.request(method, page + path, headers=headers) as response:
            assert (response.status, (await response.json())["code"]) == (403, "forbidden")
    assert not door.simulator.presses


async def test_the_page_itself_is_not_refused(page: str, browser: aiohttp.ClientSession) -> None:
    async with browser.post(f"{page}/press", headers={"Origin": page}) as response:
        assert response.status == 200


async def test_serving_ends_at_once_though_somebody_watches(
    door: Door, browser: aiohttp.ClientSession
) -> None:
    async with door.simulator.listening() as page:
        response = await browser.get(f"{page}/stream.mjpg")
        assert response.status == 200
        assert page.startswith("http://127.0.0.1:")
    with pytest.raises(aiohttp.ClientError):
        await browser.get(f"{page}/state")
    response.close()
