"""What a route can ask of a mention: the document that its `When` is matched against. Pure.

Every field is always there, None where the channel or the machine does not tell, so that `exists` and null mean the
same for every source.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

from connectors.core.models import Mention
from connectors.core.understanding import Intent

Facts = Mapping[str, Any]
"""As `facts` makes it."""

FieldType = Literal["text", "number", "boolean", "time"]

FIELDS: dict[str, FieldType] = {
    "source": "text",
    "connector": "text",
    "authority": "text",
    "kind": "text",
    "conversation": "text",
    "title": "text",
    "text": "text",
    "url": "text",
    "language": "text",
    "own": "boolean",
    "created_at": "time",
    "author.id": "text",
    "author.handle": "text",
    "author.name": "text",
    "author.followers": "number",
    "intent": "text",
    "confidence": "number",
    "person.known": "boolean",
    "person.mentions": "number",
}
"""Path → type. `metrics.<name>` are numbers, under the names that the vendor gives them."""

NOT_BUILT: dict[str, str] = {
    "sentiment": "Remove it; nothing judges sentiment yet. intent tells complaint from praise.",
    "urgency": "Remove it; nothing judges urgency yet.",
    "time": "Remove it; calendars are not built yet.",
    "person.cases": "Remove it; person.mentions counts what the same author said before.",
}
"""Fields that administrators may expect, and what to do instead."""

INTENTS: tuple[str, ...] = get_args(Intent)
CLOSED: dict[str, tuple[str | bool | None, ...]] = {
    "intent": (*INTENTS, None),
    "kind": ("post", "reply", "quote", None),
    "own": (False,),
    "person.known": (True, False, None),
}
"""Fields that have no other values. What we say ourselves is not routed, so `own` is false in all that is."""
MOST_COUNTED = 100
"""`person.mentions` counts no further."""


def field_type(path: str) -> FieldType | None:
    """The type of a field by its path; None for one that mentions do not have."""
    if path.startswith("metrics.") and path.count(".") == 1 and path != "metrics.":
        return "number"
    return FIELDS.get(path)


def facts(
    mention: Mention,
    source: str | Sequence[str],
    *,
    intent: str | None = None,
    confidence: float | None = None,
    person_mentions: int | None = None,
    person_cases: int | None = None,
) -> Facts:
    """The document. `source` is the id of the administrators' source (`stack/logicalId`, what `!Ref` gives); several
    where several of them saw the mention: a route is then meant where it names any of these.

    `person_mentions` and `person_cases` count what the same author said here before; None where that is not known."""
    author = mention.author
    return {
        "source": source if isinstance(source, str) or len(source) != 1 else source[0],
        "connector": mention.connector,
        "authority": mention.authority,
        "kind": mention.kind,
        "conversation": mention.conversation,
        "title": mention.title,
        "text": mention.text,
        "url": mention.url,
        "language": mention.language,
        "own": mention.own,
        "created_at": mention.created_at.isoformat() if mention.created_at else None,
        "author": {
            "id": author.native_id if author else None,
            "handle": author.handle if author else None,
            "name": author.name if author else None,
            "followers": author.followers if author else None,
        },
        "metrics": dict(mention.metrics),
        "intent": intent,
        "confidence": confidence,
        "person": {
            "known": None if person_mentions is None else person_mentions > 0,
            "mentions": person_mentions,
            "cases": person_cases,
        },
    }
