"""Visits in the media browser: doors, then Recent, People, Unknown or By day, then pictures.

An identifier is the way to a thing, `/` in between: `<door>`, `<door>/recent`, `<door>/people/<person id>`,
`<door>/day/<date>`, and `<door>/visit/<visit id>` for a picture. With one door only, it is left out of the way there.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import islice
from typing import Final, override

from homeassistant.components.media_player.browse_media import SearchMedia, SearchMediaQuery
from homeassistant.components.media_player.const import MediaClass, MediaType
from homeassistant.components.media_player.errors import BrowseError
from homeassistant.components.media_source import (
    BrowseMediaSource,
    MediaSource,
    MediaSourceItem,
    PlayMedia,
    Unresolvable,
)
from homeassistant.const import CONF_ID
from homeassistant.core import HomeAssistant
from homeassistant.helpers.translation import async_get_translations
from homeassistant.util import dt as dt_util

from .const import DOMAIN, EntryKind
from .entries import kind
from .errors import ErrorText
from .model import Outcome
from .views import face_thumbnail_url, picture_thumbnail_url, picture_url
from .visits import VISITS, Visit, VisitFilter

RECENT: Final = 50
MOST: Final = (
    500  # pictures in one folder; the browser loads no more by itself, and days and names lead to the others
)

_VISIT: Final = "visit"
_MIME: Final = "image/jpeg"

type Texts = Mapping[str, str]
type Place = tuple[str, ...]


async def async_get_media_source(hass: HomeAssistant) -> MediaSource:
    """Return the source of all visits' pictures."""
    return VisitMediaSource(hass)


@dataclass(frozen=True, slots=True)
class _Folder:
    """Something to open: `place` is the way to it, `thumbnail` the address of a picture."""

    place: Place
    title: str
    thumbnail: str | None = None


class VisitMediaSource(MediaSource):
    """Pictures of visits, for all who are logged in."""

    name = "Face Doorbell"

    def __init__(self, hass: HomeAssistant) -> None:
        """Show the log that there is when it is asked for."""
        super().__init__(DOMAIN)
        self._hass = hass

    @override
    async def async_resolve_media(self, item: MediaSourceItem) -> PlayMedia:
        match _place(item):
            case (_, "visit", visit_id):
                visit = self._hass.data[VISITS].get(visit_id)
                if visit is not None and visit.picture is not None:
                    return PlayMedia(
                        picture_url(visit_id, visit.picture),
                        _MIME,
                        path=self._hass.data[VISITS].picture_file(visit_id, visit.picture),
                    )
        raise Unresolvable(**_no_such_media(item))

    @override
    async def async_browse_media(self, item: MediaSourceItem) -> BrowseMediaSource:
        texts = await self._texts()
        place = _place(item)
        doors = self._doors()
        if not place and len(doors) == 1:
            place = (next(iter(doors)),)
        match place:
            case ():
                return _folder(_Folder((), self.name or DOMAIN), self._door_folders(doors))
            case (door,) if door in doors:
                return _folder(
                    _Folder(place, doors[door]), [_Folder((door, key), texts[key]) for key in SECTIONS]
                )
            case (door, section, *rest) if door in doors and section in SECTIONS and len(rest) < 2:
                return self._open(SECTIONS[section](self, door, *rest), place, texts, item)
        raise BrowseError(**_no_such_media(item))

    @override
    async def async_search_media(self, item: MediaSourceItem, query: SearchMediaQuery) -> SearchMedia:
        """Return the pictures of whoever has this name, below a door or everywhere."""
        wanted = query.search_query.casefold().strip()
        if not wanted or (query.media_filter_classes and MediaClass.IMAGE not in query.media_filter_classes):
            return SearchMedia(result=[])
        texts = await self._texts()
        visits = self._visits(VisitFilter(doorbell_id=next(iter(_place(item)), None)))
        found = (visit for visit in visits if wanted in _who(visit, texts).casefold())
        return SearchMedia(result=[_picture(visit, texts) for visit in islice(found, MOST)])

    # Sections: each returns folders or visits, and is asked with what follows it on the way.

    def recent(self, door: str) -> Iterable[Visit]:
        """Return the newest visits."""
        return islice(self._visits(VisitFilter(doorbell_id=door)), RECENT)

    def unknown(self, door: str) -> Iterable[Visit]:
        """Return the visits of strangers."""
        return self._visits(VisitFilter(doorbell_id=door, outcome=Outcome.UNKNOWN))

    def people(self, door: str, person_id: str | None = None) -> Iterable[_Folder | Visit]:
        """Return the persons who were here, each with the newest face, or the visits of one."""
        if person_id is not None:
            return self._visits(VisitFilter(doorbell_id=door, person_id=person_id))
        folders = dict[str, _Folder]()
        for visit in self._visits(VisitFilter(doorbell_id=door)):
            for index, face in enumerate(visit.faces):
                if face.person_id is not None and face.person_id not in folders:
                    folders[face.person_id] = _Folder(
                        (door, "people", face.person_id),
                        face.name or face.person_id,
                        face_thumbnail_url(visit.visit_id, index),
                    )
        return sorted(folders.values(), key=lambda folder: folder.title.casefold())

    def day(self, door: str, day: str | None = None) -> Iterable[_Folder | Visit]:
        """Return the days with visits, or the visits of one."""
        visits = self._visits(VisitFilter(doorbell_id=door))
        if day is not None:
            return (visit for visit in visits if _day(visit).isoformat() == day)
        days = Counter(_day(visit).isoformat() for visit in visits)
        return [_Folder((door, "day", each), f"{each} ({count})") for each, count in days.items()]

    def _open(
        self, content: Iterable[_Folder | Visit], place: Place, texts: Texts, item: MediaSourceItem
    ) -> BrowseMediaSource:
        found = list(content)
        if len(place) > 2 and not found:
            raise BrowseError(**_no_such_media(item))
        title = texts[place[1]] if len(place) == 2 else self._title(place, found)
        opened = _folder(
            _Folder(place, title),
            [_picture(each, texts) if isinstance(each, Visit) else each for each in found[:MOST]],
        )
        opened.not_shown = max(0, len(found) - MOST)
        return opened

    def _title(self, place: Place, found: Sequence[_Folder | Visit]) -> str:
        """Return the name of a person, or the day."""
        faces = (face for visit in found if isinstance(visit, Visit) for face in visit.faces)
        return next((face.name for face in faces if face.person_id == place[2] and face.name), place[2])

    def _visits(self, wanted: VisitFilter) -> Iterator[Visit]:
        """Yield the visits of which there is a picture, newest first."""
        return (visit for visit in self._hass.data[VISITS].newest_first(wanted) if visit.picture is not None)

    def _doors(self) -> Mapping[str, str]:
        """Return the names of the doorbells by id; those that are removed but have visits have only their id."""
        named = {
            entry.data[CONF_ID]: entry.title
            for entry in self._hass.config_entries.async_entries(DOMAIN, include_ignore=False)
            if kind(entry) is EntryKind.DOORBELL
        }
        return {visit.doorbell_id: visit.doorbell_id for visit in self._visits(VisitFilter())} | named

    def _door_folders(self, doors: Mapping[str, str]) -> list[_Folder]:
        return [
            replace(_Folder((door,), name), thumbnail=next(map(_thumbnail, self.recent(door)), None))
            for door, name in sorted(doors.items(), key=lambda door: door[1].casefold())
        ]

    async def _texts(self) -> Texts:
        prefix = f"component.{DOMAIN}.common."
        texts = await async_get_translations(
            self._hass, self._hass.config.language, "common", integrations={DOMAIN}
        )
        return {key.removeprefix(prefix): text for key, text in texts.items()}


