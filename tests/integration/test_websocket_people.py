"""The people card's commands: persons with photos, photos by upload, the check; for administrators."""

from datetime import timedelta
from io import BytesIO
import logging
from typing import Any

from aiohttp.test_utils import TestClient
from freezegun.api import FrozenDateTimeFactory
from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant
from homeassistant.setup import async_setup_component
from PIL import Image
import pytest
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator, WebSocketGenerator

from custom_components.face_doorbell.recognition.gallery import MAX_PHOTOS
from custom_components.face_doorbell.recognition.images import THUMBNAIL_BYTES
from tests.bridge.doubles import RunningBridge
from tests.photos import photo, two_people

from .flow_texts import english
from .flow_tools import upload
from .people import act, people, ring

LIST = "face_doorbell/people/list"
ADD = "face_doorbell/people/add_photo"
REMOVE = "face_doorbell/people/remove_photo"
CHECK = "face_doorbell/people/check"


@pytest.fixture
async def client(
    hass: HomeAssistant, seeing_doorbell: ConfigEntry, hass_client: ClientSessionGenerator
) -> TestClient[Any, Any]:
    """The browser of an administrator."""
    assert await async_setup_component(hass, "file_upload", {})
    browser: TestClient[Any, Any] = await hass_client()
    return browser


class Page:
    """What a page of the frontend asks for."""

    def __init__(self, ws: Any, client: TestClient[Any, Any]) -> None:
        self._ws = ws
        self._client = client

    async def ask(self, kind: str, **data: object) -> Any:
        """Return the result of a command."""
        answer = await self._send(kind, **data)
        assert answer["success"], answer
        return answer["result"]

    async def refused(self, kind: str, **data: object) -> dict[str, Any]:
        """Return the error of a command, whose text is there."""
        answer = await self._send(kind, **data)
        assert not answer["success"], answer
        error: dict[str, Any] = answer["error"]
        told = english()["exceptions"][error["translation_key"]]["message"]
        assert error["message"] == told.format(**error["translation_placeholders"]).rstrip(".")
        return error

    async def upload(self, content: bytes) -> str:
        """Upload a photo."""
        return await upload(self._client, content)

    async def _send(self, kind: str, **data: object) -> Any:
        await self._ws.send_json_auto_id({"type": kind, **data})
        return await self._ws.receive_json()


@pytest.fixture
async def page(
    hass: HomeAssistant, entry: ConfigEntry, client: TestClient[Any, Any], hass_ws_client: WebSocketGenerator
) -> Page:
    """The page of an administrator."""
    return Page(await hass_ws_client(hass), client)


def mirrored(name: str) -> bytes:
    """Return another photo of the same person."""
    target = BytesIO()
    with Image.open(BytesIO(photo(name))) as image:
        image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(target, "JPEG")
    return target.getvalue()


async def test_somebody_is_added_by_photo_and_shown(
    hass: HomeAssistant,
    seeing_bridge: RunningBridge,
    page: Page,
    client: TestClient[Any, Any],
) -> None:
    added = await page.ask(ADD, name="Joe", upload=await page.upload(photo("biden")))
    again = await page.ask(ADD, person_id=added["person_id"], upload=await page.upload(mirrored("biden")))
    assert len(again["photos"]) == 2
    visit = await ring(hass, seeing_bridge, "biden")
    listed = await page.ask(LIST)
    assert listed["most_photos"] == MAX_PHOTOS
    (joe,) = listed["people"]
    assert (joe["name"], joe["visits"], joe["last_doorbell"]) == ("Joe", 1, "Front door")
    assert joe["last_seen"] == visit.at.isoformat()
    assert joe["photos"] == again["photos"]
    for each in joe["photos"]:
        answer = await client.get(each["thumbnail"])
        assert answer.status == 200
        assert len(await answer.read()) <= THUMBNAIL_BYTES


async def test_a_photo_is_shown_for_a_while_to_who_has_its_address(
    hass: HomeAssistant,
    page: Page,
    hass_client_no_auth: ClientSessionGenerator,
    freezer: FrozenDateTimeFactory,
) -> None:
    joe = await page.ask(ADD, name="Joe", upload=await page.upload(photo("biden")))
    address = joe["photos"][0]["thumbnail"]
    signed = (await page.ask("auth/sign_path", path=address, expires=600))["path"]
    anybody = await hass_client_no_auth()  # an <img> sends no login
    answer = await anybody.get(signed)
    assert answer.status == 200
    assert answer.headers["Cache-Control"] == "private, no-store"
    assert (await anybody.get(address)).status == 401
    freezer.tick(timedelta(seconds=601))
    assert (await anybody.get(signed)).status == 401


