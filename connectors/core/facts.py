"""What a route can ask of a mention: the document that its `When` is matched against. Pure.

Every field is always there, None where the channel or the machine does not tell, so that `exists` and null mean the
same for every source.
"""

from __future__ import annotations

import re
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
    "place": "text",
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

_MOMENT = (
    "Use created_at instead, in UTC: created_at: [{prefix: '2026-12-24'}] is a day, [{wildcard: '*T09:*'}] an hour."
)
_MOOD = "Use intent instead, such as intent: [complaint, churn_risk]; nothing judges sentiment yet."
NOT_BUILT: dict[str, str] = {
    "sentiment": _MOOD,
    "urgency": "Use intent or words of the text instead, such as intent: [churn_risk]; nothing judges urgency yet.",
    "time": f"{_MOMENT} Calendars come later.",
    "calendar": f"{_MOMENT} Calendars come later.",
    "person.cases": "Use person.mentions instead: how often the same author said something here before.",
}
"""Fields that administrators may expect, and what to do instead."""

_WORDS = "Use text instead, such as text: [{wildcard: '*#refund*'}]."
_PLACE = "Use place, such as place: ['7'] for a forum's category by its number."
ELSEWHERE: dict[str, str] = {
    **dict.fromkeys(("emotion", "mood", "tone"), _MOOD),
    **dict.fromkeys(("body", "content", "message"), "Use text."),
    **dict.fromkeys(("keyword", "keywords", "hashtag", "hashtags"), _WORDS),
    **dict.fromkeys(("network", "platform"), "Use connector for the kind of source, or source for one of them."),
    "channel": "Use place for a channel of a source, connector for a kind of source, or source for one of them.",
    **dict.fromkeys(("board", "category", "category_id", "community", "room", "section", "subreddit"), _PLACE),
    **dict.fromkeys(("category_name", "category_slug"), _PLACE),
    **dict.fromkeys(("date", "day", "hour", "hours", "weekday", "business_hours", "timestamp"), _MOMENT),
    **dict.fromkeys(("label", "labels"), "Remove it; a route gives Labels and cannot ask for them."),
    **dict.fromkeys(("tag", "tags"), f"Remove it; a source's tags are not told. {_WORDS}"),
    "priority": "Remove it; a route gives a Priority and cannot ask for it.",
    **dict.fromkeys(("verified", "location", "country"), "Remove it; mentions do not tell it."),
}
"""Names under which administrators may look for something, by their last part, and where it is."""

LANGUAGE = re.compile(r"[a-z]{2,3}([-_][A-Za-z0-9]{2,8})*", re.ASCII)
"""What sources tell of a language: `de`, `pt_BR`, X's `und` and `qme`."""
LANGUAGES: dict[str, str] = {
    name: code
    for code, names in {
        "en": "english englisch anglais",
        "de": "german deutsch allemand",
        "fr": "french français französisch",
        "es": "spanish español spanisch",
        "it": "italian italiano italienisch",
        "pt": "portuguese português",
        "nl": "dutch nederlands",
        "pl": "polish polski",
        "ja": "japanese 日本語",
        "zh": "chinese 中文",
        "da": "danish dansk",
        "sv": "swedish svenska",
        "tr": "turkish türkçe",
        "ru": "russian русский",
        "uk": "ukrainian українська",
        "cs": "czech čeština",
        "ko": "korean 한국어",
        "ar": "arabic العربية",
    }.items()
    for name in names.split()
}
"""Names that administrators may write in place of the code."""

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
        "place": mention.place,
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
