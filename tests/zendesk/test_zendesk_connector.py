"""The promises of a system of record, kept against the stand-in: once, whatever breaks in between."""

from __future__ import annotations

import json
import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from connectors.core.errors import (
    MisconfiguredError,
    RejectedError,
    RemoteError,
    SpentPermitError,
    UnavailableError,
    UnknownOutcomeError,
)
from connectors.core.models import RecordUpdate
from connectors.core.ports import NoteDraft, RecordSystem, Reference
from connectors.tool.zendesk import ACCOUNT, AGENT
from connectors.zendesk import connector
from connectors.zendesk.connector import Zendesk
from tests.doubles import Clock
from tests.zendesk.standin import BASE_URL, CASE, TOKEN, Desk, Faults, Inside, connect

KEY = "hailback-" + "a" * 24
OTHER = "hailback-" + "b" * 24


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(connector.time, "time", lambda: clock.seconds)
    return clock


@pytest.fixture
def desk(clock: Clock) -> Desk:
    return Desk(TOKEN, BASE_URL, now=lambda: clock.seconds)


@pytest.fixture
def system(desk: Desk) -> Zendesk:
    return connect(Inside(desk))


@pytest.fixture
def agent(desk: Desk) -> Zendesk:
    """A person, who uses the same interface under another name."""
    return connect(Inside(desk), email=AGENT)


def keys_on(desk: Desk, reference: Reference) -> list[str | None]:
    return [connector.payloads.key_in(comment["body"]) for comment in desk.comments(reference.id)]


def say(agent: Zendesk, reference: Reference, text: str, public: bool = False, **fields: object) -> None:
    body = {"ticket": {"comment": {"body": text, "public": public}, **fields}}
    agent._call("PUT", f"/api/v2/tickets/{reference.id}", body=json.dumps(body).encode())


def test_it_is_a_system_of_record(system: Zendesk) -> None:
    port: RecordSystem = system
    assert (port.tier, port.settle) == ("key", 2.0)


def test_a_case_becomes_one_ticket_however_often_it_is_written(system, desk):
    assert system.find(KEY) is None
    permit = system.reserve("record")
    found = {system.upsert(CASE, KEY, permit) for _ in range(3)} | {system.upsert(CASE, KEY, None), system.find(KEY)}
    assert len(found) == 1
    [ticket] = desk.tickets()
    assert found == {Reference(str(ticket["id"]), f"{BASE_URL}/agent/tickets/{ticket['id']}")}
    assert (ticket["subject"], ticket["external_id"]) == ("Parcel lost", KEY)
    [first] = desk.comments(str(ticket["id"]))
    assert first["public"] is False
    assert "https://forum.acme.example/t/7" in first["body"]


def test_the_same_bytes_are_sent_under_the_same_key(system, desk):
    sent = []
    system._http.watch = lambda method, url, headers, body: sent.append((headers.get("Idempotency-Key"), body))
    permit = system.reserve("record")
    for _ in range(2):
        system.upsert(CASE, KEY, permit)
    assert sent[0] == sent[1]
    assert sent[0][0] == KEY


def test_a_ticket_gets_the_plans_priority_and_labels(system, desk):
    system.upsert(replace(CASE, labels=("VIP", "hailback", "churn"), priority="urgent"), KEY, None)
    [ticket] = desk.tickets()
    assert (ticket["priority"], sorted(ticket["tags"])) == ("urgent", ["churn", "hailback", "vip"])


def test_a_title_that_was_edited_since_finds_the_ticket_that_the_key_opened(system, desk):
    permit = system.reserve("record")
    first = system.upsert(CASE, KEY, permit)
    assert system.upsert(replace(CASE, title="Parcel found?"), KEY, permit) == first
    assert len(desk.tickets()) == 1


def test_a_permit_older_than_the_key_is_spent_unless_the_ticket_shows(system, desk, clock):
    permit = system.reserve("record")
    clock.advance(connector.PERMIT_LIFE + 1)
    with pytest.raises(SpentPermitError):
        system.upsert(CASE, KEY, permit)
    assert desk.tickets() == []
    first = system.upsert(CASE, KEY, system.reserve("record"))
    clock.advance(3 * connector.KEY_LIFE)
    assert system.upsert(CASE, KEY, permit) == first
    assert len(desk.tickets()) == 1


