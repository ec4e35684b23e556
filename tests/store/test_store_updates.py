"""What people did on records, in the table: once each, on the right case, and the case's state with it."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from connectors.aws.cases import effect_item
from connectors.aws.cursors import TableCursors, begin_action
from connectors.aws.updates import Updates, record_key, update_id
from connectors.core.case import Effect, EffectKind, EffectState
from connectors.core.errors import ConflictError
from connectors.core.ingest import Origin, Taken
from connectors.core.models import Author, Mention, RecordUpdate
from connectors.core.unanswered import waits_since
from tests.posts import ORIGIN, RAW, gone, said
from tests.store.shop import CASE, SYSTEM, Shop

TRACKER = Origin(SYSTEM, "roundup")
SEEN = {Taken.REMARKED, Taken.DUPLICATE}


def update(number: int = 1, kind: str = "note", **more: Any) -> RecordUpdate:
    fields: dict[str, Any] = {
        "connector": "roundup",
        "reference": "issue1",
        "native_id": f"msg{number}",
        "kind": kind,
        "author": Author(native_id="3", handle="ben", name="Ben Quist"),
        "text": "" if kind == "status" else "Ordered a valve.",
        "url": "https://tracker.nimbus.example/issue1",
        "at": datetime(2026, 11, 20, 11, number, tzinfo=UTC),
    }
    return RecordUpdate(**fields | more)


def recorded(shop: Shop) -> Shop:
    """A case with a record."""
    shop.take_in(said())
    pk, sk = record_key(SYSTEM, "issue1")
    shop.table.put({"pk": pk, "sk": sk, "type": "record", "case": CASE})
    return shop


def take_in(shop: Shop, event: RecordUpdate) -> Taken:
    return shop.intake.take_in(event, TRACKER, RAW)


def words(shop: Shop) -> Updates:
    return Updates(shop.table, shop.blobs, now=shop.now)


def test_a_note_is_on_the_timeline_once_and_its_words_lie_in_one_place(shop: Shop) -> None:
    recorded(shop)
    assert [take_in(shop, update()) for _ in range(3)] == [Taken.REMARKED, Taken.DUPLICATE, Taken.DUPLICATE]
    event = shop.timeline()[-1]
    assert shop.happened() == ["opened", "remarked"]
    assert event.due_at
    assert event.detail["system"] == SYSTEM
    said_there = words(shop).words(event.detail["update"])
    assert said_there is not None
    assert (said_there.author, said_there.text, said_there.system) == ("Ben Quist", "Ordered a valve.", SYSTEM)
    assert said_there.at == "2026-11-20 11:01 UTC"
    holders = [row["sk"] for row in shop.rows() if "body" in row and row["pk"].startswith("UPDATE#")]
    assert holders == ["TEXT"]


def test_a_public_reply_is_an_answer(shop: Shop) -> None:
    recorded(shop)
    assert take_in(shop, update(2, "reply")) is Taken.ANSWERED
    assert shop.happened()[-1] == "answered"


def test_what_we_wrote_ourselves_changes_nothing(shop: Shop) -> None:
    recorded(shop)
    before = shop.rows()
    assert take_in(shop, update(own=True)) is Taken.OWN
    assert sorted(map(str, shop.rows())) == sorted(map(str, before))


def test_an_update_that_is_faster_than_the_record_is_not_kept_and_is_taken_later(shop: Shop) -> None:
    shop.take_in(said())
    assert take_in(shop, update()) is Taken.UNKNOWN_RECORD
    assert not [row for row in shop.rows() if row["pk"].startswith("UPDATE#")]
    recorded(shop)
    assert take_in(shop, update()) is Taken.REMARKED


def test_two_systems_may_have_records_of_one_number(shop: Shop) -> None:
    recorded(shop)
    pk, sk = record_key("stack/Other", "issue1")
    shop.table.put({"pk": pk, "sk": sk, "type": "record", "case": CASE})
    assert take_in(shop, update()) is Taken.REMARKED
    assert shop.intake.take_in(update(), Origin("stack/Other", "roundup"), RAW) is Taken.REMARKED


def test_the_case_follows_its_record_and_is_found_by_its_state(shop: Shop) -> None:
    recorded(shop)
    assert take_in(shop, update(2, "status", status="solved")) is Taken.MOVED
    assert shop.case().state == "solved"  # type: ignore[union-attr]
    assert [case.id for case in shop.cases.newest(5, "solved")] == [CASE]
    assert shop.cases.newest(5, "open") == []
    assert take_in(shop, update(1, "status", status="pending")) is Taken.MOVED
    assert shop.case().state == "solved", "what overtook it was later"  # type: ignore[union-attr]
    assert take_in(shop, update(3, "status", status="open")) is Taken.MOVED
    assert shop.case().state == "open"  # type: ignore[union-attr]
    assert [event.detail["status"] for event in shop.timeline()[1:]] == ["solved", "pending", "open"]


def test_a_record_that_was_handed_back_does_not_close_the_case(shop: Shop) -> None:
    recorded(shop)
    shop.table.update(f"CASE#{CASE}", "META", "SET retired = :r", {":r": [SYSTEM]})
    take_in(shop, update(2, "status", status="solved"))
    assert shop.case().state == "open"  # type: ignore[union-attr]


def test_long_words_lie_in_the_bucket(shop: Shop) -> None:
    text = "".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=300_000))
    recorded(shop)
    take_in(shop, update(text=text))
    found = words(shop).words(update_id(SYSTEM, update()))
    assert found is not None
    assert found.text == text


def test_words_of_an_update_that_never_came_are_none(shop: Shop) -> None:
    assert words(shop).words("stack/Tracker:issue9/msg9") is None


def test_one_update_by_many_workers_is_one_event(shop: Shop, backend: Any) -> None:
    if not backend.simultaneous:
        pytest.skip("moto says nothing about writers at the same time")
    recorded(shop)
    results = at_once(8, lambda number: take_in(shop, update(number % 2 + 1)))
    assert set(results) <= SEEN
    assert shop.happened().count("remarked") == 2


def at_once(count: int, work: Callable[[int], Any]) -> list[Any]:
    results: list[Any] = []
    threads = [threading.Thread(target=lambda n=n: results.append(work(n))) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == count
    return results


REPLY = Effect(
    case=CASE,
    id=f"reply#{said().id}",
    kind=EffectKind.REPLY,
    target="stack/Forum",
    state=EffectState.CLAIMED,
    planned_at=1,
)


def answered(shop: Shop, **more: Any) -> Effect:
    effect = REPLY.model_copy(update=more)
    shop.take_in(said())
    shop.table.put(effect_item(effect))
    return effect


def test_the_echo_of_an_answer_is_known_by_its_key_even_before_the_receipt(shop: Shop) -> None:
    effect = answered(shop)
    echo = said(2, own=True, text="Turn the valve.", answer_key=effect.key)
    assert [shop.take_in(echo) for _ in range(2)] == [Taken.ECHO, Taken.DUPLICATE]
    assert shop.happened() == ["opened"], "the timeline says so when the answer's effect is done, and once"
    meta, _ = shop.cases.mention(echo.id)
    assert meta is not None
    assert (meta["answer"], meta["case"]) == (effect.id, CASE)


def test_an_echo_without_a_key_is_known_by_the_receipt(shop: Shop) -> None:
    answered(shop, reference="2", state=EffectState.DONE)
    assert shop.take_in(said(2, own=True)) is Taken.ECHO


def test_what_a_person_posts_from_our_account_is_no_echo(shop: Shop) -> None:
    answered(shop, state=EffectState.PARKED)
    assert shop.take_in(said(2, own=True, text="By hand.")) is Taken.ANSWERED_THERE
    assert shop.take_in(said(3, own=True, answer_key="hailback-another")) is Taken.ANSWERED_THERE
    assert shop.take_in(said(4, own=False, answer_key=REPLY.key)) is Taken.SAID
    assert shop.take_in(said(5, topic=9, own=True, answer_key=REPLY.key)) is Taken.OWN, "it opens no case"


@pytest.mark.parametrize("state", [EffectState.CLAIMED, EffectState.UNKNOWN])
def test_what_may_be_an_answer_without_its_receipt_is_not_taken_for_a_persons(shop: Shop, state: EffectState) -> None:
    """X and Facebook show a post before we are told its id, and take no key of ours."""
    effect = answered(shop, state=state)
    post = said(2, own=True, text="Turn the valve.")
    assert shop.take_in(post) is Taken.UNCLEAR
    assert shop.happened() == ["opened"]
    shop.table.put(effect_item(effect.model_copy(update={"state": EffectState.DONE, "reference": "2"})))
    assert shop.take_in(post) is Taken.ECHO
    assert shop.happened() == ["opened"]


def test_what_stays_unclear_is_in_the_end_a_persons_answer(shop: Shop) -> None:
    answered(shop, state=EffectState.UNKNOWN)
    assert shop.take_in(said(2, own=True), Origin(ORIGIN.source, ORIGIN.connector, last=True)) is Taken.ANSWERED_THERE
    assert shop.happened() == ["opened", "answered there"]


def test_a_persons_answer_at_the_source_stops_the_clock_until_somebody_asks_again(shop: Shop) -> None:
    def waits() -> int | None:
        return waits_since(shop.cases.timeline(CASE))

    shop.take_in(at(1))
    assert waits() == _minute(1)
    shop.take_in(at(4, own=True, text="Turn the valve."))
    assert waits() is None
    shop.take_in(at(3))
    assert waits() is None, "it was said before, and only heard of later"
    shop.take_in(at(5))
    shop.take_in(at(6))
    assert waits() == _minute(5)
    shop.take_in(gone(5, order=9))
    assert waits() == _minute(6)
    shop.take_in(gone(6, order=9))
    assert waits() is None
    shop.take_in(gone(4, order=9))
    assert waits() == _minute(1), "an answer that was taken back is none"
    shop.take_in(at(4, own=True, restored=True, order=10, version=2))
    assert waits() is None


def test_a_clock_that_runs_ahead_is_no_reason_to_wait_for_ever(shop: Shop) -> None:
    """Where a post carries the time of its author's own device."""
    shop.take_in(at(1, created_at=datetime(2099, 1, 1, tzinfo=UTC)))
    shop.take_in(at(2, own=True, created_at=None))
    assert waits_since(shop.cases.timeline(CASE)) is None


