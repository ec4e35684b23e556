"""How long X counts a text, and what in it becomes a link. The lengths were compared with X's own twitter-text 3.1."""

# ruff: noqa: RUF001 - the characters are what is tested
from __future__ import annotations

import pytest

from connectors.x.wording import links, weight


@pytest.mark.parametrize(
    ("text", "counted"),
    [
        ("", 0),
        ("Hello world", 11),
        ("Grüße aus Köln – schön!", 23),
        ("日本語テキスト", 14),
        ("Привет мир", 10),
        ("مرحبا", 5),
        ("cafe\u0301", 4),
        ("“quoted” — dash… ‘x’", 21),
        ("👍", 2),
        ("👍🏽", 2),
        ("👨‍👩‍👧‍👦 family", 9),
        ("🇩🇪🇦🇹", 4),
        ("1️⃣ 2️⃣", 5),
        ("❤️", 2),
        ("🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", 2),
        ("See https://acme.com/help/a?b=c#d.", 28),
        ("(https://example.com/a_(b))", 25),
        ("https://t.co/abc123.", 24),
        ("acme.com", 23),
        ("acme.com,acme.org", 47),
        ("restart.Then it works", 21),
        ("mail a@b.com", 12),
        ("e.g. this, i.e. v1.2.3 at 10.0.0.1", 34),
    ],
)
def test_a_text_counts_as_x_counts_it(text: str, counted: int) -> None:
    assert weight(text) == counted


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("See https://acme.com/help.", ["https://acme.com/help"]),
        ("HTTPS://ACME.COM/X", ["HTTPS://ACME.COM/X"]),
        ("acme.com and www.acme.co.uk/path?x=1!", ["acme.com", "www.acme.co.uk/path?x=1"]),
        ("our acme.shop is open", ["acme.shop"]),
        ("Acme.com", ["Acme.com"]),
        ("it works again.Then I left", []),
        ("write to help@acme.com, @acme.com or #acme.com", []),
        ("3.50 EUR, v1.2.3, e.g. p.m.", []),
        ("https://localhost/x", []),
    ],
)
def test_links_are_found_before_they_cost_thirteen_times_as_much(text: str, found: list[str]) -> None:
    assert links(text) == found
