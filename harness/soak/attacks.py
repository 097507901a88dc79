"""Everything that somebody in the same network may try, while visitors ring."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
import json
import os
from pathlib import Path
import random
import secrets
import time
from typing import Any, Final, Self
from uuid import uuid4

import aiohttp
from hypothesis import HealthCheck, Phase, given, seed as hypothesis_seed, settings
from hypothesis.strategies import SearchStrategy

from custom_components.face_doorbell.bridge import BridgeClient
from pi_bridge.clock import SYSTEM_CLOCK
from pi_bridge.control import ask
from pi_bridge.doorman import STRANGER_S, STRANGERS_PER_ADDRESS

from ..kernel import memory_mb, open_files
from . import door, fuzz, listener
from .child import Child, Complaint, Logged
from .wire import PATIENCE_S, Address, Answer, Wire, pair, request, upgrade

CASES: Final = 50_000  # of fuzzing, in the long form
AT_A_TIME: Final = 8  # attackers, each with an address of its own
PRESS_EVERY_S: Final = 0.15
CALM_S: Final = 5.0  # of visitors without attackers, to compare with
STALL_MS: Final = 500.0  # what a visitor would notice
ATTACKERS_NICE: Final = 5  # less CPU than bridge and household have: attackers have machines of their own

SETTLE_S: Final = STRANGER_S + 5  # until the last attacker is sent away
MORE_FILES: Final = 5  # than before the attacks, for the visitor who is just there
MORE_MB: Final = 50.0  # than when everything had been tried once; what has been closed is kept for a minute

# What no answer may tell, whoever asks.
INSIDES: Final = (b"Traceback", b"PRIVATE KEY", b"SQLite format", b"root:x:")

ROUTES: Final = (
    ("GET", "/v1/ws"),
    ("GET", "/v1/rings/1/0.jpg"),
    ("POST", "/v1/faces"),
    ("GET", "/v1/frame.jpg"),
    ("GET", "/v1/stream.mjpg"),
    ("GET", "/v1/health"),
    ("DELETE", "/v1/token"),
)
TRAVERSALS: Final = (
    "/v1/../etc/passwd",
    "/v1/rings/../../../etc/passwd",
    "/v1/rings/1/..%2f..%2fjournal.sqlite",
    "/v1/rings/1/%2e%2e/%2e%2e/certificate.pem",
    "/v1/rings/1/0.jpg/../../../../var/lib/face-doorbell-bridge/certificate.pem",
    "/v1/rings/%00/0.jpg",
    "/v1/rings/1/0.jpg%00.pem",
    "//etc/passwd",
    "/..\\..\\certificate.pem",
    "/certificate.pem",
    "/journal.sqlite",
    "/control.sock",
    "/clients",
    "/pair",
    "http://127.0.0.1/clients",
    "/v1/rings/-1/0.jpg",
)


class AttackError(Exception):
    """The suite itself went wrong."""


@dataclass(slots=True)
class Tally:
    """How often an attack was tried and refused."""

    tried: int = 0
    refused: int = 0


@dataclass(slots=True)
class Report:
    """The result, as it is written to FILE."""

    attacks: dict[str, Tally] = field(default_factory=dict)
    crashes: int = 0
    longest_stall_ms: float = 0.0
    heard_ms: list[float] = field(default_factory=list)
    calm_ms: list[float] = field(default_factory=list)
    memory_mb: float = 0.0
    presses: int = 0
    unheard: int = 0
    broken: list[str] = field(default_factory=list)

    @property
    def tried(self) -> int:
        """All that was tried."""
        return sum(tally.tried for tally in self.attacks.values())

    @property
    def accepted(self) -> int:
        """All that was not refused."""
        return sum(tally.tried - tally.refused for tally in self.attacks.values())

    @property
    def kept(self) -> bool:
        """Whether nobody got in, nothing broke, and the bell never stalled."""
        quiet = not (self.accepted or self.crashes or self.unheard)
        return quiet and self.presses > 0 and self.longest_stall_ms < STALL_MS

    def to_json(self) -> str:
        """Return the report as the text of FILE."""
        attacks = {
            name: {"tried": tally.tried, "refused": tally.refused} for name, tally in self.attacks.items()
        }
        report = {
            "tried": self.tried,
            "accepted": self.accepted,
            "crashes": self.crashes,
            "longest_stall_ms": round(self.longest_stall_ms, 1),
            "attacks": attacks,
        }
        return json.dumps(report, indent=2) + "\n"


class Target:
    """A bridge with one client that is let in and one that was revoked, and visitors who ring all the time."""

    def __init__(self, folder: Path) -> None:
        """Keep everything under `folder`."""
        self.report = Report()
        self.token = ""
        self.revoked = ""
        self._state = folder / "state"
        self._port = 0
        self._up = asyncio.Event()
        self._secrets: list[str] = []
        self._log: list[str] = []
        self._pressed_ns: dict[str, int] = {}
        self._heard_ns: dict[str, int] = {}
        self._sources = 1
        self._visitors = asyncio.Event()
        self._visitors.set()
        clock = door.Clock(str(uuid4()), SYSTEM_CLOCK.uptime_ms())
        self._door = Child(door.main, door.Start(self._state, clock, as_installed=True), self._door_says)

    # What attackers need

    def address(self) -> Address:
        """Return an address from which nobody has tried anything yet."""
        self._sources += 1
        return Address(self._port, f"127.0.{self._sources // 250}.{self._sources % 250 + 1}")

    async def code(self) -> str:
        """Open pairing, as the owner does."""
        code = str((await ask(self._state, "POST", "pair"))["code"])
        self._secrets += code, code.replace("-", "")
        return code

    async def open_press(self) -> None:
        """Let the next press pair, as the owner does."""
        await ask(self._state, "POST", "pair", "press")

    async def forget(self, *names: str) -> None:
        """Revoke clients, as the owner does."""
        for name in names:
            await ask(self._state, "DELETE", "clients", name)

    def count(self, attack: str, answer: Answer, what: object = "") -> None:
        """Note what came of one try; a refusal that tells a secret is none."""
        said = answer.body + repr(answer.headers).encode()
        leaked = any(secret in said for secret in (*INSIDES, *map(str.encode, self._secrets)))
        self.judge(
            attack, answer.refused and not leaked, f"{answer.status}{' leaks' if leaked else ''} {what!r}"
        )
        if answer.crashed:
            self.report.crashes += 1

    def judge(self, attack: str, refused: bool, what: object = "") -> None:
        """Note whether one try was refused."""
        tally = self.report.attacks.setdefault(attack, Tally())
        tally.tried += 1
        tally.refused += refused
        if not refused:
            self.report.broken.append(f"{attack}: {what}"[:300])

    @asynccontextmanager
    async def guest(self, request: bytes) -> AsyncIterator[None]:
        """Let somebody in with this request, and forget him afterwards; raises AttackError."""
        async with Wire(self.address()) as wire:
            answer = await wire.exchange(request)
        if answer.status != 200:
            raise AttackError(f"the guest is not let in: {answer}")
        try:
            yield
        finally:
            await self.forget("Guest")

    # The visitors, and the household that hears them

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Ring all the time within this context, and let a paired client hear it."""
        await self._up.wait()
        self.token = await self._pair("Home")
        self.revoked = await self._pair("Old home")
        await self.forget("Old home")
        async with aiohttp.ClientSession() as session:
            info = await BridgeClient.get_info(session, "127.0.0.1", self._port)
        start = listener.Start(self._port, info.fingerprint, self.token)
        household = Child(listener.main, start, self._household_says)
        ringing = asyncio.create_task(self._ring())
        try:
            await asyncio.sleep(CALM_S)
            began_ns = time.monotonic_ns()
            files = open_files(self._door.pid)
            self.warmed_up()
            yield
            await self._settle(files + MORE_FILES)
        finally:
            ringing.cancel()
            await self._all_heard()
            await household.kill()
            await self._door.kill()
        self._conclude(began_ns)

    def warmed_up(self) -> None:
        """Note what memory the door takes now; from now on it must not take much more."""
        self.report.memory_mb = memory_mb(self._door.pid)

    async def _settle(self, files: int) -> None:
        """Wait until the door has closed what attackers have left open, and note what they have cost it for good."""
        with suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_S):
                while open_files(self._door.pid) > files:  # noqa: ASYNC110 - another process closes them
                    await asyncio.sleep(0.1)
        if (still := open_files(self._door.pid)) > files:
            self._broke(f"{still} files stay open")
        before_mb = self.report.memory_mb
        self.warmed_up()
        if (grown := self.report.memory_mb - before_mb) > MORE_MB:
            self._broke(f"{grown:.0f} MB are not given back")

    def _broke(self, what: str) -> None:
        self.report.crashes += 1
        self.report.broken.append(what[:300])

    def _conclude(self, attacked_since_ns: int) -> None:
        """Note how late the household heard of the visitors, and what the log tells."""
        for ring_id, heard_ns in self._heard_ns.items():
            pressed_ns = self._pressed_ns[ring_id]
            heard = self.report.calm_ms if pressed_ns < attacked_since_ns else self.report.heard_ms
            heard.append((heard_ns - pressed_ns) / 1e6)
        for line in self._log:
            if any(secret in line for secret in self._secrets):
                self._broke(f"a secret in the log: {line}")

    async def _pair(self, name: str) -> str:
        async with Wire(self.address()) as wire:
            token = str(json.loads((await wire.exchange(pair(name, code=await self.code()))).body)["token"])
        self._secrets.append(token)
        return token

    @asynccontextmanager
    async def without_visitors(self) -> AsyncIterator[None]:
        """Let nobody ring for a while."""
        self._visitors.clear()
        try:
            yield
        finally:
            self._visitors.set()

    async def _ring(self) -> None:
        for number in count(1):
            await self._visitors.wait()
            self._door.order(door.Press(number))
            self.report.presses += 1
            await asyncio.sleep(PRESS_EVERY_S)

    async def _all_heard(self) -> None:
        try:
            async with asyncio.timeout(10):
                while self._pressed_ns.keys() - self._heard_ns.keys():  # noqa: ASYNC110 - two processes have a say in it
                    await asyncio.sleep(0.1)
        except TimeoutError:
            self.report.unheard = len(self._pressed_ns.keys() - self._heard_ns.keys())

    def _door_says(self, report: object) -> None:
        match report:
            case door.Started(port):
                self._port = port
                self._up.set()
            case door.Rang(_, ring_id, _, pressed_ns):
                self._pressed_ns[ring_id] = pressed_ns
            case door.Sent(_, after_ms, waited_ms):
                self.report.longest_stall_ms = max(self.report.longest_stall_ms, after_ms - waited_ms)
            case Complaint():
                self._broke(report)
            case Logged():
                self._log.append(report)

    def _household_says(self, report: object) -> None:
        match report:
            case listener.Heard(ring_id, heard_ns):
                self._heard_ns.setdefault(ring_id, heard_ns)
            case listener.CutOff(reason):
                self.report.broken.append(f"the household was cut off: {reason}")


