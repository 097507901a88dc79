"""Persons and their photos: real uploads, the real bridge with its real face models, and AWS with the same eyes."""

from base64 import b64decode
from collections.abc import Callable, Coroutine
import io
from pathlib import Path
import re
from typing import Any

from homeassistant.config_entries import SOURCE_RECONFIGURE, ConfigEntry, ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.setup import async_setup_component
from PIL import Image
import pytest
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from custom_components.face_doorbell.const import DOMAIN
from custom_components.face_doorbell.recognition.images import FACE_SIDE
from tests.bridge.doubles import RunningBridge
from tests.photos import photo, two_people
from tests.recognition.conftest import Cloud

from .flow_tools import Step, answer_person, choose, start_person, state, upload

Upload = Callable[[bytes], Coroutine[Any, Any, str]]


@pytest.fixture
async def send(hass: HomeAssistant, hass_client: ClientSessionGenerator, tmp_path: Path) -> Upload:
    """Upload a file; others are in the media browser."""
    hass.config.media_dirs["local"] = str(tmp_path / "media")
    for component in ("file_upload", "media_source"):
        assert await async_setup_component(hass, component, {})
    client = await hass_client()
    return lambda content: upload(client, content)


def stored(hass: HomeAssistant) -> dict[str, bytes]:
    """Return all files that the gallery keeps, by path."""
    people = Path(hass.config.path(DOMAIN)) / "people"
    return {str(path.relative_to(people)): path.read_bytes() for path in people.rglob("*") if path.is_file()}


def uploads(hass: HomeAssistant) -> int:
    """Return how many uploads Home Assistant still keeps."""
    return len(hass.data["file_upload"].files)


async def add_person(hass: HomeAssistant, entry: ConfigEntry, send: Upload, name: str, *photos: bytes) -> str:
    """Add a person; return the id."""
    step = await start_person(hass, entry)
    fields = {f"photo_{number}": await send(content) for number, content in enumerate(photos, 1)}
    step = await answer_person(hass, step, {"name": name, **fields})
    assert step["type"] == "create_entry", step
    person_id: str = step["data"]["person_id"]
    return person_id


def people(entry: ConfigEntry) -> dict[str, str]:
    """Return the names of the subentries by their unique ids."""
    return {subentry.unique_id or "": subentry.title for subentry in entry.subentries.values()}


# Adding


async def test_a_person_is_added_with_three_photos(
    hass: HomeAssistant, entry: ConfigEntry, send: Upload
) -> None:
    step = await start_person(hass, entry)
    assert step["step_id"] == "user"
    step = await answer_person(
        hass,
        step,
        {
            "name": "  Barack   Obama ",
            "photo_1": await send(photo("obama")),
            "photo_2": await send(photo("obama2")),
            "photo_3": await send(photo("obama3")),
        },
    )
    assert step["type"] == "create_entry"
    (subentry,) = entry.subentries.values()
    person_id = subentry.data["person_id"]
    assert (subentry.title, subentry.unique_id, subentry.subentry_type) == (
        "Barack Obama",
        person_id,
        "person",
    )
    assert subentry.data == {"person_id": person_id}
    assert state(entry) is ConfigEntryState.LOADED
    (person,) = entry.runtime_data.persons
    assert (person.id, person.name, len(person.photos)) == (person_id, "Barack Obama", 3)
    assert uploads(hass) == 0


async def test_one_photo_is_enough(hass: HomeAssistant, entry: ConfigEntry, send: Upload) -> None:
    person_id = await add_person(hass, entry, send, "Joe", photo("biden"))
    assert people(entry) == {person_id: "Joe"}


def large_image() -> bytes:
    """Return a real photo of 20 MB."""
    return photo("obama") + bytes(20_000_000)


def tiny_image() -> bytes:
    target = io.BytesIO()
    Image.open(io.BytesIO(photo("obama"))).resize((60, 60)).save(target, "JPEG")
    return target.getvalue()


BAD_PHOTOS: dict[str, tuple[Callable[[], bytes], dict[str, str]]] = {
    "photo_no_face": (lambda: photo("brick"), {}),
    "photo_not_an_image": (lambda: b"%PDF-1.7 not a picture", {}),
    "photo_too_large": (large_image, {"limit_mb": "10"}),
    "photo_too_small": (tiny_image, {}),
}