def test_a_permit_of_another_system_is_not_used(system, desk):
    with pytest.raises(MisconfiguredError):
        system.upsert(CASE, KEY, "rest/data/issue/@poe/abc")
    assert desk.tickets() == []


@pytest.mark.parametrize("fault", ["drop", "timeout", "500 after commit"])
def test_an_answer_lost_after_the_commit_is_found_not_repeated(system, desk, fault):
    permit = system.reserve("record")
    desk.faults = Faults(script=[fault])
    with pytest.raises(UnknownOutcomeError):
        system.upsert(CASE, KEY, permit)
    reference = system.find(KEY)
    assert reference == system.upsert(CASE, KEY, permit)
    assert len(desk.tickets()) == 1
    desk.faults = Faults(script=[fault], methods=("PUT",))
    with pytest.raises(UnknownOutcomeError):
        system.add_note(reference, NoteDraft("Hello"), OTHER, None)
    assert system.find_note(reference, OTHER) == system.add_note(reference, NoteDraft("Hello"), OTHER, None)
    assert keys_on(desk, reference) == [KEY, OTHER]


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("lost", UnknownOutcomeError),
        ("409", UnknownOutcomeError),
        ("412", UnavailableError),
        ("429", UnavailableError),
        ("500", UnknownOutcomeError),
        ("503", UnknownOutcomeError),
    ],
)
def test_what_an_answer_means_for_a_new_ticket(system, desk, fault, error):
    desk.faults = Faults(script=[fault])
    with pytest.raises(error) as raised:
        system.upsert(CASE, KEY, system.reserve("record"))
    assert type(raised.value) is error
    assert desk.tickets() == []
    if fault == "429":
        assert raised.value.retry_after == 1


def test_copies_of_a_key_are_all_found_and_the_oldest_counts(system, desk, agent):
    first = system.upsert(CASE, KEY, None)
    fields = {"external_id": KEY, "comment": {"body": "a copy"}}
    agent._call("POST", "/api/v2/tickets", body=connector.payloads.packed({"ticket": fields}))
    assert [found.id for found in system.find_all(KEY)] == [str(ticket["id"]) for ticket in desk.tickets()]
    assert system.find(KEY) == system.find_all(KEY)[0] == first
    system._call("DELETE", f"/api/v2/tickets/{first.id}")
    assert len(system.find_all(KEY)) == 1
    assert system.find_all(OTHER) == []


def test_workers_with_the_same_key_open_one_ticket(system, desk):
    desk.latency = 0.05
    permit = system.reserve("record")

    def write(_: int) -> Reference | type[RemoteError]:
        try:
            return system.upsert(CASE, KEY, permit)
        except UnknownOutcomeError as error:
            return type(error)

    with ThreadPoolExecutor(6) as pool:
        found = set(pool.map(write, range(6)))
    assert len(desk.tickets()) == 1
    assert found - {UnknownOutcomeError} == {system.find(KEY)}


def test_a_note_is_on_the_ticket_once_and_inside(system, desk):
    reference = system.upsert(CASE, KEY, None)
    assert system.find_note(reference, OTHER) is None
    assert system.reserve("note") is None
    ids = {system.add_note(reference, NoteDraft("Where is it?"), OTHER, None) for _ in range(3)}
    assert ids == {system.find_note(reference, OTHER)}
    [_, note] = desk.comments(reference.id)
    assert (str(note["id"]), note["public"]) == (ids.pop(), False)
    assert note["body"] == f"Where is it?\n\nHailback key: {OTHER}"


def test_a_note_is_found_on_a_later_page(system, desk, agent):
    reference = system.upsert(CASE, KEY, None)
    written = system.add_note(reference, NoteDraft("the first"), OTHER, None)
    for number in range(230):
        say(agent, reference, f"{number}")
    assert system.find_note(reference, OTHER) == written
    assert system.find_note(reference, "hailback-" + "c" * 24) is None


def test_a_page_at_another_origin_is_not_followed(system, desk):
    reference = system.upsert(CASE, KEY, None)
    desk.base_url = "https://evil.example"
    for number in range(101):
        system._update(reference, connector.payloads.packed({"ticket": {"comment": {"body": f"{number}"}}}))
    with pytest.raises(RejectedError, match="another origin"):
        system.find_note(reference, OTHER)