# The attacks. Each counts for itself what it tried.

Attack = Callable[[Target, str, random.Random], Coroutine[Any, Any, None]]


async def _each(target: Target, attack: str, requests: Iterable[bytes]) -> None:
    """Send every request over a connection of its own, from an address of its own."""
    for data in requests:
        async with Wire(target.address()) as wire:
            target.count(attack, await wire.exchange(data), data)


async def no_token(target: Target, attack: str, rng: random.Random) -> None:
    """Ask for everything without a token."""
    await _each(target, attack, (request(method, path) for method, path in ROUTES))


async def wrong_token(target: Target, attack: str, rng: random.Random) -> None:
    """Ask for everything with what is no token."""
    lies = (
        "",
        "x",
        "null",
        "true",
        "0",
        "' OR 1=1 --",
        "\0",
        "é",
        "🔔",
        "A" * 8000,
        secrets.token_urlsafe(32),
    )
    schemes = ("Bearer ", "bearer  ", "Basic ", "Digest ", "Bearer\t", "")
    await _each(
        target,
        attack,
        (
            request(method, path, headers={"Authorization": scheme + lie})
            for method, path in ROUTES[:3]
            for lie in lies
            for scheme in schemes
        ),
    )


async def revoked_token(target: Target, attack: str, rng: random.Random) -> None:
    """Ask for everything with the token of somebody who was let in once."""
    await _each(target, attack, (request(method, path, token=target.revoked) for method, path in ROUTES))