async def test_a_bad_photo_is_named_and_leaves_nothing(
    hass: HomeAssistant, entry: ConfigEntry, send: Upload
) -> None:
    step = await start_person(hass, entry)
    good = await send(photo("biden"))
    for key, (make, told) in BAD_PHOTOS.items():
        step = await answer_person(
            hass, step, {"name": "Joe", "photo_1": good, "photo_2": await send(make())}
        )
        assert step["errors"] == {"photo_2": key}
        assert step["description_placeholders"].items() >= told.items()
        # Where it can be, the photo is shown.
        shown = pictures(step["description_placeholders"]["refused"])
        assert len(shown) == (0 if key in ("photo_not_an_image", "photo_too_large", "photo_too_small") else 1)
        assert people(entry) == {}
        assert entry.runtime_data.persons == ()
        assert stored(hass) == {}
        assert uploads(hass) == 0

    # The good photo need not be chosen again.
    step = await answer_person(hass, step, {"name": "Joe", "photo_1": good})
    assert step["type"] == "create_entry"
    assert [person.name for person in entry.runtime_data.persons] == ["Joe"]


async def test_an_upload_that_is_gone_is_asked_for_again(
    hass: HomeAssistant, entry: ConfigEntry, send: Upload
) -> None:
    step = await start_person(hass, entry)
    file_id = await send(photo("biden"))
    hass.data["file_upload"].files.clear()
    step = await answer_person(hass, step, {"name": "Joe", "photo_1": file_id})
    assert step["errors"] == {"photo_1": "photo_gone"}
    step = await answer_person(hass, step, {"name": "Joe", "photo_1": await send(photo("biden"))})
    assert step["type"] == "create_entry"


async def test_a_name_that_cannot_be_is_said_and_loses_no_photo(
    hass: HomeAssistant, entry: ConfigEntry, send: Upload
) -> None:
    await add_person(hass, entry, send, "Joe", photo("biden"))
    before = stored(hass)
    step = await start_person(hass, entry)
    file_id = await send(photo("obama"))
    for name, error in (("joe", "person_name_taken"), ("  ", "person_name_empty")):
        step = await answer_person(hass, step, {"name": name, "photo_1": file_id})
        assert step["errors"] == {"name": error}
        assert list(people(entry).values()) == ["Joe"]
        assert stored(hass) == before

    step = await answer_person(hass, step, {"name": "Barack", "photo_1": file_id})
    assert step["type"] == "create_entry"
    assert sorted(people(entry).values()) == ["Barack", "Joe"]


async def test_without_a_doorbell_nobody_is_added(
    hass: HomeAssistant, entry: ConfigEntry, send: Upload, seeing_bridge: RunningBridge
) -> None:
    (doorbell,) = [each for each in hass.config_entries.async_entries(DOMAIN) if each is not entry]
    await hass.config_entries.async_unload(doorbell.entry_id)
    step = await start_person(hass, entry)
    file_id = await send(photo("biden"))
    step = await answer_person(hass, step, {"name": "Joe", "photo_1": file_id})
    assert step["errors"] == {"base": "no_doorbell"}
    assert stored(hass) == {}

    await hass.config_entries.async_setup(doorbell.entry_id)
    step = await answer_person(hass, step, {"name": "Joe", "photo_1": file_id})
    assert step["type"] == "create_entry"


async def test_a_recognition_that_is_not_running_changes_nobody(
    hass: HomeAssistant, entry: ConfigEntry
) -> None:
    await hass.config_entries.async_unload(entry.entry_id)
    step = await start_person(hass, entry)
    assert (step["type"], step["reason"]) == ("abort", "not_loaded")


