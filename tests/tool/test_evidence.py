"""How the demo tells what is there from what is not."""

from __future__ import annotations

import gzip

import pytest

from connectors.tool import evidence

POST = "discourse:forum.acme.com:900"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (f"Post: {POST}", True),
        (f"({POST}).", True),
        (f"Post: {POST}1", False),
        (f"Post: x{POST}", False),
        ("Post: discourse:community.acme.com:900", False),
    ],
)
def test_an_id_is_not_found_in_a_longer_one(text: str, named: bool) -> None:
    assert evidence.mentions(text, POST) is named


def test_packed_words_are_found() -> None:
    item = {"pk": "MENTION#1", "sk": "TEXT#1", "body": gzip.compress(b"the flat is cold"), "sources": {"a"}}
    text = evidence.table_text({("MENTION#1", "TEXT#1"): item})
    assert evidence.found_in(["the flat is cold"], {"the table": text, "the logs": ""}) == ["the table"]


def test_any_change_of_the_table_shows() -> None:
    before = {("a", "1"): {"x": 1}, ("b", "1"): {"x": 1}, ("c", "1"): {"x": 1}}
    after = {("a", "1"): {"x": 1}, ("b", "1"): {"x": 2}, ("d", "1"): {"x": 1}}
    assert evidence.changed(before, after) == ["b / 1", "c / 1", "d / 1"]
