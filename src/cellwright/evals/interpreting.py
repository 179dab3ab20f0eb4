"""Interpreters trained on mixtures, for the suite and for ``cellwright train``."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from cellwright.errors import InputError
from cellwright.evals.genept import nearest_labels, weighted_vectors
from cellwright.evals.metrics import accuracy, macro_f1
from cellwright.evals.mixtures import Mixture, build_mixture
from cellwright.evals.task import EvalContext
from cellwright.evals.trained import TextMemo, describe_keys, load_language

if TYPE_CHECKING:
    from cellwright.cellmodel.interpreter.checkpoint import TrainedInterpreter
    from cellwright.cellmodel.interpreter.config import InterpreterPreset

Genes = Literal["text", "random"]


@dataclass(frozen=True, kw_only=True)
class Interpreted:
    """What an interpreter said of the test cells.

    Attributes:
        labels: ``(B,)`` object.
        states: ``(B, H)`` ReadOut.
    """

    labels: np.ndarray
    states: np.ndarray


def gene_vectors(context: EvalContext, keys: Sequence[str]) -> np.ndarray:
    """Text vectors of what is written of genes, ``(V, T)``; each line is embedded once."""
    memo = TextMemo(context.knowledge.embed, context.settings.data_dir / "text_vectors.npz")
    return memo(describe_keys(context.knowledge, keys))


def train_interpreter(
    context: EvalContext,
    *,
    preset: str = "interpreter",
    names: Sequence[str] = (),
    seed: int = 0,
    out: Path | None = None,
) -> Path:
    """Train an interpreter on declared files and write it, with how it does on their test cells.

    Args:
        context: Folder of the data; training state is kept in ``context.work``.
        preset: ``interpreter``, or ``interpreter-full`` for a GPU.
        names: Data sets; all that train if none.
        seed: Seed of splits and draws.
        out: Where it goes; ``export`` in the working folder when not given.

    Raises:
        InputError: There is no preset of this name, or none of the files.
    """
    from cellwright.cellmodel.data.registry import training_sets
    from cellwright.cellmodel.interpreter.config import PRESETS

    if preset not in PRESETS:
        msg = f"No interpreter preset {preset!r}. Presets: {', '.join(PRESETS)}."
        raise InputError(msg)
    chosen = PRESETS[preset]
    files = tuple(names) or tuple(card.name for card in training_sets("cell type"))
    mixture = build_mixture(
        context,
        "all",
        files,
        seed=seed,
        per_class=chosen.train.per_class,
        test_per_class=chosen.train.test_per_class,
    )
    if mixture is None:
        msg = f"None of {', '.join(files)} is in {context.data_dir}; name the folder with --data."
        raise InputError(msg)
    vectors = gene_vectors(context, mixture.vocabulary.keys)
    fitted = fit_interpreter(context, mixture, chosen, vectors, seed=seed, folder=context.work)
    said = apply_interpreter(fitted, mixture)
    truth = list(mixture.test.labels)
    baseline = list(
        nearest_labels(
            weighted_vectors(mixture.train.expression, vectors),
            mixture.train.labels,
            weighted_vectors(mixture.test.expression, vectors),
        )
    )
    test = {
        "cells": len(truth),
        "accuracy": accuracy(truth, list(said.labels)),
        "macro_f1": macro_f1(truth, list(said.labels)),
        "genept_w_accuracy": accuracy(truth, baseline),
        "genept_w_macro_f1": macro_f1(truth, baseline),
    }
    rounded = {key: round(value, 4) for key, value in test.items()}
    card = {**fitted.card, "preset": preset, "test": rounded}
    target = out or context.work / "export"
    dataclasses.replace(fitted, card=card).save(target)
    return target


def fit_interpreter(
    context: EvalContext,
    mixture: Mixture,
    preset: InterpreterPreset,
    vectors: np.ndarray,
    *,
    seed: int,
    folder: Path,
    genes: Genes = "text",
) -> TrainedInterpreter:
    """Train an interpreter on a mixture's training cells; a run that was stopped goes on.

    Args:
        context: Settings, knowledge.
        mixture: The cells.
        preset: Model and recipe.
        vectors: ``(V, T)`` text vectors of the mixture's genes.
        seed: Seed of weights, and of random gene vectors.
        folder: Where training state is kept.
        genes: Text vectors, or random ones of the same length in their place.
    """
    from cellwright.cellmodel.interpreter.checkpoint import TrainedInterpreter
    from cellwright.cellmodel.interpreter.model import FrozenLanguage, Interpreter, random_vectors
    from cellwright.cellmodel.interpreter.ranked_cells import mean_levels
    from cellwright.cellmodel.interpreter.training import train
    from cellwright.cellmodel.modeling.language import set_threads

    set_threads(context.settings.threads)
    if genes == "random":
        vectors = random_vectors(vectors, seed=seed)
    language = None
    if preset.model.reader != "mean":
        load = partial(load_language, context.settings, "smollm2")
        language = FrozenLanguage(*load(), preset.model, seed)
    fitted = TrainedInterpreter(
        model=Interpreter(preset.model, vectors, len(mixture.labels), language, seed=seed),
        vocabulary=mixture.vocabulary,
        mean=mean_levels(mixture.train.expression),
        labels=mixture.labels,
        card={
            "seed": seed,
            "split": mixture.split,
            "datasets": [file.card.name for file in mixture.files],
            "types": len(mixture.labels),
            "genes": len(mixture.vocabulary),
            "gene_vectors": genes,
            "cells": {"train": len(mixture.train), "test": len(mixture.test)},
        },
    )
    steps = train(
        fitted.model,
        fitted.rank(mixture.train.expression),
        mixture.places(mixture.train),
        preset.train,
        folder=folder,
        seed=seed,
    )
    return dataclasses.replace(fitted, card={**fitted.card, "steps": steps})


def apply_interpreter(fitted: TrainedInterpreter, mixture: Mixture) -> Interpreted:
    """What an interpreter says of a mixture's test cells."""
    reading = fitted.model.predict(fitted.rank(mixture.test.expression))
    names = np.array(fitted.labels, object)
    return Interpreted(
        labels=names[reading.probabilities.argmax(axis=1)],
        states=reading.states.astype(np.float32),
    )


