"""How a document of an administrator is read: what both a resource's fields and a plan's routes need of that.

No value of an unknown field is ever repeated: it may be a password in the wrong place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel

from connectors.core.plan_settings import Finding

MOST_STANDBYS = 5
"""Systems, or topics, of one route: what happens at once to all of them has to fit into one transaction."""
SYSTEM_ID = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,127}/[A-Za-z0-9]{1,255}")
"""`stack/logicalId`, of a source as well."""

_ENVELOPE = ("ServiceToken", "ServiceTimeout", "Revision")
_CLOSE = "Did you mean {}?"
_LOOKS_SECRET = re.compile(r"passw|token|credential|api_?key|secret|auth", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The registered connectors of one kind: their names, and the settings that each takes."""

    names: Collection[str]
    settings_model: Callable[[str], type[BaseModel]]
    polls: Callable[[str], bool] = lambda _: False
    """Whether a connector can be asked what happened."""
    pushes: Callable[[str], bool] = lambda _: False
    """Whether a connector tells by webhook what happened."""
    verifies: Callable[[str], bool] = lambda _: True
    """Whether a secret verifies its deliveries. Where none does, they only hint at what is then fetched."""
    asks_as_somebody: Callable[[str], bool] = lambda _: True
    """Whether a connector that is asked, or fetches what is hinted at, cannot do without credentials."""
    answers_as_somebody: Callable[[str, Mapping[str, Any]], bool] = lambda *_: False
    """Whether a connector, set so, takes our answers and cannot give them without credentials."""
    kind: str = "source"
    others: Collection[str] = ()
    """The names of those that are registered as the other kind only."""


@dataclass(frozen=True, slots=True)
class Grants:
    """What the machine was granted when it was deployed; resources outside are findings that name the parameter.

    `refused_host` says why a system may not be at this host, or None where it may, as far as can be told unasked.
    `topic_regions`: the regions of topics; none where that is not known here.
    """

    secrets_prefix: str
    topics_prefix: str
    refused_host: Callable[[str], str | None] = lambda _: None
    topic_regions: tuple[str, ...] = ()


def closest(word: str, words: Collection[str]) -> str | None:
    """The known word that was probably meant, whatever its capitals; None where nothing is close."""
    folded = {known.lower(): known for known in words}
    close = get_close_matches(word.lower(), list(folded), n=1, cutoff=0.6)
    return folded[close[0]] if close else None


def unfamiliar(
    given: Mapping[str, object],
    fields: Collection[str],
    not_built: Mapping[str, str],
    path: str,
    envelope: Collection[str] = _ENVELOPE,
    meant: Mapping[str, str] | None = None,
) -> list[Finding]:
    """Keys that are none of `fields`: what was meant instead, or why it is not there yet.

    `meant`: what other tools call a field, in small letters → ours."""
    findings = []
    for key in given:
        if key in fields or key in envelope:
            continue
        if key in not_built:
            findings.append(Finding(f"{path}{key}", "is not built yet.", not_built[key]))
            continue
        where = f"{path}{short(key)}"
        near = (meant or {}).get(key.lower()) or closest(
            key, [*fields, *not_built, *(name for name in envelope if name == "Revision")]
        )
        # Closer than that: what only ends in Token is more likely a secret.
        near = next(iter(get_close_matches(key, envelope, 1, 0.9)), near)
        if near and near in not_built:
            findings.append(Finding(where, f"is not a field; {near} would be, but is not built yet.", not_built[near]))
        elif near:
            findings.append(Finding(where, "is not a field.", _CLOSE.format(near)))
        elif _LOOKS_SECRET.search(key):
            remedy = "Never write secrets into a template; keep them in Secrets Manager and name them in Secret."
            findings.append(Finding(where, "is not a field.", remedy))
        else:
            findings.append(Finding(where, "is not a field.", f"Remove it, or use one of: {', '.join(fields)}."))
    return findings


def misspelt(findings: Collection[Finding], path: str, field: str) -> bool:
    """Whether `field` is there under a wrong name: then it is not missing as well."""
    said = _CLOSE.format(field)
    return any(one.remedy == said and one.path.rpartition(".")[0] == path.rstrip(".") for one in findings)


def told_once(findings: list[Finding]) -> list[Finding]:
    """Without those that call a field missing whose misspelt name is a finding already."""
    return [one for one in findings if one.sentence != "is missing." or not misspelt(findings, *_parted(one.path))]


def _parted(path: str) -> tuple[str, str]:
    above, _, field = path.rpartition(".")
    return above, field


def text_of(given: Mapping[str, object], key: str, path: str, findings: list[Finding], remedy: str) -> str | None:
    """A scalar as text; a finding, and None, where it is missing or none."""
    value = given.get(key)
    if value is None or value == "":
        findings.append(Finding(f"{path}{key}", "is missing.", remedy))
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        return str(value)
    findings.append(Finding(f"{path}{key}", f"is {kind_of(value)} instead of one text.", remedy))
    return None


def kind_of(value: object) -> str:
    """What a value is, for people."""
    return "a list" if isinstance(value, list) else "a mapping" if isinstance(value, Mapping) else "another value"


def list_of(
    given: Mapping[str, object], key: str, path: str, findings: list[Finding], example: str, most: int = MOST_STANDBYS
) -> list[str]:
    """A list of at most `most` different texts, at least one; with findings where it is not."""
    where, value = f"{path}.{key}", given.get(key)
    if value is None:
        findings.append(Finding(where, "is missing.", f"Write {example}."))
        return []
    if value in ([], ""):
        findings.append(Finding(where, "is empty.", f"Write {example}."))
        return []
    if not isinstance(value, list):
        what = "one text" if isinstance(value, str) else kind_of(value)
        findings.append(Finding(where, f"is {what} instead of a list of texts.", f"Write {example}."))
        return []
    odd = [(index, item) for index, item in enumerate(value) if not isinstance(item, str)]
    for index, item in odd:
        findings.append(Finding(f"{where}[{index}]", f"is {kind_of(item)} instead of one text.", f"Write {example}."))
    if odd:
        return []
    for index, item in enumerate(value):
        if item in value[:index]:
            findings.append(Finding(f"{where}[{index}]", f"'{short(item)}' is named twice.", "Remove one of them."))
    if len(value) > most:
        findings.append(
            Finding(where, f"{len(value)} are written, over the limit of {most}.", f"Keep the {most} that matter most.")
        )
    return value


def stem_of(prefix: str) -> str:
    """What the names begin with that were granted."""
    return prefix.removesuffix("*")


def short(text: str, longest: int = 80) -> str:
    """Printable, and no longer than that."""
    clean = "".join(character if character.isprintable() else "?" for character in text)
    return clean if len(clean) <= longest else f"{clean[:longest]}…"
