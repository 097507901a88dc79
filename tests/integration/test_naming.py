"""Naming, correcting and forgetting visitors: the real seeing_bridge, real faces, both engines."""

import asyncio
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
import shutil
import threading
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import boto3
from homeassistant.config_entries import ConfigEntry, ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, Unauthorized
from homeassistant.helpers import device_registry as dr
from homeassistant.util import dt as dt_util
from PIL import Image
import pytest
from pytest_homeassistant_custom_component.common import MockUser
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from custom_components.face_doorbell.const import DOMAIN
from custom_components.face_doorbell.model import Embedding, Outcome
from custom_components.face_doorbell.naming import MOST_PHOTOS
from custom_components.face_doorbell.recognition.gallery import MAX_PHOTOS, Gallery, NewPhoto, Person
from custom_components.face_doorbell.visits import VISITS, Retention, Visit, VisitFace, VisitLog, VisitPicture
from custom_components.face_doorbell.visits.store import VisitStore
from tests.bridge.doubles import RunningBridge
from tests.fake_rekognition import Fault
from tests.photos import photo, two_people
from tests.recognition.conftest import BUCKET, Cloud

from .flow_tools import options
from .helpers import (
    BOX,
    LAST_VISITOR,
    RECOGNIZED,
    VISITOR,
    ScriptedEngine,
    add_doorbell,
    add_recognition,
    change,
    known,
    state,
    until,
    until_acked,
)
from .people import act, people, refused, ring, stored
from .test_condition import holds


@pytest.fixture(params=["entry", "cloud_entry"])
def any_entry(request: pytest.FixtureRequest) -> ConfigEntry:
    """Recognition with each engine."""
    entry: ConfigEntry = request.getfixturevalue(request.param)
    return entry


def files(hass: HomeAssistant) -> dict[Path, bytes]:
    """Return all that we keep on disk."""
    return {path: path.read_bytes() for path in Path(hass.config.path(DOMAIN)).rglob("*") if path.is_file()}


def leave_a_photo(hass: HomeAssistant) -> None:
    """Leave the photo of somebody whose record is lost, and whom nobody names any more."""
    lost = Path(hass.config.path(DOMAIN, "people", "somebody"))
    lost.mkdir()
    (lost / "0123456789abcdef.jpg").write_bytes(photo("obama"))


def objects(cloud: Cloud) -> dict[str, bytes]:
    """Return all objects in the bucket, with all their versions and marks of deletion."""
    found = {}
    listed = cloud.s3.list_object_versions(Bucket=BUCKET)
    for each in listed.get("Versions", ()):
        content = cloud.s3.get_object(Bucket=BUCKET, Key=each["Key"], VersionId=each["VersionId"])["Body"]
        found[f"{each['Key']} {each['VersionId']}"] = content.read()
    return found | {f"{each['Key']} deleted": b"" for each in listed.get("DeleteMarkers", ())}


def mirrored(jpeg: bytes) -> bytes:
    """Return another photo of the same person."""
    target = BytesIO()
    with Image.open(BytesIO(jpeg)) as image:
        image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(target, "JPEG")
    return target.getvalue()


def smaller(jpeg: bytes, face: int) -> bytes:
    """Return the photo so small that its face is about so many pixels wide."""
    with Image.open(BytesIO(jpeg)) as image:
        scale = face / 324  # the width of biden's
        target = BytesIO()
        image.resize((round(image.width * scale), round(image.height * scale))).save(target, "JPEG")
        return target.getvalue()


# The two-step story


@pytest.mark.parametrize("versioned", [False, True])
async def test_a_stranger_is_named_and_recognized_and_forgotten(
    hass: HomeAssistant,
    seeing_bridge: RunningBridge,
    any_entry: ConfigEntry,
    request: pytest.FixtureRequest,
    *,
    versioned: bool,
) -> None:
    real_cloud: Cloud | None = (
        request.getfixturevalue("real_cloud") if any_entry.data["engine"] == "rekognition" else None
    )
    if real_cloud and versioned:
        real_cloud.s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    first = await ring(hass, seeing_bridge, "obama")
    assert first.outcome is Outcome.UNKNOWN

    named = await act(hass, "name_visitor", {"visit_id": first.visit_id, "person": "Bartholomew"})
    assert (named["name"], named["photos_added"]) == ("Bartholomew", 1)
    assert named["visits"] == [first.visit_id]
    assert stored(hass, first.visit_id).names == ["Bartholomew"]
    assert state(hass, LAST_VISITOR).state == "Bartholomew"
    (photo_file,) = (
        path for path in files(hass) if path.parent.name == named["person_id"] and path.suffix == ".jpg"
    )
    reference = photo_file.read_bytes()

    second = await ring(hass, seeing_bridge, "obama2")
    assert (second.outcome, second.names) == (Outcome.RECOGNIZED, ["Bartholomew"])

    removed = await act(hass, "remove_person", {"person": "Bartholomew"})
    assert removed["people"] == [{"person_id": named["person_id"], "name": "Bartholomew", "photos": 1}]
    assert (removed["visits"], removed["pending"], removed["old_versions_remain"]) == (2, False, False)
    if real_cloud:
        assert removed["deleted"].items() >= {"objects": 2, "users": 1, "faces": 1}.items()
    assert people(any_entry) == {}

    third = await ring(hass, seeing_bridge, "obama3")
    assert (third.outcome, third.names) == (Outcome.UNKNOWN, [])

    needles = [named["person_id"].encode(), b"Bartholomew", reference, photo_file.stem.encode()]
    kept = {str(path): content for path, content in files(hass).items()}
    if real_cloud:
        kept |= objects(real_cloud) | {"collection": repr(real_cloud.rekognition.state()).encode()}
    for where, content in kept.items():
        assert not [needle for needle in needles if needle in content or needle in where.encode()], where
    # What the visits keep of the face is nothing that could recognize it.
    for visit_id in (first.visit_id, second.visit_id):
        (face,) = stored(hass, visit_id).faces
        assert (face.person_id, face.similarity, face.group, face.photo_id) == (None, None, None, None)


