#!/usr/bin/env python3
"""Try packaging/install.sh on the machine that this runs on, as root. script/try_install makes one for it.

    install_trial.py all        install, again, upgrade, uninstall, purge; what must be there is, and nothing else
    install_trial.py install    install only
    install_trial.py service    where it is installed and systemd runs: start, watchdog, kill, outputs, mistakes, purge

Only the standard library: it runs where nothing is installed yet. It ends at the first thing that is not as it must be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
import grp
import hashlib
import json
import os
from pathlib import Path
import pwd
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
from typing import Final

CHECKOUT: Final = Path(__file__).resolve().parent.parent
INSTALL: Final = CHECKOUT / "packaging" / "install.sh"
NAME: Final = "face-doorbell-bridge"
USER: Final = "face-doorbell"
TARGET: Final = Path("/opt") / NAME
PROGRAM: Final = TARGET / "bin" / NAME
COMMAND: Final = Path("/usr/local/bin") / NAME
CONFIG: Final = Path("/etc") / f"{NAME}.toml"
STATE: Final = Path("/var/lib") / NAME
RUNTIME: Final = Path("/run") / NAME
UNIT: Final = Path("/etc/systemd/system") / f"{NAME}.service"
WANTED: Final = UNIT.parent / "multi-user.target.wants" / UNIT.name
AVAHI: Final = Path("/etc/avahi/services/face-doorbell.service")
UDEV: Final = ("/etc/udev/rules.d", "/usr/lib/udev/rules.d")
TRIAL_FOLDER: Final = Path("/var/tmp/face-doorbell-trial")  # noqa: S108 - root's own, on a machine made for this

SIMULATED_LINES: Final = Path("/sys/devices/platform/gpio-sim.0/gpiochip0")
BUTTON: Final = 23
BUZZER: Final = 22

WORST_EXPOSURE: Final = 2.0
WATCHDOG_S: Final = 20  # for the trial; the unit's own would keep us waiting
PATIENCE_S: Final = 300.0  # an emulated machine takes half a minute to start the daemon
# Some administrators let root's files be root's alone: that must not lock the service out of its program.
STRICT_UMASK: Final = 0o077


@dataclass(frozen=True)
class Kept:
    """A file or folder that install.sh leaves there."""

    path: Path
    mode: int
    owner: str = "root"


INSTALLED: Final = (
    Kept(TARGET, 0o755),
    Kept(PROGRAM, 0o755),
    Kept(CONFIG, 0o644),
    Kept(UNIT, 0o644),
    Kept(AVAHI, 0o644),
    Kept(STATE, 0o700, USER),
    Kept(STATE / "certificate.pem", 0o600, USER),
)


def try_install() -> None:
    """Install, again, upgrade, uninstall and purge."""
    checkout = listing(CHECKOUT)
    install()
    must(listing(CHECKOUT) == checkout, "the checkout is left as it was")
    try_program()
    try_again()
    try_upgrades()
    try_uninstall()
    try_purge()


def install() -> None:
    """Run install.sh, and look at what it leaves."""
    say("install.sh")
    run(INSTALL)
    try_files()


def try_files() -> None:
    """Owners and modes, and what the service's user may do with the files."""
    say("files and user")
    for kept in INSTALLED:
        status = kept.path.stat()
        owner, group = pwd.getpwuid(status.st_uid).pw_name, grp.getgrgid(status.st_gid).gr_name
        found = (stat.S_IMODE(status.st_mode), owner, group)
        must(
            found == (kept.mode, kept.owner, kept.owner), f"{kept.path} is {kept.mode:o} {kept.owner}", found
        )
    must(COMMAND.resolve() == PROGRAM, f"{COMMAND} is the program")
    must(WANTED.resolve() == UNIT, "the service starts at boot")
    rules = [rule.read_text() for folder in UDEV for rule in Path(folder).glob("*.rules")]
    must(any('GROUP="gpio"' in rule for rule in rules), "the group gpio gets the pins")
    user = pwd.getpwnam(USER)
    groups = {grp.getgrgid(number).gr_name for number in os.getgrouplist(USER, user.pw_gid)}
    must(groups == {USER, "gpio", "video"}, f"{USER} is in the groups gpio and video and no other", groups)
    must(user.pw_shell.endswith("/nologin"), f"{USER} cannot log in")
    hidden = output(*as_user("find", TARGET, CONFIG, "!", "-readable"))
    must(not hidden, f"{USER} can read its program", hidden)
    writable = output(*as_user("find", TARGET, CONFIG, UNIT, AVAHI, "!", "-type", "l", "-writable"))
    must(not writable, f"{USER} cannot change its program", writable)


