"""Each way in which AWS can fail, at set-up, at a sync and at a real press: what comes of it, and who is told.

The tables in docs/aws.md are made of what is tested here: REWRITE_DOCS=1 puts them there.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
import functools
import os
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final
from unittest.mock import patch

from freezegun.api import FrozenDateTimeFactory
from homeassistant.components.persistent_notification import _async_get_or_create_notifications
from homeassistant.config_entries import SOURCE_REAUTH, ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_fire_time_changed

from custom_components.face_doorbell import attendance
from custom_components.face_doorbell.budget import BUDGET
from custom_components.face_doorbell.const import DOMAIN
from custom_components.face_doorbell.model import Outcome
from custom_components.face_doorbell.naming import async_add_person
from custom_components.face_doorbell.recognition import aws
from custom_components.face_doorbell.recognition.errors import RecognitionError
from custom_components.face_doorbell.recognition_flow import ERROR_FIELDS
from custom_components.face_doorbell.trouble import REPAIRS
from custom_components.face_doorbell.visits import VISITS, Visit
from pi_bridge.faces import Faces
from tests import photos
from tests.aws_faults import FAULTS, AwsFault, Wire, aws_wire, can_happen, service_of
from tests.bridge.doubles import RunningBridge, running_bridge
from tests.fake_rekognition import Fault, paint
from tests.recognition.conftest import BUCKET, Cloud

from .flow_texts import english
from .flow_tools import AWS_FORM, answer, choose, start
from .helpers import RECOGNIZED, VISITOR, add_doorbell, recognition, set_up, state, until_acked
from .test_budget import SETTINGS

PERMISSIONS: Final = {
    "PutObject": "s3:PutObject",
    "ListObjectsV2": "s3:ListBucket",
    "IndexFaces": "rekognition:IndexFaces",
    "ListFaces": "rekognition:ListFaces",
}
AWS_MD: Final = Path(__file__).parents[2] / "docs" / "aws.md"
BEGIN, END = "<!-- faults -->", "<!-- end of faults -->"


@pytest.fixture
def wire(cloud: Cloud) -> Iterator[Wire]:
    # Making clients takes longer than all that is asked of them here.
    with aws_wire() as wire, patch.object(aws, "_connect", functools.cache(aws._connect)):
        yield wire


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where something can go wrong: the operations that do, and how often those are tried that are worth it."""

    name: str
    operations: tuple[str, ...]  # every fault that one of them can have
    special: tuple[str, ...] = ()  # faults of these operations only
    tries: Mapping[str, int]  # by service
    again: str
    one_is_enough: bool = False  # each takes long, and another operation would show nothing else

    def rows(self) -> Iterator[tuple[AwsFault, tuple[str, ...]]]:
        """Yield each fault with the operations that have it here."""
        for fault in FAULTS:
            special = tuple(operation for operation in self.special if operation in fault.codes)
            usual = tuple(operation for operation in self.operations if can_happen(fault, operation))
            if operations := special + usual:
                yield fault, operations[:1] if self.one_is_enough else operations

    def tried(self, fault: AwsFault, operation: str) -> int:
        """Return how often a call is made in the end."""
        if fault.times is not None:
            return fault.times + 1
        return self.tries[service_of(operation)] if fault.patient else fault.tries


ALIKE: Final = {"sts": 3, "s3": 3, "rekognition": 3}
SET_UP: Final = Place(
    name="set-up",
    operations=("GetCallerIdentity", "PutObject", "IndexFaces"),
    special=("CreateCollection",),
    tries=ALIKE,
    again="when the form is sent again",
)
SYNC: Final = Place(
    name="sync",
    operations=("ListObjectsV2", "PutObject", "ListFaces", "IndexFaces"),
    special=("AssociateFaces", "CreateCollection"),
    tries={**ALIKE, "rekognition": 5},  # nobody is waiting
    again="within five minutes, and by the button",
)
SEARCH: Final = Place(
    name="visit, mode search",
    operations=("SearchUsersByImage",),
    tries=ALIKE,
    again="at the next visit",
    one_is_enough=True,
)
COMPARE: Final = Place(
    name="visit, mode compare",
    operations=("CompareFaces", "PutObject"),
    tries=ALIKE,
    again="at the next visit",
    one_is_enough=True,
)


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """Something in the form, or about the bucket that it names, that the user has to change."""

    name: str
    entered: Mapping[str, Any] = MappingProxyType({})
    fault: AwsFault | None = None
    operation: str = ""
    reason: str


