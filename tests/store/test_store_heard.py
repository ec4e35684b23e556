"""What is heard by the hour, and how credentials are, in tables that know DynamoDB's reserved words."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from connectors.aws.health import TableHealth, register_action, registered
from connectors.aws.heard import TableHeard, hour_of
from connectors.core.health import TokenHealth, TokenState, Use
from tests.store.conftest import Backend
from tests.store.shop import Shop

NOW, HOUR = 1_795_000_000_000, 3_600_000


def test_posts_are_counted_in_their_hour_by_workers_side_by_side(shop: Shop, backend: Backend) -> None:
    heard = TableHeard(shop.table)
    with ThreadPoolExecutor(8 if backend.simultaneous else 1) as pool:
        list(pool.map(lambda number: heard.add("routes/Acme", 2, NOW - number % 3 * HOUR), range(30)))
    heard.add("routes/Acme", 1, NOW - 40 * HOUR)
    now = hour_of(NOW)
    assert heard.hours("routes/Acme") == {now: 20, now - 1: 20, now - 2: 20, now - 40: 1}
    assert heard.hours("routes/Other") == {}


def test_what_two_uses_tell_at_once_is_both_kept(shop: Shop, backend: Backend) -> None:
    health = TableHealth(shop.table, lambda: NOW)
    told = [(Use.POLL, TokenState.OK), (Use.REPLY, TokenState.REVOKED), (Use.CHECK, TokenState.EXPIRING)]
    with ThreadPoolExecutor(3 if backend.simultaneous else 1) as pool:
        list(pool.map(lambda one: health.note("routes/Acme", one[0], TokenHealth(one[1], "why", NOW + 1)), told))
    known = health.known("routes/Acme")
    assert {use: seen.health.state for use, seen in known.uses.items()} == dict(told)


def test_one_worker_tries_the_credentials_out(shop: Shop, backend: Backend) -> None:
    health = TableHealth(shop.table, lambda: NOW)
    with ThreadPoolExecutor(6 if backend.simultaneous else 1) as pool:
        claims = list(pool.map(lambda _: health.claim_check("routes/Acme", 3500.0), range(6)))
    assert claims.count(True) == 1
    assert TableHealth(shop.table, lambda: NOW + HOUR).claim_check("routes/Acme", 3500.0)


def test_sources_are_listed_once(shop: Shop) -> None:
    for name in ("routes/B", "routes/A", "routes/B"):
        shop.table.transact([register_action(shop.table, name)])
    assert registered(shop.table) == ["routes/A", "routes/B"]
