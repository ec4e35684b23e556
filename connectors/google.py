"""How Google's APIs refuse: `{"error": {"errors": [{"reason": "quotaExceeded"}], "status": …}}`.

https://developers.google.com/youtube/v3/docs/errors and https://cloud.google.com/apis/design/errors
"""

from __future__ import annotations

from connectors.core.door import read_json
from connectors.core.reading import dig, text
from connectors.http import Response

DAILY = {"quotaExceeded", "dailyLimitExceeded"}
"""Reasons: what was granted for the day is used up. They come with 403, as a lack of permissions does."""
SLOWER = {"rateLimitExceeded", "userRateLimitExceeded"}
"""Reasons: too much at once."""


def reason(answer: Response) -> str:
    """Why a request was refused; "" where it was not, or nothing is said."""
    if answer.status < 400:
        return ""
    try:
        return text(dig(read_json(answer.body), "error", "errors", 0, "reason")) or ""
    except ValueError:
        return ""