def at(post: int, **more: Any) -> Mention:
    """A post of so many minutes after a certain one, all before now."""
    return said(post, **{"created_at": datetime.fromtimestamp(_minute(post) / 1000, UTC), **more})


def _minute(post: int) -> int:
    return 1_794_000_000_000 + post * 60_000


def test_an_edit_of_an_answer_is_told_and_its_removal_too(shop: Shop) -> None:
    effect = answered(shop)
    shop.take_in(said(2, own=True, answer_key=effect.key))
    shop.take_in(said(2, own=True, version=2, order=5, text="Turn the other valve."))
    assert shop.happened() == ["opened", "edited"]
    meta, _ = shop.cases.mention(said(2).id)
    assert meta is not None
    assert meta["answer"] == effect.id


def begun(shop: Shop, every: int = 60) -> TableCursors:
    shop.table.transact([begin_action(shop.table, SYSTEM, every, 1_000)])
    return TableCursors(shop.table, doorbell=60.0)


def test_a_polled_place_is_due_at_once_and_ends_when_it_is_deleted(shop: Shop) -> None:
    cursors = begun(shop)
    assert [item["id"] for item in shop.waiting(1_000)] == [SYSTEM]
    cursors.end(SYSTEM)
    assert cursors.cursor(SYSTEM) is None
    assert shop.waiting(10**15) == []


