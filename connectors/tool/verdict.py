"""What the demo's story proves: a row for each post, and checks that each say what was looked at."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from connectors.core.models import Mention
from connectors.tool import evidence
from connectors.tool.evidence import mentions
from connectors.tool.foresee import Foreseen, Turn, posts, topics, words

if TYPE_CHECKING:
    from connectors.tool.demo import Demo, Story
    from connectors.tool.local import RunningStack
    from connectors.tool.story import Step


@dataclass(frozen=True, slots=True)
class Row:
    """A post's way: `seconds_to_ticket` from its delivery until its note was seen, `seconds_to_people` until the
    listener heard of its case; None where a post is a further one of a case that people know of."""

    post: str
    sample: str
    case: str
    ticket: str | None
    ticket_url: str | None
    topic: str | None
    seconds_to_ticket: float | None
    seconds_to_people: float | None


@dataclass(frozen=True, slots=True)
class Check:
    """Something that must hold."""

    name: str
    ok: bool
    detail: str


class Verdict:
    """Reads everything once, at the end."""

    def __init__(self, stack: RunningStack, demo: Demo, story: Story) -> None:
        self._stack, self._story, self._watcher = stack, story, demo.watcher
        self._tickets = {ticket.id: ticket for ticket in self._watcher.tickets}
        self._cases = {case.id: case for case in stack.cases.newest(1000)}
        items = evidence.items(stack)
        self._kept = {"the table": evidence.table_text(items), "the bucket": evidence.bucket_text(stack)}
        self._logs = {"the logs": evidence.log_text(stack)}
        self._outside = {
            "the tracker": "\n".join(
                text for ticket in self._tickets.values() for text in (ticket.title, *ticket.notes.values())
            ),
            "what people were told": "\n".join(
                str(one.message) for heard in self._watcher.heard.values() for _, one in heard
            ),
        }

    def rows(self) -> list[Row]:
        """One row for each post that has a case."""
        sent: dict[str, tuple[float, Turn]] = {}
        for one in self._story.played:
            if one.turn.post:
                sent.setdefault(one.turn.post, (one.sent_at, one.turn))
        found = []
        for post in posts(self._story.turns):
            sent_at, turn = sent[post]
            case = self._cases.get(self._case_of(post) or "")
            heard = self._watcher.heard.get(case.id, []) if case else []
            noted = self._watcher.noted.get(post)
            opened = turn.foreseen is Foreseen.OPENED
            found.append(
                Row(
                    post=post,
                    sample=turn.file.name,
                    case=case.id if case else "none",
                    ticket=case.record.id if case and case.record else None,
                    ticket_url=case.record.url if case and case.record else None,
                    topic=heard[0][1].topic if heard else None,
                    seconds_to_ticket=round(noted - sent_at, 2) if noted else None,
                    seconds_to_people=round(heard[0][0] - sent_at, 2) if heard and opened else None,
                )
            )
        return found

    def checks(self) -> list[Check]:
        """All of them, whether they hold or not."""
        return [
            self._steps(),
            self._settled(),
            self._one_ticket(),
            self._one_note(),
            self._told_once(),
            self._repetition(),
            self._forgery(),
            *self._absences(),
            self._silent_logs(),
            self._no_dead_letters(),
        ]

    def _case_of(self, post: str) -> str | None:
        meta = self._stack.cases.mention(post)[0]
        return str(meta["case"]) if meta and "case" in meta else None

    def _steps(self) -> Check:
        faults = [one.fault for one in self._story.played if one.fault]
        count = len(self._story.played)
        return Check("each delivery came to what it should", not faults, "; ".join(faults) or f"{count} deliveries")

    def _settled(self) -> Check:
        missing = self._story.unsettled
        return Check("all that was planned is done", not missing, "; ".join(missing) or "every effect, every queue")

    def _one_ticket(self) -> Check:
        wanted = topics(self._story.turns)
        known = {case.conversation: case.record.id for case in self._cases.values() if case.record}
        right = known.keys() == wanted and sorted(known.values()) == sorted(self._tickets)
        detail = f"{len(wanted)} topics, {len(self._cases)} cases, {len(self._tickets)} tickets in the tracker"
        return Check("exactly one ticket per topic", right and len(self._cases) == len(wanted), detail)

    def _one_note(self) -> Check:
        wrong = []
        wanted = posts(self._story.turns)
        for post in wanted:
            case = self._cases.get(self._case_of(post) or "")
            mine = case.record.id if case and case.record else None
            notes = [
                (ticket.id, note)
                for ticket in self._tickets.values()
                for note, text in ticket.notes.items()
                if mentions(text, post)
            ]
            if len(notes) != 1 or notes[0][0] != mine:
                wrong.append(f"{post} stands in {len(notes)} notes")
        return Check("each post in exactly one note, on its own ticket", not wrong, "; ".join(wrong) or _many(wanted))

    def _told_once(self) -> Check:
        counts = {case: len(self._watcher.heard.get(case, [])) for case in self._cases}
        wrong = [f"{case}: {count} times" for case, count in counts.items() if count != 1]
        strange = [case for case in self._watcher.heard if case not in self._cases]
        detail = "; ".join([*wrong, *strange]) or f"{len(counts)} notifications for {len(counts)} cases"
        return Check("people told of each case once", not wrong and not strange, detail)

    def _repetition(self) -> Check:
        replay = self._story.repeated
        right = bool(replay.answers) and all(answer.ok for answer in replay.answers) and not replay.changed
        detail = f"changed: {', '.join(replay.changed)}" if replay.changed else f"{len(replay.answers)} repeated"
        return Check("duplicates changed nothing", right, detail)

    def _forgery(self) -> Check:
        replay = self._story.forged
        statuses = [answer.status for answer in replay.answers]
        right = bool(statuses) and set(statuses) == {401} and not replay.changed
        detail = f"answered {', '.join(map(str, statuses))}" + (f"; changed {replay.changed}" if replay.changed else "")
        return Check("forged and unsigned deliveries refused, and changed nothing", right, detail)

    def _absences(self) -> list[Check]:
        """What should not be found, and where it was looked for. What a ticket was told stays in the ticket."""
        everywhere = self._kept | self._logs | self._outside
        kinds = {Foreseen.DELETED: [], Foreseen.KEPT_OUT: [], Foreseen.NOTHING: []}  # type: dict[Foreseen, list[str]]
        deleted = {turn.post for turn in self._story.turns if turn.foreseen is Foreseen.DELETED}
        said = _said_in_public(self._story.turns)
        for turn in self._story.turns:
            if turn.post in deleted and turn.foreseen in {Foreseen.SAID, Foreseen.OPENED, Foreseen.ANSWERED_THERE}:
                kinds[Foreseen.DELETED] += words(turn)
            elif turn.foreseen is Foreseen.KEPT_OUT:
                kinds[Foreseen.KEPT_OUT] += words(turn)
            elif _private(turn):
                kinds[Foreseen.NOTHING] += [piece for piece in words(turn) if piece not in said]
        return [
            _absent("a deletion purged the words here", kinds[Foreseen.DELETED], self._kept | self._logs),
            _absent("a post removed before it came stayed out", kinds[Foreseen.KEPT_OUT], everywhere),
            _absent("a private message left no trace", kinds[Foreseen.NOTHING], everywhere),
        ]

    def _silent_logs(self) -> Check:
        every = [piece for turn in self._story.turns if turn.post for piece in words(turn)]
        values = [self._stack.secret(name) for name in self._stack.sources()]
        check = _absent("no customer's words and no secret in a log", every + values, self._logs)
        lines = self._logs["the logs"].count("\n")
        return Check(check.name, check.ok and lines > 0, f"{check.detail} ({lines} lines)")

    def _no_dead_letters(self) -> Check:
        dead = self._stack.dead_letters()
        said = ", ".join(f"{count} in {name}" for name, count in dead.items())
        return Check("no dead letters", not dead, said or "all queues looked at")


def as_document(rows: list[Row], checks: list[Check], steps: list[Step], seconds: float) -> dict[str, Any]:
    """What `--json` writes."""
    return {
        "ok": all([*(check.ok for check in checks), *(step.ok for step in steps)]),
        "seconds": round(seconds, 1),
        "posts": [asdict(row) for row in rows],
        "checks": [asdict(check) for check in checks],
        "story": [asdict(step) for step in steps],
    }


def _private(turn: Turn) -> bool:
    """A delivery that was set aside and whose content is not ours to keep."""
    return getattr(turn.event, "keep_raw", True) is False


def _said_in_public(turns: Iterable[Turn]) -> str:
    """What posts say: a like and a topic's event repeat it, and are set aside all the same."""
    events = [turn.event for turn in turns if isinstance(turn.event, Mention)]
    return "\n".join(f"{event.title or ''}\n{event.text}" for event in events)


def _absent(name: str, pieces: list[str], places: dict[str, str]) -> Check:
    if not pieces:
        return Check(name, False, "the script has no such delivery")
    found = evidence.found_in(pieces, places)
    if not found:
        return Check(name, True, f"looked in {', '.join(places)}")
    first = next((piece for piece in pieces if evidence.found_in([piece], places)), "")
    return Check(name, False, f"found in {', '.join(found)}: {first!r}")


def _many(found: list[str]) -> str:
    return f"{len(found)} posts"
