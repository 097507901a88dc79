"""The command as the owner runs it: its own process, ended by signals and by power cuts."""

from __future__ import annotations

import asyncio
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
import json
from pathlib import Path
import re
import signal
import sys
from typing import Any

import aiohttp
import pytest

from tests.photos import ROOT, photo

# Dies without a chance to tidy up: the next one has the journal and nothing else.
HEARD_THEN_KILLED = """
import asyncio, json, os, signal, sys
from pathlib import Path
import aiohttp
sys.path.insert(0, {root!r})
from tests.bridge.doubles import running_bridge
from tests.bridge.home import Home

async def main():
    async with running_bridge(Path({state!r}), photos=[b"picture"]) as bridge, aiohttp.ClientSession() as session:
        home = Home(session, bridge)
        await home.pair()
        async with home.listen() as line:
            bridge.press()
            *_, burst = await line.ring()
            print(json.dumps({{"ring_id": burst["ring_id"], "token": home.token}}), flush=True)
            os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


async def start(*arguments: str) -> Process:
    return await asyncio.create_subprocess_exec(sys.executable, *arguments, stdout=PIPE, stderr=PIPE)


async def command(*arguments: str) -> tuple[int, str, str]:
    process = await start("-m", "pi_bridge", *arguments)
    output, errors = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode(), errors.decode()


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "obama.jpg").write_bytes(photo("obama"))
    return folder


@asynccontextmanager
async def simulated(photos: Path, state: Path) -> AsyncIterator[tuple[Process, dict[str, str]]]:
    """Run the simulator; gives what it says at its start."""
    process = await start(
        *("-m", "pi_bridge", "simulate", "--photos", str(photos), "--state", str(state)),
        *("--port", "0", "--page-port", "0"),
    )
    assert process.stdout is not None
    try:
        said: dict[str, str] = {}
        while "Fingerprint" not in said:
            line = (await process.stdout.readline()).decode()
            assert line, "the simulator ended"
            what, _, value = line.strip().partition("  ")
            said[what] = value.strip()
        yield process, said
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def get_info(said: dict[str, str]) -> Any:
    host, port = said["Doorbell"].split(", port ")
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"https://{host}:{port}/v1/info", ssl=False) as response,
    ):
        return await response.json()


async def test_simulator_answers_shows_a_page_and_ends_cleanly(photos: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    async with simulated(photos, state) as (process, said):
        info = await get_info(said)
        assert info["api"] == 1
        assert info["fingerprint"].upper().startswith(said["Fingerprint"].replace(" ", ""))
        assert re.fullmatch("[A-Z0-9]{4}-[A-Z0-9]{4}", said["Pairing code"])
        async with aiohttp.ClientSession() as session, session.get(said["Page"]) as response:
            assert response.status == 200

        code, output, _ = await command("pair", "--state", str(state))
        assert code == 0
        assert re.search(r"\b[A-Z0-9]{4}-[A-Z0-9]{4}\b", output)
        assert said["Fingerprint"] in output
        code, output, _ = await command("pair", "--press", "--state", str(state))
        assert code == 0
        assert "press" in output
        assert not re.search(r"\b[A-Z0-9]{4}-[A-Z0-9]{4}\b", output)
        code, output, _ = await command("renew-certificate", "--state", str(state))
        assert code == 0
        assert "Fingerprint" in output
        assert said["Fingerprint"] not in output
        assert await command("clients", "--state", str(state)) == (
            0,
            "Nobody is paired. face-doorbell-bridge pair prints a code.\n",
            "",
        )
        assert await command("revoke", "Home", "--state", str(state)) == (
            1,
            "",
            'face-doorbell-bridge: There is no client named "Home".\n',
        )

        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
    code, _, errors = await command("pair", "--state", str(state))
    assert code == 1
    assert errors.count("\n") == 1
    assert "is it running" in errors


async def test_ring_survives_a_kill_between_press_and_ack(tmp_path: Path) -> None:
    from .doubles import running_bridge
    from .home import Home

    program = HEARD_THEN_KILLED.format(root=str(ROOT), state=str(tmp_path / "state"))
    process = await start("-c", program)
    output, errors = await process.communicate()
    assert process.returncode == -signal.SIGKILL, errors.decode()
    before = json.loads(output)

    async with running_bridge(tmp_path / "state") as bridge, aiohttp.ClientSession() as session:
        home = Home(session, bridge, before["token"])
        async with home.listen() as line:
            ring, picture, _burst = await line.ring()
            assert ring["ring_id"] == before["ring_id"]
            assert ring["replay"] is True
            assert ring["age_ms"] > 0
            assert await (await home.ask("GET", f"/v1/rings/1/{picture['n']}.jpg")).read() == b"picture"


async def test_mistakes_in_the_configuration_are_lines_and_not_tracebacks(tmp_path: Path) -> None:
    path = tmp_path / "bridge.toml"
    await asyncio.to_thread(path.write_text, "nmae = 'x'\n[server]\nport = 0\n")
    code, output, errors = await command("run", "--config", str(path))
    assert (code, output) == (2, "")
    assert len(errors.splitlines()) == 2
    assert all(line.startswith(f"face-doorbell-bridge: {path}: ") for line in errors.splitlines())


async def test_simulator_without_photos_says_so(tmp_path: Path) -> None:
    code, _, errors = await command("simulate", "--photos", str(tmp_path), "--state", str(tmp_path / "state"))
    assert code == 2
    assert len(errors.splitlines()) == 1


@pytest.mark.parametrize("option", ["--port", "--page-port"])
async def test_what_is_no_port_is_said(tmp_path: Path, option: str) -> None:
    code, _, errors = await command("simulate", "--photos", str(tmp_path), option, "99999")
    assert code == 2
    assert errors.splitlines()[-1].endswith("99999 is no whole number from 0 (any free port) to 65535")


async def test_check_says_what_is_missing_and_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "bridge.toml"
    await asyncio.to_thread(
        path.write_text, "[faces]\nenabled = false\n[camera]\ndevice = '/dev/no-camera'\n"
    )
    code, output, _ = await command("check", "--config", str(path), "--state", str(tmp_path / "state"))
    assert code == 1
    assert 'device = "/dev/no-camera"' in output
    assert re.search(r"^camera +NOT OK: .*/dev/no-camera", output, re.MULTILINE)
    assert re.search(r"^faces +ok: switched off", output, re.MULTILINE)