def test_a_quoted_key_is_not_the_note(system, desk, agent):
    reference = system.upsert(CASE, KEY, None)
    say(agent, reference, f"> Hailback key: {OTHER}\nand then Hailback key: {OTHER}?")
    assert system.find_note(reference, OTHER) is None


def test_a_ticket_that_changes_meanwhile_is_read_again(system, desk, agent, clock):
    reference = system.upsert(CASE, KEY, None)
    seen = []

    def interfere(method: str, url: str, *_: object) -> None:
        if "comments" in url and len(seen) < 2:  # after the stamp was read, before the note is sent
            clock.advance(1)
            seen.append(url)
            say(agent, reference, "me too")

    system._http.watch = interfere
    system.add_note(reference, NoteDraft("Hello"), OTHER, None)
    assert [key for key in keys_on(desk, reference) if key] == [KEY, OTHER]
    assert len(seen) == 2


def test_a_twin_that_wrote_first_is_seen(system, desk, clock):
    """Two workers with one key: the second one's stamp is old, so it reads again and finds the note."""
    reference = system.upsert(CASE, KEY, None)
    twin, done = connect(Inside(desk)), []

    def let_twin_in(method: str, *_: object) -> None:
        if method == "PUT" and not done:
            clock.advance(1)
            done.append(twin.add_note(reference, NoteDraft("Hello"), OTHER, None))

    system._http.watch = let_twin_in
    assert system.add_note(reference, NoteDraft("Hello"), OTHER, None) == done[0]
    assert keys_on(desk, reference).count(OTHER) == 1


def test_a_ticket_that_never_rests_is_left_for_later(system, desk):
    reference = system.upsert(CASE, KEY, None)
    desk.faults = Faults(rates={"409": 1.0}, methods=("PUT",))
    with pytest.raises(UnavailableError):
        system.add_note(reference, NoteDraft("Hello"), OTHER, None)
    with pytest.raises(UnavailableError):
        system.set_status(reference, "pending")


def test_status_is_set_once_and_solving_takes_an_assignee(system, desk):
    reference = system.upsert(CASE, KEY, None)
    desk.requests.clear()
    system.set_status(reference, "open")  # a new ticket is open
    assert desk.requests == [("GET", f"tickets/{reference.id}")]
    for status in ("pending", "solved", "solved", "open"):
        system.set_status(reference, status)
        assert desk.tickets()[0]["status"] == status
    assert desk.tickets()[0]["assignee_id"] == int(ACCOUNT)
    assert len([request for request in desk.requests if request[0] == "PUT"]) == 3


def test_a_closed_ticket_takes_nothing_more(system, desk, agent):
    reference = system.upsert(CASE, KEY, None)
    say(agent, reference, "over", status="closed", assignee_id=900002)
    system.set_status(reference, "solved")
    for write in (
        lambda: system.set_status(reference, "open"),
        lambda: system.add_note(reference, NoteDraft("Hello"), OTHER, None),
    ):
        with pytest.raises(RejectedError):
            write()


def test_a_deleted_ticket_is_not_found_and_refuses_notes(system, desk):
    reference = system.upsert(CASE, KEY, None)
    system._call("DELETE", f"/api/v2/tickets/{reference.id}")
    assert system.find(KEY) is None
    with pytest.raises(RejectedError):
        system.add_note(reference, NoteDraft("Hello"), OTHER, None)


def test_wrong_credentials_and_wrong_addresses_are_for_the_administrator(desk):
    with pytest.raises(MisconfiguredError):
        connect(Inside(desk), token="wrong").find(KEY)
    with pytest.raises(MisconfiguredError):
        connect(Inside(desk))._call("GET", "/api/v2/nowhere", ours={404})


def test_a_reference_of_another_system_is_refused(system):
    with pytest.raises(RejectedError):
        system.add_note(Reference("issue7", ""), NoteDraft("x"), OTHER, None)


def _through(step, tries: int = 60):
    """What the ledger does: repeat what was refused, and look before repeating what is unknown."""
    write, look_up = step
    unknown = False
    for _ in range(tries):
        try:
            if unknown and (found := look_up()):
                return found
            return write()
        except UnavailableError:
            continue
        except UnknownOutcomeError:
            unknown = True
    raise AssertionError("it never got through")


