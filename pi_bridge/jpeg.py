"""What a webcam calls a JPEG, made one that every decoder takes."""

from __future__ import annotations

from typing import Final

# The Huffman tables that ITU-T T.81 (Annex K.3) gives for typical pictures: Motion JPEG leaves them out and means
# these. Each: class and number, how many codes of each length from 1 to 16, and the values.
_TABLES: Final = bytes.fromhex(
    # DC, luminance
    "0000010501010101010100000000000000"
    "000102030405060708090a0b"
    # AC, luminance
    "100002010303020403050504040000017d"
    "01020300041105122131410613516107227114328191a1082342b1c11552d1f02433627282090a161718191a25262728"
    "292a3435363738393a434445464748494a535455565758595a636465666768696a737475767778797a83848586878889"
    "8a92939495969798999aa2a3a4a5a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae1e2"
    "e3e4e5e6e7e8e9eaf1f2f3f4f5f6f7f8f9fa"
    # DC, chrominance
    "0100030101010101010101010000000000"
    "000102030405060708090a0b"
    # AC, chrominance
    "1100020102040403040705040400010277"
    "000102031104052131061241510761711322328108144291a1b1c109233352f0156272d10a162434e125f11718191a26"
    "2728292a35363738393a434445464748494a535455565758595a636465666768696a737475767778797a828384858687"
    "88898a92939495969798999aa2a3a4a5a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9da"
    "e2e3e4e5e6e7e8e9eaf2f3f4f5f6f7f8f9fa"
)
_DHT: Final = b"\xff\xc4" + (len(_TABLES) + 2).to_bytes(2, "big") + _TABLES

_START: Final = b"\xff\xd8"
_END: Final = b"\xff\xd9"
_MARK: Final = 0xFF
_HUFFMAN: Final = 0xC4
_SCAN: Final = 0xDA
# Headers alone are longer than this; what is shorter is a stump that a camera sends after an error on the wire.
_MIN_BYTES: Final = 125


def whole(data: bytes) -> bytes | None:
    """Return the picture with its Huffman tables and nothing behind its end; None when it is not all there."""
    data = data.rstrip(b"\0")  # some cameras fill up their buffer
    if len(data) < _MIN_BYTES or not data.startswith(_START) or not data.endswith(_END):
        return None
    at, has_tables = 2, False
    while at + 4 <= len(data) and data[at] == _MARK:
        marker = data[at + 1]
        if marker == _SCAN:
            return data if has_tables else data[:at] + _DHT + data[at:]
        has_tables |= marker == _HUFFMAN
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None
