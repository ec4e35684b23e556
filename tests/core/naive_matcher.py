"""A second matcher, from Amazon's documentation alone and in the plainest way: no index and no cleverness.

It shares no code with `connectors.core.pattern`. It is slow, and supposed to be right at a glance. It takes patterns
that were found to be in order.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Any


def matches(pattern: dict[str, Any], event: dict[str, Any]) -> bool:
    """Whether the event fits the pattern, both as `json.loads` gives them."""
    found = list(leaves(event, "", {}, iter(range(10**9))))
    return any(fits_all(sorted(one.items(), key=utf16), found, {}) for one in alternatives(pattern, ""))


def utf16(item: tuple[str, object]) -> bytes:
    """Fields are looked at in the order of their names, as Java sorts them."""
    return item[0].encode("utf-16-be", "surrogatepass")


def alternatives(given: dict[str, Any], path: str) -> Iterator[dict[str, list[Any]]]:
    """The pattern with each `$or` decided: one flat mapping of path to values for every way to decide."""
    if not given:
        yield {}
        return
    name, *others = given
    rest = {other: given[other] for other in others}
    here = f"{path}.{name}" if path else name
    if name == "$or":
        firsts = [flat for choice in given[name] for flat in alternatives(choice, path)]
    elif isinstance(given[name], dict):
        firsts = list(alternatives(given[name], here))
    else:
        firsts = [{here: given[name]}]
    for first in firsts:
        for more in alternatives(rest, path):
            yield {**first, **more}


def leaves(
    value: Any, path: str, place: dict[int, int], numbers: Iterator[int]
) -> Iterator[tuple[str, Any, dict[int, int]]]:
    """Every value that is neither an object nor a list: its path, itself, and in which element of which list it is."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from leaves(inner, f"{path}.{name}" if path else name, place, numbers)
    elif isinstance(value, list):
        number = next(numbers)
        for index, inner in enumerate(value):
            inside = {**place, number: index} if isinstance(inner, dict | list) else place
            yield from leaves(inner, path, inside, numbers)
    else:
        yield path, value, place


def fits_all(
    fields: list[tuple[str, list[Any]]], found: list[tuple[str, Any, dict[int, int]]], place: dict[int, int]
) -> bool:
    """Try each leaf for the first field, and with its place the other fields."""
    if not fields:
        return True
    (path, wanted), rest = fields[0], fields[1:]
    here = [(value, at) for name, value, at in found if name == path and agree(at, place)]
    if not here and any(one == {"exists": False} for one in wanted):
        return fits_all(rest, found, place)
    return any(fits_all(rest, found, {**place, **at}) for value, at in here if any(fits(one, value) for one in wanted))


def agree(one: dict[int, int], other: dict[int, int]) -> bool:
    return all(other.get(number, index) == index for number, index in one.items())


def fits(wanted: Any, value: Any) -> bool:
    if not isinstance(wanted, dict):
        return same(wanted, value)
    [(operator, operand)] = wanted.items()
    if operator == "exists":
        return operand is True
    if operator == "anything-but":
        if isinstance(operand, dict):
            [(inner, texts)] = operand.items()
            return not any(fits({inner: text}, value) for text in (texts if isinstance(texts, list) else [texts]))
        return not any(same(one, value) for one in (operand if isinstance(operand, list) else [operand]))
    if operator == "numeric":
        return type(value) in {int, float} and all(
            compare(operand[at], value, operand[at + 1]) for at in range(0, len(operand), 2)
        )
    return isinstance(value, str) and text_fits(operator, operand, value)


def text_fits(operator: str, operand: Any, value: str) -> bool:
    if operator == "equals-ignore-case":
        return spelt(operand, value, whole=True)
    if operator == "prefix":
        if isinstance(operand, dict):
            return spelt(operand["equals-ignore-case"], value)
        return value.startswith(operand)
    if operator == "suffix":
        if isinstance(operand, dict):
            tails = (value[at:] for at in range(len(value) + 1))
            return any(spelt(operand["equals-ignore-case"], tail, whole=True) for tail in tails)
        return value.endswith(operand)
    if operator == "wildcard":
        return like(operand, value)
    if operator == "cidr":
        try:
            return "%" not in value and ipaddress.ip_address(value) in ipaddress.ip_network(operand, strict=False)
        except ValueError:
            return False
    raise AssertionError(operator)


def spelt(text: str, value: str, *, whole: bool = False) -> bool:
    """Whether `value` begins with `text` (or is it), each character of which may be in either case."""
    if not text:
        return not whole or not value
    forms = {text[0], text[0].lower(), text[0].upper()}
    return any(value.startswith(form) and spelt(text[1:], value[len(form) :], whole=whole) for form in forms)


def like(wildcard: str, value: str) -> bool:
    """Row by row: which beginnings of `value` the characters of the wildcard so far can stand for."""
    reached = {0}
    characters = iter(wildcard)
    for one in characters:
        if one == "*":
            reached = set(range(min(reached), len(value) + 1)) if reached else set()
            continue
        literal = next(characters) if one == "\\" else one
        reached = {at + 1 for at in reached if value[at : at + 1] == literal}
    return len(value) in reached


def same(wanted: Any, value: Any) -> bool:
    numbers = {int, float}
    if type(wanted) in numbers and type(value) in numbers:
        return bool(wanted == value)
    return type(wanted) is type(value) and bool(wanted == value)


def compare(sign: str, left: float, right: float) -> bool:
    signs = {"=": left == right, "<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right}
    return signs[sign]
