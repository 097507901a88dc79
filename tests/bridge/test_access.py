"""Who may ask, with a clock that the test turns."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pi_bridge.access import CODE_ALPHABET, Access, Client, hash_token, new_token, proof
from pi_bridge.errors import Refused

NOW = datetime(2026, 11, 1, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def token() -> str:
    return new_token()


@pytest.fixture
def access(clock: Clock, token: str) -> Access:
    client = Client(hash_token(token), "Home", NOW, NOW, 0)
    return Access({client.token_hash: client}, ["Doorbell.example"], clock=clock)


def refusal(access: Access, code: str, address: str = "192.0.2.1") -> Refused:
    with pytest.raises(Refused) as refused:
        access.redeem(code, address)
    return refused.value


def test_token_is_known_and_only_its_hash_is_kept(access: Access, token: str) -> None:
    assert access.client(f"Bearer {token}", "192.0.2.1").name == "Home"
    assert access.client(f"bearer {token}", "192.0.2.1").name == "Home"
    assert token not in repr(access.client(f"Bearer {token}", "192.0.2.1"))


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", "Bearer wrong", "Basic eDp5", "wrong", "Bearer \udcff"]
)
def test_no_token_and_wrong_tokens_are_refused(access: Access, header: str | None) -> None:
    with pytest.raises(Refused) as refused:
        access.client(header, "192.0.2.1")
    assert (refused.value.status, refused.value.code) == (401, "unauthorized")


def test_a_proof_shows_one_bridge_that_its_client_has_a_token(access: Access, token: str) -> None:
    shown = proof(hash_token(token), "this bridge")
    client = access.proven(shown, "this bridge")
    assert client is not None
    assert client.name == "Home"
    assert access.proven(shown, "another bridge") is None
    assert access.proven(None, "this bridge") is None


def test_failed_logins_are_limited_by_address(access: Access, token: str, clock: Clock) -> None:
    for _ in range(10):
        with pytest.raises(Refused) as refused:
            access.client("Bearer wrong", "192.0.2.1")
        assert refused.value.status == 401
    clock.now += 20
    with pytest.raises(Refused) as refused:
        access.client("Bearer wrong", "192.0.2.1")
    assert (refused.value.status, refused.value.retry_after) == (429, 40)
    assert access.client(f"Bearer {token}", "192.0.2.1")  # who has the token is not punished
    with pytest.raises(Refused) as refused:
        access.client("Bearer wrong", "192.0.2.2")
    assert refused.value.status == 401
    clock.now += 41
    with pytest.raises(Refused) as refused:
        access.client("Bearer wrong", "192.0.2.1")
    assert refused.value.status == 401


def test_code_can_be_read_aloud_and_typed_carelessly(access: Access) -> None:
    code = access.open_pairing()
    first, second = code.split("-")
    assert len(first) == len(second) == 4
    assert set(first + second) <= set(CODE_ALPHABET)
    access.redeem(f" {first.lower()} {second.lower()}", "192.0.2.1")


def test_code_works_once(access: Access) -> None:
    code = access.open_pairing()
    access.redeem(code, "192.0.2.1")
    assert refusal(access, code).code == "pairing_closed"


def test_without_an_open_code_pairing_is_closed(access: Access) -> None:
    refused = refusal(access, "ABCD-EFGH")
    assert (refused.status, refused.code) == (403, "pairing_closed")


def test_wrong_code_leaves_the_right_one_open(access: Access) -> None:
    code = access.open_pairing()
    refused = refusal(access, "ÄÖÜ")
    assert (refused.status, refused.code) == (403, "wrong_code")
    access.redeem(code, "192.0.2.1")


def test_code_expires(access: Access, clock: Clock) -> None:
    code = access.open_pairing()
    clock.now += 300
    assert refusal(access, code).code == "pairing_closed"


def test_five_wrong_tries_close_the_code_even_from_many_addresses(access: Access) -> None:
    code = access.open_pairing()
    for number in range(5):
        assert refusal(access, "WRONG", f"192.0.2.{number}").code == "wrong_code"
    assert refusal(access, code, "192.0.2.99").code == "pairing_closed"
    access.redeem(access.open_pairing(), "192.0.2.99")


def test_tries_to_pair_are_limited_by_address(access: Access, clock: Clock) -> None:
    for _ in range(5):
        refusal(access, "WRONG")
    code = access.open_pairing()
    refused = refusal(access, code)
    assert (refused.status, refused.code, refused.retry_after) == (429, "too_many_tries", 60)
    clock.now += 60
    access.redeem(code, "192.0.2.1")


@pytest.mark.parametrize(
    "host",
    [
        "192.0.2.7",
        "192.0.2.7:8467",
        "[2001:db8::7]:8467",
        "localhost:8467",
        "frontdoor.local",
        "FrontDoor.Local.:8467",
        "doorbell.example:8467",
    ],
)
def test_known_hosts_are_answered(access: Access, host: str) -> None:
    access.check_origin(host, None)


@pytest.mark.parametrize(
    "host", [None, "", "evil.example", "local", "evil.local.example", "[::1", "192.0.2.7.evil.example"]
)
def test_other_hosts_are_refused(access: Access, host: str | None) -> None:
    with pytest.raises(Refused) as refused:
        access.check_origin(host, None)
    assert (refused.value.status, refused.value.code) == (403, "forbidden")


@pytest.mark.parametrize("origin", ["https://192.0.2.7:8467", "null", ""])
def test_web_pages_are_refused(access: Access, origin: str) -> None:
    with pytest.raises(Refused) as refused:
        access.check_origin("192.0.2.7", origin)
    assert (refused.value.status, refused.value.code) == (403, "forbidden")
