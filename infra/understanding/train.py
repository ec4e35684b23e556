"""Trains the model of `connectors/understanding` and writes it, with its manifest. The same corpus, the same model.

    python infra/understanding/train.py                          write model.bin and model.json
    python infra/understanding/train.py --evaluate posts.jsonl   measure what is packaged; {"text", "intent"} a line

Needs NumPy and scikit-learn (the dependency group `train`); what runs in Lambda needs neither. The evaluation needs
nothing.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from array import array
from hashlib import sha256
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).resolve().parent)]

import corpus  # noqa: E402

from connectors.understanding import features, model  # noqa: E402

VERSION = 1
REGULARISATION = 4.0
DERIVED = 0.5  # What pairs, tone and shape count against words, so that they do not learn the corpus by heart
FOLDS = 5
# How often each intent is assumed in the posts to come. Complaints and chatter are most of what companies are sent.
PRIOR = {
    "churn_risk": 0.10,
    "purchase_intent": 0.10,
    "complaint": 0.26,
    "idea": 0.09,
    "question": 0.11,
    "praise": 0.11,
    "other": 0.23,
}
# The least confidence at which held-out lines of the corpus are right this often. Real posts are harder.
AIM = 0.95


def matrix(texts: list[str]) -> Any:
    import numpy as np
    from scipy.sparse import csr_matrix

    columns: list[int] = []
    values: list[float] = []
    ends = [0]
    for text in texts:
        seen = features.features(text)
        columns += seen
        values += [1 / max(1, len(seen)) ** 0.5] * len(seen)
        ends.append(len(columns))
    return csr_matrix((np.array(values), columns, ends), shape=(len(texts), features.BUCKETS))


def fit(rows: Any, labels: Any) -> tuple[Any, Any]:
    """Weights (intents x buckets) and biases: one logistic regression for each intent against the rest."""
    import numpy as np
    from sklearn.linear_model import LogisticRegression

    counts = np.bincount(labels, minlength=len(model.INTENTS))
    wanted = np.array([PRIOR[intent] for intent in model.INTENTS]) * len(labels)
    sample = (wanted / np.maximum(counts, 1))[labels]
    fitted = [
        LogisticRegression(C=REGULARISATION, solver="liblinear", random_state=0).fit(rows, labels == index, sample)
        for index in range(len(model.INTENTS))
    ]
    return np.vstack([one.coef_[0] for one in fitted]), np.array([one.intercept_[0] for one in fitted])


def shares(rows: Any, weights: Any, bias: Any) -> Any:
    import numpy as np

    odds = 1 / (1 + np.exp(-(rows @ weights.T + bias)))
    return odds / odds.sum(axis=1, keepdims=True)


def held_out(rows: Any, labels: Any, groups: Any) -> tuple[dict[str, float], float]:
    """Metrics on lines that were not trained on, and the threshold. Texts of one line stay together."""
    import numpy as np
    from sklearn.metrics import accuracy_score, f1_score
    from sklearn.model_selection import GroupKFold

    found = np.zeros((len(labels), len(model.INTENTS)))
    for train, test in GroupKFold(FOLDS).split(rows, labels, groups):
        found[test] = shares(rows[test], *fit(rows[train], labels[train]))
    guesses, sure = found.argmax(axis=1), found.max(axis=1)
    threshold = next(
        (step / 100 for step in range(20, 100) if np.mean((guesses == labels)[sure >= step / 100]) >= AIM), 0.99
    )
    covered = sure >= threshold
    metrics = {
        "accuracy": accuracy_score(labels, guesses),
        "macro_f1": f1_score(labels, guesses, average="macro"),
        "coverage": float(np.mean(covered)),
        "accuracy_covered": float(np.mean((guesses == labels)[covered])),
    }
    return {name: round(float(value), 3) for name, value in metrics.items()}, threshold


def read() -> tuple[list[corpus.Example], Any, Any, Any]:
    """Examples, their rows with each column times its factor, labels, and the factors."""
    import numpy as np

    examples = corpus.examples()
    factors = np.ones(features.BUCKETS)
    factors[sorted(set().union(*(features.derived(example.text) for example in examples)))] = DERIVED
    labels = np.array([model.INTENTS.index(example.intent) for example in examples])  # type: ignore[arg-type]
    return examples, matrix([example.text for example in examples]).multiply(factors).tocsr(), labels, factors


def train(examples: list[corpus.Example], rows: Any, labels: Any, factors: Any) -> bytes:
    """What stands in model.bin. Fixed seed, fixed order: training again gives the same predictions."""
    import numpy as np

    weights, bias = fit(rows, labels)
    weights = weights * factors
    scale = np.abs(weights).max(axis=1) / 127
    steps = np.rint(weights / scale[:, None]).astype(int).T.ravel().tolist()
    return model.pack(bias.tolist(), scale.tolist(), _known(examples), array("b", steps))


def build() -> tuple[bytes, dict[str, Any]]:
    """The two files."""
    import numpy as np
    import sklearn

    examples, rows, labels, factors = read()
    metrics, threshold = held_out(rows, labels, np.array([example.line for example in examples]))
    content = train(examples, rows, labels, factors)
    return content, {
        "model": f"linear-{VERSION}-{sha256(content).hexdigest()[:8]}",
        "intents": list(model.INTENTS),
        "threshold": threshold,
        "sha256": sha256(content).hexdigest(),
        "corpus": {"sha256": corpus.digest(), "lines": len(corpus.lines()), "texts": len(examples)},
        "held_out_lines": metrics,
        "trained_with": {
            "python": platform.python_version(),
            "numpy": np.__version__,
            "scikit-learn": sklearn.__version__,
        },
        "licences": {
            "corpus": "Apache-2.0, written for this project",
            "lexicon.txt": "MIT, VADER 3.3.2, (c) 2016 C.J. Hutto; see NOTICE.txt",
        },
    }


def _known(examples: list[corpus.Example]) -> bytes:
    bits = bytearray(model.KNOWN_BITS // 8)
    words = {token for example in examples for token in features.tokens(example.text) if features.is_word(token)}
    for word in sorted(words | features.lexicon().keys()):
        bit = model.known_bit(word)
        bits[bit >> 3] |= 1 << (bit & 7)
    return bytes(bits)


def evaluate(posts: list[dict[str, str]], judge: model.LinearModel) -> dict[str, Any]:
    """Accuracy and F1 with every guess counted; coverage and accuracy of what is told as more than `uncertain`."""
    truth = [post["intent"] for post in posts]
    shares = [judge.shares(post["text"]) for post in posts]
    guesses = [model.INTENTS[max(range(len(row)), key=row.__getitem__)] for row in shares]
    told = [judge.understand(post["text"], None).intent for post in posts]
    kept = [(guess, right) for guess, right in zip(told, truth, strict=True) if guess != "uncertain"]
    half = sorted(range(len(posts)), key=lambda index: -max(shares[index]))[: len(posts) // 2]
    by_intent = {intent: _f1(guesses, truth, intent) for intent in model.INTENTS}
    return {
        "posts": len(posts),
        "accuracy": _share([guess == right for guess, right in zip(guesses, truth, strict=True)]),
        "macro_f1": round(sum(by_intent.values()) / len(by_intent), 3),
        "f1": by_intent,
        "coverage": _share([guess != "uncertain" for guess in told]),
        "accuracy_covered": _share([guess == right for guess, right in kept]),
        "accuracy_confident_half": _share([guesses[index] == truth[index] for index in half]),
        "precision_covered": {
            intent: f"{sum(g == r for g, r in kept if g == intent)} of {sum(g == intent for g, _ in kept)}"
            for intent in model.INTENTS
        },
    }


def _share(hits: list[bool]) -> float:
    return round(sum(hits) / len(hits), 3) if hits else 0.0


def _f1(guesses: list[Any], truth: list[str], intent: str) -> float:
    both = sum(guess == right == intent for guess, right in zip(guesses, truth, strict=True))
    either = guesses.count(intent) + truth.count(intent)
    return round(2 * both / either, 3) if either else 0.0


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--evaluate", type=Path, metavar="JSONL", help="measure the packaged model, train nothing")
    path: Path | None = parser.parse_args().evaluate
    if path:
        posts = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        print(json.dumps(evaluate(posts, model.load()), indent=2))  # noqa: T201
        return 0
    content, manifest = build()
    (model.FOLDER / "model.bin").write_bytes(content)
    (model.FOLDER / "model.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(manifest, indent=2))  # noqa: T201
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