async def half_a_token(target: Target, attack: str, rng: random.Random) -> None:
    """Ask with parts of the right token, or with its hash's look."""
    token = target.token
    parts = (
        token[:-1],
        token[1:],
        token + "A",
        token.swapcase(),
        token[::-1],
        f"{token},{token}",
        f'"{token}"',
    )
    await _each(target, attack, (request("GET", "/v1/health", token=part) for part in parts))


async def token_in_the_url(target: Target, attack: str, rng: random.Random) -> None:
    """Send the right token where no token may stand, as it would stand in logs there."""
    token = target.token
    where = (
        f"?token={token}",
        f"?access_token={token}",
        f"?authorization=Bearer%20{token}",
        f";token={token}",
    )
    await _each(target, attack, (request("GET", f"/v1/health{query}") for query in where))
    await _each(target, attack, [request("GET", "/v1/health", headers={"Cookie": f"token={token}"})])


async def brute_force_token(target: Target, attack: str, rng: random.Random) -> None:
    """Try tokens, many from one address; who has the right one is not shut out by it."""
    source = target.address()
    async with Wire(source) as wire:
        for _ in range(1000):
            token = secrets.token_urlsafe(32)
            target.count(attack, await wire.exchange(request("GET", "/v1/health", token=token)))
    async with Wire(source) as wire:
        answer = await wire.exchange(request("GET", "/v1/health", token=target.token))
        if answer.status != 200:
            target.report.broken.append(f"{attack}: the owner is shut out with {answer.status}")
            target.report.crashes += 1


