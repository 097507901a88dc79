"""One doorbell: its connection, rings in, visits out, answers at the door."""

from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, replace
import logging
from time import monotonic
from typing import Any, Final, override

from homeassistant.const import CONF_HOST, CONF_ID, CONF_PORT, CONF_TOKEN, EVENT_CORE_CONFIG_UPDATE
from homeassistant.core import CALLBACK_TYPE, Event, HomeAssistant, callback
from homeassistant.exceptions import ConfigEntryAuthFailed, ConfigEntryNotReady
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.aiohttp_client import async_get_clientsession
from homeassistant.helpers.dispatcher import async_dispatcher_send
from homeassistant.helpers.update_coordinator import DataUpdateCoordinator, UpdateFailed
from homeassistant.util.hass_dict import HassKey
from homeassistant.util.signal_type import SignalType

from .announcements import async_on_announcement
from .answers import chosen_answer
from .attendance import Attendance, Decision
from .bridge import (
    BridgeAuthError,
    BridgeCertificateError,
    BridgeClient,
    BridgeConnectionError,
    BridgeError,
    BridgeRefusedError,
    BridgeState,
    Burst,
    Chime,
    Connection,
    FacesState,
    Message,
    Output,
    Ring,
    RingPicture,
    StateChange,
)
from .bridge.acks import Acks
from .bridge.backoff import Backoff
from .burst import Shot
from .chime import chosen_chime
from .const import CONF_FINGERPRINT, DOMAIN, MANUFACTURER, MODEL
from .entries import DoorbellEntry
from .errors import bridge_error_text, bridge_errors
from .model import Picture
from .repairs import async_bridge_is_well, async_report_bridge
from .visits import VISITS, ChangeKind, Visit, VisitChange, VisitFilter

_LOGGER = logging.getLogger(__name__)

TOO_OLD_MS: Final = 10_000  # nobody waits at a door for an answer that comes later

# For each doorbell that was connected since Home Assistant started (what rang before that, nobody heard) the rings
# that were heard and whose visits are not stored yet: the bridge sends them again, but they do not ring again.
_HEARD: HassKey[dict[str, set[str]]] = HassKey(f"{DOMAIN}_heard")


@dataclass(frozen=True, slots=True)
class DoorbellData:
    """What the entities show."""

    bridge: BridgeState
    last_visit: Visit | None


@dataclass(frozen=True, slots=True)
class Rang:
    """A ring and its visit, for the Doorbell event; `missed` when it is too old to answer."""

    ring: Ring
    visit_id: str
    missed: bool


# What triggers hear, once the entities show it: every new ring, and every visit with an outcome, missed ones too.
RANG: Final[SignalType[DoorbellCoordinator, Rang]] = SignalType(f"{DOMAIN}_rang")
VISITED: Final[SignalType[DoorbellCoordinator, Visit]] = SignalType(f"{DOMAIN}_visited")


def bridge_client(hass: HomeAssistant, entry: DoorbellEntry) -> BridgeClient:
    """Return the client of an entry's bridge."""
    data = entry.data
    return BridgeClient(
        async_get_clientsession(hass),
        data[CONF_HOST],
        data[CONF_PORT],
        data[CONF_FINGERPRINT],
        data[CONF_TOKEN],
    )


