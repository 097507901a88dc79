"""Say who somebody is, correct what was recognized wrongly, and forget people.

The one way to do it for actions, the WebSocket API and flows; they see to it that the user is an administrator::

    named = await async_name_visitor(hass, visit_id, 0, name="Ann")    # or person_id=…; by default the whole group
    visit = await async_not_this_person(hass, visit_id, 0)             # a stranger after all
    visit = await async_forget_visit(hass, visit_id)                   # with its pictures
    person = await async_enrol_photo(hass, jpeg, name="Ann")            # or person_id=…, one photo more
    person = await async_remove_photos(hass, person_id, [photo_id])
    person = await async_rename_person(hass, person_id, "Anna")
    removal = await async_remove_person(hass, person_id)               # everywhere, and tells where
    removal = await async_forget_everyone(hass)                        # persons, photos, visits, pictures, index

To name always works, as the user knows best: only whether the face becomes a reference photo is up to the gate and the
engine, and what came of that is in the answer.

Errors are RecognitionErrors, whose keys have texts in `exceptions`: VisitError and PersonError are the user's to mend,
the others are failures. What the user can mend has changed nothing.
"""

from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import ClassVar, Final, NamedTuple

from homeassistant.config_entries import ConfigSubentry
from homeassistant.core import HomeAssistant, callback
from homeassistant.util.hass_dict import HassKey

from .const import CONF_PERSON_ID, DOMAIN, SUBENTRY_PERSON
from .entries import RecognitionEntry, async_loaded_recognition, person_names
from .recognition.errors import PersonError, PhotoRefusedError, RecognitionError, disk_errors
from .recognition.fallback import ENGINE_ERRORS
from .recognition.gallery import MAX_PHOTOS, NewPhoto, Person, photo_id
from .recognition.model import SyncReport
from .recognition.recognizer import Recognizer
from .visits import PICTURES, VISITS, Visit, VisitFace, VisitFilter

FORGET_EVERYONE: Final = "forget everyone"  # what has to be typed, so that nobody does it by mistake
MOST_PHOTOS: Final = 5  # of one stranger that become reference photos: more of the same doorstep do not help

_ARRIVING: HassKey[dict[int, Sequence[Person]]] = HassKey(f"{DOMAIN}_arriving")


class VisitError(RecognitionError):
    """The visit is not as the caller thinks. Keys: `visit_not_found`, `face_not_found`."""

    default_key: ClassVar[str] = "visit_not_found"


class FaceOfVisit(NamedTuple):
    """A face by its place in a visit."""

    visit_id: str
    face: int


@dataclass(frozen=True, slots=True)
class RefusedFace:
    """A face that did not become a reference photo, and why."""

    face: FaceOfVisit
    error: RecognitionError


@dataclass(frozen=True, slots=True)
class Named:
    """Who the faces of `visits` belong to from now on, and what came of making reference photos of them."""

    person: Person
    visits: Sequence[str]
    photos_added: int
    refused: Sequence[RefusedFace]


@dataclass(frozen=True, slots=True)
class Removal:
    """What was removed where.

    `visits` have lost a name, or are gone when everyone is. `index` is what the engine says of its index; None when it
    could not be reached and follows with its next sync.
    """

    persons: Sequence[Person]
    visits: int
    index: SyncReport | None


