"""The demo: delivers the samples of `events/` one after the other, and sees for itself what each came to.

Everything that it shows is read back: from the table, from the tracker over REST, from the queue that is subscribed to
the topic. What should have happened is worked out from the deliveries alone (`foresee`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import connectors
from connectors.aws.cases import mention_key
from connectors.core.case import Happening
from connectors.core.delivery import Delivery
from connectors.core.door import kept_headers, load
from connectors.core.errors import PayloadError
from connectors.core.models import Hint, RecordUpdate, Unsupported
from connectors.tool import evidence
from connectors.tool.delivering import Answered, Deliverer, Signature
from connectors.tool.deployment import DeploymentError, Source
from connectors.tool.foresee import Event, Foreseen, Foresight, Turn, posts, topics
from connectors.tool.samples import Sample, load_sample, read_script, sample_files
from connectors.tool.watcher import Watcher

if TYPE_CHECKING:
    from connectors.tool.local import RunningStack

Say = Callable[[str], None]
_PATIENCE = 60.0
"""Seconds that all waits together may take beyond what goes right at once."""
_PAUSE = 0.1
_HAPPENINGS = {
    Foreseen.OPENED: Happening.OPENED,
    Foreseen.SAID: Happening.SAID,
    Foreseen.ANSWERED_THERE: Happening.ANSWERED_THERE,
    Foreseen.EDITED: Happening.EDITED,
    Foreseen.DELETED: Happening.DELETED,
    Foreseen.RESTORED: Happening.RESTORED,
}


@dataclass(slots=True)
class Played:
    """A delivery that was made, at `sent_at` on the monotonic clock; `fault` says what it did not come to."""

    turn: Turn
    sent_at: float
    answer: Answered
    fault: str | None = None


@dataclass(slots=True)
class Replay:
    """Deliveries that must change nothing, and what they did change."""

    answers: list[Answered] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Story:
    """All that the demo did and saw."""

    played: list[Played] = field(default_factory=list)
    unsettled: list[str] = field(default_factory=list)
    """What was still missing when patience ran out."""
    repeated: Replay = field(default_factory=Replay)
    forged: Replay = field(default_factory=Replay)

    @property
    def turns(self) -> list[Turn]:
        """The deliveries of the script."""
        return [one.turn for one in self.played]


class Demo:
    """Plays the scripts of all connectors that have samples. `say` shows a line."""

    def __init__(self, stack: RunningStack, events: Path, say: Say) -> None:
        self._stack, self._events, self._say = stack, events, say
        self._sources = stack.sources()
        self._deliverers = {
            name: Deliverer(source.connector, source.url, stack.secret(name)) for name, source in self._sources.items()
        }
        self._begun = time.monotonic()
        self.watcher = Watcher(stack, lambda line: self._show("  ", line))

    def play(self) -> Story:
        """The script once; then forged and unsigned deliveries, then the whole script again, which change nothing."""
        story = Story()
        self._begun = time.monotonic()
        with self.watcher:
            for turn in self._turns:
                story.played.append(self._play(turn))
            story.unsettled = self._settle(story)
            story.forged = self._without_effect("forged and unsigned", self._forge)
            story.repeated = self._without_effect("everything once more", self._repeat)
        self.watcher.look()
        return story

    @cached_property
    def _turns(self) -> list[Turn]:
        foresight = Foresight()
        turns = []
        for script in sorted(self._events.glob("*/script.txt")):
            for file in read_script(script.parent):
                sample = load_sample(file)
                source, event = self._read(script.parent.name, sample)
                turns.append(Turn(file, sample, source, event, foresight.next(event)))
        return turns

    @cached_property
    def _stranger(self) -> Turn:
        """What is forged: a sample that the script leaves out, so that it would show if it were taken."""
        used = {turn.file for turn in self._turns}
        for connector in sorted({self._sources[turn.source].connector for turn in self._turns}):
            for file in sample_files(self._events / connector):
                if file not in used:
                    sample = load_sample(file)
                    return Turn(file, sample, *self._read(connector, sample), Foreseen.NOTHING)
        return self._turns[-1]

    def _read(self, connector: str, sample: Sample) -> tuple[str, Event]:
        """The source that a sample comes from, and its event: the one whose connector takes it for its own."""
        headers = kept_headers(load(connector) or {}, sample.headers)
        for name, source in self._sources.items():
            if source.connector == connector and (event := _parsed(source, headers, sample.body)):
                return name, event
        raise DeploymentError(f"no source of the connector {connector} takes this sample for its own")

    def _play(self, turn: Turn) -> Played:
        self.watcher.posts += [turn.post] if turn.post and turn.post not in self.watcher.posts else []
        before = self._meta(turn)
        sent_at = time.monotonic()
        answer = self._deliverers[turn.source].deliver(turn.sample)
        about = turn.post or (turn.event.event if isinstance(turn.event, Unsupported) else "")
        self._show("→ ", f"{turn.source} delivers {turn.file.stem}: {answer.status} {answer.said}")
        played = Played(turn, sent_at, answer)
        if not answer.ok:
            played.fault = f"{turn.file.name} was answered {answer.status} {answer.said}"
        elif not self._until(lambda: self._happened(turn, before)):
            played.fault = f"{turn.file.name}: it did not show that {about} {turn.foreseen}"
        case = (self._meta(turn) or {}).get("case")
        reason = f" ({turn.event.reason})" if isinstance(turn.event, Unsupported) else ""
        self._show("  ", played.fault or f"{about} {turn.foreseen}{reason}{f': {case}' if case else ''}")
        return played

    def _happened(self, turn: Turn, before: Mapping[str, Any] | None) -> bool:
        """Whether the table shows what the delivery should come to."""
        kind, now = turn.foreseen, self._meta(turn)
        if kind in {Foreseen.NOTHING, Foreseen.DUPLICATE, Foreseen.KEPT_OUT}:
            return evidence.idle(self._stack, "InboxQueueUrl") and now == before
        if now is None:
            return False
        if kind is Foreseen.TOMBSTONE:
            return "removed" in now and "case" not in now
        if kind is Foreseen.OUR_OWN:
            return "case" not in now
        if kind is Foreseen.DELETED and not (
            "removed" in now and self._stack.cases.mention(turn.post or "")[1] is None
        ):
            return False
        timeline = self._stack.cases.timeline(str(now.get("case")))
        return any(event.mention == turn.post and event.kind is _HAPPENINGS[kind] for event in timeline)

    def _meta(self, turn: Turn) -> dict[str, Any] | None:
        return self._stack.table.get(*mention_key(turn.post)) if turn.post else None

    def _settle(self, story: Story) -> list[str]:
        """Wait until every post is noted, every case told of, every effect final and every queue empty."""
        missing: list[str] = []

        def settled() -> bool:
            missing[:] = self._missing(story)
            return not missing

        return [] if self._until(settled) else missing

    def _missing(self, story: Story) -> list[str]:
        found = [f"no note brings {post}" for post in posts(story.turns) if post not in self.watcher.noted]
        cases = self._stack.cases.newest(1000)
        conversations = {case.conversation for case in cases}
        found += [f"no case for {one}" for one in topics(story.turns) if one not in conversations]
        found += [f"nobody was told of {case.id}" for case in cases if not self.watcher.heard.get(case.id)]
        if not found:
            effects = [effect for case in cases for effect in self._stack.cases.effects(case.id)]
            found = [f"{effect.id} is {effect.state}" for effect in effects if not effect.state.final]
        if not found and not evidence.idle(self._stack, "InboxQueueUrl", "SyncQueueUrl", "NotifyQueueUrl"):
            found = ["messages are still in the queues"]
        return found

    def _without_effect(self, name: str, deliver: Callable[[], list[Answered]]) -> Replay:
        self.watcher.look()
        before, tickets = evidence.items(self._stack), self.watcher.tickets
        heard = sum(map(len, self.watcher.heard.values()))
        answers = deliver()
        self._until(lambda: evidence.idle(self._stack, "InboxQueueUrl", "SyncQueueUrl", "NotifyQueueUrl"))
        self.watcher.look()
        changed = evidence.changed(before, evidence.items(self._stack))
        changed += ["the tracker"] if self.watcher.tickets != tickets else []
        changed += ["what people were told"] if sum(map(len, self.watcher.heard.values())) != heard else []
        answered = ", ".join(sorted({str(answer.status) for answer in answers}))
        did = f"changed {', '.join(changed)}" if changed else "nothing changed"
        self._show("→ ", f"{name}: {len(answers)} deliveries, answered {answered}; {did}")
        return Replay(answers, changed)

    def _forge(self) -> list[Answered]:
        turn = self._stranger
        deliverer = self._deliverers[turn.source]
        return [deliverer.deliver(turn.sample, kind) for kind in (Signature.WRONG, Signature.NONE)]

    def _repeat(self) -> list[Answered]:
        return [self._deliverers[turn.source].deliver(turn.sample) for turn in self._turns]

    def _until(self, condition: Callable[[], bool]) -> bool:
        """Wait for a condition; all waits share one store of patience."""
        until = max(self._begun + _PATIENCE, time.monotonic() + 1.0)
        while not condition():
            if time.monotonic() > until:
                return False
            time.sleep(_PAUSE)
        return True

    def _show(self, mark: str, line: str) -> None:
        self._say(f"{time.monotonic() - self._begun:6.1f} s  {mark}{line}")


def _parsed(source: Source, headers: Mapping[str, str], body: bytes) -> Event | None:
    kind = connectors.source(source.connector)
    receiver = kind(kind.settings_model.model_validate(dict(source.settings)))  # type: ignore[call-arg]
    try:
        (event,) = receiver.parse(Delivery(headers=headers, body=body))
    except PayloadError:
        return None
    return None if isinstance(event, RecordUpdate | Hint) else event
