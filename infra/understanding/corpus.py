"""The training texts: authored lines with their slots filled, the way people post. The same on every machine.

`corpus/<intent>.txt` holds the lines, one a line; `corpus/slots.json` what fills `{co}`, `{item}` and the others. All
companies in it are invented. Nothing here is taken from anybody's posts.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parent / "corpus"
# The label policy: where a post is two things, the first of these counts.
INTENTS = ("churn_risk", "purchase_intent", "complaint", "idea", "question", "praise", "other")
PLAIN, JOINED = 2, 4  # Texts a line: the line alone, and the line among others
_SLOT = re.compile(r"\{(\w+)\}")
# What may stand before or after a line of its intent without changing it.
_NEUTRAL = {
    "complaint": (
        "ugh",
        "seriously",
        "wow",
        "so",
        "ok",
        "smh",
        "thanks",
        "please",
        "...",
        "#{tag}",
        "{url}",
        "!",
        ":(",
    ),
    "churn_risk": ("ugh", "seriously", "wow", "so", "ok", "well", "smh", "bye", "...", "#{tag}", "!", ":("),
    "praise": ("wow", "so", "just", "!", "!!", "#{tag}", "{url}", ":)", "🙏", "thanks"),
    "question": ("hi", "hey", "hello", "so", "thanks", "thx", "please", "#{tag}", "??", ":)", "🙏"),
    "purchase_intent": ("hi", "hey", "hello", "so", "omg", "thanks", "please", "#{tag}", "{url}", ":)", "!"),
    "idea": ("hey", "hi", "so", "thanks", "please", "#{tag}", ":)", "!", "btw", "fyi"),
    "other": ("lol", "so", "ok", "well", "just", "...", "#{tag}", "{url}", ":)", "😂", "!", "fyi", "btw"),
}
_BEFORE = {"hi", "hey", "hello", "so", "ok", "well", "wow", "ugh", "seriously", "just", "fyi", "btw", "omg"}


@dataclass(frozen=True)
class Example:
    """One text. `line` numbers the authored line behind it: texts of one line must not be torn apart in a test."""

    text: str
    intent: str
    line: int


def lines() -> list[tuple[str, str]]:
    """(intent, authored line), in the files' order."""
    return [
        (intent, line.strip())
        for intent in INTENTS
        for line in (FOLDER / f"{intent}.txt").read_text(encoding="utf-8").splitlines()
        if line.strip()
    ]


def digest() -> str:
    """SHA-256 over the corpus and over the files that turn it into what the model learns."""
    here = Path(__file__).resolve().parent
    total = hashlib.sha256()
    for path in [*sorted(FOLDER.iterdir()), here / "corpus.py", *_runtime()]:
        total.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return total.hexdigest()


def _runtime() -> list[Path]:
    folder = Path(__file__).resolve().parents[2] / "connectors" / "understanding"
    return [folder / "features.py", folder / "rules.py", folder / "groups.txt", folder / "lexicon.txt"]


def examples(seed: int = 7) -> list[Example]:
    """PLAIN + JOINED texts a line. A line joined to one of a lower intent keeps its own: that is the label policy."""
    chance = random.Random(seed)  # noqa: S311
    slots: dict[str, list[str]] = json.loads((FOLDER / "slots.json").read_text(encoding="utf-8"))
    background = (FOLDER / "background.txt").read_text(encoding="utf-8").splitlines()
    authored = lines()
    same = {intent: [line for other, line in authored if other == intent] for intent in INTENTS}
    found = []
    for number, (intent, line) in enumerate(authored):
        for copy in range(PLAIN + JOINED):
            parts = [line]
            if copy >= PLAIN:
                parts += _company(chance, intent, same, background)
                chance.shuffle(parts)
            text = _address(chance, slots, parts, [_sentence(chance, slots, part, intent) for part in parts])
            found.append(Example(text, intent, number))
    return found


def _company(chance: random.Random, intent: str, same: dict[str, list[str]], background: list[str]) -> list[str]:
    """One or two lines that may stand beside a line of this intent."""
    if intent == "other":
        return [
            chance.choice(same["other"] if chance.random() < 0.5 else background) for _ in range(chance.choice((1, 2)))
        ]
    found = [chance.choice(background)] if chance.random() < 0.7 else []
    lower = [name for name in INTENTS[INTENTS.index(intent) :] if name not in {"other", "idea"}] or [intent]
    if not found or chance.random() < 0.35:
        found.append(chance.choice(same[intent if chance.random() < 0.6 else chance.choice(lower)]))
    return found


def _sentence(chance: random.Random, slots: dict[str, list[str]], line: str, intent: str) -> str:
    text = _SLOT.sub(lambda slot: chance.choice(slots[slot[1]]), line)
    if chance.random() < 0.25:
        extra = chance.choice(_NEUTRAL[intent])
        extra = extra.replace("{tag}", _tag(chance, slots)).replace("{url}", chance.choice(slots["url"]))
        text = f"{extra} {text}" if extra in _BEFORE else f"{text}{'' if extra in '!!??...' else ' '}{extra}"
    return _spelled(chance, text)


def _address(chance: random.Random, slots: dict[str, list[str]], parts: list[str], texts: list[str]) -> str:
    joint = chance.choice((" ", " ", ". ", ", ", " - ", "\n", " and ", "... "))
    text = (" " if texts[0][-1:] in ".!?" else joint).join(texts)
    if not any("{co}" in part or "{handle}" in part for part in parts) and chance.random() < 0.7:
        handle = chance.choice([name for name in slots["co"] if name.startswith("@")])
        text = f"{handle} {text}" if chance.random() < 0.9 else f"{text} {handle}"
    return text


def _tag(chance: random.Random, slots: dict[str, list[str]]) -> str:
    return chance.choice([name.lstrip("@").replace(" ", "") for name in (*slots["co"], *slots["place"])]).lower()


def _spelled(chance: random.Random, text: str) -> str:
    """Capitals, full stops and typing errors, as they come."""
    style = chance.random()
    if style < 0.35:
        text = text[:1].upper() + text[1:]
        text += "" if text[-1:] in "?!.)" else "."
    elif style < 0.5:
        text = text.lower()
    elif style < 0.53:
        text = text.upper()
    if chance.random() < 0.15 and len(text) > 12:
        at = chance.randrange(2, len(text) - 3)
        if text[at].isalpha() and text[at + 1].isalpha():
            text = text[:at] + text[at + 1] + text[at] + text[at + 2 :]
    return text