async def test_what_aws_refuses_leaves_nothing(
    hass: HomeAssistant, cloud_entry: ConfigEntry, real_cloud: Cloud, send: Upload
) -> None:
    before = real_cloud.state()
    step = await start_person(hass, cloud_entry)
    file_id = await send(photo("biden"))
    for operation, code, error in (
        ("IndexFaces", "AccessDeniedException", "missing_permission"),
        ("PutObject", "AccessDenied", "missing_permission"),
        ("CreateUser", "InternalServerError", "service_unavailable"),
    ):
        with real_cloud.failing(operation, code):
            step = await answer_person(hass, step, {"name": "Joe", "photo_1": file_id})
        assert step["errors"] == {"base": error}
        assert people(cloud_entry) == {}
        assert stored(hass) == {}
    step = await answer_person(hass, step, {"name": "Joe", "photo_1": file_id})
    assert step["type"] == "create_entry"
    assert real_cloud.state() != before


async def test_a_photo_of_somebody_else_is_refused_by_aws(
    hass: HomeAssistant, cloud_entry: ConfigEntry, real_cloud: Cloud, send: Upload
) -> None:
    step = await start_person(hass, cloud_entry)
    first = await send(photo("biden"))
    step = await answer_person(
        hass, step, {"name": "Joe", "photo_1": first, "photo_3": await send(photo("astronaut"))}
    )
    assert step["errors"] == {"photo_3": "photo_other_person"}
    assert people(cloud_entry) == {}
    assert stored(hass) == {}
    step = await answer_person(hass, step, {"name": "Joe", "photo_1": first})
    assert step["type"] == "create_entry"


# Changing


@pytest.fixture
async def joe(hass: HomeAssistant, entry: ConfigEntry, send: Upload) -> str:
    """A person with one photo."""
    return await add_person(hass, entry, send, "Joe", photo("biden"))


async def change(hass: HomeAssistant, entry: ConfigEntry, person_id: str, what: str) -> Step:
    """Walk to what is to be changed of a person."""
    (subentry_id,) = [each.subentry_id for each in entry.subentries.values() if each.unique_id == person_id]
    step: Step = await hass.config_entries.subentries.async_init(
        (entry.entry_id, "person"), context={"source": SOURCE_RECONFIGURE, "subentry_id": subentry_id}
    )
    assert step["menu_options"] == ["rename", "add_photos", "remove_photos"]
    assert step["description_placeholders"]["name"] == entry.subentries[subentry_id].title
    return await answer_person(hass, step, choose(what))


async def test_a_person_gets_another_name(
    hass: HomeAssistant, entry: ConfigEntry, send: Upload, joe: str
) -> None:
    await add_person(hass, entry, send, "Barack", photo("obama"))
    step = await change(hass, entry, joe, "rename")
    step = await answer_person(hass, step, {"name": "barack"})
    assert step["errors"] == {"name": "person_name_taken"}
    assert step["description_placeholders"]["name"] == "barack"
    assert people(entry)[joe] == "Joe"

    step = await answer_person(hass, step, {"name": "Joseph"})
    assert (step["type"], step["reason"]) == ("abort", "reconfigure_successful")
    assert people(entry)[joe] == "Joseph"
    assert entry.runtime_data.person(joe).name == "Joseph"


async def test_photos_are_added_all_or_none(hass: HomeAssistant, entry: ConfigEntry, send: Upload) -> None:
    barack = await add_person(hass, entry, send, "Barack", photo("obama"))
    before = stored(hass)
    step = await change(hass, entry, barack, "add_photos")
    good = await send(photo("obama2"))
    step = await answer_person(hass, step, {"photo_1": good, "photo_2": await send(photo("brick"))})
    assert step["errors"] == {"photo_2": "photo_no_face"}
    assert stored(hass) == before

    step = await answer_person(hass, step, {"photo_1": good, "photo_2": await send(photo("obama3"))})
    assert step["reason"] == "photos_changed"
    assert len(entry.runtime_data.person(barack).photos) == 3


