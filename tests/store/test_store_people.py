"""One person at several sources: linked by somebody with evidence, never on a guess; one story stays one case."""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from connectors.aws.openings import Openings
from connectors.aws.people import Circle, People, PeopleError
from connectors.core.case import EffectKind
from connectors.core.identity import case_id
from connectors.core.ingest import Origin, Taken
from connectors.core.models import Author, Mention
from tests.posts import gone, said
from tests.store.conftest import Backend
from tests.store.shop import SYSTEM, Shop
from tests.store.test_store_updates import record_key, take_in, update

FORUM, LINE, TEXTS = Origin("stack/Forum", "discourse"), Origin("stack/Line", "amazon_connect"), Origin("s/T", "twilio")
NUMBER = "tel:+491701234567"
ADA = "discourse:forum.nimbus.example:55"
WHO = {"by": "arn:aws:iam::1:user/mia", "because": "She gave the order number on both."}


def called(call: str = "c1", number: str | None = NUMBER, connector: str = "amazon_connect", **more: Any) -> Mention:
    """A call. `number`: None where the caller withholds it."""
    author = Author(native_id=(number or "anonymous").removeprefix("tel:"), identity=number)
    fields: dict[str, Any] = {"connector": connector, "native_id": call, "conversation_id": call, "author": author}
    return Mention(**fields | {"text": "My heating is cold.", "reply_capability": "none", "order": 1} | more)


def case_of(shop: Shop, mention: Mention) -> str | None:
    meta, _ = shop.cases.mention(mention.id)
    return (meta or {}).get("case")


def people(shop: Shop) -> People:
    return People(shop.table, shop.now)


def solve(shop: Shop, case: str) -> None:
    pk, sk = record_key(SYSTEM, "issue1")
    shop.table.put({"pk": pk, "sk": sk, "type": "record", "case": case})
    assert take_in(shop, update(1, "status", status="solved", at=None)) is Taken.MOVED


# ---- a number is the same person wherever it calls


def test_a_second_call_joins_the_open_case_also_at_another_source(shop: Shop) -> None:
    assert shop.take_in(called("c1"), LINE) is Taken.OPENED
    assert shop.take_in(called("c2"), LINE) is Taken.SAID
    assert shop.take_in(called("sms", connector="twilio"), TEXTS) is Taken.SAID
    assert {case_of(shop, called(name)) for name in ("c1", "c2")} == {case_id("amazon_connect:c1")}
    assert [event.detail.get("joined") for event in shop.timeline(case_id("amazon_connect:c1"))] == [
        None,
        "number",
        "number",
    ]
    assert len(shop.cases.newest(9)) == 1


def test_a_call_after_the_case_was_solved_is_a_new_case(shop: Shop) -> None:
    shop.take_in(called("c1"), LINE)
    solve(shop, case_id("amazon_connect:c1"))
    assert shop.take_in(called("c2"), LINE) is Taken.OPENED
    assert shop.take_in(called("c3"), LINE) is Taken.SAID
    assert case_of(shop, called("c3")) == case_id("amazon_connect:c2")


def test_numbers_that_are_withheld_or_different_are_nobodys_friends(shop: Shop) -> None:
    for name in ("c1", "c2"):
        assert shop.take_in(called(name, None), LINE) is Taken.OPENED
    assert shop.take_in(called("c3"), LINE) is Taken.OPENED
    assert shop.take_in(called("c4", "tel:+491701234568"), LINE) is Taken.OPENED


def test_two_threads_of_one_account_stay_two_cases(shop: Shop) -> None:
    assert [shop.take_in(said(topic, topic=topic)) for topic in (7, 8)] == [Taken.OPENED] * 2
    people(shop).link(NUMBER, ADA, **WHO)
    assert shop.take_in(said(9, topic=9)) is Taken.OPENED


def test_the_same_delivery_again_changes_nothing(shop: Shop) -> None:
    shop.take_in(called("c1"), LINE)
    shop.take_in(called("c2"), LINE)
    before = shop.rows()
    assert [shop.take_in(called(name), LINE) for name in ("c1", "c2")] == [Taken.DUPLICATE] * 2
    assert shop.rows() == before


# ---- linked handles