async def async_name_visitor(
    hass: HomeAssistant,
    visit_id: str,
    face: int,
    *,
    person_id: str | None = None,
    name: str | None = None,
    whole_group: bool = True,
    force: bool = False,
) -> Named:
    """Say whose face one of a visit is: that of a person (by id, or by name), or of a new one with this name.

    It becomes a reference photo if it is good enough, and unless it looks like somebody else than the person whom the
    visit took it for (`force`: even then). With `whole_group` the same goes for the best faces of strangers who look
    like this one, and all of them get the name.
    """
    entry = await async_loaded_recognition(hass)
    recognizer = entry.runtime_data
    known = _find(recognizer, person_id, name)
    if known is None:
        recognizer.check_name(name or "")
    faces = _group(hass, FaceOfVisit(visit_id, face), whole=whole_group)
    before = _face(hass, faces[0])  # the visit may be gone by the time the photos are judged
    photos, refused = await _photos(hass, faces, MAX_PHOTOS - len(known.photos) if known else MAX_PHOTOS)
    admit = partial(
        recognizer.gate.admit,
        person_id=known.id if known else None,
        not_person=before.person_id,
        force=force,
    )
    admitted = await _admit_usable(photos, admit, refused)
    enrol = partial(recognizer.add_photos, known.id) if known else partial(recognizer.enrol, name or "")
    person = await _enrol_usable(admitted, enrol, refused)
    await _take_back(recognizer, before, unless=person)
    # First the person, then the name: a visit does not keep the name of somebody who is not there.
    if known is None:
        async_add_person(hass, entry, person)
    visits = [place.visit_id for place in faces if await _say(hass, place, person, photos.get(place))]
    return Named(
        person, list(dict.fromkeys(visits)), len(person.photos) - len(known.photos if known else ()), refused
    )


async def async_not_this_person(hass: HomeAssistant, visit_id: str, face: int) -> Visit:
    """Make a face of a visit a stranger's; a photo that was made of it is taken back."""
    entry = await async_loaded_recognition(hass)
    place = FaceOfVisit(visit_id, face)
    await _take_back(entry.runtime_data, _face(hass, place))
    return await _say(hass, place) or _visit(hass, visit_id)


async def async_forget_visit(hass: HomeAssistant, visit_id: str) -> Visit:
    """Delete a visit with its pictures; return what it was. A reference photo that was made of it stays."""
    visit = _visit(hass, visit_id)
    with disk_errors():
        await hass.data[VISITS].async_forget([visit_id])
    return visit


async def async_enrol_photo(
    hass: HomeAssistant,
    photo: bytes,
    *,
    person_id: str | None = None,
    name: str = "",
    face: int | None = None,
    force: bool = False,
) -> Person:
    """Add a photo to a person, or a new person of this name with it; `face` as for `Recognizer.enrol`."""
    entry = await async_loaded_recognition(hass)
    recognizer = entry.runtime_data
    faces = {} if face is None else {0: face}
    if person_id is not None:
        return await recognizer.add_photos(person_id, [photo], faces=faces, force=force)
    person = await recognizer.enrol(name, [photo], faces=faces, force=force)
    async_add_person(hass, entry, person)
    return person


async def async_remove_photos(hass: HomeAssistant, person_id: str, photo_ids: Collection[str]) -> Person:
    """Remove photos of a person, but not the last one: who has none cannot be recognized."""
    entry = await async_loaded_recognition(hass)
    if {photo.id for photo in entry.runtime_data.person(person_id).photos} <= set(photo_ids):
        raise PersonError("last_photo")
    return await entry.runtime_data.remove_photos(person_id, photo_ids)


async def async_rename_person(hass: HomeAssistant, person_id: str, name: str) -> Person:
    """Give a person another name, in past visits too."""
    entry = await async_loaded_recognition(hass)
    person = await entry.runtime_data.rename_person(person_id, name)
    if subentry := _subentry(entry, person_id):
        # Sets the entry up anew, which gives the visits the new name.
        hass.config_entries.async_update_subentry(entry, subentry, title=person.name)
    return person


async def async_remove_person(hass: HomeAssistant, person_id: str) -> Removal:
    """Remove a person: photos, index, and the name in past visits, whose pictures stay as a stranger's."""
    entry = await async_loaded_recognition(hass)
    person = entry.runtime_data.person(person_id)
    report = await entry.runtime_data.remove_person(person_id)
    names = {each: name for each, name in person_names(entry).items() if each != person_id}
    try:
        with disk_errors():
            visits = await hass.data[VISITS].async_match_persons(names)
    finally:
        async_drop_persons(hass, entry, {person_id})  # the visits follow at the next start at the latest
    return Removal([person], visits, report)


