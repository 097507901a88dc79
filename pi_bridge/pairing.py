"""Pairing by pressing the doorbell itself: that press lets in one client, and does not ring.

The button is on the street. So a press pairs only while nobody is paired, or within two minutes of the owner's word on
the Pi, and only when exactly one client asks: two at a time are both refused, as one of them is not the owner's, and so
is everybody in the two minutes after that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
import time
from typing import Final

from .errors import Refused

WINDOW_S: Final = 120.0  # time to walk from the Pi to Home Assistant and to the door
LOOK_S: Final = 0.5  # how soon the LEDs go out when the client has gone
WAIT_S: Final = 25.0  # a client asks again after it: many things on the way give up after half a minute


@dataclass(slots=True)
class _Request:
    """A client that waits for the press."""

    is_here: Callable[[], bool]
    pressed: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class PressPairing:
    """Decides which press pairs. No sockets; the clock is passed in."""

    def __init__(
        self,
        nobody_is_paired: Callable[[], bool],
        invite: Callable[[bool], None],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Let the first client in without the owner's word, as long as `nobody_is_paired`.

        `invite` is told when somebody begins to wait for the press, and when nobody does any more.
        """
        self._nobody_is_paired = nobody_is_paired
        self._invite = invite
        self._clock = clock
        self._open_until = clock()
        self._shut_until = clock()
        self._request: _Request | None = None

    @property
    def possible(self) -> bool:
        """Whether a press can pair now."""
        now = self._clock()
        return now < self._open_until or (now >= self._shut_until and self._nobody_is_paired())

    def open(self) -> None:
        """Let one client in within the next WINDOW_S."""
        self._open_until = self._clock() + WINDOW_S

    async def wait(self, is_here: Callable[[], bool]) -> None:
        """Wait for the press that lets a client in; `is_here` tells whether that client still waits.

        Raises Refused (403): `pairing_closed`, `contested` when somebody else asks too, `not_pressed` after WAIT_S.
        """
        if not self.possible:
            raise Refused(403, "pairing_closed", "Pairing by pressing the doorbell is not open.")
        before = self._request
        if before is not None:
            before.pressed.set_exception(_contested())
            if before.is_here():
                self._shut()
                raise _contested()
        request = _Request(is_here)
        self._await_press_of(request)
        end = self._clock() + WAIT_S
        try:
            while not request.pressed.done() and is_here() and self._clock() < end:
                await asyncio.wait([request.pressed], timeout=LOOK_S)
            if not request.pressed.done():
                raise Refused(403, "not_pressed", "Nobody has pressed the doorbell yet; ask again.")
            request.pressed.result()
        finally:
            if self._request is request:
                self._await_press_of(None)

    def pressed(self) -> bool:
        """Take a press; return whether it has let somebody in, and so must not ring."""
        request = self._request
        if request is None or not request.is_here() or not self.possible:
            return False
        self._shut()
        request.pressed.set_result(None)
        return True

    def _shut(self) -> None:
        """Let nobody in for a while, unless the owner says so: who has lost a race must not win the next one."""
        self._await_press_of(None)
        self._open_until = self._clock()
        self._shut_until = self._clock() + WINDOW_S

    def _await_press_of(self, request: _Request | None) -> None:
        if (request is None) is not (self._request is None):
            self._invite(request is not None)
        self._request = request


def _contested() -> Refused:
    return Refused(403, "contested", "Another client asks at the same time: nobody is let in.")
