"""A connector's own fields in a template: `BaseUrl` there is `base_url` in the connector's `settings_model`.

Turns pydantic's errors into our sentences. Values are never repeated in them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel, SecretStr, ValidationError

_PASSWORD_IN_URL = re.compile(r"[a-z][a-z0-9+.-]*://[^/\s]*@", re.IGNORECASE)
_HOLE = re.compile(r"\$\{[^}]*\}")
_REMEDIES = {
    "missing": ("is missing.", "Write {field}; this connector needs it."),
    "extra_forbidden": ("is not a field.", "Remove it."),
    "string_type": ("is not one text.", "Write one text, in quotes and without brackets."),
    "float_parsing": ("is not a number.", "Write a number such as 50, in digits and without a unit."),
    "float_type": ("is not a number.", "Write a number such as 50, in digits and without a unit."),
    "int_parsing": ("is not a whole number.", "Write one such as 50, in digits and without a unit."),
    "greater_than": ("is not greater than {gt}.", "Write a greater number."),
    "greater_than_equal": ("is less than {ge}.", "Write {ge} or more."),
    "less_than": ("is not less than {lt}.", "Write a smaller number."),
    "less_than_equal": ("is greater than {le}.", "Write {le} or less."),
    "too_short": ("has {actual_length} entries.", "Write {min_length} or more."),
    "too_long": ("has {actual_length} entries.", "Write {max_length} or fewer."),
    "string_too_short": ("is too short.", "Write {min_length} or more characters, or remove the field."),
    "string_too_long": ("is too long.", "Write {max_length} characters or fewer."),
    "string_pattern_mismatch": ("has not the form {pattern}.", "Write it in that form."),
    "literal_error": ("is none of the values that it may have.", "Write {expected}."),
    "bool_parsing": ("is neither true nor false.", "Write true or false."),
}
"""By pydantic's name of the error: what is wrong, and what to do. https://docs.pydantic.dev/latest/errors/validation_errors/"""


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
    findings += [
        Finding(name, f"holds {hole[0][:80]}, which nothing fills in.", "Write !Sub before the text.")
        for name, value in given.items()
        if isinstance(value, str) and (hole := _HOLE.search(value))
    ]
    if findings:
        return {}, findings
    try:
        settings = model.model_validate({names[name]: value for name, value in given.items()})
    except ValidationError as error:
        shown = {key: name for name, key in names.items()}
        faults = [dict(fault) for fault in error.errors(include_url=False, include_input=False)]
        found = _findings(faults, shown, model)
        mappings = {name for name, value in given.items() if isinstance(value, Mapping)} & {
            _field(one) for one in found if "." not in one.path
        }
        return {}, [
            *(Finding(name, "is a mapping.", "Write one text, or texts in brackets.") for name in sorted(mappings)),
            *(one for one in found if _field(one) not in mappings),
        ]
    return settings.model_dump(mode="json", by_alias=True), []


def _field(finding: Finding) -> str:
    return finding.path.partition("[")[0].partition(".")[0]


def pascal(field: str) -> str:
    """`base_url` → `BaseUrl`; `BaseUrl` stays."""
    return "".join(part[:1].upper() + part[1:] for part in field.split("_"))


def _findings(faults: list[dict[str, Any]], shown: Mapping[str, str], model: type[BaseModel]) -> list[Finding]:
    """A sentence for each, but none for a list that is short only because its entries are wrong."""
    places = [tuple(fault["loc"]) for fault in faults]
    return [
        _finding(fault, shown, model)
        for fault, place in zip(faults, places, strict=True)
        if fault["type"] != "too_short" or not any(other[: len(place)] == place != other for other in places)
    ]


def _finding(fault: Mapping[str, Any], shown: Mapping[str, str], model: type[BaseModel]) -> Finding:
    first, *rest = fault["loc"] or ("Properties",)
    path = shown.get(str(first), str(first)) + "".join(
        f"[{step}]" if isinstance(step, int) else f".{pascal(str(step))}" for step in rest
    )
    if fault["type"] == "extra_forbidden" and (near := _meant(model, fault["loc"])):
        return Finding(path, _REMEDIES["extra_forbidden"][0], f"Did you mean {near}?")
    if fault["type"] in _REMEDIES:
        sentence, remedy = _REMEDIES[fault["type"]]
        said = {"field": path, **fault.get("ctx", {})}
        return Finding(path, sentence.format(**said), remedy.format(**said))
    message = str(fault["msg"]).removeprefix("Value error, ").removeprefix("Assertion failed, ")
    message = re.sub(r"^Input ", "the value ", message).strip().rstrip(".")
    # Our own connectors say what is wrong and, after a semicolon, what to write.
    what, _, remedy = message.partition("; ")
    return Finding(path, f"{what}.", f"{remedy[:1].upper()}{remedy[1:]}." if remedy else "Correct it.")


def _meant(model: type[BaseModel], place: Sequence[int | str]) -> str | None:
    """The field of the mapping at `place` that its last step was probably to be; None where nothing is close."""
    from connectors.core.plan_reading import closest  # which imports this module

    here: type[BaseModel] | None = model
    for step in place[:-1]:
        if here is not None and not isinstance(step, int):  # a list's entries are of one kind
            named = {pascal(field): info.annotation for field, info in here.model_fields.items()}
            here = _model_in(named.get(pascal(step)))
    return None if here is None else closest(f"{place[-1]}", list(setting_names(here)))


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model that an annotation is, or holds, as `list[Model]` and `Model | None` do."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for one in get_args(annotation) if (found := _model_in(one))), None)
