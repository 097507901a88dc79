from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
import logging
from pathlib import Path
import queue
import threading
import time

import cv2
import numpy as np
import pytest

from pi_bridge import camera as camera_module
from pi_bridge.camera import SELECT_TIMEOUT_S, Capture, Opener, Webcam, open_video, webcams
from pi_bridge.config import CameraConfig
from pi_bridge.errors import HardwareError
from pi_bridge.model import CameraState, Frame

from .test_jpeg import without_tables

FRONT = "/dev/v4l/by-id/usb-front-video-index0"
GARDEN = "/dev/v4l/by-id/usb-garden-video-index0"


def picture(brightness: int = 128) -> bytes:
    image = np.full((72, 128, 3), brightness, np.uint8)
    return cv2.imencode(".jpg", image)[1].tobytes()


def brightness_of(jpeg: bytes) -> int:
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert image is not None
    return 10 * round(float(image.mean()) / 10)


class PlayedCamera:
    """A camera that a test plays: it shows, stalls, breaks and is unplugged. Implements `Capture`, and opens itself."""

    def __init__(self) -> None:
        self.plugged = True
        self.is_open = False
        self.opened = 0
        self._coming: queue.Queue[bytes | None] = queue.Queue()
        self._grabbed: bytes | None = None
        self._lock = threading.Lock()

    def open(self, _config: CameraConfig) -> Capture:
        if not self.plugged:
            raise HardwareError("no webcam is plugged in")
        assert not self.is_open, "opened again before it was released"
        self.is_open = True
        self.opened += 1
        return self

    def show(self, *jpegs: bytes) -> None:
        for jpeg in jpegs:
            self._coming.put(jpeg)

    def stall(self) -> None:
        """Let the select timeout pass."""
        self._coming.put(None)

    def unplug(self) -> None:
        self.plugged = False
        self._coming.put(None)

    def grab(self) -> bool:
        try:
            self._grabbed = self._coming.get(timeout=SELECT_TIMEOUT_S)
        except queue.Empty:
            self._grabbed = None
        return self._grabbed is not None

    def jpeg(self) -> bytes | None:
        return self._grabbed

    def release(self) -> None:
        self.is_open = False


class Watcher:
    """What the loop is told."""

    def __init__(self, webcam: Webcam) -> None:
        self.webcam = webcam
        self.frames: asyncio.Queue[Frame] = asyncio.Queue()
        self.states: asyncio.Queue[CameraState] = asyncio.Queue()

    def alive(self) -> bool:
        return self.webcam.alive

    def changed(self) -> None:
        self.states.put_nowait(self.webcam.state)


@asynccontextmanager
async def watching(
    open_capture: Callable[[CameraConfig], Capture], unblock: Callable[[], None]
) -> AsyncIterator[Watcher]:
    watcher = Watcher(Webcam(CameraConfig(), open_capture))
    running = asyncio.ensure_future(watcher.webcam.run(watcher.frames.put_nowait, watcher.changed))
    try:
        yield watcher
    finally:
        running.cancel()
        unblock()
        await asyncio.wait([running])


@pytest.fixture
def played() -> PlayedCamera:
    return PlayedCamera()


@pytest.fixture
async def watcher(played: PlayedCamera) -> AsyncIterator[Watcher]:
    async with watching(played.open, played.stall) as watcher:
        yield watcher
    assert not played.is_open


async def test_frames_come_with_their_moment(played: PlayedCamera, watcher: Watcher) -> None:
    assert watcher.webcam.state is CameraState.ABSENT
    before = time.monotonic_ns()
    played.show(picture(10), picture(20))
    first, second = await watcher.frames.get(), await watcher.frames.get()
    assert (first.jpeg, second.jpeg) == (picture(10), picture(20))
    assert before <= first.taken_ns <= second.taken_ns <= time.monotonic_ns()
    assert await watcher.states.get() is CameraState.OK
    assert watcher.states.empty()


async def test_broken_pictures_are_left_out(played: PlayedCamera, watcher: Watcher) -> None:
    played.show(picture()[:300], b"", picture(10), picture()[5:], picture(20))
    assert (await watcher.frames.get()).jpeg == picture(10)
    assert (await watcher.frames.get()).jpeg == picture(20)
    assert played.opened == 1


async def test_pictures_without_huffman_tables_are_completed(played: PlayedCamera, watcher: Watcher) -> None:
    played.show(without_tables(picture(40)))
    complete = (await watcher.frames.get()).jpeg
    assert complete.count(b"\xff\xc4") == 1
    assert brightness_of(complete) == 40


