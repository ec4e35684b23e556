"""What comes in is kept once, whatever its order, and what was removed is gone: on three tables."""

from __future__ import annotations

import gzip
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from connectors.aws.intake import IDENTITY_DAYS
from connectors.core.ingest import Origin, Taken
from connectors.core.models import Author
from tests.posts import gone, said, unsupported
from tests.store.conftest import Backend
from tests.store.shop import CASE, Shop

WORDS = "Kaltwassertraum"
OTHER = Origin("stack/Search", "discourse")


def mentions(shop: Shop) -> list[dict]:
    return [row for row in shop.rows() if row["pk"].startswith("MENTION#") and row["sk"] == "META"]


def anywhere(shop: Shop, *words: str) -> list[str]:
    """Where one of these words stands in the table or the bucket, packed or not."""
    found = []
    for row in shop.rows():
        texts = [value if isinstance(value, bytes) else str(value).encode() for value in row.values()]
        texts += [gzip.decompress(text) for text in texts if text[:2] == b"\x1f\x8b"]
        found += [row["sk"] for text in texts for word in words if word.encode() in text]
    return found


def blobs(shop: Shop) -> set[str]:
    if hasattr(shop.blobs, "kept"):
        return set(shop.blobs.kept)
    listed = shop.blobs.client.list_objects_v2(Bucket=shop.blobs.bucket)
    return {entry["Key"] for entry in listed.get("Contents", [])}


def test_an_event_whose_name_is_longer_than_a_key_is_kept_all_the_same(shop: Shop) -> None:
    """Some vendors' names are taken as they come, and a key takes 1 KB: the delivery would never be done with."""
    event = unsupported().model_copy(update={"event": "\U0001f4a7" * 3_000})
    assert shop.take_in(event) is Taken.UNSUPPORTED
    (kept,) = [row for row in shop.rows() if row["pk"].startswith("UNSUPPORTED#")]
    assert kept["event"] == "\U0001f4a7" * 200
    assert "raw" in kept


def test_a_first_post_opens_a_case(shop: Shop) -> None:
    assert shop.take_in(said()) is Taken.OPENED
    case = shop.case()
    assert case is not None
    assert (case.state, case.first_mention, case.source) == ("open", said().id, "stack/Forum")
    assert shop.happened() == ["opened"]
    assert [one.id for one in shop.cases.newest(5)] == [CASE]
    post = shop.cases.post(said().id)
    assert post is not None
    assert (post.text, post.author) == ("The heating is cold.", "@ada (Ada Quill)")


def test_a_follow_up_joins_the_case(shop: Shop) -> None:
    shop.take_in(said(1))
    assert shop.take_in(said(2, text="Mine too.")) is Taken.SAID
    assert shop.happened() == ["opened", "said"]
    assert [event.mention for event in shop.timeline()] == [said(1).id, said(2).id]


def test_another_topic_is_another_case(shop: Shop) -> None:
    shop.take_in(said(1))
    assert shop.take_in(said(2, topic=8)) is Taken.OPENED
    assert len(shop.cases.newest(5)) == 2


def test_the_same_delivery_again_changes_nothing(shop: Shop) -> None:
    shop.take_in(said())
    before = shop.rows()
    assert shop.take_in(said()) is Taken.DUPLICATE
    assert shop.rows() == before


def test_an_edit_is_the_new_words_and_an_older_one_is_ignored(shop: Shop) -> None:
    shop.take_in(said())
    assert shop.take_in(said(version=3, text="third", order=3)) is Taken.EDITED
    assert shop.take_in(said(version=2, text="second", order=2)) is Taken.DUPLICATE
    assert shop.words(said().id) == "third"
    assert shop.happened() == ["opened", "edited"]


def test_an_edit_that_counts_no_version_is_an_edit_unless_it_is_older(shop: Shop) -> None:
    shop.take_in(said(text="first", order=10))
    assert shop.take_in(said(text="first", order=12)) is Taken.DUPLICATE
    assert shop.take_in(said(text="between", order=11)) is Taken.DUPLICATE
    assert shop.take_in(said(text="last", order=13)) is Taken.EDITED
    assert shop.words(said().id) == "last"


def test_a_removal_takes_the_words_and_the_author(shop: Shop) -> None:
    author = Author(native_id="55", handle="zollweg", name="Maren Zollweg")
    shop.take_in(said(text=f"one {WORDS}", author=author), raw=f"raw {WORDS} zollweg".encode())
    shop.take_in(said(version=2, text=f"two {WORDS}", author=author), raw=f"raw {WORDS} zollweg".encode())
    shop.dispatch()
    assert anywhere(shop, WORDS, "zollweg")
    assert shop.take_in(gone()) is Taken.DELETED
    assert anywhere(shop, WORDS, "ollweg") == []
    assert shop.words(said().id) is None
    assert shop.happened() == ["opened", "edited", "routed", "deleted"]
    (identity,) = mentions(shop)
    assert identity["case"] == CASE


def test_a_removed_post_does_not_come_back_by_a_late_delivery(shop: Shop) -> None:
    shop.take_in(said())
    shop.take_in(gone(order=2))
    assert shop.take_in(said()) is Taken.REMOVED
    assert shop.take_in(said(version=9, order=9)) is Taken.REMOVED
    assert shop.words(said().id) is None


def test_a_removal_that_comes_first_wins(shop: Shop) -> None:
    assert shop.take_in(gone(order=2)) is Taken.REMOVED
    assert shop.take_in(gone(order=2)) is Taken.DUPLICATE
    assert shop.take_in(said(order=1)) is Taken.REMOVED
    assert shop.case() is None
    assert len(mentions(shop)) == 1


