"""A post of ours in a case's conversation: the echo of an answer that Hailback sent, or a person's own."""

from __future__ import annotations

from connectors.aws.table import Table
from connectors.core.case import Effect, EffectState
from connectors.core.models import Mention

_UNDER_WAY = frozenset({EffectState.CLAIMED, EffectState.UNKNOWN})


def answer(table: Table, case: str, mention: Mention) -> Effect | None:
    """The line of the ledger that this post of ours was sent for: by its key, which is there before the post is, or by
    the receipt."""
    same = (one for one in _replies(table, case) if one.key == mention.answer_key or one.reference == mention.native_id)
    return next(same, None)


def under_way(table: Table, case: str, mention: Mention) -> bool:
    """Whether an answer is being sent that this post may be: a vendor may show it before its receipt is written."""
    return mention.answer_key is None and any(one.state in _UNDER_WAY for one in _replies(table, case))


def _replies(table: Table, case: str) -> list[Effect]:
    return [Effect.model_validate(item) for item in table.query(f"CASE#{case}", "EFFECT#reply#")]