def try_program() -> None:
    """The daemon as its user; where there are no pins, the simulator stands in for what comes after them."""
    say("program")
    if not Path("/dev/gpiochip0").exists():
        ended = subprocess.run(as_user(PROGRAM, "run"), capture_output=True, text=True, check=False)
        says = ended.stderr.splitlines()[-1]
        must(ended.returncode == 1 and says.startswith(f"{NAME}: "), f"without pins it says: {says}", ended)
    with simulator():
        code = re.search(r"[A-Z0-9]{4}-[A-Z0-9]{4}", output(COMMAND, "pair"))
        must(code is not None, "the running program gives a pairing code")
        must("Nobody is paired" in output(COMMAND, "clients"), "nobody is paired")
    zones = "from zoneinfo import ZoneInfo; ZoneInfo('Europe/Kyiv'), ZoneInfo('Asia/Calcutta')"
    zoned = subprocess.run(as_user(TARGET / "bin" / "python", "-c", zones), check=False)
    must(zoned.returncode == 0, "time zones are known, those with old names too")
    checked = subprocess.run([COMMAND, "check"], capture_output=True, text=True, check=False)
    print(re.sub(r"(?s)\A.*\n\n", "", checked.stdout))
    stranger: list[str | Path] = [
        "setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        COMMAND,
        "check",
    ]
    says = subprocess.run(stranger, capture_output=True, text=True, check=False).stderr
    must("try sudo" in says, "other users are told to try sudo", says)
    must(
        re.search(r"^faces +ok: the models are loaded", checked.stdout, re.MULTILINE), "the face models load"
    )
    must("NOT OK" in checked.stdout and checked.returncode == 1, "the check finds what is missing here")


def try_again() -> None:
    """A second run changes nothing, and the owner's configuration stays."""
    say("install.sh again, with a configuration of the owner's")
    CONFIG.write_text('name = "Back door"\n', encoding="utf-8")
    before = installed()
    shutil.chown(STATE / "certificate.pem", "root", "root")  # as one that root's own run of the program made
    run(INSTALL)
    after = installed()
    changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    must(changed == {AVAHI}, "only the announcement changes, which has the new name", changed)
    must("name=Back door<" in AVAHI.read_text(encoding="utf-8"), "the new name is announced")


def try_upgrades() -> None:
    """Other code, an older Python left behind by an upgrade of the system, and a run that was cut short."""
    say("upgrade")
    package = CHECKOUT / "pi_bridge" / "__init__.py"
    original = package.read_text(encoding="utf-8")
    package.write_text(original.replace('__version__ = "', '__version__ = "9.'), encoding="utf-8")
    certificate = (STATE / "certificate.pem").read_bytes()
    run(INSTALL)
    must(output(COMMAND, "--version").startswith("9."), "the new program is there, whatever its number")
    package.write_text(original, encoding="utf-8")

    say("upgrade of Debian's Python")
    complete = next(TARGET.glob("complete-python*"))
    packages = TARGET / "lib" / complete.name.removeprefix("complete-")
    packages.rename(packages.with_name("python3.9"))
    complete.rename(complete.with_name("complete-python3.9"))
    run(INSTALL)
    must(not (TARGET / "lib" / "python3.9").exists(), "what was made for another Python is gone")
    must(not output(COMMAND, "--version").startswith("9."), "the program runs again")

    say("a power cut in the middle of an upgrade")
    with subprocess.Popen([INSTALL], stdin=subprocess.DEVNULL, start_new_session=True) as cut:
        until("the program is about to change", lambda: not complete.exists())
        os.killpg(cut.pid, signal.SIGKILL)
    for path in (PROGRAM, *packages.glob("site-packages/aiohttp/*.py")):
        os.truncate(path, 0)  # as a file system leaves what it had not written
    run(INSTALL)
    with simulator():
        must(
            (STATE / "certificate.pem").read_bytes() == certificate,
            "it runs, with the certificate that is paired",
        )


def try_uninstall() -> None:
    """What is the owner's stays, and the doorbell can come back."""
    say("--uninstall")
    run(INSTALL, "--uninstall")
    left = [path for path in (TARGET, COMMAND, UNIT, WANTED, AVAHI) if path.is_symlink() or path.exists()]
    must(not left, "program, service and announcement are gone", left)
    must((STATE / "certificate.pem").exists() and CONFIG.exists(), "state and configuration are still there")
    run(INSTALL, "--uninstall")  # twice does no harm


def try_purge() -> None:
    """Nothing is left."""
    say("--purge")
    run(INSTALL, "--purge")
    shutil.rmtree(TRIAL_FOLDER, ignore_errors=True)
    named = output("find", "/", "-xdev", "-name", "*face-doorbell*", "!", "-path", f"{CHECKOUT}*")
    must(not named, "no file has its name", named)
    nobodys = output("find", "/", "-xdev", "(", "-nouser", "-o", "-nogroup", ")")
    must(not nobodys, "no file is left without an owner", nobodys)
    must(
        not re.search(f"^{USER}:", Path("/etc/passwd").read_text(encoding="utf-8"), re.MULTILINE),
        "no user is left",
    )
    run(INSTALL, "--purge")  # twice does no harm


