"""The actions: real pictures from cameras, images, media and files; the real bridge with its real face models."""

from collections.abc import Mapping
import io
from pathlib import Path
from typing import Any
from unittest.mock import Mock, patch

from homeassistant.auth.models import User
from homeassistant.components.media_source import MediaSource, MediaSourceItem, PlayMedia
from homeassistant.config_entries import ConfigEntry, ConfigEntryState
from homeassistant.core import Context, HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError, Unauthorized
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.setup import async_setup_component
from PIL import Image
import pytest
from pytest_homeassistant_custom_component.common import MockModule, MockUser, mock_integration, mock_platform

from custom_components.face_doorbell.const import DOMAIN
from custom_components.face_doorbell.services import ACTIONS
from tests.bridge.doubles import RunningBridge
from tests.photos import photo, two_people

from .flow_texts import check_error, english
from .helpers import change, until

Response = dict[str, Any]


@pytest.fixture
async def folder(hass: HomeAssistant, tmp_path: Path) -> Path:
    """The folder of the media browser, with the photos."""
    media = tmp_path / "media"
    media.mkdir()
    for name in ("obama", "obama2", "biden", "brick"):
        (media / f"{name}.jpg").write_bytes(photo(name))
    (media / "two.jpg").write_bytes(two_people())
    (media / "notes.txt").write_bytes(b"not a picture")
    (media / "large.jpg").write_bytes(photo("obama") + bytes(20_000_000))
    hass.config.media_dirs["local"] = str(media)
    assert await async_setup_component(hass, "media_source", {})
    await hass.async_block_till_done()
    return media


def media(content_id: str) -> dict[str, str]:
    """Return what the media selector says."""
    return {"media_content_id": content_id, "media_content_type": "image/jpeg"}


def item(name: str) -> dict[str, str]:
    """Return an item of the media browser."""
    return media(f"media-source://media_source/local/{name}.jpg")


async def act(
    hass: HomeAssistant,
    action: str,
    data: Mapping[str, Any],
    *,
    response: bool = True,
    user: User | None = None,
) -> Response:
    """Perform an action; return its response."""
    answer = await hass.services.async_call(
        DOMAIN,
        action,
        dict(data),
        blocking=True,
        return_response=response,
        context=Context(user_id=user.id) if user else None,
    )
    await hass.async_block_till_done()
    return dict(answer or {})


async def refused(
    hass: HomeAssistant,
    action: str,
    data: Mapping[str, Any],
    error: type[HomeAssistantError] = ServiceValidationError,
) -> tuple[str | None, dict[str, str] | None]:
    """Perform an action that is refused; return the key and the placeholders of the text."""
    with pytest.raises(error) as caught:
        await act(hass, action, data, response=True)
    assert type(caught.value) is error
    assert caught.value.translation_domain == DOMAIN
    check_error(caught.value)
    return caught.value.translation_key, caught.value.translation_placeholders


def entity(hass: HomeAssistant, domain: str) -> str:
    """Return the one entity of a domain."""
    (entity_id,) = (each.entity_id for each in er.async_get(hass).entities.values() if each.domain == domain)
    return entity_id


async def add_obama(hass: HomeAssistant) -> str:
    response = await act(hass, "add_person", {"name": "Barack", "media": [item("obama")]})
    person_id: str = response["person_id"]
    return person_id


# Persons


async def test_a_person_is_added_with_media(hass: HomeAssistant, entry: ConfigEntry, folder: Path) -> None:
    response = await act(hass, "add_person", {"name": " Barack ", "media": [item("obama"), item("obama2")]})
    (subentry,) = entry.subentries.values()
    listed = {"person_id": subentry.unique_id, "name": "Barack", "photos": 2}
    assert response == {**listed, "advice": "right", "looks_like": []}
    assert subentry.title == "Barack"
    assert dict(subentry.data) == {"person_id": subentry.unique_id}
    assert entry.state is ConfigEntryState.LOADED
    (person,) = entry.runtime_data.persons
    assert (person.id, len(person.photos)) == (subentry.unique_id, 2)
    assert await act(hass, "list_people", {}) == {"people": [listed]}


async def test_a_person_is_added_with_what_the_camera_sees(
    hass: HomeAssistant, entry: ConfigEntry, seeing_bridge: RunningBridge
) -> None:
    seeing_bridge.camera.show(photo("biden"))
    await hass.async_block_till_done()
    await act(hass, "add_person", {"name": "Joe", "entity_id": entity(hass, "camera")}, response=False)
    assert [subentry.title for subentry in entry.subentries.values()] == ["Joe"]


