"""A system that cannot be built answers every call with the reason."""

from __future__ import annotations

import time
from typing import Any

import pytest

from connectors.aws.systems import Systems
from connectors.core.errors import MisconfiguredError, UnavailableError
from connectors.core.plan import SystemConfig
from connectors.core.ports import CaseDraft
from connectors.roundup.connector import Roundup

GOOD = SystemConfig.of("stack/T", "roundup", "hailback/tracker", {"BaseUrl": "https://tracker.example/support/"})


class Config:
    def __init__(self, system: SystemConfig | None) -> None:
        self._system = system

    def system(self, name: str, with_deleted: bool = False) -> SystemConfig | None:
        return self._system


class Documents:
    def __init__(self, document: dict[str, Any] | Exception) -> None:
        self.document, self.forgotten = document, []

    def credentials(self, secret: str) -> dict[str, Any]:
        if isinstance(self.document, Exception):
            raise self.document
        return self.document

    def forget(self, secret: str) -> None:
        self.forgotten.append(secret)


def build(system: SystemConfig | None, document: Any) -> Any:
    config: Any = Config(system)
    found: Any = Documents(document)
    return Systems(config, found, allow_private=False, call_seconds=20).system("stack/T", time.monotonic() + 50)


def test_a_complete_system_is_its_connector() -> None:
    assert isinstance(build(GOOD, {"username": "bot", "password": "p"}), Roundup)


@pytest.mark.parametrize(
    ("system", "document", "error", "words"),
    [
        (None, {}, MisconfiguredError, "stack/T is not deployed"),
        (SystemConfig.of("stack/T", "nope", "s", {}), {}, MisconfiguredError, "no connector nope"),
        (GOOD, {"username": "bot"}, MisconfiguredError, "hailback/tracker/credentials: password"),
        (GOOD, {"username": "bot", "password": {"very": "secret"}}, MisconfiguredError, "credentials: password"),
        (GOOD, UnavailableError("cannot be read now"), UnavailableError, "cannot be read now"),
        (GOOD.model_copy(update={"settings": {}}), {"username": "b", "password": "p"}, MisconfiguredError, "BaseUrl"),
    ],
)
def test_what_is_wrong_is_said_by_every_call(system: Any, document: Any, error: type[Exception], words: str) -> None:
    built = build(system, document)
    draft = CaseDraft("case-1", "title", "2026-11-20T10:00:00Z", "c")
    calls: list[Any] = [
        lambda: built.reserve("record"),
        lambda: built.upsert(draft, "key", None),
        lambda: built.find("key"),
    ]
    for call in calls:
        with pytest.raises(error, match=words) as raised:
            call()
        assert "secret" not in str(raised.value).replace("hailback", "")
