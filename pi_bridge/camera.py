"""A webcam as whole JPEGs. The only module that knows cv2.VideoCapture.

Where the camera has Motion JPEG its own bytes are passed on: a copy costs next to nothing, decoding and encoding 720p
costs a tenth of a core. One thread reads all the time, so that a picture is never older than the camera's own delay.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
import fcntl
import logging
import os
from pathlib import Path
import struct
import threading
import time
from typing import Final, Protocol

import cv2

from . import jpeg
from .config import AUTO, CameraConfig
from .errors import HardwareError
from .model import CameraState, Frame

_LOGGER: Final = logging.getLogger(__name__)

# A camera of 1 fps in the dark still delivers within it; OpenCV's own 10 s would hold up shutting down.
SELECT_TIMEOUT_S: Final = 2
# So long without a whole picture, though something arrives: as bad as nothing.
BROKEN_AFTER_S: Final = 2.0
# Looking for a camera costs milliseconds, so a replugged one is back soon; 2 s leave the log and the bus in peace.
BACKOFF_S: Final = (0.25, 0.5, 1.0, 2.0)
# A camera with a bad cable comes and goes all day: that is told so often, or the log would fill the card.
TELL_AGAIN_S: Final = 600.0
# Opening asks the camera a dozen things, each with the USB driver's 5 s at worst; longer is a driver that hangs.
HUNG_AFTER_S: Final = 30.0
# Where the camera has no Motion JPEG: no visible loss, half the size of 95.
JPEG_QUALITY: Final = 85
DEFAULT_FPS: Final = 15.0  # of a video file that does not say

# linux/videodev2.h: VIDIOC_QUERYCAP, its struct v4l2_capability, and what a source of pictures says of itself.
_QUERYCAP: Final = 0x80685600
_CAPABILITY: Final = struct.Struct("16s32s32sIII12x")
_CAPTURE_AND_STREAMING: Final = 0x0000_0001 | 0x0400_0000
_WEBCAM_DRIVER: Final = b"uvcvideo"
_NAMES: Final = Path("/dev/v4l/by-id")  # udev's links: vendor, model and serial number, whatever the port


class Capture(Protocol):
    """An open camera, used by one thread."""

    def grab(self) -> bool:
        """Wait for the next picture; False when none came in time or the camera is gone."""

    def jpeg(self) -> bytes | None:
        """Return the picture that was grabbed as a JPEG, which may be broken."""

    def release(self) -> None:
        """Let go of the camera."""


class Webcam:
    """Reads a webcam for as long as it runs, and opens it again whenever it went; implements `ports.Camera`."""

    def __init__(
        self, config: CameraConfig, open_capture: Callable[[CameraConfig], Capture] | None = None
    ) -> None:
        """Use the camera that `open_capture` opens (raises HardwareError), by default the one of V4L2."""
        self._config = config
        self._open = open_capture or Opener().open
        self._state = CameraState.ABSENT
        self._turned_ns = time.monotonic_ns()

    @property
    def state(self) -> CameraState:
        """`ok` while pictures come, `stalled` while an open camera gives none, else `absent`."""
        return self._state

    @property
    def alive(self) -> bool:
        """Whether the camera's thread still turns, with or without pictures; only a hung driver stops it."""
        return time.monotonic_ns() - self._turned_ns < HUNG_AFTER_S * 1e9

    async def run(self, deliver: Callable[[Frame], None], changed: Callable[[], None]) -> None:
        """Deliver frames in the event loop until cancelled; call `changed` when `state` has changed.

        Cancelling ends within SELECT_TIMEOUT_S: a read that waits for a picture cannot be interrupted.
        """
        loop = asyncio.get_running_loop()
        stop = threading.Event()

        def become(state: CameraState) -> None:
            if state is not self._state:
                self._state = state
                changed()

        def turned() -> None:
            self._turned_ns = time.monotonic_ns()

        turned()
        reader = _Reader(
            lambda: self._open(self._config),
            deliver=lambda frame: loop.call_soon_threadsafe(deliver, frame),
            become=lambda state: loop.call_soon_threadsafe(become, state),
            turned=turned,
            stop=stop,
        )

        with ThreadPoolExecutor(1, thread_name_prefix="camera") as executor:
            ended = loop.run_in_executor(executor, reader.run)
            try:
                await asyncio.shield(ended)
            finally:
                stop.set()
                await asyncio.wait([ended])