@pytest.mark.parametrize("operation", ["ListObjectVersions", "DeleteObjects"])
async def test_old_versions_that_may_not_be_deleted_are_told(
    hass: HomeAssistant,
    seeing_bridge: RunningBridge,
    cloud_entry: ConfigEntry,
    real_cloud: Cloud,
    operation: str,
) -> None:
    """The bucket keeps versions, and the key may not see or not delete them."""
    real_cloud.s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    visit = await ring(hass, seeing_bridge, "obama")
    await act(hass, "name_visitor", {"visit_id": visit.visit_id, "person": "Bartholomew"})
    with real_cloud.denied_versions(operation):
        removed = await act(hass, "remove_person", {"person": "Bartholomew"})
    assert removed["old_versions_remain"]
    assert removed["deleted"]["objects"] == 2
    assert "versions" not in removed["deleted"]
    assert real_cloud.keys() == set()
    assert objects(real_cloud)

    everyone = await act(hass, "forget_everyone", {"confirm": "Forget everyone"})
    assert not everyone["old_versions_remain"]
    assert objects(real_cloud) == {}


# Naming


async def test_a_stranger_comes_again_and_again_and_is_named_once(
    hass: HomeAssistant, seeing_bridge: RunningBridge, any_entry: ConfigEntry
) -> None:
    visits = [await ring(hass, seeing_bridge, name) for name in ("obama", "biden", "obama2", "obama3")]
    groups = [visit.faces[0].group for visit in visits]
    assert groups[0] == groups[2] == groups[3] != groups[1]
    listed = await act(hass, "list_visits", {"outcome": "unknown"})
    assert [visit["faces"][0]["group"] for visit in listed["visits"]] == groups[::-1]

    named = await act(hass, "name_visitor", {"visit_id": visits[2].visit_id, "person": "Bartholomew"})
    obama = {visits[index].visit_id for index in (0, 2, 3)}
    assert set(named["visits"]) == obama
    assert (named["photos_added"], named["photos_refused"]) == (3, [])
    assert {visit.visit_id for visit in hass.data[VISITS].newest_first() if visit.names} == obama
    for visit_id in obama:
        (face,) = stored(hass, visit_id).faces
        assert (face.name, face.by_user, face.group, face.similarity) == ("Bartholomew", True, None, None)
        assert face.photo_id


async def test_of_many_faces_the_best_become_photos(
    hass: HomeAssistant, seeing_bridge: RunningBridge, entry: ConfigEntry
) -> None:
    photos = [photo(name) for name in ("obama", "obama2", "obama3")]
    visits = [await ring(hass, seeing_bridge, each) for each in (*photos, *map(mirrored, photos))]
    assert len({visit.faces[0].group for visit in visits}) == 1
    named = await act(hass, "name_visitor", {"visit_id": visits[4].visit_id, "person": "Bartholomew"})
    assert (len(named["visits"]), named["photos_added"]) == (6, MOST_PHOTOS)
    qualities = {visit.visit_id: visit.faces[0].quality or 0 for visit in visits}
    left_out = min(set(qualities) - {visits[4].visit_id}, key=lambda visit_id: qualities[visit_id])
    without = [visit_id for visit_id in qualities if not stored(hass, visit_id).faces[0].photo_id]
    assert without == [left_out]


async def test_who_looks_like_somebody_else_is_named_but_makes_no_photo(
    hass: HomeAssistant, seeing_bridge: RunningBridge, entry: ConfigEntry
) -> None:
    """Unless the user insists: the stranger of before looks like whom the doorbell has got to know since."""
    stranger, first = [await ring(hass, seeing_bridge, name) for name in ("obama2", "obama")]
    await act(
        hass,
        "name_visitor",
        {"visit_id": first.visit_id, "person": "Bartholomew", "whole_group": False},
    )
    data = {"visit_id": stranger.visit_id, "face": 0, "person": "Joe", "whole_group": False}
    named = await act(hass, "name_visitor", data)
    assert (named["name"], named["photos"], named["photos_added"]) == ("Joe", 0, 0)
    (doubt,) = named["photos_refused"]
    assert doubt["reason"] == "photo_looks_like"
    assert doubt["details"]["person"] == "Bartholomew"
    assert doubt["message"].startswith("This looks like Bartholomew (9")
    assert stored(hass, stranger.visit_id).names == ["Joe"]
    assert sorted(people(entry).values()) == ["Bartholomew", "Joe"]

    named = await act(hass, "name_visitor", {**data, "person": named["person_id"], "force": True})
    assert (named["photos"], named["photos_added"], named["photos_refused"]) == (1, 1, [])


