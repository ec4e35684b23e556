"""A few thousand of the million mutated deliveries (`python -m tests.bench.mutations`), and that they would tell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from connectors.core import door
from connectors.core.delivery import Delivery
from connectors.core.models import AnyEvent, Unsupported
from connectors.discourse.connector import Discourse
from connectors.tool.samples import sample_files
from tests.bench import mutations
from tests.bench.mutations import run
from tests.bench.tampering import Tally, report
from tests.contract import shapes
from tests.contract.registered import DOORS
from tests.contract.signing import EXAMPLES


def final(count: int, names: list[str]) -> dict[str, Tally]:
    *_, last = run(count, "test", names)
    return last


def test_no_crash_none_taken_that_was_not_signed_and_no_original_lost() -> None:
    tallies = final(1500 * len(DOORS), DOORS)
    assert all(tally.clean for tally in tallies.values()), report(tallies)
    for name, tally in tallies.items():
        assert min(tally.counts[what] for what in ("signed", "taken", "refused", "events")) > 100
        rules = door.load(name) or {}
        wanted = {"200", "404"} | (set() if rules.get("unsigned") else {"401"})
        wanted |= {"400"} if rules.get("body", "json") == "json" else set()  # nearly anything is a form
        assert wanted <= set(tally.statuses)


def test_the_same_seed_brings_the_same_deliveries() -> None:
    assert report(final(300, DOORS)) == report(final(300, DOORS))


class Anything:
    """Reads whatever comes: what is tried out here are the doors."""

    def parse(self, delivery: Delivery) -> list[AnyEvent]:
        return [Unsupported(connector="acme", event=str(len(delivery.body)), reason="nobody reads it")]


@pytest.mark.parametrize("name", EXAMPLES)
def test_doors_of_every_kind_hold(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those too that no connector has yet."""
    (tmp_path / "post__words.json").write_text('{"id": 1, "text": "gr\\u00fc\u00dfe", "tags": ["a", {"b": null}]}')
    if "challenge" in EXAMPLES[name]:
        (tmp_path / "handshake__url.json").write_text('{"type": "url_verification", "challenge": "3eZbrw1aBm"}')
    if EXAMPLES[name]["body"] == "any":
        (tmp_path / "sms__question.form").write_bytes(b"Body=Gr%C3%BC%C3%9Fe+%26&From=%2B49&MediaUrl=&N=1&N=2")
    monkeypatch.setitem(door._DOORS, name, EXAMPLES[name])
    for module in (mutations, shapes):
        monkeypatch.setattr(module, "sample_paths", lambda _: sample_files(tmp_path))
    monkeypatch.setattr(mutations, "reader", lambda _: Anything())
    tally = final(1500, [name])[name]
    assert tally.clean, report({name: tally})
    assert min(tally.counts["taken"], tally.counts["refused"]) > 100


def test_a_door_that_stands_open_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "verify", lambda *_: True)
    assert final(200, ["discourse"])["discourse"].counts["forged"] > 10


def test_a_door_that_stays_shut_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "verify", lambda *_: False)
    assert final(200, ["discourse"])["discourse"].counts["lost"] > 10


def test_a_connector_that_crashes_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    parse = Discourse.parse

    def careless(self: Discourse, delivery: Delivery) -> Any:
        if b"ud800" in delivery.body:
            raise KeyError("there")
        return parse(self, delivery)

    monkeypatch.setattr(Discourse, "parse", careless)
    tally = final(2000, ["discourse"])["discourse"]
    assert tally.counts["crashed"] > 0
    assert "KeyError" in tally.faults[0]
