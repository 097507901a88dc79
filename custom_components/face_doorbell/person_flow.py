"""The subentry flow of a person: add with photos, change name and link, see, add and remove photos."""

from base64 import b64encode
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, NamedTuple

from homeassistant.config_entries import (
    SOURCE_RECONFIGURE,
    ConfigEntryState,
    ConfigSubentryFlow,
    SubentryFlowResult,
    UnknownEntry,
    UnknownSubEntry,
)
from homeassistant.const import CONF_NAME
from homeassistant.core import Context
from homeassistant.data_entry_flow import AbortFlow
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.selector import (
    EntitySelector,
    EntitySelectorConfig,
    FileSelector,
    FileSelectorConfig,
    MediaSelector,
    MediaSelectorConfig,
    SelectOptionDict,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
    TextSelector,
)
from homeassistant.util import dt as dt_util
import voluptuous as vol

from .advice import async_advice
from .const import CONF_PERSON_ENTITY, CONF_PERSON_ID
from .entries import RecognitionEntry
from .media import async_read_media, async_read_upload
from .naming import async_remove_photos
from .recognition import images
from .recognition.errors import PersonError, PhotoDoubtError, PhotoRefusedError, RecognitionError
from .recognition.gallery import NewPhoto, Person, Photo
from .recognition.recognizer import Recognizer
from .views import signed_photo_url

CONF_FACE: Final = "face"
CONF_MEDIA: Final = "media"
CONF_PHOTOS: Final = "photos"
PHOTO_FIELDS: Final = ("photo_1", "photo_2", "photo_3")  # a file field takes one file only

# Errors of a person that belong to the name; the others concern the form as a whole.
NAME_ERRORS: Final = frozenset({"person_name_empty", "person_name_taken", "person_name_too_long"})

_PHOTO: Final = FileSelector(FileSelectorConfig(accept="image/jpeg,image/png,image/webp"))

_LINK: Final = {vol.Optional(CONF_PERSON_ENTITY): EntitySelector(EntitySelectorConfig(domain="person"))}

NAME_SCHEMA: Final = vol.Schema({vol.Required(CONF_NAME): TextSelector(), **_LINK})
PHOTOS_SCHEMA: Final = vol.Schema(
    {
        **{vol.Optional(field): _PHOTO for field in PHOTO_FIELDS},
        # Without `image_upload`: what is uploaded that way stays in Home Assistant, which shows it without a login.
        vol.Optional(CONF_MEDIA): MediaSelector(MediaSelectorConfig(accept=["image/*"], multiple=True)),
    }
)
PERSON_SCHEMA: Final = vol.Schema({vol.Required(CONF_NAME): TextSelector(), **PHOTOS_SCHEMA.schema, **_LINK})

type UserInput = dict[str, Any]


class _Source(NamedTuple):
    """Where a photo was given, what tells it from others, and how to read it."""

    field: str
    key: str
    read: Callable[[], Awaitable[bytes]]


@dataclass(slots=True)
class _Draft:
    """A photo that was given in a field, and what came of it so far.

    `face` is the one that is meant, `sure`: it is nobody else. At most one of `admitted` and `error` is set.
    """

    field: str
    jpeg: bytes
    face: int | None = None
    sure: bool = False
    admitted: NewPhoto | None = None
    error: PhotoRefusedError | None = None

    @property
    def several_faces(self) -> bool:
        """Whether the user can say which face is meant."""
        return self.face is None and self.error is not None and self.error.key == "photo_several_faces"

    @property
    def doubt(self) -> PhotoDoubtError | None:
        """What the user can confirm."""
        return self.error if isinstance(self.error, PhotoDoubtError) else None

    @property
    def refused(self) -> bool:
        """Whether only another photo helps."""
        return self.error is not None and not self.several_faces and not self.doubt