async def async_forget_everyone(hass: HomeAssistant) -> Removal:
    """Remove all persons, photos, visits and pictures, and all that the engine holds of us."""
    entry = await async_loaded_recognition(hass)
    visits = hass.data[VISITS]
    persons = entry.runtime_data.persons
    with disk_errors():
        forgotten = await visits.async_forget([visit.visit_id for visit in visits.newest_first()])
    report = await entry.runtime_data.forget_everyone()
    # One start without persons instead of one for each who goes.
    await hass.config_entries.async_unload(entry.entry_id)
    for subentry in entry.get_subentries_of_type(SUBENTRY_PERSON):
        hass.config_entries.async_remove_subentry(entry, subentry.subentry_id)
    await hass.config_entries.async_setup(entry.entry_id)
    return Removal(persons, forgotten, report)


def is_confirmed(typed: str) -> bool:
    """Return whether somebody means to forget everyone."""
    return typed.strip().casefold() == FORGET_EVERYONE


@contextmanager
def async_arriving(hass: HomeAssistant, persons: Sequence[Person]) -> Iterator[None]:
    """Keep persons (the list may grow) at a start that comes before Home Assistant is told of them."""
    arriving = hass.data.setdefault(_ARRIVING, {})
    arriving[id(persons)] = persons
    try:
        yield
    finally:
        del arriving[id(persons)]


@callback
def async_names_to_keep(hass: HomeAssistant, entry: RecognitionEntry) -> Mapping[str, str]:
    """Return the names of the persons by id, also of those of whom Home Assistant is yet to be told."""
    arriving = {
        person.id: person.name for persons in hass.data.get(_ARRIVING, {}).values() for person in persons
    }
    return {**arriving, **person_names(entry)}


@callback
def async_add_person(hass: HomeAssistant, entry: RecognitionEntry, person: Person) -> None:
    """Let Home Assistant know a person who was enrolled; sets the entry up anew."""
    hass.config_entries.async_add_subentry(
        entry,
        ConfigSubentry(
            data=MappingProxyType({CONF_PERSON_ID: person.id}),
            subentry_type=SUBENTRY_PERSON,
            title=person.name,
            unique_id=person.id,
        ),
    )


@callback
def async_drop_persons(hass: HomeAssistant, entry: RecognitionEntry, person_ids: Iterable[str]) -> None:
    """Let Home Assistant forget persons who were removed; sets the entry up anew if it is set up."""
    for person_id in person_ids:
        if subentry := _subentry(entry, person_id):
            hass.config_entries.async_remove_subentry(entry, subentry.subentry_id)


@callback
def async_match_gallery(hass: HomeAssistant, entry: RecognitionEntry, recognizer: Recognizer) -> bool:
    """Let Home Assistant follow the gallery where that did not follow it: in who was removed, and in names.

    Home Assistant lets its users rename a person without asking whether somebody has that name. Returns whether
    something was changed; the entry is being set up.
    """
    async_drop_persons(hass, entry, recognizer.forgotten)
    names = person_names(entry)
    renamed = [person for person in recognizer.persons if names.get(person.id, person.name) != person.name]
    for person in renamed:
        if subentry := _subentry(entry, person.id):
            hass.config_entries.async_update_subentry(entry, subentry, title=person.name)
    return bool(recognizer.forgotten or renamed)


def _subentry(entry: RecognitionEntry, person_id: str) -> ConfigSubentry | None:
    persons = entry.get_subentries_of_type(SUBENTRY_PERSON)
    return next((subentry for subentry in persons if subentry.unique_id == person_id), None)


def _visit(hass: HomeAssistant, visit_id: str) -> Visit:
    if visit := hass.data[VISITS].get(visit_id):
        return visit
    raise VisitError("visit_not_found")


def _face(hass: HomeAssistant, place: FaceOfVisit) -> VisitFace:
    faces = _visit(hass, place.visit_id).faces
    if not 0 <= place.face < len(faces):
        raise VisitError("face_not_found")
    return faces[place.face]


