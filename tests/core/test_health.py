"""What is known of a source's credentials, after everything that its vendor answered."""

from __future__ import annotations

from dataclasses import replace

import pytest

from connectors.core.errors import (
    MisconfiguredError,
    RejectedError,
    RemoteError,
    UnavailableError,
    UnknownOutcomeError,
)
from connectors.core.health import REMEDY, Health, TokenHealth, TokenState, Use, current, needs_people
from connectors.core.ports import Page
from connectors.core.watched import Watched, observed

NOW = 1_795_000_000_000
OK, REVOKED = TokenHealth(TokenState.OK), TokenHealth(TokenState.REVOKED, "refused")
TRANSIENT, LIMITED = TokenHealth(TokenState.TRANSIENT, "503"), TokenHealth(TokenState.LIMITED, "429", NOW + 60_000)


def after(*seen: tuple[Use, TokenHealth]) -> Health:
    known = Health("routes/Acme")
    for number, (use, health) in enumerate(seen):
        known = known.after(use, health, NOW + number)
    return known


def state(known: Health, now: int = NOW) -> TokenState | None:
    worst = known.worst(now)
    return worst[1].health.state if worst else None


@pytest.mark.parametrize("lasting", ["expiring", "expired", "revoked", "scope missing"])
@pytest.mark.parametrize("passing", [TRANSIENT, LIMITED])
def test_an_outage_hides_nothing_that_is_known(lasting: str, passing: TokenHealth) -> None:
    known = after((Use.POLL, TokenHealth(TokenState(lasting))), (Use.POLL, passing))
    assert state(known) == lasting
    assert state(known.after(Use.POLL, OK, NOW)) is TokenState.OK


def test_a_use_that_works_says_nothing_about_another() -> None:
    known = after((Use.REPLY, TokenHealth(TokenState.SCOPE_MISSING)), (Use.POLL, OK), (Use.CHECK, OK))
    assert state(known) is TokenState.SCOPE_MISSING
    assert state(known.after(Use.REPLY, OK, NOW)) is TokenState.OK


def test_the_worst_is_shown_and_since_when() -> None:
    known = after((Use.POLL, LIMITED), (Use.REPLY, REVOKED), (Use.REPLY, REVOKED), (Use.CHECK, OK))
    assert known.worst(NOW) == (Use.REPLY, known.uses[Use.REPLY])
    assert known.uses[Use.REPLY].since == NOW + 1
    assert state(Health("routes/New")) is None


def test_no_news_is_not_written() -> None:
    known = after((Use.POLL, OK))
    assert known.after(Use.POLL, OK, NOW + 5) is known
    revoked = after((Use.POLL, REVOKED))
    assert revoked.after(Use.POLL, TRANSIENT, NOW + 5) is revoked


def test_a_renewed_token_ends_what_was_said_of_the_old_ones_end() -> None:
    known = after((Use.RENEWAL, OK), (Use.REPLY, TokenHealth(TokenState.EXPIRED)), (Use.POLL, REVOKED))
    renewed = known.after(Use.RENEWAL, OK, NOW + 9)
    assert set(renewed.uses) == {Use.RENEWAL, Use.POLL}
    assert state(renewed) is TokenState.REVOKED
    assert renewed.after(Use.RENEWAL, OK, NOW + 10) is renewed
    assert state(renewed.without(Use.POLL)) is TokenState.OK


def test_time_ends_a_limit_and_a_token() -> None:
    assert current(LIMITED, NOW).state is TokenState.LIMITED
    assert current(LIMITED, NOW + 60_000).state is TokenState.OK
    ending = TokenHealth(TokenState.EXPIRING, "", NOW + 60_000)
    assert current(ending, NOW + 60_001).state is TokenState.EXPIRED
    assert current(TokenHealth(TokenState.EXPIRING), NOW).state is TokenState.EXPIRING


def test_who_has_to_act() -> None:
    expired = TokenHealth(TokenState.EXPIRED)
    assert needs_people(Use.POLL, expired, renewable=False)
    assert not needs_people(Use.POLL, expired, renewable=True)
    assert needs_people(Use.RENEWAL, expired, renewable=True)
    assert needs_people(Use.CHECK, expired, renewable=True)
    assert needs_people(Use.REPLY, REVOKED, renewable=True)
    assert not needs_people(Use.POLL, LIMITED, renewable=False)


@pytest.mark.parametrize("use", list(Use))
def test_a_limit_without_an_end_is_one_of_money_and_needs_people(use: Use) -> None:
    spent = TokenHealth(TokenState.LIMITED, "402")
    assert needs_people(use, current(spent, NOW), renewable=True)
    assert "credits" in REMEDY[TokenState.LIMITED]
    for passing in (TRANSIENT, LIMITED):
        assert after((use, spent), (use, passing)).uses[use].health == spent, "an outage does not hide it"
    assert state(after((use, spent), (use, OK))) is TokenState.OK


@pytest.mark.parametrize(
    ("error", "expected", "until"),
    [
        (MisconfiguredError("no", TokenState.REVOKED), "revoked", None),
        (MisconfiguredError("no such page"), None, None),
        (RejectedError("too long"), None, None),
        (UnavailableError("429", 30), "limited", NOW + 30_000),
        (UnavailableError("503"), "transient", None),
        (UnknownOutcomeError("no answer"), "transient", None),
    ],
)
def test_what_an_error_says_about_the_credentials(error: RemoteError, expected: str | None, until: int | None) -> None:
    seen = observed(error, NOW)
    assert (seen and seen.state.value, seen and seen.until) == (expected, until)


class Account:
    tier = "none"

    def poll(self, cursor: str | None) -> Page:
        if cursor is None:
            raise MisconfiguredError("refused", TokenState.REVOKED)
        page = Page([], f"after {cursor}", 60.0)
        heard = {"nobody": None, "in part": TokenHealth(TokenState.SCOPE_MISSING, "search")}
        return replace(page, health=heard[cursor]) if cursor in heard else page


def test_calls_leave_word_and_everything_else_passes() -> None:
    told: list[tuple[Use, str]] = []
    account = Watched(Account(), lambda use, seen: told.append((use, seen.state.value)), lambda: NOW)
    assert account.poll("c").cursor == "after c"
    with pytest.raises(MisconfiguredError):
        account.poll(None)
    assert told == [(Use.POLL, "ok"), (Use.POLL, "revoked")]
    assert account.poll("nobody").cursor == "after nobody"
    assert len(told) == 2, "who asked nobody has learnt nothing"
    account.poll("in part")
    assert told[2:] == [(Use.POLL, "scope missing")]
    assert account.tier == "none"
    assert not hasattr(account, "recheck")
