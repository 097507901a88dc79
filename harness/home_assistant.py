"""A real Home Assistant on loopback, driven through its own HTTP and WebSocket interfaces."""

import asyncio
from collections.abc import AsyncIterator, Mapping
import contextlib
import json
from pathlib import Path
import sys
from typing import Any, Self

import aiohttp

from .process import Process, ProcessFailedError

REPOSITORY = Path(__file__).parent.parent
USERNAME = "demo"
PASSWORD = "doorbell"  # noqa: S105 - of a throw-away Home Assistant that listens on loopback only
START_TIMEOUT = 180  # seconds; the first start on a slow machine compiles every module
CONFIGURATION = """\
# Written by the harness; what `default_config` brings beyond this needs the internet.
homeassistant:
  name: Demo home
  time_zone: UTC
isal:
recorder:
history:
logbook:
media_source:
stream:
logger:
  default: warning
  logs:
    custom_components.face_doorbell: info
"""

# Home Assistant's answers are JSON of its own making.
type Json = dict[str, Any]


class ApiError(Exception):
    """Home Assistant refused a request."""


class HomeAssistant:
    """A Home Assistant process with an owner, logged in; use it as an async context manager."""

    def __init__(self, folder: Path, port: int, configuration: str = "") -> None:
        """Keep its configuration under `folder`, with `configuration` (YAML) added; listen on 127.0.0.1:`port`."""
        self.folder = folder
        self.url = f"http://127.0.0.1:{port}"
        self.port = port
        self._configuration = CONFIGURATION + configuration
        self._session: aiohttp.ClientSession | None = None
        self._process = Process(
            [sys.executable, "-m", "homeassistant", "--config", str(folder), "--skip-pip"],
            folder / "output.log",
            # Home Assistant empties its upload folder at start: two of them must not share one.
            {"TMPDIR": str(folder / "tmp")},
        )

    async def __aenter__(self) -> Self:
        """Start Home Assistant and log in."""
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop Home Assistant."""
        await self.stop()

    async def start(self) -> None:
        """Start the process, wait until it runs, and log in as the owner, who is made at the first start."""
        await asyncio.to_thread(self._write_configuration)
        await self._process.start()
        try:
            async with asyncio.timeout(START_TIMEOUT):
                await self._wait_for_http()
                await self._log_in()
                await self._wait_until_running()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Log out and end the process as the system would."""
        if self._session is not None:
            await self._session.close()
            self._session = None
        await self._process.stop()

    def check(self) -> None:
        """Raise ProcessFailedError when Home Assistant has ended."""
        self._process.check()

    def _write_configuration(self) -> None:
        storage = self.folder / ".storage"
        storage.mkdir(parents=True, exist_ok=True)
        (self.folder / "tmp").mkdir(exist_ok=True)
        (self.folder / "configuration.yaml").write_text(self._configuration)
        # A port in configuration.yaml is only tried for five minutes and then taken back.
        server = {"server_host": ["127.0.0.1"], "server_port": self.port}
        (storage / "http").write_text(json.dumps({"version": 1, "key": "http", "data": server}))
        if not (storage / "onboarding").exists():
            (storage / "onboarding").write_text(
                json.dumps({"version": 1, "key": "onboarding", "data": {"done": []}})
            )
        components = self.folder / "custom_components"
        if not components.exists():
            components.symlink_to(REPOSITORY / "custom_components")

    async def _wait_for_http(self) -> None:
        async with aiohttp.ClientSession() as session:
            while True:
                self._process.check()
                with contextlib.suppress(aiohttp.ClientError):
                    async with session.get(f"{self.url}/api/onboarding") as response:
                        if response.status in (200, 401, 404):
                            return
                await asyncio.sleep(0.1)

    async def _log_in(self) -> None:
        async with aiohttp.ClientSession() as session:
            token = await self._access_token(session)
        self._session = aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"})

    async def _access_token(self, session: aiohttp.ClientSession) -> str:
        client = {"client_id": f"{self.url}/"}
        owner = {"name": "Demo", "username": USERNAME, "password": PASSWORD, "language": "en"}
        async with session.post(f"{self.url}/api/onboarding/users", json=client | owner) as response:
            if response.status == 200:
                code = (await response.json())["auth_code"]
            else:  # the owner is there from an earlier start
                code = await self._login_code(session, client)
        return await self._token(session, client, code)

    async def _token(self, session: aiohttp.ClientSession, client: Mapping[str, str], code: str) -> str:
        grant = {**client, "grant_type": "authorization_code", "code": code}
        async with session.post(f"{self.url}/auth/token", data=grant) as response:
            token: str = (await response.json())["access_token"]
            return token

    async def token_of(self, username: str, password: str) -> str:
        """Log another user in; return an access token."""
        client = {"client_id": f"{self.url}/"}
        async with aiohttp.ClientSession() as session:
            code = await self._login_code(session, client, username, password)
            return await self._token(session, client, code)

    async def _login_code(
        self,
        session: aiohttp.ClientSession,
        client: Mapping[str, str],
        username: str = USERNAME,
        password: str = PASSWORD,
    ) -> str:
        start = {**client, "handler": ["homeassistant", None], "redirect_uri": f"{self.url}/"}
        async with session.post(f"{self.url}/auth/login_flow", json=start) as response:
            flow = (await response.json())["flow_id"]
        answer = {**client, "username": username, "password": password}
        async with session.post(f"{self.url}/auth/login_flow/{flow}", json=answer) as response:
            code: str = (await response.json())["result"]
            return code

    async def _wait_until_running(self) -> None:
        while (await self.get("/api/config"))["state"] != "RUNNING":
            self._process.check()
            await asyncio.sleep(0.1)

    @property
    def session(self) -> aiohttp.ClientSession:
        """The owner's HTTP session."""
        if self._session is None:
            raise ProcessFailedError("Home Assistant is not running")
        return self._session

    async def get(self, path: str) -> Any:
        """Return the JSON of a GET request."""
        return await self._request("GET", path)

    async def post(self, path: str, body: Mapping[str, object] | None = None) -> Any:
        """Return the JSON of a POST request."""
        return await self._request("POST", path, body or {})

    async def _request(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Any:
        async with self.session.request(method, self.url + path, json=body) as response:
            if response.status >= 400:
                raise ApiError(f"{method} {path}: {response.status} {await response.text()}")
            return await response.json()

    async def upload(self, path: Path) -> str:
        """Upload a file as a form of the user interface would and return its id."""
        form = aiohttp.FormData()
        form.add_field("file", await asyncio.to_thread(path.read_bytes), filename=path.name)
        async with self.session.post(f"{self.url}/api/file_upload", data=form) as response:
            if response.status != 200:
                raise ApiError(f"upload: {response.status} {await response.text()}")
            file_id: str = (await response.json())["file_id"]
            return file_id

    async def call(self, action: str, data: Mapping[str, object] | None = None) -> Json:
        """Perform an action and return its response data."""
        domain, name = action.split(".")
        answer = await self.post(f"/api/services/{domain}/{name}?return_response", data)
        response: Json = answer["service_response"]
        return response

    async def run_flow(self, path: str, start: Mapping[str, object], *answers: Mapping[str, object]) -> Json:
        """Start a config or subentry flow (`path` of its index) and walk it; see `walk_flow`."""
        step = await self.post(path, start)
        return await self.walk_flow(path, step["flow_id"], *answers)

    async def walk_flow(self, path: str, flow_id: str, *answers: Mapping[str, object]) -> Json:
        """Walk a flow that waits for an answer, with one answer a step, and return its result.

        Raises ApiError when a step shows errors or the flow does not end with the last answer.
        """
        step: Json = {}
        for answer in answers:
            step = await self.post(f"{path}/{flow_id}", answer)
            if step.get("errors"):
                raise ApiError(f"flow step {step['step_id']}: {step['errors']}")
        if step.get("type") != "create_entry":
            raise ApiError(f"flow ended with {step.get('type')}: {step.get('reason') or step.get('step_id')}")
        return step

    @contextlib.asynccontextmanager
    async def websocket(self) -> AsyncIterator[WebSocket]:
        """Open an authenticated WebSocket."""
        async with self.session.ws_connect(f"{self.url}/api/websocket", max_msg_size=0) as socket:
            await socket.receive_json()
            token = self.session.headers["Authorization"].removeprefix("Bearer ")
            await socket.send_json({"type": "auth", "access_token": token})
            if (answer := await socket.receive_json())["type"] != "auth_ok":
                raise ApiError(f"WebSocket: {answer}")
            yield WebSocket(socket)


class WebSocket:
    """Home Assistant's WebSocket: commands with answers, and a stream of events."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        """Use an authenticated socket."""
        self._socket = socket
        self._id = 0

    async def command(self, kind: str, **data: object) -> Any:
        """Send a command and return its result; raises ApiError."""
        self._id += 1
        await self._socket.send_json({"id": self._id, "type": kind, **data})
        while True:
            answer = await self._socket.receive_json()
            if answer.get("id") == self._id and answer["type"] == "result":
                if not answer["success"]:
                    raise ApiError(f"{kind}: {answer['error']}")
                return answer["result"]

    async def subscribe_events(self, event_type: str) -> None:
        """Ask for the events of a type; read them with `event`."""
        await self.command("subscribe_events", event_type=event_type)

    async def event(self) -> Json:
        """Wait for the next event of any subscription."""
        while True:
            message = await self._socket.receive_json()
            if message["type"] == "event":
                event: Json = message["event"]
                return event