async def test_only_this_visit_is_named_on_request(
    hass: HomeAssistant, seeing_bridge: RunningBridge, entry: ConfigEntry
) -> None:
    first, second = [await ring(hass, seeing_bridge, name) for name in ("obama", "obama2")]
    named = await act(
        hass,
        "name_visitor",
        {"visit_id": second.visit_id, "person": "Bartholomew", "whole_group": False},
    )
    assert (named["visits"], named["photos_added"]) == ([second.visit_id], 1)
    assert stored(hass, first.visit_id) == first


async def test_groups_are_there_after_a_restart(
    hass: HomeAssistant, seeing_bridge: RunningBridge, entry: ConfigEntry
) -> None:
    first = await ring(hass, seeing_bridge, "obama")
    hass.data[VISITS] = VisitLog(hass, Path(hass.config.path(DOMAIN)) / "visits")
    await hass.data[VISITS].async_load()
    (doorbell,) = (each for each in hass.config_entries.async_entries(DOMAIN) if each is not entry)
    await hass.config_entries.async_reload(doorbell.entry_id)
    second = await ring(hass, seeing_bridge, "obama2")
    assert first.faces[0].group
    assert second.faces[0].group == first.faces[0].group


async def test_faces_of_another_model_are_another_group(hass: HomeAssistant, tmp_path: Path) -> None:
    log = VisitLog(hass, tmp_path / "visits")
    await log.async_load()
    groups: list[str | None] = []
    for model in ("mobilefacenet-1", "another-2", "mobilefacenet-1"):
        visit = Visit(model + str(len(groups)), "9f3c21ab", dt_util.utcnow(), faces=(VisitFace(BOX),))
        added = await log.async_add(visit, {}, [Embedding(model, (1.0, 0.0))])
        groups.append(added.faces[0].group)
    assert groups[0] == groups[2] != groups[1]


async def test_a_known_person_gets_one_more_photo(
    hass: HomeAssistant, seeing_bridge: RunningBridge, any_entry: ConfigEntry
) -> None:
    first = await ring(hass, seeing_bridge, "obama")
    barack = await act(hass, "name_visitor", {"visit_id": first.visit_id, "person": "Bartholomew"})
    second = await ring(hass, seeing_bridge, "obama2")
    for who in (barack["person_id"], "bartholomew"):
        named = await act(hass, "name_visitor", {"visit_id": second.visit_id, "person": who})
        assert named["person_id"] == barack["person_id"]
    assert named["photos"] == 2  # the second time changes nothing
    assert len(people(any_entry)) == 1


async def test_one_of_two_strangers_is_named(
    hass: HomeAssistant, seeing_bridge: RunningBridge, entry: ConfigEntry
) -> None:
    visit = await ring(hass, seeing_bridge, two_people())
    assert [face.person_id for face in visit.faces] == [None, None]
    named = await act(hass, "name_visitor", {"visit_id": visit.visit_id, "person": "Joe", "face": 1})
    assert named["photos_added"] == 1
    assert [face.name for face in stored(hass, visit.visit_id).faces] == [None, "Joe"]
    assert (await ring(hass, seeing_bridge, "biden")).names == ["Joe"]
    # Without a number the stranger is meant who is left.
    await act(hass, "name_visitor", {"visit_id": visit.visit_id, "person": "Bartholomew"})
    assert stored(hass, visit.visit_id).names == ["Bartholomew", "Joe"]
    # A mirror at the door shows Joe twice.
    again = {"visit_id": visit.visit_id, "person": "Joe", "face": 0, "force": True}
    await act(hass, "name_visitor", again)
    assert stored(hass, visit.visit_id).names == ["Joe"]


@pytest.mark.parametrize("known", [True, False])
async def test_a_face_that_makes_no_good_photo_names_the_visit_only(
    hass: HomeAssistant, seeing_bridge: RunningBridge, any_entry: ConfigEntry, *, known: bool
) -> None:
    if known:
        first = await ring(hass, seeing_bridge, "obama")
        await act(hass, "name_visitor", {"visit_id": first.visit_id, "person": "Joe"})
    far_away = await ring(hass, seeing_bridge, smaller(photo("biden"), 60))
    named = await act(hass, "name_visitor", {"visit_id": far_away.visit_id, "person": "Joe"})
    assert (named["photos"], named["photos_added"]) == (int(known), 0)
    (refusal,) = named["photos_refused"]
    assert refusal.items() >= {
        "visit_id": far_away.visit_id, "face": 0, "reason": "photo_face_too_small"
    }.items()  # fmt: skip
    assert stored(hass, far_away.visit_id).names == ["Joe"]
    assert list(people(any_entry).values()) == ["Joe"]

    # The next good picture makes up for it.
    near = await ring(hass, seeing_bridge, "biden")
    if not known:
        named = await act(hass, "name_visitor", {"visit_id": near.visit_id, "person": "Joe"})
        assert (named["photos_added"], named["photos_refused"]) == (1, [])


async def test_a_visit_is_named_while_the_engine_is_away(
    hass: HomeAssistant, seeing_bridge: RunningBridge, cloud_entry: ConfigEntry, real_cloud: Cloud
) -> None:
    visit = await ring(hass, seeing_bridge, "obama")
    data = {"visit_id": visit.visit_id, "person": "Joe"}
    with real_cloud.failing("IndexFaces", "InternalServerError", status=500):
        named = await act(hass, "name_visitor", data)
    assert (named["photos"], [each["reason"] for each in named["photos_refused"]]) == (
        0,
        ["service_unavailable"],
    )
    assert stored(hass, visit.visit_id).names == ["Joe"]
    assert (await act(hass, "name_visitor", data))["photos_added"] == 1
    assert (await ring(hass, seeing_bridge, "obama2")).names == ["Joe"]


