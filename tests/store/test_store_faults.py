"""Contention, throttling, lost answers and limits, which no local AWS shows: injected between us and the table."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any
from uuid import uuid4

import boto3
import pytest
from botocore.exceptions import BotoCoreError, ClientError
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from moto import mock_aws

from connectors.core.errors import ConflictError
from connectors.core.identity import case_id
from connectors.core.ingest import Taken
from connectors.core.models import Deletion, Mention
from tests.doubles import MemoryBlobs
from tests.faults import Dice, Fault, FaultyClient, Killed
from tests.posts import gone, said
from tests.store.shop import CASE, Rung, Shop
from tests.store.test_store_intake import WORDS, anywhere, noise
from tests.template import table_request

Event = Mention | Deletion
WRITE = "transact_write_items"
UNSHRUNK = (Phase.explicit, Phase.reuse, Phase.generate)  # a failing story is short enough, and moto is slow


@pytest.fixture
def open_shop(aws_environment: None) -> Iterator[Callable[..., Shop]]:
    """Stores over new tables on moto, behind a client that fails as told."""
    with mock_aws():
        client: Any = boto3.client("dynamodb")

        def make(*rules: Fault, dice: Dice | None = None) -> Shop:
            name = f"t-{uuid4().hex}"
            client.create_table(**table_request(name))
            return Shop(FaultyClient(client, rules, dice=dice), name, blobs=MemoryBlobs())

        yield make


@pytest.mark.parametrize(
    "rule",
    [
        Fault(WRITE, 1, "TransactionCanceledException", ["None", "TransactionConflict"]),
        Fault(WRITE, 1, "TransactionCanceledException", ["ThrottlingError"]),
        Fault(WRITE, 1, "TransactionCanceledException", ["ProvisionedThroughputExceeded"]),
        Fault(WRITE, 1, "TransactionInProgressException"),
        Fault(WRITE, 1, "ProvisionedThroughputExceededException"),
        Fault(WRITE, 1, "InternalServerError"),
        Fault("get_item", 1, "ThrottlingException"),
    ],
    ids=lambda rule: f"{rule.operation} {rule.code} {' '.join(rule.reasons)}",
)
def test_what_dynamodb_did_not_carry_out_is_tried_again_at_once(open_shop: Callable[..., Shop], rule: Fault) -> None:
    assert open_shop(rule).take_in(said()) is Taken.OPENED


def test_a_conflict_beside_a_lost_condition_is_read_again(open_shop: Callable[..., Shop]) -> None:
    shop = open_shop(Fault(WRITE, 1, "TransactionCanceledException", ["TransactionConflict", "ConditionalCheckFailed"]))
    assert shop.take_in(said()) is Taken.OPENED


def test_a_fault_that_does_not_pass_is_raised_and_the_delivery_comes_again(open_shop: Callable[..., Shop]) -> None:
    shop = open_shop(Fault(WRITE, 0, "ProvisionedThroughputExceededException"))
    with pytest.raises(ClientError):
        shop.take_in(said())
    assert shop.rows() == []


def test_a_post_that_is_committed_though_the_answer_was_lost_is_there_once(open_shop: Callable[..., Shop]) -> None:
    shop = open_shop(Fault(WRITE, 1, "InternalServerError", after=True))
    assert shop.take_in(said()) in {Taken.OPENED, Taken.DUPLICATE}
    assert shop.happened() == ["opened"]


def test_effects_planned_though_the_answer_was_lost_are_planned_once(open_shop: Callable[..., Shop]) -> None:
    shop = open_shop(Fault(WRITE, 2, "InternalServerError", after=True))
    shop.take_in(said())
    shop.dispatch()
    assert len(shop.cases.effects(CASE)) == 3
    assert shop.dispatch() == 0


def test_an_opening_race_is_lost_gracefully(open_shop: Callable[..., Shop]) -> None:
    rule = Fault(WRITE, 1, before=lambda: shop.take_in(said(1)))
    shop = open_shop(rule)
    assert shop.take_in(said(2)) is Taken.SAID
    assert shop.happened() == ["opened", "said"]


def test_an_edit_that_meets_a_removal_puts_no_words_back(open_shop: Callable[..., Shop]) -> None:
    rule = Fault(WRITE, 2, before=lambda: shop.take_in(gone(order=9)))
    shop = open_shop(rule)
    shop.take_in(said())
    assert shop.take_in(said(version=2, text=noise(400_000))) is Taken.REMOVED
    assert shop.blobs.kept == {}
    assert shop.words(said().id) is None


def test_a_twin_of_a_long_post_does_not_take_its_words_away(open_shop: Callable[..., Shop]) -> None:
    long = said(text=noise(400_000))
    rule = Fault(WRITE, 1, before=lambda: shop.take_in(long))
    shop = open_shop(rule)
    assert shop.take_in(long) is Taken.DUPLICATE
    assert shop.words(long.id) == long.text


def test_a_removal_that_broke_off_is_finished_when_it_is_told_again(open_shop: Callable[..., Shop]) -> None:
    shop = open_shop()
    for version in range(1, 94):
        shop.take_in(said(version=version, text=f"{WORDS} {version}"))
    shop.take_in(said(version=100, text=noise(400_000)))
    shop.blobs.failing["delete"] = 1
    with pytest.raises(OSError, match="bucket"):
        shop.take_in(gone(order=200))
    assert shop.words(said().id) is None, "nobody reads them any more"
    assert shop.take_in(gone(order=200)) is Taken.DUPLICATE
    assert shop.blobs.kept == {}
    assert anywhere(shop, WORDS) == []


def test_a_post_brought_back_while_its_removal_is_finished_keeps_its_words(open_shop: Callable[..., Shop]) -> None:
    shop = open_shop()
    shop.take_in(said(text=noise(400_000)))
    back = said(restored=True, order=9, text="back again")
    shop.client.rules = [Fault(WRITE, 3, before=lambda: shop.take_in(back))]
    shop.take_in(gone(order=5))
    assert shop.words(back.id) == "back again"
    assert shop.blobs.kept == {}


def test_reading_a_hundred_and_more_effects_goes_in_batches(open_shop: Callable[..., Shop]) -> None:
    shop = open_shop()
    keys = [(f"CASE#{number}", "META") for number in range(250)]
    assert shop.table.get_many(keys) == []
    assert shop.client.calls["batch_get_item"] == 3


def test_a_plain_write_that_dynamodb_throttles_for_long_is_given_up_in_time(open_shop: Callable[..., Shop]) -> None:
    shop = open_shop(Fault("get_item", 0, "ThrottlingException"))
    with pytest.raises(ClientError):
        shop.take_in(said())
    assert shop.client.calls["get_item"] == 8


@st.composite
def stories(draw: st.DrawFn) -> tuple[list[Event], dict[str, str | None]]:
    """What happened to a few posts of one topic, in the forum's order, and what must be left of each."""
    events: list[Event] = []
    left: dict[str, str | None] = {}
    order = 0
    for post in range(1, draw(st.integers(1, 4)) + 1):
        version, text = 1, f"post {post}"
        order += 1
        events.append(said(post, text=text, order=order))
        for number in range(draw(st.integers(0, 3))):
            order += 1
            version += draw(st.integers(0, 1))
            text = f"post {post} edit {number}"
            events.append(said(post, version=version, text=text, order=order))
        left[said(post).id] = text
        for _ in range(draw(st.integers(0, 2))):
            order += 1
            events.append(gone(post, order=order))
            left[said(post).id] = None
            if draw(st.booleans()):
                order += 1
                events.append(said(post, version=version, text=text, order=order, restored=True))
                left[said(post).id] = text
    return events, left


