"""JMESPath expressions that an administrator wrote, and that take what strangers sent. Pure.

An expression changes nothing and reaches nothing outside the delivery. How much work one may be is bounded here.
https://jmespath.org/specification.html
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Annotated, Any

from jmespath.exceptions import JMESPathError  # type: ignore[import-untyped]
from jmespath.functions import Functions  # type: ignore[import-untyped]
from jmespath.parser import Parser  # type: ignore[import-untyped]
from jmespath.visitor import TreeInterpreter  # type: ignore[import-untyped]
from pydantic import AfterValidator

from connectors.core.errors import PayloadError

LONGEST = 500
"""Characters of an expression."""
_STEPS = 2_000_000
"""Visits of one delivery, and values that expressions made of it: about a second of work. Ordinary mappings take under
a hundred for each event."""
_MAKES = {"multi_select_list", "multi_select_dict", "function_expression", "flatten"} | {
    f"{kind}projection" for kind in ("", "value_", "filter_")
}


def compiled(expression: str) -> Any:
    """Its syntax tree. Raises ValueError with a sentence that says where it is wrong."""
    if len(expression) > LONGEST:
        raise ValueError(f"is longer than {LONGEST} characters; write a shorter one")
    try:
        tree = Parser().parse(expression).parsed
        for name, given in _calls(tree):
            wanted = Functions.FUNCTION_TABLE.get(name, {}).get("signature")
            if wanted is None:
                raise ValueError("calls a function that JMESPath does not have; see jmespath.org for those that it has")
            if given < len(wanted) or (given > len(wanted) and not wanted[-1].get("variadic")):
                raise ValueError(f"gives {name} {given} arguments; it takes {len(wanted)}")
        with suppress(JMESPathError):  # a function may want another type than None
            _Bounded(_STEPS).visit(tree, None)
    except JMESPathError as error:
        what, at = getattr(error, "token_type", None) or "character", getattr(error, "lex_position", 0)
        raise ValueError(f"is not JMESPath: {what} is not expected at character {at + 1}; try it out first") from None
    except (RecursionError, PayloadError):
        raise ValueError("is nested too deep; write a shorter one") from None
    return tree


def _checked(expression: str) -> str:
    compiled(expression)
    return expression


Expression = Annotated[str, AfterValidator(_checked)]
"""A JMESPath expression in a source's settings."""


class Reader:
    """Reads one delivery with expressions."""

    def __init__(self) -> None:
        self._bounded = _Bounded(_STEPS)

    def ask(self, expression: str, holder: object) -> Any:
        """What it gives; None for nothing, and where its functions do not fit the values. Raises PayloadError where
        that is too much work."""
        try:
            return self._bounded.visit(Parser().parse(expression).parsed, holder)
        except PayloadError:
            raise
        except (JMESPathError, ArithmeticError, TypeError, ValueError, LookupError, AttributeError, RecursionError):
            return None


class _Bounded(TreeInterpreter):  # type: ignore[misc]
    """Counts what is done. What an expression makes is weighed: lists of lists of one thing grow without bounds."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self._left = steps

    def visit(self, node: Any, *args: Any, **kwargs: Any) -> Any:
        found = super().visit(node, *args, **kwargs)
        self._left -= 1
        if node["type"] in _MAKES:
            self._weigh(found)
        if self._left < 0:
            raise PayloadError("the mapping's expressions make too much of this delivery; write simpler ones")
        return found

    def _weigh(self, found: Any) -> None:
        self._left -= len(found) if isinstance(found, str) else 0
        waiting = [found]
        while waiting and self._left >= 0:
            one = waiting.pop()
            self._left -= 1
            if isinstance(one, list | dict):
                waiting.extend(one if isinstance(one, list) else one.values())


def _calls(node: Any) -> Iterator[tuple[str, int]]:
    """Each function that is called, and with how many arguments."""
    if node.get("type") == "function_expression":
        yield node["value"], len(node["children"])
    for child in node.get("children", ()):
        if isinstance(child, dict):
            yield from _calls(child)
