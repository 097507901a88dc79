from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
import subprocess
import sys
import threading
import time

from gpiozero.pins.mock import MockFactory, MockPin, MockPWMPin
import pytest

from pi_bridge import panel as panel_module
from pi_bridge.config import ButtonConfig, BuzzerConfig, BuzzerKind, Config
from pi_bridge.errors import HardwareError
from pi_bridge.model import Output
from pi_bridge.panel import BEEP_HZ, GpioPanel

CONFIG = Config(button=ButtonConfig(lockout_ms=200))
LOCKOUT_S = 0.2


class HeldPin(MockPin):  # type: ignore[misc] # gpiozero comes without types
    """A pin that somebody holds low, whatever its resistor pulls."""

    def _set_pull(self, value: str) -> None:
        super()._set_pull(value)
        self.drive_low()


class DeafPin(MockPin):  # type: ignore[misc]
    """A pin whose edges get lost, as when the kernel's queue is full."""

    def _call_when_changed(self, ticks: int | None = None, state: int | None = None) -> None:
        pass


class Door:
    """The real panel on mock pins, with its presses."""

    def __init__(self, config: Config = CONFIG, pin_class: type[MockPin] = MockPin) -> None:
        self.pins = MockFactory(pin_class=pin_class)
        self.config = config
        self.panel = GpioPanel(config, self.pins)
        self.presses: asyncio.Queue[int] = asyncio.Queue()

    @property
    def button(self) -> MockPin:
        return self.pins.pin(self.config.button.pin)

    def start(self) -> None:
        self.panel.start(self.presses.put_nowait)

    def press(self) -> None:
        self.button.drive_low()

    def release(self) -> None:
        self.button.drive_high()

    async def quiet(self) -> int:
        """Let the lockout pass; return how many presses counted until now."""
        await asyncio.sleep(LOCKOUT_S)
        return self.presses.qsize()


@pytest.fixture
def door() -> Iterator[Door]:
    door = Door()
    yield door
    door.panel.close()


@pytest.fixture
def long_wire() -> Iterator[Door]:
    door = Door(replace(CONFIG, button=replace(CONFIG.button, hold_ms=20)))
    yield door
    door.panel.close()


async def test_a_press_is_told_in_the_loop_with_its_moment(door: Door) -> None:
    door.start()
    before = time.monotonic_ns()
    threading.Thread(target=door.press).start()  # as lgpio calls: from a thread of its own
    pressed_ns = await door.presses.get()
    assert before <= pressed_ns <= time.monotonic_ns()


async def test_a_short_tap_counts(door: Door) -> None:
    door.start()
    door.press()
    door.release()
    assert await door.presses.get()


async def test_bouncing_contacts_ring_once(door: Door) -> None:
    door.start()
    for _ in range(20):
        door.press()
        door.release()
    assert await door.quiet() == 1


async def test_bouncing_at_the_release_of_a_long_press_does_not_ring_again(door: Door) -> None:
    door.start()
    door.press()
    assert await door.quiet() == 1
    for _ in range(10):
        door.release()
        door.press()
    door.release()
    assert await door.quiet() == 1


async def test_the_next_press_after_the_lockout_rings_again(door: Door) -> None:
    door.start()
    for rings in (1, 2, 3):
        door.press()
        door.release()
        assert await door.quiet() == rings


async def test_ten_presses_in_a_second_ring_once(door: Door) -> None:
    door.start()
    for _ in range(10):
        door.press()
        await asyncio.sleep(0.05)
        door.release()
        await asyncio.sleep(0.05)
    assert await door.quiet() == 1
    door.press()
    assert await door.quiet() == 2


async def test_what_a_lamp_does_to_a_long_wire_is_no_press(long_wire: Door) -> None:
    long_wire.start()
    for _ in range(5):
        long_wire.press()
        long_wire.release()
        await asyncio.sleep(0.005)
    assert await long_wire.quiet() == 0
    long_wire.press()
    assert await long_wire.quiet() == 1
    long_wire.release()
    assert await long_wire.quiet() == 1


async def test_a_bouncing_press_on_a_long_wire_counts_once_with_its_first_moment(long_wire: Door) -> None:
    long_wire.start()
    long_wire.press()
    first_ns = time.monotonic_ns()
    for _ in range(10):
        long_wire.release()
        await asyncio.sleep(0.004)
        long_wire.press()
    assert await long_wire.presses.get() <= first_ns
    assert await long_wire.quiet() == 0


async def test_a_press_on_a_long_wire_that_ends_with_the_daemon_is_swallowed(long_wire: Door) -> None:
    long_wire.start()
    long_wire.press()
    await asyncio.sleep(0)
    long_wire.panel.close()
    assert await long_wire.quiet() == 0


async def test_a_button_that_is_held_rings_once(monkeypatch: pytest.MonkeyPatch, door: Door) -> None:
    monkeypatch.setattr(panel_module, "LOOK_S", 0.01)  # many a look at the level, as in a minute
    door.start()
    door.press()
    assert await door.quiet() == 1
    assert door.panel.pressed
    assert await door.quiet() == 1
    door.release()
    assert await door.quiet() == 1
    assert not door.panel.pressed


async def test_a_button_held_at_the_start_rings_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(panel_module, "LOOK_S", 0.01)
    door = Door(pin_class=HeldPin)
    door.start()
    assert await door.quiet() == 1
    assert await door.quiet() == 1
    door.release()
    door.press()
    assert await door.quiet() == 1  # the contact bounced
    door.release()
    await door.quiet()
    door.press()
    assert await door.quiet() == 2
    door.panel.close()