@dataclass(slots=True)
class _Reader:
    """What the camera's thread does."""

    open: Callable[[], Capture]
    deliver: Callable[[Frame], object]
    become: Callable[[CameraState], object]
    turned: Callable[[], None]
    stop: threading.Event
    fails: int = 0
    told: bool = False
    quiet_until_ns: int = 0

    def run(self) -> None:
        while not self.stop.is_set():
            self.turned()
            try:
                capture = self.open()
            except HardwareError as error:
                self.become(CameraState.ABSENT)
                self._complain(str(error))
            else:
                try:
                    self._read(capture)
                finally:
                    capture.release()  # before it is opened again: a held one keeps its device node busy
            self.stop.wait(BACKOFF_S[min(self.fails, len(BACKOFF_S)) - 1])

    def _read(self, capture: Capture) -> None:
        """Read until stopped or nothing comes any more."""
        last_whole_ns = time.monotonic_ns()
        while not self.stop.is_set():
            grabbed = capture.grab()
            self.turned()
            taken_ns = time.monotonic_ns()
            data = capture.jpeg() if grabbed else None
            if data is not None and (picture := jpeg.whole(data)) is not None:
                self._deliver(Frame(picture, taken_ns))
                last_whole_ns = taken_ns
            elif data is None or taken_ns - last_whole_ns > BROKEN_AFTER_S * 1e9:
                self.become(CameraState.STALLED)
                self._complain("the camera gives no pictures")
                return

    def _deliver(self, frame: Frame) -> None:
        self.fails = 0
        if self.told:
            _LOGGER.info("The camera is back")
            self.told = False
        self.become(CameraState.OK)
        self.deliver(frame)

    def _complain(self, message: str) -> None:
        self.fails += 1
        now_ns = time.monotonic_ns()
        if not self.told and now_ns >= self.quiet_until_ns:
            _LOGGER.warning("No picture: %s; trying again", message)
            self.told, self.quiet_until_ns = True, now_ns + int(TELL_AGAIN_S * 1e9)


class Opener:
    """Opens the webcam of the configuration, and with "auto" keeps to the one that it found first.

    A webcam that was there and not chosen looks at something else: it is never used in place of the chosen one. A new
    one is.
    """

    def __init__(self, plugged_in: Callable[[], Mapping[str, Path]] | None = None) -> None:
        """Choose from what `plugged_in` returns, by default `webcams`."""
        self._plugged_in = plugged_in or webcams
        self._chosen: str | None = None
        self._passed_over: frozenset[str] = frozenset()

    def open(self, config: CameraConfig) -> Capture:
        """Open the webcam; raises HardwareError."""
        return open_v4l2(config, self.find() if config.device == AUTO else Path(config.device))

    def find(self) -> Path:
        """Return the webcam that "auto" means now; raises HardwareError when it is not plugged in."""
        found = self._plugged_in()
        chosen = self._chosen
        if chosen is None or chosen not in found:
            chosen = self._chosen = self._choose(sorted(found.keys() - self._passed_over))
        return found[chosen]

    def _choose(self, names: Sequence[str]) -> str:
        if not names and self._passed_over:
            other = ", ".join(sorted(self._passed_over))
            raise HardwareError(f"{self._chosen} is unplugged, and {other} looks at something else")
        if not names:
            raise HardwareError("no webcam is plugged in (or this user is not in the group video)")
        chosen, *others = names
        self._passed_over |= frozenset(others)
        if others:
            _LOGGER.warning("%d webcams: %s is used; camera.device chooses another", len(names), chosen)
        return chosen


