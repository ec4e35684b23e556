"""Webhook addresses: only those that this deployment made say anything, and for their connector only."""

from __future__ import annotations

import string

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from connectors.core import token
from connectors.core.token import Address

NAMES = st.text(string.ascii_letters + string.digits + "-_/.", min_size=1, max_size=60)
ADDRESSES = st.builds(Address, NAMES, NAMES)
SALT = "a salt of this deployment"


@settings(deadline=None)
@given(ADDRESSES)
def test_a_token_says_what_it_was_made_of(address: Address) -> None:
    made = token.make(SALT, "discourse", address)
    assert token.read(SALT, "discourse", made) == address
    assert made == token.make(SALT, "discourse", address)
    assert set(made) <= set(string.ascii_letters + string.digits + "-_")


@settings(deadline=None)
@given(ADDRESSES, st.data())
def test_a_changed_character_says_nothing(address: Address, data: st.DataObject) -> None:
    made = token.make(SALT, "discourse", address)
    place = data.draw(st.integers(0, len(made) - 1))
    other = data.draw(st.sampled_from(string.ascii_letters + string.digits + "-_=\n +/"))
    assume(other != made[place])
    assert token.read(SALT, "discourse", made[:place] + other + made[place + 1 :]) is None


@settings(deadline=None)
@given(ADDRESSES, st.text(min_size=1, max_size=5))
def test_an_added_piece_says_nothing(address: Address, extra: str) -> None:
    made = token.make(SALT, "discourse", address)
    assert token.read(SALT, "discourse", made + extra) is None
    assert token.read(SALT, "discourse", extra + made) is None


@settings(deadline=None)
@given(ADDRESSES, st.text(min_size=1, max_size=20))
def test_another_salt_or_connector_says_nothing(address: Address, other: str) -> None:
    made = token.make(SALT, "discourse", address)
    assert other == "discourse" or token.read(SALT, other, made) is None
    assert other == SALT or token.read(other, "discourse", made) is None


@settings(deadline=None)
@given(st.text(max_size=2000))
def test_whatever_a_stranger_tries_says_nothing(path: str) -> None:
    assert token.read(SALT, "discourse", path) is None


def test_without_a_salt_no_token_is_believed() -> None:
    made = token.make("", "discourse", Address("stack/Forum", "hailback/forum"))
    assert token.read("", "discourse", made) is None


@settings(deadline=None)
@given(ADDRESSES, ADDRESSES)
def test_two_sources_never_share_an_address(one: Address, two: Address) -> None:
    assume(one != two)
    assert token.make(SALT, "discourse", one) != token.make(SALT, "discourse", two)


def test_the_longest_names_that_aws_allows_still_fit() -> None:
    # CloudFormation: a stack's name has 128 characters, a logical id 255. Secrets Manager: 512 for a name.
    address = Address(f"{'s' * 128}/{'l' * 255}", f"hailback/{'f' * 230}")
    assert token.read(SALT, "discourse", token.make(SALT, "discourse", address)) == address