async def test_photos_are_removed_but_not_the_last(
    hass: HomeAssistant, entry: ConfigEntry, send: Upload
) -> None:
    barack = await add_person(hass, entry, send, "Barack", photo("obama"), photo("obama2"))
    first, second = (each.id for each in entry.runtime_data.person(barack).photos)
    step = await change(hass, entry, barack, "remove_photos")
    (selector,) = step["data_schema"].schema.values()
    assert [option["value"] for option in selector.config["options"]] == [first, second]

    step = await answer_person(hass, step, {"photos": [first, second]})
    assert step["errors"] == {"base": "last_photo"}
    assert len(entry.runtime_data.person(barack).photos) == 2

    step = await answer_person(hass, step, {"photos": [first]})
    assert step["reason"] == "photos_changed"
    assert [each.id for each in entry.runtime_data.person(barack).photos] == [second]

    step = await change(hass, entry, barack, "remove_photos")
    assert (step["type"], step["reason"]) == ("abort", "no_photos")


async def test_a_person_without_a_gallery_entry_has_no_photos_to_remove(
    hass: HomeAssistant, entry: ConfigEntry, joe: str
) -> None:
    await entry.runtime_data.remove_person(joe)
    step = await change(hass, entry, joe, "remove_photos")
    assert (step["type"], step["reason"]) == ("abort", "no_photos")


async def test_a_deleted_person_is_forgotten(hass: HomeAssistant, entry: ConfigEntry, joe: str) -> None:
    (subentry_id,) = entry.subentries
    hass.config_entries.async_remove_subentry(entry, subentry_id)
    await hass.async_block_till_done()
    assert entry.runtime_data.persons == ()
    assert stored(hass) == {}


@pytest.mark.parametrize("what", ["rename", "add_photos", "remove_photos"])
async def test_who_is_removed_while_the_form_is_open_is_said_to_be_gone(
    hass: HomeAssistant, entry: ConfigEntry, joe: str, what: str
) -> None:
    flows = hass.config_entries.subentries
    (subentry_id,) = entry.subentries
    step = await flows.async_init(
        (entry.entry_id, "person"), context={"source": SOURCE_RECONFIGURE, "subentry_id": subentry_id}
    )
    hass.config_entries.async_remove_subentry(entry, subentry_id)
    await hass.async_block_till_done()
    step = await flows.async_configure(step["flow_id"], choose(what))
    assert (step["type"], step["reason"]) == ("abort", "person_removed")


async def test_a_person_survives_a_restart_of_recognition(
    hass: HomeAssistant, entry: ConfigEntry, joe: str
) -> None:
    await hass.config_entries.async_reload(entry.entry_id)
    (person,) = entry.runtime_data.persons
    assert (person.id, person.name, len(person.photos)) == (joe, "Joe", 1)


# What only the user knows


def pictures(markdown: str) -> list[bytes]:
    """Return the JPEGs that a text holds."""
    jpegs = [b64decode(each) for each in re.findall(r"!\[\]\(data:image/jpeg;base64,([^)]+)\)", markdown)]
    for jpeg in jpegs:
        with Image.open(io.BytesIO(jpeg)) as image:
            assert max(image.size) <= FACE_SIDE
    return jpegs


async def test_in_a_group_photo_the_user_picks_the_face(
    hass: HomeAssistant, entry: ConfigEntry, send: Upload
) -> None:
    step = await start_person(hass, entry)
    given = {"name": "Joe", "photo_1": await send(photo("biden")), "photo_2": await send(two_people())}
    step = await answer_person(hass, step, given)
    assert step["step_id"] == "face"
    told = step["description_placeholders"]
    assert told["name"] == "Joe"
    assert re.findall(r"\*\*(\d)\*\* !", told["faces"]) == ["1", "2"]
    left, right = pictures(told["faces"])
    recognizer = entry.runtime_data
    assert (
        await recognizer.compare(left, photo("biden")) > 90 > await recognizer.compare(right, photo("biden"))
    )
    (choice,) = step["data_schema"].schema.values()
    assert choice.config["options"] == ["1", "2"]
    assert stored(hass) == {}

    step = await answer_person(hass, step, {"face": "1"})
    assert step["type"] == "create_entry"
    (person,) = recognizer.persons
    assert len(person.photos) == 2
    _, faces = await recognizer.gate.faces(await recognizer.photo(person.id, person.photos[1].id))
    assert len(faces) == 1


