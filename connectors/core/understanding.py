"""What a post wants, as far as a machine can tell: the interface. `connectors/understanding` implements it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

# In the order in which they count where a post is two things at once.
Intent = Literal["churn_risk", "purchase_intent", "complaint", "idea", "question", "praise", "other", "uncertain"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """`intent` is None where there was nothing to read, and "uncertain" where it was read and not understood.

    `confidence` is the share, 0 … 1, that the model gives to its best guess, also where the guess is too weak to be
    told; 0 where it did not guess. `model` names the model and its version, so that a case can say who judged it.
    """

    intent: Intent | None
    confidence: float
    model: str


class Understanding(Protocol):
    def understand(self, text: str, language: str | None) -> Verdict:
        """`language` is a BCP 47 tag, or None where the source does not tell. Never raises, whatever the text."""
        ...
