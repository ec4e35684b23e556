"""A post can be answered as long as its case lives, though its words are kept for a shorter time."""

from __future__ import annotations

from connectors.aws.cases import mention_key
from connectors.aws.repliers import StoredWords
from connectors.aws.updates import Updates
from connectors.core.models import Author
from connectors.core.understanding import Intent, Verdict
from tests.posts import gone, said
from tests.store.shop import CASE, Shop


def words(shop: Shop) -> StoredWords:
    return StoredWords(shop.cases, Updates(shop.table, shop.blobs, now=shop.now))


def test_where_a_post_is_outlives_its_words(shop: Shop) -> None:
    post = said()
    shop.take_in(post)
    pk, _ = mention_key(post.id)
    (text,) = shop.table.query(pk, "TEXT#")
    shop.client.delete_item(TableName=shop.name, Key={"pk": {"S": pk}, "sk": {"S": text["sk"]}})  # as its time to live
    found = words(shop).said(post.id)
    assert found is not None
    assert (found.id, found.conversation, found.url) == (post.id, post.conversation, post.url)
    assert not words(shop).removed(post.id)


def test_a_removed_post_is_known_to_be_removed_and_still_where_it_was(shop: Shop) -> None:
    post = said()
    shop.take_in(post)
    shop.take_in(gone())
    found = words(shop).said(post.id)
    assert found is not None
    assert found.conversation == post.conversation
    assert found.text == ""
    assert words(shop).removed(post.id)


def test_what_was_never_said_is_unknown(shop: Shop) -> None:
    assert words(shop).said("discourse:elsewhere:1") is None
    shop.take_in(gone(9))
    assert words(shop).said(gone(9).id) is None


class Reader:
    """Understands one word."""

    def understand(self, text: str, language: str | None) -> Verdict:
        intent: Intent = "complaint" if "cold" in text else "uncertain"
        return Verdict(intent, 0.8125, "reader-1")


def test_what_a_post_wants_is_kept_with_it_and_read_again_when_it_is_edited(shop: Shop) -> None:
    shop.intake._understanding = Reader()
    shop.take_in(said())
    found, _ = shop.cases.mention(said().id)
    assert found is not None
    assert (found["intent"], float(found["intent_sure"]), found["intent_model"]) == ("complaint", 0.812, "reader-1")
    shop.take_in(said(text="Who are you?", version=2, order=2))
    found, _ = shop.cases.mention(said().id)
    assert found is not None
    assert found["intent"] == "uncertain"
    shop.take_in(gone(order=3))
    found, _ = shop.cases.mention(said().id)
    assert found is not None
    assert "intent" not in found, "what was read out of the words goes with them"


def test_our_own_posts_want_nothing(shop: Shop) -> None:
    shop.intake._understanding = Reader()
    shop.take_in(said(own=True))
    found, _ = shop.cases.mention(said().id)
    assert found is not None
    assert "intent" not in found


def test_an_answer_is_for_the_newest_customer_who_had_spoken_by_then(shop: Shop) -> None:
    ada, ben = Author(native_id="1"), Author(native_id="2")
    shop.take_in(said(1, author=ada, reply_capability="allowed"))
    shop.take_in(said(2, author=ben, reply_capability="allowed"))
    shop.take_in(said(3, own=True, author=None))
    then = shop.timeline()[-1].at
    shop.take_in(said(4, author=ada, reply_capability="allowed"))
    assert shop.cases.asked(CASE, then) == said(2).id
    assert shop.cases.asked(CASE, then + 1_000) == said(4).id
    shop.take_in(gone(2, order=9))
    assert shop.cases.asked(CASE, then) == said(1).id


def test_where_only_an_earlier_post_of_the_same_person_may_be_answered_it_is_that_one(shop: Shop) -> None:
    ada, ben = Author(native_id="1"), Author(native_id="2")
    shop.take_in(said(1, author=ada, reply_capability="allowed"))
    shop.take_in(said(2, author=ben, reply_capability="allowed"))
    shop.take_in(said(3, author=ada, reply_capability="summoned_only"))
    assert shop.cases.asked(CASE, shop.now()) == said(1).id
    shop.take_in(said(4, author=Author(native_id="3"), reply_capability="summoned_only"))
    assert shop.cases.asked(CASE, shop.now()) == said(4).id, "nobody else is answered instead"


def test_what_the_webhook_knows_better_lifts_what_the_search_found(shop: Shop) -> None:
    shop.take_in(said(reply_capability="summoned_only"))
    shop.take_in(said(reply_capability="allowed"))
    shop.take_in(said(reply_capability="summoned_only"))
    found = words(shop).said(said().id)
    assert found is not None
    assert found.reply_capability == "allowed"