async def test_all_that_is_wrong_is_told_at_once(
    hass: HomeAssistant, entry: ConfigEntry, send: Upload
) -> None:
    """And the group photo is asked about when the rest is well."""
    step = await start_person(hass, entry)
    given = {"name": "Joe", "photo_1": await send(photo("brick")), "photo_3": await send(two_people())}
    step = await answer_person(hass, step, {**given, "photo_2": await send(b"no picture")})
    assert step["errors"] == {"photo_1": "photo_no_face", "photo_2": "photo_not_an_image"}
    given["photo_1"] = await send(photo("biden"))
    step = await answer_person(hass, step, given)
    assert step["step_id"] == "face"
    step = await answer_person(hass, step, {"face": "1"})
    assert step["type"] == "create_entry"
    assert [len(person.photos) for person in entry.runtime_data.persons] == [2]


async def test_who_looks_like_somebody_else_has_to_be_confirmed(
    hass: HomeAssistant, entry: ConfigEntry, send: Upload
) -> None:
    barack = await add_person(hass, entry, send, "Barack", photo("obama"), photo("obama2"))
    before = stored(hass)
    step = await start_person(hass, entry)
    given = {"name": "Twin", "photo_1": await send(photo("obama3"))}
    doubt = await answer_person(hass, step, given)
    assert (doubt["step_id"], doubt["menu_options"]) == ("doubt", ["use_anyway", "other_photos"])
    told = doubt["description_placeholders"]["doubts"]
    assert re.search(r"\*\*Barack\*\*, 9\d %", told)
    assert len(pictures(told)) == 1
    assert f"/persons/{barack}/" in told
    assert stored(hass) == before

    step = await answer_person(hass, doubt, choose("other_photos"))
    assert (step["step_id"], step["errors"]) == ("user", {})
    assert (await answer_person(hass, step, given))["step_id"] == "doubt"
    step = await answer_person(hass, step, choose("use_anyway"))
    assert step["type"] == "create_entry"
    assert sorted(people(entry).values()) == ["Barack", "Twin"]
    advice = step["description_placeholders"]["advice"]
    assert "Barack looks alike (9" in advice


async def test_who_is_added_hears_what_is_missing(
    hass: HomeAssistant, entry: ConfigEntry, send: Upload
) -> None:
    step = await start_person(hass, entry)
    step = await answer_person(hass, step, {"name": "Barack", "photo_1": await send(photo("obama2"))})
    assert step["type"] == "create_entry"
    assert (step["description"], step["description_placeholders"]["advice"].split("\n\n")) == (
        "advice",
        [
            "Photos so far: 1. With 3 and more the doorbell is surer.",
            "None of the photos shows the face from the front; add one that does.",
        ],
    )
    (person_id,) = people(entry)
    step = await change(hass, entry, person_id, "add_photos")
    step = await answer_person(hass, step, {"photo_1": await send(photo("obama"))})
    assert step["reason"] == "photos_changed"
    assert step["description_placeholders"].items() >= {"name": "Barack", "count": "2"}.items()
    assert "Photos so far: 2." in step["description_placeholders"]["advice"]


async def test_photos_come_from_the_media_browser_too(
    hass: HomeAssistant, entry: ConfigEntry, send: Upload, tmp_path: Path
) -> None:
    folder = tmp_path / "media"
    folder.mkdir()
    for name in ("biden", "brick"):
        (folder / f"{name}.jpg").write_bytes(photo(name))

    def media(*names: str) -> dict[str, object]:
        where = "media-source://media_source/local/"
        items = [{"media_content_id": f"{where}{name}", "media_content_type": "image/jpeg"} for name in names]
        return {"name": "Joe", "media": items}

    step = await start_person(hass, entry)
    for given, error in (
        ({"name": "Joe"}, {"base": "photos_missing"}),
        (media("gone.jpg"), {"media": "media_unreadable"}),
        (media("biden.jpg", "brick.jpg"), {"media": "photo_no_face"}),
    ):
        step = await answer_person(hass, step, given)
        assert step["errors"] == error
    assert len(pictures(step["description_placeholders"]["refused"])) == 1
    step = await answer_person(hass, step, media("biden.jpg"))
    assert step["type"] == "create_entry"
    assert [len(person.photos) for person in entry.runtime_data.persons] == [1]
