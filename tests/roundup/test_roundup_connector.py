"""The promises of a system of record, kept against a Roundup that really runs: once, whatever breaks in between."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from connectors.core.errors import (
    MisconfiguredError,
    RejectedError,
    SpentPermitError,
    UnavailableError,
    UnknownOutcomeError,
)
from connectors.core.ports import CaseDraft, NoteDraft, RecordSystem, Reference
from connectors.http import HttpClient
from connectors.roundup import payloads
from connectors.roundup.connector import Roundup
from connectors.roundup.payloads import TITLE_LENGTH
from connectors.tool import roundup
from tests.roundup.tracker import PASSWORD, LossyProxy, connect_to


def items(system: Roundup, name: str, key: str) -> list[str]:
    return system._ids(name, key)  # type: ignore[arg-type]


def shown(system: Roundup, name: str, number: str) -> dict[str, object]:
    return system._data(system._call("GET", f"rest/data/{name}/{number}?@verbose=3"))["attributes"]


def notes_of(system: Roundup, reference: Reference) -> list[str]:
    number = reference.id.removeprefix("issue")
    listed = system._data(system._call("GET", f"rest/data/issue/{number}?@fields=messages&@verbose=0"))
    return [f"msg{one}" for one in listed["attributes"]["messages"]]


@pytest.fixture
def key(draft: CaseDraft) -> str:
    return f"key-{draft.case}"


def test_it_is_a_system_of_record(system: Roundup) -> None:
    port: RecordSystem = system
    assert (port.tier, port.settle) == ("key", 0)


def test_a_case_becomes_one_issue_however_often_it_is_written(system, draft, key):
    assert system.find(key) is None
    permit = system.reserve("record")
    references = [system.upsert(draft, key, permit) for _ in range(3)]
    references += [system.upsert(draft, key, None), system.find(key)]
    assert len(set(references)) == 1
    assert references[0].url.endswith("/tracker/" + references[0].id)
    [number] = items(system, "issue", key)
    issue = shown(system, "issue", number)
    assert (issue["title"], issue["conversation_url"]) == ("Parcel lost", "https://forum.acme.example/t/7")
    assert issue["messages"] == []


def test_the_address_opens_the_issue_with_a_link_to_the_conversation(system, draft, key):
    reference = system.upsert(draft, key, None)
    page = HttpClient(allow_private=True).request("GET", reference.url).body.decode()
    assert "Parcel lost" in page
    assert 'href="https://forum.acme.example/t/7"' in page


def test_a_note_is_on_the_issue_once(system, draft, key):
    reference = system.upsert(draft, key, None)
    assert system.find_note(reference, key) is None
    permit = system.reserve("note")
    ids = [system.add_note(reference, NoteDraft("Where is it?"), key, permit) for _ in range(3)]
    ids += [system.add_note(reference, NoteDraft("Where is it?"), key, None), system.find_note(reference, key)]
    assert len(set(ids)) == 1
    assert notes_of(system, reference) == [ids[0]]
    assert shown(system, "msg", ids[0].removeprefix("msg"))["author"]["username"] == "hailback"


@pytest.mark.parametrize("kind", ["record", "note"])
def test_an_answer_lost_after_the_commit_is_found_not_repeated(system, lossy, proxy: LossyProxy, draft, key, kind):
    reference = system.upsert(draft, f"{key}-1", None)
    permit = lossy.reserve(kind)
    proxy.lose = lambda request: request.startswith(b"POST") and b"/@poe/" in request.split(b"\r\n")[0]
    if kind == "record":
        with pytest.raises(UnknownOutcomeError):
            lossy.upsert(draft, key, permit)
    else:
        with pytest.raises(UnknownOutcomeError):
            lossy.add_note(reference, NoteDraft("Hello"), key, permit)
    assert proxy.lost == 1
    if kind == "record":
        found = system.find(key)
        assert found is not None
        assert found == system.upsert(draft, key, permit)
        assert len(items(system, "issue", key)) == 1
    else:
        found = lossy.find_note(reference, key)
        assert found == system.add_note(reference, NoteDraft("Hello"), key, permit)
        assert notes_of(system, reference) == [found]


@pytest.mark.parametrize("method", [b"GET", b"PATCH"])
def test_a_note_that_broke_off_before_its_issue_is_adopted(system, lossy, proxy: LossyProxy, draft, key, method):
    reference = system.upsert(draft, f"{key}-1", None)
    permit = system.reserve("note")
    proxy.lose = lambda request: request.startswith(method) and b"/issue/" in request.split(b"\r\n")[0]
    with pytest.raises(UnknownOutcomeError):
        lossy.add_note(reference, NoteDraft("Hello"), key, permit)
    assert len(items(system, "msg", key)) == 1
    assert (notes_of(system, reference) == []) is (method == b"GET")
    before = notes_of(system, reference)
    assert len(system.noted(reference, [key])) == len(before)
    assert notes_of(system, reference) == before, "whoever only looks leaves it as it is"
    found = system.find_note(reference, key)
    assert notes_of(system, reference) == [found]
    assert system.noted(reference, [key, "hailback-another"]) == {key}
    assert len(items(system, "msg", key)) == 1


def test_workers_with_the_same_permit_write_one_issue(system, draft, key):
    permit = system.reserve("record")
    with ThreadPoolExecutor(6) as pool:
        references = list(pool.map(lambda _: system.upsert(draft, key, permit), range(6)))
    assert len(set(references)) == 1
    assert len(items(system, "issue", key)) == 1


@pytest.mark.parametrize("shared", [True, False])
def test_workers_with_the_same_key_write_one_note(system, draft, key, shared):
    reference = system.upsert(draft, key, None)
    permits = [system.reserve("note")] * 6 if shared else [system.reserve("note") for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        added = list(pool.map(lambda permit: system.add_note(reference, NoteDraft("Hello"), key, permit), permits))
    assert len(set(added)) == 1
    assert notes_of(system, reference) == [added[0]]
    assert len(items(system, "msg", key)) == 1


def test_workers_with_permits_of_their_own_write_one_issue(system, draft, key):
    """Two leases at once should not happen; if they do, the tracker's unique index decides."""
    permits = [system.reserve("record") for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        references = list(pool.map(lambda permit: system.upsert(draft, key, permit), permits))
    assert len(set(references)) == 1
    assert len(items(system, "issue", key)) == 1


def test_workers_adding_notes_to_one_issue_lose_none(system, draft, key):
    reference = system.upsert(draft, key, None)
    with ThreadPoolExecutor(6) as pool:
        added = list(pool.map(lambda n: system.add_note(reference, NoteDraft(f"{n}"), f"{key}-{n}", None), range(12)))
        found = list(pool.map(lambda n: system.find_note(reference, f"{key}-{n}"), range(12)))
    assert added == found
    assert sorted(notes_of(system, reference)) == sorted(set(added))
    assert len(set(added)) == 12


def test_twins_of_one_key_are_settled_where_the_tracker_lets_them_in(system, draft, key, monkeypatch):
    """A tracker without the unique index: the lower id stays, ours is retired."""
    first = system.upsert(draft, key, None)
    second = system.upsert(draft, f"{key}-2", None)
    numbers = [reference.id.removeprefix("issue") for reference in (first, second)]
    monkeypatch.setattr(Roundup, "_ids", lambda *_: numbers)
    assert system._settle_twins("issue", key, numbers[1]) == numbers[0]
    monkeypatch.undo()
    assert system.find(key) == first
    assert system.find(f"{key}-2") is None


def test_a_spent_permit_without_a_record_wants_another(system, draft, key):
    permit = system.reserve("record")
    system.upsert(draft, f"{key}-1", permit)
    with pytest.raises(SpentPermitError):
        system.upsert(draft, key, permit)
    assert system.find(key) is None
    assert system.upsert(draft, key, system.reserve("record")) == system.find(key)


def test_a_permit_of_the_other_kind_is_not_used(system, draft, key):
    permit = system.reserve("note")
    with pytest.raises(MisconfiguredError):
        system.upsert(draft, key, permit)
    assert system.find(key) is None


def test_state_survives_a_killed_tracker(python: Path, tmp_path, draft, key):
    first = roundup.start(python, tmp_path / "home", 0, PASSWORD)
    port = int(first.base_url.split(":")[2].split("/")[0])
    try:
        system = connect_to(first.base_url)
        reference = system.upsert(draft, key, None)
        note = system.add_note(reference, NoteDraft("Hello"), key, None)
        permit = system.reserve("record")
    finally:
        first.kill()
    with pytest.raises(UnavailableError):
        system.find(key)
    with pytest.raises(UnavailableError):
        system.upsert(draft, f"{key}-2", permit)
    again = roundup.start(python, tmp_path / "home", port, PASSWORD)
    try:
        assert again.base_url == first.base_url
        assert system.find(key) == reference
        assert notes_of(system, reference) == [note]
        assert system.upsert(draft, f"{key}-2", permit) == system.find(f"{key}-2")
    finally:
        again.stop()
    assert again.process.returncode == 0


def test_text_arrives_as_written(system, draft, key):
    odd = CaseDraft(**{**_plain(draft), "title": "  Two\r\nlines\x00 and \ud83d\ude00 😀 " + "x" * 500})
    reference = system.upsert(odd, key, None)
    title = str(shown(system, "issue", reference.id.removeprefix("issue"))["title"])
    assert title.startswith("Two lines and ")
    assert "😀" in title
    assert len(title) == TITLE_LENGTH
    text = " \n  Grüße 😀\r\n\r\n  <b>&amp;\x00\x1b[0m\n> quoted\n-- \nsig " + "long line " * 100_000
    note = system.add_note(reference, NoteDraft(text), key, None)
    kept = str(shown(system, "msg", note.removeprefix("msg"))["content"])
    assert kept == ("Grüße 😀\n\n  <b>&amp;[0m\n> quoted\n-- \nsig " + "long line " * 100_000).strip()


def test_empty_texts_are_taken(system, draft, key):
    reference = system.upsert(CaseDraft(**{**_plain(draft), "title": " \n", "url": None}), key, None)
    assert shown(system, "issue", reference.id.removeprefix("issue"))["title"] == "(no title)"
    assert system.add_note(reference, NoteDraft(""), key, None) == system.find_note(reference, key)


def test_a_key_is_matched_exactly(system, draft, key):
    system.upsert(draft, key, None)
    for other in (key[:-1], key + "x", key.upper(), f"{key},{key}", "", "%", "-1", f"{key}&x=1"):
        assert system.find(other) is None


def test_priority_and_status_are_set_by_name(running, draft, key):
    system = connect_to(running.base_url, Priority="urgent", Status="in-progress")
    number = system.upsert(draft, key, None).id.removeprefix("issue")
    issue = shown(system, "issue", number)
    assert (issue["priority"]["name"], issue["status"]["name"]) == ("urgent", "in-progress")
    with pytest.raises(MisconfiguredError, match="Priority"):
        connect_to(running.base_url, Priority="enormous").upsert(draft, f"{key}-2", None)
    with pytest.raises(MisconfiguredError, match="Status"):
        connect_to(running.base_url, Status="nowhere").upsert(draft, f"{key}-3", None)


def test_the_plans_priority_is_set_where_the_tracker_has_it(running, draft, key):
    system = connect_to(running.base_url, Priority="bug")
    for number, (priority, shows) in enumerate({"urgent": "urgent", "low": "bug"}.items()):
        said = CaseDraft(**{**_plain(draft), "labels": ("nowhere",), "priority": priority})
        issue = shown(system, "issue", system.upsert(said, f"{key}-{number}", None).id.removeprefix("issue"))
        assert (issue["priority"]["name"], issue["keyword"]) == (shows, [])


def test_a_note_for_an_issue_that_people_retired_is_rejected(system, admin, draft, key):
    reference = system.upsert(draft, key, None)
    path = f"rest/data/issue/{reference.id.removeprefix('issue')}"
    tag = admin._data(admin._call("GET", path))["@etag"]
    admin._call("DELETE", path, headers={"If-Match": tag})
    with pytest.raises(RejectedError, match="retired"):
        system.add_note(reference, NoteDraft("Hello"), key, None)
    assert system.find(key) is None
    with pytest.raises(RejectedError):
        system.add_note(Reference("issue999999", "x"), NoteDraft("Hello"), f"{key}-2", None)


@pytest.mark.parametrize(("username", "password"), [("hailback", "wrong-word"), ("nobody", "wrong-word")])
def test_bad_credentials_are_the_configurations_fault(running, username, password):
    with pytest.raises(MisconfiguredError) as raised:
        connect_to(running.base_url, password, username).find("x")
    assert "wrong-word" not in str(raised.value)


def test_repeated_bad_logins_are_told_to_wait(running):
    system = connect_to(running.base_url, "wrong-word", "stranger")
    for _ in range(8):
        try:
            system.find("x")
        except MisconfiguredError:
            continue
        except UnavailableError:
            return
    pytest.fail("the tracker never limited the log-ins")


def test_an_account_that_may_not_write(running, admin, draft, key):
    admin._call("POST", "rest/data/user", json={"username": key, "password": "pw", "roles": "Anonymous"})
    with pytest.raises(MisconfiguredError):
        connect_to(running.base_url, "pw", key).upsert(draft, key, None)


def test_an_origin_that_the_tracker_does_not_know(running, draft, key):
    system = connect_to(running.base_url.replace("127.0.0.1", "localhost"))
    with pytest.raises(MisconfiguredError, match="BaseUrl"):
        system.upsert(draft, key, None)


def test_a_base_url_that_is_no_tracker(running):
    with pytest.raises(MisconfiguredError, match="BaseUrl"):
        connect_to(running.base_url + "elsewhere/").find("x")


def test_a_schema_without_our_properties_is_named(system, admin, draft, key, monkeypatch):
    with pytest.raises(MisconfiguredError, match=r"external_id.*README"):
        admin._ids("keyword", key)  # a class that has no such property
    monkeypatch.setattr(payloads, "issue", lambda *_: {"title": "x", "customer_key": key})
    with pytest.raises(MisconfiguredError, match="customer_key"):
        system.upsert(draft, key, None)


def test_a_tracker_without_rest_and_one_that_limits_calls(python: Path, tmp_path, draft, key):
    home = tmp_path / "home"
    roundup.start(python, home, 0, PASSWORD).stop()
    with reconfigured(python, home, "enable_rest", "no") as tracker:
        with pytest.raises(MisconfiguredError, match="enable_rest"):
            connect_to(tracker.base_url).find(key)
        with pytest.raises((MisconfiguredError, UnknownOutcomeError)):
            connect_to(tracker.base_url).upsert(draft, key, "rest/data/issue/@poe/made-up")
    with (
        reconfigured(python, home, "enable_rest", "yes"),
        reconfigured(python, home, "api_calls_per_interval", "3") as tracker,
    ):
        system = connect_to(tracker.base_url)
        permit = system.reserve("record")
        with pytest.raises(UnavailableError) as raised:
            [system.find(key) for _ in range(9)]
        assert 0 < (raised.value.retry_after or 0) <= 3600
        with pytest.raises(UnavailableError):
            system.upsert(draft, key, permit)


@contextmanager
def reconfigured(python: Path, home: Path, option: str, value: str) -> Iterator[roundup.RunningRoundup]:
    config = home / "config.ini"
    config.write_text(re.sub(rf"(?m)^#?{option} =.*$", f"{option} = {value}", config.read_text()))
    tracker = roundup.start(python, home, 0, PASSWORD)
    yield tracker
    tracker.stop()


def _plain(draft: CaseDraft) -> dict[str, str | None]:
    return {name: getattr(draft, name) for name in ("case", "title", "opened_at", "conversation", "url", "author")}
