"""What administrators write, and what the secret holds: a mistake in either is a sentence that repeats no secret."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr, ValidationError

import connectors
from connectors.core.plan_settings import read_settings, setting_names
from tests.contract.registered import NAMES, given

TELLTALE = ("secret", "token", "password", "key")
WRONG: tuple[Any, ...] = ({"no": {"field": "takes this"}}, [{}], "\x00", "https://user:hunter2@host.example/")
each = pytest.mark.parametrize("name", NAMES)
each_that_calls = pytest.mark.parametrize(
    "name", [name for name in NAMES if {name} & {*connectors.SYSTEMS, *connectors.REPLIERS, *connectors.POLLERS}]
)


def settings_models(name: str) -> set[type[BaseModel]]:
    return {kind.settings_model for kind in kinds(name)}


def kinds(name: str) -> list[Any]:
    """Every class that is registered under this name."""
    places = (
        (connectors.SOURCES, connectors.source),
        (connectors.SYSTEMS, connectors.system),
        (connectors.REPLIERS, connectors.replier),
        (connectors.POLLERS, connectors.poller),
    )
    return [load(name) for registry, load in places if name in registry]


def credentials_models(name: str) -> set[type[BaseModel]]:
    found = {
        getattr(kind, at, None) for kind in kinds(name) for at in ("credentials_model", "replier_credentials_model")
    }
    return {model for model in found if model is not None}


@each
def test_all_parts_of_a_connector_share_one_model_of_its_settings(name: str) -> None:
    """An administrator writes them once."""
    assert len(settings_models(name)) == 1


@each
def test_what_the_readme_needs_is_enough(name: str) -> None:
    (model,) = settings_models(name)
    plain, findings = read_settings(model, given(name).settings)
    assert findings == []
    assert read_settings(model, plain) == (plain, []), "what is kept in the table can be read again"
    assert model.model_validate(json.loads(json.dumps(plain)))


@each
def test_no_setting_is_a_secret(name: str) -> None:
    """Settings stand in a template."""
    (model,) = settings_models(name)
    for field, info in model.model_fields.items():
        assert "SecretStr" not in str(info.annotation), field
        assert not any(word in field.split("_") for word in TELLTALE), field


@each
def test_a_wrong_field_gives_a_sentence_that_names_it(name: str) -> None:
    (model,) = settings_models(name)
    right = dict(given(name).settings)
    required = {setting for setting, field in _fields(model).items() if model.model_fields[field].is_required()}
    for setting in required:
        _, found = read_settings(model, {one: value for one, value in right.items() if one != setting})
        assert [finding.path for finding in found] == [setting]
        _plain_sentence(str(found[0]))
    for setting in setting_names(model):
        for wrong in WRONG:
            plain, found = read_settings(model, {**right, setting: wrong})
            if found:
                assert all(finding.path.startswith(setting) for finding in found)
                _plain_sentence(" ".join(map(str, found)))
            else:
                assert isinstance(wrong, str), (setting, wrong)
                assert "hunter2" not in json.dumps(plain)
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        model.model_validate({**right, "NoSuchField": "1"})


@each_that_calls
def test_the_credentials_of_the_contract_are_taken_and_hidden(name: str) -> None:
    document = {key: value if not isinstance(value, str) else value + "-hunter2" for key, value in _document(name)}
    for model in credentials_models(name):
        held = model.model_validate(document)
        hidden = [field for field in model.model_fields if isinstance(getattr(held, field), SecretStr)]
        assert hidden, "nothing in it is hidden"
        for field in hidden:
            assert getattr(held, field).get_secret_value() not in repr(held)


@each_that_calls
def test_a_wrong_credential_is_refused_without_repeating_it(name: str) -> None:
    for model in credentials_models(name):
        document = dict(_document(name))
        for wrong in ({**document, "no_such_member": "hunter2"}, {key: {"a": "hunter2"} for key in document}):
            with pytest.raises(ValidationError) as caught:
                model.model_validate(wrong)
            told = [(fault["loc"], fault["msg"]) for fault in caught.value.errors(include_input=False)]
            assert told
            assert "hunter2" not in str(told)


def _fields(model: type[BaseModel]) -> dict[str, str]:
    aliases = {info.alias or field: field for field, info in model.model_fields.items()}
    return {setting: aliases[key] for setting, key in setting_names(model).items()}


def _document(name: str) -> list[tuple[str, Any]]:
    found = list(given(name).credentials.items())
    assert found, "GIVEN.credentials is empty, but this connector calls its vendor"
    return found


def _plain_sentence(text: str) -> None:
    assert len(text.split()) > 3
    assert "\n" not in text
    assert "hunter2" not in text
    assert "validation error" not in text
