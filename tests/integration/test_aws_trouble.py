"""Each way in which AWS can fail, at a real press: what the visit says, who is told, and who answers instead.

The table in docs/aws.md is made here: REWRITE_DOCS=1 puts it there.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
import os
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

from botocore.client import BaseClient
from botocore.exceptions import EndpointConnectionError
from freezegun.api import FrozenDateTimeFactory
from homeassistant.config_entries import SOURCE_REAUTH, ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir
from moto import mock_aws
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_fire_time_changed

from custom_components.face_doorbell import attendance
from custom_components.face_doorbell.const import DOMAIN
from custom_components.face_doorbell.model import Outcome
from custom_components.face_doorbell.visits import VISITS, Visit
from pi_bridge.faces import Faces
from tests import photos
from tests.bridge.doubles import RunningBridge, running_bridge
from tests.fake_rekognition import Fault, PaintedEyes, fake_rekognition, paint
from tests.recognition.conftest import Cloud

from .flow_texts import english
from .helpers import RECOGNIZED, VISITOR, add_doorbell, recognition, set_up, state, until_acked
from .test_budget import SETTINGS

AWS_MD: Final = Path(__file__).parents[2] / "docs" / "aws.md"
BEGIN, END = "<!-- faults -->", "<!-- end of faults -->"


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    with mock_aws(), fake_rekognition(PaintedEyes()) as rekognition:
        yield Cloud(rekognition)


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """A fault at a search, what the visit says, and what the owner is told beyond that."""

    name: str
    code: str
    message: str = ""
    status: int = 400
    reason: str | None
    told: str = ""  # `reauth`, or `repair`
    retried: str


NOW, LATER = "three times within the visit", "at the next visit"
KEYS = "after new keys were entered"
MENDED = "at the next visit; the repair goes by itself"

TROUBLES: Final = (
    Trouble(
        name="wrong key ID",
        code="UnrecognizedClientException",
        reason="invalid_auth",
        told="reauth",
        retried=KEYS,
    ),
    Trouble(
        name="wrong secret",
        code="InvalidSignatureException",
        reason="invalid_auth",
        told="reauth",
        retried=KEYS,
    ),
    Trouble(
        name="expired token",
        code="ExpiredTokenException",
        reason="invalid_auth",
        told="reauth",
        retried=KEYS,
    ),
    Trouble(
        name="wrong clock",
        code="InvalidSignatureException",
        message="Signature expired: now",
        reason="clock_skew",
        told="repair",
        retried=MENDED,
    ),
    Trouble(
        name="account not ready",
        code="SubscriptionRequiredException",
        reason="account_not_ready",
        told="repair",
        retried=MENDED,
    ),
    Trouble(
        name="missing permission",
        code="AccessDeniedException",
        reason="missing_permission",
        told="repair",
        retried=MENDED,
    ),
    Trouble(
        name="quota used up",
        code="LimitExceededException",
        reason="quota_exceeded",
        told="repair",
        retried=MENDED,
    ),
    Trouble(name="throttled for a moment", code="ThrottlingException x1", reason=None, retried=NOW),
    Trouble(
        name="throttled for long",
        code="ProvisionedThroughputExceededException",
        reason="throttled",
        retried=f"{NOW}, then {LATER}",
    ),
    Trouble(
        name="failure of AWS",
        code="InternalServerError",
        status=500,
        reason="service_unavailable",
        retried=f"{NOW}, then {LATER}",
    ),
    Trouble(
        name="collection deleted",
        code="ResourceNotFoundException x1",
        reason=None,
        retried="at once, with a collection made anew from the photos",
    ),
    Trouble(name="no network", code="", reason="cannot_connect", retried=f"{NOW}, then {LATER}"),
    Trouble(
        name="an error that nobody knows",
        code="SomethingNew",
        reason="recognition_failed",
        retried=LATER,
    ),
)


@contextmanager
def failing(cloud: Cloud, trouble: Trouble) -> Iterator[None]:
    """Let searches fail; `x1`: once."""
    with ExitStack() as faults:
        if trouble.code:
            code, _, times = trouble.code.partition(" x")
            fault = Fault(code, trouble.message, trouble.status, int(times) if times else None)
            cloud.rekognition.fail["SearchUsersByImage"] = fault
        else:
            real = BaseClient._make_api_call  # type: ignore[attr-defined]  # not in the stubs

            def lost(client: BaseClient, name: str, params: dict[str, Any]) -> Any:
                if name == "SearchUsersByImage":
                    raise EndpointConnectionError(endpoint_url="https://rekognition")
                return real(client, name, params)

            faults.enter_context(patch.object(BaseClient, "_make_api_call", lost))
        yield
        cloud.rekognition.fail.clear()


async def set_up_home(
    hass: HomeAssistant, bridge: RunningBridge, *, fallback: bool
) -> tuple[MockConfigEntry, MockConfigEntry]:
    door = await add_doorbell(hass, bridge)
    entry = recognition(**SETTINGS)
    entry.add_to_hass(hass)
    hass.config_entries.async_update_entry(entry, options={"fallback": fallback})
    await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    return door, entry


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


@pytest.fixture
def no_waiting() -> Iterator[None]:
    """Let botocore try again at once."""
    with patch("botocore.retries.standard.ExponentialBackoff.delay_amount", return_value=0):
        yield


@pytest.mark.usefixtures("no_waiting")
async def test_each_fault_has_its_outcome(hass: HomeAssistant, bridge: RunningBridge, cloud: Cloud) -> None:
    await set_up_home(hass, bridge, fallback=False)
    for trouble in TROUBLES:
        with failing(cloud, trouble):
            visit = await ring(hass, bridge)
        told = (visit.outcome is Outcome.FAILED, visit.reason, visit.fallback)
        assert told == (trouble.reason is not None, trouble.reason, False), trouble.name
        assert state(hass, VISITOR).attributes["reason"] == trouble.reason
        assert reauths(hass) is (trouble.told == "reauth"), trouble.name
        assert repairs(hass) == ([trouble.reason] if trouble.told == "repair" else []), trouble.name
        for flow in hass.config_entries.flow.async_progress_by_handler(DOMAIN):
            hass.config_entries.flow.async_abort(flow["flow_id"])

        visit = await ring(hass, bridge)
        assert visit.outcome is not Outcome.FAILED
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


async def test_aws_away_at_the_start_keeps_no_doorbell_from_recognizing(
    hass: HomeAssistant, seeing_bridge: RunningBridge, cloud: Cloud
) -> None:
    cloud.rekognition.fail["ListFaces"] = Fault("AccessDeniedException")
    _, entry = await set_up_home(hass, seeing_bridge, fallback=True)
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
    button = {"entity_id": "button.face_recognition_sync_persons"}
    await hass.services.async_call("button", "press", button, blocking=True)
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


def table() -> str:
    """Return the table of the documentation."""
    reasons = english()["entity"]["event"]["visitor"]["state_attributes"]["reason"]["state"]
    seen = {"": "", "reauth": "; Home Assistant asks for new keys", "repair": "; a repair says what to do"}
    rows = [
        "| fault | outcome | what the user sees | tried again |",
        "|---|---|---|---|",
        *(
            f"| {trouble.name} | "
            + (f"`failed`, `{trouble.reason}`" if trouble.reason else "as always")
            + f" | {reasons[trouble.reason] + seen[trouble.told] if trouble.reason else 'nothing'}"
            + f" | {trouble.retried} |"
            for trouble in TROUBLES
        ),
    ]
    return "\n".join(rows)


def test_the_documentation_has_the_table() -> None:
    text = AWS_MD.read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    wanted = f"{before}{BEGIN}\n{table()}\n{END}{after}"
    if os.environ.get("REWRITE_DOCS"):
        AWS_MD.write_text(wanted)
    assert AWS_MD.read_text() == wanted
