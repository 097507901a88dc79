"""The policy permits what is called and nothing else, and is the same wherever it is written."""

from collections.abc import Mapping
from dataclasses import replace
import json
from pathlib import Path
from typing import Any

import yaml

from custom_components.face_doorbell.model import Picture
from custom_components.face_doorbell.recognition.decision import Rule
from custom_components.face_doorbell.recognition.gallery import Gallery
from custom_components.face_doorbell.recognition.policy import COLLECTION, STATELESS, policy, policy_json
from custom_components.face_doorbell.recognition.recognizer import Recognizer
from custom_components.face_doorbell.recognition.rekognition import Mode, RekognitionEngine, check
from tests.fake_rekognition import paint
from tests.recognition.conftest import SETTINGS, Cloud

DOCS = Path(__file__).parents[2] / "docs"


async def test_every_call_is_permitted_and_nothing_else(cloud: Cloud, gallery: Gallery) -> None:
    for mode in Mode:
        settings = replace(SETTINGS, mode=mode)
        await check(settings)
        recognizer = Recognizer(RekognitionEngine(settings, Rule()), gallery)
        await recognizer.start({})
        person = await recognizer.enrol(f"Ann {mode}", [paint(0), paint(0, mark=1)])
        await recognizer.recognize(Picture(paint(0, 120)))
        await recognizer.remove_photos(person.id, [person.photos[0].id])
        await recognizer.forget_everyone()
        await recognizer.close()
    called = {f"rekognition:{operation}" for operation in cloud.rekognition.calls}
    assert called == {*STATELESS, *COLLECTION}


def test_the_documentation_has_the_policy() -> None:
    text = (DOCS / "aws.md").read_text()
    wanted = policy_json(replace(SETTINGS, region="REGION", bucket="BUCKET"))
    assert f"```json\n{wanted}\n```" in text, wanted


class Template(yaml.SafeLoader):
    """Reads CloudFormation's short forms as what they are applied to."""


def _short_form(loader: yaml.Loader, _tag: str, node: yaml.ScalarNode) -> Any:
    return loader.construct_scalar(node)


Template.add_multi_constructor("!", _short_form)


def test_the_template_has_the_policy_and_a_private_bucket() -> None:
    template = yaml.load((DOCS / "cloudformation.yaml").read_text(), Template)  # noqa: S506 - a safe loader
    parts: Mapping[str, Any] = {
        name: part.get("Properties", {}) for name, part in template["Resources"].items()
    }
    settings = replace(
        SETTINGS, region="${AWS::Region}", bucket="${BucketName}", collection="${CollectionId}"
    )
    (attached,) = parts["User"]["Policies"]
    assert attached["PolicyDocument"] == json.loads(json.dumps(policy(settings)))
    assert set(parts["Photos"]["PublicAccessBlockConfiguration"].values()) == {True}
