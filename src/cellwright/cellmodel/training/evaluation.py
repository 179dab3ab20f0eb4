"""The figures of a card, measured on test cells beside a logistic regression."""

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from cellwright.cellmodel.instructions.extraction import extract_label
from cellwright.cellmodel.instructions.templates import Mode
from cellwright.cellmodel.modeling.cell_language import CellLanguage
from cellwright.cellmodel.modeling.cell_network import CellNetwork
from cellwright.cellmodel.training.calibration import blended, score_cells
from cellwright.cellmodel.training.data import CellSampler, CellSet, Corpus
from cellwright.cellmodel.training.language_stage import PromptWriter, frozen_reading

logger = logging.getLogger(__name__)


def evaluate_readout(network: CellNetwork, corpus: Corpus) -> list[dict[str, Any]]:
    """Macro F1, accuracy, calibration and coverage on each file's test cells."""
    wide, deep = (float(value) for value in network.readout.blend)
    rows = []
    for cells in corpus.sets:
        test = cells.parts["test"]
        scored = score_cells(network, cells.block.expression[test], cells.labels[test])
        shares = blended(scored, cells.own, wide, deep)
        truth = np.searchsorted(cells.own, scored.labels)
        near = (scored.vectors @ network.readout.centroids_LD.numpy().T).max(axis=1)
        true = shares[np.arange(len(truth)), truth]
        floor = float(network.readout.set_floors[0])
        row = {
            "dataset": cells.card.name,
            "task": cells.card.task,
            "split": cells.card.split,
            "n_train": len(cells.parts["train"]),
            "n_test": len(test),
            "classes": len(cells.own),
            "macro_f1": macro_f1(truth, shares.argmax(1)),
            "accuracy": float((shares.argmax(1) == truth).mean()),
            "macro_f1_wide": macro_f1(truth, blended(scored, cells.own, 1, 0).argmax(1)),
            "macro_f1_deep": macro_f1(truth, blended(scored, cells.own, 0, 1).argmax(1)),
            "calibration_error": calibration_error(shares, truth),
            "set_coverage": float((true >= floor).mean()),
            "set_size": float((shares >= floor).sum(axis=1).mean()),
            "in_range": float((near >= float(network.readout.range_floor)).mean()),
        }
        rows.append({k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()})
        logger.info("%s: macro F1 %.3f", cells.card.name, row["macro_f1"])
    return rows


def logistic_baseline(cells: CellSet) -> dict[str, Any]:
    """Logistic regression (C = 1) on the same normalised cells and split."""
    from sklearn.linear_model import LogisticRegression

    train, test = cells.parts["train"], cells.parts["test"]
    matrix = cells.block.expression[:, np.flatnonzero(cells.block.measured)]
    model = LogisticRegression(C=1.0, max_iter=200)
    model.fit(matrix[train], cells.labels[train])
    guess = model.predict(matrix[test])
    truth = cells.labels[test]
    return {
        "logistic_macro_f1": round(macro_f1(truth, guess), 4),
        "logistic_accuracy": round(float((guess == truth).mean()), 4),
    }


def evaluate_language(
    network: CellNetwork, language: CellLanguage, corpus: Corpus, *, n: int, seed: int
) -> dict[str, Any]:
    """Accuracy of spoken answers on test cells under wordings of the test split.

    Instruct mode is decoded among labels, as ``CellModel.answer`` does. The ReadOut answers the
    same questions on the same cells.
    """
    sampler = CellSampler(corpus, panel_rate=0.0, drop=0.0, parts=("test",))
    writer = PromptWriter(corpus, "test")
    rng = np.random.default_rng(seed)
    found: dict[str, Any] = {"n": n}
    settings: Sequence[tuple[Mode, bool]] = (
        ("instruct", False),
        ("instruct", True),
        ("chat", False),
    )
    for mode, options in settings:
        right = named = read = 0
        for start in range(0, n, 8):
            draw = sampler.draw(rng, min(8, n - start))
            examples = [
                writer.annotate(label, file, rng, mode=mode, options=options)
                for label, file in zip(draw.labels, draw.sets, strict=True)
            ]
            offered = np.stack([writer.offered(example) for example in examples])
            with torch.inference_mode():
                reading = frozen_reading(network, draw.expression)
                soft = network.soft_tokens(reading, torch.from_numpy(offered))
            for at, (example, label) in enumerate(zip(examples, draw.labels, strict=True)):
                among = example.among or writer.types
                answer = language.speak(
                    [example.prompt], soft[at : at + 1], among=among if mode == "instruct" else ()
                )[0]
                said = extract_label(answer.text, among)
                right += said == writer.spoken[label]
                named += said is not None
                cell = score_cells(network, draw.expression[at : at + 1], draw.labels[at : at + 1])
                places = [i for i, name in enumerate(writer.spoken) if name in among]
                shares = blended(cell, np.array(places), *network.readout.blend.tolist())
                read += writer.spoken[places[int(shares.argmax())]] == writer.spoken[label]
        name = f"{mode}{'_options' if options else ''}"
        found[f"{name}_accuracy"] = round(right / n, 4)
        found[f"{name}_answered"] = round(named / n, 4)
        found[f"{name}_readout_accuracy"] = round(read / n, 4)
        logger.info("language, %s: accuracy %.3f, ReadOut %.3f", name, right / n, read / n)
    return found


def macro_f1(truth: np.ndarray, guess: np.ndarray) -> float:
    """Mean F1 over the classes that occur in the truth or the guesses."""
    from sklearn.metrics import f1_score

    return float(f1_score(truth, guess, average="macro", zero_division=0))


def calibration_error(shares: np.ndarray, truth: np.ndarray, bins: int = 10) -> float:
    """Expected calibration error of the best candidate's probability."""
    best, hit = shares.max(axis=1), shares.argmax(axis=1) == truth
    where = np.minimum((best * bins).astype(int), bins - 1)
    gaps = [
        abs(best[where == at].mean() - hit[where == at].mean()) * (where == at).mean()
        for at in range(bins)
        if (where == at).any()
    ]
    return float(sum(gaps))
