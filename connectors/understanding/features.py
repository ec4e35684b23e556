"""What the model sees of a text. Training and run time share this file: change it, and train anew.

A text becomes a list of numbers below BUCKETS, each a hash of something seen: a word, two words in a row, a word's
group (`groups.txt`), a turn of phrase (`rules.py`), its tone (`lexicon.txt`), the text's shape. Standard library only.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from zlib import crc32

from connectors.understanding.rules import RULES

BUCKETS = 1 << 16
MAX_CHARACTERS = 2_000  # What is further in is not read: it bounds the time, and a post says early what it wants
FOLDER = Path(__file__).resolve().parent

_MARKED = re.compile(
    r"(?P<url>(?:https?://|www\.|\b(?:bit\.ly|t\.co)/)\S+)"
    r"|(?P<at>@\w[\w.]*)"
    r"|(?P<tag>\#(?=\w))"
    r"|(?P<money>[$£€]\s?\d[\d.,]*|\b\d[\d.,]*\s?(?:dollars|bucks|quid|pounds|euros|eur|usd|gbp)\b)"
    r"|(?P<code>\b(?=[a-z]*\d)(?=\d*[a-z])[a-z0-9]{4,}\b)"
    r"|(?P<number>\d[\d.,:]*)"
    r"|(?P<smile>[:;]-?[)d](?!\w)|<3)"
    r"|(?P<frown>:'?-?[(/](?!/))"
    r"|(?P<word>[^\W\d_]+(?:'[^\W\d_]+)?)"
    r"|(?P<mark>\?|!|\.{2,})"
    r"|(?P<emoji>[\u2600-\u27bf\U0001f300-\U0001faff])"
)
_SIGNS = {"url": "<url>", "at": "<at>", "tag": "<tag>", "money": "<money>", "code": "<code>", "number": "<0>"}
_LONG = re.compile(r"(.)\1{2,}")
_SHORT = {
    "u": "you", "ur": "your", "r": "are", "pls": "please", "plz": "please", "thx": "thanks", "tx": "thanks",
    "ty": "thanks", "ya": "you", "wat": "what", "hw": "how", "dat": "that", "dis": "this", "cuz": "because",
    "bc": "because", "b/c": "because", "im": "i'm", "ive": "i've", "dont": "don't", "cant": "can't",
    "wont": "won't", "doesnt": "doesn't", "didnt": "didn't", "isnt": "isn't", "wasnt": "wasn't",
    "havent": "haven't", "hasnt": "hasn't", "cannot": "can't", "canceled": "cancelled", "canceling": "cancelling",
    "rn": "now", "2day": "today", "acct": "account", "msg": "message", "hrs": "hours", "hr": "hour",
    "mins": "minutes", "min": "minute", "yrs": "years", "wanna": "want", "gonna": "going", "favorite": "favourite",
    "gr8": "great", "wknd": "weekend", "cust": "customer", "svc": "service", "luv": "love", "tho": "though",
}  # fmt: skip


@cache
def lexicon() -> dict[str, int]:
    """Tone of a word in tenths, -39 … 39: VADER's lexicon (C. J. Hutto, MIT), see NOTICE.txt."""
    lines = (FOLDER / "lexicon.txt").read_text(encoding="utf-8").split("\n")
    return {word: int(tone) for word, _, tone in (line.partition(" ") for line in lines) if tone}


@cache
def _groups() -> dict[str, tuple[str, ...]]:
    """Word → the names of its groups."""
    found: dict[str, tuple[str, ...]] = {}
    for line in (FOLDER / "groups.txt").read_text(encoding="utf-8").splitlines():
        name, colon, words = line.partition(":")
        if colon and not name.startswith("#"):
            for word in words.split():
                found[word] = (*found.get(word, ()), name)
    return found


def bucket(name: str) -> int:
    """The same on every machine, unlike `hash`. A lone surrogate is a text like any other."""
    return crc32(name.encode("utf-8", "surrogatepass")) & (BUCKETS - 1)


