"""A customer who says something after a case was closed opens it again, in whatever order the two are heard of."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from connectors.aws.reopening import Reopening
from connectors.core.case import EffectKind
from connectors.core.ingest import Taken
from connectors.core.models import RecordUpdate
from tests.posts import gone, said
from tests.store.shop import CASE, SYSTEM, Shop
from tests.store.test_store_updates import recorded, take_in, update


def closed(shop: Shop, *, at: int | None = None, status: str = "solved", number: int = 1) -> RecordUpdate:
    """An agent's decision, at a time in milliseconds; now by default."""
    moment = datetime.fromtimestamp((shop.now() if at is None else at) / 1000, tz=UTC)
    return update(number, "status", status=status, at=moment)


def state(shop: Shop) -> str:
    case = shop.case()
    assert case is not None
    return case.state


@pytest.mark.parametrize("status", ["solved", "pending"])
def test_a_post_after_it_was_closed_opens_a_case_and_its_record(shop: Shop, status: str) -> None:
    recorded(shop)
    take_in(shop, closed(shop, status=status))
    assert state(shop) == status
    assert shop.take_in(said(2)) is Taken.SAID
    assert state(shop) == "open"
    shop.dispatch()
    moves = [effect for effect in shop.cases.effects(CASE) if effect.kind is EffectKind.STATUS]
    assert [(move.target, move.status) for move in moves if not move.state.final] == [(SYSTEM, "open")]
    assert moves[-1].status == "open", "the newest change is the one that is carried out"


def test_a_post_that_is_older_than_the_decision_opens_nothing(shop: Shop) -> None:
    recorded(shop)
    shop.take_in(said(2))
    take_in(shop, closed(shop))
    assert shop.take_in(said(2)) is Taken.DUPLICATE
    assert state(shop) == "solved"
    assert "reopened" not in shop.happened()


def test_a_decision_that_is_heard_of_late_does_not_close_over_a_newer_post(shop: Shop) -> None:
    recorded(shop)
    before = shop.now()
    shop.take_in(said(2))
    assert take_in(shop, closed(shop, at=before)) is Taken.MOVED
    assert state(shop) == "open"
    assert shop.happened().count("reopened") == 1


def test_it_is_opened_once_however_often_it_is_said(shop: Shop) -> None:
    recorded(shop)
    decision = closed(shop)
    take_in(shop, decision)
    for _ in range(3):
        shop.take_in(said(2))
        take_in(shop, decision)
    assert shop.happened().count("reopened") == 1
    assert state(shop) == "open"


def test_what_a_dead_worker_left_undone_is_done_when_the_post_comes_again(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded(shop)
    take_in(shop, closed(shop))
    with monkeypatch.context() as dying:
        dying.setattr(Reopening, "after_post", lambda *_: False)
        shop.take_in(said(2))
        assert state(shop) == "solved"
    shop.take_in(said(2))
    assert state(shop) == "open"


def test_it_can_be_closed_and_opened_again(shop: Shop) -> None:
    recorded(shop)
    for number in (1, 2):
        take_in(shop, closed(shop, number=number))
        assert state(shop) == "solved"
        shop.take_in(said(10 + number))
        assert state(shop) == "open"
    assert shop.happened().count("reopened") == 2


def test_our_own_posts_edits_and_removed_posts_open_nothing(shop: Shop) -> None:
    recorded(shop)
    before = shop.now()
    shop.take_in(said(3))
    shop.take_in(gone(3, order=9))
    take_in(shop, closed(shop, at=before))
    shop.take_in(said(2, own=True))
    shop.take_in(said(1, text="It is still cold.", version=2, order=12))
    assert state(shop) == "solved"
    assert "reopened" not in shop.happened()
