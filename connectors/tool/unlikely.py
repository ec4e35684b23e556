"""Conditions that are allowed and probably not meant as they are written. Pure; warnings, never refusals."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from connectors.core.facts import LANGUAGE
from connectors.core.pattern import Branch, Key
from connectors.core.pattern_operators import Equals, IgnoreCase, Wildcard
from connectors.core.pattern_parse import parse
from connectors.core.plan import Route
from connectors.core.plan_settings import Finding
from connectors.tool.never_told import written

_CLASS = re.compile(r"\[([^\][\s]{1,12})\]")
_FEW = 3
_RANGE = re.compile(r"\^.+|(\w-\w)+")
_ENGLISH = ("en", "eng", "en-US", "en_US", "en-GB", "en_GB", "und", "qme", "zxx")
"""Under these, and whatever follows `en-`, `intent` may be something else than `uncertain`: see
`connectors.understanding.model`."""
_WORDS = frozenset({"title", "text"})


def unlikely(routes: tuple[Route, ...], sources: Mapping[str, str]) -> list[Finding]:
    """What to warn of, with paths such as `Routes[0].When.text`. `sources`: the connector of each source of the file,
    by its id."""
    found: dict[str, Finding] = {}
    for number, route in enumerate(routes):
        if route.when is None:
            continue
        root = f"Routes[{number}].When"
        for one in _bare(route.when, root, ""):
            found.setdefault(one.path, one)
        for branch in parse(route.when).branches:
            for key, sentence, remedy in _odd(branch, sources):
                where = next(written(route.when, key, root), f"{root}.{key.path}")
                found.setdefault(where, Finding(where, sentence, remedy))
    return list(found.values())


def _odd(branch: Branch, sources: Mapping[str, str]) -> Iterator[tuple[Key, str, str]]:
    keys = {key.path: key for key in branch.keys}
    for key in branch.keys:
        yield from ((key, *said) for said in _brackets(key))
    language, intent = keys.get("language"), keys.get("intent")
    if language is not None:
        yield from ((language, *said) for said in _codes(language))
        if intent is not None and not _english(language) and not _fits(intent, "uncertain", None):
            sentence = "is read in English only, and uncertain for the languages beside it: this takes nothing."
            yield intent, sentence, "Ask for words of the text instead, such as text: [{wildcard: '*kündig*'}]."
    if sources:
        yield from _nobodys(keys, sources)


def _nobodys(keys: Mapping[str, Key], sources: Mapping[str, str]) -> Iterator[tuple[Key, str, str]]:
    """Conditions that none of the file's sources fits. Sources that are named one by one are looked for elsewhere."""
    source, kind = keys.get("source"), keys.get("connector")
    exact = source is not None and all(isinstance(test, Equals) for test in source.tests)
    if source is not None and not exact and not _fits(source, *sources):
        remedy = "Write !Ref and the source's name; those of other stacks are not known here."
        yield source, f"fits no source of this file ({', '.join(sorted(sources))}).", remedy
    if kind is not None and not _fits(kind, *sources.values()):
        remedy = "Take it out, or add such a source; those of other stacks are not known here."
        yield kind, f"fits no source of this file: they are of {', '.join(sorted({*sources.values()}))}.", remedy


def _brackets(key: Key) -> Iterator[tuple[str, str]]:
    """What looks like a class of a regular expression; a tag such as `[Bug]` is meant as it is written."""
    for test in key.tests:
        found = _CLASS.search(test.text) if isinstance(test, Wildcard) else None
        if found is None or not isinstance(test, Wildcard):
            continue
        before, signs, after = test.text[: found.start()], found[1], test.text[found.end() :]
        sentence = f"asks for the very signs {found[0]}: a wildcard knows * only."
        if _RANGE.fullmatch(signs):
            yield sentence, f"Leave the sign open: {{wildcard: '{re.sub(r'[*]+', '*', f'{before}*{after}')}'}}."
        elif len(set(signs.lower())) == 1 or (len(signs) <= _FEW and (before[-1:].isalnum() or after[:1].isalnum())):
            both = ", ".join(f"{{wildcard: '{before}{sign}{after}'}}" for sign in list(dict.fromkeys(signs))[:2])
            yield sentence, f"List the spellings: [{both}]."


def _english(language: Key) -> bool:
    """Whether posts that are read for what they want can have such a language."""
    named = [test.value if isinstance(test, Equals) else getattr(test, "text", None) for test in language.tests]
    tags = {name.replace("_", "-").partition("-")[0].lower() for name in named if isinstance(name, str)}
    return not tags.isdisjoint(_ENGLISH) or _fits(language, *_ENGLISH, None)


def _codes(key: Key) -> Iterator[tuple[str, str]]:
    for test in key.tests:
        said = test.value if isinstance(test, Equals) else test.text if isinstance(test, IgnoreCase) else None
        shown = said.lower() if isinstance(said, str) and isinstance(test, IgnoreCase) else said
        if isinstance(shown, str) and not LANGUAGE.fullmatch(shown):
            remedy = f"Write {shown.lower()}." if LANGUAGE.fullmatch(shown.lower()) else "Write a code such as de."
            yield f"'{said[:40]}' is no code of a language as sources tell it.", remedy  # type: ignore[index]


def _bare(when: object, path: str, name: str) -> Iterator[Finding]:
    """Wildcards without an asterisk over words: they fit where the whole text is that."""
    if isinstance(when, Mapping):
        for key, inner in when.items():
            yield from _bare(inner, f"{path}.{key}", key if key != "$or" else name)
    for index, one in enumerate(when if isinstance(when, list) else ()):
        text = one.get("wildcard") if isinstance(one, Mapping) else None
        if name in _WORDS and isinstance(text, str) and "*" not in text:
            sentence = "has no asterisk, so it fits only where that is the whole text."
            yield Finding(path, sentence, f"Write {{wildcard: '*{text}*'}}.")
        elif isinstance(one, Mapping) and name not in _WORDS:
            yield from _bare(one, f"{path}[{index}]", name)


def _fits(key: Key, *values: str | None) -> bool:
    return any(key.fits({key.path: [value]}) for value in values)
