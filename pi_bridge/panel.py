"""Button, buzzer and LEDs on the Pi's pins. The only module that knows gpiozero."""

from __future__ import annotations

import asyncio
import atexit
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
import os
import shutil
import sys
import tempfile
import time
from typing import TYPE_CHECKING, Final

from gpiozero import DigitalInputDevice, DigitalOutputDevice, GPIOZeroError, PinUnknownPi, TonalBuzzer

from .config import BuzzerKind, Config
from .errors import HardwareError
from .model import Output

if TYPE_CHECKING:
    from gpiozero import Factory

# The kernel keeps 16 edges of a pin until somebody takes them and drops the rest: the level tells what was missed.
LOOK_S: Final = 1.0

BEEP_HZ: Final = 2300.0  # of a passive buzzer that is to beep: small ones are loudest from 2 to 4 kHz

_REMEDIES: Final = (
    ("busy", "another program holds the pin: stop it, or choose another pin"),
    ("can not open gpiochip", "there is no /dev/gpiochip*, or this user is not in the group gpio"),
    ("ermission", "this user is not in the group gpio"),
    ("pull", "this pin has a resistor of its own: choose another pin, or the other pull"),
)


class GpioPanel:
    """The panel at the door; implements `ports.Panel`.

    A contact bounces when it closes and when it opens. So a press is an edge after `lockout_ms` of quiet: the first
    edge of a press counts at once, and what follows it, or a release, does not. With `hold_ms` a press counts, with the
    moment of its first edge, once the contact is found closed so long after an edge: interference is over by then.
    """

    def __init__(self, config: Config, pin_factory: Factory | None = None) -> None:
        """Use the Pi's own pins, or those of `pin_factory`; nothing is touched before `start`."""
        self._config = config
        self._factory = pin_factory
        self._button: DigitalInputDevice | None = None
        self._outputs: dict[Output, DigitalOutputDevice | TonalBuzzer] = {}
        self._last_edge_ns: int | None = None
        self._first_edge_ns: int | None = None  # of a press that does not count yet
        self._pressed = False

    @property
    def pressed(self) -> bool:
        """Whether the button is down, as far as the edges and the last look tell."""
        return self._pressed

    def start(self, on_press: Callable[[int], None]) -> None:
        """Claim the pins; `on_press` is called in the running event loop with the press's `time.monotonic_ns`.

        A button that is held already counts as a press. Raises HardwareError, with all pins released.
        """
        loop = asyncio.get_running_loop()

        def edge(pressed: bool) -> None:
            # Runs in lgpio's only thread: an exception here would end all events for good.
            now_ns = time.monotonic_ns()
            with suppress(RuntimeError):  # the loop is closed: nobody is left to tell
                loop.call_soon_threadsafe(self._edge, now_ns, pressed, on_press)

        def look() -> None:
            if self._button is None:  # closed
                return
            if self._button.is_active != self._pressed:
                self._edge(time.monotonic_ns(), not self._pressed, on_press)
            loop.call_later(LOOK_S, look)

        try:
            self._claim_outputs()
            self._claim_button(edge)
        except HardwareError:
            self.close()
            raise
        loop.call_soon(look)

    def switch_off(self) -> None:
        """Switch off what a daemon that died has left on. Raises HardwareError, with all pins released."""
        try:
            self._claim_outputs()
        finally:
            self.close()

    def write(self, output: Output, lit: bool, hz: float | None = None) -> None:
        """Light or sound an output, or end it; nothing before `start` and after `close`."""
        match self._outputs.get(output):
            case DigitalOutputDevice() as device:
                device.value = lit
            case TonalBuzzer() as buzzer if lit:
                buzzer.play(hz or BEEP_HZ)
            case TonalBuzzer() as buzzer:
                _silence(buzzer)

    def close(self) -> None:
        """Switch everything off and release the pins."""
        if self._button is not None:
            self._button.close()
            self._button = None
        while self._outputs:
            _, device = self._outputs.popitem()
            with suppress(*_gpio_errors()):  # one that fails must not leave the others on
                _silence(device) if isinstance(device, TonalBuzzer) else device.off()
                device.close()
        if self._factory is not None:
            self._factory.close()

    def _claim_outputs(self) -> None:
        leds = self._config.leds
        pins = {Output.GREEN: leds.green, Output.RED: leds.red, Output.BUZZER: self._config.buzzer.pin}
        for output, pin in pins.items():
            with _naming(output, pin):
                self._outputs[output] = self._claim_output(output, pin)

    def _claim_output(self, output: Output, pin: int) -> DigitalOutputDevice | TonalBuzzer:
        if output is Output.BUZZER and self._config.buzzer.kind is BuzzerKind.PASSIVE:
            return TonalBuzzer(pin, mid_tone="A5", octaves=3, pin_factory=self._pins)  # 110 Hz to 7 kHz
        return DigitalOutputDevice(pin, pin_factory=self._pins)

    def _claim_button(self, edge: Callable[[bool], None]) -> None:
        config = self._config.button
        with _naming("button", config.pin):
            # No bounce_time: gpiozero would report a press that much later, and a shorter one never.
            self._button = DigitalInputDevice(config.pin, pull_up=config.pull == "up", pin_factory=self._pins)
            self._button.when_activated = lambda: edge(True)
            self._button.when_deactivated = lambda: edge(False)

    @property
    def _pins(self) -> Factory:
        if self._factory is None:
            self._factory = _pi_pins()
        return self._factory

    def _edge(self, at_ns: int, pressed: bool, on_press: Callable[[int], None]) -> None:
        self._pressed = pressed
        last_ns, self._last_edge_ns = self._last_edge_ns, at_ns
        quiet = last_ns is None or at_ns - last_ns >= self._config.button.lockout_ms * 1_000_000
        if pressed and quiet:
            self._first_edge_ns = at_ns
        if pressed and self._first_edge_ns is not None:
            if hold_ms := self._config.button.hold_ms:
                asyncio.get_running_loop().call_later(hold_ms / 1000, self._held, on_press)
            else:
                self._held(on_press)

    def _held(self, on_press: Callable[[int], None]) -> None:
        """Let a press count, if it is one and has not counted before."""
        if self._pressed and self._first_edge_ns is not None and self._button is not None:
            first_ns, self._first_edge_ns = self._first_edge_ns, None
            on_press(first_ns)