async def test_a_person_who_has_all_photos_gets_no_more(
    hass: HomeAssistant, seeing_bridge: RunningBridge, entry: ConfigEntry
) -> None:
    visit = await ring(hass, seeing_bridge, "obama")
    joe = await act(hass, "name_visitor", {"visit_id": visit.visit_id, "person": "Joe"})
    embedding = Embedding("another-2", (1.0, 0.0))
    many = [NewPhoto(photo("obama") + bytes([n]), embedding) for n in range(MAX_PHOTOS - 1)]
    await entry.runtime_data.add_photos(joe["person_id"], many)
    named = await act(hass, "name_visitor", {"visit_id": visit.visit_id, "person": "Joe"})
    assert [each["reason"] for each in named["photos_refused"]] == ["too_many_photos"]
    # The photo that was made of this face before is still its own, and goes with it.
    await act(hass, "not_this_person", {"visit_id": visit.visit_id})
    assert len(entry.runtime_data.person(joe["person_id"]).photos) == MAX_PHOTOS - 1


async def test_who_is_named_later_was_not_recognized_at_the_door(
    hass: HomeAssistant, seeing_bridge: RunningBridge, entry: ConfigEntry
) -> None:
    """Nothing may open or welcome because of a name that was given hours later."""
    visit = await ring(hass, seeing_bridge, "obama")
    visitor = state(hass, VISITOR)
    await act(hass, "name_visitor", {"visit_id": visit.visit_id, "person": "Bartholomew"})
    assert state(hass, RECOGNIZED).state == "off"
    assert state(hass, VISITOR) == visitor
    assert state(hass, LAST_VISITOR).state == "Bartholomew"
    assert stored(hass, visit.visit_id).outcome is Outcome.RECOGNIZED
    assert not await holds(hass, "is_last_visitor", persons=["Bartholomew"])
    assert not await holds(hass, "is_last_visitor", outcome="recognized")
    assert await holds(hass, "is_last_visitor", outcome="unknown")


# Correcting


async def test_a_wrong_name_is_corrected_and_the_photo_taken_back(
    hass: HomeAssistant, seeing_bridge: RunningBridge, any_entry: ConfigEntry
) -> None:
    visit = await ring(hass, seeing_bridge, "obama")
    joe_visit = await ring(hass, seeing_bridge, "biden")
    joe = await act(hass, "name_visitor", {"visit_id": joe_visit.visit_id, "person": "Joe"})
    wrong = {"visit_id": visit.visit_id, "person": "Joe", "force": True}
    if any_entry.data["engine"] == "local":
        assert (await act(hass, "name_visitor", wrong))["photos"] == 2
    else:  # AWS sees that this is not the same person
        assert (await act(hass, "name_visitor", wrong))["photos_refused"]
    assert stored(hass, visit.visit_id).names == ["Joe"]

    right = await act(hass, "name_visitor", {"visit_id": visit.visit_id, "face": 0, "person": "Bartholomew"})
    assert right["photos_added"] == 1
    assert stored(hass, visit.visit_id).names == ["Bartholomew"]
    assert len(any_entry.runtime_data.person(joe["person_id"]).photos) == 1
    assert (await ring(hass, seeing_bridge, "biden")).names == ["Joe"]
    assert (await ring(hass, seeing_bridge, "obama2")).names == ["Bartholomew"]


async def test_who_is_not_whom_the_doorbell_took_them_for_is_learnt(
    hass: HomeAssistant, seeing_bridge: RunningBridge, entry: ConfigEntry
) -> None:
    """ "Not Alice: Bob." That the face looks like Alice is the mistake that is being corrected, and no doubt."""
    first = await ring(hass, seeing_bridge, "obama")
    await act(hass, "name_visitor", {"visit_id": first.visit_id, "person": "Alice"})
    wrong = await ring(hass, seeing_bridge, "obama2")
    assert wrong.names == ["Alice"]
    named = await act(hass, "name_visitor", {"visit_id": wrong.visit_id, "face": 0, "person": "Bob"})
    assert (named["name"], named["photos_added"], named["photos_refused"]) == ("Bob", 1, [])
    assert stored(hass, wrong.visit_id).names == ["Bob"]
    assert stored(hass, first.visit_id).names == ["Alice"]


async def test_a_wrong_match_becomes_a_stranger(
    hass: HomeAssistant, seeing_bridge: RunningBridge, any_entry: ConfigEntry
) -> None:
    first = await ring(hass, seeing_bridge, "obama")
    barack = await act(hass, "name_visitor", {"visit_id": first.visit_id, "person": "Bartholomew"})
    second = await ring(hass, seeing_bridge, "obama2")
    assert second.names == ["Bartholomew"]

    answer = await act(hass, "not_this_person", {"visit_id": second.visit_id})
    assert (answer["outcome"], answer["names"], answer["unknown_faces"]) == ("unknown", [], 1)
    corrected = stored(hass, second.visit_id)
    assert corrected.faces[0].by_user
    assert corrected.faces[0].group
    assert len(any_entry.runtime_data.person(barack["person_id"]).photos) == 1

    # What was named by mistake is a reference photo no longer.
    await act(hass, "not_this_person", {"visit_id": first.visit_id})
    assert any_entry.runtime_data.person(barack["person_id"]).photos == ()
    assert (await ring(hass, seeing_bridge, "obama3")).outcome is Outcome.UNKNOWN


