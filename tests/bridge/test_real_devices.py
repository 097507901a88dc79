"""The panel and the camera on a kernel's own devices. Skipped where there are none; made for a virtual machine that has
gpio-sim (54 lines, as on a Pi) and a USB webcam, and for a Pi with a webcam."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
import sys
import time

import cv2
import numpy as np
import pytest

from pi_bridge.camera import Webcam, webcams
from pi_bridge.config import CameraConfig, Config
from pi_bridge.errors import HardwareError
from pi_bridge.model import CameraState, Frame, Output
from pi_bridge.panel import GpioPanel

SIMULATED_LINES = Path("/sys/devices/platform/gpio-sim.0/gpiochip0")
PRESSES = 20
FRAMES = 30

needs_gpio = pytest.mark.skipif(not SIMULATED_LINES.exists(), reason="there is no gpio-sim")


def pull(pin: int, level: str) -> None:
    """Let a simulated line be pulled `up` or `down` from outside."""
    (SIMULATED_LINES / f"sim_gpio{pin}" / "pull").write_text(f"pull-{level}")


def level(pin: int) -> int:
    return int((SIMULATED_LINES / f"sim_gpio{pin}" / "value").read_text())


@asynccontextmanager
async def panel_on_pins(presses: asyncio.Queue[int]) -> AsyncIterator[GpioPanel]:
    panel = GpioPanel(Config())
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
                pull(23, contact)
            assert await presses.get() >= pressed_ns
            pull(23, "up")
            await asyncio.sleep(1)  # well beyond the lockout: the next press is another one
    assert presses.empty()


@needs_gpio
async def test_outputs_drive_the_lines_and_end_dark() -> None:
    pins = {Output.GREEN: 17, Output.RED: 27, Output.BUZZER: 22}
    async with panel_on_pins(asyncio.Queue()) as panel:
        for output, pin in pins.items():
            panel.write(output, True)
            assert level(pin) == 1
            panel.write(output, False)
            assert level(pin) == 0
            panel.write(output, True)
    assert [level(pin) for pin in pins.values()] == [0, 0, 0]


@needs_gpio
async def test_a_pin_that_another_program_holds_is_named() -> None:
    claim = "lgpio.gpio_claim_output(lgpio.gpiochip_open(0), 17)"
    hold = f"import lgpio, time; {claim}; print('held', flush=True); time.sleep(600)"
    other = await asyncio.create_subprocess_exec(sys.executable, "-c", hold, stdout=asyncio.subprocess.PIPE)
    assert other.stdout is not None
    assert await other.stdout.readline() == b"held\n"
    try:
        with pytest.raises(HardwareError, match=r"green on GPIO17 cannot be used: .*busy.*another program"):
            GpioPanel(Config()).start(print)
    finally:
        other.kill()
        await other.wait()


async def test_a_webcam_gives_whole_pictures() -> None:
    if not webcams():
        pytest.skip("there is no webcam")
    config = CameraConfig(width=640, height=480)
    webcam = Webcam(config)
    frames: asyncio.Queue[Frame] = asyncio.Queue()
    running = asyncio.ensure_future(webcam.run(frames.put_nowait, lambda: None))
    try:
        got = [await frames.get() for _ in range(FRAMES)]
    finally:
        running.cancel()
        await asyncio.wait([running])
    assert webcam.state is CameraState.OK
    moments = [frame.taken_ns for frame in got]
    assert moments == sorted(moments)
    image = cv2.imdecode(np.frombuffer(got[-1].jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    assert image.shape == (config.height, config.width, 3)
