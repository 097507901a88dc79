"""What a check of the gallery, and a sync of it, tell the owner, in sentences."""

from collections.abc import Iterator, Mapping
from typing import Final

from homeassistant.core import HomeAssistant
from homeassistant.util import dt as dt_util

from .recognition.decision import Rule
from .recognition.model import SyncReport
from .recognition.self_check import SelfCheck
from .sentences import async_sentences

MOST: Final = 10  # of one kind: who has more to mend begins with these


async def async_check_report(hass: HomeAssistant, check: SelfCheck, rule: Rule) -> tuple[str, str]:
    """Return title and text, in the language of Home Assistant."""
    say = await async_sentences(hass)
    lines = [say(key, placeholders) for key, placeholders in findings(check, rule)]
    return say("check_title", {}), "\n".join(f"- {line}" for line in lines)


async def async_sync_report(hass: HomeAssistant, report: SyncReport) -> tuple[str, str]:
    """Return title and text, in the language of Home Assistant."""
    say = await async_sentences(hass)
    changed = report.added or report.removed or report.refused
    counts = {"added": report.added, "removed": report.removed, "refused": len(report.refused)}
    return say("sync_title", {}), say("sync_changed" if changed else "sync_in_step", counts)


def findings(check: SelfCheck, rule: Rule) -> Iterator[tuple[str, Mapping[str, object]]]:
    """Yield the keys of the sentences in `common`, and what to fill in."""
    if not check.tested:
        yield "check_nothing", {}
    else:
        yield "check_tested", {"recognized": check.recognized, "tested": check.tested}
    for pair in check.pairs[:MOST]:
        yield (
            "check_pair",
            {
                "first": pair.first.name,
                "second": pair.second.name,
                "similarity": f"{pair.similarity:.0f}",
            },
        )
    for each in check.harmful[:MOST]:
        yield (
            f"check_{each.harm}",
            {
                "person": each.person.name,
                "number": each.person.photos.index(each.photo) + 1,
                "added": f"{dt_util.as_local(each.photo.added):%Y-%m-%d}",
                "own": f"{each.own:.0f}",
                "other": each.other.name if each.other else "",
                "similarity": f"{each.to_other:.0f}",
            },
        )
    if check.alone:
        yield "check_alone", {"persons": ", ".join(person.name for person in check.alone)}
    if check.without_face:
        yield "check_without_face", {"count": check.without_face}
    if check.above is not None and check.below is not None:
        if check.threshold is None:
            yield "check_inseparable", {}
        elif check.threshold == rule.threshold:
            yield "check_threshold_fits", {"threshold": f"{rule.threshold:g}"}
        else:
            yield (
                "check_threshold",
                {"threshold": f"{check.threshold:g}", "current": f"{rule.threshold:g}"},
            )