def tokens(text: str) -> list[str]:
    """Words in lower case, signs like `<url>`, marks. Only the first MAX_CHARACTERS are read."""
    plain = html.unescape(text[:MAX_CHARACTERS]).replace("\u2019", "'").lower()
    found = []
    for match in _MARKED.finditer(plain):
        kind = match.lastgroup or "word"
        token = _SIGNS.get(kind) or match[0]
        if kind == "word":
            token = _LONG.sub(r"\1\1", token)
            token = _SHORT.get(token, token)
        found.append({"smile": "<smile>", "frown": "<frown>"}.get(kind, token))
    return found


def is_word(token: str) -> bool:
    return token[0].isalpha()


def features(text: str) -> list[int]:
    """Distinct buckets, in order. Empty for a text in which nothing is seen."""
    words = tokens(text)
    if not words:
        return []
    found = {bucket(f"w:{word}") for word in words}
    found.update(bucket(f"b:{first} {second}") for first, second in zip(["^", *words], [*words, "$"], strict=True))
    found.update(bucket(name) for name in _signals(text, words))
    return sorted(found)


def derived(text: str) -> set[int]:
    """Those of the buckets that training holds back (DERIVED there): pairs, tone and shape, many and alike."""
    return {bucket(name) for name in _signals(text, tokens(text) or [" "]) if name[0] in "pts"}


def _signals(text: str, words: list[str]) -> Iterator[str]:
    """Everything that is not spelling: groups and pairs of them, rules, tone, shape."""
    groups = sorted({group for word in words for group in _groups().get(word, ())})
    rules = [name for name, rule in RULES.items() if rule.search(" ".join(words))]
    yield from (f"g:{group}" for group in groups)
    yield from (f"r:{rule}" for rule in rules)
    marks = sorted({word for word in words if word in {"?", "!", "<url>", "<at>", "<tag>", "<money>", "<0>"}})
    named = [*groups, *marks, *(f"r{rule}" for rule in rules)]
    yield from (f"p:{named[i]} {other}" for i in range(len(named)) for other in named[i + 1 :])
    yield from _tone(words)
    yield from _shape(text, words)


def _tone(words: list[str]) -> Iterator[str]:
    tones = lexicon()
    total, negative, positive = 0, 0, 0
    for index, word in enumerate(words):
        tone = tones.get(word, 0)
        if tone and "not" in (
            name for before in words[max(0, index - 2) : index] for name in _groups().get(before, ())
        ):
            tone = -tone * 3 // 4
        total += tone
        negative += tone < 0
        positive += tone > 0
    yield f"t:sum {max(-4, min(4, round(total / 15)))}"
    yield f"t:neg {min(negative, 3)}"
    yield f"t:pos {min(positive, 3)}"
    yield f"t:both {negative > 0} {positive > 0}"


def _shape(text: str, words: list[str]) -> Iterator[str]:
    plain = [word for word in words if is_word(word)]
    length = sum(len(plain) > limit for limit in (0, 1, 3, 6))
    yield f"s:length {length}"
    yield f"s:first {words[0]}"
    yield f"s:asks {words.count('?') and 1} {length}"
    yield f"s:ends {words[-1] if not is_word(words[-1]) else 'word'}"
    yield f"s:at {min(words.count('<at>'), 3)} {words[0] == '<at>'}"
    yield f"s:url {'<url>' in words} {'<at>' in words}"
    if plain:
        yield f"s:opens {plain[0]}"
        yield f"s:opens {' '.join(plain[:2])}"
    mine = any("self" in _groups().get(word, ()) for word in words)
    yours = any("you" in _groups().get(word, ()) for word in words) or "<at>" in words
    yield f"s:who {mine} {yours}"
    if sum(len(part) > 2 and part.isupper() for part in text[:MAX_CHARACTERS].split()) > 1:
        yield "s:loud"