def test_a_cursor_is_kept_when_its_place_is_deployed_again(shop: Shop) -> None:
    cursors = begun(shop)
    known = cursors.cursor(SYSTEM)
    assert known is not None
    held = cursors.claim(known, 1_000, 65)
    assert shop.waiting(65_000) == [], "nobody is woken while one asks"
    cursors.settle(held, replace(held, cursor="7", next_at=61_000, lease_until=0, polled_at=2_000))
    assert shop.waiting(61_000) == []
    assert len(shop.waiting(121_000)) == 1
    begun(shop, every=300)
    after = cursors.cursor(SYSTEM)
    assert after is not None
    assert (after.cursor, after.every) == ("7", 300.0)
    assert after.attempt > held.attempt, "whoever asks at this moment asked for the old deployment"


def test_of_two_workers_one_asks(shop: Shop) -> None:
    cursors = begun(shop)
    known = cursors.cursor(SYSTEM)
    assert known is not None
    cursors.claim(known, 1_000, 65)
    with pytest.raises(ConflictError):
        cursors.claim(known, 1_000, 65)


def test_an_error_is_kept_until_a_poll_succeeds(shop: Shop) -> None:
    cursors = begun(shop)
    for error in ("Unavailable: down", None):
        known = cursors.cursor(SYSTEM)
        assert known is not None
        held = cursors.claim(known, 1_000, 65)
        cursors.settle(held, replace(held, error=error, failures=1 if error else 0))
        after = cursors.cursor(SYSTEM)
        assert after is not None
        assert after.error == error