def test_begun_on_the_phone_and_gone_on_in_public_is_one_case_and_the_answer_is_public(shop: Shop) -> None:
    people(shop).link(NUMBER, ADA, **WHO)
    shop.take_in(called(), LINE)
    case = case_id(called().conversation)
    assert shop.take_in(said(1)) is Taken.SAID
    assert case_of(shop, said(1)) == case
    shop.dispatch(case)
    pk, sk = record_key(SYSTEM, "issue1")
    shop.table.put({"pk": pk, "sk": sk, "type": "record", "case": case})
    assert take_in(shop, update(2, "reply", at=None)) is Taken.ANSWERED
    shop.dispatch(case)
    (reply,) = [effect for effect in shop.cases.effects(case) if effect.kind is EffectKind.REPLY]
    assert (reply.target, reply.mention) == ("stack/Forum", said(1).id)


def test_begun_in_public_and_gone_on_by_a_call_that_takes_no_answer_is_answered_in_public(shop: Shop) -> None:
    people(shop).link(NUMBER, ADA, **WHO)
    shop.take_in(said(1))
    assert shop.take_in(called(), LINE) is Taken.SAID
    case = case_id(said().conversation)
    assert shop.cases.asked(case, shop.now()) == said(1).id
    held = shop.case(case)
    assert held is not None
    assert (shop.cases.place(held, said(1).id), shop.cases.place(held, called().id)) == ("stack/Forum", "stack/Line")


def test_why_it_joined_is_on_the_timeline_without_number_or_words(shop: Shop) -> None:
    evidence = people(shop).link(ADA, NUMBER, **WHO)
    shop.take_in(called(), LINE)
    shop.take_in(said(1))
    event = shop.timeline(case_id(called().conversation))[-1]
    assert (event.kind, event.detail["joined"], event.detail["evidence"]) == ("said", "link", evidence.id)
    assert "tel" not in str(event.detail)
    assert "order" not in str(event.detail)
    (told,) = people(shop).because(ADA, [evidence.id])
    assert (told.because, told.by) == (WHO["because"], WHO["by"])


def test_of_several_open_cases_the_one_with_the_latest_activity_is_joined(shop: Shop) -> None:
    people(shop).link(NUMBER, ADA, **WHO)
    for topic in (7, 8):
        assert shop.take_in(said(topic, topic=topic)) is Taken.OPENED
    shop.take_in(said(70, topic=7))
    assert shop.take_in(called(), LINE) is Taken.SAID
    assert case_of(shop, called()) == case_id(said(topic=7).conversation)


def test_a_case_opened_by_somebody_else_is_not_joined_by_one_who_only_spoke_in_it(shop: Shop) -> None:
    people(shop).link(NUMBER, ADA, **WHO)
    shop.take_in(said(1, author=Author(native_id="77")))
    shop.take_in(said(2))
    assert shop.take_in(called(), LINE) is Taken.OPENED


def test_cases_that_were_open_before_the_link_are_joined_once_they_are_noted(shop: Shop) -> None:
    shop.take_in(said(1))
    people(shop).link(NUMBER, ADA, **WHO)
    found = people(shop).opened_by(ADA)
    assert found == [case_id(said().conversation)]
    people(shop).note(ADA, [case for name in found if (case := shop.case(name))])
    assert shop.take_in(called(), LINE) is Taken.SAID


def test_a_link_that_was_ended_joins_nothing_more_and_what_joined_stays(shop: Shop) -> None:
    folk = people(shop)
    folk.link(NUMBER, ADA, **WHO)
    shop.take_in(called("c1"), LINE)
    shop.take_in(said(1))
    folk.unlink(ADA, NUMBER, by="mia", because="Her brother's telephone.")
    assert shop.take_in(said(9, topic=9)) is Taken.OPENED
    assert case_of(shop, said(1)) == case_id(called().conversation)
    assert shop.take_in(said(2)) is Taken.SAID, "a mention of a known conversation is never moved"
    what = [one.what for link in folk.known(ADA).links for one in link.evidence]
    assert what == ["linked", "ended"], "it is ended, not deleted"