async def brute_force_code(target: Target, attack: str, rng: random.Random) -> None:
    """Try codes while one is open, from many addresses."""
    for _ in range(5):
        code = await target.code()
        for _ in range(4):
            async with Wire(target.address()) as wire:
                for _ in range(10):
                    guess = "".join(rng.choices("23456789ABCDEFGHJKMNPQRSTVWXYZ", k=8))
                    target.count(attack, await wire.exchange(pair(code=guess)))
        async with Wire(target.address()) as wire:  # by now the code is dead for everybody
            target.count(attack, await wire.exchange(pair(code=code)))


async def pairing_while_closed(target: Target, attack: str, rng: random.Random) -> None:
    """Pair though the owner has opened nothing."""
    await _each(target, attack, [pair(), pair(code=""), pair(code="AAAAAAAA"), pair(code=None)])


async def code_reuse(target: Target, attack: str, rng: random.Random) -> None:
    """Use a code that somebody has used before."""
    code = await target.code()
    async with target.guest(pair("Guest", code=code)):
        tries = (code, code.lower(), code.replace("-", ""), f" {code} ")
        await _each(target, attack, (pair("Thief", code=each) for each in tries))


async def replayed_pairing(target: Target, attack: str, rng: random.Random) -> None:
    """Send the very bytes of a pairing again, by code and by press, while that client is known and afterwards."""
    by_code, by_press = pair("Guest", code=await target.code()), pair("Guest")
    for data in (by_code, by_press):
        if data is by_press:
            await target.open_press()
        async with target.guest(data):
            await _each(target, attack, [data, data])
        await _each(target, attack, [data])


async def pairing_race(target: Target, attack: str, rng: random.Random) -> None:
    """Let two use the same code at the same moment: one is let in."""
    for _ in range(10):
        code = await target.code()
        async with Wire(target.address()) as one, Wire(target.address()) as other:
            for wire in (one, other):
                await wire.exchange(request("GET", "/v1/info"))
            answers = await asyncio.gather(
                one.exchange(pair("One", code=code)), other.exchange(pair("Other", code=code))
            )
        target.judge(attack, sum(answer.status == 200 for answer in answers) == 1, answers)
        await target.forget(
            *(name for name, got in zip(("One", "Other"), answers, strict=True) if got.status == 200)
        )


async def press_race(target: Target, attack: str, rng: random.Random) -> None:
    """Ask beside the owner's client to be let in by a press: nobody is."""
    for _ in range(5):
        await target.open_press()
        async with target.without_visitors(), Wire(target.address()) as one, Wire(target.address()) as other:
            for answer in await asyncio.gather(one.exchange(pair("One")), other.exchange(pair("Other"))):
                target.count(attack, answer, "of two")


async def press_while_closed(target: Target, attack: str, rng: random.Random) -> None:
    """Wait for a visitor's press though the owner has opened nothing."""
    await _each(target, attack, [pair(), pair("Home"), pair("x" * 60)])


