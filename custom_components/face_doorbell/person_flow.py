"""The subentry flow of a person: add with photos, change name and link, see, add and remove photos."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from homeassistant.config_entries import (
    SOURCE_RECONFIGURE,
    ConfigEntryState,
    ConfigSubentryFlow,
    SubentryFlowResult,
)
from homeassistant.const import CONF_NAME
from homeassistant.data_entry_flow import AbortFlow
from homeassistant.helpers.selector import (
    BooleanSelector,
    EntitySelector,
    EntitySelectorConfig,
    FileSelector,
    FileSelectorConfig,
    SelectOptionDict,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
    TextSelector,
)
from homeassistant.util import dt as dt_util
import voluptuous as vol

from .const import CONF_PERSON_ENTITY, CONF_PERSON_ID
from .entries import RecognitionEntry
from .media import async_read_upload
from .recognition.errors import PersonError, PhotoDoubtError, PhotoRefusedError, RecognitionError
from .recognition.gallery import Person, Photo
from .recognition.recognizer import Recognizer
from .views import signed_photo_url

CONF_FORCE: Final = "force"  # asked for only when there is a doubt
CONF_PHOTOS: Final = "photos"
PHOTO_FIELDS: Final = ("photo_1", "photo_2", "photo_3")  # a file field takes one file only
FACE_OF: Final = "{}_face"  # asked for only when a photo shows several

# Errors of a person that belong to the name; the others concern the form as a whole.
NAME_ERRORS: Final = frozenset({"person_name_empty", "person_name_taken"})

_PHOTO: Final = FileSelector(FileSelectorConfig(accept="image/jpeg,image/png"))

_LINK: Final = {vol.Optional(CONF_PERSON_ENTITY): EntitySelector(EntitySelectorConfig(domain="person"))}

NAME_SCHEMA: Final = vol.Schema({vol.Required(CONF_NAME): TextSelector(), **_LINK})
PHOTOS_SCHEMA: Final = vol.Schema(
    {vol.Required(PHOTO_FIELDS[0]): _PHOTO} | {vol.Optional(field): _PHOTO for field in PHOTO_FIELDS[1:]}
)
PERSON_SCHEMA: Final = vol.Schema({vol.Required(CONF_NAME): TextSelector(), **PHOTOS_SCHEMA.schema, **_LINK})

type UserInput = dict[str, Any]


class PersonFlow(ConfigSubentryFlow):
    """Add or change a person."""

    def __init__(self) -> None:
        """Start without photos."""
        # By upload: Home Assistant forgets a file once it was read, but a form with a mistake in it is sent again.
        self._read: dict[str, bytes] = {}
        self._faces_in: dict[str, int] = {}  # by field, for photos with several

    async def async_step_user(self, user_input: UserInput | None = None) -> SubentryFlowResult:
        """Add a person with photos, or nothing."""
        recognizer = self._recognizer()
        error: RecognitionError | None = None
        if user_input is not None:
            try:
                photos = await self._photos(user_input)
                person = await recognizer.enrol(
                    user_input[CONF_NAME],
                    photos,
                    faces=_faces(user_input),
                    force=user_input.get(CONF_FORCE, False),
                )
            except RecognitionError as err:
                error = err
            else:
                return self.async_create_entry(
                    title=person.name, data=_data(person.id, user_input), unique_id=person.id
                )
        return self._form("user", PERSON_SCHEMA, user_input, error)

    async def async_step_reconfigure(self, user_input: UserInput | None = None) -> SubentryFlowResult:
        """Ask what to change."""
        return self.async_show_menu(
            step_id="reconfigure",
            menu_options=["rename", "add_photos", "remove_photos"],
            description_placeholders=self._shown,
        )

    async def async_step_rename(self, user_input: UserInput | None = None) -> SubentryFlowResult:
        """Give the person another name, or link to another person of Home Assistant."""
        recognizer = self._recognizer()
        error: RecognitionError | None = None
        if user_input is not None:
            try:
                person = await recognizer.rename_person(self._person_id, user_input[CONF_NAME])
            except RecognitionError as err:
                error = err
            else:
                return self._done(person, _data(person.id, user_input))
        subentry = self._get_reconfigure_subentry()
        return self._form(
            "rename", NAME_SCHEMA, user_input or {CONF_NAME: subentry.title, **subentry.data}, error
        )

    async def async_step_add_photos(self, user_input: UserInput | None = None) -> SubentryFlowResult:
        """Add photos, all or none."""
        recognizer = self._recognizer()
        error: RecognitionError | None = None
        if user_input is not None:
            try:
                photos = await self._photos(user_input)
                person = await recognizer.add_photos(
                    self._person_id,
                    photos,
                    faces=_faces(user_input),
                    force=user_input.get(CONF_FORCE, False),
                )
            except RecognitionError as err:
                error = err
            else:
                return self._done(person)
        return self._form("add_photos", PHOTOS_SCHEMA, user_input, error)

    async def async_step_remove_photos(self, user_input: UserInput | None = None) -> SubentryFlowResult:
        """Remove photos, but not the last one."""
        recognizer = self._recognizer()
        photos = self._known_photos
        if len(photos) < 2:
            return self.async_abort(reason="no_photos")
        error: RecognitionError | None = None
        if user_input is not None:
            try:
                if len(set(user_input[CONF_PHOTOS])) == len(photos):
                    raise PersonError("last_photo")
                return self._done(await recognizer.remove_photos(self._person_id, user_input[CONF_PHOTOS]))
            except RecognitionError as err:
                error = err
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
            "remove_photos", vol.Schema({vol.Required(CONF_PHOTOS): selector}), user_input, error
        )

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

    def _recognizer(self) -> Recognizer:
        entry: RecognitionEntry = self._get_entry()
        if entry.state is not ConfigEntryState.LOADED:
            raise AbortFlow("not_loaded")
        return entry.runtime_data

    async def _photos(self, user_input: UserInput) -> Sequence[bytes]:
        """Return the uploaded photos; raises PhotoRefusedError with the position of the one that is refused."""
        uploads = [user_input[field] for field in _given(user_input)]
        for position, file_id in enumerate(uploads):
            if file_id not in self._read:
                try:
                    self._read[file_id] = await async_read_upload(self.hass, file_id)
                except PhotoRefusedError as refused:
                    refused.position = position
                    raise
        return [self._read[file_id] for file_id in uploads]

    def _form(
        self, step_id: str, schema: vol.Schema, user_input: UserInput | None, error: RecognitionError | None
    ) -> SubentryFlowResult:
        """Show a form again with what was entered, and what is wrong with it."""
        placeholders: Mapping[str, str] = error.placeholders if error else {}
        if self.source == SOURCE_RECONFIGURE:
            placeholders = {**self._shown, **placeholders}
        if error and error.key == "photo_several_faces":
            self._faces_in[_field(error, user_input or {})] = int(error.placeholders["count"])
        if step_id in ("user", "add_photos"):
            schema = schema.extend(
                {
                    vol.Optional(FACE_OF.format(field)): SelectSelector(
                        SelectSelectorConfig(options=[str(number) for number in range(1, count + 1)])
                    )
                    for field, count in self._faces_in.items()
                }
            )
        if isinstance(error, PhotoDoubtError):
            schema = schema.extend({vol.Optional(CONF_FORCE, default=False): BooleanSelector()})
        return self.async_show_form(
            step_id=step_id,
            data_schema=self.add_suggested_values_to_schema(schema, user_input),
            description_placeholders=placeholders,
            errors={_field(error, user_input or {}): error.key} if error else {},
        )

    def _done(self, person: Person, data: Mapping[str, str] | None = None) -> SubentryFlowResult:
        subentry = self._get_reconfigure_subentry()
        return self.async_update_and_abort(
            self._get_entry(), subentry, title=person.name, data=data or subentry.data
        )


def _data(person_id: str, user_input: UserInput) -> dict[str, str]:
    """Return what a person's subentry keeps."""
    link = user_input.get(CONF_PERSON_ENTITY)
    return {CONF_PERSON_ID: person_id} | ({CONF_PERSON_ENTITY: link} if link else {})


def _given(user_input: UserInput) -> list[str]:
    return [field for field in PHOTO_FIELDS if user_input.get(field)]


def _faces(user_input: UserInput) -> Mapping[int, int]:
    """Return which face is meant in photos with several, by position."""
    chosen = {place: user_input.get(FACE_OF.format(field)) for place, field in enumerate(_given(user_input))}
    return {place: int(number) for place, number in chosen.items() if number}


def _field(error: RecognitionError, user_input: UserInput) -> str:
    """Return the field that an error is about."""
    if isinstance(error, PhotoRefusedError):
        return _given(user_input)[error.position]
    return CONF_NAME if error.key in NAME_ERRORS else "base"