def test_linking_and_ending_twice_says_the_evidence_that_stands(shop: Shop) -> None:
    folk = people(shop)
    first = folk.link(NUMBER, ADA, **WHO)
    assert folk.link(ADA, NUMBER, by="ben", because="Me too.") == first
    ended = folk.unlink(NUMBER, ADA, by="ben", because="No.")
    assert folk.unlink(ADA, NUMBER, by="mia", because="No!") == ended
    again = folk.link(NUMBER, ADA, **WHO)
    assert again.id not in {first.id, ended.id}
    with pytest.raises(PeopleError, match="never linked"):
        folk.unlink(NUMBER, "x::1", by="mia", because="No.")
    with pytest.raises(PeopleError, match="same handle"):
        folk.link(NUMBER, NUMBER, **WHO)


def test_a_person_has_so_many_handles_and_no_more(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    folk = people(shop)
    for number in range(4):
        folk.link(NUMBER, f"x::{number}", **WHO)
    monkeypatch.setattr("connectors.aws.people.MOST", 5)
    with pytest.raises(PeopleError, match="more than 5 handles"):
        folk.link("x::3", "x::5", **WHO)
    shop.take_in(called("c1"), LINE)
    post = called("post", None, "x", author=Author(native_id="3"))
    assert shop.take_in(post, Origin("stack/X", "x")) is Taken.SAID
    monkeypatch.setattr("connectors.aws.people.MOST", 4)
    another = called("another", None, "x", author=Author(native_id="3"))
    assert shop.take_in(another, Origin("stack/X", "x")) is Taken.OPENED, "too many to be one person"
    (event,) = shop.timeline(case_id(another.conversation))
    assert "more than 4 handles" in event.detail["not_joined"]


def test_links_go_400_days_after_they_were_last_of_use(open_shop: Callable[..., Shop]) -> None:
    at = [1_795_000_000_000]

    def clock() -> Any:
        while True:
            at[0] += 1
            yield at[0]

    shop, day = open_shop(clock=clock()), 86_400_000
    people(shop).link(NUMBER, ADA, **WHO)
    at[0] += 390 * day
    shop.take_in(called("c1"), LINE)
    assert shop.take_in(said(1)) is Taken.SAID
    at[0] += 390 * day
    assert people(shop).circle(ADA).person.handles == (ADA, NUMBER)
    at[0] += 20 * day
    assert people(shop).circle(ADA).person.handles == (ADA,), "expired, whether or not it was removed yet"


def test_a_number_that_calls_again_when_all_of_it_has_expired_is_heard(open_shop: Callable[..., Shop]) -> None:
    """DynamoDB takes days until it removes what has expired; until then the rows stand in the way."""
    at = [1_795_000_000_000]

    def clock() -> Any:
        while True:
            at[0] += 1
            yield at[0]

    shop = open_shop(clock=clock())
    people(shop).link(NUMBER, ADA, **WHO)
    shop.take_in(called("c1"), LINE)
    solve(shop, case_id("amazon_connect:c1"))
    at[0] += 401 * 86_400_000
    assert shop.take_in(called("c2"), LINE) is Taken.OPENED
    assert shop.take_in(called("c3"), LINE) is Taken.SAID
    assert shop.take_in(said(1)) is Taken.OPENED, "the link has expired"
    people(shop).link(NUMBER, ADA, **WHO)


@pytest.mark.parametrize("change", ["solved", "ended"])
def test_what_changes_between_the_look_and_the_write_is_seen(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    people(shop).link(NUMBER, ADA, **WHO)
    shop.take_in(called(), LINE)
    looked = Openings._open_case

    def late(self: Openings, circle: Circle, handle: str) -> Any:
        found = looked(self, circle, handle)
        if found and change == "solved":
            solve(shop, found[0])
        elif found:
            people(shop).unlink(NUMBER, ADA, by="mia", because="No.")
        return found

    monkeypatch.setattr(Openings, "_open_case", late)
    assert shop.take_in(said(1)) is Taken.OPENED
    assert case_of(shop, said(1)) == case_id(said().conversation)


# ---- what is forgotten


def test_a_purge_takes_the_authors_handle_and_that_it_opened_the_case(shop: Shop) -> None:
    people(shop).link(NUMBER, ADA, **WHO)
    shop.take_in(said(1))
    shop.take_in(gone(1))
    assert people(shop).known(ADA).cases == ()
    holds = [row for row in shop.rows() if row["pk"].startswith("MENTION#") and "author_key" in row]
    assert holds == []
    assert shop.take_in(called(), LINE) is Taken.OPENED


def test_a_handle_that_is_forgotten_is_nowhere_any_more(shop: Shop) -> None:
    folk = people(shop)
    for other in (ADA, "x::1"):
        folk.link(NUMBER, other, **WHO)
    folk.link(ADA, "x::1", **WHO)
    assert folk.forget(NUMBER) == 2
    assert not [row for row in shop.rows() if NUMBER in str(row)]
    assert folk.circle(ADA).person.handles == (ADA, "x::1"), "what others are to each other stays"
    assert folk.forget(NUMBER) == 0


# ---- several at once


@pytest.fixture
def hurried(open_shop: Callable[..., Shop], backend: Backend) -> Shop:
    if not backend.simultaneous:
        pytest.skip("moto says nothing about writers at the same time")
    return open_shop()


def test_calls_of_one_number_at_the_same_moment_open_one_case(hurried: Shop) -> None:
    with ThreadPoolExecutor(6) as pool:
        taken = list(pool.map(lambda name: hurried.take_in(called(f"c{name}"), LINE), range(6)))
    assert sorted(taken) == ["opened", *["said"] * 5]


def test_a_call_and_a_post_at_the_same_moment_are_one_case(hurried: Shop) -> None:
    for turn in range(6):
        number, handle = f"tel:+4917012345{turn}0", f"discourse:forum.nimbus.example:{turn}"
        people(hurried).link(number, handle, **WHO)
        post = said(turn, topic=turn, author=Author(native_id=str(turn)))
        call = called(f"c{turn}", number)
        with ThreadPoolExecutor(2) as pool:
            taken = list(pool.map(hurried.take_in, [post, call], [FORUM, LINE]))
        assert sorted(taken) == ["opened", "said"]
        assert case_of(hurried, post) == case_of(hurried, call)


def test_two_who_link_and_one_who_ends_leave_both_sides_the_same(hurried: Shop) -> None:
    folk = people(hurried)
    folk.link(NUMBER, ADA, **WHO)

    def act(turn: int) -> None:
        one, other = (NUMBER, ADA) if turn % 2 else (ADA, NUMBER)
        (folk.unlink if turn % 3 == 0 else folk.link)(one, other, by=f"u{turn}", because="Because.")

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(act, range(6)))
    (here,), (there,) = folk.known(NUMBER).links, folk.known(ADA).links
    assert here.evidence == there.evidence
    assert [one.what for one in here.evidence] == (["linked", "ended"] * len(here.evidence))[: len(here.evidence)]


def test_whatever_is_linked_and_ended_a_person_is_what_live_links_connect(shop: Shop) -> None:
    """At random, against a model that knows edges only; a handle that nobody linked stays alone throughout."""
    chance, folk = random.Random(6), people(shop)
    handles, live = [NUMBER, ADA, *(f"x::{number}" for number in range(4))], set[frozenset[str]]()
    for _ in range(40):
        one, other = chance.sample(handles, 2)
        pair = frozenset((one, other))
        if chance.random() < 0.5:
            folk.link(one, other, **WHO)
            live.add(pair)
        elif pair in live:
            folk.unlink(one, other, by="mia", because="No.")
            live.remove(pair)
        start = chance.choice(handles)
        found = {start}
        while grown := {name for edge in live if edge & found for name in edge} - found:
            found |= grown
        assert set(folk.circle(start).person.handles) == found
    assert folk.circle("x::nobody").person.handles == ("x::nobody",)


def test_a_conversation_of_somebody_without_links_costs_one_read_more_and_writes_nothing_more(
    open_shop: Callable[..., Shop],
) -> None:
    calls: list[tuple[str, Any]] = []

    class Counting:
        def __init__(self, client: Any) -> None:
            self._client = client

        def __getattr__(self, name: str) -> Any:
            def call(**request: Any) -> Any:
                calls.append((name, request))
                return getattr(self._client, name)(**request)

            return call

    shop = open_shop(Counting)
    shop.take_in(said(1))
    asked = [name for name, request in calls if name == "query" and "HANDLE#" in str(request)]
    (written,) = [request for name, request in calls if name == "transact_write_items"]
    assert asked == ["query"]
    assert "HANDLE#" not in str(written)
    calls.clear()
    shop.take_in(said(2))
    assert "HANDLE#" not in str(calls), "nor in a conversation that is known"