async def test_a_visit_that_is_forgotten_while_it_is_named_leaves_a_person_whom_home_assistant_knows(
    hass: HomeAssistant, seeing_bridge: RunningBridge, entry: ConfigEntry
) -> None:
    """Retention does not ask whether somebody is looking at a visit."""
    visit = await ring(hass, seeing_bridge, "obama")
    gate, log = entry.runtime_data.gate, hass.data[VISITS]
    admit = gate.admit

    async def slowly(*args: Any, **kwargs: Any) -> NewPhoto:
        await log.async_set_retention(Retention(visits=0))
        new: NewPhoto = await admit(*args, **kwargs)
        return new

    with patch.object(gate, "admit", slowly):
        named = await act(hass, "name_visitor", {"visit_id": visit.visit_id, "person": "Barack"})
    assert (named["photos_added"], named["visits"]) == (1, [])
    assert people(entry) == {named["person_id"]: "Barack"}
    assert [person.id for person in entry.runtime_data.persons] == [named["person_id"]]


async def test_a_visit_whose_picture_is_broken_is_named_without_a_photo(
    hass: HomeAssistant, entry: ConfigEntry, hass_client: ClientSessionGenerator
) -> None:
    visit = Visit(
        str(uuid4()),
        "door",
        dt_util.utcnow(),
        outcome=Outcome.UNKNOWN,
        faces=(VisitFace(BOX),),
        pictures=(VisitPicture(0),),
        picture=0,
    )
    await hass.data[VISITS].async_add(visit, {0: photo("obama")[:5000]})
    client = await hass_client()
    for part in ("thumbnails/0.jpg", "faces/0.jpg"):
        assert (await client.get(f"/api/face_doorbell/visits/{visit.visit_id}/{part}")).status == 404
    named = await act(hass, "name_visitor", {"visit_id": visit.visit_id, "person": "Barack"})
    assert (named["photos_added"], named["visits"]) == (0, [visit.visit_id])


async def test_an_automation_that_starts_anew_stops_no_naming_half_way(
    hass: HomeAssistant, seeing_bridge: RunningBridge, entry: ConfigEntry
) -> None:
    visit = await ring(hass, seeing_bridge, "obama")
    going, go = asyncio.Event(), threading.Event()
    add_person = Gallery.add_person

    def slowly(gallery: Gallery, name: str, photos: Sequence[NewPhoto], person_id: str | None) -> Person:
        hass.loop.call_soon_threadsafe(going.set)
        go.wait()
        return add_person(gallery, name, photos, person_id)

    with patch.object(Gallery, "add_person", slowly):
        naming = {"visit_id": visit.visit_id, "person": "Barack"}
        run = asyncio.ensure_future(hass.services.async_call(DOMAIN, "name_visitor", naming, blocking=True))
        await going.wait()
        run.cancel()
        await asyncio.wait([run])
        go.set()
        await hass.async_block_till_done()
    assert run.cancelled()
    assert list(people(entry).values()) == stored(hass, visit.visit_id).names == ["Barack"]
    assert {person.id for person in entry.runtime_data.persons} == set(people(entry))


async def test_visits_of_a_doorbell_that_is_away_are_listed(
    hass: HomeAssistant, bridge: RunningBridge
) -> None:
    door = await add_doorbell(hass, bridge)
    bridge.press()
    await until_acked(bridge)
    (device,) = dr.async_entries_for_config_entry(dr.async_get(hass), door.entry_id)
    await hass.config_entries.async_unload(door.entry_id)
    assert (await act(hass, "list_visits", {"device_id": device.id}))["count"] == 1
    service = await add_recognition(hass, ScriptedEngine())
    (device,) = dr.async_entries_for_config_entry(dr.async_get(hass), service.entry_id)
    assert await refused(hass, "list_visits", {"device_id": device.id}) == "not_a_doorbell"


async def test_a_doorbell_that_stands_in_from_now_on_knows_everybody(
    hass: HomeAssistant, seeing_bridge: RunningBridge, cloud_entry: ConfigEntry, real_cloud: Cloud
) -> None:
    """The option was off when recognition was set up, and takes effect without a new start."""

    async def stand_in(*, wanted: bool) -> None:
        form = await options(hass, cloud_entry, "limits")
        chosen = {"fallback": wanted, "late_after": 60}
        await hass.config_entries.options.async_configure(form["flow_id"], chosen)
        await hass.async_block_till_done()

    await stand_in(wanted=False)
    visit = await ring(hass, seeing_bridge, "obama")
    await act(hass, "name_visitor", {"visit_id": visit.visit_id, "person": "Barack"})
    await stand_in(wanted=True)
    real_cloud.rekognition.fail["SearchUsersByImage"] = Fault("AccessDeniedException")
    visit = await ring(hass, seeing_bridge, "obama2")
    assert (visit.engine, visit.fallback, visit.names) == ("local", True, ["Barack"])


