"""Reads template.yaml, so that tests use the resources that are deployed and not a copy of them."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml


class _Loader(yaml.SafeLoader):
    """CloudFormation's short forms (`!Ref`, `!Sub`) become their plain value."""


def _tag(loader: yaml.Loader, _suffix: str, node: yaml.Node) -> Any:
    match node:
        case yaml.ScalarNode():
            return loader.construct_scalar(node)
        case yaml.SequenceNode():
            return loader.construct_sequence(node, deep=True)
        case _:
            return loader.construct_mapping(node, deep=True)  # type: ignore[arg-type]


_Loader.add_multi_constructor("!", _tag)


@cache
def resources() -> dict[str, Any]:
    """Everything under `Resources`."""
    text = (Path(__file__).resolve().parents[1] / "template.yaml").read_text(encoding="utf-8")
    found: dict[str, Any] = yaml.load(text, _Loader)["Resources"]
    return found


def table_request(name: str) -> dict[str, Any]:
    """What `create_table` is asked for: keys and indexes as in the template."""
    properties = resources()["Table"]["Properties"]
    names = ("AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "BillingMode")
    return {"TableName": name, **{each: properties[each] for each in names}}