def _find(recognizer: Recognizer, person_id: str | None, name: str | None) -> Person | None:
    """Return the person who is meant, None for a new one."""
    if person_id is not None:
        return recognizer.person(person_id)
    with suppress(PersonError):
        return recognizer.find(name or "")
    return None


def _group(hass: HomeAssistant, chosen: FaceOfVisit, *, whole: bool) -> Sequence[FaceOfVisit]:
    """Return a face and, the best first, those of the same stranger in other visits."""
    group = _face(hass, chosen).group
    if not whole or group is None:
        return [chosen]
    others = [
        (each.quality or 0.0, place)
        for visit in hass.data[VISITS].newest_first(VisitFilter(group=group))
        for index, each in enumerate(visit.faces)
        if each.group == group and (place := FaceOfVisit(visit.visit_id, index)) != chosen
    ]
    return [chosen, *(place for _, place in sorted(others, reverse=True))]


async def _photos(
    hass: HomeAssistant, faces: Sequence[FaceOfVisit], limit: int
) -> tuple[Mapping[FaceOfVisit, bytes], list[RefusedFace]]:
    """Return the faces that may become reference photos, as far as a person can have more of them."""
    if limit <= 0:
        return {}, [RefusedFace(faces[0], PersonError("too_many_photos", limit=str(MAX_PHOTOS)))]
    cut = {place: await hass.data[PICTURES].async_photo(*place) for place in faces[: min(limit, MOST_PHOTOS)]}
    return {place: photo for place, photo in cut.items() if photo}, []


async def _admit_usable(
    photos: Mapping[FaceOfVisit, bytes],
    admit: Callable[[bytes], Awaitable[NewPhoto]],
    refused: list[RefusedFace],
) -> Mapping[FaceOfVisit, NewPhoto]:
    """Return the photos that the gate admits, and add the others to `refused`."""
    admitted = dict[FaceOfVisit, NewPhoto]()
    for place, photo in photos.items():
        try:
            admitted[place] = await admit(photo)
        except (PhotoRefusedError, *ENGINE_ERRORS) as err:
            refused.append(RefusedFace(place, err))
    return admitted


async def _enrol_usable(
    photos: Mapping[FaceOfVisit, NewPhoto],
    enrol: Callable[[Sequence[NewPhoto]], Awaitable[Person]],
    refused: list[RefusedFace],
) -> Person:
    """Enrol the photos; those that the engine refuses, or all if it cannot be asked, go to `refused`."""
    left = dict(photos)
    while True:
        try:
            return await enrol(list(left.values()))
        except PhotoRefusedError as err:
            place = list(left)[err.position]
            del left[place]
            refused.append(RefusedFace(place, err))
        except ENGINE_ERRORS as err:
            if not left:
                raise
            refused += [RefusedFace(place, err) for place in left]
            left = {}


async def _take_back(recognizer: Recognizer, face: VisitFace, unless: Person | None = None) -> None:
    """Remove the photo that was made of a face of the person whose it is not."""
    if face.person_id is None or face.photo_id is None or (unless and unless.id == face.person_id):
        return
    with suppress(PersonError):  # both may be gone for long
        await recognizer.remove_photos(face.person_id, [face.photo_id])


async def _say(
    hass: HomeAssistant, place: FaceOfVisit, person: Person | None = None, photo: bytes | None = None
) -> Visit | None:
    """Store that a user has said whose face it is; returns None when the visit was forgotten meanwhile."""
    made = photo_id(photo) if photo else None
    enrolled = person is not None and any(each.id == made for each in person.photos)

    def said(visit: Visit) -> Visit:
        before = visit.faces[place.face]
        kept = before.photo_id if person and before.person_id == person.id else None
        return visit.with_face(
            place.face,
            VisitFace(
                before.box,
                person.id if person else None,
                person.name if person else None,
                quality=before.quality,
                by_user=True,
                photo_id=made if enrolled else kept,
            ),
        )

    with disk_errors():
        return await hass.data[VISITS].async_change(place.visit_id, said)
