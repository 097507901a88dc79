"""Asks the real AWS for what the integration, and the fake of its tests, take for granted.

    script/aws_check [--region eu-west-1] [--yes] [--json FILE]
    script/aws_check --list | --policy | --clean NAME

The keys come from AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or are asked for; they are kept
nowhere and shown to nobody. Everything happens in a bucket and a collection that are made for it and deleted in the
end, also after a failure and Ctrl-C. Ends with 0 when AWS does as expected, 1 when it does not, and 2 when it was not
asked to the end or something could not be deleted.
"""

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
import getpass
import json
import os
from pathlib import Path
import signal
import sys
import tempfile
from types import FrameType
from typing import Final
import uuid

import botocore

from custom_components.face_doorbell.recognition import prices
from custom_components.face_doorbell.recognition.aws import REGIONS, Aws, AwsSettings, Clients
from custom_components.face_doorbell.recognition.errors import RecognitionError
from custom_components.face_doorbell.recognition.policy import CREATE_BUCKET, policy
from custom_components.face_doorbell.recognition.usage import Usage

from .aws_contract import (
    CONTRACT,
    SCRATCH,
    Answer,
    Expectation,
    Site,
    ask,
    billed,
    clean_up,
    cost,
    real_pictures,
)

AS_EXPECTED, DIFFERENT, NOT_ASKED = range(3)

DEFAULT_REGION: Final = "eu-west-1"
# Beyond the policy of the integration: to look at the scratch bucket, and to delete it.
CHECK_BUCKET: Final = (
    *CREATE_BUCKET,
    "s3:DeleteBucket",
    "s3:GetBucketPublicAccessBlock",
    "s3:GetEncryptionConfiguration",
)


@dataclass(slots=True)
class Report:
    """What came of a check; nothing in it is secret."""

    at: str
    region: str
    botocore: str
    scratch: str
    answers: list[Answer] = field(default_factory=list)
    calls: Mapping[str, int] = field(default_factory=dict)
    interrupted: bool = False
    left: Sequence[str] = ()

    @property
    def status(self) -> int:
        """How the process ends."""
        if self.interrupted or self.left or not self.answers:
            return NOT_ASKED
        return AS_EXPECTED if all(answer.holds for answer in self.answers) else DIFFERENT

    def to_json(self) -> str:
        """Return the report for a file."""
        data = asdict(self) | {"cost": round(prices.cost(self.calls), 4)}
        for each, answer in zip(data["answers"], self.answers, strict=True):
            each |= {"holds": answer.holds, "expected": _plain(answer.expected), "seen": _plain(answer.seen)}
        return json.dumps(data, indent=2)


def _plain(seen: object) -> object:
    """Return something seen as JSON has it; a range in words."""
    match seen:
        case str() | bool() | int() | float() | None:
            return seen
        case Mapping():
            return {str(key): _plain(value) for key, value in seen.items()}
        case list() | tuple():
            return [_plain(value) for value in seen]
        case _:
            return str(seen)


def run(
    settings: AwsSettings, contract: Sequence[Expectation] = CONTRACT, tell: Callable[[str], None] = print
) -> Report:
    """Ask for the contract in the scratch bucket and collection of the settings, which are deleted in the end."""
    usage = Usage()
    aws = Aws(settings, usage)
    report = Report(
        datetime.now(UTC).isoformat(timespec="seconds"),
        settings.region,
        botocore.__version__,
        settings.bucket,
    )
    clients = aws.run(_let_in)
    try:
        with tempfile.TemporaryDirectory() as folder:
            site = Site(settings, clients, real_pictures(Path(folder)), usage)
            for answer in ask(site, contract):
                report.answers.append(answer)
                tell(_line(answer))
    except KeyboardInterrupt:
        report.interrupted = True
        tell("Interrupted.")
    finally:
        with _undisturbed():
            tell("Cleaning up …")
            report.left = clean_up(clients, settings.bucket)
            report.calls = dict(usage.month.calls)
            aws.close()
    return report


def _let_in(clients: Clients) -> Clients:
    """Return the clients if AWS accepts the keys; raises botocore's errors."""
    clients.sts.get_caller_identity()
    return clients


