"""How long X counts a text, and what in it X makes a link. Pure.

The weights are those of twitter-text's configuration 3, which X documents: 280 in all; an address counts 23, an emoji 2
however many code points it has, Latin letters and common punctuation 1, everything else 2, after composition (NFC).
https://docs.x.com/fundamentals/counting-characters
"""

from __future__ import annotations

import re
import unicodedata

LONGEST = 280
_LINK = 23
_LIGHT = ((0x0000, 0x10FF), (0x2000, 0x200D), (0x2010, 0x201F), (0x2032, 0x2037))
_COMMON = (
    "com|net|org|info|biz|edu|gov|mil|int|name|pro|io|co|me|tv|ai|app|dev|shop|store|online|site|xyz|club|blog|cloud|"
    "tech|news|live|support|email|link|click|page|berlin|hamburg|wien|eu|de|at|ch|uk|us|fr|it|es|nl|be|pl|se|no|dk|fi|"
    "ie|pt|cz|hu|ro|gr|ca|au|nz|jp|cn|in|br|mx|za|ru|ua|tr|kr|sg|hk|tw|ly|gl|gg|fm|to"
)
_PATH = r"(?:[/?#][^\s<>\"]*)?"
_SCHEMED = rf"https?://[^\s<>\"/?#]+\.[^\s<>\"/?#]+{_PATH}"
_BARE = rf"(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+(?P<end>[a-z]{{2,24}})(?![\w@-])(?::[0-9]+)?{_PATH}"
_URL = re.compile(rf"(?<![\w@#$./-])(?:{_SCHEMED}|{_BARE})", re.IGNORECASE)
_KNOWN = re.compile(rf"(?:{_COMMON})", re.IGNORECASE)
_TAIL = ".,;:!?'\")]}…"
_EMOJI = re.compile(
    "(?:[\U0001f1e6-\U0001f1ff]{2}"  # a flag
    "|[0-9#*]\ufe0f?\u20e3"  # a keycap
    "|[\u00a9\u00ae\u203c\u2049\u2122\u2139]\ufe0f"
    "|(?:[\u2190-\u2bff\u3030\u303d\u3297\u3299\U0001f000-\U0001faff])[\ufe0f\U0001f3fb-\U0001f3ff]?[\U000e0020-\U000e007f]*"
    "(?:\u200d[\u2190-\u2bff\U0001f000-\U0001faff][\ufe0f\U0001f3fb-\U0001f3ff]?)*)"
)


def links(text: str) -> list[str]:
    """What X turns into a link, or may: addresses with `https://`, and names like `acme.com/help`. X knows all domains
    that exist; a lower-case `word.word` counts here too: a mistake would cost thirteen times the price."""
    return [found for found, _ in _found(text)]


def weight(text: str) -> int:
    """What X counts, of `LONGEST`."""
    composed = unicodedata.normalize("NFC", text)
    total, at = 0, 0
    for found, start in _found(composed):
        total += _plain(composed[at:start]) + _LINK
        at = start + len(found)
    return total + _plain(composed[at:])


def _found(text: str) -> list[tuple[str, int]]:
    found = []
    for match in _URL.finditer(text):
        end = match["end"]
        if end and not (_KNOWN.fullmatch(end) or match[0].islower()):
            continue  # a new sentence after a full stop: `again.Then`
        found.append((_address(match[0]), match.start()))
    return found


def _address(text: str) -> str:
    """Without the sentence's own punctuation; a bracket that the address itself opened belongs to it."""
    while text[-1] in _TAIL and not (text[-1] == ")" and text.count("(") >= text.count(")")):
        text = text[:-1]
    return text


def _plain(text: str) -> int:
    rest, emoji = _EMOJI.subn("", text)
    return 2 * emoji + sum(1 if any(low <= ord(one) <= high for low, high in _LIGHT) else 2 for one in rest)
