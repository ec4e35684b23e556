"""Reads a CloudFormation template as text: its parameters, and the secrets that its sources and systems name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from connectors.core import token


@dataclass(frozen=True, slots=True)
class WantedSecrets:
    """Full names of the secrets that a template's resources need before it is deployed; `connectors` says what kind of
    source each is for."""

    sources: tuple[str, ...]
    systems: tuple[str, ...]
    connectors: Mapping[str, str] = field(default_factory=dict)


def declared_parameters(template: Path) -> frozenset[str]:
    """The names of the template's parameters."""
    return frozenset(_read(template).get("Parameters") or {})


def wanted_secrets(template: Path, systems: str | None = None) -> WantedSecrets:
    """What a template's `Secret` fields come to, with its parameters' defaults; of systems only those with the
    connector `systems`, if one is named."""
    document = _read(template)
    defaults = {name: (one or {}).get("Default") for name, one in (document.get("Parameters") or {}).items()}
    found: dict[str, list[str]] = {"Custom::Source": [], "Custom::System": []}
    whole = {"Custom::Source": token.verification_secret, "Custom::System": token.credentials_secret}
    kinds: dict[str, str] = {}
    for resource in document["Resources"].values():
        kind = resource.get("Type")
        if kind == "Custom::System" and systems not in {None, (resource.get("Properties") or {}).get("Connector")}:
            continue
        if kind in found and (name := _value((resource.get("Properties") or {}).get("Secret"), defaults)):
            found[kind].append(whole[kind](name))
            kinds[whole[kind](name)] = str((resource.get("Properties") or {}).get("Connector"))
    sources, desks = (tuple(dict.fromkeys(found[kind])) for kind in ("Custom::Source", "Custom::System"))
    return WantedSecrets(sources, desks, kinds)


def _value(given: object, defaults: Mapping[str, Any]) -> str | None:
    if isinstance(given, dict) and set(given) == {"Ref"}:
        given = defaults.get(str(given["Ref"]))
    return given if isinstance(given, str) else None


class _Loader(yaml.SafeLoader):
    """Knows CloudFormation's short forms: `!Ref x` is `{"Ref": "x"}`, any other `!Y x` is `{"Fn::Y": x}`."""


def _short_form(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        assert isinstance(node, yaml.MappingNode)  # noqa: S101 - yaml has three kinds of nodes
        value = loader.construct_mapping(node, deep=True)
    return {"Ref" if suffix == "Ref" else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _short_form)


@cache
def _read(template: Path) -> dict[str, Any]:
    document: dict[str, Any] = yaml.load(template.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506 - is safe
    return document
