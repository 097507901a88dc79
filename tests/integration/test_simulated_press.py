"""Ringing with a picture of choice, to try automations without going to the door."""

from pathlib import Path

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import device_registry as dr, entity_registry as er
import pytest

from custom_components.face_doorbell.const import DOMAIN
from custom_components.face_doorbell.visits import VISITS
from pi_bridge.model import Output
from tests import photos
from tests.bridge.doubles import RunningBridge

from .helpers import (
    DOORBELL,
    LAST_VISITOR,
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


@pytest.fixture
def engine() -> ScriptedEngine:
    return ScriptedEngine([[known("ann-1")]])


@pytest.fixture
async def device_id(hass: HomeAssistant, bridge: RunningBridge, engine: ScriptedEngine) -> str:
    """The device of a doorbell with recognition."""
    await add_recognition(hass, engine, {"ann-1": "Ann"})
    await add_doorbell(hass, bridge)
    entity = er.async_get(hass).async_get(DOORBELL)
    assert entity is not None
    device = dr.async_get(hass).async_get(entity.device_id or "")
    assert device is not None
    return device.id


async def ring(hass: HomeAssistant, device_id: str, picture: Path) -> str:
    """Ring with a file as the picture; returns the visit's id."""
    hass.config.allowlist_external_dirs.add(str(picture.parent))
    answer = await hass.services.async_call(
        DOMAIN,
        "ring",
        {
            "device_id": device_id,
            "media": {"media_content_id": str(picture), "media_content_type": "image/jpeg"},
        },
        blocking=True,
        return_response=True,
    )
    assert answer is not None
    return str(answer["visit_id"])


async def test_a_ring_with_a_picture_is_a_visit_like_any_other(
    hass: HomeAssistant, bridge: RunningBridge, engine: ScriptedEngine, device_id: str, tmp_path: Path
) -> None:
    (tmp_path / "ann.jpg").write_bytes(photos.photo("biden"))

    async with change(hass, DOORBELL) as rang, change(hass, VISITOR) as visitor:
        visit_id = await ring(hass, device_id, tmp_path / "ann.jpg")
        told, who = (await rang).attributes, (await visitor).attributes

    assert told["visit_id"] == who["visit_id"] == visit_id
    assert (told["event_type"], told["test"]) == ("ring", True)
    assert state(hass, LAST_VISITOR).state == "Ann"
    visit = hass.data[VISITS].get(visit_id)
    assert visit is not None
    assert visit.test
    assert await hass.data[VISITS].async_picture(visit_id, 0) == engine.asked[0].jpeg
    assert Output.BUZZER not in {output for output, lit in bridge.panel.writes if lit}


async def test_it_does_not_disturb_a_real_ring(
    hass: HomeAssistant, bridge: RunningBridge, engine: ScriptedEngine, device_id: str, tmp_path: Path
) -> None:
    (tmp_path / "ann.jpg").write_bytes(photos.photo("biden"))
    engine.go.clear()

    imagined = await ring(hass, device_id, tmp_path / "ann.jpg")
    async with change(hass, DOORBELL) as rang:
        bridge.press()
        real = (await rang).attributes["visit_id"]
    engine.go.set()
    await until_acked(bridge)
    await hass.async_block_till_done(wait_background_tasks=False)

    assert real != imagined
    assert not state(hass, DOORBELL).attributes["test"]


async def test_a_ring_that_joins_a_visit_names_that_visit(
    hass: HomeAssistant, bridge: RunningBridge, engine: ScriptedEngine, device_id: str
) -> None:
    engine.go.clear()
    bridge.press()
    await until(lambda: engine.asked)
    answer = await hass.services.async_call(
        DOMAIN, "ring", {"device_id": device_id}, blocking=True, return_response=True
    )
    engine.go.set()
    await until_acked(bridge)
    (visit,) = hass.data[VISITS].newest_first()
    assert answer == {"visit_id": visit.visit_id}


async def test_what_is_no_picture_is_refused(hass: HomeAssistant, device_id: str, tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("no picture")

    with pytest.raises(ServiceValidationError) as refused:
        await ring(hass, device_id, tmp_path / "text.jpg")

    assert refused.value.translation_key == "photo_not_an_image"
