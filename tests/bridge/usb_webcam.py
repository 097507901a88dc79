"""A USB webcam in software: the kernel's own driver makes a real /dev/videoN of it. Needs root, vhci_hcd and uvcvideo.

It answers as the USB video class 1.0 asks ("Universal Serial Bus Device Class Definition for Video Devices"), with
Motion JPEG over a bulk endpoint, and is plugged into the kernel's virtual host controller by USB/IP (the kernel's
Documentation/usb/usbip_protocol.rst).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
import socket
import struct
import threading
import time

CONTROLLER = Path("/sys/devices/platform/vhci_hcd.0")
HIGH_SPEED = 3
DEVICE_ID = 0x10002  # any bus and device number: the controller wants one

# USB/IP: commands and their answers, which all begin with the same 20 bytes.
SUBMIT, UNLINK, SUBMITTED, UNLINKED = 1, 2, 3, 4
REQUEST = struct.Struct(">5I I4i 8s")  # command, number, device, direction, endpoint; flags, length, …, setup
STALL, RESET = -32, -104  # errno's EPIPE and ECONNRESET, as a broken pipe and an unlinked request are told

# USB and UVC: request types and codes.
STANDARD_IN, CLASS_IN = 0x80, 0xA1
GET_DESCRIPTOR, GET_MAX, GET_LEN, GET_INFO = 0x06, 0x83, 0x85, 0x86
DEVICE, CONFIGURATION, STRING = 1, 2, 3
GET_AND_SET = b"\x03"
CLOCK_HZ = 48_000_000
TICKS_PER_S = 10_000_000  # UVC counts frame intervals in units of 100 ns
PAYLOAD_BYTES = 16384
HEADER, END_OF_FRAME = 0x80, 0x02  # of a payload's header, which is two bytes long


class UsbWebcam:
    """A webcam that plays a film of JPEGs of one size, again and again."""

    def __init__(self, film: Sequence[bytes], size: tuple[int, int], fps: int, serial: str) -> None:
        """Make a webcam that is not plugged in yet."""
        self.frozen = False
        self.corrupt = False
        self._film = film
        self._size = size
        self._fps = fps
        self._texts = {1: "Simulated", 2: "Webcam", 3: serial}
        self._port = 0
        self._line: socket.socket | None = None  # to the kernel, while it is plugged in
        self._lock = threading.Lock()  # a request is either answered or unlinked, never both
        self._waiting: list[tuple[int, int]] = []  # the numbers and lengths of requests for picture data

    def plug(self, port: int) -> None:
        """Plug it into a port of the virtual controller; raises OSError when that is taken."""
        line, kernels = socket.socketpair()
        self._line, self._port, self._waiting = line, port, []
        for work in (self._answer, self._play):
            threading.Thread(target=_until_unplugged, args=(work, line), daemon=True).start()
        with kernels:
            (CONTROLLER / "attach").write_text(f"{port} {kernels.fileno()} {DEVICE_ID} {HIGH_SPEED}")

    def unplug(self) -> None:
        """Pull the plug; raises OSError when it is unplugged already."""
        self._line = None
        (CONTROLLER / "detach").write_text(str(self._port))

    def _answer(self, line: socket.socket) -> None:
        """Answer the kernel's requests; those for picture data wait for `_play`."""
        while True:
            request = REQUEST.unpack(_read(line, REQUEST.size))
            command, number, _, inward, endpoint, flags_or_number, length, *_, setup = request
            if command == UNLINK:
                self._unlink(line, number, flags_or_number)
                continue
            data = b"" if inward else _read(line, length)
            if endpoint:
                with self._lock:
                    self._waiting.append((number, length))
                continue
            answer = self._control(*struct.unpack("<BBHHH", setup))
            status, answer = (STALL, b"") if answer is None else (0, answer)
            with self._lock:
                _send(line, number, status, answer if inward else b"", len(answer) if inward else len(data))

    def _unlink(self, line: socket.socket, number: int, victim: int) -> None:
        with self._lock:
            found = [waiting for waiting in self._waiting if waiting[0] == victim]
            for waiting in found:
                self._waiting.remove(waiting)
            line.sendall(struct.pack(">5I i24x", UNLINKED, number, 0, 0, 0, RESET if found else 0))

    def _play(self, line: socket.socket) -> None:
        """Send one picture after the other, as fast as a webcam does."""
        due = time.monotonic()
        for shown in count():
            picture = self._film[shown % len(self._film)]
            if self.corrupt:
                picture = picture[: len(picture) // 2]
            self._send_picture(line, picture, parity=shown % 2)
            now = time.monotonic()
            due = max(due + 1 / self._fps, now)
            time.sleep(due - now)

    def _send_picture(self, line: socket.socket, picture: bytes, parity: int) -> None:
        """Send a picture in payloads, each as the answer to a request; `parity` tells the kernel pictures apart."""
        sent = 0
        while sent < len(picture):
            with self._lock:
                if self._line is not line:
                    raise EOFError
                if self._waiting and not self.frozen:
                    number, length = self._waiting.pop(0)
                    piece = picture[sent : sent + length - 2]
                    sent += len(piece)
                    flags = HEADER | parity | (END_OF_FRAME if sent == len(picture) else 0)
                    _send(line, number, 0, bytes((2, flags)) + piece, len(piece) + 2)
                    continue
            time.sleep(0.001)

    def _control(self, kind: int, code: int, value: int, index: int, length: int) -> bytes | None:
        """Return the answer to a control request, empty when there is nothing to tell; None refuses it."""
        if kind == STANDARD_IN and code == GET_DESCRIPTOR:
            descriptor = self._descriptor(value >> 8, value & 0xFF)
            return None if descriptor is None else descriptor[:length]
        if kind == CLASS_IN:
            streaming = index & 0xFF == 1
            return (self._streaming(code) if streaming else _brightness(code))[:length]
        return b"\0\0"[:length]

    def _streaming(self, code: int) -> bytes:
        """Return what the streaming interface says of probe and commit: there is one way to stream."""
        width, height = self._size
        probe = struct.pack(
            "<HBBIHHHHHII", 1, 1, 1, self._ticks, 0, 0, 0, 0, 0, width * height * 2, PAYLOAD_BYTES
        )
        return {GET_INFO: GET_AND_SET, GET_LEN: struct.pack("<H", len(probe))}.get(code, probe)

    @property
    def _ticks(self) -> int:
        return TICKS_PER_S // self._fps

    def _descriptor(self, kind: int, number: int) -> bytes | None:
        if kind == DEVICE:
            return struct.pack(
                "<BBHBBBBHHHBBBB", 18, DEVICE, 0x200, 0xEF, 2, 1, 64, 0x1D6B, 0x102, 0x100, 1, 2, 3, 1
            )
        if kind == CONFIGURATION:
            return self._configuration()
        if kind == STRING:
            text = self._texts.get(number, "").encode("utf-16-le") if number else b"\x09\x04"  # US English
            return bytes((2 + len(text), STRING)) + text
        return None

    def _configuration(self) -> bytes:
        """Return the configuration: camera → brightness → output, and a stream of Motion JPEG in one size."""
        width, height = self._size
        camera = struct.pack("<BBBBHBBHHHBBBB", 18, 0x24, 2, 1, 0x201, 0, 0, 0, 0, 0, 3, 0, 0, 0)
        brightness = struct.pack("<BBBBBHBHB", 11, 0x24, 5, 2, 1, 0, 2, 1, 0)
        output = struct.pack("<BBBBHBBB", 9, 0x24, 3, 3, 0x101, 0, 2, 0)
        units = camera + brightness + output
        control = struct.pack("<BBBHHIBB", 13, 0x24, 1, 0x100, 13 + len(units), CLOCK_HZ, 1, 1) + units
        formats = struct.pack("<11B", 11, 0x24, 6, 1, 1, 1, 1, 0, 0, 0, 0)
        bits = width * height * 16
        formats += struct.pack(
            "<5BHH4IBI",
            *(30, 0x24, 7, 1, 0, width, height, bits, bits * self._fps, width * height * 2, self._ticks),
            *(1, self._ticks),
        )
        stream = (
            struct.pack("<BBBBHBBBBBBBB", 14, 0x24, 1, 1, 14 + len(formats), 0x81, 0, 3, 0, 0, 0, 1, 0)
            + formats
        )
        interfaces = struct.pack("<8B", 8, 11, 0, 2, 0x0E, 3, 0, 2)
        interfaces += struct.pack("<9B", 9, 4, 0, 0, 0, 0x0E, 1, 0, 2) + control
        interfaces += struct.pack("<9B", 9, 4, 1, 0, 1, 0x0E, 2, 0, 0) + stream
        interfaces += struct.pack("<BBBBHB", 7, 5, 0x81, 2, 512, 0)
        return (
            struct.pack("<BBHBBBBB", 9, CONFIGURATION, 9 + len(interfaces), 2, 1, 0, 0x80, 250) + interfaces
        )


def _brightness(code: int) -> bytes:
    """Return what the only control of the picture says of itself; nobody turns it."""
    answers = {GET_INFO: GET_AND_SET, GET_LEN: struct.pack("<H", 2), GET_MAX: struct.pack("<h", 255)}
    return answers.get(code, struct.pack("<h", 1))


def _until_unplugged(work: Callable[[socket.socket], None], line: socket.socket) -> None:
    with suppress(EOFError, OSError), line:
        work(line)


def _send(line: socket.socket, number: int, status: int, data: bytes, length: int) -> None:
    """Answer a request; `length` is what was transferred, in either direction."""
    line.sendall(struct.pack(">5I 5i8x", SUBMITTED, number, 0, 0, 0, status, length, 0, 0, 0) + data)


def _read(line: socket.socket, length: int) -> bytes:
    data = b""
    while len(data) < length:
        more = line.recv(length - len(data))
        if not more:
            raise EOFError
        data += more
    return data
