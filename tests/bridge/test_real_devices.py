"""The bridge on a kernel's own devices. Skipped where there are none.

Made for a virtual machine with gpio-sim (54 lines, as on a Pi), with vhci_hcd for simulated USB webcams, and with vivid
for a camera that has no JPEGs; a Pi with a webcam does for the pictures. docs/hardware_tests.md says how to run it.
"""

from __future__ import annotations

import asyncio
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
import signal
import socket
import sys
import time

import aiohttp
import cv2
import numpy as np
import pytest

from pi_bridge.camera import Webcam, webcams
from pi_bridge.config import BuzzerConfig, BuzzerKind, CameraConfig, Config
from pi_bridge.control import ask
from pi_bridge.errors import HardwareError
from pi_bridge.model import CameraState, Frame, Output
from pi_bridge.panel import GpioPanel

from .home import Home, Line
from .usb_webcam import CONTROLLER, UsbWebcam

SIMULATED_LINES = Path("/sys/devices/platform/gpio-sim.0/gpiochip0")
PINS = {Output.GREEN: 17, Output.RED: 27, Output.BUZZER: 22}
BUTTON = 23
PRESSES = 20
FRAMES = 30
SIZE = (640, 480)
CAMERA = CameraConfig(width=SIZE[0], height=SIZE[1])

USUAL = Config()

needs_gpio = pytest.mark.skipif(not SIMULATED_LINES.exists(), reason="there is no gpio-sim")


def pull(pin: int, level: str) -> None:
    """Let a simulated line be pulled `up` or `down` from outside."""
    (SIMULATED_LINES / f"sim_gpio{pin}" / "pull").write_text(f"pull-{level}")


def level(pin: int) -> int:
    return int((SIMULATED_LINES / f"sim_gpio{pin}" / "value").read_text())


async def until_level(pin: int, wanted: int) -> None:
    while level(pin) != wanted:  # noqa: ASYNC110 - a line tells nobody
        await asyncio.sleep(0)


@asynccontextmanager
async def panel_on_pins(presses: asyncio.Queue[int], config: Config = USUAL) -> AsyncIterator[GpioPanel]:
    panel = GpioPanel(config)
    panel.start(presses.put_nowait)
    try:
        yield panel
    finally:
        panel.close()


@needs_gpio
async def test_every_press_is_seen_once() -> None:
    presses: asyncio.Queue[int] = asyncio.Queue()
    async with panel_on_pins(presses):
        for _ in range(PRESSES):
            pressed_ns = time.monotonic_ns()
            for contact in ("down", "up", "down"):
                pull(BUTTON, contact)
            assert await presses.get() >= pressed_ns
            pull(BUTTON, "up")
            await asyncio.sleep(1)  # well beyond the lockout: the next press is another one
    assert presses.empty()


@needs_gpio
async def test_outputs_drive_the_lines_and_end_dark() -> None:
    async with panel_on_pins(asyncio.Queue()) as panel:
        for output, pin in PINS.items():
            panel.write(output, True)
            assert level(pin) == 1
            panel.write(output, False)
            assert level(pin) == 0
            panel.write(output, True)
    assert [level(pin) for pin in PINS.values()] == [0, 0, 0]


@needs_gpio
async def test_a_passive_buzzer_swings_and_ends_dark() -> None:
    config = Config(buzzer=BuzzerConfig(kind=BuzzerKind.PASSIVE))
    async with panel_on_pins(asyncio.Queue(), config) as panel:
        for hz in (440.0, 2093.0, None):
            panel.write(Output.BUZZER, True, hz)
            for wanted in (1, 0, 1):
                await until_level(PINS[Output.BUZZER], wanted)
            panel.write(Output.BUZZER, False)
            assert level(PINS[Output.BUZZER]) == 0
        panel.write(Output.BUZZER, True)
    assert level(PINS[Output.BUZZER]) == 0


@needs_gpio
async def test_a_pin_that_another_program_holds_is_named() -> None:
    claim = "lgpio.gpio_claim_output(lgpio.gpiochip_open(0), 17)"
    hold = f"import lgpio, time; {claim}; print('held', flush=True); time.sleep(600)"
    other = await asyncio.create_subprocess_exec(sys.executable, "-c", hold, stdout=PIPE)
    assert other.stdout is not None
    assert await other.stdout.readline() == b"held\n"
    try:
        with pytest.raises(HardwareError, match=r"green on GPIO17 cannot be used: .*busy.*another program"):
            GpioPanel(Config()).start(print)
    finally:
        other.kill()
        await other.wait()


