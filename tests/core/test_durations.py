"""How long something took, as a person says it."""

from __future__ import annotations

import pytest

from connectors.core.durations import spoken


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 seconds"),
        (-5, "0 seconds"),
        (1, "1 second"),
        (60, "1 minute"),
        (192, "3 minutes 12 seconds"),
        (3_600, "1 hour"),
        (7_325, "2 hours 2 minutes"),
        (90_000, "1 day 1 hour"),
    ],
)
def test_a_time_is_said_in_two_parts_at_most(seconds: int, said: str) -> None:
    assert spoken(seconds) == said