async def test_a_disk_that_fails_keeps_nobody_who_is_removed(
    hass: HomeAssistant, seeing_bridge: RunningBridge, entry: ConfigEntry
) -> None:
    """The name in past visits goes as soon as the disk takes it."""
    visit = await ring(hass, seeing_bridge, "obama")
    await act(hass, "name_visitor", {"visit_id": visit.visit_id, "person": "Barack"})
    with patch.object(VisitStore, "rewrite", side_effect=OSError("no space left")):
        key = await refused(hass, "remove_person", {"person": "Barack"}, HomeAssistantError)
        await hass.async_block_till_done()
    assert (key, people(entry)) == ("storage_failed", {})
    await hass.config_entries.async_reload(entry.entry_id)
    assert entry.state is ConfigEntryState.LOADED
    assert stored(hass, visit.visit_id).names == []


async def test_with_recognition_go_all_faces_on_this_disk_whether_aws_is_there_or_not(
    hass: HomeAssistant, seeing_bridge: RunningBridge, cloud_entry: ConfigEntry, real_cloud: Cloud
) -> None:
    leave_a_photo(hass)
    real_cloud.rekognition.fail["ListFaces"] = Fault("AccessDeniedException")
    await hass.config_entries.async_remove(cloud_entry.entry_id)
    await hass.async_block_till_done()
    assert not [path for path in files(hass) if "people" in path.parts]


async def test_with_recognition_go_the_names_of_who_is_being_recognized(
    hass: HomeAssistant, bridge: RunningBridge
) -> None:
    await add_doorbell(hass, bridge)
    engine = ScriptedEngine([(known("ann-1"),)])
    entry = await add_recognition(hass, engine, {"ann-1": "Ann"})
    engine.go.clear()
    async with change(hass, VISITOR) as visited:
        bridge.press()
        await until(lambda: engine.asked)
        await hass.config_entries.async_remove(entry.entry_id)
        engine.go.set()
        visit_id = (await visited).attributes["visit_id"]
    await until_acked(bridge)
    assert stored(hass, visit_id).names == []
    assert not any(b"ann-1" in content for content in files(hass).values())


async def test_who_is_removed_while_being_recognized_is_a_stranger(
    hass: HomeAssistant, bridge: RunningBridge
) -> None:
    await add_doorbell(hass, bridge)
    engine = ScriptedEngine([(known("ann-1"), known("bob-1"))])
    await add_recognition(hass, engine, {"ann-1": "Ann", "bob-1": "Bob"})
    engine.go.clear()
    with patch("custom_components.face_doorbell.engines.LocalEngine", return_value=engine):
        async with change(hass, VISITOR) as visited:
            bridge.press()
            await until(lambda: engine.asked)
            await act(hass, "remove_person", {"person": "Ann"})
            engine.go.set()
            visit_id = (await visited).attributes["visit_id"]
    await until_acked(bridge)
    ann, bob = stored(hass, visit_id).faces
    assert (ann.person_id, ann.name, ann.similarity, bob.name) == (None, None, None, "Bob")
    assert not any(b"ann-1" in content for content in files(hass).values())


@pytest.mark.parametrize(
    ("data", "key"),
    [
        ({"visit_id": "nobody"}, "visit_not_found"),
        ({"face": 1}, "face_not_found"),
    ],
)
async def test_what_is_not_there_cannot_be_named(
    hass: HomeAssistant, seeing_bridge: RunningBridge, entry: ConfigEntry, data: dict[str, object], key: str
) -> None:
    visit = await ring(hass, seeing_bridge, "obama")
    data = {"visit_id": visit.visit_id, **data}
    assert await refused(hass, "name_visitor", {**data, "person": "Bartholomew"}) == key
    assert await refused(hass, "not_this_person", data) == key
    assert people(entry) == {}


async def test_a_visit_without_a_face_has_nobody_to_name(
    hass: HomeAssistant, seeing_bridge: RunningBridge, entry: ConfigEntry
) -> None:
    visit = await ring(hass, seeing_bridge, "brick")
    said = await refused(hass, "name_visitor", {"visit_id": visit.visit_id, "person": "Bartholomew"})
    assert said == "face_not_found"


# Forgetting


async def test_a_forgotten_visit_is_gone(
    hass: HomeAssistant, seeing_bridge: RunningBridge, entry: ConfigEntry, hass_client: ClientSessionGenerator
) -> None:
    first = await ring(hass, seeing_bridge, "obama")
    second = await ring(hass, seeing_bridge, "biden")
    client = await hass_client()
    address = f"/api/face_doorbell/visits/{second.visit_id}"
    assert (await client.get(f"{address}/faces/0.jpg")).status == 200

    forgotten = await act(hass, "forget_visit", {"visit_id": second.visit_id})
    assert forgotten == {"visit_id": second.visit_id, "pictures": len(second.pictures)}
    assert [path for path in files(hass) if second.visit_id in str(path)] == []
    for picture in ("0.jpg", "faces/0.jpg", "thumbnails/0.jpg"):
        assert (await client.get(f"{address}/{picture}")).status == 404
    assert state(hass, LAST_VISITOR).attributes["visit_id"] == first.visit_id
    assert await refused(hass, "forget_visit", {"visit_id": second.visit_id}) == "visit_not_found"


