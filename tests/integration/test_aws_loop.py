"""Nothing that has to do with AWS blocks the event loop, from the first form to the removal."""

from collections.abc import Iterator
from contextlib import contextmanager
import functools
from pathlib import Path
import sys
import threading

from homeassistant.core import HomeAssistant

from custom_components.face_doorbell.const import DOMAIN
from custom_components.face_doorbell.model import Outcome
from custom_components.face_doorbell.naming import async_add_person
from custom_components.face_doorbell.recognition.ledger import Ledger
from custom_components.face_doorbell.visits import VISITS
from tests.bridge.doubles import RunningBridge
from tests.fake_rekognition import paint
from tests.recognition.conftest import Cloud

from .flow_tools import AWS_FORM, answer, choose, reconfigure, start, suggested
from .helpers import add_doorbell, until_acked

BLOCKING = ("open", "os.", "shutil.", "socket.connect", "socket.getaddrinfo", "sqlite3.connect", "time.sleep")
OURS = ("/botocore/", "/boto3/", "/face_doorbell/recognition/", "/face_doorbell/budget.py")


class Watch:
    """Notes what Python reports to its audit hooks that blocks, in one thread and for the sake of AWS."""

    def __init__(self) -> None:
        self.thread = 0
        self.seen: list[str] = []
        sys.addaudithook(self._heard)

    def _heard(self, event: str, args: tuple[object, ...]) -> None:
        if threading.get_ident() != self.thread or not event.startswith(BLOCKING):
            return
        if str(args[0]).endswith(".py"):
            return  # asyncio's debug mode, for a traceback
        frame = sys._getframe(1)
        while frame:
            if any(part in frame.f_code.co_filename for part in OURS):
                self.seen.append(f"{event} {args} in {frame.f_code.co_filename}:{frame.f_lineno}")
                return
            if frame.f_back is None:
                return
            frame = frame.f_back


@functools.cache
def watch() -> Watch:
    """Return the one watch: a hook stays as long as the process."""
    return Watch()


@contextmanager
def watched() -> Iterator[list[str]]:
    """Watch this thread."""
    one = watch()
    one.seen.clear()
    one.thread = threading.get_ident()
    yield one.seen
    one.thread = 0


async def test_nothing_of_aws_blocks_the_loop(
    hass: HomeAssistant, bridge: RunningBridge, cloud: Cloud
) -> None:
    with watched() as seen:
        form = await start(hass, choose("recognition"), choose("rekognition"))
        entry = (await answer(hass, form, AWS_FORM))["result"]
        photos = [paint(0), paint(0, mark=1)]
        async_add_person(hass, entry, await entry.runtime_data.enrol("Ann", photos))
        await hass.async_block_till_done()
        await add_doorbell(hass, bridge)
        bridge.press()
        await until_acked(bridge)
        button = {"entity_id": "button.face_recognition_sync_people"}
        await hass.services.async_call("button", "press", button, blocking=True)
        form = await reconfigure(hass, entry, "rekognition")
        await answer(hass, form, {**suggested(form), "mode": "compare", "advanced": {}})
        bridge.press()
        await until_acked(bridge)
        await hass.config_entries.async_remove(entry.entry_id)
        await hass.async_block_till_done()
    assert not seen, "\n".join(seen)
    assert [visit.outcome for visit in hass.data[VISITS].newest_first()] == [Outcome.UNKNOWN] * 2
    assert {"SearchUsersByImage", "CompareFaces", "IndexFaces"} <= cloud.rekognition.calls.keys()


def test_the_watch_sees(tmp_path: Path) -> None:
    with watched() as seen:
        Ledger(tmp_path / "usage.sqlite").load()
    assert any(DOMAIN in each for each in seen)