def try_service() -> None:
    """Systemd starts it, watches it, starts it anew, and what it left on goes off."""
    try_security()
    say("start")
    os.umask(0o022)
    override = Path("/run/systemd/system") / f"{UNIT.name}.d" / "trial.conf"
    override.parent.mkdir(parents=True, exist_ok=True)
    override.write_text(f"[Service]\nWatchdogSec={WATCHDOG_S}\n", encoding="utf-8")
    CONFIG.write_text("[buzzer]\nring_ms = 10000\n", encoding="utf-8")
    run("systemctl", "daemon-reload")
    run("systemctl", "restart", NAME)  # returns when the daemon says that it is ready
    must(shown("ActiveState") == "active", "systemd hears that it is ready")
    try_confinement()
    checked = subprocess.run([COMMAND, "check", "--play"], capture_output=True, text=True, check=False)
    print(re.sub(r"(?s)\A.*\n\n", "", checked.stdout))
    say(f"memory: {shown('MemoryCurrent')} bytes, {shown('MemoryPeak') or 'an unknown number'} at most")
    for part in ("bridge", "green", "red", "buzzer", "journal", "faces"):
        must(re.search(rf"^{part} +ok: ", checked.stdout, re.MULTILINE), f"the check says that {part} is ok")

    say("watchdog")
    fed = shown("WatchdogTimestampMonotonic")
    until("the daemon feeds the watchdog", lambda: shown("WatchdogTimestampMonotonic") != fed)
    died(signal.SIGSTOP, "a daemon that hangs is ended by the watchdog and started anew")
    say("killed while the buzzer sounds")
    if SIMULATED_LINES.exists():
        line(BUTTON, "pull").write_text("pull-down", encoding="ascii")
        until("a press sounds the buzzer", lambda: line(BUZZER, "value").read_text() == "1\n")
        line(BUTTON, "pull").write_text("pull-up", encoding="ascii")
        if health()["camera"] == "ok":
            until("the picture is searched for faces", lambda: health()["faces_ms"] is not None)
        # As the kernel of a Pi does: what was on stays on when its program is gone.
        line(BUZZER, "pull").write_text("pull-up", encoding="ascii")
    died(signal.SIGKILL, "a killed daemon is started anew")
    must("status=0" in shown("ExecStopPost"), "the outputs were switched off before", shown("ExecStopPost"))
    if SIMULATED_LINES.exists():
        must(line(BUZZER, "value").read_text() == "0\n", "the buzzer is silent")

    say("a mistake in the configuration")
    CONFIG.write_text("[buzzer]\npin = 23\n", encoding="utf-8")
    subprocess.run(["systemctl", "restart", NAME], check=False)
    until("it gives up at once", lambda: shown("ActiveState") == "failed")
    must(shown("ExecMainStatus") == "2", "and says that the configuration is wrong", shown("ExecMainStatus"))
    must(
        "each needs a pin of its own" in output("journalctl", "--unit", NAME, "--boot"),
        "the log names the mistake",
    )
    CONFIG.write_text("", encoding="utf-8")
    run("systemctl", "restart", NAME)
    must(shown("ActiveState") == "active", "mended, it runs")

    say("stop and remove")
    started = time.monotonic()
    run("systemctl", "stop", NAME)
    must(
        shown("Result") == "success",
        f"it stops cleanly in {time.monotonic() - started:.1f} s",
        shown("Result"),
    )
    run("systemctl", "start", NAME)
    run(INSTALL, "--purge")
    must(shown("LoadState") == "not-found" and shown("ActiveState") == "inactive", "the service is gone")
    shutil.rmtree(override.parent)


def try_security() -> None:
    """What systemd thinks of the unit."""
    verdict = output("systemd-analyze", "security", NAME, "--no-pager").splitlines()[-1]
    exposure = re.search(r"[\d.]+", verdict.partition(":")[2])
    must(exposure is not None and float(exposure[0]) <= WORST_EXPOSURE, verdict)


def try_confinement() -> None:
    """What the kernel holds the running daemon to."""
    status = dict(
        entry.split(":\t", 1)
        for entry in Path(f"/proc/{pid()}/status").read_text().splitlines()
        if ":\t" in entry
    )
    must(int(status["Uid"].split()[0]) == pwd.getpwnam(USER).pw_uid, f"it runs as {USER}")
    must(
        int(status["CapEff"], 16) == 0 and int(status["CapBnd"], 16) == 0,
        "it has no capability and can get none",
    )
    must((status["NoNewPrivs"], status["Seccomp"]) == ("1", "2"), "its system calls are filtered")


