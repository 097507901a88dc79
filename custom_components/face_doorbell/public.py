"""Visits and persons as actions and the WebSocket API tell of them; nothing by which a face could be recognized."""

from collections.abc import Sequence
from dataclasses import asdict

from homeassistant.core import HomeAssistant, callback
from homeassistant.util.json import JsonObjectType

from .entries import certainty, doorbell_name
from .naming import Removal
from .recognition.gallery import Person
from .recognition.gate import advice, look_alikes
from .recognition.self_check import SelfCheck
from .views import face_thumbnail_url, photo_url, picture_thumbnail_url, picture_url
from .visits import VISITS, Visit, VisitFace, VisitFilter


@callback
def public_visit(hass: HomeAssistant, visit: Visit) -> JsonObjectType:
    """Return a visit; the addresses of pictures need a login, or are to be signed."""
    return {
        "visit_id": visit.visit_id,
        "cursor": visit.cursor,
        "at": visit.at.isoformat(),
        "at_sure": visit.at_sure,
        "doorbell_id": visit.doorbell_id,
        "doorbell": doorbell_name(hass, visit.doorbell_id),
        "outcome": visit.outcome,
        "reason": visit.reason,
        "engine": visit.engine,
        "fallback": visit.fallback,
        "late": visit.late,
        "missed": visit.missed,
        "replay": visit.replay,
        "test": visit.test,
        "names": list(visit.names),
        "certainty": certainty(hass, visit),
        "unknown_faces": visit.strangers,
        "faces": [_face(visit, index, face) for index, face in enumerate(visit.faces)],
        "picture": None if visit.picture is None else _picture(visit, visit.picture),
        "pictures": [{"at_ms": each.at_ms, **_picture(visit, each.n)} for each in visit.pictures],
        "timings": asdict(visit.timings),
        "calls": dict(visit.calls),
    }


def public_person(person: Person) -> JsonObjectType:
    """Return a person without photos."""
    return {"person_id": person.id, "name": person.name, "photos": len(person.photos)}


@callback
def public_member(hass: HomeAssistant, person: Person) -> JsonObjectType:
    """Return a person with photos, for administrators; the addresses need a login, or are to be signed."""
    wanted = VisitFilter(person_id=person.id)
    log = hass.data[VISITS]
    last = next(log.newest_first(wanted), None)
    return {
        "person_id": person.id,
        "name": person.name,
        "photos": [
            {
                "photo_id": photo.id,
                "added": photo.added.isoformat(),
                "thumbnail": photo_url(person.id, photo.id),
            }
            for photo in person.photos
        ],
        "advice": advice(person),
        "visits": log.count(wanted),
        "last_seen": last.at.isoformat() if last else None,
        "last_doorbell": doorbell_name(hass, last.doorbell_id) if last else None,
    }


def public_removal(removal: Removal) -> JsonObjectType:
    """Return what was removed where; `pending`: the engine could not be reached and follows with its next sync."""
    index = removal.index
    return {
        "people": [public_person(person) for person in removal.persons],
        "visits": removal.visits,
        "deleted": dict(index.deleted) if index else {},
        "pending": index is None,
        "old_versions_remain": index is not None and index.versions_remain,
    }


def _face(visit: Visit, index: int, face: VisitFace) -> JsonObjectType:
    return {
        "face": index,
        "person_id": face.person_id,
        "name": face.name,
        "similarity": None if face.similarity is None else round(face.similarity, 1),
        "quality": None if face.quality is None else round(face.quality, 2),
        "group": face.group,
        "by_user": face.by_user,
        "box": asdict(face.box),
        "thumbnail": face_thumbnail_url(visit.visit_id, index),
    }


def _picture(visit: Visit, n: int) -> JsonObjectType:
    return {
        "n": n,
        "url": picture_url(visit.visit_id, n),
        "thumbnail": picture_thumbnail_url(visit.visit_id, n),
    }


def public_check(check: SelfCheck) -> JsonObjectType:
    """Return what the check of the gallery found."""
    return {
        "model": check.model,
        "tested": check.tested,
        "recognized": check.recognized,
        "one_photo_only": [person.name for person in check.alone],
        "without_face": check.without_face,
        "pairs": [
            {"people": [pair.first.name, pair.second.name], "similarity": round(pair.similarity, 1)}
            for pair in check.pairs
        ],
        "harmful": [
            {
                "person_id": each.person.id,
                "name": each.person.name,
                "photo_id": each.photo.id,
                "number": each.person.photos.index(each.photo) + 1,
                "harm": each.harm,
                "similarity": round(each.own, 1),
                "other": each.other.name if each.other else None,
                "similarity_to_other": round(each.to_other, 1),
            }
            for each in check.harmful
        ],
        "most_alike_other": None if check.above is None else round(check.above, 1),
        "least_alike_own": None if check.below is None else round(check.below, 1),
        "threshold": check.threshold,
    }


def public_advice(person: Person, persons: Sequence[Person]) -> JsonObjectType:
    """Return what would make a person's photos better, and whom of the household the person looks like."""
    return {
        "advice": advice(person),
        "looks_like": [
            {"name": each.person.name, "similarity": round(each.similarity, 1)}
            for each in look_alikes(persons, person.id)
        ],
    }
