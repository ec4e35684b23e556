"""What goes wrong at the stand-in, and what its answers are made of. Standard library only."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

FAULTS = ("drop", "timeout", "lost", "409", "412", "429", "500", "503", "500 after commit")


@dataclass
class Faults:
    """What goes wrong, at random but the same for the same seed. `rates`: fault → share of the requests.

    `drop`, `timeout` and `500 after commit` carry the request out and lose the answer; `lost` loses the request; a
    number is answered and nothing is done. `script` comes before any dice, one a request. `down` refuses everything.
    """

    rates: dict[str, float] = field(default_factory=dict)
    seed: int = 0
    script: list[str] = field(default_factory=list)
    down: bool = False
    methods: tuple[str, ...] = ("GET", "POST", "PUT", "DELETE")

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)  # noqa: S311 - not for secrecy
        if unknown := [name for name in (*self.rates, *self.script) if name not in (*FAULTS, "")]:
            raise ValueError(f"no such fault: {unknown[0]}; there are {', '.join(FAULTS)}")

    def throw(self, method: str) -> str:
        """The fault of the next request, or nothing."""
        if self.down:
            return "lost"
        if method not in self.methods:
            return ""
        if self.script:
            return self.script.pop(0)
        roll = self._random.random()
        for name, rate in self.rates.items():
            if roll < rate:
                return name
            roll -= rate
        return ""


@dataclass
class Answer:
    """`fate`: what the connection does with it: `drop` closes it unanswered, `timeout` holds it first."""

    status: int
    body: Any
    headers: dict[str, str] = field(default_factory=dict)
    fate: str = ""


class Refusal(Exception):  # noqa: N818 - an answer, not a failure
    def __init__(self, status: int, error: str, description: str = "") -> None:
        super().__init__(error)
        self.answer = Answer(status, {"error": error, "description": description})