def _bucket_fault(name: str, status: int, code: str = "") -> AwsFault:
    return AwsFault(name=name, codes={"s3": code or str(status)}, status=status, reason="")


MISTAKES: Final = (
    Mistake(name="no access key", entered={"access_key_id": " "}, reason="invalid_auth"),
    Mistake(name="no secret", entered={"secret_access_key": " "}, reason="invalid_auth"),
    Mistake(name="not a bucket name", entered={"bucket": "My Photos"}, reason="invalid_bucket"),
    Mistake(name="no such bucket", entered={"bucket": "no-such-bucket"}, reason="bucket_missing"),
    Mistake(
        name="bucket name that somebody else has",
        entered={"create_bucket": True},
        fault=_bucket_fault("taken", 409, "BucketAlreadyExists"),
        operation="CreateBucket",
        reason="bucket_taken",
    ),
    Mistake(
        name="bucket of another account",
        fault=replace(_bucket_fault("other owner", 403), times=1),  # only when asked for an owner
        operation="HeadBucket",
        reason="bucket_taken",
    ),
    Mistake(
        name="bucket that the keys may not see",
        fault=_bucket_fault("denied", 403),
        operation="HeadBucket",
        reason="missing_permission",
    ),
    Mistake(name="bucket in another region", entered={"region": "eu-central-1"}, reason="wrong_region"),
    Mistake(name="not a collection name", entered={"collection": "my faces"}, reason="invalid_collection"),
    Mistake(
        name="endpoint that is no address",
        entered={"advanced": {"endpoint_url": "minio"}},
        reason="invalid_endpoint",
    ),
)


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something at a visit that is no refusal of AWS, or one that nobody has to mend."""

    name: str
    operation: str = "SearchUsersByImage"
    happens: Callable[[HomeAssistant, Cloud, Wire], AbstractContextManager[None]]
    outcome: Outcome
    reason: str | None = None
    again: str


@contextmanager
def _collection_deleted(_hass: HomeAssistant, cloud: Cloud, _wire: Wire) -> Iterator[None]:
    cloud.rekognition.drop_collection()
    yield
    assert cloud.rekognition.collection()


@contextmanager
def _unreadable(_hass: HomeAssistant, _cloud: Cloud, wire: Wire) -> Iterator[None]:
    codes = {"rekognition": "InvalidImageFormatException"}
    with wire.failing(AwsFault(name="unreadable", codes=codes, reason=""), "SearchUsersByImage"):
        yield


@contextmanager
def _nobody(_hass: HomeAssistant, cloud: Cloud, _wire: Wire) -> Iterator[None]:
    with patch.object(cloud.rekognition.eyes, "look", return_value=[]):
        yield


@contextmanager
def _budget_spent(hass: HomeAssistant, _cloud: Cloud, _wire: Wire) -> Iterator[None]:
    hass.data[BUDGET].usage.budget = 0
    yield
    hass.data[BUDGET].usage.budget = None


EVENTS: Final = (
    Event(
        name="collection deleted",
        happens=_collection_deleted,
        outcome=Outcome.UNKNOWN,
        again="at once, with a collection made anew from the photos",
    ),
    Event(
        name="no face in the picture",
        happens=_nobody,
        outcome=Outcome.NO_FACE,
        again="with the best picture of the ring",
    ),
    Event(
        name="picture that AWS cannot read",
        happens=_unreadable,
        outcome=Outcome.FAILED,
        reason="photo_not_an_image",
        again="at the next visit",
    ),
    Event(
        name="budget used up",
        operation="",
        happens=_budget_spent,
        outcome=Outcome.FAILED,
        reason="budget_spent",
        again="when the month ends, the budget is raised, or the repair lifts it",
    ),
)


async def set_up_home(
    hass: HomeAssistant, bridge: RunningBridge, *, fallback: bool, mode: str = "search", persons: int = 0
) -> MockConfigEntry:
    """Set up face recognition and a doorbell, of which the former comes first if there are persons to enrol."""
    if not persons:
        await add_doorbell(hass, bridge)
    entry = recognition(**SETTINGS | {"mode": mode})
    entry.add_to_hass(hass)
    hass.config_entries.async_update_entry(entry, options={"fallback": fallback})
    await hass.config_entries.async_setup(entry.entry_id)
    for number in range(persons):
        shown = [paint(120 * number, mark=mark) for mark in range(2)]
        async_add_person(hass, entry, await entry.runtime_data.enrol(f"Person {number}", shown))
    await hass.async_block_till_done()
    if persons:
        await add_doorbell(hass, bridge)
    return entry


async def ring(hass: HomeAssistant, bridge: RunningBridge) -> Visit:
    bridge.press()
    await until_acked(bridge)
    await hass.async_block_till_done()
    return next(hass.data[VISITS].newest_first())


def repairs(hass: HomeAssistant) -> list[str | None]:
    return [
        issue.translation_key for (domain, _), issue in ir.async_get(hass).issues.items() if domain == DOMAIN
    ]


def reauths(hass: HomeAssistant) -> bool:
    flows = hass.config_entries.flow.async_progress_by_handler(DOMAIN)
    return any(flow["context"]["source"] == SOURCE_REAUTH for flow in flows)


def told(hass: HomeAssistant) -> tuple[bool, list[str | None]]:
    """Return whether new keys are asked for, and which repairs there are; the next fault finds no question open."""
    asked = reauths(hass)
    for flow in hass.config_entries.flow.async_progress_by_handler(DOMAIN):
        hass.config_entries.flow.async_abort(flow["flow_id"])
    return asked, repairs(hass)


def to_tell(fault: AwsFault) -> tuple[bool, list[str | None]]:
    """Return what is to be told of a fault while it lasts."""
    return fault.reason == "invalid_auth", [fault.reason] if fault.reason in REPAIRS else []


async def test_each_fault_at_set_up_has_its_text(hass: HomeAssistant, cloud: Cloud, wire: Wire) -> None:
    form = await start(hass, choose("recognition"), choose("rekognition"))
    before = cloud.state()
    for fault, operations in SET_UP.rows():
        if fault.reason is None:
            continue  # the form is saved, see below
        for operation in operations:
            with wire.failing(fault, operation):
                form = await answer(hass, form, AWS_FORM)
                sent = wire.sent[operation]
            where = (fault.name, operation)
            assert form["type"] == "form", where
            assert form["errors"] == {ERROR_FIELDS.get(fault.reason, "base"): fault.reason}, where
            assert sent == SET_UP.tried(fault, operation), where
            assert cloud.state() == before, where
            if fault.reason == "missing_permission":
                action = form["description_placeholders"]["action"]
                assert action == ("s3:GetObject" if "may not read" in fault.name else PERMISSIONS[operation])
    busy = next(fault for fault, _ in SET_UP.rows() if fault.reason is None)
    with wire.failing(busy, "IndexFaces"):
        form = await answer(hass, form, AWS_FORM)
    assert form["type"] == "create_entry"


async def test_each_mistake_at_set_up_has_its_text(hass: HomeAssistant, cloud: Cloud, wire: Wire) -> None:
    form = await start(hass, choose("recognition"), choose("rekognition"))
    before = cloud.state()
    for mistake in MISTAKES:
        if mistake.fault:
            with wire.failing(mistake.fault, mistake.operation):
                form = await answer(hass, form, {**AWS_FORM, **mistake.entered})
        else:
            form = await answer(hass, form, {**AWS_FORM, **mistake.entered})
        assert form["errors"] == {ERROR_FIELDS.get(mistake.reason, "base"): mistake.reason}, mistake
        assert cloud.state() == before
    form = await answer(hass, form, AWS_FORM)
    assert form["type"] == "create_entry"


async def test_each_fault_at_a_sync_is_told_and_heals(hass: HomeAssistant, cloud: Cloud, wire: Wire) -> None:
    entry = recognition(**SETTINGS)
    await set_up(hass, entry)
    recognizer = entry.runtime_data
    person = await recognizer.enrol("Ann", [paint(0), paint(0, mark=1)])
    whole = cloud.state()
    photo = f"face_doorbell/people/{person.id}/{person.photos[0].id}.jpg"
    for fault, operations in SYNC.rows():
        for operation in operations:
            # There is something to do for each operation.
            if cloud.rekognition.collection():
                cloud.rekognition.drop_collection()
            cloud.s3.delete_object(Bucket=BUCKET, Key=photo)
            where = (fault.name, operation)
            with wire.failing(fault, operation):
                if fault.reason is None:
                    await recognizer.sync()
                else:
                    with pytest.raises(RecognitionError) as failed:
                        await recognizer.sync()
                    assert failed.value.key == fault.reason, where
                sent = wire.sent[operation]
            calls = 2 if operation == "IndexFaces" and fault.reason is None else 1  # there are two photos
            assert sent == SYNC.tried(fault, operation) + calls - 1, where
            assert recognizer.in_sync is (fault.reason is None), where
            assert told(hass) == to_tell(fault), where
            if fault.reason == "missing_permission" and "may not read" not in fault.name:
                assert failed.value.placeholders == {"action": PERMISSIONS[operation]}
            await recognizer.sync()
            assert recognizer.in_sync
            assert told(hass) == (False, []), where
            assert cloud.state() == whole, where


@pytest.mark.parametrize("place", [SEARCH, COMPARE], ids=lambda place: place.name)
async def test_each_fault_at_a_visit_has_its_outcome(
    hass: HomeAssistant, bridge: RunningBridge, cloud: Cloud, wire: Wire, place: Place
) -> None:
    mode = "search" if place is SEARCH else "compare"
    await set_up_home(hass, bridge, fallback=False, mode=mode, persons=1)
    for fault, operations in place.rows():
        for operation in operations:
            where = (fault.name, operation)
            with wire.failing(fault, operation):
                visit = await ring(hass, bridge)
                sent = wire.sent[operation]
            seen = (visit.outcome is Outcome.FAILED, visit.reason, visit.fallback)
            assert seen == (fault.reason is not None, fault.reason, False), where
            assert state(hass, VISITOR).attributes["reason"] == fault.reason
            other_calls = visit.calls.get(operation, 1) - 1  # of an answer: for the other faces and photos
            assert sent == place.tried(fault, operation) + other_calls, where
            assert told(hass) == to_tell(fault), where
            if any(to_tell(fault)):
                visit = await ring(hass, bridge)
                assert visit.outcome is not Outcome.FAILED, where
                assert told(hass) == (False, []), where
    assert (await ring(hass, bridge)).outcome is not Outcome.FAILED


async def test_what_else_can_happen_at_a_visit(
    hass: HomeAssistant, bridge: RunningBridge, cloud: Cloud, wire: Wire
) -> None:
    await set_up_home(hass, bridge, fallback=False)
    for event in EVENTS:
        with event.happens(hass, cloud, wire):
            visit = await ring(hass, bridge)
        assert (visit.outcome, visit.reason) == (event.outcome, event.reason), event.name
        assert told(hass) == (False, []), event.name
        visit = await ring(hass, bridge)
        assert visit.outcome is Outcome.UNKNOWN


async def test_without_the_bucket_a_search_goes_on(
    hass: HomeAssistant, bridge: RunningBridge, cloud: Cloud
) -> None:
    entry = await set_up_home(hass, bridge, fallback=False)
    cloud.s3.delete_bucket(Bucket=BUCKET)
    with pytest.raises(RecognitionError, match="bucket_missing"):
        await entry.runtime_data.sync()
    assert (await ring(hass, bridge)).outcome is not Outcome.FAILED
    assert repairs(hass) == ["bucket_missing"]


async def test_a_photo_that_is_gone_is_there_again_at_the_next_visit(
    hass: HomeAssistant, bridge: RunningBridge, cloud: Cloud
) -> None:
    await set_up_home(hass, bridge, fallback=False, mode="compare", persons=1)
    kept = cloud.keys()
    for key in kept:
        cloud.s3.delete_object(Bucket=BUCKET, Key=key)
    assert (
        await ring(hass, bridge)
    ).reason == "missing_permission"  # AWS does not say which of the two it is
    assert (await ring(hass, bridge)).outcome is not Outcome.FAILED
    assert cloud.keys() == kept
    assert repairs(hass) == []


async def test_the_doorbell_stands_in_and_the_visit_says_so(
    hass: HomeAssistant, face_models: Faces, tmp_path: Path, cloud: Cloud
) -> None:
    shown = [photos.photo("obama2")]
    async with running_bridge(tmp_path / "bridge", photos=shown, finder=face_models) as bridge:
        await set_up_home(hass, bridge, fallback=True)
        cloud.rekognition.fail["SearchUsersByImage"] = Fault("AccessDeniedException")
        visit = await ring(hass, bridge)
        assert visit.outcome is not Outcome.FAILED
        assert (visit.engine, visit.fallback, visit.reason) == ("local", True, "missing_permission")
        assert state(hass, VISITOR).attributes["fallback"] is True
        assert repairs(hass) == ["missing_permission"]

        # So it does when the budget is used up, and AWS is not asked.
        cloud.rekognition.fail.clear()
        cloud.rekognition.calls.clear()
        hass.data[BUDGET].async_set_limit(0)
        visit = await ring(hass, bridge)
        assert (visit.engine, visit.fallback, visit.reason) == ("local", True, "budget_spent")
        assert "budget_spent" in repairs(hass)
        assert cloud.rekognition.calls == {}


async def test_aws_away_at_the_start_keeps_no_doorbell_from_recognizing(
    hass: HomeAssistant, seeing_bridge: RunningBridge, cloud: Cloud
) -> None:
    cloud.rekognition.fail["ListFaces"] = Fault("AccessDeniedException")
    entry = await set_up_home(hass, seeing_bridge, fallback=True)
    assert entry.state is ConfigEntryState.LOADED
    assert not entry.runtime_data.in_sync
    assert repairs(hass) == ["missing_permission"]
    cloud.rekognition.fail.clear()
    await entry.runtime_data.sync()
    assert repairs(hass) == []


async def test_without_one_that_stands_in_the_start_waits_for_aws(hass: HomeAssistant, cloud: Cloud) -> None:
    cloud.rekognition.fail["ListFaces"] = Fault("AccessDeniedException")
    entry = recognition(**SETTINGS)
    await set_up(hass, entry)
    assert entry.state is ConfigEntryState.SETUP_RETRY


async def test_a_late_answer_is_kept_and_acts_on_nothing(
    hass: HomeAssistant, bridge: RunningBridge, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    await set_up_home(hass, bridge, fallback=False)
    monkeypatch.setattr(attendance, "late_after", lambda _hass: -1)
    visit = await ring(hass, bridge)
    assert visit.late
    assert visit.outcome is not None
    assert state(hass, VISITOR).state == "unknown"
    assert state(hass, RECOGNIZED).state == "off"
    assert visit.timings.answer is None  # no LED


async def test_the_times_of_each_step_are_shown(
    hass: HomeAssistant, bridge: RunningBridge, cloud: Cloud
) -> None:
    await set_up_home(hass, bridge, fallback=False)
    visits = [await ring(hass, bridge) for _ in range(3)]
    steps = visits[-1].timings
    assert 0 <= steps.ring <= steps.picture <= steps.asked <= steps.decision <= steps.answer  # type: ignore[operator]  # none is None
    shown = state(hass, "sensor.front_door_time_to_decision")
    times = sorted(visit.timings.decision or 0 for visit in visits)
    assert shown.state == str(steps.decision)
    assert [shown.attributes[name] for name in ("p50", "p95", "visits")] == [times[1], times[2], 3]
    assert hass.states.get("sensor.front_door_time_to_ring") is None


async def test_a_sync_tells_what_it_has_mended(hass: HomeAssistant, cloud: Cloud) -> None:
    entry = recognition(**SETTINGS)
    await set_up(hass, entry)
    await entry.runtime_data.enrol("Ann", [paint(0), paint(0, mark=1)])
    cloud.rekognition.drop_collection()
    told = await hass.services.async_call(DOMAIN, "sync_people", blocking=True, return_response=True)
    assert told == {
        "added": 2,
        "removed": 0,
        "refused": {},
        "deleted": {},
        "calls": {"IndexFaces": 2, "AssociateFaces": 1},
    }
    cloud.rekognition.drop_collection()
    button = {"entity_id": "button.face_recognition_sync_people"}
    for said in ("added: 2", "in step"):
        await hass.services.async_call("button", "press", button, blocking=True)
        assert said in _async_get_or_create_notifications(hass)["face_doorbell_sync_people"]["message"]
    collection = cloud.rekognition.collection()
    assert collection is not None
    assert len(collection.faces) == 2


async def test_the_index_heals_by_itself(
    hass: HomeAssistant, cloud: Cloud, freezer: FrozenDateTimeFactory
) -> None:
    entry = recognition(**SETTINGS)
    await set_up(hass, entry)
    cloud.rekognition.drop_collection()
    for later, healed in ((timedelta(hours=1), False), (timedelta(days=1), True)):
        freezer.tick(later)
        async_fire_time_changed(hass)
        await hass.async_block_till_done(wait_background_tasks=True)
        assert (cloud.rekognition.collection() is not None) is healed


HEAD: Final = (
    "| fault | call | outcome | what the user sees | tried again |",
    "|---|---|---|---|---|",
)


def _calls(operations: Sequence[str]) -> str:
    return ", ".join(f"`{operation}`" for operation in operations) or "none"


def _tried(place: Place, fault: AwsFault, operations: Sequence[str]) -> str:
    """Return how a call is tried again, and when after that."""
    if fault.reason is None:
        return "until it works" if fault.patient else "from the beginning, three times"
    tries = sorted({place.tried(fault, operation) for operation in operations} - {1})
    at_once = f"{' or '.join(map(str, tries))} times at once, then " if tries else ""
    asked = (
        "when new keys were entered, and " if fault.reason == "invalid_auth" and place is not SET_UP else ""
    )
    return f"{at_once}{asked}{place.again}"


def _set_up_table() -> Iterator[str]:
    errors = english()["config"]["error"]
    yield from HEAD
    for mistake in MISTAKES:
        call = f"`{mistake.operation}`" if mistake.operation else "the form"
        call = "`HeadBucket`" if mistake.reason in ("bucket_missing", "wrong_region") else call
        yield f"| {mistake.name} | {call} | not saved, `{mistake.reason}` | {errors[mistake.reason]} | {SET_UP.again} |"
    for fault, operations in SET_UP.rows():
        outcome = f"not saved, `{fault.reason}`" if fault.reason else "saved"
        sees = errors[fault.reason] if fault.reason else "nothing"
        yield f"| {fault.name} | {_calls(operations)} | {outcome} | {sees} | {_tried(SET_UP, fault, operations)} |"


def _sees(fault: AwsFault) -> str:
    if fault.reason is None:
        return "nothing"
    reasons = english()["entity"]["event"]["visitor"]["state_attributes"]["reason"]["state"]
    asked, repaired = to_tell(fault)
    more = (
        "; Home Assistant asks for new keys"
        if asked
        else "; a repair, until it works again"
        if repaired
        else ""
    )
    return f"{reasons[fault.reason]}{more}"


def _table(place: Place) -> Iterator[str]:
    yield from HEAD
    good, bad = ("in step", "not in step yet") if place is SYNC else ("as always", "`failed`")
    for fault, operations in place.rows():
        outcome = f"{bad}, `{fault.reason}`" if fault.reason else good
        tried = _tried(place, fault, operations)
        yield f"| {fault.name} | {_calls(operations)} | {outcome} | {_sees(fault)} | {tried} |"


def _events() -> Iterator[str]:
    reasons = english()["entity"]["event"]["visitor"]["state_attributes"]["reason"]["state"]
    yield from HEAD
    for event in EVENTS:
        outcome = f"`{event.outcome}`" + (f", `{event.reason}`" if event.reason else "")
        outcome = "as always" if event.happens is _collection_deleted else outcome
        sees = (
            reasons[event.reason] if event.reason else "nothing" if outcome == "as always" else "No face seen"
        )
        yield f"| {event.name} | {_calls(event.operation.split())} | {outcome} | {sees} | {event.again} |"


def tables() -> str:
    """Return the tables of the documentation."""
    parts = (
        ("At set-up, reauthentication and reconfiguration", _set_up_table()),
        (
            "At a sync (start, daily, button, and whenever somebody is added, changed or removed)",
            _table(SYNC),
        ),
        ("At a visit, mode search", _table(SEARCH)),
        ("At a visit, mode compare", _table(COMPARE)),
        ("Else at a visit", _events()),
    )
    return "\n\n".join(f"### {title}\n\n" + "\n".join(rows) for title, rows in parts)


def test_the_documentation_has_the_tables() -> None:
    text = AWS_MD.read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    wanted = f"{before}{BEGIN}\n{tables()}\n{END}{after}"
    if os.environ.get("REWRITE_DOCS"):
        AWS_MD.write_text(wanted)
    assert AWS_MD.read_text() == wanted, "REWRITE_DOCS=1 puts the tables there"