def _silence(buzzer: TonalBuzzer) -> None:
    """End a tone, and the current too: lgpio leaves the pin as it was in the middle of the last wave."""
    buzzer.stop()
    buzzer.pwm_device.pin.state = 0


def _pi_pins() -> Factory:
    """Return the pins of this Pi through lgpio and nothing else: gpiozero would fall back to what has no edges.

    lgpio puts a pipe into the working directory, or into LG_WD and makes that the working directory.
    """
    if "LG_WD" not in os.environ:
        os.environ["LG_WD"] = folder = tempfile.mkdtemp(prefix="lgpio-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    try:
        from gpiozero.pins.lgpio import LGPIOFactory  # noqa: PLC0415 - there is no lgpio beside a Pi
    except (ImportError, AttributeError) as error:  # AttributeError: the empty lgpio 0.0.0.2 of PyPI
        raise HardwareError("lgpio is not installed: run packaging/install.sh again") from error
    except OSError as error:
        raise HardwareError(f"lgpio cannot use the folder {os.environ['LG_WD']} (LG_WD): {error}") from error
    try:
        return LGPIOFactory()
    except PinUnknownPi as error:
        raise HardwareError("this is no Raspberry Pi: use the simulator") from error
    except _gpio_errors() as error:
        raise HardwareError(f"the Pi's pins cannot be opened: {error}{_remedy(str(error))}") from error


@contextmanager
def _naming(part: str, pin: int) -> Iterator[None]:
    """Turn what gpiozero and lgpio raise into an error that says which part of the panel it is."""
    try:
        yield
    except _gpio_errors() as error:
        raise HardwareError(f"{part} on GPIO{pin} cannot be used: {error}{_remedy(str(error))}") from error


def _gpio_errors() -> tuple[type[Exception], ...]:
    """Return what gpiozero and, where it is loaded, lgpio raise."""
    lgpio = sys.modules.get("lgpio")
    return (GPIOZeroError, OSError, *([lgpio.error] if lgpio else []))


def _remedy(message: str) -> str:
    return next((f"; {remedy}" for sign, remedy in _REMEDIES if sign in message), "")
