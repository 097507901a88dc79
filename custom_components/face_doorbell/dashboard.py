"""The dashboard as Home Assistant's frontend reads it, made of what there is: doors, persons and their entities.

Pure: `build_dashboard` takes what `dashboard_source.py` has read from the registries. No entity id is known in here.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

# What the frontend reads is JSON of its own making.
type Config = dict[str, Any]

VISITS_CARD: Final = "custom:face-doorbell-visits"
PEOPLE_CARD: Final = "custom:face-doorbell-people"
PEOPLE_PATH: Final = "people"

BANNER_S: Final = 120  # how long the banner says that somebody is at the door; nobody waits longer
FIRST_VISITS: Final = 8  # as many as leave the rest of the view in reach on a phone

ACTIVITY_HOURS: Final = 72

# The entities of a door, by their keys; whatever else it has stands under "Health".
_EVENTS: Final = ("doorbell", "visitor")
_PICTURES: Final = ("camera", "last_visitor_picture")
_LAST_VISITOR: Final = ("last_visitor", "recognized")
_CONTROLS: Final = ("recognition", "test_ring", "green_led", "red_led", "buzzer")
_PLACED: Final = frozenset({*_EVENTS, *_PICTURES, *_LAST_VISITOR, *_CONTROLS})

_NAME_OF_ENTITY: Final[Config] = {"type": "entity"}  # without the door's name, which stands above
_NAME_OF_DEVICE: Final[Config] = {"type": "device"}
_WIDE: Final[Config] = {"columns": "full"}
_HALF: Final[Config] = {"columns": 6, "rows": 1}
_ONE_COLUMN: Final[list[Config]] = [{"condition": "view_columns", "max": 1}]  # a phone
_SEVERAL_COLUMNS: Final[list[Config]] = [{"condition": "view_columns", "min": 2}]


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


@dataclass(frozen=True, slots=True)
class _Part:
    """What stands below a heading; nothing of it is shown when there are no cards."""

    heading: str
    icon: str
    cards: Iterable[Config]
    badge: str | None = None  # an entity beside the heading


def build_dashboard(
    doors: Sequence[Door],
    members: Sequence[Member],
    texts: Mapping[str, str],
    admins: Sequence[str] = (),
) -> Config:
    """Return the dashboard: one view a door, and one for the users who may change people.

    `texts` are those of the translations whose keys start with `dashboard_`, without that. `admins` are the ids of
    these users, nobody when there is no recognition. Two cards need our JavaScript; where it is not loaded, as on a
    Cast device, the others still show camera, last visitor and activity.
    """
    views = [_view(door, members, texts) for door in doors]
    if views and admins:
        views.append(_people_view(texts, admins))
    return {"views": views}


def _view(door: Door, members: Sequence[Member], texts: Mapping[str, str]) -> Config:
    """Return the view of a door: the visits stand beside all the rest where there is room, else right below the door.

    The frontend's sidebar is a column of its own: what stands in it needs not be as high as what is beside it.
    """
    at_the_door = _Part(texts["at_the_door"], "mdi:doorbell-video", _live(door, texts))
    last_visitor = _Part(
        texts["last_visitor"], "mdi:account-box", _last_visitor(door), door.entities.get("recognized")
    )
    activity = _Part(texts["activity"], "mdi:format-list-bulleted", _activity(door))
    return {
        "title": door.name,
        "path": door.device_id,
        "type": "sections",
        "max_columns": 3,
        "sections": [
            *_section(at_the_door, column_span=2),
            *_visits(door, texts, _ONE_COLUMN),
            *_section(last_visitor),
            *_section(
                _Part(texts["people"], "mdi:account-group", _people(members)),
                _Part(texts["controls"], "mdi:tune-variant", _controls(door)),
                _Part(texts["health"], "mdi:heart-pulse", _health(door)),
            ),
        ],
        "sidebar": {
            "sections": [*_visits(door, texts, _SEVERAL_COLUMNS), *_section(activity)],
        },
    }


def _people_view(texts: Mapping[str, str], admins: Sequence[str]) -> Config:
    card = {"type": PEOPLE_CARD, "grid_options": _WIDE}
    return {
        "title": texts["people"],
        "path": PEOPLE_PATH,
        "type": "sections",
        "max_columns": 2,
        "visible": [{"user": user_id} for user_id in admins],
        "sections": [{"type": "grid", "column_span": 2, "cards": [card]}],
    }


def _section(*parts: _Part, **more: object) -> Iterator[Config]:
    """Yield a section, unless nothing is in it."""
    if cards := [card for part in parts for card in _headed(part)]:
        yield {"type": "grid", "cards": cards, **more}


def _headed(part: _Part) -> Iterator[Config]:
    cards = list(part.cards)
    if not cards:
        return
    heading: Config = {"type": "heading", "heading": part.heading, "icon": part.icon}
    if part.badge:
        heading["badges"] = [{"type": "entity", "entity": part.badge}]
    yield heading
    yield from cards


def _live(door: Door, texts: Mapping[str, str]) -> Iterator[Config]:
    camera, doorbell = door.entities.get("camera"), door.entities.get("doorbell")
    if camera:
        yield {
            "type": "picture-entity",
            "entity": camera,
            "camera_view": "live",
            "show_name": False,
            "show_state": False,
            "grid_options": _WIDE,
            "visibility": [_is_there(camera)],  # it would be a blank box
        }
        connected = [_is_there(doorbell)] if doorbell else []
        yield _trouble(texts["no_picture"], _is_lost(camera), *connected)
    if doorbell:
        yield _trouble(texts["offline"], _is_lost(doorbell))
        # Below the picture, which so stays where it is when somebody rings.
        yield _markdown(_banner(doorbell, door.entities.get("visitor"), texts))


def _is_there(entity: str) -> Config:
    return {"condition": "state", "entity": entity, "state_not": "unavailable"}


def _is_lost(entity: str) -> Config:
    return {"condition": "state", "entity": entity, "state": "unavailable"}


def _trouble(text: str, *when: Config) -> Config:
    """Return a card that says what is wrong, while it is."""
    return _markdown(f'<ha-alert alert-type="error">{text}</ha-alert>') | {"visibility": when}


def _markdown(content: str) -> Config:
    # Not `show_empty: false`: a card that hides itself stops to listen, and never comes back.
    return {"type": "markdown", "content": content, "text_only": True, "grid_options": _WIDE}


def _banner(doorbell: str, visitor: str | None, texts: Mapping[str, str]) -> str:
    """Return a template that is empty unless somebody has just rung, and tells who it is as soon as that is known.

    Home Assistant renders what asks for `now()` anew each minute, so it goes away by itself.
    """
    somebody, known = (
        texts["banner"],
        texts["banner_known"].replace("{names}", "{{ names | join(', ') | e }}"),
    )
    answer = (
        f"{{% set names = state_attr('{visitor}', 'names') or []"
        f" if state_attr('{visitor}', 'visit_id') == state_attr('{doorbell}', 'visit_id') else [] %}}"
        if visitor
        else "{% set names = [] %}"
    )
    return (
        f"{{% set rang = states('{doorbell}') | as_datetime(none) %}}"
        f"{{% if rang and is_state_attr('{doorbell}', 'event_type', 'ring')"
        f" and (now() - rang).total_seconds() < {BANNER_S} %}}{answer}"
        f"<ha-alert alert-type=\"{{{{ 'success' if names else 'info' }}}}\">"
        f"{{% if names %}}{known}{{% else %}}{somebody}{{% endif %}}</ha-alert>"
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
            # Before the first visit there is none, and to ask for it would be an error.
            "visibility": [
                {"condition": "state", "entity": picture, "state_not": ["unknown", "unavailable"]}
            ],
        }
    yield from _tiles(door, ("last_visitor",))
    yield from _tiles(door, ("visitor",), state_content="state")  # how long ago


def _visits(door: Door, texts: Mapping[str, str], visibility: Sequence[Config]) -> Iterator[Config]:
    card: Config = {
        "type": VISITS_CARD,
        "device_id": door.device_id,
        "limit": FIRST_VISITS,
        "grid_options": _WIDE,
        # The cards of a section that is hidden are still at work.
        "visibility": visibility,
    }
    return _section(_Part(texts["visits"], "mdi:account-clock", iter([card])), visibility=visibility)


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


def _controls(door: Door) -> Iterator[Config]:
    for key in _CONTROLS:
        # When a button was pressed last says nothing; to press it, a tap is to be enough.
        more = {"hide_state": True, **_press(door.entities.get(key))} if key == "test_ring" else {}
        yield from _tiles(door, (key,), **more)


def _press(button: str | None) -> Config:
    press = {"action": "perform-action", "perform_action": "button.press", "target": {"entity_id": [button]}}
    return {"tap_action": press, "icon_tap_action": press} if button else {}


def _health(door: Door) -> Iterator[Config]:
    return _tiles(door, sorted(door.entities.keys() - _PLACED), grid_options=_WIDE)


def _activity(door: Door) -> Iterator[Config]:
    if entities := list(_present(door, (*_EVENTS, "last_visitor"))):
        yield {
            "type": "logbook",
            "hours_to_show": ACTIVITY_HOURS,
            "target": {"entity_id": entities},
            "grid_options": {**_WIDE, "rows": 6},
        }


def _tiles(door: Door, keys: Sequence[str], **more: object) -> Iterator[Config]:
    for entity in _present(door, keys):
        yield {"type": "tile", "entity": entity, "name": _NAME_OF_ENTITY, **more}


def _present(door: Door, keys: Sequence[str]) -> Iterator[str]:
    return (door.entities[key] for key in keys if key in door.entities)