@pytest.mark.parametrize("name", ["Joe", "", "x" * 101])
async def test_a_name_that_cannot_be_is_taken_back_where_home_assistant_takes_it(
    hass: HomeAssistant, seeing_bridge: RunningBridge, entry: ConfigEntry, name: str
) -> None:
    """Its own dialog for the name of a subentry asks nobody."""
    visits = {who: await ring(hass, seeing_bridge, who) for who in ("obama", "biden")}
    for who, called in (("obama", "Barack"), ("biden", "Joe")):
        await act(hass, "name_visitor", {"visit_id": visits[who].visit_id, "person": called})
    subentry = next(each for each in entry.subentries.values() if each.title == "Barack")
    hass.config_entries.async_update_subentry(entry, subentry, title=name)
    await hass.async_block_till_done()
    assert sorted(people(entry).values()) == ["Barack", "Joe"]
    assert stored(hass, visits["obama"].visit_id).names == ["Barack"]


async def test_a_rename_reaches_past_visits(
    hass: HomeAssistant, seeing_bridge: RunningBridge, any_entry: ConfigEntry
) -> None:
    visit = await ring(hass, seeing_bridge, "obama")
    named = await act(hass, "name_visitor", {"visit_id": visit.visit_id, "person": "Bartholomew"})
    answer = await act(hass, "rename_person", {"person": "bartholomew", "name": "Barry"})
    assert answer == {"person_id": named["person_id"], "name": "Barry", "photos": 1}
    assert people(any_entry) == {named["person_id"]: "Barry"}
    assert stored(hass, visit.visit_id).names == ["Barry"]
    assert state(hass, LAST_VISITOR).state == "Barry"
    assert not [path for path, content in files(hass).items() if b"Bartholomew" in content]


async def test_who_is_removed_while_aws_is_away_follows_later(
    hass: HomeAssistant, seeing_bridge: RunningBridge, cloud_entry: ConfigEntry, real_cloud: Cloud
) -> None:
    visit = await ring(hass, seeing_bridge, "obama")
    await act(hass, "name_visitor", {"visit_id": visit.visit_id, "person": "Bartholomew"})
    with real_cloud.failing("ListObjectsV2", "InternalError", status=500):
        removed = await act(hass, "remove_person", {"person": "Bartholomew"})
    assert removed["pending"]
    assert stored(hass, visit.visit_id).names == []
    assert real_cloud.keys() != set()

    await hass.config_entries.async_reload(cloud_entry.entry_id)
    assert real_cloud.keys() == set()


@pytest.mark.parametrize("way", ["action", "options"])
async def test_everyone_is_forgotten(
    hass: HomeAssistant,
    seeing_bridge: RunningBridge,
    any_entry: ConfigEntry,
    request: pytest.FixtureRequest,
    way: str,
) -> None:
    first = await ring(hass, seeing_bridge, "obama")
    await act(hass, "name_visitor", {"visit_id": first.visit_id, "person": "Bartholomew"})
    second = await ring(hass, seeing_bridge, "biden")
    await act(hass, "name_visitor", {"visit_id": second.visit_id, "person": "Joe"})
    await ring(hass, seeing_bridge, "astronaut")

    if way == "action":
        assert await refused(hass, "forget_everyone", {"confirm": "yes"}) == "not_confirmed"
        assert len(people(any_entry)) == 2
        told = await act(hass, "forget_everyone", {"confirm": "forget everyone"})
        assert sorted(person["name"] for person in told["people"]) == ["Bartholomew", "Joe"]
        assert (told["visits"], told["pending"]) == (3, False)
    else:
        step = await options(hass, any_entry, "forget_everyone")
        step = await hass.config_entries.options.async_configure(step["flow_id"], {"confirm": "yes"})
        assert step["errors"] == {"confirm": "not_confirmed"}
        assert len(people(any_entry)) == 2
        phrase = (step["description_placeholders"] or {})["phrase"]
        step = await hass.config_entries.options.async_configure(step["flow_id"], {"confirm": phrase})
        assert (step["type"], step["reason"]) == ("abort", "everyone_forgotten")
        assert step["description_placeholders"] == {"people": "2", "visits": "3"}
    await hass.async_block_till_done()

    assert people(any_entry) == {}
    left = {
        path.name for path in files(hass) if not path.name.startswith("usage.")
    }  # what AWS has been paid for
    assert left <= {"removed.json", "forgotten.json"}
    if any_entry.data["engine"] == "rekognition":
        real_cloud: Cloud = request.getfixturevalue("real_cloud")
        assert objects(real_cloud) == {}
        collection = real_cloud.rekognition.collection()
        assert collection is None or not (collection.faces or collection.users)
    assert state(hass, LAST_VISITOR).state == "unknown"
    assert (await ring(hass, seeing_bridge, "obama2")).outcome is Outcome.UNKNOWN


async def test_also_what_the_gallery_has_lost_is_forgotten_at_aws(
    hass: HomeAssistant, seeing_bridge: RunningBridge, cloud_entry: ConfigEntry, real_cloud: Cloud
) -> None:
    """An empty gallery is more often a lost disk than a wish, so a sync would leave this."""
    visit = await ring(hass, seeing_bridge, "obama")
    await act(hass, "name_visitor", {"visit_id": visit.visit_id, "person": "Bartholomew"})
    await hass.config_entries.async_unload(cloud_entry.entry_id)
    shutil.rmtree(hass.config.path(DOMAIN, "people"))
    await hass.config_entries.async_setup(cloud_entry.entry_id)
    assert real_cloud.keys() != set()
    await act(hass, "forget_everyone", {"confirm": "forget everyone"})
    assert real_cloud.keys() == set()


