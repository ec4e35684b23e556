"""The packaged model is the one that the corpus in the repository gives."""

from __future__ import annotations

import importlib
import json
from collections import Counter
from hashlib import sha256
from pathlib import Path
from types import ModuleType

import pytest

from connectors.understanding.model import FOLDER, INTENTS, load, unpack

TRAINING = Path(__file__).resolve().parents[2] / "infra" / "understanding"
MANIFEST = json.loads((FOLDER / "model.json").read_text(encoding="utf-8"))


@pytest.fixture
def corpus(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(TRAINING))
    return importlib.import_module("corpus")


def test_the_model_was_trained_on_the_corpus_that_is_here(corpus: ModuleType) -> None:
    assert MANIFEST["corpus"]["sha256"] == corpus.digest(), "train anew: python infra/understanding/train.py"
    assert MANIFEST["sha256"] == sha256((FOLDER / "model.bin").read_bytes()).hexdigest()


def test_the_corpus_is_made_of_different_lines_of_every_intent(corpus: ModuleType) -> None:
    lines = corpus.lines()
    assert len({line.lower() for _, line in lines}) == len(lines) == MANIFEST["corpus"]["lines"]
    counts = Counter(intent for intent, _ in lines)
    assert set(counts) == set(INTENTS)
    assert min(counts.values()) >= 150
    held_out = json.loads((Path(__file__).parent / "held_out.json").read_text(encoding="utf-8"))
    assert {line.lower() for _, line in lines} & {
        line.lower() for texts in held_out.values() for line in texts
    } == set()


def test_the_corpus_comes_out_the_same_each_time(corpus: ModuleType) -> None:
    texts = [example.text for example in corpus.examples()]
    assert texts == [example.text for example in corpus.examples()]
    assert not any("{" in text for text in texts)


def test_training_again_gives_the_same_predictions(corpus: ModuleType) -> None:
    pytest.importorskip("sklearn", reason="training needs the dependency group `train`")
    trainer = importlib.import_module("train")
    examples, rows, labels, factors = trainer.read()
    again = unpack(trainer.train(examples, rows, labels, factors), "again", MANIFEST["threshold"])
    packaged = load()
    for example in examples[::7]:
        assert again.shares(example.text) == pytest.approx(packaged.shares(example.text), abs=0.01)
        if abs(max(packaged.shares(example.text)) - packaged.threshold) > 0.01:
            assert again.understand(example.text, "en").intent == packaged.understand(example.text, "en").intent