def deliver(shop: Shop, event: Event) -> None:
    """As the queue does: again until it is taken. A worker that is killed is a delivery that comes again."""
    for _ in range(60):
        with suppress(ClientError, BotoCoreError, ConflictError, Killed):
            shop.take_in(event)
            return
    raise AssertionError("never taken")


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck), phases=UNSHRUNK)
@given(stories(), st.randoms(use_true_random=False), st.integers(0, 10_000))
def test_any_order_of_deliveries_and_faults_ends_in_the_same_table(
    open_shop: Callable[..., Shop], story: tuple[list[Event], dict[str, str | None]], shuffle: random.Random, seed: int
) -> None:
    events, left = story
    shop = open_shop(dice=Dice(seed, rate=0.25, deaths=0.05))
    twice = events * 2
    shuffle.shuffle(twice)
    for event in twice:
        deliver(shop, event)
    shop.client.dice = None
    assert {mention: shop.words(mention) for mention in left} == left
    rows = shop.rows()
    identities = [row["pk"] for row in rows if row["pk"].startswith("MENTION#") and row["sk"] == "META"]
    assert sorted(identities) == sorted(f"MENTION#{mention}" for mention in left), "every post once"
    assert len([row for row in rows if row.get("type") == "case"]) <= 1
    timeline = shop.timeline()
    assert max(Counter((event.mention, event.kind, event.version) for event in timeline).values(), default=1) == 1
    first = Counter(event.mention for event in timeline if event.kind in {"opened", "said"})
    assert all(first[mention] == 1 for mention, text in left.items() if text is not None)
    assert set(first.values()) <= {1}
    assert shop.happened().count("opened") == (1 if timeline else 0)
    assert all(event.due_at for event in timeline), "none is forgotten before it is dispatched"
    for mention in [mention for mention, text in left.items() if text is None]:
        assert not [row for row in rows if row["pk"] == f"MENTION#{mention}" and {"body", "raw"} & row.keys()]


@settings(max_examples=7, deadline=None, suppress_health_check=list(HealthCheck), phases=UNSHRUNK)
@given(st.integers(1, 12), st.integers(0, 10_000), st.randoms(use_true_random=False))
def test_every_event_plans_its_effects_once_whatever_the_stream_does(
    open_shop: Callable[..., Shop], posts: int, seed: int, shuffle: random.Random
) -> None:
    """Repeated, reordered, lost and failing: the sweep makes up for it."""
    shop = open_shop()
    for post in range(1, posts + 1):
        shop.take_in(said(post))
    records = [event for event in shop.timeline() for _ in range(shuffle.randrange(0, 4))]
    shuffle.shuffle(records)
    shop.client.dice = Dice(seed, rate=0.3, deaths=0.05)
    for event in records:
        with suppress(ClientError, BotoCoreError, Killed):
            shop.dispatcher(Rung()).dispatch([event], shop.now())
    shop.client.dice = None
    later = shop.now() + 61_000
    for item in [item for item in shop.waiting(later) if item["type"] == "event"]:
        shop.dispatcher(Rung()).dispatch([e for e in shop.timeline() if e.id == item["id"]], later)
    assert all(event.due_at is None for event in shop.timeline())
    assert Counter(effect.kind.value for effect in shop.cases.effects(case_id(said().conversation))) == {
        "record": 1,
        "notify": 1,
        "note": posts,
    }
