"""Malformed things, by hypothesis where they have a grammar and by mutation where they are bytes; none is valid."""

from collections.abc import Sequence
import json
import random
from typing import Final

from hypothesis import strategies as st

# Where a parser may trip.
SPICE: Final = (
    *(b"\r\n", b"\n", b"\r", b"\0", b" ", b":", b"\xff", b"%00", b"%2e%2e/", b"../", b"\\", b"{", b"[", b'"'),
    *(b"Content-Length: 5\r\n", b"Content-Length: -1\r\n", b"Content-Length: 99999999999999999999\r\n"),
    *(b"Transfer-Encoding: chunked\r\n", b"Expect: 100-continue\r\n", b"Upgrade: websocket\r\n"),
    *(
        b"Content-Encoding: gzip\r\n",
        b"Connection: close\r\n",
        b"Host: evil.example\r\n",
        b"HTTP/0.9",
        b"HTTP/9.9",
    ),
    *(b"\xc0\xaf", "🔔".encode(), b"A" * 9000, b"1e999", b"-0", b"NaN"),
)

_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


OUTPUTS: Final = ("green", "red", "buzzer")
PATTERNS: Final = ("on", "off", "blink", "fast", "double")


def _is_valid(message: object) -> bool:
    """Whether the bridge might act on it: left out, so that whatever it does is a mistake."""
    match message:
        case {"type": "ack", "seq": number} | {"type": "press", "id": number}:
            return _is_number(number)
        case {"type": "do", "id": number, "output": str(output), "pattern": str(pattern)}:
            return _is_number(number) and output in OUTPUTS and pattern in PATTERNS
        case {"type": "chime", "id": number, **fields}:
            return _is_number(number) and all(
                isinstance(fields.get(key), kind)
                for key, kind in (("tone", str | None), ("for_ms", int | None), ("quiet", dict | None))
            )
        case {"type": "time", "now": str()}:
            return True
        case _:
            return False


TYPES: Final = ("ack", "do", "press", "chime", "time")

_words = st.sampled_from([*OUTPUTS, *PATTERNS, *TYPES, "hello", "ring"])
_fields = {
    "id": _json,
    "seq": _json,
    "output": _words | _json,
    "pattern": _words | _json,
    "for_ms": _json,
    "tone": _json,
    "quiet": _json,
    "now": _json,
}

MESSAGES: Final = (
    st.fixed_dictionaries({"type": st.sampled_from(TYPES) | _json}, optional=_fields) | _json
).filter(lambda message: not _is_valid(message))

BODIES: Final = (
    st.fixed_dictionaries(
        {}, optional={"code": _words | _json, "client": st.text() | _json, "instead_of": st.text() | _json}
    )
    | _json
)


PAIRINGS: Final = (
    '{"code": "AAAA-AAAA", "client": "Home"}',
    '{"client": "Home"}',
    '{"client": "Home", "instead_of": "%s"}' % ("0a" * 32),
    '{"client": "Home", "code": null, "more": [1, {"a": "b"}, 1e9, true]}',
)
COMMANDS: Final = (
    '{"type": "ack", "seq": 41}',
    '{"type": "do", "id": 7, "output": "green", "pattern": "blink", "for_ms": 5000}',
    '{"type": "press", "id": 8}',
    '{"type": "chime", "id": 9, "tone": "on", "quiet": {"start": "22:00", "end": "07:00", "zone": "Europe/Paris"}}',
    '{"type": "time", "now": "2026-11-22T18:33:20.123+00:00"}',
)


def mutated_command(rng: random.Random) -> str:
    """Return what once was a command, and is none any more."""
    originals = [command.encode() for command in COMMANDS]
    while True:
        text = mutated(rng, originals).decode("utf-8", "replace")
        try:
            if not _is_valid(json.loads(text)):
                return text
        except ValueError, RecursionError:
            return text


def as_text(value: object) -> str:
    """Return a value as JSON, or as what Python takes for it (NaN, lone surrogates)."""
    return json.dumps(value)


def mutated(rng: random.Random, originals: Sequence[bytes]) -> bytes:
    """Return one of the originals with a few things changed."""
    data = bytearray(rng.choice(originals))
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(data) + 1)
        match rng.randrange(5):
            case 0:
                data[at : at + 1] = rng.randbytes(1)
            case 1:
                del data[at : at + rng.randint(1, 12)]
            case 2:
                data[at:at] = rng.choice(SPICE)
            case 3:
                data[at:at] = data[: rng.randint(1, 40)]
            case _:
                data[at:at] = rng.randbytes(rng.randint(1, 12))
    return bytes(data)


def frame(rng: random.Random) -> bytes:
    """Return a WebSocket frame that no client may send."""
    mask = rng.randbytes(4)
    match rng.randrange(7):
        case 0:  # not masked
            return b"\x81\x02{}"
        case 1:  # an operation that does not exist
            return bytes([0x80 | rng.choice([3, 4, 5, 6, 7, 11, 12, 13, 14, 15]), 0x80]) + mask
        case 2:  # reserved bits
            return bytes([0x81 | rng.choice([0x10, 0x20, 0x40, 0x70]), 0x82]) + mask + rng.randbytes(2)
        case 3:  # longer than any message may be
            return bytes([0x81, 0xFF]) + rng.choice([2**62, 2**40, 2**31, 5000]).to_bytes(8, "big") + mask
        case 4:  # a control frame that is too long, or in pieces
            return (
                bytes([rng.choice([0x89, 0x09, 0x88]), 0xFE])
                + (200).to_bytes(2, "big")
                + mask
                + rng.randbytes(200)
            )
        case 5:  # no UTF-8
            return bytes([0x81, 0x84]) + bytes(4) + b"\xff\xfe\xc0\x80"
        case _:  # binary, or a continuation of nothing
            return bytes([rng.choice([0x82, 0x80]), 0x84]) + mask + rng.randbytes(4)


def picture(rng: random.Random) -> bytes:
    """Return what begins like a picture and is none, or says that it is gigantic."""
    match rng.randrange(4):
        case 0:
            return rng.randbytes(rng.randint(0, 200))
        case 1:  # a JPEG that ends before its picture begins
            return b"\xff\xd8" + b"".join(
                bytes([0xFF, rng.randrange(0xC0, 0xFF)]) + rng.randbytes(rng.randint(0, 30)) for _ in range(3)
            )
        case 2:  # a bomb
            size = rng.choice([65535, 2**31 - 1, 2**32 - 1]).to_bytes(4, "big")
            return b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + size + size + b"\x08\x02\0\0\0" + rng.randbytes(40)
        case _:
            return b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + rng.randbytes(rng.randint(0, 60))