async def test_a_shared_collection_keeps_what_others_have_in_it(
    hass: HomeAssistant, seeing_bridge: RunningBridge, cloud_entry: ConfigEntry, real_cloud: Cloud
) -> None:
    client = boto3.client("rekognition", "eu-west-1", aws_access_key_id="k", aws_secret_access_key="s")
    client.index_faces(
        CollectionId="face_doorbell", Image={"Bytes": photo("astronaut")}, ExternalImageId="crew"
    )
    client.create_user(CollectionId="face_doorbell", UserId="crew")
    await act(hass, "forget_everyone", {"confirm": "forget everyone"})
    collection = real_cloud.rekognition.collection()
    assert collection is not None
    assert [face.external_id for face in collection.faces.values()] == ["crew"]
    assert list(collection.users) == ["crew"]


async def test_with_recognition_go_all_persons_and_their_names(
    hass: HomeAssistant, seeing_bridge: RunningBridge, cloud_entry: ConfigEntry, real_cloud: Cloud
) -> None:
    visit = await ring(hass, seeing_bridge, "obama")
    await act(hass, "name_visitor", {"visit_id": visit.visit_id, "person": "Bartholomew"})
    await hass.config_entries.async_remove(cloud_entry.entry_id)
    await hass.async_block_till_done()
    assert stored(hass, visit.visit_id).names == []
    assert not [path for path, content in files(hass).items() if b"Bartholomew" in content]
    assert real_cloud.keys() == set()
    assert real_cloud.rekognition.collection() is None


async def test_with_a_doorbell_go_its_visits(
    hass: HomeAssistant, seeing_bridge: RunningBridge, entry: ConfigEntry
) -> None:
    await ring(hass, seeing_bridge, "obama")
    other = await hass.data[VISITS].async_add(Visit("1", "another", dt_util.utcnow()), {})
    (doorbell,) = (each for each in hass.config_entries.async_entries(DOMAIN) if each is not entry)
    await hass.config_entries.async_remove(doorbell.entry_id)
    await hass.async_block_till_done()
    assert list(hass.data[VISITS].newest_first()) == [other]
    assert {path.parent.name for path in files(hass) if "visits" in path.parts} == {"1"}


# Who may


ADMIN_ACTIONS: dict[str, dict[str, object]] = {
    "name_visitor": {"person": "Bartholomew"},
    "not_this_person": {},
    "forget_visit": {},
    "rename_person": {"person": "Joe", "name": "Jo"},
    "remove_person": {"person": "Joe"},
    "forget_everyone": {"confirm": "forget everyone"},
}


async def test_only_administrators_change_people_and_visits(
    hass: HomeAssistant, seeing_bridge: RunningBridge, entry: ConfigEntry, hass_read_only_user: MockUser
) -> None:
    visit = await ring(hass, seeing_bridge, "biden")
    await act(hass, "name_visitor", {"visit_id": visit.visit_id, "person": "Joe"})
    before = files(hass)
    for action, data in ADMIN_ACTIONS.items():
        of_visit = action in ("name_visitor", "not_this_person", "forget_visit")
        which = {"visit_id": visit.visit_id} if of_visit else {}
        with pytest.raises(Unauthorized):
            await act(hass, action, {**which, **data}, user=hass_read_only_user)
    assert files(hass) == before
    assert list(people(entry).values()) == ["Joe"]


async def test_everybody_may_see_visits_but_nothing_to_recognize_by(
    hass: HomeAssistant, seeing_bridge: RunningBridge, entry: ConfigEntry, hass_read_only_user: MockUser
) -> None:
    visit = await ring(hass, seeing_bridge, "biden")
    listed = await act(hass, "list_visits", user=hass_read_only_user)
    (told,) = listed["visits"]
    assert (told["visit_id"], told["doorbell"], told["outcome"]) == (visit.visit_id, "Front door", "unknown")
    assert set(told["faces"][0]) == {
        "face", "person_id", "name", "similarity", "quality", "group", "by_user", "box", "thumbnail"
    }  # fmt: skip
    assert "vector" not in str(listed)


async def test_visits_are_listed_page_by_page(
    hass: HomeAssistant, seeing_bridge: RunningBridge, entry: ConfigEntry
) -> None:
    visits = [(await ring(hass, seeing_bridge, name)).visit_id for name in ("obama", "biden", "obama2")]
    await act(hass, "name_visitor", {"visit_id": visits[1], "person": "Joe"})
    seen = []
    before: dict[str, str] = {}
    while True:
        page = await act(hass, "list_visits", {"limit": 2, **before})
        assert page["count"] == 3
        seen += [visit["visit_id"] for visit in page["visits"]]
        if page["before"] is None:
            break
        before = {"before": page["before"]}
    assert seen == visits[::-1]

    device = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)[0]
    for wanted, found in (
        ({"person": "Joe"}, [visits[1]]),
        ({"outcome": "unknown"}, [visits[2], visits[0]]),
        ({"missed": True}, []),
    ):
        page = await act(hass, "list_visits", wanted)
        assert [visit["visit_id"] for visit in page["visits"]] == found
    assert await refused(hass, "list_visits", {"device_id": device.id}) == "not_a_doorbell"
    assert await refused(hass, "list_visits", {"person": "Nobody"}) == "person_not_found"