@pytest.mark.parametrize("who", ["id", "BARACK"])
async def test_photos_are_added(hass: HomeAssistant, entry: ConfigEntry, folder: Path, who: str) -> None:
    person_id = await add_obama(hass)
    response = await act(
        hass, "add_photo", {"person": person_id if who == "id" else who, "media": [item("obama2")]}
    )
    assert (response["person_id"], response["name"], response["photos"]) == (person_id, "Barack", 2)
    assert len(entry.runtime_data.person(person_id).photos) == 2


async def test_a_person_is_removed(hass: HomeAssistant, entry: ConfigEntry, folder: Path) -> None:
    await add_obama(hass)
    await act(hass, "add_person", {"name": "Joe", "media": [item("biden")]})
    recognizer = entry.runtime_data
    await hass.services.async_call(DOMAIN, "remove_person", {"person": "joe"}, blocking=True)
    assert [person.name for person in recognizer.persons] == ["Barack"]  # before the entry is set up anew
    await hass.async_block_till_done()
    assert [subentry.title for subentry in entry.subentries.values()] == ["Barack"]
    assert [person.name for person in entry.runtime_data.persons] == ["Barack"]


async def test_a_bad_photo_adds_nobody(hass: HomeAssistant, entry: ConfigEntry, folder: Path) -> None:
    missing, nobody = item("missing"), media("media-source://nobody/1")
    for photos, said in (
        (
            [item("obama"), item("brick")],
            (
                "photo_refused",
                {"number": "2", "reason": english()["exceptions"]["photo_no_face"]["message"][:-1]},
            ),
        ),
        ([item("two")], ("photo_several_faces", {"count": "2"})),
        ([item("large")], ("photo_too_large", {"limit_mb": "10"})),
        ([media("media-source://media_source/local/notes.txt")], ("photo_not_an_image", {})),
        ([missing], ("media_unreadable", {"media": missing["media_content_id"]})),
        ([nobody], ("media_unreadable", {"media": nobody["media_content_id"]})),
        ([media("/etc/hostname")], ("media_not_allowed", {"media": "/etc/hostname"})),
        ([], ("photos_missing", {})),
    ):
        assert await refused(hass, "add_person", {"name": "Barack", "media": photos}) == said
        assert entry.subentries == {}
        assert entry.runtime_data.persons == ()


async def test_a_name_that_is_taken_adds_nobody(
    hass: HomeAssistant, entry: ConfigEntry, folder: Path
) -> None:
    await add_obama(hass)
    again = {"name": "barack", "media": [item("biden")]}
    assert await refused(hass, "add_person", again) == ("person_name_taken", {"name": "barack"})
    assert len(entry.subentries) == 1


async def test_an_unknown_person_is_said(hass: HomeAssistant, entry: ConfigEntry, folder: Path) -> None:
    said = ("person_not_found", {"person": "Nobody"})
    assert await refused(hass, "add_photo", {"person": "Nobody", "media": [item("biden")]}) == said
    assert await refused(hass, "remove_person", {"person": "Nobody"}) == said


async def test_only_administrators_change_people(
    hass: HomeAssistant, entry: ConfigEntry, folder: Path, hass_read_only_user: MockUser
) -> None:
    await add_obama(hass)
    before = entry.runtime_data.persons
    changes: dict[str, dict[str, Any]] = {
        "add_person": {"name": "Joe", "media": [item("biden")]},
        "add_photo": {"person": "Barack", "media": [item("obama2")]},
        "remove_person": {"person": "Barack"},
    }
    for action, data in changes.items():
        with pytest.raises(Unauthorized):
            await act(hass, action, data, response=False, user=hass_read_only_user)
    assert entry.runtime_data.persons == before


# Asking


async def test_every_face_of_a_media_item_is_answered(
    hass: HomeAssistant, entry: ConfigEntry, folder: Path
) -> None:
    person_id = await add_obama(hass)
    response = await act(hass, "recognize", {"media": item("two")})
    assert (response["outcome"], response["engine"]) == ("recognized", "local")
    known, stranger = response["faces"]
    assert (known["name"], known["person_id"]) == ("Barack", person_id)
    assert known["certainty"] in ("sure", "probably")
    assert known["similarity"] >= 90
    assert set(known["box"]) == {"left", "top", "width", "height"}
    assert known["box"]["left"] > stranger["box"]["left"]
    assert (stranger["name"], stranger["person_id"], stranger["certainty"]) == (None, None, None)
    assert stranger["similarity"] < 90


