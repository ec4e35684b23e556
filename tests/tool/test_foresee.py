"""What the demo expects of its deliveries: the rules of taking in, without the machinery."""

from __future__ import annotations

import json
from pathlib import Path

from connectors.core.models import Deletion, Mention, Unsupported
from connectors.tool.foresee import Foreseen, Foresight, Turn, posts, topics, words
from connectors.tool.samples import Sample


def mention(native_id: str = "1", topic: str = "t1", **more: object) -> Mention:
    return Mention(connector="discourse", native_id=native_id, conversation_id=topic, **more)  # type: ignore[arg-type]


def deletion(native_id: str, order: int) -> Deletion:
    return Deletion(connector="discourse", native_id=native_id, order=order)


def turn(event: Mention | Deletion | Unsupported, foreseen: Foreseen, body: object = None) -> Turn:
    return Turn(Path("x.json"), Sample(json.dumps(body).encode()), "Forum", event, foreseen)


def test_a_topic_opens_once_and_its_posts_join() -> None:
    seen = Foresight()
    assert seen.next(mention("1")) is Foreseen.OPENED
    assert seen.next(mention("2")) is Foreseen.SAID
    assert seen.next(mention("2")) is Foreseen.DUPLICATE
    assert seen.next(mention("3", "t2")) is Foreseen.OPENED


def test_versions_only_go_up() -> None:
    seen = Foresight()
    seen.next(mention(version=1))
    assert seen.next(mention(version=3)) is Foreseen.EDITED
    assert seen.next(mention(version=2)) is Foreseen.DUPLICATE


def test_a_deletion_beats_its_post_before_and_after() -> None:
    seen = Foresight()
    assert seen.next(deletion("9", order=5)) is Foreseen.TOMBSTONE
    assert seen.next(mention("9")) is Foreseen.KEPT_OUT
    seen.next(mention("1"))
    assert seen.next(deletion("1", order=6)) is Foreseen.DELETED
    assert seen.next(deletion("1", order=6)) is Foreseen.DUPLICATE
    assert seen.next(mention("1", restored=True, order=4)) is Foreseen.KEPT_OUT
    assert seen.next(mention("1", restored=True, order=7)) is Foreseen.RESTORED


def test_our_own_post_opens_nothing_but_joins_a_case() -> None:
    seen = Foresight()
    assert seen.next(mention("1", own=True)) is Foreseen.OUR_OWN
    assert seen.next(mention("2")) is Foreseen.OPENED
    assert seen.next(mention("3", own=True)) is Foreseen.ANSWERED_THERE


def test_what_should_be_told_is_each_post_once() -> None:
    turns = [
        turn(mention("1"), Foreseen.OPENED),
        turn(mention("2"), Foreseen.SAID),
        turn(mention("2"), Foreseen.DUPLICATE),
        turn(mention("9"), Foreseen.KEPT_OUT),
    ]
    assert posts(turns) == ["discourse:1", "discourse:2"]
    assert topics(turns) == {"discourse:t1"}


def test_the_words_looked_for_read_the_same_in_json_and_html() -> None:
    said = mention(text='He said "no"\nand the flat is getting cold & damp.')
    assert words(turn(said, Foreseen.SAID)) == ["and the flat is getting cold"]


def test_of_what_is_set_aside_titles_are_looked_for_too() -> None:
    event = Unsupported(connector="discourse", event="post_created", reason="private", keep_raw=False)
    body = {"post": {"raw": "my new address is 12 Elm Road", "topic_title": "My address for the parcel", "id": 5}}
    assert words(turn(event, Foreseen.NOTHING, body)) == ["my new address is 12 Elm Road", "My address for the parcel"]


def test_a_form_is_looked_through_as_json_is() -> None:
    event = Unsupported(connector="twilio", event="message.delivered", reason="what became of it", keep_raw=False)
    sample = Sample(b"MessageSid=SM1&Body=We+come+to+you+on+Monday")
    assert words(Turn(Path("x.form"), sample, "Phone", event, Foreseen.NOTHING)) == ["We come to you on Monday"]
