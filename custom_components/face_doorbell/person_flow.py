"""The subentry flow of a person: add with photos, rename, add and remove photos."""

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

from .const import CONF_PERSON_ID
from .entries import RecognitionEntry
from .media import async_read_upload
from .recognition.errors import PersonError, PhotoRefusedError, RecognitionError
from .recognition.gallery import Person
from .recognition.recognizer import Recognizer

CONF_PHOTOS: Final = "photos"
PHOTO_FIELDS: Final = ("photo_1", "photo_2", "photo_3")  # a file field takes one file only

# Errors of a person that belong to the name; the others concern the form as a whole.
NAME_ERRORS: Final = frozenset({"person_name_empty", "person_name_taken"})

_PHOTO: Final = FileSelector(FileSelectorConfig(accept="image/jpeg,image/png"))

NAME_SCHEMA: Final = vol.Schema({vol.Required(CONF_NAME): TextSelector()})
PHOTOS_SCHEMA: Final = vol.Schema(
    {vol.Required(PHOTO_FIELDS[0]): _PHOTO} | {vol.Optional(field): _PHOTO for field in PHOTO_FIELDS[1:]}
)
PERSON_SCHEMA: Final = NAME_SCHEMA.extend(PHOTOS_SCHEMA.schema)

type UserInput = dict[str, Any]


class PersonFlow(ConfigSubentryFlow):
    """Add or change a person."""

    def __init__(self) -> None:
        """Start without photos."""
        # By upload: Home Assistant forgets a file once it was read, but a form with a mistake in it is sent again.
        self._read: dict[str, bytes] = {}

    async def async_step_user(self, user_input: UserInput | None = None) -> SubentryFlowResult:
        """Add a person with photos, or nothing."""
        recognizer = self._recognizer()
        error: RecognitionError | None = None
        if user_input is not None:
            try:
                person = await recognizer.enrol(user_input[CONF_NAME], await self._photos(user_input))
            except RecognitionError as err:
                error = err
            else:
                return self.async_create_entry(
                    title=person.name, data={CONF_PERSON_ID: person.id}, unique_id=person.id
                )
        return self._form("user", PERSON_SCHEMA, user_input, error)

    async def async_step_reconfigure(self, user_input: UserInput | None = None) -> SubentryFlowResult:
        """Ask what to change."""
        return self.async_show_menu(
            step_id="reconfigure",
            menu_options=["rename", "add_photos", "remove_photos"],
            description_placeholders={CONF_NAME: self._get_reconfigure_subentry().title},
        )

    async def async_step_rename(self, user_input: UserInput | None = None) -> SubentryFlowResult:
        """Give the person another name."""
        recognizer = self._recognizer()
        error: RecognitionError | None = None
        if user_input is not None:
            try:
                person = await recognizer.rename_person(self._person_id, user_input[CONF_NAME])
            except RecognitionError as err:
                error = err
            else:
                return self._done(person)
        return self._form(
            "rename", NAME_SCHEMA, user_input or {CONF_NAME: self._get_reconfigure_subentry().title}, error
        )

    async def async_step_add_photos(self, user_input: UserInput | None = None) -> SubentryFlowResult:
        """Add photos, all or none."""
        recognizer = self._recognizer()
        error: RecognitionError | None = None
        if user_input is not None:
            try:
                person = await recognizer.add_photos(self._person_id, await self._photos(user_input))
            except RecognitionError as err:
                error = err
            else:
                return self._done(person)
        return self._form("add_photos", PHOTOS_SCHEMA, user_input, error)

    async def async_step_remove_photos(self, user_input: UserInput | None = None) -> SubentryFlowResult:
        """Remove photos, but not the last one."""
        recognizer = self._recognizer()
        try:
            photos = recognizer.person(self._person_id).photos
        except PersonError:
            photos = ()
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
            placeholders = {CONF_NAME: self._get_reconfigure_subentry().title, **placeholders}
        return self.async_show_form(
            step_id=step_id,
            data_schema=self.add_suggested_values_to_schema(schema, user_input),
            description_placeholders=placeholders,
            errors={_field(error, user_input or {}): error.key} if error else {},
        )

    def _done(self, person: Person) -> SubentryFlowResult:
        return self.async_update_and_abort(
            self._get_entry(), self._get_reconfigure_subentry(), title=person.name
        )


def _given(user_input: UserInput) -> list[str]:
    return [field for field in PHOTO_FIELDS if user_input.get(field)]


def _field(error: RecognitionError, user_input: UserInput) -> str:
    """Return the field that an error is about."""
    if isinstance(error, PhotoRefusedError):
        return _given(user_input)[error.position]
    return CONF_NAME if error.key in NAME_ERRORS else "base"