def died(how: signal.Signals, then: str) -> None:
    """Send the daemon a signal; wait until systemd has started another one that is ready."""
    old = pid()
    os.kill(int(old), how)
    until(then, lambda: shown("ActiveState") == "active" and pid() not in ("0", old))


def health() -> dict[str, object]:
    """Return what the running daemon says of itself."""
    asking = f"asyncio.run(ask(pathlib.Path('{STATE}'), 'GET', 'health'))"
    imports = "import asyncio, json, pathlib; from pi_bridge.control import ask"
    said = output(TARGET / "bin" / "python", "-c", f"{imports}; print(json.dumps({asking}))")
    answer: dict[str, object] = json.loads(said)
    return answer


def shown(what: str) -> str:
    """Return a property of the service."""
    return output("systemctl", "show", NAME, "--value", "--property", what)


def pid() -> str:
    """Return the daemon's process id; "0" while there is none."""
    return shown("MainPID")


def line(number: int, what: str) -> Path:
    """Return what a simulated pin shows or takes."""
    return SIMULATED_LINES / f"sim_gpio{number}" / what


@contextmanager
def simulator() -> Iterator[None]:
    """Run the simulator as the service's user on its state."""
    TRIAL_FOLDER.mkdir(mode=0o755, exist_ok=True)
    TRIAL_FOLDER.chmod(0o755)
    draw = "import cv2, numpy, sys; cv2.imwrite(sys.argv[1], numpy.zeros((480, 640, 3), numpy.uint8))"
    run(TARGET / "bin" / "python", "-c", draw, TRIAL_FOLDER / "nobody.jpg")
    (TRIAL_FOLDER / "nobody.jpg").chmod(0o644)
    options = ("--state", STATE, "--photos", TRIAL_FOLDER, "--port", "0", "--page-port", "0")
    process = subprocess.Popen(as_user(PROGRAM, "simulate", *options), stdout=subprocess.PIPE, text=True)
    try:
        said = process.stdout or ()
        must(any(text.startswith("Fingerprint") for text in said), "the simulator starts")
        yield
    finally:
        process.terminate()
        must(process.wait(PATIENCE_S) == 0, "it ends cleanly")


def as_user(*command: str | Path) -> list[str | Path]:
    """Return the command as the service's user has it, without root's environment."""
    RUNTIME.mkdir(mode=0o700, exist_ok=True)
    shutil.chown(RUNTIME, USER, USER)
    become = ("setpriv", f"--reuid={USER}", f"--regid={USER}", "--init-groups", "--")
    return [*become, "env", "-i", "-C", "/", f"LG_WD={RUNTIME}", *command]


def installed() -> dict[Path, str]:
    """Return what stands in the installed files, but not in the program's folder."""
    roots = (CONFIG, UNIT, WANTED, AVAHI, COMMAND, STATE, Path("/etc/passwd"), Path("/etc/group"))
    return {path: digest for root in roots for path, digest in listing(root).items()}


def listing(root: Path) -> dict[Path, str]:
    """Return mode, owner and a digest of everything below a folder."""
    found = {}
    for path in (root, *root.rglob("*")):
        status = path.lstat()
        content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        found[path] = f"{status.st_mode:o} {status.st_uid}:{status.st_gid} {content}"
    return found


def run(*command: str | Path) -> None:
    """Run a command that must succeed; what it says is shown."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, check=False)
    if done.returncode != 0:
        must(False, f"{' '.join(map(str, command))} succeeds", done.returncode)


def output(*command: str | Path) -> str:
    """Return what a command says, which must succeed."""
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def until(what: str, holds: Callable[[], bool]) -> None:
    """Wait until something holds."""
    started = time.monotonic()
    while not holds():
        if time.monotonic() - started > PATIENCE_S:
            must(False, what)
        time.sleep(0.2)
    must(True, f"{what} ({time.monotonic() - started:.1f} s)")


def must(true: object, what: str, found: object = "") -> None:
    """Say that it is so, or end."""
    print(f"   {'ok' if true else 'NOT SO'}: {what}", flush=True)
    if not true:
        sys.exit(f"install_trial.py: not so: {what}\n{found}")


def say(step: str) -> None:
    """Head what comes next."""
    print(f"\n##### {step}", flush=True)


if __name__ == "__main__":
    if os.geteuid() != 0:
        sys.exit("install_trial.py: this needs root")
    os.umask(STRICT_UMASK)
    steps = {"all": try_install, "install": install, "service": try_service}
    if len(sys.argv) != 2 or sys.argv[1] not in steps:
        sys.exit(__doc__)
    steps[sys.argv[1]]()
    say("all is as it must be")