@pytest.mark.parametrize("seed", range(4))
def test_no_duplicates_in_a_storm(desk, clock, seed, monkeypatch):
    """500 cases a seed, each with two notes and two statuses; two requests in five go wrong, time goes on, and now and
    then a worker that has forgotten everything repeats all of it."""
    monkeypatch.setattr(connector.time, "sleep", lambda _: None)
    kinds = ("drop", "timeout", "lost", "409", "412", "429", "500", "503", "500 after commit")
    desk.faults = Faults(rates=dict.fromkeys(kinds, 0.4 / len(kinds)), seed=seed)
    system, dice = connect(Inside(desk)), random.Random(seed)
    for number in range(500):
        key, notes = f"hailback-case{_letters(number)}", [f"hailback-note{_letters(number)}{end}" for end in "ab"]
        permit = system.reserve("record")
        for _ in range(1 + (dice.random() < 0.2)):
            title = f"Parcel {number}" + (" (edited)" if dice.random() < 0.1 else "")
            draft = replace(CASE, title=title)
            try:
                steps = (lambda: system.upsert(draft, key, permit), lambda: system.find(key))  # noqa: B023
                reference = _through(steps)
            except AssertionError:
                clock.advance(connector.KEY_LIFE)  # a body that was refused under its key waits until that is forgotten
                permit = system.reserve("record")
                reference = _through((lambda: system.upsert(draft, key, permit), lambda: system.find(key)))  # noqa: B023
            for note in notes:
                _through(
                    (
                        lambda: system.add_note(reference, NoteDraft("Hello"), note, None),  # noqa: B023
                        lambda: system.find_note(reference, note),  # noqa: B023
                    )
                )
            for status in ("pending", "solved"):
                _through((lambda: system.set_status(reference, status) or True, lambda: None))  # noqa: B023
            clock.advance(dice.choice([0, 1, 60, 5000]))
    keys = [ticket["external_id"] for ticket in desk.tickets()]
    assert len(keys) == len(set(keys)) == 500
    for ticket in desk.tickets():
        assert ticket["status"] == "solved"
        found = [connector.payloads.key_in(comment["body"]) for comment in desk.comments(str(ticket["id"]))]
        assert len(found) == len(set(found)) == 3


def _letters(number: int) -> str:
    return "".join("abcdefghij"[int(digit)] for digit in f"{number:05}")


def test_what_people_did_comes_by_poll_and_what_we_did_is_marked(system, agent, desk, clock):
    first = system.poll(None)
    assert first.events == ()
    reference = system.upsert(CASE, KEY, None)
    note = system.add_note(reference, NoteDraft("Where is it?"), OTHER, None)
    clock.advance(5)
    say(agent, reference, "I look into it")
    say(agent, reference, "It is on its way.", public=True, status="solved", assignee_id=900002)
    agent._call("POST", "/api/v2/tickets", body=b'{"ticket":{"comment":{"body":"another matter"}}}')
    clock.advance(120)
    page = system.poll(first.cursor)
    found = [(event.kind, event.own, event.text, event.status) for event in page.events]
    assert found[1:] == [
        ("note", True, f"Where is it?\n\nHailback key: {OTHER}", None),
        ("note", False, "I look into it", None),
        ("reply", False, "It is on its way.", None),
        ("status", False, "", "solved"),
    ]
    assert found[0][:2] == ("note", True)
    assert {(event.connector, event.authority, event.reference) for event in page.events} == {
        ("zendesk", "acme.zendesk.example", reference.id)
    }
    assert page.events[1].native_id == note
    assert {event.id for event in system.poll(page.cursor).events} <= {event.id for event in page.events}
    clock.advance(1000)
    assert system.poll(system.poll(page.cursor).cursor).events == []  # it does not come for ever


def test_a_long_export_is_taken_page_by_page(system, agent, desk, clock):
    desk.setting("export_size", 10)
    start = system.poll(None).cursor
    reference = system.upsert(CASE, KEY, None)
    for number in range(95):
        clock.advance(1)
        say(agent, reference, f"{number}")
    clock.advance(300)
    page, seen = system.poll(start), []
    for _ in range(40):
        seen += [event.text for event in page.events if isinstance(event, RecordUpdate) and not event.own]
        if page.again > 10:
            break
        page = system.poll(page.cursor)
    assert set(seen) == {f"{number}" for number in range(95)}
