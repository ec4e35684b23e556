"""What a hint leads to may be gone, or a hint again: looked at once more, and nothing forged leaves a trace."""

from __future__ import annotations

from connectors.aws.inbox import of_events
from connectors.core.errors import RejectedError
from connectors.core.hints import LATE
from connectors.core.models import Deletion
from tests.functions.test_hints import (
    LYRE,
    NOW,
    WORDS,
    Lyre,
    World,
    delays,
    deployed,
    hint,
    machine,
    parts,
    plucked,
    world,
)

__all__ = ["delays", "deployed", "machine", "parts", "world"]
GONE = Deletion(connector="lyre", native_id="7", order=NOW)


def looked(world: World) -> None:
    """What waits is fetched, and what that brings is taken in."""
    for errand in world.errands():
        world.follow(errand)
    if brought := world.inbox():
        world.take_in(*brought)


def test_what_is_not_there_yet_is_not_gone(world: World, delays: list[int]) -> None:
    """Vendors list late: they tell of a post before they show it."""
    post, Lyre.shelf["7"] = Lyre.shelf["7"], GONE
    world.deliver("7")
    looked(world)
    assert delays == [LATE // 1000]
    assert not world.said("a hint could not be followed")
    assert [line["level"] for line in world.said("a hint is followed later")] == ["INFO"]
    Lyre.shelf["7"] = post
    world.at += LATE
    looked(world)
    assert world.machine.shop.words("lyre:7") == WORDS


def test_what_is_refused_at_first_is_asked_for_once_more(world: World, delays: list[int]) -> None:
    """Such as at Instagram: as long as it does not show a comment, it answers that there is none."""
    Lyre.refuses.append(RejectedError("404: no such comment"))
    world.deliver("7")
    looked(world)
    assert delays == [LATE // 1000]
    assert [line["level"] for line in world.said("a hint is followed later")] == ["WARNING"]
    world.at += LATE
    looked(world)
    assert world.machine.shop.words("lyre:7") == WORDS
    assert not world.said("a hint could not be followed")


def test_what_is_gone_for_a_while_is_gone(world: World, delays: list[int]) -> None:
    world.take_in(of_events(LYRE, "lyre", f"[{plucked().model_dump_json()}]", NOW))
    Lyre.shelf["7"] = GONE
    world.deliver("7")
    looked(world)
    assert world.machine.shop.words("lyre:7") == WORDS
    world.at += LATE
    looked(world)
    assert world.machine.shop.words("lyre:7") is None
    assert (world.errands(), Lyre.asked) == ([], ["7", "7"])


def test_a_forged_hint_leaves_nothing_behind_and_shuts_nobody_out(world: World, delays: list[int]) -> None:
    Lyre.shelf["7"] = GONE
    before = {row["pk"] for row in world.machine.shop.rows()}
    world.deliver("7")
    looked(world)
    world.at += LATE
    looked(world)
    left = {row["pk"] for row in world.machine.shop.rows()} - before
    assert {name.partition("#")[0] for name in left} <= {"COUNT", "HEALTH", "SPEND"}, left
    world.take_in(of_events(LYRE, "lyre", f"[{plucked().model_dump_json()}]", world.at))
    assert world.machine.shop.words("lyre:7") == WORDS


def test_a_removal_that_a_webhook_tells_before_its_post_keeps_the_post_out(world: World) -> None:
    """Unlike one that we fetched: the vendor said so by itself."""
    world.take_in(of_events(LYRE, "lyre", f"[{GONE.model_dump_json()}]", NOW))
    world.take_in(of_events(LYRE, "lyre", f"[{plucked().model_dump_json()}]", NOW))
    assert world.machine.shop.words("lyre:7") is None


def test_a_hint_that_leads_to_a_hint_does_not_go_round_for_ever(world: World) -> None:
    Lyre.shelf["7"] = hint("7")
    world.deliver("7")
    world.follow(*world.errands())
    world.take_in(*world.inbox())
    assert world.errands() == []
    (kept,) = [row for row in world.machine.shop.rows() if row["pk"] == f"UNSUPPORTED#{LYRE}"]
    assert kept["reason"] == "what a hint led to is a hint again"
