"""Patterns and events that belong together by a hair: an event is made to fit its pattern, then often spoilt a bit."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

NAMES = ("a", "b", "c", "d-e", "k.l", "ü")
TEXTS = (
    "",
    "a",
    "A",
    "ab",
    "aB",
    "abc",
    "ABC",
    "b",
    "bab",
    "abab",
    "a*b",
    "a\\b",
    "é",
    "É",
    "straße",
    "STRASSE",
    "\u017f",
    "K",
    "5",
    "5.0",
    "true",
    "null",
    "10.0.0.1",
    "Ɱx",
    "日本",
    "😀a",
    "a b\n",
    'q"uote',
    "İ",
    "\u0131",
    "ς",
    "Σ",
    "x" * 9,
    "ﬁ",
)
OPERATORS = (
    *("prefix", "suffix", "cidr", "equals-ignore-case"),
    *2 * ("wildcard", "anything-but", "exists", "numeric"),
)
NUMBERS = (0, 1, -1, 5, 5.0, 5.5, 4.999999, 5.000001, -2.5, 100, 1e3, 2_147_483_648, 4.9e9, -5e9, 5e9, 0.1, 0.3)
ADDRESSES = (
    "10.0.0.1",
    "10.0.0.255",
    "10.0.1.0",
    "11.0.0.1",
    "2001:db8::1",
    "2001:db9::1",
    "::1",
    "10.0.0",
    "fe80::1%e",
)
CIDRS = ("10.0.0.0/24", "10.0.0.0/8", "10.0.0.1/32", "2001:db8::/32", "0.0.0.0/0", "::/0", "10.0.0.128/25")


class Generator:
    """One seed, one row of pairs. `lists`: whether events have objects in lists."""

    def __init__(self, seed: int, *, lists: bool = True) -> None:
        self._dice = random.Random(seed)
        self._lists = lists

    def pair(self) -> tuple[dict[str, Any], dict[str, Any]]:
        pattern = self.pattern()
        return pattern, self.event(pattern)

    # ---- patterns

    def pattern(self, depth: int = 0, used: frozenset[str] = frozenset()) -> dict[str, Any]:
        """No field stands beside a `$or` and in it too: we refuse that, and EventBridge would drop one of the two."""
        dice = self._dice
        made: dict[str, Any] = {}
        names = [name for name in NAMES if name not in used]
        dice.shuffle(names)
        for name in names[: dice.choice((1, 1, 2, 2, 3))]:
            if depth < 2 and dice.random() < 0.25:
                made[name] = self.pattern(depth + 1)
            else:
                made[name] = self._values()
        left = frozenset(made) | used
        if dice.random() < 0.2 and depth < 2 and len(NAMES) - len(left) >= 2:
            made["$or"] = [self.pattern(2, left) for _ in range(dice.choice((2, 2, 3)))]
        return dict(dice.sample(list(made.items()), len(made)))

    def _values(self) -> list[Any]:
        return [self._value() for _ in range(self._dice.choice((1, 1, 1, 2, 3)))]

    def _value(self) -> Any:
        dice = self._dice
        if dice.random() < 0.4:
            return dice.choice((dice.choice(TEXTS), dice.choice(NUMBERS), True, False, None))
        operator = dice.choice(OPERATORS)
        if operator in {"prefix", "suffix"}:
            text = dice.choice(TEXTS)
            return {operator: {"equals-ignore-case": text} if dice.random() < 0.4 else text}
        operands: dict[str, Callable[[], Any]] = {
            "wildcard": self._wildcard,
            "anything-but": self._anything_but,
            "exists": lambda: dice.random() < 0.5,
            "numeric": self._numeric,
            "cidr": lambda: dice.choice(CIDRS),
            "equals-ignore-case": lambda: dice.choice(TEXTS),
        }
        return {operator: operands[operator]()}

    def _wildcard(self) -> str:
        dice = self._dice
        pieces = [
            dice.choice(TEXTS).replace("\\", "\\\\").replace("*", "\\*") for _ in range(dice.choice((1, 2, 2, 3, 4)))
        ]
        return "*".join([pieces[0], *(piece or "b" for piece in pieces[1:-1]), *pieces[1:][-1:]])

    def _numeric(self) -> list[Any]:
        low, high = sorted(self._dice.sample(sorted(set(NUMBERS)), 2))
        one = [self._dice.choice(("=", "<", "<=", ">", ">=")), low]
        return self._dice.choice((one, [self._dice.choice((">", ">=")), low, self._dice.choice(("<", "<=")), high]))

    def _anything_but(self) -> Any:
        dice = self._dice
        many = dice.random() < 0.5
        count = dice.choice((1, 2, 3))
        if dice.random() < 0.5:
            pool: tuple[Any, ...] = TEXTS if dice.random() < 0.6 else NUMBERS
            return [dice.choice(pool) for _ in range(count)] if many else dice.choice(pool)
        operator = dice.choice(("prefix", "suffix", "equals-ignore-case", "wildcard"))
        texts = [dice.choice(TEXTS) or "a" for _ in range(count)]
        if operator == "wildcard":
            texts = [self._wildcard() for _ in range(count)]
        return {operator: texts if many else texts[0]}

    # ---- events

    def event(self, pattern: dict[str, Any]) -> dict[str, Any]:
        event = self._object(pattern)
        if self._dice.random() < 0.3:
            event.setdefault(self._dice.choice(NAMES), self._spoil("a"))
        return event

    def _object(self, pattern: dict[str, Any]) -> dict[str, Any]:
        dice = self._dice
        made: dict[str, Any] = {}
        for name, wanted in pattern.items():
            if name == "$or":
                for choice in dice.sample(wanted, dice.choice((1, 1, 2))):
                    made.update(self._object(choice))
            elif isinstance(wanted, dict):
                made[name] = self._object(wanted)
                if self._lists and dice.random() < 0.5:
                    made[name] = [self._object(wanted) for _ in range(dice.choice((0, 1, 2, 3)))]
                    if dice.random() < 0.2:
                        made[name] = [made[name], self._object(wanted)]
            else:
                self._leaf(made, name, wanted)
        if dice.random() < 0.05:
            made = dict(reversed(made.items()))
        return made

    def _leaf(self, made: dict[str, Any], name: str, wanted: list[Any]) -> None:
        dice = self._dice
        value = self._fitting(dice.choice(wanted))
        if value is ...:
            if dice.random() < 0.8:
                return
            value = "here"
        if dice.random() < 0.3:
            value = self._spoil(value)
        roll = dice.random()
        if roll < 0.12:
            value = [value, self._spoil(value)]
        elif roll < 0.15:
            value = []
        elif roll < 0.18:
            value = {"inner": value} if roll < 0.165 else {}
        elif roll < 0.2:
            return
        if "." in name and dice.random() < 0.5:
            first, _, rest = name.partition(".")
            made[first] = {rest: value}
            return
        made[name] = value

    def _fitting(self, wanted: Any) -> Any:
        """A value that fits, as a rule; `...` for none at all."""
        dice = self._dice
        if not isinstance(wanted, dict):
            return wanted
        [(operator, operand)] = wanted.items()
        if operator == "exists":
            return dice.choice((None, "", 5, "a", False)) if operand else ...
        if operator == "numeric":
            return operand[1] + dice.choice((0, 0.000001, -0.000001, 1, -1, 0.5))
        if operator == "cidr":
            return dice.choice(ADDRESSES)
        if operator == "anything-but":
            flat = operand
            while isinstance(flat, dict | list):
                flat = next(iter(flat.values())) if isinstance(flat, dict) else flat[0]
            return dice.choice((flat, None, 5, "zz", f"{flat}x", f"x{flat}", True))
        text = operand["equals-ignore-case"] if isinstance(operand, dict) else operand
        if operator == "wildcard":
            text = text.replace("\\*", "\0").replace("\\\\", "\\")
            return text.replace("*", dice.choice(("", "b", "a\n", "*", text[:2]))).replace("\0", "*")
        if isinstance(operand, dict) or operator == "equals-ignore-case":
            text = dice.choice((text.upper(), text.lower(), text.swapcase(), text.title(), text.casefold()))
        more = {"prefix": text + dice.choice(TEXTS), "suffix": dice.choice(TEXTS) + text}
        return more.get(operator, text)

    def _spoil(self, value: Any) -> Any:
        dice = self._dice
        if isinstance(value, str) and value and dice.random() < 0.6:
            at = dice.randrange(len(value))
            return value[:at] + dice.choice(("", "x", "a", value[at].swapcase())) + value[at + 1 :]
        if type(value) in {int, float} and dice.random() < 0.6:
            return dice.choice((value + 1, -value, str(value), float(value), value + 1e-6))
        return dice.choice((None, True, False, "", dice.choice(TEXTS), dice.choice(NUMBERS), "TRUE", "5"))