def _line(answer: Answer) -> str:
    if answer.holds:
        return f"  as expected  {answer.says} ({answer.seconds:.2f} s)"
    return (
        f"  DIFFERENT    {answer.says}\n"
        f"               expected {json.dumps(_plain(answer.expected))}\n"
        f"               seen     {json.dumps(_plain(answer.seen))}"
    )


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Let no second Ctrl-C leave something behind."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def scratch_policy(region: str) -> str:
    """Return the policy that the keys need for this check."""
    settings = AwsSettings(
        access_key_id="", secret_access_key="", region=region, bucket=f"{SCRATCH}*", collection=f"{SCRATCH}*"
    )
    document = dict(policy(settings))
    more = {
        "Sid": "Scratch",
        "Effect": "Allow",
        "Action": list(CHECK_BUCKET),
        "Resource": f"arn:aws:s3:::{SCRATCH}*",
    }
    return json.dumps(document | {"Statement": [*document["Statement"], more]}, indent=2)  # type: ignore[misc]  # a list


def _keys() -> Mapping[str, str | None]:
    """Return the keys of the environment, or ask for them."""
    key, secret = os.environ.get("AWS_ACCESS_KEY_ID"), os.environ.get("AWS_SECRET_ACCESS_KEY")
    if key and secret:
        return {
            "access_key_id": key,
            "secret_access_key": secret,
            "session_token": os.environ.get("AWS_SESSION_TOKEN") or None,
        }
    return {
        "access_key_id": input("Access key ID: ").strip(),
        "secret_access_key": getpass.getpass("Secret access key (not shown): ").strip(),
        "session_token": getpass.getpass("Session token (not shown; empty for none): ").strip() or None,
    }


def _announce(name: str) -> None:
    print(f"Asks AWS for {len(CONTRACT)} things, in the bucket and the collection {name},")
    print(f"which are deleted in the end (after a crash: script/aws_check --clean {name}).")
    calls = ", ".join(f"{operation} {count}" for operation, count in sorted(billed().items()) if count)
    print(f"{sum(billed().values())} calls are billed: {calls}.")
    print(f"By the list prices of {prices.REGION} that is ${cost():.3f}; requests to S3 are below a cent.\n")


def _list() -> None:
    for each in CONTRACT:
        print(
            f"  {each.says} ({', '.join(f'{count} {name}' for name, count in each.billed.items()) or 'free'})"
        )


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main() -> int:
    """Do what the command line says; return how the process ends."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--region", default=os.environ.get("AWS_REGION", DEFAULT_REGION), choices=REGIONS)
    parser.add_argument("--yes", action="store_true", help="do not ask whether it may cost this")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report there as well")
    parser.add_argument("--list", action="store_true", help="only say what would be asked for")
    parser.add_argument("--policy", action="store_true", help="only show the policy that the keys need")
    parser.add_argument("--clean", metavar="NAME", help="only delete what a check that crashed has left")
    parser.add_argument("--endpoint", help="ask something else than AWS")
    chosen = parser.parse_args()
    if chosen.policy:
        print(scratch_policy(chosen.region))
        return AS_EXPECTED
    name = chosen.clean or f"{SCRATCH}{uuid.uuid4().hex[:12]}"
    if not chosen.clean:
        _announce(name)
        if chosen.list:
            _list()
            return AS_EXPECTED
        if not chosen.yes and input("Go on? [y/N] ").strip().lower() not in ("y", "yes"):
            return NOT_ASKED
    settings = AwsSettings(
        **_keys(),  # type: ignore[arg-type]  # the names are those of the settings
        region=chosen.region,
        bucket=name,
        collection=name,
        endpoint_url=chosen.endpoint,
    )
    if chosen.clean:
        left = clean_up(Aws(settings).run(_let_in), name)
        print("\n".join(left) or "Nothing is left.")
        return NOT_ASKED if left else AS_EXPECTED
    signal.signal(signal.SIGTERM, _interrupt)
    report = run(settings)
    return _conclude(report, chosen.json)


def _conclude(report: Report, file: Path | None) -> int:
    different = [answer for answer in report.answers if not answer.holds]
    print(f"\n{len(report.answers) - len(different)} as expected, {len(different)} different.")
    print(f"{sum(report.calls.values())} billed calls, ${prices.cost(report.calls):.3f}.")
    print("\n".join(f"NOT DELETED: {each}" for each in report.left) or "Nothing is left at AWS.")
    if file:
        file.write_text(report.to_json())
    return report.status


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (RecognitionError, EOFError) as problem:
        sys.exit(f"aws_check: {problem}")
    except KeyboardInterrupt:
        sys.exit(NOT_ASKED)
