"""Training the tagger of requests."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from cellwright.cellmodel.modeling.ask_tagger import AskTagger, Encoded, TaggerConfig, ahead
from cellwright.cellmodel.training.language import rate_at

Progress = Callable[[int, int, float], None]
"""Called with the step, the steps in all and the loss."""
Answers = Mapping[str, frozenset[str]]
POOL = 8
"""Batches drawn at once."""
STRENGTH = 10.0
"""Inverse of the ridge on the heads as they start."""
STARTS, ELSEWHERE = 10.0, 3.0
"""Weights of the losses of starts, and of names in other asks, beside that of each question."""
Draw = Callable[[random.Random], "TaggedText"]
"""Draws a text to train on."""


@dataclass(frozen=True, kw_only=True)
class TaggedText:
    """A text with its asks.

    Attributes:
        text: The request, with names put as placeholders.
        before: The request before it; empty for a first one.
        starts: Where its asks start, from the second on.
        answers: For each ask, the classes that are right alike, by question; a question of which
            nothing is known is left out.
        about: For an ask, by its number from 0, and a placeholder, by its first character, whether
            the one is about the other; pairs of which nothing is known are left out.
    """

    text: str
    before: str
    starts: tuple[int, ...]
    answers: tuple[Answers, ...]
    about: Mapping[tuple[int, int], bool] = field(default_factory=dict)


Batch = tuple[list[TaggedText], list[Encoded]]


@dataclass(frozen=True, kw_only=True)
class TaggerRecipe:
    """How a tagger is trained.

    Attributes:
        steps: Updates.
        batch: Texts a step.
        rate: Highest learning rate of the layers; heads and added tokens have ``heads`` times it.
        heads: See ``rate``.
        warmup: Share of the steps in which the rate rises.
        first: Texts on which the heads are fitted before the encoder is changed.
        seed: Seed of order and initial values.
    """

    steps: int = 4200
    batch: int = 32
    rate: float = 1.2e-4
    heads: float = 6.0
    warmup: float = 0.05
    first: int = 4000
    seed: int = 0


def train_tagger(
    folder: Path,
    config: TaggerConfig,
    draw: Draw,
    recipe: TaggerRecipe,
    *,
    start: Path | None = None,
    kept: Path | None = None,
    progress: Progress | None = None,
) -> AskTagger:
    """Train a tagger on texts as they are drawn; an interrupted run goes on from its checkpoint.

    The loss is the cross-entropy of starts, over all tokens that may be one, plus that of each
    question on the true asks; of several right classes the sum of probabilities counts.

    Args:
        folder: MiniLM's folder.
        config: Questions and added tokens.
        draw: Draws a text.
        recipe: How to train.
        start: Folder of a trained part to go on from; None starts anew.
        kept: File of the checkpoint; None keeps none.
        progress: Called after every step.
    """
    torch.manual_seed(recipe.seed)
    tagger = AskTagger.fresh(folder, config)
    parts = (tagger.start, tagger.used, tagger.seeks, tagger.sought, tagger.apart, tagger.heads)
    heads = [tagger.added.weight, *(one for part in parts for one in part.parameters())]
    known = {id(one) for one in heads}
    layers = [one for one in tagger.parameters() if one.requires_grad and id(one) not in known]
    optimiser = torch.optim.AdamW(
        [
            {"params": layers, "lr": recipe.rate},
            {"params": heads, "lr": recipe.heads * recipe.rate},
        ],
        weight_decay=0.01,
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: rate_at(step / recipe.steps, recipe.warmup)
    )
    state = {"optimiser": optimiser, "schedule": schedule, "tagger": tagger}
    done = _resume(kept, state, recipe)
    if not done:
        rng = random.Random(recipe.seed)
        if start:
            tagger.adopt(start)
        else:
            _fit_heads(tagger, [draw(rng) for _ in range(recipe.first)], recipe)
    tagger.eval()  # without dropout: lessons are put together anew every time
    batches: list[Batch] = []
    for step in range(done + 1, recipe.steps + 1):
        if not batches:
            # Each pool has draws of its own, so that a resumed run goes on as if never stopped.
            rng = random.Random(f"{recipe.seed} {step}")
            torch.manual_seed(rng.getrandbits(32))
            batches = _batches([draw(rng) for _ in range(POOL * recipe.batch)], tagger, recipe, rng)
        texts, read = batches.pop()
        loss = _loss(tagger, _Rows().add(tagger.states(read), texts, read))
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call] # torch does not say
        torch.nn.utils.clip_grad_norm_([*layers, *heads], 1.0)
        optimiser.step()
        schedule.step()
        if progress:
            progress(step, recipe.steps, float(loss.detach()))
        if kept and not batches:
            _keep(kept, state, recipe, step)
    return tagger


def _keep(path: Path, state: Mapping[str, Any], recipe: TaggerRecipe, step: int) -> None:
    """Write a checkpoint, at the end of a pool of batches."""
    path.parent.mkdir(parents=True, exist_ok=True)
    parts = {name: one.state_dict() for name, one in state.items() if name != "tagger"}
    parts["tagger"] = dict(state["tagger"].trained())
    new = path.with_suffix(".tmp")
    torch.save({"step": step, "recipe": asdict(recipe), **parts}, new)
    new.replace(path)


def _resume(path: Path | None, state: Mapping[str, Any], recipe: TaggerRecipe) -> int:
    """The step of a checkpoint that was taken up; 0 without one, or with one of another recipe."""
    if path is None or not path.is_file():
        return 0
    found = torch.load(path, weights_only=True)
    if found["recipe"] != asdict(recipe):
        return 0
    state["tagger"].load_state_dict(found["tagger"], strict=False)
    state["optimiser"].load_state_dict(found["optimiser"])
    state["schedule"].load_state_dict(found["schedule"])
    return int(found["step"])


def _batches(
    texts: Sequence[TaggedText], tagger: AskTagger, recipe: TaggerRecipe, rng: random.Random
) -> list[Batch]:
    """Batches of texts of like length, in random order: little is spent on padding."""
    read = [(one, tagger.encode(one.text, one.before)) for one in texts]
    read.sort(key=lambda pair: len(pair[1].ids))
    found = [
        ([one for one, _ in some], [ids for _, ids in some])
        for start in range(0, len(read), recipe.batch)
        if (some := read[start : start + recipe.batch])
    ]
    rng.shuffle(found)
    return found


@dataclass(frozen=True, kw_only=True)
class _Pairs:
    """Asks and names of a text, with what is known of the one being about the other."""

    asks: Tensor
    names: Tensor
    ahead: Tensor
    known: tuple[list[int], list[int]]
    about: Tensor


@dataclass
class _Rows:
    """Vectors of the places and asks of a batch, with what is known of each."""

    starts: list[Tensor] = field(default_factory=list)
    wanted: list[float] = field(default_factory=list)
    names: list[Tensor] = field(default_factory=list)
    used: list[float] = field(default_factory=list)
    asks: list[Tensor] = field(default_factory=list)
    answers: list[Answers] = field(default_factory=list)
    pairs: list[_Pairs] = field(default_factory=list)

    def add(self, states: Tensor, texts: Sequence[TaggedText], read: Sequence[Encoded]) -> _Rows:
        """Take the states of a batch apart."""
        unit = functional.normalize(states, dim=-1)
        for row, (text, one) in enumerate(zip(texts, read, strict=True)):
            inside = [at for at, start in enumerate(one.starts) if start >= 0]
            if not inside:
                continue
            begins = [at for at in inside if one.whole[at] and at != inside[0]]
            marks = [at for at in begins if one.starts[at] in text.starts]
            self.starts.append(unit[row, begins])
            self.wanted += [float(at in marks) for at in begins]
            if len(marks) < len(text.starts):  # cut off behind what is read at once
                continue
            bounds = [inside[0], *marks, inside[-1] + 1]
            asks = [AskTagger.pooled(states[row, a:b]) for a, b in pairwise(bounds)]
            self.asks += asks
            self.answers += text.answers
            names = [at for at in inside if one.names[at]]
            known = [
                (ask, at, names[at])
                for ask in range(len(asks))
                for at in range(len(names))
                if (ask, one.starts[names[at]]) in text.about
            ]
            if not known:
                continue
            said = [float(text.about[ask, one.starts[at]]) for ask, _, at in known]
            pairs = _Pairs(
                asks=torch.stack(asks),
                names=unit[row, names],
                ahead=ahead(bounds, names),
                known=([ask for ask, *_ in known], [at for _, at, _ in known]),
                about=torch.tensor(said),
            )
            self.pairs.append(pairs)
            for (ask, at, token), right in zip(known, said, strict=True):
                if pairs.ahead[ask, at] == 0:
                    self.names.append(unit[row, token : token + 1])
                    self.used.append(right)
        return self

    def known(self, head: str) -> list[int]:
        """Asks of which the answer to a question is known."""
        return [at for at, one in enumerate(self.answers) if head in one]


def _loss(tagger: AskTagger, rows: _Rows) -> Tensor:
    loss = STARTS * functional.binary_cross_entropy_with_logits(
        tagger.start(torch.cat(rows.starts))[:, 0], torch.tensor(rows.wanted)
    )
    if rows.pairs:
        far = torch.cat([one.ahead[one.known] != 0 for one in rows.pairs])
        scores = torch.cat(
            [tagger.about(one.asks, one.names, one.ahead)[one.known] for one in rows.pairs]
        )
        losses = functional.binary_cross_entropy_with_logits(
            scores, torch.cat([one.about for one in rows.pairs]), reduction="none"
        )
        for some, weight in ((losses[~far], 1.0), (losses[far], ELSEWHERE)):
            loss = loss + weight * some.mean() if len(some) else loss
    asks = torch.stack(rows.asks)
    for name, classes in tagger.config.heads.items():
        if known := rows.known(name):
            logs = torch.log_softmax(tagger.heads[name](asks[known]), -1)
            answers = [rows.answers[at][name] for at in known]
            right = torch.tensor([[one in some for one in classes] for some in answers])
            loss = loss - torch.logsumexp(logs.masked_fill(~right, -torch.inf), -1).mean()
    return loss


@torch.inference_mode()
def _fit_heads(tagger: AskTagger, texts: Sequence[TaggedText], recipe: TaggerRecipe) -> None:
    """Start the heads as logistic regressions on the states of the encoder as it is."""
    from sklearn.linear_model import LogisticRegression

    rng = random.Random(recipe.seed)
    rows = _Rows()
    for some, read in _batches(texts, tagger.eval(), recipe, rng):
        rows.add(tagger.states(read), some, read)
    fit = LogisticRegression(C=STRENGTH, max_iter=200).fit
    for head, vectors, known in (
        (tagger.start, rows.starts, rows.wanted),
        (tagger.used, rows.names, rows.used),
    ):
        if len(set(known)) > 1:
            fitted = fit(torch.cat(vectors).numpy(), known)
            head.weight.copy_(torch.from_numpy(fitted.coef_))
            head.bias.copy_(torch.from_numpy(fitted.intercept_))
    for name, classes in tagger.config.heads.items():
        at = rows.known(name)
        said = [rng.choice(sorted(rows.answers[one][name])) for one in at]
        if len(set(said)) > 2:
            fitted = fit(torch.stack([rows.asks[one] for one in at]).numpy(), said)
            head = cast("nn.Linear", tagger.heads[name])
            head.weight.zero_()
            head.bias.fill_(float(fitted.intercept_.min()))
            for row, one in enumerate(fitted.classes_):
                head.weight[classes.index(one)] = torch.from_numpy(fitted.coef_[row])
                head.bias[classes.index(one)] = float(fitted.intercept_[row])
