"""A connector's own fields in a template: `BaseUrl` there is `base_url` in the connector's `settings_model`.

Turns pydantic's errors into our sentences. Values are never repeated in them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, SecretStr, ValidationError

_PASSWORD_IN_URL = re.compile(r"[a-z][a-z0-9+.-]*://[^/\s]*@", re.IGNORECASE)
_LISTED = {"missing": "is missing.", "extra_forbidden": "is not a field."}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing wrong with a document: where, what, and what to do. Sentences end with a full stop."""

    path: str
    sentence: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.path}: {self.sentence} {self.remedy}".rstrip()


def setting_names(model: type[BaseModel]) -> dict[str, str]:
    """Template's name of each setting → the key under which the model takes it."""
    names = {}
    for field, info in model.model_fields.items():
        if info.annotation is SecretStr:
            raise TypeError(f"{model.__name__}.{field} is a secret; settings stand in templates, secrets may not")
        names[info.alias or pascal(field)] = info.alias or field
    return names


def read_settings(model: type[BaseModel], given: Mapping[str, object]) -> tuple[dict[str, Any], list[Finding]]:
    """The settings as plain JSON values, defaults filled in, fit for `model.model_validate`; or what is wrong."""
    names = setting_names(model)
    findings = [
        Finding(name, "carries a user name or password.", "Leave that out; secrets belong in Secrets Manager.")
        for name, value in given.items()
        if isinstance(value, str) and _PASSWORD_IN_URL.match(value)
    ]
    if findings:
        return {}, findings
    try:
        settings = model.model_validate({names[name]: value for name, value in given.items()})
    except ValidationError as error:
        shown = {key: name for name, key in names.items()}
        return {}, [_finding(dict(fault), shown) for fault in error.errors(include_url=False, include_input=False)]
    return settings.model_dump(mode="json", by_alias=True), []


def pascal(field: str) -> str:
    """`base_url` → `BaseUrl`."""
    return "".join(part.capitalize() for part in field.split("_"))


def _finding(fault: Mapping[str, Any], shown: Mapping[str, str]) -> Finding:
    first, *rest = fault["loc"] or ("Properties",)
    path = shown.get(str(first), str(first)) + "".join(
        f"[{step}]" if isinstance(step, int) else f".{pascal(str(step))}" for step in rest
    )
    if fault["type"] in _LISTED:
        return Finding(path, _LISTED[fault["type"]], "Write it." if fault["type"] == "missing" else "Remove it.")
    message = str(fault["msg"]).removeprefix("Value error, ").removeprefix("Assertion failed, ")
    message = re.sub(r"^Input ", "the value ", message).strip().rstrip(".")
    return Finding(path, f"{message}.", "Correct it.")
