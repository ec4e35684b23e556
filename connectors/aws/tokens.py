"""Access tokens that run out and that we renew: one worker at a time, and nothing is used before it is kept.

    TOKEN#<secret> / META   whose turn it is, and what became of the last renewal

A vendor that takes a refresh token once forgets the old one when it answers. So, before it is asked, the secret is
written to (as a version beside the one in force): a permission that is missing must show while nothing is lost. The
answer is put in force before anybody uses it. An answer that got lost is asked for once more, one worker at a time; if
the vendor then refuses, the access is gone and a person has to grant it anew. See docs/adr/0056.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from connectors.aws.health import TableHealth
from connectors.aws.secrets import Credentials
from connectors.aws.table import Table
from connectors.core.errors import ConflictError, MisconfiguredError, RemoteError, UnavailableError
from connectors.core.health import TokenHealth, TokenState, Use, renewable
from connectors.core.identity import digest
from connectors.core.plan import SourceConfig, canonical
from connectors.core.watched import Watched

LEASE = 120.0
"""Seconds for which one worker has the turn: several times what one call and three writes may take."""
MARGIN = 40.0
"""Seconds of it that must be left when the vendor is asked: longer than any HTTP request of ours lasts."""
BACKOFF = 60.0
"""Seconds until a renewal that failed is tried again."""
_SAVES = 5

Account = TypeVar("Account")


@dataclass(frozen=True, slots=True)
class _Turn:
    """The row. `asked`: the fingerprint of the document with which the vendor was asked, while its answer is unknown;
    `refused`: of the one that it refused. Times in milliseconds."""

    attempt: int = 0
    lease_until: int = 0
    not_before: int = 0
    renewed_at: int = 0
    asked: str | None = None
    refused: str | None = None


class Tokens:
    """Renews access tokens. `now` in milliseconds; `patience`: seconds to wait for another worker's renewal."""

    def __init__(
        self,
        table: Table,
        credentials: Credentials,
        health: TableHealth,
        *,
        now: Callable[[], int],
        patience: float = 5.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._table, self._credentials, self._health = table, credentials, health
        self._now, self._patience, self._sleep = now, patience, sleep
        self._unsaved: dict[str, tuple[str, dict[str, object]]] = {}

    def fresh(self, source: SourceConfig, account: Account, build: Callable[[], Account]) -> Account:
        """The account with a token that is good to use; `build` makes it again from the secret as it is then.

        One that needs no renewing comes back as it is, without a look at the table. While another worker renews, this
        one waits a little, and then goes on with what it has: the vendor says whether that is still good. Never raises
        a RemoteError of the renewal; what `build` raises passes."""
        if not renewable(account, self._now()) or not self._due(source, account):
            return account
        waited = 0.0
        while True:
            turn = self._turn(source.secret)
            if turn.lease_until > self._now():
                if waited >= self._patience:
                    return account
                self._sleep(0.25)
                waited += 0.25
                continue
            if self._hopeless(turn, source.secret):
                return account
            try:
                held = self._claim(source.secret, turn)
            except ConflictError:
                continue
            return self._alone(source, held, build)

    def reconsider(self, source: SourceConfig) -> None:
        """Read the secret anew; where it was replaced since a renewal failed, that failure is no news any more. Raises
        MisconfiguredError and UnavailableError where it cannot be read."""
        self._credentials.forget(source.secret)
        if Use.RENEWAL in self._health.known(source.id).uses:
            turn = self._turn(source.secret)
            about = turn.refused or turn.asked
            if about and about != _fingerprint(self._credentials.credentials(source.secret)):
                self._health.forget(source.id, Use.RENEWAL)

    def _due(self, source: SourceConfig, account: Any) -> bool:
        """It is time, or the vendor said of the token that we use that it has expired."""
        if account.refresh_due(self._now()):
            return True
        said = [seen for seen in self._health.known(source.id).uses.values() if seen.health.state is TokenState.EXPIRED]
        return bool(said) and max(seen.since for seen in said) > self._turn(source.secret).renewed_at

    def _hopeless(self, turn: _Turn, secret: str) -> bool:
        """Tried a moment ago, or refused for good with the very credentials that are there."""
        if turn.not_before > self._now():
            return True
        return turn.refused is not None and turn.refused == _fingerprint(self._credentials.credentials(secret))

    def _alone(self, source: SourceConfig, held: _Turn, build: Callable[[], Account]) -> Account:
        """With the turn ours. The secret is read again: whoever had the turn before may have renewed it."""
        self._credentials.forget(source.secret)
        after: dict[str, Any] = {}
        try:
            account = build()
            document = self._credentials.credentials(source.secret)
            if self._due(source, account) and held.refused != _fingerprint(document):
                after = self._renew(source, held, account, document)
                account = build() if "renewed_at" in after else account
        finally:
            self._settle(source.secret, held, after)
        return account

    def _renew(self, source: SourceConfig, held: _Turn, account: Any, document: Mapping[str, object]) -> dict[str, Any]:
        """Ask the vendor, once; what the row says afterwards."""
        mark = _fingerprint(document)
        lost = held.asked == mark
        unsaved = self._unsaved.get(source.secret)
        if unsaved and unsaved[0] == mark:  # this very process has the answer that could not be kept
            return self._keep(source, held, document, unsaved[1]) or {}
        again = {"not_before": self._now() + int(BACKOFF * 1000)}
        try:
            self._credentials.stage(source.secret, document, self._request(source.secret, held, "stage"))
        except RemoteError as error:
            state = TokenState.EXPIRING if isinstance(error, MisconfiguredError) else TokenState.TRANSIENT
            self._tell(source, state, f"the access token is not renewed: {error}")
            return again
        self._settle(source.secret, held, {"asked": mark, "lease_until": held.lease_until})
        if held.lease_until - self._now() < MARGIN * 1000:
            return {"asked": mark if lost else None}  # too slow: the turn may be another's before the answer is here
        try:
            renewed = dict(account.refresh(self._now()))
        except MisconfiguredError as error:
            state = error.token or TokenState.REVOKED
            self._tell(source, TokenState.REVOKED if lost else state, _refusal(error, lost))
            return {"refused": mark, "asked": None}
        except UnavailableError as error:
            self._tell(source, TokenState.TRANSIENT, f"the access token is not renewed: {error}")
            wait = max(BACKOFF, error.retry_after or 0.0)
            sure = error.retry_after is not None and not lost  # the vendor itself said: not now
            return {"not_before": self._now() + int(wait * 1000), "asked": None if sure else mark}
        except RemoteError as error:
            self._tell(source, TokenState.TRANSIENT, f"it is not known whether the access token was renewed: {error}")
            return again
        return self._keep(source, held, document, renewed) or again

    def _keep(
        self, source: SourceConfig, held: _Turn, old: Mapping[str, object], new: Mapping[str, object]
    ) -> dict[str, Any] | None:
        """Put the renewed document in force; None where that failed, and what the vendor gave is lost."""
        secret, request = source.secret, self._request(source.secret, held, "put")
        why = ""
        for attempt in range(_SAVES):
            try:
                if self._replaced(secret, old):
                    break  # an administrator's hand was faster: theirs counts
                self._credentials.replace(secret, new, request)
                break
            except RemoteError as error:
                why = str(error)
                self._sleep(0.2 * 2**attempt)
        else:
            self._unsaved[secret] = (_fingerprint(old), dict(new))
            self._tell(source, TokenState.REVOKED, f"the vendor renewed the access token, but {why}: grant it anew")
            return None
        self._unsaved.pop(secret, None)
        self._tell(source, TokenState.OK, "")
        return {"renewed_at": self._now(), "asked": None, "refused": None, "not_before": 0}

    def _replaced(self, secret: str, old: Mapping[str, object]) -> bool:
        """Whether the secret says something else than what was renewed. Where it cannot be read, it is not known to."""
        self._credentials.forget(secret)
        try:
            return _fingerprint(self._credentials.credentials(secret)) != _fingerprint(old)
        except UnavailableError:
            return False

    def _tell(self, source: SourceConfig, state: TokenState, detail: str) -> None:
        self._health.note(source.id, Use.RENEWAL, TokenHealth(state, detail))

    def _turn(self, secret: str) -> _Turn:
        row = self._table.get(*_key(secret)) or {}
        names = ("attempt", "lease_until", "not_before", "renewed_at", "asked", "refused")
        return _Turn(**{name: row[name] for name in names if name in row})

    def _claim(self, secret: str, turn: _Turn) -> _Turn:
        """Take the turn. Raises ConflictError where another did."""
        until = self._now() + int(LEASE * 1000)
        self._table.update(
            *_key(secret),
            "SET attempt = :next, lease_until = :until, #type = :type, #schema = :schema",
            {":next": turn.attempt + 1, ":until": until, ":type": "token", ":schema": 1}
            | ({":was": turn.attempt} if turn.attempt else {}),
            "attempt = :was" if turn.attempt else "attribute_not_exists(attempt)",
            {"#type": "type", "#schema": "schema"},
        )
        return _Turn(turn.attempt + 1, until, turn.not_before, turn.renewed_at, turn.asked, turn.refused)

    def _settle(self, secret: str, held: _Turn, after: Mapping[str, Any]) -> None:
        """Write what became of it and, unless told otherwise, give the turn back. Somebody else's turn is left be."""
        said = {"lease_until": 0, **after}
        kept = {name: value for name, value in said.items() if value is not None}
        gone = [name for name, value in said.items() if value is None]
        expression = f"SET {', '.join(f'#{name} = :{name}' for name in kept)}"
        expression += f" REMOVE {', '.join(f'#{name}' for name in gone)}" if gone else ""
        values = {f":{name}": value for name, value in kept.items()} | {":was": held.attempt}
        try:
            self._table.update(*_key(secret), expression, values, "attempt = :was", {f"#{name}": name for name in said})
        except ConflictError:
            return

    def _request(self, secret: str, held: _Turn, step: str) -> str:
        return digest("renewal", secret, str(held.attempt), str(held.lease_until), step, length=32)


class Care:
    """Accounts as workers use them: with a fresh access token, and each call leaves word of how it went."""

    def __init__(self, table: Table, credentials: Credentials, now: Callable[[], int]) -> None:
        self.health = TableHealth(table, now)
        self.tokens = Tokens(table, credentials, self.health, now=now)
        self._now = now

    def of(self, source: SourceConfig, build: Callable[[], Any]) -> Any:
        """The account of a source. Raises what `build` raises."""
        account = self.tokens.fresh(source, build(), build)
        return Watched(account, self.health.notes_of(source.id), self._now)


def _key(secret: str) -> tuple[str, str]:
    return f"TOKEN#{secret}", "META"


def _fingerprint(document: Mapping[str, object]) -> str:
    """Tells two documents apart, and says nothing about either."""
    return digest("credentials", canonical(document), length=26)


def _refusal(error: MisconfiguredError, lost: bool) -> str:
    if not lost:
        return f"the access token is not renewed: {error}"
    return f"an earlier renewal's answer may have got lost, and the vendor refuses another: {error}; grant access anew"