SECTIONS: Final[Mapping[str, Callable[..., Iterable[_Folder | Visit]]]] = {
    "recent": VisitMediaSource.recent,
    "people": VisitMediaSource.people,
    "unknown": VisitMediaSource.unknown,
    "day": VisitMediaSource.day,
}


def _place(item: MediaSourceItem) -> Place:
    return tuple(item.identifier.split("/")) if item.identifier else ()


def _folder(
    folder: _Folder, children: Sequence[_Folder | BrowseMediaSource] | None = None
) -> BrowseMediaSource:
    shown = [_folder(child) if isinstance(child, _Folder) else child for child in children or ()]
    return BrowseMediaSource(
        domain=DOMAIN,
        identifier="/".join(folder.place) or None,
        media_class=MediaClass.DIRECTORY,
        media_content_type=MediaType.IMAGE,
        title=folder.title,
        thumbnail=folder.thumbnail,
        can_play=False,
        can_expand=True,
        can_search=True,
        children=shown if children is not None else None,
        children_media_class=shown[0].media_class if shown else MediaClass.IMAGE,
    )


def _picture(visit: Visit, texts: Texts) -> BrowseMediaSource:
    return BrowseMediaSource(
        domain=DOMAIN,
        identifier=f"{visit.doorbell_id}/{_VISIT}/{visit.visit_id}",
        media_class=MediaClass.IMAGE,
        media_content_type=_MIME,
        title=f"{_who(visit, texts)} - {dt_util.as_local(visit.at):%Y-%m-%d %H:%M}",
        thumbnail=_thumbnail(visit),
        can_play=True,
        can_expand=False,
    )


def _thumbnail(visit: Visit) -> str | None:
    return None if visit.picture is None else picture_thumbnail_url(visit.visit_id, visit.picture)


def _who(visit: Visit, texts: Texts) -> str:
    return ", ".join(visit.names) or texts[f"visit_{visit.outcome or 'undecided'}"]


def _day(visit: Visit) -> date:
    return dt_util.as_local(visit.at).date()


def _no_such_media(item: MediaSourceItem) -> ErrorText:
    return {
        "translation_domain": DOMAIN,
        "translation_key": "media_unreadable",
        "translation_placeholders": {"media": item.media_source_id},
    }