def interpret(
    context: EvalContext,
    name: str,
    mixture: Mixture,
    preset: InterpreterPreset,
    vectors: np.ndarray,
    *,
    genes: Genes = "text",
) -> Interpreted:
    """An interpreter's answers on a mixture, trained on first use and kept in ``context.work``.

    The folder's name says what the run depends on, so that a changed recipe or changed cells
    make a new run.
    """
    run = _fingerprint(mixture, preset, genes)
    folder = context.work / "interpreter" / f"{mixture.name}-{name}-{mixture.seed}-{run}"
    kept = folder / "found.npz"
    if kept.is_file():
        with np.load(kept, allow_pickle=False) as found:
            return Interpreted(labels=found["labels"].astype(object), states=found["states"])
    context.say(f"training {folder.name}")
    fitted = fit_interpreter(
        context, mixture, preset, vectors, seed=mixture.seed, folder=folder, genes=genes
    )
    said = apply_interpreter(fitted, mixture)
    draft = folder / "found.partial.npz"
    np.savez(draft, labels=said.labels.astype(str), states=said.states)
    draft.replace(kept)
    return said


def _fingerprint(mixture: Mixture, preset: InterpreterPreset, genes: Genes) -> str:
    settings = dataclasses.asdict(preset)
    for aside in ("save_every", "max_seconds"):
        settings["train"]["stage"].pop(aside)
    record = json.dumps([settings, genes, mixture.labels], sort_keys=True)
    digest = hashlib.sha256(record.encode())
    for part in (mixture.train, mixture.test):
        digest.update(np.ascontiguousarray(part.rows).astype(np.int64).tobytes())
        digest.update(part.expression.data.tobytes())
    digest.update("\n".join(mixture.vocabulary.keys).encode())
    return digest.hexdigest()[:8]