async def test_a_picture_without_a_face_says_so(
    hass: HomeAssistant, entry: ConfigEntry, folder: Path
) -> None:
    response = await act(hass, "recognize", {"media": item("brick")})
    assert (response["outcome"], response["faces"]) == ("no_face", [])


async def test_who_stands_before_the_camera_is_answered(
    hass: HomeAssistant, entry: ConfigEntry, folder: Path, seeing_bridge: RunningBridge
) -> None:
    await add_obama(hass)
    seeing_bridge.camera.show(photo("obama2"))
    await hass.async_block_till_done()
    camera = entity(hass, "camera")
    for data in ({"entity_id": camera}, {"media": media(f"media-source://camera/{camera}")}):
        response = await act(hass, "recognize", data)
        assert [face["name"] for face in response["faces"]] == ["Barack"]


async def test_who_is_on_an_image_entity_is_answered(
    hass: HomeAssistant, entry: ConfigEntry, folder: Path, seeing_bridge: RunningBridge
) -> None:
    image = entity(hass, "image")
    assert await refused(hass, "recognize", {"entity_id": image}, HomeAssistantError) == (
        "image_unavailable",
        {"entity_id": image},
    )
    await add_obama(hass)
    async with change(hass, image) as visited:
        seeing_bridge.press(photo("obama2"))
        await visited
    response = await act(hass, "recognize", {"entity_id": image})
    assert [face["name"] for face in response["faces"]] == ["Barack"]


async def test_a_file_in_an_allowed_folder_is_answered(
    hass: HomeAssistant, entry: ConfigEntry, folder: Path, tmp_path: Path
) -> None:
    allowed = tmp_path / "allowed"
    allowed.mkdir()
    hass.config.allowlist_external_dirs = {str(allowed)}
    target = allowed / "photo.png"
    Image.open(io.BytesIO(photo("biden"))).save(target)
    response = await act(hass, "recognize", {"media": media(str(target))})
    assert response["outcome"] == "unknown"
    assert response["faces"][0]["similarity"] is None  # there is nobody to compare with

    escape = media(f"{allowed}/../media/obama.jpg")
    key, _ = await refused(hass, "recognize", {"media": escape})
    assert key == "media_not_allowed"


class Gallery(MediaSource):
    """A media source on the internet."""

    async def async_resolve_media(self, item: MediaSourceItem) -> PlayMedia:
        return PlayMedia("https://gallery.example/1.jpg", "image/jpeg")


async def test_a_media_item_that_is_not_a_file_is_refused(
    hass: HomeAssistant, entry: ConfigEntry, folder: Path
) -> None:
    async def get_media_source(_: HomeAssistant) -> MediaSource:
        return Gallery("gallery")

    mock_integration(hass, MockModule("gallery"))
    mock_platform(hass, "gallery.media_source", Mock(async_get_media_source=get_media_source))
    assert await async_setup_component(hass, "gallery", {})
    picture = media("media-source://gallery/1")
    assert await refused(hass, "recognize", {"media": picture}) == (
        "media_not_local",
        {"media": picture["media_content_id"]},
    )


async def test_two_photos_are_compared(hass: HomeAssistant, entry: ConfigEntry, folder: Path) -> None:
    same = await act(hass, "compare_faces", {"first_media": item("obama"), "second_media": item("obama2")})
    assert same["same_person"] is True
    other = await act(hass, "compare_faces", {"first_media": item("obama"), "second_media": item("biden")})
    assert other["same_person"] is False
    assert other["similarity"] < 90 <= same["similarity"] <= 100


async def test_the_threshold_says_who_is_the_same(
    hass: HomeAssistant, entry: ConfigEntry, folder: Path
) -> None:
    hass.config_entries.async_update_entry(entry, options={"threshold": 100, "margin": 0})
    await hass.async_block_till_done()
    answer = await act(hass, "compare_faces", {"first_media": item("obama"), "second_media": item("obama2")})
    assert answer["same_person"] is False