def drawn(number: int) -> bytes:
    image = np.full((SIZE[1], SIZE[0], 3), 20 * number, np.uint8)
    cv2.putText(image, str(number), (200, 300), cv2.FONT_HERSHEY_SIMPLEX, 8, (255, 255, 255), 20)
    return cv2.imencode(".jpg", image)[1].tobytes()


FILM = [drawn(number) for number in range(1, 9)]


@contextmanager
def plugged_in(film: Sequence[bytes] = FILM, port: int = 0) -> Iterator[UsbWebcam]:
    """Plug in a webcam that plays `film`: `frozen`, `corrupt`, `unplug()` and `plug(port)` are its accidents."""
    if not CONTROLLER.exists():
        pytest.skip("there is no vhci_hcd")
    others = len(webcams())
    camera = UsbWebcam(film, SIZE, fps=15, serial=f"SIM{port}")
    camera.plug(port)
    try:
        yield camera
    finally:
        with suppress(OSError):  # it may be unplugged already
            camera.unplug()
        while len(webcams()) > others:
            time.sleep(0.05)


class Watcher:
    """A webcam that runs, and what the loop is told."""

    def __init__(self, config: CameraConfig) -> None:
        self.webcam = Webcam(config)
        self.frames: asyncio.Queue[Frame] = asyncio.Queue()
        self._changed = asyncio.Event()

    @classmethod
    @asynccontextmanager
    async def watching(cls, config: CameraConfig = CAMERA) -> AsyncIterator[Watcher]:
        watcher = cls(config)
        running = asyncio.ensure_future(watcher.webcam.run(watcher.frames.put_nowait, watcher._changed.set))
        try:
            yield watcher
        finally:
            running.cancel()
            await asyncio.wait([running])

    async def until(self, state: CameraState) -> None:
        while self.webcam.state is not state:
            await self._changed.wait()
            self._changed.clear()

    async def next(self) -> Frame:
        """Return a frame taken from now on."""
        now_ns = time.monotonic_ns()
        while (frame := await self.frames.get()).taken_ns < now_ns:
            pass
        return frame


