"""Whether a gallery tells its persons apart: every photo is compared as if a visitor had brought it.

A photo is compared with the centroid of the person's other photos and with those of all other persons, by the
embeddings of one model. This costs nothing; photos without an embedding need a bridge that makes one.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
import math

from .decision import Rule
from .errors import EngineSetupError, EngineUnavailableError
from .gallery import Gallery, Person, Photo, Vector
from .gate import LOOK_ALIKE
from .local import LocalEngine, centroid, similarity, vectors
from .model import FaceFinder


class Harm(StrEnum):
    """What is wrong with a photo that hurts."""

    LOOKS_LIKE_OTHER = "looks_like_other"  # more than like the person's other photos
    UNLIKE_OWN = "unlike_own"  # not like the person's other photos, nor like anybody


@dataclass(frozen=True, slots=True)
class Pair:
    """Two persons who look alike: the largest similarity of a photo of one to the other, 0 to 100."""

    first: Person
    second: Person
    similarity: float


@dataclass(frozen=True, slots=True)
class HarmfulPhoto:
    """A photo that is better removed: its similarity to the other photos of the person, and to another person."""

    person: Person
    photo: Photo
    harm: Harm
    own: float
    other: Person | None
    to_other: float


@dataclass(frozen=True, slots=True)
class SelfCheck:
    """What the check found.

    `tested` photos were compared with their person's others, `recognized` of them would be; `alone` are persons with
    one photo, which has nothing to be compared with; `without_face` counts photos that the model cannot use.
    `above` is the largest similarity of a photo to another person, `below` the smallest to its own, harmful photos left
    out: a threshold between the two separates this household; `threshold` is the one there that is nearest to today's.
    """

    model: str | None
    tested: int
    recognized: int
    alone: Sequence[Person]
    without_face: int
    pairs: Sequence[Pair]
    harmful: Sequence[HarmfulPhoto]
    above: float | None
    below: float | None
    threshold: float | None


@dataclass(frozen=True, slots=True)
class _Score:
    """A photo as a visitor: its similarity to the person's other photos (None: there are none) and to all others."""

    person: Person
    photo: Photo
    own: float | None
    others: Mapping[str, float]

    @property
    def to_other(self) -> float:
        return max(self.others.values(), default=0.0)


async def check_gallery(gallery: Gallery, finder: FaceFinder, rule: Rule) -> SelfCheck:
    """Embed what no model has seen yet, if a bridge is there, and compare all photos.

    Raises EngineUnavailableError `check_needs_doorbell`. Blocks the event loop nowhere.
    """
    engine = LocalEngine(finder, rule)
    try:
        await engine.sync(gallery)
    except (EngineUnavailableError, EngineSetupError) as err:
        raise EngineUnavailableError("check_needs_doorbell") from err
    return await asyncio.to_thread(check_persons, gallery.persons, rule)


def check_persons(persons: Sequence[Person], rule: Rule) -> SelfCheck:
    """Compare all photos by the model that has seen most; blocks, for about a second with 1,000 photos."""
    models = Counter(model for person in persons for photo in person.photos for model in photo.embeddings)
    model = max(models, key=lambda each: (models[each], each), default=None)
    scores = list(_scores(persons, model)) if model else []
    harmful = [found for score in scores if (found := _harm(score, persons))]
    good = scores
    if model and harmful:
        # What is better removed says nothing about who looks like whom.
        good = list(_scores(_without(persons, harmful), model))
    above = max((score.to_other for score in good if score.others), default=None)
    below = min((score.own for score in good if score.own is not None), default=None)
    tested = [score for score in scores if score.own is not None]
    return SelfCheck(
        model=model,
        tested=len(tested),
        recognized=sum(_is_recognized(score, rule) for score in tested),
        alone=[person for person in persons if len(person.photos) == 1],
        without_face=sum(len(person.photos) for person in persons) - len(scores),
        pairs=list(_pairs(good, persons)),
        harmful=harmful,
        above=above,
        below=below,
        threshold=_nearest(rule.threshold, above, below),
    )


def _scores(persons: Sequence[Person], model: str) -> Iterable[_Score]:
    known = {person.id: vectors(person.photos, model) for person in persons}
    centroids = {person_id: centroid(many) for person_id, many in known.items() if many}
    for person in persons:
        usable = [photo for photo in person.photos if model in photo.embeddings]
        for place, photo in enumerate(usable):
            vector = photo.embeddings[model]
            rest = known[person.id][:place] + known[person.id][place + 1 :]
            yield _Score(
                person,
                photo,
                _likeness(vector, centroid(rest), model) if rest else None,
                {
                    person_id: _likeness(vector, theirs, model)
                    for person_id, theirs in centroids.items()
                    if person_id != person.id
                },
            )


def _likeness(one: Vector, other: Vector, model: str) -> float:
    return similarity(math.dist(one, other), model)


def _is_recognized(score: _Score, rule: Rule) -> bool:
    own = score.own or 0.0
    return own >= rule.threshold and own - score.to_other >= rule.margin


def _harm(score: _Score, persons: Sequence[Person]) -> HarmfulPhoto | None:
    """Return what is wrong with a photo, if anything; one that has nothing to be compared with is given the doubt."""
    own, to_other = score.own, score.to_other
    if own is None or own >= max(LOOK_ALIKE, to_other):
        return None
    harm = Harm.LOOKS_LIKE_OTHER if to_other > own and to_other >= LOOK_ALIKE else Harm.UNLIKE_OWN
    alike = next((person for person in persons if score.others.get(person.id) == to_other), None)
    other = alike if harm is Harm.LOOKS_LIKE_OTHER else None
    return HarmfulPhoto(score.person, score.photo, harm, own, other, to_other)


def _without(persons: Sequence[Person], harmful: Sequence[HarmfulPhoto]) -> Sequence[Person]:
    bad = {(each.person.id, each.photo.id) for each in harmful}
    return [
        replace(person, photos=tuple(photo for photo in person.photos if (person.id, photo.id) not in bad))
        for person in persons
    ]


def _pairs(scores: Iterable[_Score], persons: Sequence[Person]) -> Iterable[Pair]:
    """Return the persons who look alike, the most alike first."""
    by_id = {person.id: person for person in persons}
    found = dict[tuple[str, str], float]()
    for score in scores:
        for person_id, likeness in score.others.items():
            if likeness >= LOOK_ALIKE:
                first, second = sorted((score.person.id, person_id))
                found[first, second] = max(likeness, found.get((first, second), 0.0))
    ranked = sorted(found.items(), key=lambda pair: pair[1], reverse=True)
    return (Pair(by_id[first], by_id[second], likeness) for (first, second), likeness in ranked)


def _nearest(threshold: float, above: float | None, below: float | None) -> float | None:
    """Return the threshold nearest to today's that is above `above` and not above `below`; None: there is none."""
    if above is None or below is None or below <= above:
        return None
    middle = (above + below) / 2
    return round(threshold if above < threshold <= below else middle if threshold <= above else below, 1)
