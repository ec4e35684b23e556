"""Since when a customer waits for an answer: the clock that an answer stops, whoever gave it and wherever. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from connectors.core.case import CaseEvent, Happening

_ASKED = frozenset({Happening.OPENED, Happening.SAID})


def waits_since(timeline: Iterable[CaseEvent]) -> int | None:
    """When the oldest post was written that nobody of ours has answered since (milliseconds); None where all are.

    What counts is when things were said, not when we heard of them: a poll may bring an answer together with the
    question, or before it. An answer counts for all that was said before it in the case, in whichever of its
    conversations. What was removed at its source waits for nothing."""
    asked: dict[str, int] = {}
    answers: dict[str, int] = {}
    gone: set[str] = set()
    for event in timeline:
        name = event.mention or event.id
        if event.kind in _ASKED:
            asked[name] = _when(event)
        elif event.kind is Happening.ANSWERED_THERE:
            answers[name] = _when(event)
        elif event.kind is Happening.REPLIED:
            answers[event.id] = event.at
        elif event.kind is Happening.DELETED:
            gone.add(name)
        elif event.kind is Happening.RESTORED:
            gone.discard(name)
    last = max((at for name, at in answers.items() if name not in gone), default=-1)
    return min((at for name, at in asked.items() if name not in gone and at > last), default=None)


def _when(event: CaseEvent) -> int:
    """When it was said; where the source does not tell, when we heard of it."""
    at = event.detail.get("at", "")
    return min(int(at), event.at) if at.isdecimal() else event.at
