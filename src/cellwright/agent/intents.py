"""What an ask is for, told by its sentence vector: the second opinion beside the language model.

A linear layer on MiniLM's vectors, fitted on the same made examples as the planner; it knows no
names, so its arguments come from code (``fill``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

import numpy as np

from cellwright.agent.examples import ExampleMaker, make_asks, make_examples, relabels
from cellwright.agent.fill import FILLERS, Desk
from cellwright.agent.followup import take_over
from cellwright.agent.grammar import Ask
from cellwright.agent.mentions import comparable
from cellwright.agent.router import UNSAFE, Call, Reading

if TYPE_CHECKING:
    from pathlib import Path

    from cellwright.tools.passport import Passport

Embed = Callable[[Sequence[str]], np.ndarray]
FILE = "intents.npz"
WHY = re.compile(r"^\W*(?:and\s+|but\s+)?(?:why|how (?:so|come))\b")
"""A bare question after an answer: it asks for the genes behind that."""
DOUBTED = 0.8
"""Probability below which a refusal gives way to words that ask for a comparison."""
DIFFERS = re.compile(r"\bdiffer|\bcompar|\bversus\b|\bvs\b")
TIMES = 3
"""How often each wording is filled for the fit, beside the examples drawn."""


@dataclass(frozen=True, kw_only=True)
class IntentModel:
    """A linear classifier of asks.

    Attributes:
        names: (K,) intents, keys of ``FILLERS``.
        weights: (D, K) on sentence vectors.
        bias: (K,).
    """

    names: tuple[str, ...]
    weights: np.ndarray
    bias: np.ndarray

    @classmethod
    def packaged(cls) -> IntentModel | None:
        """The classifier that ships; None when it was not built in."""
        path = resources.files("cellwright.agent") / "weights" / FILE
        return _load(str(path)) if path.is_file() else None

    def save(self, path: Path) -> None:
        """Write it, in 16 bits."""
        np.savez_compressed(
            path,
            names=np.array(self.names),
            weights=self.weights.astype(np.float16),
            bias=self.bias.astype(np.float16),
        )

    def probabilities(self, vectors: np.ndarray) -> np.ndarray:
        """(N, K) probabilities of intents, from (N, D) sentence vectors."""
        logits = vectors @ self.weights + self.bias
        logits = logits - logits.max(axis=1, keepdims=True)
        shares = np.exp(logits)
        return np.asarray(shares / shares.sum(axis=1, keepdims=True))


@cache
def _load(path: str) -> IntentModel:
    with np.load(path, allow_pickle=False) as stored:
        return IntentModel(
            names=tuple(str(one) for one in stored["names"]),
            weights=stored["weights"].astype(np.float32),
            bias=stored["bias"].astype(np.float32),
        )


def masked(ask: Ask) -> str:
    """The words of an ask with names put out of sight: what is wanted stays."""
    text = ask.english
    for _, value in ask.mentions.members:
        text = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", "group", text, flags=re.IGNORECASE)
    for name, kind in (
        *((one, "drug") for one in ask.mentions.likely_drugs),
        *((one, "gene") for one in ask.mentions.likely_genes),
    ):
        text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", kind, text)
    text = re.sub(r"\bgene(?:(?:,| and|, and) gene)+\b", "genes", text)
    return re.sub(r"\d+(?:\.\d+)?", "5", text)


def intent_of(plan: str) -> str:
    """The intent that a line of the plan language stands for."""
    actions = [one.strip() for one in plan.split(";")]
    if len(actions) > 1 and actions[0] == "annotate":
        return "whole" if len(actions) > 2 else "who"
    first = actions[0]
    kind = re.search(r"kind=(\w+)", first)
    if first.startswith("plot") and kind:
        return kind.group(1)
    if first.startswith(("refuse", "unclear")):
        return first
    return first.split(" ")[0]


def read_by_intent(
    asks: Sequence[Ask],
    passport: Passport | None,
    model: IntentModel,
    embed: Embed,
    last: Sequence[Call] = (),
) -> list[tuple[Reading, float]]:
    """How each ask reads by its likeliest intent, with the intent's probability.

    Args:
        asks: The parts of the request.
        passport: What the data set is.
        model: The classifier.
        embed: Sentence vectors.
        last: Calls of the turn before, for follow-ups.
    """
    if not asks:
        return []
    shares = model.probabilities(embed([masked(one) for one in asks]))
    new_labels = relabels([one.english for one in asks])
    read: list[tuple[Reading, float]] = []
    earlier = list(last)
    genes: Sequence[str] = ()
    types: Sequence[str] = ()
    for ask, row in zip(asks, shares, strict=True):
        desk = Desk(
            ask=ask,
            passport=passport,
            new_labels=new_labels,
            before=earlier,
            genes_before=genes,
            types_before=types,
        )
        genes, types = desk.genes, desk.types if len(desk.types) == 1 else ()
        name = model.names[int(row.argmax())]
        if desk.says(UNSAFE):
            name = "refuse unsafe"
        elif name == "refuse unsupported" and row.max() < DOUBTED and desk.says(DIFFERS):
            name = "compare" if comparable(passport) else name
        elif name.startswith("unclear") and desk.says(WHY) and earlier:
            name = "explain"
        reading = take_over(FILLERS[name](desk), desk, last)
        read.append((reading, float(row.max())))
        earlier += reading.calls
    return read


def intent_lines(n: int, *, seed: int, held_out: bool) -> list[tuple[Ask, str]]:
    """Asks with their lines of the plan language, from made examples and what asks nothing.

    Args:
        n: Examples.
        seed: Seed of every draw.
        held_out: From held-out wordings, or from the others.
    """
    lines = [
        (ask, line.split(" ", 1)[1])
        for example in make_examples(n, seed=seed, held_out=held_out)
        for ask, line in zip(
            make_asks(example.asks, example.passport), example.plan.splitlines(), strict=True
        )
    ]
    every = ExampleMaker(seed, held_out=held_out).every_wording(TIMES)
    return [*lines, *((make_asks([text], data)[0], plan) for text, plan, data in every)]


def fit_intents(
    lines: Sequence[tuple[Ask, str]], embed: Embed, *, strength: float = 100.0
) -> IntentModel:
    """Fit the classifier on asks and their lines of the plan language.

    Args:
        lines: Asks with what is wanted.
        embed: Sentence vectors.
        strength: Inverse of the ridge on the weights.
    """
    from sklearn.linear_model import LogisticRegression

    texts = [masked(ask) for ask, _ in lines]
    intents = [intent_of(plan) for _, plan in lines]
    seen = dict(zip(texts, intents, strict=True))
    vectors = embed(list(seen))
    fitted = LogisticRegression(C=strength, max_iter=400, class_weight="balanced")
    fitted.fit(vectors, list(seen.values()))
    return IntentModel(
        names=tuple(str(one) for one in fitted.classes_),
        weights=np.asarray(fitted.coef_.T, dtype=np.float32),
        bias=np.asarray(fitted.intercept_, dtype=np.float32),
    )
