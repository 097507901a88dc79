"""What a visit costs with AWS, counted by the fake, and what the engine adds to AWS's own time, over real sockets.

`python -m harness.aws_numbers` prints both for the closing note of a change; nothing leaves this machine.
"""

import asyncio
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
import json
from pathlib import Path
import statistics
import tempfile
import threading
import time
from typing import TYPE_CHECKING, Final

import boto3
from moto import mock_aws

from custom_components.face_doorbell.model import Picture
from custom_components.face_doorbell.recognition import prices
from custom_components.face_doorbell.recognition.aws import AwsSettings
from custom_components.face_doorbell.recognition.decision import Rule
from custom_components.face_doorbell.recognition.gallery import Gallery, NewPhoto
from custom_components.face_doorbell.recognition.rekognition import Mode, RekognitionEngine
from tests.fake_rekognition import PaintedEyes, fake_rekognition, paint

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

PERSONS: Final = (1, 10, 100)
PHOTOS: Final = 3  # of each person
FACES: Final = (1, 3)
SERVICE_S: Final = 0.2  # that the server takes for each answer
VISITS: Final = 40

SETTINGS: Final = AwsSettings(
    access_key_id="AKIATEST",
    secret_access_key="secret",  # noqa: S106 - of nobody
    region="us-east-1",
    bucket="photos",
)


def _gallery(folder: str, persons: int) -> Gallery:
    gallery = Gallery(Path(folder))
    gallery.load()
    for number in range(persons):
        shown = [NewPhoto(paint(number * 3.6, size=(160, 120), mark=mark)) for mark in range(PHOTOS)]
        gallery.add_person(f"Person {number}", shown)
    return gallery


def _s3() -> S3Client:
    client: S3Client = boto3.client(
        "s3",
        SETTINGS.region,
        aws_access_key_id=SETTINGS.access_key_id,
        aws_secret_access_key=SETTINGS.secret_access_key,
    )
    return client


async def costs() -> None:
    """Print calls and cost of a visit."""
    print(f"Prices of {prices.REGION}, {prices.AS_OF}\n")
    print("| mode | persons | faces | calls | cost |\n|---|---|---|---|---|")
    for persons in PERSONS:
        for mode in Mode:
            with tempfile.TemporaryDirectory() as folder, mock_aws(), fake_rekognition(PaintedEyes()) as fake:
                _s3().create_bucket(Bucket=SETTINGS.bucket)
                engine = RekognitionEngine(replace(SETTINGS, mode=mode), Rule())
                await engine.sync(_gallery(folder, persons))
                for faces in FACES:
                    fake.calls.clear()
                    await engine.recognize(Picture(paint(*(360 / faces * face for face in range(faces)))))
                    cost = prices.cost(fake.billed)
                    print(f"| {mode} | {persons} | {faces} | {sum(fake.billed.values())} | ${cost:.3f} |")
                await engine.close()


class _Service(BaseHTTPRequestHandler):
    """Answers everything after a fixed time, as a service that saw one stranger."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        """Answer."""
        started = time.monotonic()
        self.rfile.read(int(self.headers["Content-Length"]))
        box = {"Left": 0.4, "Top": 0.2, "Width": 0.2, "Height": 0.3}
        body = json.dumps(
            {"UserMatches": [], "SearchedFace": {"FaceDetail": {"BoundingBox": box}}, "UnsearchedFaces": []}
        ).encode()
        time.sleep(max(0.0, SERVICE_S - (time.monotonic() - started)))
        self.send_response(200)
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the library's
        """Keep quiet."""


class _Engine(RekognitionEngine):
    """Starts from a gallery without a sync, which the service above does not know."""

    def use(self, gallery: Gallery) -> None:
        """Answer from these persons."""
        self._gallery = gallery


async def overhead() -> None:
    """Print how much longer than the service's own time an answer takes."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Service)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    with tempfile.TemporaryDirectory() as folder:
        engine = _Engine(replace(SETTINGS, endpoint_url=endpoint), Rule())
        engine.use(_gallery(folder, 1))
        picture = Picture(paint(0, size=(1280, 720)))
        await engine.recognize(picture)  # makes the clients
        times = []
        for _ in range(VISITS):
            started = time.monotonic()
            await engine.recognize(picture)
            times.append((time.monotonic() - started - SERVICE_S) * 1000)
        await engine.close()
    server.shutdown()
    server.server_close()
    p95 = statistics.quantiles(times, n=20)[-1]
    print(
        f"\nOver {SERVICE_S * 1000:.0f} ms of the service: p50 {statistics.median(times):.1f} ms, p95 {p95:.1f} ms"
    )


async def main() -> None:
    """Print all."""
    await costs()
    await overhead()


if __name__ == "__main__":
    asyncio.run(main())
