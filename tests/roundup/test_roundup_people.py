"""What people do in a Roundup that really runs comes back, and what we decide arrives there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from connectors.core.errors import MisconfiguredError, RejectedError
from connectors.core.ports import CaseDraft, NoteDraft, Poller, Reference
from connectors.roundup import updates
from connectors.roundup.connector import Roundup
from connectors.roundup.settings import RoundupSystem
from tests.roundup.tracker import connect_to


@pytest.fixture
def key(draft: CaseDraft) -> str:
    return f"hailback-{draft.case}"


@pytest.fixture
def reference(system: Roundup, draft: CaseDraft, key: str) -> Reference:
    return system.upsert(draft, key, None)


def cursor(seconds: float = 0) -> str:
    return updates.stamp(datetime.now(UTC) + timedelta(seconds=seconds))


def say(person: Roundup, reference: Reference, text: str) -> str:
    fields = {"content": text, "author": person._username, "date": "."}
    message = str(person._data(person._call("POST", "rest/data/msg", json=fields))["id"])
    person._attach(reference, message)
    return f"msg{message}"


def move(person: Roundup, reference: Reference, status: str) -> None:
    person._edit(reference, "@fields=status&@verbose=2", lambda _: {"status": status}, "status")


def status(system: Roundup, reference: Reference) -> str:
    shown = system._data(system._call("GET", f"rest/data/issue/{reference.id[5:]}?@fields=status&@verbose=2"))
    return updates.status_name(shown["attributes"])


def seen(system: Roundup, reference: Reference) -> list[tuple[str, str, str | None, bool]]:
    events = system.poll(cursor()).events
    return [(e.kind, e.text, e.status, e.own) for e in events if e.reference == reference.id]


def test_it_can_be_asked(system):
    poller: Poller = system
    first = poller.poll(None)
    assert first.events == ()
    assert updates.moment(first.cursor) is not None


def test_status_is_set_once_and_by_meaning(system, admin, reference):
    assert status(system, reference) == "unread"
    system.set_status(reference, "open")
    assert status(system, reference) == "unread"  # it means the same
    for wanted, name in (("pending", "need-eg"), ("solved", "resolved"), ("open", "chatting"), ("solved", "resolved")):
        system.set_status(reference, wanted)
        system.set_status(reference, wanted)
        assert status(system, reference) == name
    move(admin, reference, "done-cbb")
    system.set_status(reference, "solved")
    assert status(system, reference) == "done-cbb"


def test_a_status_that_the_tracker_does_not_have_is_for_the_administrator(running, reference):
    system = connect_to(running.base_url, StatusSolved="finished")
    with pytest.raises(MisconfiguredError, match="Status"):
        system.set_status(reference, "solved")


def test_a_retired_issue_takes_no_status(system, reference):
    path = f"rest/data/issue/{reference.id[5:]}"
    tag = str(system._data(system._call("GET", path))["@etag"])
    system._call("DELETE", path, headers={"If-Match": tag})
    with pytest.raises(RejectedError):
        system.set_status(reference, "solved")


def test_what_people_wrote_comes_and_what_we_wrote_does_not(system, admin, reference, key):
    system.add_note(reference, NoteDraft("ours"), f"{key}-note", None)
    note = say(admin, reference, "Same error as in January.\nI ask the workshop.")
    answer = say(admin, reference, "Reply: Hello Ann,\n\nplease restart it.")
    events = [event for event in system.poll(cursor()).events if event.reference == reference.id]
    said = [event for event in events if event.kind != "status"]
    assert [(event.kind, event.native_id, event.text, event.own) for event in said] == [
        ("note", note, "Same error as in January.\nI ask the workshop.", False),
        ("reply", answer, "Hello Ann,\n\nplease restart it.", False),
    ]
    assert {(event.author.handle, event.url) for event in said} == {("admin", reference.url)}
    assert said[0].id == f"roundup:{system._settings.authority}:{reference.id}/{note}"


def test_another_prefix_may_be_agreed_on(running, admin, reference):
    say(admin, reference, "reply: no")
    say(admin, reference, "@customer yes")
    system = connect_to(running.base_url, ReplyPrefix="@customer")
    said = [one for one in seen(system, reference) if one[0] != "status"]
    assert said == [("note", "reply: no", None, False), ("reply", "yes", None, False)]


def test_a_change_of_status_comes_with_who_made_it(system, admin, reference):
    move(admin, reference, "resolved")
    assert seen(system, reference) == [("status", "", "solved", False)]
    system.set_status(reference, "pending")
    assert seen(system, reference) == [("status", "", "pending", True)]


def test_our_note_reopens_nothing(system, admin, reference, key):
    """The classic template makes a resolved issue chatty when a message comes with no status beside it."""
    move(admin, reference, "resolved")
    system.add_note(reference, NoteDraft("ours"), f"{key}-note", None)
    assert status(system, reference) == "resolved"
    assert seen(system, reference) == [("status", "", "solved", False)]


def test_issues_that_are_not_ours_are_not_read(system, admin):
    made = admin._data(admin._call("POST", "rest/data/issue", json={"title": "a private matter"}))["id"]
    other = Reference(f"issue{made}", "")
    say(admin, other, "nobody's business")
    move(admin, other, "resolved")
    assert seen(system, other) == []


def test_windows_overlap_and_ids_stay_the_same(system, admin, reference):
    say(admin, reference, "once")
    move(admin, reference, "resolved")
    first, second = ({event.id for event in system.poll(cursor(-offset)).events} for offset in (1, 60))
    assert first == second
    assert len(first) >= 2


def test_what_is_long_ago_is_caught_up_with_hour_by_hour(system, admin, reference):
    say(admin, reference, "late")
    at, found, steps = cursor(-3 * 3600), [], 0
    while True:
        page = system.poll(at)
        at, steps = page.cursor, steps + 1
        found += [event.text for event in page.events if event.reference == reference.id and event.kind == "note"]
        if page.again > 10:
            break
    assert steps == 4
    assert set(found) == {"late"}


def test_settings_of_statuses():
    settings = RoundupSystem(
        BaseUrl="https://t.example/support/", StatusPending=["waiting", "later"], StatusSolved="done"
    )
    assert [updates.status_of(settings, name) for name in ("waiting", "later", "done", "resolved")] == [
        "pending",
        "pending",
        "solved",
        "open",
    ]
    assert settings.authority == "t.example/support"
    assert RoundupSystem.model_validate(settings.model_dump(mode="json", by_alias=True)) == settings
    with pytest.raises(ValueError, match="StatusSolved"):
        RoundupSystem(BaseUrl="https://t.example/", StatusSolved=[])