async def test_a_read_that_never_returns_is_known(
    played: PlayedCamera, watcher: Watcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    played.show(picture())
    await watcher.frames.get()
    assert watcher.alive()
    monkeypatch.setattr(camera_module, "HUNG_AFTER_S", 0.5)
    while watcher.alive():  # noqa: ASYNC110 - its thread waits for a picture, and nothing tells that it does
        await asyncio.sleep(0.01)
    played.show(picture(20))
    await watcher.frames.get()
    assert watcher.alive()


async def test_a_stalled_camera_is_opened_again_and_recovers(
    played: PlayedCamera, watcher: Watcher, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    played.show(picture())
    await watcher.frames.get()
    played.stall()
    played.stall()
    assert [await watcher.states.get() for _ in range(2)] == [CameraState.OK, CameraState.STALLED]
    played.show(picture(20))
    assert (await watcher.frames.get()).jpeg == picture(20)
    assert await watcher.states.get() is CameraState.OK
    assert played.opened == 3
    logged = [
        (record.levelname, record.message) for record in caplog.records if record.name == "pi_bridge.camera"
    ]
    assert [level for level, _ in logged] == ["WARNING", "INFO"]  # once each, however long it takes


async def test_a_camera_that_comes_and_goes_does_not_fill_the_log(
    played: PlayedCamera, watcher: Watcher, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO, "pi_bridge.camera")
    monkeypatch.setattr(camera_module, "BACKOFF_S", (0.0,))
    for _ in range(20):
        played.show(picture())
        await watcher.frames.get()
        played.stall()
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


async def test_a_camera_that_goes_for_good_is_told_of_however_soon_after_the_last_time(
    played: PlayedCamera, watcher: Watcher, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(camera_module, "TELL_AGAIN_S", 0.2)
    monkeypatch.setattr(camera_module, "BACKOFF_S", (0.01,))
    for _ in range(2):
        played.show(picture())
        await watcher.frames.get()
        played.stall()
    played.unplug()
    while "no webcam is plugged in" not in caplog.text:  # noqa: ASYNC110 - a thread logs it
        await asyncio.sleep(0.01)


async def test_an_unplugged_camera_is_absent_until_it_is_plugged_in(
    played: PlayedCamera, watcher: Watcher
) -> None:
    played.show(picture())
    await watcher.frames.get()
    played.unplug()
    states = [await watcher.states.get() for _ in range(3)]
    assert states == [CameraState.OK, CameraState.STALLED, CameraState.ABSENT]
    played.plugged = True
    played.show(picture(20))
    assert (await watcher.frames.get()).jpeg == picture(20)
    assert await watcher.states.get() is CameraState.OK


async def test_a_camera_that_sends_only_rubbish_is_stalled(
    played: PlayedCamera, watcher: Watcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    played.show(picture())
    await watcher.frames.get()
    monkeypatch.setattr(camera_module, "BROKEN_AFTER_S", 0.0)
    played.show(picture()[:300])
    assert [await watcher.states.get() for _ in range(2)] == [CameraState.OK, CameraState.STALLED]


async def test_of_two_cameras_it_keeps_to_one() -> None:
    cameras = {Path("/dev/video0"): PlayedCamera(), Path("/dev/video2"): PlayedCamera()}
    plugged = {GARDEN: Path("/dev/video0"), FRONT: Path("/dev/video2")}
    opener = Opener(lambda: plugged)
    front, garden = cameras[plugged[FRONT]], cameras[plugged[GARDEN]]

    def open_found(config: CameraConfig) -> Capture:
        return cameras[opener.find()].open(config)

    async with watching(open_found, front.stall) as watcher:
        front.show(picture(10))
        await watcher.frames.get()
        del plugged[FRONT]
        front.stall()
        states = [await watcher.states.get() for _ in range(3)]
        assert states == [CameraState.OK, CameraState.STALLED, CameraState.ABSENT]
        plugged[FRONT] = Path("/dev/video2")
        front.show(picture(20))
        assert (await watcher.frames.get()).jpeg == picture(20)
    assert garden.opened == 0


def test_which_camera_auto_means() -> None:
    plugged = {GARDEN: Path("/dev/video0"), FRONT: Path("/dev/video2")}
    opener = Opener(lambda: plugged)
    assert opener.find() == Path("/dev/video2")
    assert Opener(lambda: dict(reversed(plugged.items()))).find() == Path("/dev/video2")

    plugged[FRONT] = Path("/dev/video4")  # plugged in again, it has another number
    plugged["/dev/v4l/by-id/usb-another-video-index0"] = Path("/dev/video6")
    assert opener.find() == Path("/dev/video4")
    del plugged["/dev/v4l/by-id/usb-another-video-index0"]

    del plugged[FRONT]
    with pytest.raises(HardwareError, match=r"usb-front.* is unplugged, and .*usb-garden.* something else"):
        opener.find()
    plugged["/dev/v4l/by-id/usb-new-video-index0"] = Path("/dev/video2")
    assert opener.find() == Path("/dev/video2")


class PlayedVideo:
    """What `cv2.VideoCapture` is for a camera that has one format, whatever it is asked for."""

    def __init__(self, fourcc: str, retrieved: np.ndarray) -> None:
        self._fourcc = cv2.VideoWriter.fourcc(*fourcc)
        self._retrieved = retrieved

    def __call__(self, *_wanted: object) -> PlayedVideo:
        return self

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
        return True

    def get(self, _what: int) -> float:
        return self._fourcc

    def set(self, _what: int, _value: float) -> bool:
        return True

    def grab(self) -> bool:
        return True

    def retrieve(self) -> tuple[bool, np.ndarray]:
        return True, self._retrieved

    def release(self) -> None:
        pass


def first_picture(monkeypatch: pytest.MonkeyPatch, video: PlayedVideo, device: Path) -> bytes | None:
    monkeypatch.setattr(cv2, "VideoCapture", video)
    device.touch()
    capture = Opener().open(CameraConfig(device=str(device)))
    assert capture.grab()
    return capture.jpeg()


def test_motion_jpeg_is_passed_on_byte_for_byte(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    video = PlayedVideo("MJPG", np.frombuffer(picture(90), np.uint8).reshape(1, -1))
    assert first_picture(monkeypatch, video, tmp_path / "video0") == picture(90)


def test_a_camera_with_yuyv_only_gives_jpegs_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    video = PlayedVideo("YUYV", np.full((72, 128, 3), 90, np.uint8))  # decoded by OpenCV
    jpeg = first_picture(monkeypatch, video, tmp_path / "video0")
    assert jpeg is not None
    assert brightness_of(jpeg) == 90


async def test_it_waits_longer_and_longer_for_a_camera_that_is_not_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(camera_module, "BACKOFF_S", (0.01, 0.05))
    tries: list[float] = []
    enough = asyncio.Event()
    loop = asyncio.get_running_loop()

    def open_nothing(_config: CameraConfig) -> Capture:
        tries.append(time.monotonic())
        if len(tries) == 4:
            loop.call_soon_threadsafe(enough.set)
        raise HardwareError("no webcam is plugged in")

    async with watching(open_nothing, lambda: None) as watcher:
        await enough.wait()
        assert watcher.webcam.state is CameraState.ABSENT
        assert watcher.states.empty()
    waits = [after - before for before, after in pairwise(tries)]
    assert waits[0] >= 0.01
    assert min(waits[1:]) >= 0.05


async def test_a_programming_error_in_the_thread_is_not_lost() -> None:
    def open_wrongly(_config: CameraConfig) -> Capture:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await Webcam(CameraConfig(), open_wrongly).run(lambda frame: None, lambda: None)


@pytest.mark.parametrize("device", ["/dev/no-such-camera", "/dev/null"])
def test_what_is_no_camera_is_named(device: str) -> None:
    with pytest.raises(HardwareError, match=device):
        Opener().open(CameraConfig(device=device))


def test_without_a_webcam_it_says_so() -> None:
    if webcams():
        pytest.skip("this machine has a camera")
    with pytest.raises(HardwareError, match="no webcam"):
        Opener().find()


async def test_a_video_plays_again_and_again(tmp_path: Path) -> None:
    path = tmp_path / "visitors.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 50, (128, 72))
    for brightness in (30, 120, 210):
        writer.write(np.full((72, 128, 3), brightness, np.uint8))
    writer.release()

    opened_ns = time.monotonic_ns()
    async with watching(lambda _: open_video(path), lambda: None) as watcher:
        frames = [await watcher.frames.get() for _ in range(7)]
    assert [brightness_of(frame.jpeg) for frame in frames] == [30, 120, 210, 30, 120, 210, 30]
    assert frames[6].taken_ns - opened_ns >= 7 / 50 * 1e9


def test_a_video_whose_reader_is_late_plays_on(tmp_path: Path) -> None:
    path = tmp_path / "visitors.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 50, (128, 72))
    for _ in range(3):
        writer.write(np.zeros((72, 128, 3), np.uint8))
    writer.release()

    capture = open_video(path)
    for _ in range(3):
        time.sleep(2 / 50)
        assert capture.grab()
    capture.release()


def test_what_is_no_video_is_named(tmp_path: Path) -> None:
    path = tmp_path / "visitors.mp4"
    path.write_text("no video")
    with pytest.raises(HardwareError, match=r"visitors\.mp4 is no video"):
        open_video(path)