def open_v4l2(config: CameraConfig, path: Path) -> Capture:
    """Open a webcam and ask it for what the configuration says; raises HardwareError."""
    # OpenCV warns at each attempt to read a stalled camera; this module tells once.
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)
    # Read by OpenCV at the first capture only.
    os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", str(SELECT_TIMEOUT_S))
    if not path.exists():
        raise HardwareError(f"there is no camera {path}")
    wanted = [
        *(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG")),  # first: the sizes depend on it
        *(cv2.CAP_PROP_FRAME_WIDTH, config.width),
        *(cv2.CAP_PROP_FRAME_HEIGHT, config.height),
        *(cv2.CAP_PROP_FPS, config.fps),
    ]
    video = cv2.VideoCapture(str(path), cv2.CAP_V4L2, wanted)
    if not video.isOpened():
        raise HardwareError(
            f"the camera {path} cannot be opened: another program uses it, or it is no camera"
        )
    return _V4l2(video)


def webcams() -> dict[str, Path]:
    """Return the device nodes of the USB webcams, which change, by names that do not."""
    links = {link.resolve(): link for link in _NAMES.glob("*")}
    found: dict[str, Path] = {}
    for path in sorted(Path("/dev").glob("video*")):
        if (port := _port_of_webcam(path)) is not None:
            found.setdefault(str(links.get(path, port)), path)
    return found


def _port_of_webcam(path: Path) -> str | None:
    """Return where a webcam is plugged in; None for what is no webcam, or what this user may not open."""
    try:
        device = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        answer = fcntl.ioctl(device, _QUERYCAP, bytes(_CAPABILITY.size))
    except OSError:
        return None
    finally:
        os.close(device)
    driver, _, port, _, _, capabilities = _CAPABILITY.unpack(answer)
    if driver.rstrip(b"\0") != _WEBCAM_DRIVER or _CAPTURE_AND_STREAMING & ~capabilities:
        return None
    return str(port.rstrip(b"\0").decode("ascii", "replace"))


class _V4l2:
    """An open `cv2.VideoCapture` of V4L2: the camera's own JPEGs where it has them, encoded ones otherwise."""

    def __init__(self, video: cv2.VideoCapture) -> None:
        self._video = video
        # Read back: cameras without Motion JPEG accept the wish and ignore it.
        motion_jpeg = int(video.get(cv2.CAP_PROP_FOURCC)) == cv2.VideoWriter.fourcc(*"MJPG")
        self._raw = motion_jpeg and video.set(cv2.CAP_PROP_CONVERT_RGB, 0)

    def grab(self) -> bool:
        return self._video.grab()

    def jpeg(self) -> bytes | None:
        return _retrieve(self._video, encode=not self._raw)

    def release(self) -> None:
        self._video.release()


def open_video(path: Path) -> Capture:
    """Open a video file as a camera that plays it again and again, at its own pace; raises HardwareError."""
    video = cv2.VideoCapture(str(path))
    if not video.isOpened():
        raise HardwareError(f"{path} is no video that can be played")
    return _Video(video)


class _Video:
    """An open `cv2.VideoCapture` of a file."""

    def __init__(self, video: cv2.VideoCapture) -> None:
        self._video = video
        self._period_s = 1 / (video.get(cv2.CAP_PROP_FPS) or DEFAULT_FPS)
        self._due = time.monotonic()

    def grab(self) -> bool:
        now = time.monotonic()
        self._due = max(self._due + self._period_s, now)
        time.sleep(self._due - now)
        return self._video.grab() or (self._video.set(cv2.CAP_PROP_POS_FRAMES, 0) and self._video.grab())

    def jpeg(self) -> bytes | None:
        return _retrieve(self._video, encode=True)

    def release(self) -> None:
        self._video.release()


def _retrieve(video: cv2.VideoCapture, *, encode: bool) -> bytes | None:
    done, image = video.retrieve()
    if not done:
        return None
    if not encode:
        return image.tobytes()
    done, encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return encoded.tobytes() if done else None