class DoorbellCoordinator(DataUpdateCoordinator[DoorbellData]):
    """Keeps one doorbell connected and turns its rings into visits."""

    config_entry: DoorbellEntry

    def __init__(self, hass: HomeAssistant, entry: DoorbellEntry) -> None:
        """Prepare; `async_connect` and `async_listen` follow."""
        super().__init__(hass, _LOGGER, config_entry=entry, name=entry.title)
        self.client = bridge_client(hass, entry)
        self.doorbell_id: str = entry.data[CONF_ID]
        self.visits = hass.data[VISITS]
        self.recognizing = True  # the switch says otherwise
        self.tones: tuple[str, ...] = ()
        self._chime: Chime | None = None
        self._connection: Connection | None = None
        self._backoff = Backoff()
        self._announced: tuple[str, int] | None = None
        self._set_up_as = _all_but_address(entry)
        self._attending: dict[str, Attendance] = {}
        self._acks = Acks()
        self._heard: set[str] = set()
        self._nobody_heard = False
        self._outdated = False  # what the entities show of the visits
        self._ring_listeners: set[Callable[[Rang], None]] = set()
        self._visit_listeners: set[Callable[[Visit], None]] = set()
        self.data = DoorbellData(BridgeState(), self._newest_visit)

    @property
    def connected(self) -> bool:
        """Whether the bridge is there now."""
        return self._connection is not None

    @property
    def takes_chime(self) -> bool:
        """Whether the bridge is new enough to be told what sounds at a press."""
        return self._chime is not None

    async def async_connect(self) -> None:
        """Connect for the first time; raises ConfigEntryAuthFailed or ConfigEntryNotReady."""
        try:
            connection = await self.client.connect()
        except BridgeAuthError as err:
            raise ConfigEntryAuthFailed(**bridge_error_text(err, self.name)) from err
        except BridgeError as err:
            async_report_bridge(self.hass, self.config_entry, err)
            raise ConfigEntryNotReady(**bridge_error_text(err, self.name)) from err
        self._greet(connection)

    @callback
    def async_listen(self) -> None:
        """Take rings from now on, until the entry is unloaded. Follows `async_connect`."""
        if self._connection is None:
            raise RuntimeError("async_connect comes first")
        on_unload = self.config_entry.async_on_unload
        on_unload(self.visits.async_subscribe(self._visits_changed))
        # The time zone may have become another one.
        on_unload(self.hass.bus.async_listen(EVENT_CORE_CONFIG_UPDATE, self._follow_chime))
        on_unload(async_on_announcement(self.hass, self.config_entry.unique_id or "", self._backoff.wake))
        self._background(self._keep_connected(self._connection), "connection")

    @callback
    def async_announced(self, host: str, port: int) -> None:
        """Try this address too, and now, if the doorbell is not connected."""
        self._announced = (host, port)
        self._backoff.wake()

    @callback
    def async_follow(self) -> bool:
        """Go on at the entry's present address, unless more of it has changed; return whether that was all."""
        if _all_but_address(self.config_entry) != self._set_up_as:
            return False
        self.client = bridge_client(self.hass, self.config_entry)
        self._backoff.wake()
        self._follow_chime()
        return True

    @callback
    def async_add_ring_listener(self, listener: Callable[[Rang], None]) -> CALLBACK_TYPE:
        """Call back at once for each new ring; returns how to stop it."""
        self._ring_listeners.add(listener)
        return lambda: self._ring_listeners.discard(listener)

    @callback
    def async_add_visit_listener(self, listener: Callable[[Visit], None]) -> CALLBACK_TYPE:
        """Call back for each visit that was decided in time; returns how to stop it."""
        self._visit_listeners.add(listener)
        return lambda: self._visit_listeners.discard(listener)

    async def async_do(self, output: Output, tone: str, for_ms: int | None = None) -> None:
        """Play a pattern or melody for so many milliseconds (none for `off`); raises HomeAssistantError."""
        with bridge_errors(self.name):
            await self._live_connection.do(output, tone, for_ms)

    async def async_choose_chime(self, chime: Chime) -> None:
        """Let the bridge sound so at a press; raises BridgeError."""
        await self._live_connection.choose_chime(chime)
        self._chime = chime

    async def async_press(self) -> None:
        """Ring as a test; raises HomeAssistantError."""
        with bridge_errors(self.name):
            await self._live_connection.press()

    @callback
    def async_press_as(self, jpeg: bytes) -> str:
        """Ring as a test by a visitor who looks like this, without the bridge; return the visit's id."""
        attendance = Attendance.to_picture(Picture(jpeg), self.doorbell_id)
        self._tell(Rang(attendance.ring, attendance.visit_id, missed=False))
        self._begin(attendance)
        return attendance.visit_id

    @override
    async def _async_update_data(self) -> DoorbellData:
        """Return what is known: the bridge reports every change by itself."""
        if not self.connected:
            raise UpdateFailed(**bridge_error_text(BridgeConnectionError(), self.name))
        return self.data

    @property
    def _live_connection(self) -> Connection:
        if self._connection is None:
            raise BridgeConnectionError("The bridge is not connected")
        return self._connection

    def _background(self, work: Coroutine[None, None, None], what: str) -> None:
        self.config_entry.async_create_background_task(self.hass, work, f"{DOMAIN} {self.name} {what}")

    # The connection

    async def _keep_connected(self, connection: Connection | None) -> None:
        """Take what the bridge says, and connect again whenever it falls silent, until it does not know us any more."""
        while connection is not None:
            connected = monotonic()
            self._follow_chime()
            try:
                async for message in connection:
                    await self._take(message)
            except BridgeError as err:
                self._lost(err)
            finally:
                await connection.close()
            self._backoff.lost(after_s=monotonic() - connected)
            connection = await self._reconnect()

    async def _reconnect(self) -> Connection | None:
        complaint: type[BridgeError] = BridgeConnectionError
        while True:
            await self._backoff.pause()
            try:
                connection = await self._connect()
            except BridgeAuthError:
                _LOGGER.warning("%s does not know Home Assistant any more; pair again", self.name)
                self.config_entry.async_start_reauth(self.hass)
                return None
            except BridgeError as err:
                async_report_bridge(self.hass, self.config_entry, err)
                if not isinstance(err, complaint):
                    complaint = type(err)
                    _LOGGER.warning("%s cannot be connected: %s", self.name, err)
            else:
                _LOGGER.info("%s is connected again", self.name)
                self._greet(connection)
                return connection

    async def _connect(self) -> Connection:
        """Connect where the bridge has announced itself, or else where it was last.

        Anybody can announce anything: only where the pinned certificate answers, the doorbell moves to.
        """
        if self._announced not in (None, (self.client.host, self.client.port)):
            host, port = self._announced
            client = self.client.at(host, port)
            try:
                connection = await client.connect()
            except (BridgeConnectionError, BridgeCertificateError) as err:
                _LOGGER.debug("%s is not where it was announced: %s", self.name, err)
            except BridgeError:
                self._move(client)
                raise
            else:
                self._move(client)
                return connection
        return await self.client.connect()

    def _move(self, client: BridgeClient) -> None:
        self.client = client
        moved = {**self.config_entry.data, CONF_HOST: client.host, CONF_PORT: client.port}
        self.hass.config_entries.async_update_entry(self.config_entry, data=moved)

    def _greet(self, connection: Connection) -> None:
        hello = connection.hello
        heard = self.hass.data.setdefault(_HEARD, {})
        self._nobody_heard = self.doorbell_id not in heard
        self._heard = heard.setdefault(self.doorbell_id, set())
        self._connection = connection
        self.tones, self._chime = hello.tones, hello.chime
        self._acks = Acks()
        dr.async_get(self.hass).async_get_or_create(
            config_entry_id=self.config_entry.entry_id,
            identifiers={(DOMAIN, self.doorbell_id)},
            name=self.name,
            manufacturer=MANUFACTURER,
            model=MODEL,
            serial_number=self.doorbell_id,
            sw_version=hello.version,
        )
        async_bridge_is_well(self.hass, self.config_entry)
        self._show(replace(self.data, bridge=hello.state))

    @callback
    def _follow_chime(self, _: Event[Any] | None = None) -> None:
        """Tell the bridge what sounds at a press, if that has become something else."""
        chime = chosen_chime(self.config_entry.options, self.hass.config.time_zone)
        if chime is None or chime == self._chime or not self.connected:
            return
        if self.takes_chime:
            self._background(self._hand_over(chime), "chime")
        else:
            _LOGGER.warning("%s is too old to be told what sounds at a press; update the bridge", self.name)

    async def _hand_over(self, chime: Chime) -> None:
        try:
            await self.async_choose_chime(chime)
        except BridgeConnectionError as err:
            _LOGGER.debug("%s will be told what sounds with the next connection: %s", self.name, err)
        except BridgeError as err:
            _LOGGER.warning("%s refused what is to sound at a press: %s", self.name, err)

    def _lost(self, err: BridgeError) -> None:
        _LOGGER.info("%s is not connected: %s", self.name, err)
        self._connection = None
        self._show(self.data)

    def _show(self, data: DoorbellData) -> None:
        self.data = data
        self.last_update_success = self.connected
        self.async_update_listeners()

    # Rings

    async def _take(self, message: Message) -> None:
        match message:
            case StateChange(state):
                self._show(replace(self.data, bridge=state))
            case Ring():
                await self._take_ring(message)
            case RingPicture():
                attendance = self._attending.get(message.ring_id)
                if attendance and attendance.burst.expect(message.n):
                    self._background(self._fetch(attendance, message), "picture")
            case Burst():
                if attendance := self._attending.get(message.ring_id):
                    attendance.burst.end()

    async def _take_ring(self, ring: Ring) -> None:
        """Attend to a ring, unless that was done before this connection, or is being done."""
        self._acks.opened(ring)
        if self.visits.has_ring(ring.ring_id):
            await self._ack([ring.ring_id])
        elif not any(ring.ring_id in attendance.ring_ids for attendance in self._attending.values()):
            self._attend_to(ring)

    def _attend_to(self, ring: Ring) -> None:
        """Let a new ring join the visit that is being decided, or begin another one."""
        missed = ring.replay and (self._nobody_heard or ring.age_ms > TOO_OLD_MS)
        under_way = (each for each in self._attending.values() if each.join(ring, missed=missed))
        attendance = next(under_way, None) or Attendance(ring, self.doorbell_id, missed=missed)
        if ring.ring_id not in self._heard:
            self._heard.add(ring.ring_id)
            self._tell(Rang(ring, attendance.visit_id, missed))
        if attendance.visit_id == ring.ring_id:
            self._begin(attendance)

    def _tell(self, rang: Rang) -> None:
        for listener in list(self._ring_listeners):
            listener(rang)
        async_dispatcher_send(self.hass, RANG, self, rang)

    def _begin(self, attendance: Attendance) -> None:
        attendance.lap("ring")
        self._attending[attendance.visit_id] = attendance
        self._background(self._attend(attendance), "ring")

    async def _fetch(self, attendance: Attendance, message: RingPicture) -> None:
        burst = attendance.burst
        try:
            jpeg = await self.client.picture(message.seq, message.n)
        except BridgeRefusedError as err:
            _LOGGER.debug("Picture %s of a ring is not there: %s", message.n, err)
            burst.drop(message.n)
        except BridgeError as err:
            # It is announced again after a reconnect; if not, the burst ends without it.
            _LOGGER.debug("Picture %s of a ring did not arrive: %s", message.n, err)
        else:
            attendance.lap("picture")
            looked = self.data.bridge.faces is FacesState.OK
            picture = Picture(jpeg, message.faces if looked else None)
            burst.add(Shot(message.n, message.at_ms, message.good, picture))

    async def _attend(self, attendance: Attendance) -> None:
        """Turn rings into a visit: decide, store, show, answer, ack."""
        try:
            decision = await attendance.async_decide(self.hass, recognize=self.recognizing)
            stored = await self._store(decision)
            visit = stored or decision.visit
            self._show_visit(visit)
            await self._answer(attendance, visit)
        finally:
            attendance.burst.close()
            del self._attending[attendance.visit_id]
        if stored:
            await self._ack(attendance.ring_ids)

    async def _store(self, decision: Decision) -> Visit | None:
        """Store a visit; if that fails (None), its rings are not acked, and the bridge will send them again."""
        try:
            return await self.visits.async_add(*decision)
        except OSError as err:
            _LOGGER.error("A visit at %s could not be stored: %s", self.name, err)
            return None

    def _show_visit(self, visit: Visit) -> None:
        last = self.data.last_visit
        if last is None or visit.at >= last.at:
            self._show(replace(self.data, last_visit=visit))
        if visit.outcome and not visit.missed and not visit.late:
            for listener in list(self._visit_listeners):
                listener(visit)
        if visit.outcome:
            async_dispatcher_send(self.hass, VISITED, self, visit)

    @property
    def _newest_visit(self) -> Visit | None:
        return next(self.visits.newest_first(VisitFilter(doorbell_id=self.doorbell_id)), None)

    @callback
    def _visits_changed(self, change: VisitChange) -> None:
        """Show what has become of the visits after they were shown, once for all that change at the same time."""
        if change.kind is ChangeKind.ADDED or change.visit.doorbell_id != self.doorbell_id:
            return
        if not self._outdated:
            self._outdated = True
            self.hass.loop.call_soon(self._show_newest)

    @callback
    def _show_newest(self) -> None:
        self._outdated = False
        self._show(replace(self.data, last_visit=self._newest_visit))

    async def _answer(self, attendance: Attendance, visit: Visit) -> None:
        """Light the LEDs and sound the buzzer as is chosen, if somebody still waits for an answer."""
        if visit.outcome is None or visit.missed or visit.late:
            return
        try:
            answer = chosen_answer(self.config_entry.options, visit.outcome)
            for command in answer.commands(self.tones):
                await self._live_connection.do(*command, chime=True)
        except BridgeError as err:
            _LOGGER.info("%s could not answer its visitor: %s", self.name, err)
            return
        attendance.lap("answer")
        try:
            await self.visits.async_change(
                visit.visit_id, lambda stored: replace(stored, timings=attendance.timings)
            )
        except OSError as err:
            _LOGGER.warning("The time of an answer at %s could not be stored: %s", self.name, err)

    async def _ack(self, ring_ids: Iterable[str]) -> None:
        """Tell the bridge how far the visits are stored, now that the one of these rings is."""
        for ring_id in ring_ids:
            self._acks.stored(ring_id)
            self._heard.discard(ring_id)
        seq = self._acks.take()
        if seq is None or self._connection is None:
            return
        try:
            await self._connection.ack(seq)
        except BridgeError as err:
            _LOGGER.debug("Ring %s could not be acked, it will come again: %s", seq, err)


def _all_but_address(entry: DoorbellEntry) -> tuple[str, Mapping[str, Any]]:
    """Return what of an entry cannot change without setting it up anew."""
    return entry.title, {key: value for key, value in entry.data.items() if key not in (CONF_HOST, CONF_PORT)}