async def test_a_press_whose_edges_got_lost_still_rings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(panel_module, "LOOK_S", 0.01)
    door = Door(pin_class=DeafPin)
    door.start()
    for rings in (1, 2):
        door.press()
        assert await door.presses.get()
        assert await door.quiet() == 0, rings
        door.release()
        while door.panel.pressed:  # noqa: ASYNC110 - nothing tells of a release
            await asyncio.sleep(0.01)
        await door.quiet()
    door.panel.close()


async def test_after_the_end_nobody_looks_at_the_button(monkeypatch: pytest.MonkeyPatch, door: Door) -> None:
    monkeypatch.setattr(panel_module, "LOOK_S", 0.01)
    door.start()
    await asyncio.sleep(0)
    door.panel.close()
    door.press()
    assert await door.quiet() == 0


async def test_a_button_to_3_3_volts() -> None:
    door = Door(replace(CONFIG, button=ButtonConfig(pull="down")))
    door.start()
    door.button.drive_high()
    assert await door.presses.get()
    door.panel.close()


async def test_outputs_drive_their_pins(door: Door) -> None:
    door.start()
    numbers = {Output.GREEN: 17, Output.RED: 27, Output.BUZZER: 22}
    for lit in (True, False):
        for output, number in numbers.items():
            door.panel.write(output, lit)
            assert bool(door.pins.pin(number).state) is lit


async def test_a_passive_buzzer_sounds_at_the_pitch_that_is_asked_for() -> None:
    door = Door(replace(CONFIG, buzzer=BuzzerConfig(kind=BuzzerKind.PASSIVE)), MockPWMPin)
    door.start()
    pin = door.pins.pin(22)
    for hz, heard in ((440.0, 440.0), (None, BEEP_HZ), (1975.5, 1975.5)):
        door.panel.write(Output.BUZZER, True, hz)
        assert (pin.frequency, pin.state) == (pytest.approx(heard), 0.5)
        door.panel.write(Output.BUZZER, False)
        assert (pin.frequency, pin.state) == (None, 0)
    door.panel.write(Output.BUZZER, True)
    door.panel.close()
    assert (pin.frequency, pin.state, pin.function) == (None, 0, "input")


async def test_a_passive_buzzer_is_left_without_current() -> None:
    class PinInTheMiddleOfAWave(MockPWMPin):  # type: ignore[misc]
        """A pin that is left as it is when its PWM ends, as lgpio does."""

        def _set_frequency(self, value: float | None) -> None:
            lit = self.state
            super()._set_frequency(value)
            self._change_state(lit)

    door = Door(replace(CONFIG, buzzer=BuzzerConfig(kind=BuzzerKind.PASSIVE)), PinInTheMiddleOfAWave)
    door.start()
    pin = door.pins.pin(22)
    door.panel.write(Output.BUZZER, True)
    assert pin.state
    door.panel.write(Output.BUZZER, False)
    assert not pin.state
    door.panel.close()


async def test_close_switches_everything_off_and_releases_the_pins(door: Door) -> None:
    door.start()
    pins = [door.pins.pin(number) for number in (17, 27, 22)]
    for output in Output:
        door.panel.write(output, True)
    door.panel.close()
    assert not any(pin.state for pin in pins)
    assert all(pin.function == "input" for pin in pins)
    door.panel.write(Output.GREEN, True)  # an output's timer may come later
    door.panel.close()


def test_what_a_dead_daemon_left_on_is_switched_off() -> None:
    class LitPin(MockPin):  # type: ignore[misc]
        """A pin that the kernel left on."""

        def __init__(self, factory: MockFactory, info: object) -> None:
            super().__init__(factory, info)
            self._function, self._state = "output", True

    door = Door(pin_class=LitPin)
    pins = [door.pins.pin(number) for number in (17, 27, 22)]
    assert all(pin.state for pin in pins)
    door.panel.switch_off()
    assert not any(pin.state for pin in pins)
    assert door.button.state  # not its business


def test_a_press_while_the_daemon_ends_is_swallowed() -> None:
    door = Door()

    async def start() -> None:
        door.start()

    asyncio.run(start())
    door.press()  # the loop is closed; an exception here would end all events of a real pin
    door.panel.close()


async def test_a_pin_that_cannot_be_used_is_named_with_a_remedy() -> None:
    door = Door(replace(CONFIG, button=ButtonConfig(pin=2, pull="down")))  # GPIO2 has a resistor to 3.3 V
    with pytest.raises(HardwareError, match=r"button on GPIO2 cannot be used: .*; .*choose another pin"):
        door.start()
    other = Door()
    other.start()  # nothing of the failed one is left
    other.panel.close()


def test_without_a_pi_it_says_so() -> None:
    """In a process of its own: importing lgpio changes the working directory."""
    script = """
import asyncio
from pi_bridge.config import Config
from pi_bridge.errors import HardwareError
from pi_bridge.panel import GpioPanel
async def main():
    try:
        GpioPanel(Config()).start(print)
    except HardwareError as error:
        print("HardwareError:", error)
asyncio.run(main())
"""
    if Path("/proc/device-tree/system/linux,revision").exists():
        pytest.skip("this is a Pi")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("HardwareError:")
    assert "lgpio" in done.stdout or "Raspberry Pi" in done.stdout
