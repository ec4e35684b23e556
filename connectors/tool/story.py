"""The story: what happens when things break, acted out on this machine and read back from where it must show.

The tracker is stopped and the stand-by takes the next case; an agent answers there and the customer reads it; the
tracker returns and learns all of it; a topic's region is cut off; somebody forges a delivery. Nothing is taken on
trust: tickets are read over the servers' own interfaces, the thread from the forum, notifications from the queue that
is subscribed to the topics. A step that does not come true ends the story, and the rest counts as not reached.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from connectors.core.case import Case, CaseEvent, Happening, record_id
from connectors.core.identity import case_id, qualify
from connectors.core.reconcile import record_key
from connectors.tool.checkup import Checkup
from connectors.tool.delivering import Deliverer, Signature
from connectors.tool.evidence import mentions
from connectors.tool.samples import Sample
from connectors.tool.tickets import TrackerError

if TYPE_CHECKING:
    from connectors.tool.local import Notification, RunningStack

Say = Callable[[str], None]
QUESTION = "Since the update my radiators stay cold. The app says that all is well, but it is 14 degrees in here."
ANSWER = "We are sorry. Please hold the reset button for ten seconds; if it stays cold, a technician comes today."
NOTE = "Third case with batch 7 since noon; I have told the workshop."
SECOND = "Is anybody there? My bill shows two heating systems, and I have one."
FORGED = "Refund 5,000 to this customer at once."
_PATIENCE = 45.0
_SLACK = 12.0
"""Seconds beyond FailOverAfter that the stand-by's ticket may take on a busy machine."""
_PAUSE = 0.2
_MINUTE = 2.0
"""How often the sweep runs here that runs each minute on AWS: a story is not to be waited for."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that came true or did not. `at` and `seconds`, in seconds: since the story began; how long it took."""

    name: str
    ok: bool
    at: float
    seconds: float
    detail: str


class StuckError(Exception):
    """A step did not come true in time; one sentence."""


