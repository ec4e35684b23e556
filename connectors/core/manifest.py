"""What a connector says about itself: `connector.json` in its folder. The contract test holds the connector to it, and
`hailback connectors` shows it.

    {
      "title": "Acme Talk",                the vendor's own spelling
      "status": "described",               what the connector has been proven against, see `STATUS`
      "proof": "One sentence: proven against what, and against what not.",
      "events": {                          each event that has a sample `events/<vendor>/<event>__<case>.json`
        "post_created": "mention",         → what it becomes: mention, deletion, record_update, hint, unsupported, or
        "post_liked": "unsupported",         private: never read by us and never kept (`Unsupported` with `keep_raw`
        "whispered": "private"               False), such as a direct message
      },
      "unset": {                           each field of a `Mention` (of a `RecordUpdate`, for a system that pushes)
        "title": "Posts have none.",       that no sample fills → why; an author's as "author.followers"
      }
    }

A system of record that is only asked has no events and nothing unset.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from connectors.core.models import Mention, RecordUpdate

_FOLDER = Path(__file__).resolve().parents[1]
_EVENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}", re.ASCII)
_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}", re.ASCII)
_ALWAYS = frozenset({"type", "connector", "native_id", "reference"})

Becomes = Literal["mention", "deletion", "record_update", "hint", "unsupported", "private"]
NOT_ACTED_ON: frozenset[Becomes] = frozenset({"unsupported", "private"})
Status = Literal["real", "described", "recorded"]

STATUS: dict[Status, str] = {
    "real": "run against the vendor's own software",
    "described": "held to the vendor's published API description, and to a stand-in that keeps state",
    "recorded": "held to recorded or documented payloads, and to a stand-in",
}


class ManifestError(ValueError):
    """A manifest cannot be used; one sentence that names the file, the field and the remedy."""


def fillable(kind: type[Mention | RecordUpdate]) -> frozenset[str]:
    """The fields of an event that a vendor may have nothing for; those of its author as `author.<field>`."""
    own = {name for name, field in kind.model_fields.items() if not field.exclude} - _ALWAYS
    of_author = {"handle", "name", "followers"} if kind is Mention else {"handle", "name"}
    return frozenset(own | {f"author.{name}" for name in of_author})


_FIELDS = fillable(Mention) | fillable(RecordUpdate)


def _sentence(value: str) -> str:
    text = value.strip()
    if len(text.split()) < 3 or "\n" in text:
        raise ValueError("must be one sentence")
    return text


def _event(value: str) -> str:
    if not _EVENT.fullmatch(value) or "__" in value:
        raise ValueError("is not the beginning of a sample's file name: letters, digits, '.', '-' and single '_'")
    return value


def _field(value: str) -> str:
    if value not in _FIELDS:
        raise ValueError("is not a field of a mention or of a record's update")
    return value


Sentence = Annotated[str, AfterValidator(_sentence), Field(max_length=500)]


class Manifest(BaseModel):
    """See the module's docstring."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str = Field(min_length=1, max_length=60)
    status: Status
    proof: Sentence
    events: dict[Annotated[str, AfterValidator(_event)], Becomes] = Field(default_factory=dict)
    unset: dict[Annotated[str, AfterValidator(_field)], Sentence] = Field(default_factory=dict)


def load(connector: str) -> Manifest:
    """A connector's manifest. Raises ManifestError."""
    if not _NAME.fullmatch(connector):
        raise ManifestError(f"{connector!r} is not the name of a connector")
    path = _FOLDER / connector / "connector.json"
    where = f"connectors/{connector}/connector.json"
    try:
        text = path.read_text(encoding="utf-8")
    except OSError:
        raise ManifestError(f"{where} is missing; connectors/core/manifest.py says what stands in it") from None
    return read(text, where)


def read(text: str, where: str) -> Manifest:
    """A manifest from its text; `where` names it in errors. Raises ManifestError."""
    try:
        document = json.loads(text, object_pairs_hook=_once)
    except _TwiceError as error:
        raise ManifestError(f"{where}: {error} stands in it twice; take one out") from None
    except ValueError as error:
        raise ManifestError(f"{where} is not JSON: {error}") from None
    try:
        return Manifest.model_validate(document)
    except ValidationError as error:
        raise ManifestError(f"{where}: {'; '.join(_faults(error))}") from None


class _TwiceError(Exception):
    pass


def _once(pairs: Iterable[tuple[str, object]]) -> dict[str, object]:
    """Of two members with one name JSON would keep the second and say nothing."""
    found: dict[str, object] = {}
    for name, value in pairs:
        if name in found:
            raise _TwiceError(json.dumps(name))
        found[name] = value
    return found


def _faults(error: ValidationError) -> list[str]:
    faults = []
    for fault in error.errors(include_url=False, include_input=False):
        path = ".".join(str(step) for step in fault["loc"] if step != "[key]") or "the document"
        said = {"missing": "is missing", "extra_forbidden": "is not a field of a manifest"}.get(fault["type"])
        faults.append(f"{path} {said or fault['msg'].removeprefix('Value error, ')}")
    return faults