async def test_a_webcam_gives_whole_pictures(request: pytest.FixtureRequest) -> None:
    if not webcams():
        request.getfixturevalue("camera")
    async with Watcher.watching() as watcher:
        got = [await watcher.frames.get() for _ in range(FRAMES)]
        assert watcher.webcam.state is CameraState.OK
    moments = [frame.taken_ns for frame in got]
    assert moments == sorted(moments)
    image = cv2.imdecode(np.frombuffer(got[-1].jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    assert image.shape == (SIZE[1], SIZE[0], 3)


@pytest.fixture
def camera() -> Iterator[UsbWebcam]:
    with plugged_in() as camera:
        yield camera


async def test_motion_jpeg_comes_through_byte_for_byte(camera: UsbWebcam) -> None:
    async with Watcher.watching() as watcher:
        assert all([(await watcher.frames.get()).jpeg in FILM for _ in range(FRAMES)])


async def test_a_frozen_camera_is_stalled_until_it_moves_again(camera: UsbWebcam) -> None:
    async with Watcher.watching() as watcher:
        await watcher.next()
        camera.frozen = True
        await watcher.until(CameraState.STALLED)
        camera.frozen = False
        assert (await watcher.next()).jpeg in FILM
        assert watcher.webcam.state is CameraState.OK


async def test_truncated_pictures_are_left_out(camera: UsbWebcam) -> None:
    async with Watcher.watching() as watcher:
        await watcher.next()
        camera.corrupt = True
        await watcher.until(CameraState.STALLED)
        while not watcher.frames.empty():
            assert watcher.frames.get_nowait().jpeg in FILM


async def test_an_unplugged_camera_is_absent_until_it_is_plugged_in_again(camera: UsbWebcam) -> None:
    async with Watcher.watching() as watcher:
        for _ in range(2):
            await watcher.next()
            camera.unplug()
            await watcher.until(CameraState.ABSENT)
            camera.plug(0)
            assert (await watcher.next()).jpeg in FILM


async def test_of_two_cameras_it_keeps_to_the_first() -> None:
    garden = [drawn(11)]
    with plugged_in(port=1) as front:
        async with Watcher.watching() as watcher:
            await watcher.next()
            with plugged_in(garden, port=0):
                while len(webcams()) < 2:  # noqa: ASYNC110 - the kernel takes its time
                    await asyncio.sleep(0.1)
                async with Watcher.watching() as newcomer:  # who chooses only now takes the other
                    assert (await newcomer.next()).jpeg in garden
                front.frozen = True  # so that it is opened again
                await watcher.until(CameraState.STALLED)
                front.frozen = False
                assert (await watcher.next()).jpeg in FILM


@pytest.fixture
def vivid() -> Path:
    """The kernel's test camera: YUYV and the like, but no JPEGs."""
    for node in sorted(Path("/sys/class/video4linux").glob("video*")):
        if "vivid" in (node / "name").read_text():
            return Path("/dev") / node.name
    pytest.skip("there is no vivid")


async def test_a_camera_without_jpegs_gives_jpegs(vivid: Path) -> None:
    config = CameraConfig(device=str(vivid), width=SIZE[0], height=SIZE[1])
    async with Watcher.watching(config) as watcher:
        image = cv2.imdecode(np.frombuffer((await watcher.frames.get()).jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    assert image.shape == (SIZE[1], SIZE[0], 3)
    assert image.std() > 10  # its test picture has bars


@dataclass
class Daemon:
    """The command on the kernel's devices; where it is to be reached."""

    process: Process
    config: Path
    state: Path
    port: int
    fingerprint: str = ""
    host: str = "127.0.0.1"

    def pairing_code(self) -> str:
        raise NotImplementedError  # the owner's command has it

    @asynccontextmanager
    async def home(self) -> AsyncIterator[Line]:
        """Pair with it, and listen."""
        code = (await ask(self.state, "POST", "pair"))["code"]
        async with aiohttp.ClientSession() as session:
            url = f"https://{self.host}:{self.port}/v1/info"
            async with session.get(url, ssl=False) as response:
                self.fingerprint = (await response.json())["fingerprint"]
            home = Home(session, self)
            await home.pair(code=code)
            async with home.listen() as line:
                yield line


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[Daemon]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config, state = tmp_path / "bridge.toml", tmp_path / "state"
    config.write_text(
        f'[server]\nhost = "127.0.0.1"\nport = {port}\n[buzzer]\nring_ms = 10000\n[faces]\nenabled = false\n'
        f"[camera]\nwidth = {SIZE[0]}\nheight = {SIZE[1]}\n"
    )
    options = ("--config", str(config), "--state", str(state))
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "pi_bridge", "run", *options)
    daemon = Daemon(process, config, state, port)
    while not (state / "control.sock").exists():
        assert process.returncode is None
        await asyncio.sleep(0.1)
    yield daemon
    if process.returncode is None:
        process.terminate()
        await process.wait()


@needs_gpio
async def test_a_press_rings_over_https_and_home_answers_with_the_lights(
    camera: UsbWebcam, daemon: Daemon
) -> None:
    async with daemon.home() as line:
        state = line.hello["state"]
        while state["camera"] != CameraState.OK:
            state = (await line.next("state"))["state"]
        pull(BUTTON, "down")
        ring = await line.next("ring")
        assert level(PINS[Output.BUZZER]) == 1
        pull(BUTTON, "up")
        assert ring["age_ms"] < 1000
        assert (await line.next("picture"))["seq"] == ring["seq"]
        await line.send(type="do", id=1, output="green", pattern="on", for_ms=500)
        assert (await line.answer(1))["type"] == "done"
        assert level(PINS[Output.GREEN]) == 1
        await until_level(PINS[Output.GREEN], 0)


@needs_gpio
async def test_what_a_killed_daemon_left_on_is_switched_off(daemon: Daemon) -> None:
    async with daemon.home() as line:
        pull(BUTTON, "down")
        await line.next("ring")
        pull(BUTTON, "up")
    buzzer = PINS[Output.BUZZER]
    assert level(buzzer) == 1
    pull(buzzer, "up")  # as a Pi's kernel: what was on stays on when its program is gone
    try:
        daemon.process.send_signal(signal.SIGKILL)
        await daemon.process.wait()
        assert level(buzzer) == 1
        off = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "pi_bridge", "outputs-off", "--config", str(daemon.config))
        )
        await until_level(buzzer, 0)
        assert await off.wait() == 0
    finally:
        pull(buzzer, "down")