class Tale:
    """Acts it out once. `say` shows a line."""

    def __init__(self, stack: RunningStack, say: Say) -> None:
        self._stack, self._say = stack, say
        self.steps: list[Step] = []
        self._begun = time.monotonic()
        self._heard: list[Notification] = []

    @property
    def _chapters(self) -> list[tuple[str, Callable[[], str]]]:
        return [
            ("the tracker is stopped; a customer asks", self._ask),
            ("the stand-by takes the case", self._taken),
            ("hailback doctor says what is wrong", self._diagnosed),
            ("an agent answers, notes and waits there; the case has it all", self._answered),
            ("the customer reads the answer in the thread, once", self._read),
            ("the tracker returns; its ticket has the question, the answer and the note", self._returned),
            ("the records are linked, the stand-by's is closed", self._linked),
            ("the first topic's region is cut off; the stand-by region tells people", self._cut),
            ("a forged delivery is refused, and changes nothing", self._forged),
            ("each conversation has one live record, and nothing is left to do", self._settled),
        ]

    def play(self) -> list[Step]:
        """All of it; the steps as they came out."""
        self._begun = time.monotonic()
        chapters = self._chapters
        with sweeping(self._stack):
            for number, (name, act) in enumerate(chapters):
                if not self._step(name, act):
                    missed = [Step(later, False, 0.0, 0.0, "not reached") for later, _ in chapters[number + 1 :]]
                    self.steps += missed
                    break
        return self.steps

    def _step(self, name: str, act: Callable[[], str]) -> bool:
        begun = time.monotonic()
        self._show(f"→ {name}")
        try:
            detail, ok = act(), True
        except StuckError as stuck:
            detail, ok = str(stuck), False
        except Exception as error:  # noqa: BLE001 - whatever breaks a step is what its line has to say
            detail, ok = f"{type(error).__name__}: {error}", False
        took = time.monotonic() - begun
        self._show(f"  {'✓' if ok else '✗'} {detail} ({took:.1f} s)")
        self.steps.append(Step(name, ok, round(begun - self._begun, 1), round(took, 1), detail))
        return ok

    # ---- the chapters; each returns what was seen, or raises StuckError

    def _ask(self) -> str:
        self._stack.tracker.kill()
        _must(not self._stack.tracker.alive(), "the tracker still runs")
        self._post = self._stack.forum.say("erika", QUESTION, title="Cold since the update")
        self._topic = int(self._post["topic_id"])
        case = self._until(lambda: self._case(self._topic), "no case was opened")
        self._id = case.id
        return f"{case.id}, from {self._stack.forum.page(self._topic)}"

    def _taken(self) -> str:
        ticket = self._until(self._ticket, "the stand-by has no ticket for the case")
        self._number = str(ticket["id"])
        self._until(
            lambda: any(mentions(comment["body"], self._post_id) for comment in self._comments()),
            "the stand-by's ticket does not bring the question",
        )
        over = self._until(lambda: self._event(Happening.FAILED_OVER), "the timeline does not say that it failed over")
        case = self._case(self._topic)
        first = next(one for one in self._stack.cases.effects(self._id) if one.id == record_id(case.systems[0]))
        waited = (over.at - (first.first_refused_at or over.at)) / 1000
        limit = case.fail_over_after
        _must(waited <= limit + _SLACK, f"it took {waited:.1f} s, and FailOverAfter is {limit:.0f} s")
        return f"{self._url}, {waited:.1f} s after the first refusal; FailOverAfter is {limit:.0f} s"

    def _diagnosed(self) -> str:
        found = Checkup(self._stack).document()
        held = [one["case"] for one in found["failed_over"]]
        _must(self._id in held, "it does not show that the case failed over")
        waits = [one for one in found["effects"] if (one["target"], one["kind"]) == (self._first, "record")]
        _must(bool(waits) and bool(waits[0]["why"]), "it does not show what the tracker's ticket waits for")
        _must(not found["well"], "it says that all is well")
        return "; ".join(found["wrong"])

    def _answered(self) -> str:
        self._answered_at = time.monotonic()
        self._stack.zendesk.answer(self._number, ANSWER, status="pending")
        self._stack.zendesk.answer(self._number, NOTE, public=False)
        self._until(lambda: self._event(Happening.ANSWERED), "the answer did not come back")
        self._until(lambda: self._event(Happening.REMARKED), "the note did not come back")
        self._until(lambda: self._case(self._topic).state == "pending", "the case is not pending")
        return "by signed webhooks: the reply, the note, and that the ticket is pending"

    def _read(self) -> str:
        found = self._until(self._replies, "the thread has no answer")
        seconds = time.monotonic() - self._answered_at
        _must(len(found) == 1, f"the thread has it {len(found)} times")
        return f"{self._stack.forum.page(self._topic)}, {seconds:.1f} s after the agent wrote it"

    def _returned(self) -> str:
        self._stack.tracker.restart()
        wanted = (self._post_id, ANSWER, NOTE)

        def whole() -> Any:
            ticket = self._primary()
            text = "\n".join(ticket.notes.values()) if ticket else ""
            return ticket if ticket and all(piece in text for piece in wanted) else None

        ticket = self._until(whole, "the tracker's ticket lacks some of it", also=self._lacking)
        twice = [piece for piece in wanted if sum(piece in text for text in ticket.notes.values()) > 1]
        _must(not twice, f"it stands twice on {ticket.id}")
        return f"{ticket.url}, {len(ticket.notes)} notes"

    def _linked(self) -> str:
        here = self._primary()
        _must(here is not None, "the tracker's ticket is gone")
        self._until(lambda: self._status in {"solved", "closed"}, "the stand-by's is not closed")
        self._until(
            lambda: any(here.url in comment["body"] for comment in self._comments()), "it does not name the tracker's"
        )
        self._until(
            lambda: any(self._url in text for text in (self._primary() or here).notes.values()),
            "the tracker's ticket does not name the stand-by's",
        )
        case = self._case(self._topic)
        _must(case.record is not None and case.record.id == here.id, "the case does not name the tracker's as live")
        return f"{here.id} is live; ticket {self._number} is {self._status}"

    def _cut(self) -> str:
        first, standby = self._stack.region, self._stack.standby_topic
        self._stack.cut_off(first)
        said_at = time.monotonic()
        try:
            post = self._stack.forum.say("jonas", SECOND, title="Two heating systems")
            self._second = int(post["topic_id"])
            name = case_id(self._conversation(self._second))
            self._until(lambda: self._told(name), "nobody was told")
            seconds = time.monotonic() - said_at
        finally:
            self._stack.restore(first)
        topics = sorted({one.topic for one in self._told(name)})
        _must(topics == [standby], f"told by {', '.join(topics)}")
        return f"{standby.rsplit(':', 1)[1]} in {standby.split(':')[3]} told people {seconds:.1f} s after the post"

    def _forged(self) -> str:
        url = self._stack.system_webhook("Zendesk")
        kept = self._stack.cases.timeline(self._id)
        before = [event.id for event in kept]
        sample = Sample(json.dumps(_comment(self._number, FORGED)).encode(), {"content-type": "application/json"})
        forger = Deliverer("zendesk", url, "")
        statuses = [forger.deliver(sample, kind).status for kind in (Signature.WRONG, Signature.NONE)]
        _must(set(statuses) == {401}, f"answered {statuses}")
        time.sleep(1.0)  # it would have been taken in by now
        after = [event.id for event in self._stack.cases.timeline(self._id)]
        _must(after == before, "the timeline changed")
        _must(all(FORGED not in post["raw"] for post in self._stack.forum.posts()), "it reached the customer")
        return f"answered {' and '.join(map(str, statuses))}"

    def _settled(self) -> str:
        wrong: list[str] = []

        def well() -> bool:
            wrong[:] = Checkup(self._stack).document()["wrong"]
            return not wrong

        self._until(well, "hailback doctor says", also=lambda: "; ".join(wrong))
        for topic in (self._topic, self._second):
            case = self._case(topic)
            keys = [ticket.key for ticket in self._stack.tickets.all()]
            count = keys.count(record_key(case.id, case.systems[0]))
            _must(count == 1, f"the tracker has {count} tickets of {case.id}")
            _must(case.record is not None and case.record.system == case.systems[0], f"{case.id} has no live record")
        _must(len(self._replies()) == 1, "the answer went out again")
        return "hailback doctor: all well"

    # ---- what there is to see

    def _conversation(self, topic: int) -> str:
        return qualify("discourse", urlsplit(self._stack.forum.base_url).netloc, str(topic))

    @property
    def _post_id(self) -> str:
        return qualify("discourse", urlsplit(self._stack.forum.base_url).netloc, str(self._post["id"]))

    @property
    def _url(self) -> str:
        """Where the stand-by's ledger line says that its ticket is."""
        effects = self._stack.cases.effects(self._id)
        lines = [one for one in effects if one.id == record_id(self._standby)]
        return (lines[0].url if lines else None) or f"ticket {self._number}"

    @property
    def _first(self) -> str:
        return self._case(self._topic).systems[0]

    @property
    def _standby(self) -> str:
        return self._case(self._topic).systems[1]

    def _case(self, topic: int) -> Case:
        """The case of a thread; falsy things do not leave here, so None is cast away by `_until`."""
        return self._stack.cases.case(case_id(self._conversation(topic)))  # type: ignore[return-value]

    def _event(self, kind: Happening) -> CaseEvent | None:
        return next((event for event in self._stack.cases.timeline(self._id) if event.kind is kind), None)

    def _ticket(self) -> dict[str, Any] | None:
        """The stand-by's ticket for the case; there must be one at most."""
        case = self._case(self._topic)
        if len(case.systems) < 2:
            return None
        key = record_key(self._id, case.systems[1])
        found = [one for one in self._stack.zendesk.state()["tickets"] if one.get("external_id") == key]
        _must(len(found) <= 1, f"the stand-by has {len(found)} tickets of one case")
        return found[0] if found else None

    @property
    def _status(self) -> str | None:
        ticket = self._ticket()
        return str(ticket["status"]) if ticket else None

    def _comments(self) -> list[dict[str, Any]]:
        ticket = self._ticket()
        return list(ticket["comments"]) if ticket else []

    def _primary(self) -> Any:
        key = record_key(self._id, self._case(self._topic).systems[0])
        try:
            return next((one for one in self._stack.tickets.all() if one.key == key), None)
        except TrackerError:
            return None

    def _lacking(self) -> str:
        ticket = self._primary()
        if ticket is None:
            return "there is no ticket yet"
        text = "\n".join(ticket.notes.values())
        pieces = {"the question": self._post_id, "the answer": ANSWER, "the note": NOTE}
        return ", ".join(name for name, piece in pieces.items() if piece not in text)

    def _replies(self) -> list[dict[str, Any]]:
        ours = self._stack.forum.credentials["api_username"]
        return [one for one in self._stack.forum.posts(self._topic) if one["username"] == ours and ANSWER in one["raw"]]

    def _told(self, case: str) -> list[Notification]:
        self._heard += self._stack.notifications()
        return [one for one in self._heard if str(one.message.get("case")) == case]

    def _until(self, look: Callable[[], Any], otherwise: str, also: Callable[[], str] | None = None) -> Any:
        """What `look` finds, once it finds something. Raises StuckError."""
        until = time.monotonic() + _PATIENCE
        while not (found := look()):
            if time.monotonic() > until:
                raise StuckError(f"{otherwise} after {_PATIENCE:.0f} s" + (f": {also()}" if also else ""))
            time.sleep(_PAUSE)
        return found

    def _show(self, line: str) -> None:
        self._say(f"{time.monotonic() - self._begun:6.1f} s  {line}")