def test_a_post_that_is_brought_back_is_there_again(shop: Shop) -> None:
    shop.take_in(said())
    shop.take_in(gone(order=2))
    assert shop.take_in(said(restored=True, order=3)) is Taken.RESTORED
    assert shop.take_in(said(restored=True, order=3)) is Taken.DUPLICATE
    assert shop.take_in(gone(order=2)) is Taken.DUPLICATE
    assert shop.words(said().id) == "The heating is cold."
    assert shop.happened() == ["opened", "deleted", "restored"]


def test_a_post_removed_before_we_knew_it_opens_its_case_when_it_is_brought_back(shop: Shop) -> None:
    shop.take_in(gone(order=2))
    assert shop.take_in(said(restored=True, order=3)) is Taken.OPENED
    assert shop.take_in(gone(order=4)) is Taken.DELETED
    assert shop.take_in(said(restored=True, order=3)) is Taken.REMOVED


def test_a_removal_that_arrives_after_the_post_was_brought_back_is_ignored(shop: Shop) -> None:
    shop.take_in(said(order=1))
    assert shop.take_in(said(restored=True, order=3)) is Taken.DUPLICATE
    assert shop.take_in(gone(order=2)) is Taken.DUPLICATE
    assert shop.words(said().id) == "The heating is cold."


def test_our_own_post_opens_no_case_and_joins_one_that_is_there(shop: Shop) -> None:
    assert shop.take_in(said(1, topic=9, own=True)) is Taken.OWN
    assert shop.cases.newest(5) == []
    shop.take_in(said(2))
    assert shop.take_in(said(3, own=True, text="We are on it.")) is Taken.ANSWERED_THERE
    post = shop.cases.post(said(3).id)
    assert post is not None
    assert post.own


def test_one_post_that_two_sources_saw_is_one(shop: Shop) -> None:
    shop.take_in(said())
    assert shop.take_in(said(), OTHER) is Taken.DUPLICATE
    (identity,) = mentions(shop)
    assert identity["sources"] == {"stack/Forum", "stack/Search"}
    assert shop.happened() == ["opened"]


def test_what_is_not_supported_is_kept_raw_for_a_time_or_not_at_all(shop: Shop) -> None:
    shop.take_in(unsupported(keep_raw=False), raw=b"private words")
    assert shop.rows() == []
    for _ in range(2):
        assert shop.take_in(unsupported(), raw=b"a like") is Taken.UNSUPPORTED
    (row,) = shop.rows()
    assert gzip.decompress(row["raw"]) == b"a like"
    assert row["expires_at"]


def test_words_expire_long_before_the_identity(shop: Shop) -> None:
    shop.take_in(said())
    rows = {row["sk"].partition("#")[0]: row for row in shop.rows() if row["pk"].startswith("MENTION#")}
    day = 86_400
    assert rows["META"]["expires_at"] - rows["TEXT"]["expires_at"] == (IDENTITY_DAYS - 180) * day
    assert not any("expires_at" in row for row in shop.rows() if row["pk"].startswith(("CASE#", "CONVERSATION#")))


def test_every_item_says_its_schema(shop: Shop) -> None:
    shop.take_in(said())
    shop.dispatch()
    assert {row.get("schema") for row in shop.rows()} == {1}


def noise(size: int, seed: int = 1) -> str:
    return random.Random(seed).randbytes(size // 2).hex()


def test_long_words_lie_in_the_bucket_and_go_with_the_post(shop: Shop) -> None:
    text = noise(400_000)
    shop.take_in(said(text=text))
    assert len(blobs(shop)) == 1
    assert shop.words(said().id) == text
    assert shop.take_in(said(text=text)) is Taken.DUPLICATE
    shop.take_in(said(text=noise(400_000, 2), order=5))
    assert len(blobs(shop)) == 1, "the rewording took the place of the words before"
    shop.take_in(gone(order=6))
    assert blobs(shop) == set()
    assert shop.words(said().id) is None


def test_a_post_of_very_many_versions_goes_whole(shop: Shop) -> None:
    for version in range(1, 96):
        shop.take_in(said(version=version, text=f"{WORDS} {version}"))
    assert shop.take_in(gone()) is Taken.DELETED
    assert anywhere(shop, WORDS) == []


def test_an_author_and_an_address_of_any_length_are_taken(shop: Shop) -> None:
    author = Author(native_id="ж" * 5_000, handle="h" * 300_000)
    assert shop.take_in(said(author=author, url="https://forum.nimbus.example/" + "u" * 500_000)) is Taken.OPENED


def test_the_first_posts_of_a_conversation_open_one_case(open_shop: Callable[..., Shop], backend: Backend) -> None:
    if not backend.simultaneous:
        pytest.skip("moto says nothing about writers at the same time")
    shop = open_shop()
    with ThreadPoolExecutor(16) as pool:
        taken = list(pool.map(lambda post: shop.take_in(said(post)), [post for post in range(1, 17) for _ in range(2)]))
    assert taken.count(Taken.OPENED) == 1
    assert taken.count(Taken.SAID) == 15
    assert sorted(shop.happened()) == ["opened"] + ["said"] * 15
    assert len({event.mention for event in shop.timeline()}) == 16


def test_simultaneous_edits_and_a_removal_leave_no_words(open_shop: Callable[..., Shop], backend: Backend) -> None:
    if not backend.simultaneous:
        pytest.skip("moto says nothing about writers at the same time")
    shop = open_shop()
    events = [said(version=version, text=f"{WORDS} {version}") for version in range(1, 12)] + [gone(order=99)] * 2
    random.Random(3).shuffle(events)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(shop.take_in, events))
    assert anywhere(shop, WORDS) == []
    (identity,) = mentions(shop)
    assert identity["removed"] == 99