class PersonFlow(ConfigSubentryFlow):
    """Add or change a person."""

    def __init__(self) -> None:
        """Start without photos."""
        # By upload or media item: Home Assistant forgets an upload once it was read, but a form can be sent again.
        self._read: dict[str, _Draft] = {}
        self._drafts: Sequence[_Draft] = ()
        self._given: UserInput = {}

    async def async_step_user(self, user_input: UserInput | None = None) -> SubentryFlowResult:
        """Add a person with photos, or nothing."""
        return await self._take_photos(user_input)

    async def async_step_reconfigure(self, user_input: UserInput | None = None) -> SubentryFlowResult:
        """Ask what to change."""
        return self.async_show_menu(
            step_id="reconfigure",
            menu_options=["rename", "add_photos", "remove_photos"],
            description_placeholders={**self._shown, "advice": await self._advice()},
        )

    async def async_step_rename(self, user_input: UserInput | None = None) -> SubentryFlowResult:
        """Give the person another name, or link to another person of Home Assistant."""
        recognizer = self._recognizer()
        errors: dict[str, RecognitionError] = {}
        subentry = self._get_reconfigure_subentry()
        if user_input is not None:
            try:
                person = await recognizer.rename_person(self._person_id, user_input[CONF_NAME])
            except RecognitionError as err:
                errors = {_field(err): err}
            else:
                return self.async_update_and_abort(
                    self._get_entry(), subentry, title=person.name, data=_data(person.id, user_input)
                )
        return self._form(
            "rename", NAME_SCHEMA, user_input or {CONF_NAME: subentry.title, **subentry.data}, errors
        )

    async def async_step_add_photos(self, user_input: UserInput | None = None) -> SubentryFlowResult:
        """Add photos, all or none."""
        return await self._take_photos(user_input)

    async def async_step_face(self, user_input: UserInput | None = None) -> SubentryFlowResult:
        """Ask whose face is meant in a photo with several."""
        draft = next(each for each in self._drafts if each.several_faces)
        if user_input is not None:
            draft.face, draft.error = int(user_input[CONF_FACE]), None
            return await self._judge()
        jpeg, faces = await self._recognizer().gate.faces(draft.jpeg)
        cut = [(await self.hass.async_add_executor_job(images.crop, jpeg, face.box))[0] for face in faces]
        options = [str(number) for number in range(1, len(cut) + 1)]
        selector = SelectSelector(SelectSelectorConfig(options=options, mode=SelectSelectorMode.LIST))
        return self.async_show_form(
            step_id="face",
            data_schema=vol.Schema({vol.Required(CONF_FACE): selector}),
            description_placeholders={"name": self._name, "faces": await self._pictures(cut, numbered=True)},
        )

    async def async_step_doubt(self, user_input: UserInput | None = None) -> SubentryFlowResult:
        """Ask whether somebody is really not the person whom they look like."""
        recognizer = self._recognizer()
        lines = []
        for draft in self._drafts:
            if doubt := draft.doubt:
                other = recognizer.find(doubt.placeholders["person"])
                known = signed_photo_url(self.hass, other.id, other.photos[0].id)
                here = await self._pictures([draft.jpeg])
                lines.append(f"{here} ![]({known}) **{other.name}**, {doubt.placeholders['similarity']} %")
        return self.async_show_menu(
            step_id="doubt",
            menu_options=["use_anyway", "other_photos"],
            description_placeholders={"name": self._name, "doubts": "\n\n".join(lines)},
        )

    async def async_step_use_anyway(self, user_input: UserInput | None = None) -> SubentryFlowResult:
        """Take the photos in spite of the doubts that were shown."""
        for draft in self._drafts:
            if draft.doubt:
                draft.sure, draft.error = True, None
        return await self._judge()

    async def async_step_other_photos(self, user_input: UserInput | None = None) -> SubentryFlowResult:
        """Let the photos be chosen again."""
        return await self._photos_form()

    async def async_step_remove_photos(self, user_input: UserInput | None = None) -> SubentryFlowResult:
        """Remove photos, but not the last one."""
        photos = self._known_photos
        if len(photos) < 2:
            return self.async_abort(reason="no_photos")
        errors: dict[str, RecognitionError] = {}
        if user_input is not None:
            try:
                person = await async_remove_photos(self.hass, self._person_id, user_input[CONF_PHOTOS])
            except RecognitionError as err:
                errors = {_field(err): err}
            else:
                return await self._photos_changed(person)
        options = [
            SelectOptionDict(
                value=photo.id, label=f"{number}: {dt_util.as_local(photo.added):%Y-%m-%d %H:%M}"
            )
            for number, photo in enumerate(photos, 1)
        ]
        selector = SelectSelector(
            SelectSelectorConfig(options=options, multiple=True, mode=SelectSelectorMode.LIST)
        )
        return self._form(
            "remove_photos", vol.Schema({vol.Required(CONF_PHOTOS): selector}), user_input, errors
        )

    # The photos, on their way from the form to the gallery

    async def _take_photos(self, user_input: UserInput | None) -> SubentryFlowResult:
        """Show the form with photos, or judge those that were given in it."""
        self._recognizer()
        if user_input is None:
            return await self._photos_form()
        self._given = user_input
        try:
            if CONF_NAME in user_input:
                self._recognizer().check_name(user_input[CONF_NAME])
            self._drafts = await self._read_photos(user_input)
        except RecognitionError as err:
            return await self._photos_form({_field(err): err})
        return await self._judge()

    async def _read_photos(self, user_input: UserInput) -> Sequence[_Draft]:
        """Return the photos that were given; raises RecognitionError."""
        drafts = []
        for field, key, read in self._sources(user_input):
            if known := self._read.get(key):
                # What was refused is judged anew, as if it had just been given: the user may choose otherwise.
                draft = replace(known, field=field) if known.admitted else _Draft(field, known.jpeg)
            else:
                try:
                    draft = _Draft(field, await read())
                except PhotoRefusedError as refused:
                    raise _PhotoFieldError(field, refused.key, refused.placeholders) from refused
                except HomeAssistantError as err:
                    raise _PhotoFieldError(
                        field, err.translation_key, err.translation_placeholders or {}
                    ) from err
            self._read[key] = draft
            drafts.append(draft)
        if not drafts:
            raise PersonError("photos_missing")
        return drafts

    def _sources(self, user_input: UserInput) -> Iterator[_Source]:
        """Yield each photo that was given."""
        for field in PHOTO_FIELDS:
            if file_id := user_input.get(field):
                yield _Source(field, file_id, partial(async_read_upload, self.hass, file_id))
        for media in user_input.get(CONF_MEDIA, ()):
            # Only administrators come here, who may see every entity.
            read = partial(async_read_media, self.hass, media, Context())
            yield _Source(CONF_MEDIA, media["media_content_id"], read)

    async def _judge(self) -> SubentryFlowResult:
        """Go on with the next thing that is wrong with the photos, or else save them."""
        gate = self._recognizer().gate
        person_id = self._person_id if self.source == SOURCE_RECONFIGURE else None
        for draft in self._drafts:
            if draft.admitted or draft.several_faces or draft.doubt:
                continue
            try:
                draft.admitted = await gate.admit(
                    draft.jpeg, draft.face, person_id=person_id, force=draft.sure
                )
                draft.error = None
            except PhotoRefusedError as refused:
                draft.error = refused
            except RecognitionError as err:
                return await self._photos_form({_field(err): err})
        if any(draft.refused for draft in self._drafts):
            return await self._photos_form()
        if any(draft.several_faces for draft in self._drafts):
            return await self.async_step_face()
        if any(draft.doubt for draft in self._drafts):
            return await self.async_step_doubt()
        return await self._save()

    async def _save(self) -> SubentryFlowResult:
        """Enrol; when the engine refuses a photo, ask for another one."""
        recognizer = self._recognizer()
        photos = [draft.admitted for draft in self._drafts if draft.admitted]
        try:
            if self.source == SOURCE_RECONFIGURE:
                return await self._photos_changed(await recognizer.add_photos(self._person_id, photos))
            person = await recognizer.enrol(self._given[CONF_NAME], photos)
        except PhotoRefusedError as refused:
            draft = self._drafts[refused.position]
            draft.admitted, draft.error = None, refused
            return await self._photos_form()
        except RecognitionError as err:
            return await self._photos_form({_field(err): err})
        advice = await async_advice(self.hass, person, recognizer.persons)
        return self.async_create_entry(
            title=person.name,
            data=_data(person.id, self._given),
            unique_id=person.id,
            description="advice" if advice else None,
            description_placeholders={"advice": advice},
        )

    async def _photos_form(self, errors: Mapping[str, RecognitionError] | None = None) -> SubentryFlowResult:
        """Ask for photos, and show which of those that were given are not taken, and why."""
        refused = [draft for draft in self._drafts if draft.refused]
        told = {draft.field: draft.error for draft in reversed(refused) if draft.error} | dict(errors or {})
        step_id, schema = (
            ("add_photos", PHOTOS_SCHEMA) if self.source == SOURCE_RECONFIGURE else ("user", PERSON_SCHEMA)
        )
        pictures = await self._pictures([draft.jpeg for draft in refused])
        return self._form(step_id, schema, self._given, told, refused=f"\n\n{pictures}" if pictures else "")

    async def _photos_changed(self, person: Person) -> SubentryFlowResult:
        """Finish, and tell what would make the photos better."""
        advice = await async_advice(self.hass, person, self._recognizer().persons)
        return self.async_abort(
            reason="photos_changed",
            description_placeholders={
                "name": person.name,
                "count": str(len(person.photos)),
                "advice": advice,
            },
        )

    # What is shown

    @property
    def _name(self) -> str:
        """Who is being added or changed."""
        given: str | None = self._given.get(CONF_NAME)
        return given or self._get_reconfigure_subentry().title

    @property
    def _person_id(self) -> str:
        person_id: str = self._get_reconfigure_subentry().data[CONF_PERSON_ID]
        return person_id

    @property
    def _known_photos(self) -> Sequence[Photo]:
        try:
            return self._recognizer().person(self._person_id).photos
        except PersonError:
            return ()

    @property
    def _shown(self) -> Mapping[str, str]:
        """What every form that changes a person shows: the name, and the photos with their numbers."""
        urls = [signed_photo_url(self.hass, self._person_id, photo.id) for photo in self._known_photos]
        return {
            CONF_NAME: self._get_reconfigure_subentry().title,
            CONF_PHOTOS: " ".join(f"**{number}** ![{number}]({url})" for number, url in enumerate(urls, 1)),
        }

    async def _advice(self) -> str:
        recognizer = self._recognizer()
        try:
            return await async_advice(self.hass, recognizer.person(self._person_id), recognizer.persons)
        except PersonError:
            return ""

    async def _pictures(self, photos: Iterable[bytes], *, numbered: bool = False) -> str:
        """Return photos that are stored nowhere as small pictures within the text itself; no address leads to them."""
        small = [await self.hass.async_add_executor_job(_small, photo) for photo in photos]
        pictures = [f"![](data:image/jpeg;base64,{b64encode(each).decode()})" for each in small if each]
        if numbered:
            pictures = [f"**{number}** {picture}" for number, picture in enumerate(pictures, 1)]
        return " ".join(pictures)

    def _recognizer(self) -> Recognizer:
        """Return the recognizer; aborts when it is not there, or the person is not (any more)."""
        try:
            entry: RecognitionEntry = self._get_entry()
            if self.source == SOURCE_RECONFIGURE:
                self._get_reconfigure_subentry()
        except UnknownEntry as err:
            raise AbortFlow("not_loaded") from err
        except UnknownSubEntry as err:
            raise AbortFlow("person_removed") from err
        if entry.state is not ConfigEntryState.LOADED:
            raise AbortFlow("not_loaded")
        return entry.runtime_data

    def _form(
        self,
        step_id: str,
        schema: vol.Schema,
        user_input: UserInput | None,
        errors: Mapping[str, RecognitionError],
        **placeholders: str,
    ) -> SubentryFlowResult:
        """Show a form again with what was entered, and what is wrong with it."""
        if self.source == SOURCE_RECONFIGURE:
            placeholders = {**self._shown, **placeholders}
        for error in errors.values():
            placeholders |= error.placeholders
        return self.async_show_form(
            step_id=step_id,
            data_schema=self.add_suggested_values_to_schema(schema, user_input),
            description_placeholders=placeholders,
            errors={field: error.key for field, error in errors.items()},
        )


class _PhotoFieldError(RecognitionError):
    """A photo could not be read from its field."""

    def __init__(self, field: str, key: str | None, placeholders: Mapping[str, str]) -> None:
        super().__init__(key, **placeholders)
        self.field = field


def _data(person_id: str, user_input: UserInput) -> dict[str, str]:
    """Return what a person's subentry keeps."""
    link = user_input.get(CONF_PERSON_ENTITY)
    return {CONF_PERSON_ID: person_id} | ({CONF_PERSON_ENTITY: link} if link else {})


def _small(photo: bytes) -> bytes | None:
    """Return a photo small enough to be shown; None when it is no photo."""
    try:
        return images.thumbnail(images.prepare(photo), images.FACE_SIDE)
    except PhotoRefusedError:
        return None


def _field(error: RecognitionError) -> str:
    """Return the field that an error is about."""
    if isinstance(error, _PhotoFieldError):
        return error.field
    return CONF_NAME if error.key in NAME_ERRORS else "base"