@contextmanager
def sweeping(stack: RunningStack, every: float = _MINUTE) -> Iterator[None]:
    """wake_due looks again and again, as if minutes were seconds. On AWS a rule calls it each minute."""
    from botocore.exceptions import BotoCoreError, ClientError

    from connectors.tool.deployment import DeploymentError

    ended = threading.Event()

    def sweep() -> None:
        while not ended.wait(every):
            with suppress(DeploymentError, ClientError, BotoCoreError):
                stack.invoke("wake_due", {})

    thread = threading.Thread(target=sweep, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _must(holds: bool, otherwise: str) -> None:
    if not holds:
        raise StuckError(otherwise)


def _comment(ticket: str, text: str) -> dict[str, Any]:
    """A webhook as Zendesk sends it: somebody wrote a public comment."""
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    author = {"id": "900002", "is_staff": True, "name": "Mia"}
    comment = {"author": author, "body": text, "id": "99999", "is_public": True}
    return {
        "account_id": 12345,
        "detail": {"actor_id": "900002", "id": ticket, "is_public": True, "status": "OPEN", "updated_at": now},
        "event": {"comment": comment},
        "id": "00000000-0000-0000-0000-000000000000",
        "subject": f"zen:ticket:{ticket}",
        "time": now,
        "type": "zen:event-type:ticket.comment_added",
        "zendesk_event_version": "2022-11-06",
    }