async def cross_site(target: Target, attack: str, rng: random.Random) -> None:
    """Ask as a web page does, even one that knows the token."""
    origins = ("https://evil.example", "null", "https://127.0.0.1:8467", "http://localhost", "")
    await _each(
        target,
        attack,
        (
            request(method, path, token=target.token, headers={"Origin": origin})
            for method, path in (*ROUTES, ("GET", "/v1/info"), ("POST", "/v1/pair"))
            for origin in origins
        ),
    )


async def dns_rebinding(target: Target, attack: str, rng: random.Random) -> None:
    """Ask under a name that somebody else has made point to the bridge."""
    hosts = (
        "evil.example",
        "127.0.0.1.evil.example",
        "local",
        "evil.local.example",
        "",
        "[::1",
        "127.0.0.1@evil.example",
    )
    await _each(
        target,
        attack,
        (
            request(method, path, token=target.token, headers={"Host": host})
            for method, path in (*ROUTES, ("GET", "/v1/info"), ("POST", "/v1/pair"))
            for host in hosts
        ),
    )


async def path_traversal(target: Target, attack: str, rng: random.Random) -> None:
    """Ask for files, with and without a token."""
    await _each(
        target,
        attack,
        (request("GET", path, token=token) for path in TRAVERSALS for token in (None, target.token)),
    )


async def oversized_bodies(target: Target, attack: str, rng: random.Random) -> None:
    """Send more than is taken, and say that it is less, more or endless."""
    large = b"x" * 17_000
    chunked = {"Transfer-Encoding": "chunked", "Content-Length": ""}
    await _each(
        target,
        attack,
        [
            request("POST", "/v1/pair", body=large),
            request("POST", "/v1/pair", headers={"Content-Length": "17000"}) + large,
            request("POST", "/v1/pair", headers={"Content-Length": "9" * 30}) + large,
            request("POST", "/v1/pair", headers={"Content-Length": "-1"}) + large,
            request("POST", "/v1/pair", headers=chunked) + b"%x\r\n" % len(large) + large + b"\r\n0\r\n\r\n",
            request("POST", "/v1/pair", headers={"Transfer-Encoding": "chunked"})
            + b"".join(b"1\r\nx\r\n" for _ in range(17_000))
            + b"0\r\n\r\n",
            request("POST", "/v1/faces", token=target.token, body=b"\xff\xd8" * 5_300_000, kind="image/jpeg"),
            request("GET", "/v1/health", token=target.token, headers={"X": "x" * 20_000}),
            request("GET", "/v1/health", token=target.token, headers={f"X-{n}": "x" for n in range(500)}),
            request("GET", "/v1/health?" + "x" * 20_000, token=target.token),
        ],
    )


async def plain_http(target: Target, attack: str, rng: random.Random) -> None:
    """Speak something else than TLS."""
    source = target.address()
    for data in (
        request("GET", "/v1/health", token=target.token),
        b"\0" * 100,
        b"\x16\x03\x01\xff\xff" + b"x" * 100,
    ):
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", source.port, local_addr=(source.source, 0)
        )
        writer.write(data)
        try:
            async with asyncio.timeout(STRANGER_S + 5):
                heard = await reader.read()
        except OSError:
            heard = b""
        writer.transport.abort()
        target.judge(attack, b"200 OK" not in heard, heard)


async def slow_loris(target: Target, attack: str, rng: random.Random) -> None:
    """Open many connections and say next to nothing on them: all end, and the owner still gets in."""
    source = target.address()
    beginnings = (
        b"",
        b"G",
        b"GET /v1/health HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: ",
        pair(code="AAAAAAAA")[:-5],
    )
    async with AsyncExitStack() as stack:
        wires = [await stack.enter_async_context(Wire(source)) for _ in range(4 * STRANGERS_PER_ADDRESS)]
        for number, wire in enumerate(wires):
            await wire.send(beginnings[number % len(beginnings)])
        async with Wire(source) as owner:
            answer = await owner.exchange(request("GET", "/v1/health", token=target.token))
            target.judge(attack, answer.status == 200, "the owner does not get in")
        ends = await asyncio.gather(*(wire.ended(STRANGER_S + 5) for wire in wires))
        for ended in ends:
            target.judge(attack, ended, "a connection stays")


