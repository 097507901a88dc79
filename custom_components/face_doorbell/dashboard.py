"""The dashboard as Home Assistant's frontend reads it, made of what there is: doors, persons and their entities.

Pure: `build_dashboard` takes what `panel.py` has read from the registries. Nothing in here knows an entity id.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

# What the frontend reads is JSON of its own making.
type Config = dict[str, Any]

CARD: Final = "custom:face-doorbell-visits"
BANNER_S: Final = 120  # how long the banner says that somebody is at the door; nobody waits longer

ACTIVITY_HOURS: Final = 72

# The entities of a door, by their keys; whatever else it has stands under "Health".
_BADGES: Final = ("last_visitor", "recognized")
_EVENTS: Final = ("doorbell", "visitor")
_PICTURES: Final = ("camera", "last_visitor_picture")
_CONTROLS: Final = ("recognition", "test_ring", "green_led", "red_led", "buzzer")
_PLACED: Final = frozenset({*_BADGES, *_EVENTS, *_PICTURES, *_CONTROLS})

_NAME_OF_ENTITY: Final[Config] = {"type": "entity"}  # without the door's name, which stands above
_NAME_OF_DEVICE: Final[Config] = {"type": "device"}
_WIDE: Final[Config] = {"columns": "full"}
_HALF: Final[Config] = {"columns": 6, "rows": 1}


@dataclass(frozen=True, slots=True)
class Door:
    """A doorbell: its device, and its entities that are switched on and not hidden, by their keys."""

    device_id: str
    name: str
    entities: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Member:
    """A person of the household: the entities that are switched on and not hidden, by their keys."""

    entities: Mapping[str, str]


def build_dashboard(
    doors: Sequence[Door], members: Sequence[Member], texts: Mapping[str, str], *, with_card: bool
) -> Config:
    """Return the dashboard: one view a door.

    `texts` are those of the translations whose keys start with `dashboard_`, without that. The card needs our
    JavaScript; without it the activity says who was there.
    """
    return {"views": [_view(door, members, texts, with_card=with_card) for door in doors]}


def _view(door: Door, members: Sequence[Member], texts: Mapping[str, str], *, with_card: bool) -> Config:
    sections = [
        _section(texts["at_the_door"], "mdi:doorbell-video", _live(door, texts), span=2),
        _section(texts["last_visitor"], "mdi:account-box", _last_visitor(door)),
        _section(texts["visits"], "mdi:account-clock", _visits(door) if with_card else (), span=2),
        _section(texts["people"], "mdi:account-group", _people(members)),
        _section(texts["activity"], "mdi:format-list-bulleted", _activity(door), span=2),
        _section(texts["controls"], "mdi:tune-variant", _tiles(door, _CONTROLS)),
        _section(texts["health"], "mdi:heart-pulse", _tiles(door, sorted(door.entities.keys() - _PLACED))),
    ]
    return {
        "title": door.name,
        "path": door.device_id,
        "type": "sections",
        "max_columns": 3,
        "dense_section_placement": True,
        "badges": [
            {"type": "entity", "entity": entity, "name": _NAME_OF_ENTITY}
            for entity in _present(door, _BADGES)
        ],
        "sections": [section for section in sections if section],
    }


def _section(heading: str, icon: str, cards: Iterator[Config] | tuple[()], span: int = 1) -> Config | None:
    """Return a section, None when nothing is in it."""
    inside = list(cards)
    if not inside:
        return None
    title = {"type": "heading", "heading": heading, "icon": icon}
    return {"type": "grid", "column_span": span, "cards": [title, *inside]}


def _live(door: Door, texts: Mapping[str, str]) -> Iterator[Config]:
    if doorbell := door.entities.get("doorbell"):
        yield {
            "type": "markdown",
            "content": _banner(doorbell, texts),
            "text_only": True,
            "show_empty": False,
            "grid_options": _WIDE,
        }
    if camera := door.entities.get("camera"):
        yield {
            "type": "picture-entity",
            "entity": camera,
            "camera_view": "live",
            "show_name": False,
            "show_state": False,
            "grid_options": _WIDE,
        }


def _banner(doorbell: str, texts: Mapping[str, str]) -> str:
    """Return a template that is empty unless somebody has just rung."""
    return (
        f"{{% set rang = states('{doorbell}') | as_datetime(none) %}}"
        f"{{% if rang and is_state_attr('{doorbell}', 'event_type', 'ring')"
        f" and (now() - rang).total_seconds() < {BANNER_S} %}}"
        f'<ha-alert alert-type="info">{texts["banner"]}</ha-alert>'
        "{% endif %}"
    )


def _last_visitor(door: Door) -> Iterator[Config]:
    if picture := door.entities.get("last_visitor_picture"):
        yield {
            "type": "picture-entity",
            "entity": picture,
            "show_name": False,
            "show_state": False,
            "grid_options": _WIDE,
        }
    yield from _tiles(door, ("last_visitor",), grid_options=_WIDE)
    yield from _tiles(door, _EVENTS, state_content=["event_type", "state"], grid_options=_WIDE)


def _visits(door: Door) -> Iterator[Config]:
    yield {"type": CARD, "device_id": door.device_id, "grid_options": _WIDE}


def _people(members: Sequence[Member]) -> Iterator[Config]:
    for member in members:
        if picture := member.entities.get("last_picture"):
            yield {
                "type": "tile",
                "entity": picture,
                "name": _NAME_OF_DEVICE,
                "show_entity_picture": True,
                "hide_state": True,
                "grid_options": _HALF,
            }
        if last_seen := member.entities.get("last_seen"):
            name = _NAME_OF_ENTITY if picture else _NAME_OF_DEVICE
            yield {"type": "tile", "entity": last_seen, "name": name, "grid_options": _HALF}


def _activity(door: Door) -> Iterator[Config]:
    if entities := list(_present(door, (*_EVENTS, "last_visitor"))):
        yield {
            "type": "logbook",
            "hours_to_show": ACTIVITY_HOURS,
            "target": {"entity_id": entities},
            "grid_options": {**_WIDE, "rows": 8},
        }


def _tiles(door: Door, keys: Sequence[str], **more: object) -> Iterator[Config]:
    for entity in _present(door, keys):
        yield {"type": "tile", "entity": entity, "name": _NAME_OF_ENTITY, **more}


def _present(door: Door, keys: Sequence[str]) -> Iterator[str]:
    return (door.entities[key] for key in keys if key in door.entities)
