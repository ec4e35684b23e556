"""Names are spread evenly over partitions: over the queue's groups, of which each takes one case at a time."""

from __future__ import annotations

from collections import Counter

import pytest

from connectors.core.case import shard


@pytest.mark.parametrize("count", [2, 8, 32, 64])
def test_every_partition_gets_its_share(count: int) -> None:
    shares = Counter(shard(f"case-{number}", count) for number in range(count * 500))
    assert set(shares) == set(range(count))
    assert min(shares.values()) > 350
    assert max(shares.values()) < 650


def test_a_name_stays_where_it_is_from_version_to_version() -> None:
    assert [shard(name) for name in ("case-a", "case-b", "ä")] == [6, 3, 4]