async def test_what_cannot_be_answered_is_said(hass: HomeAssistant, entry: ConfigEntry, folder: Path) -> None:
    notes = media("media-source://media_source/local/notes.txt")
    questions: tuple[tuple[str, dict[str, Any], str], ...] = (
        ("recognize", {}, "image_missing"),
        ("recognize", {"entity_id": "camera.door", "media": item("biden")}, "image_missing"),
        ("recognize", {"media": notes}, "photo_not_an_image"),
        ("compare_faces", {"first_media": item("biden")}, "image_missing"),
        ("compare_faces", {"first_media": item("biden"), "second_media": item("brick")}, "photo_no_face"),
    )
    for action, data, key in questions:
        assert (await refused(hass, action, data))[0] == key


async def test_an_entity_that_the_user_may_not_see_is_not_shown(
    hass: HomeAssistant, entry: ConfigEntry, seeing_bridge: RunningBridge, hass_read_only_user: MockUser
) -> None:
    seeing_bridge.camera.show(photo("biden"))
    await hass.async_block_till_done()
    camera = {"entity_id": entity(hass, "camera")}
    await act(hass, "recognize", camera, user=hass_read_only_user)
    hass_read_only_user.mock_policy({"entities": {"domains": {"light": True}}})
    with pytest.raises(Unauthorized):
        await act(hass, "recognize", camera, user=hass_read_only_user)


async def test_a_failure_is_not_bad_input(
    hass: HomeAssistant, entry: ConfigEntry, seeing_doorbell: ConfigEntry, folder: Path
) -> None:
    await hass.config_entries.async_unload(seeing_doorbell.entry_id)
    assert await refused(hass, "recognize", {"media": item("biden")}, HomeAssistantError) == (
        "no_doorbell",
        {},
    )


async def test_without_recognition_nothing_is_asked(
    hass: HomeAssistant, seeing_doorbell: ConfigEntry, folder: Path
) -> None:
    needed = {
        "add_person": {"name": "Joe"},
        "add_photo": {"person": "Joe"},
        "remove_person": {"person": "Joe"},
        "rename_person": {"person": "Joe", "name": "Joseph"},
        "name_visitor": {"visit_id": "1", "person": "Joe"},
        "not_this_person": {"visit_id": "1"},
        "forget_everyone": {"confirm": "forget everyone"},
    }
    for action in ACTIONS:
        if action.name not in ("ring", "list_visits", "forget_visit"):
            said = await refused(hass, action.name, needed.get(action.name, {}), HomeAssistantError)
            assert said == ("no_recognition", {})


# Ringing


def device(hass: HomeAssistant, entry: ConfigEntry) -> str:
    """Return the id of the device of an entry."""
    (found,) = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
    return found.id


async def test_a_doorbell_rings_as_a_test(hass: HomeAssistant, seeing_doorbell: ConfigEntry) -> None:
    (event,) = (each for each in hass.states.async_entity_ids("event") if each.endswith("_doorbell"))
    async with change(hass, event) as rang:
        response = await act(hass, "ring", {"device_id": device(hass, seeing_doorbell)})
        attributes = (await rang).attributes
    assert attributes["event_type"] == "ring"
    assert attributes["visit_id"] == response["visit_id"]


async def test_a_visitor_is_not_taken_for_the_test(
    hass: HomeAssistant, seeing_doorbell: ConfigEntry, seeing_bridge: RunningBridge
) -> None:
    (event,) = (each for each in hass.states.async_entity_ids("event") if each.endswith("_doorbell"))

    async def visitor_comes_first() -> None:
        async with change(hass, event) as rang:
            seeing_bridge.press()
            await rang

    with (
        patch.object(seeing_doorbell.runtime_data, "async_press", visitor_comes_first),
        patch("custom_components.face_doorbell.services.RING_S", 0),
    ):
        response = await act(hass, "ring", {"device_id": device(hass, seeing_doorbell)})
    assert response == {"visit_id": None}


async def test_only_doorbells_ring(hass: HomeAssistant, entry: ConfigEntry) -> None:
    assert await refused(hass, "ring", {"device_id": device(hass, entry)}) == (
        "not_a_doorbell",
        {"name": "Face recognition"},
    )


async def test_a_doorbell_that_is_gone_does_not_ring(
    hass: HomeAssistant, seeing_doorbell: ConfigEntry, seeing_bridge: RunningBridge
) -> None:
    device_id = device(hass, seeing_doorbell)
    await seeing_bridge.stop()
    await until(lambda: not seeing_doorbell.runtime_data.connected)
    assert (await refused(hass, "ring", {"device_id": device_id}, HomeAssistantError))[
        0
    ] == "bridge_unreachable"