async def too_many_sockets(target: Target, attack: str, rng: random.Random) -> None:
    """Open more WebSockets than there are places, as a client gone wild."""
    source = target.address()
    async with AsyncExitStack() as stack:
        wires = [await stack.enter_async_context(Wire(source)) for _ in range(20)]
        answers = [await wire.exchange(upgrade(target.token)) for wire in wires]
    for answer in answers[8:]:
        target.count(attack, answer)


async def too_many_streams(target: Target, attack: str, rng: random.Random) -> None:
    """Open more live pictures than there are places."""
    source = target.address()
    async with AsyncExitStack() as stack:
        wires = [await stack.enter_async_context(Wire(source)) for _ in range(80)]
        for wire in wires:
            await wire.send(request("GET", "/v1/stream.mjpg", token=target.token))
        heads = await asyncio.gather(*(wire.read_some() for wire in wires))
    for head in heads:
        if b" 200 " not in head:
            target.judge(attack, b" 503 " in head, head)
    target.judge(attack, sum(b" 200 " in head for head in heads) <= 64)


# Fuzzing


async def _many(cases: int, work: Callable[[int], Awaitable[None]], at_a_time: int = AT_A_TIME) -> None:
    """Do so many cases, several attackers at a time; `work` gets how many are its own."""
    shares = [cases // at_a_time + (number < cases % at_a_time) for number in range(at_a_time)]
    await asyncio.gather(*(work(share) for share in shares))


async def fuzz_requests(target: Target, attack: str, rng: random.Random, cases: int) -> None:
    """Send mutated requests, in none of which is a token."""
    originals = [request(method, path) for method, path in ROUTES] + [
        pair(code="AAAAAAAA"),
        upgrade("x" * 43),
    ]

    async def work(share: int) -> None:
        async with Wire(target.address()) as wire:
            for _ in range(share):
                data = fuzz.mutated(rng, originals)
                target.count(attack, await wire.exchange(data, PATIENCE_S), data)
                if rng.random() < 0.5:
                    wire.leave()  # what was not finished would be a beginning of the next one

    await _many(cases, work)


async def fuzz_pictures(target: Target, attack: str, rng: random.Random, cases: int) -> None:
    """Send what is no picture, as a client that has lost its mind."""

    async def work(share: int) -> None:
        async with Wire(target.address()) as wire:
            for _ in range(share):
                data = fuzz.picture(rng)
                kind = rng.choice(["image/jpeg", "image/png"])
                answer = await wire.exchange(
                    request("POST", "/v1/faces", token=target.token, body=data, kind=kind)
                )
                target.count(attack, answer, data)

    await _many(cases, work)


async def fuzz_frames(target: Target, attack: str, rng: random.Random, cases: int) -> None:
    """Send broken frames over a client's WebSocket: it ends, and nothing was done."""

    async def work(share: int) -> None:
        async with Wire(target.address()) as wire:
            for _ in range(share):
                data = fuzz.frame(rng)
                # The places of those before may not be free yet.
                while (await wire.exchange(upgrade(target.token))).status == 503:  # noqa: ASYNC110
                    await asyncio.sleep(PATIENCE_S)
                await wire.send(data)
                heard = await wire.read(PATIENCE_S)
                target.judge(attack, b'"done"' not in heard, data)
                wire.leave()

    await _many(cases, work)


def _property(
    cases: int, values: SearchStrategy[Any], try_one: Callable[[Any], Coroutine[Any, Any, None]]
) -> Coroutine[Any, Any, None]:
    """Let hypothesis make the cases, in a thread, and try each in the event loop."""
    loop = asyncio.get_running_loop()

    @hypothesis_seed(7)
    @settings(
        max_examples=cases,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(values)
    def run(value: Any) -> None:
        asyncio.run_coroutine_threadsafe(try_one(value), loop).result()

    return asyncio.to_thread(run)


async def property_bodies(target: Target, attack: str, rng: random.Random, cases: int) -> None:
    """Pair with all kinds of JSON."""
    async with Wire(target.address()) as wire:

        async def try_one(value: Any) -> None:
            body = fuzz.as_text(value).encode("utf-8", "surrogatepass")
            target.count(attack, await wire.exchange(request("POST", "/v1/pair", body=body)), value)

        await _property(cases, fuzz.BODIES, try_one)


async def property_messages(target: Target, attack: str, rng: random.Random, cases: int) -> None:
    """Say to the bridge all kinds of JSON that it must not act on, over a client's WebSocket."""
    async with Talk(target) as talk:

        async def try_one(value: Any) -> None:
            text = fuzz.as_text(value)
            target.judge(attack, not await talk.is_done(text), text)

        await _property(cases, fuzz.MESSAGES, try_one)


async def fuzz_bodies(target: Target, attack: str, rng: random.Random, cases: int) -> None:
    """Pair with what once was JSON."""
    originals = [body.encode() for body in fuzz.PAIRINGS]

    async def work(share: int) -> None:
        async with Wire(target.address()) as wire:
            for _ in range(share):
                body = fuzz.mutated(rng, originals)
                target.count(attack, await wire.exchange(request("POST", "/v1/pair", body=body)), body)

    await _many(cases, work)


async def fuzz_messages(target: Target, attack: str, rng: random.Random, cases: int) -> None:
    """Say what once was a command, over clients' WebSockets."""

    async def work(share: int) -> None:
        async with Talk(target) as talk:
            for _ in range(share):
                text = fuzz.mutated_command(rng)
                target.judge(attack, not await talk.is_done(text), text)

    await _many(cases, work, at_a_time=3)


MARK: Final = 987_654_321  # of a command that fails for sure: when it has, all before it was taken


class Talk:
    """A client's WebSocket, which is opened again whenever the bridge has ended it."""

    def __init__(self, target: Target) -> None:
        """Talk to this target."""
        self._target = target
        self._session = aiohttp.ClientSession()
        self._socket: aiohttp.ClientWebSocketResponse | None = None

    async def __aenter__(self) -> Self:
        """Connect nowhere yet."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Leave."""
        if self._socket is not None:
            await self._socket.close()
        await self._session.close()

    async def is_done(self, text: str) -> bool:
        """Say something and return whether the bridge says that it did it."""
        socket = await self._open()
        done = False
        try:
            await socket.send_str(text)
            await socket.send_json({"type": "do", "id": MARK, "output": "nothing", "pattern": "off"})
            while (message := await socket.receive_json()).get("id") != MARK or message["type"] != "failed":
                done |= message["type"] == "done"
        except TypeError, OSError:  # ended
            await socket.close()
        return done

    async def _open(self) -> aiohttp.ClientWebSocketResponse:
        address = self._target.address()
        while self._socket is None or self._socket.closed:
            try:
                self._socket = await self._session.ws_connect(
                    f"https://127.0.0.1:{address.port}/v1/ws",
                    ssl=False,
                    headers={"Authorization": f"Bearer {self._target.token}"},
                )
            except (
                aiohttp.ClientError
            ):  # `fuzz_frames` has taken all places, or strangers those for a handshake
                await asyncio.sleep(PATIENCE_S)
        return self._socket


ATTACKS: Final[tuple[Attack, ...]] = (
    no_token,
    wrong_token,
    revoked_token,
    half_a_token,
    token_in_the_url,
    brute_force_token,
    brute_force_code,
    pairing_while_closed,
    press_while_closed,
    code_reuse,
    replayed_pairing,
    pairing_race,
    press_race,
    cross_site,
    dns_rebinding,
    path_traversal,
    oversized_bodies,
    too_many_sockets,
    too_many_streams,
)
SLOW: Final[tuple[Attack, ...]] = (slow_loris, plain_http)
# Of all cases, so many in a hundred.
FUZZERS: Final = (
    (property_bodies, 8),
    (property_messages, 12),
    (fuzz_bodies, 25),
    (fuzz_messages, 30),
    (fuzz_requests, 10),
    (fuzz_pictures, 13),
    (fuzz_frames, 2),
)


async def attack(folder: Path, cases: int, seed: int) -> Report:
    """Try everything and return what came of it; raises AttackError."""
    target = Target(folder)

    def chance(each: Callable[..., object]) -> random.Random:
        return random.Random(f"{seed}/{each.__name__}")  # noqa: S311 - no secret

    async with target.running():
        os.nice(ATTACKERS_NICE)
        slow = asyncio.gather(*(each(target, each.__name__, chance(each)) for each in SLOW))
        for each in ATTACKS:
            await each(target, each.__name__, chance(each))
        fuzzers = [(each, chance(each), cases * share // 200) for each, share in FUZZERS]
        for _ in range(2):
            target.warmed_up()
            await asyncio.gather(*(each(target, each.__name__, rng, half) for each, rng, half in fuzzers))
        await slow
    return target.report
