"""A linear model, one against the rest, weights in int8. `infra/understanding/train.py` writes its two files.

`model.bin`, little-endian: the magic `HBU1`; per intent a bias and then per intent a scale (float32); a bitmap of the
words that training knew (one bit a hash); the weights, bucket by bucket, one signed byte per intent. `model.json`
says what it is, how it was made and how well it did.
"""

from __future__ import annotations

import json
import math
import struct
from array import array
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import get_args
from zlib import crc32

from connectors.core.understanding import Intent, Verdict
from connectors.understanding.features import BUCKETS, features, is_word, tokens

FOLDER = Path(__file__).resolve().parent
INTENTS: tuple[Intent, ...] = tuple(intent for intent in get_args(Intent) if intent != "uncertain")
MAGIC = b"HBU1"
_HEAD = struct.Struct(f"<4s{2 * len(INTENTS)}f")
# A text of which the model knows fewer of the words than this is in another language, or no language.
KNOWN_SHARE = 0.5
KNOWN_BITS = 1 << 18  # So wide that a word unknown is rarely taken for one known: 1 in 25


@dataclass(frozen=True)
class LinearModel:
    """Satisfies `Understanding`. `threshold`: a guess with less confidence is told as `uncertain`."""

    name: str
    threshold: float
    bias: tuple[float, ...]
    scale: tuple[float, ...]
    known: bytes = field(repr=False)
    columns: tuple[array[int], ...] = field(repr=False)

    def understand(self, text: str, language: str | None) -> Verdict:
        """English only: another language, told or seen, is `uncertain`. Reads the first 2,000 characters."""
        words = [token for token in tokens(text) if is_word(token)]
        if not text.strip():
            return Verdict(None, 0.0, self.name)
        if not _may_be_english(language) or not self._knows(words):
            return Verdict("uncertain", 0.0, self.name)
        shares = self.shares(text)
        best = max(range(len(INTENTS)), key=shares.__getitem__)
        sure = shares[best] >= self.threshold
        return Verdict(INTENTS[best] if sure else "uncertain", round(shares[best], 4), self.name)

    def shares(self, text: str) -> list[float]:
        """Per intent, in the order of INTENTS; they sum to 1. The threshold is not applied."""
        seen = features(text)
        width = len(INTENTS)
        sums = [sum(map(column.__getitem__, seen)) for column in self.columns]
        length = math.sqrt(len(seen) or 1)
        raw = [self.bias[i] + self.scale[i] * sums[i] / length for i in range(width)]
        odds = [1 / (1 + math.exp(-max(-30.0, min(30.0, value)))) for value in raw]
        total = sum(odds)
        return [value / total for value in odds]

    def _knows(self, words: list[str]) -> bool:
        """Half of the words at least, counting each once. English is written in ASCII, near enough."""
        different = set(words)
        bits = [known_bit(word) for word in different if word.isascii()]
        known = sum(self.known[bit >> 3] >> (bit & 7) & 1 for bit in bits)
        return bool(different) and known >= KNOWN_SHARE * len(different)


def known_bit(word: str) -> int:
    return crc32(word.encode("utf-8", "surrogatepass")) % KNOWN_BITS


def _may_be_english(language: str | None) -> bool:
    """`und` (undetermined) and unknown are read; so are X's `qme` and `zxx`, which say that it found no language."""
    tag = (language or "und").replace("_", "-").partition("-")[0].strip().lower()
    return tag in {"", "en", "eng", "und", "qme", "zxx"}


def pack(bias: list[float], scale: list[float], known: bytes, weights: array[int]) -> bytes:
    return _HEAD.pack(MAGIC, *bias, *scale) + known + weights.tobytes()


def unpack(content: bytes, name: str, threshold: float) -> LinearModel:
    """Raises ValueError where the file is not what `pack` wrote."""
    width, bitmap = len(INTENTS), KNOWN_BITS // 8
    if len(content) != _HEAD.size + bitmap + BUCKETS * width or content[:4] != MAGIC:
        raise ValueError("model.bin is not a model of this version; train anew with infra/understanding/train.py")
    numbers = _HEAD.unpack_from(content)[1:]
    weights = array("b")
    weights.frombytes(content[_HEAD.size + bitmap :])
    known = content[_HEAD.size : _HEAD.size + bitmap]
    columns = tuple(weights[index::width] for index in range(width))
    return LinearModel(name, threshold, numbers[:width], numbers[width:], known, columns)


@cache
def load() -> LinearModel:
    """The packaged model, read once a process. Raises ValueError where the two files do not belong together."""
    manifest = json.loads((FOLDER / "model.json").read_text(encoding="utf-8"))
    content = (FOLDER / "model.bin").read_bytes()
    if manifest["intents"] != list(INTENTS) or manifest["sha256"] != sha256(content).hexdigest():
        raise ValueError("model.json does not describe model.bin; train anew with infra/understanding/train.py")
    return unpack(content, manifest["model"], manifest["threshold"])