async def test_what_the_gate_refuses_is_told_in_its_words_and_nothing_has_changed(
    hass: HomeAssistant, entry: ConfigEntry, page: Page, caplog: pytest.LogCaptureFixture
) -> None:
    joe = await page.ask(ADD, name="Joe", upload=await page.upload(photo("biden")))
    caplog.set_level(logging.WARNING)
    caplog.clear()
    error = await page.refused(ADD, name="Nobody", upload=await page.upload(photo("coffee")))
    assert error["code"] == "photo_no_face"
    error = await page.refused(ADD, name="Joe", upload=await page.upload(photo("obama")))
    assert error["code"] == "person_name_taken"
    error = await page.refused(ADD, upload=await page.upload(photo("obama")))
    assert error["code"] == "person_name_empty"
    error = await page.refused(ADD, name="Barack", upload="no such upload")
    assert error["code"] == "photo_gone"
    error = await page.refused(ADD, name="Twin", upload=await page.upload(mirrored("biden")))
    assert error["translation_placeholders"]["person"] == "Joe"
    assert people(entry) == {joe["person_id"]: "Joe"}
    assert "Joe" not in caplog.text  # a refusal is no failure, and names stand in no log
    twin = await page.ask(ADD, name="Twin", upload=await page.upload(mirrored("biden")), force=True)
    assert set(people(entry).values()) == {"Joe", "Twin"}
    assert twin["name"] == "Twin"


async def test_of_a_group_one_says_who_is_meant(page: Page) -> None:
    error = await page.refused(ADD, name="Joe", upload=await page.upload(two_people()))
    assert error["translation_placeholders"] == {"count": "2"}
    added = await page.ask(ADD, name="Joe", upload=await page.upload(two_people()), face=1)
    assert len(added["photos"]) == 1


async def test_photos_are_removed_but_not_the_last(hass: HomeAssistant, page: Page) -> None:
    joe = await page.ask(ADD, name="Joe", upload=await page.upload(photo("biden")))
    await page.ask(ADD, person_id=joe["person_id"], upload=await page.upload(mirrored("biden")))
    first = {"person_id": joe["person_id"], "photo_id": joe["photos"][0]["photo_id"]}
    left = await page.ask(REMOVE, **first)
    assert [each["photo_id"] for each in left["photos"]] != [first["photo_id"]]
    assert (await page.refused(REMOVE, **first))["code"] == "photo_not_found"
    last = {**first, "photo_id": left["photos"][0]["photo_id"]}
    assert (await page.refused(REMOVE, **last))["code"] == "last_photo"
    assert (await page.refused(REMOVE, person_id="nobody", photo_id="x"))["code"] == "person_not_found"


async def test_the_check_is_told_in_sentences(hass: HomeAssistant, page: Page) -> None:
    joe = await page.ask(ADD, name="Joe", upload=await page.upload(photo("biden")))
    await page.ask(ADD, person_id=joe["person_id"], upload=await page.upload(photo("obama")), force=True)
    await page.ask(ADD, name="Barack", upload=await page.upload(photo("obama2")), force=True)
    check = await page.ask(CHECK)
    texts = english()["common"]
    said = [texts[each["key"]].format(**each["placeholders"]) for each in check["findings"]]
    assert any("Barack" in each for each in said)
    assert check["tested"] == 2


async def test_without_recognition_it_says_what_to_do(
    hass: HomeAssistant, client: TestClient[Any, Any], hass_ws_client: WebSocketGenerator
) -> None:
    page = Page(await hass_ws_client(hass), client)
    assert (await page.refused(LIST))["code"] == "no_recognition"


async def test_they_are_for_administrators(
    hass: HomeAssistant,
    page: Page,
    hass_ws_client: WebSocketGenerator,
    hass_read_only_access_token: str,
) -> None:
    joe = await page.ask(ADD, name="Joe", upload=await page.upload(photo("biden")))
    await hass.async_block_till_done()
    ws = await hass_ws_client(hass, hass_read_only_access_token)
    photo_id = joe["photos"][0]["photo_id"]
    for command in (
        {"type": LIST},
        {"type": ADD, "name": "Guest", "upload": "x"},
        {"type": REMOVE, "person_id": joe["person_id"], "photo_id": photo_id},
        {"type": CHECK},
    ):
        await ws.send_json_auto_id(command)
        assert (await ws.receive_json())["error"]["code"] == "unauthorized"
    assert (await act(hass, "list_people"))["people"][0]["photos"] == 1
