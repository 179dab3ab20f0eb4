"""From files to a checkpoint: the stages in order, each resumable, each optional."""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from cellwright.cellmodel.checkpoint import VOCABULARY, Checkpoint, save_checkpoint
from cellwright.cellmodel.config import TrainConfig
from cellwright.cellmodel.data.registry import DatasetCard, label_table
from cellwright.cellmodel.modeling.cell_language import CellLanguage
from cellwright.cellmodel.modeling.cell_network import CellNetwork, parameter_count
from cellwright.cellmodel.presets import Preset
from cellwright.cellmodel.training.calibration import calibrate
from cellwright.cellmodel.training.data import Corpus, IsA, KeysOf, LabelTable, build_corpus
from cellwright.cellmodel.training.decoder_stage import (
    STATE_NAME,
    condition_states,
    count_data,
    judge_sources,
    reference_card,
    reference_tensors,
    train_decoder,
)
from cellwright.cellmodel.training.encoder_stage import (
    Embed,
    add_wide_term,
    refit,
    start_network,
    train_encoder,
)
from cellwright.cellmodel.training.evaluation import (
    evaluate_language,
    evaluate_readout,
    logistic_baseline,
)
from cellwright.cellmodel.training.language_stage import (
    PromptWriter,
    spell_labels,
    train_language,
)
from cellwright.cellmodel.vocabulary import GeneVocabulary

logger = logging.getLogger(__name__)

Stage = Literal["encoder", "language", "decoder", "evaluate"]
STAGES: tuple[Stage, ...] = ("encoder", "language", "decoder", "evaluate")


@dataclass(frozen=True, kw_only=True)
class TrainRequest:
    """What to train, from what.

    Attributes:
        preset_name: For the card.
        preset: Model and recipe.
        data_folder: Folder of the files.
        cards: The files.
        state_folder: Where training state is kept; training goes on from what is there.
        keys_of: Vocabulary keys of gene names of a species.
        describe_genes: One line on each vocabulary key.
        embed: Text embedder.
        load_language: Gives the base language model and its tokenizer.
        is_a: Whether a Cell Ontology term is below another.
        table: What the labels of the files mean; None takes the packaged table.
        panel: Vocabulary keys of the genes that the cells to label are measured on. Half of the
            training cells are then seen through it; empty prepares for the files' own panels.
    """

    preset_name: str
    preset: Preset
    data_folder: Path
    cards: Sequence[DatasetCard]
    state_folder: Path
    keys_of: KeysOf
    describe_genes: Callable[[Sequence[str]], Sequence[str]]
    embed: Embed
    load_language: Callable[[], tuple[Any, Any]]
    is_a: IsA = lambda _child, _parent: False
    table: LabelTable | None = None
    panel: Sequence[str] = ()


def label_tasks(recipe: TrainConfig) -> frozenset[str]:
    """Tasks of the files that a recipe learns from."""
    responses = {"drug response"} if "DSP" in recipe.tasks else set()
    return frozenset({"cell type", *responses})


class Pipeline:
    """A training run.

    What a stage needs of an earlier one is read from the state folder, so stages can be run in
    one call or in several.
    """

    def __init__(self, request: TrainRequest) -> None:
        self.request = request
        self.recipe = request.preset.train
        self.folder = request.state_folder
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.recipe.threads:
            torch.set_num_threads(self.recipe.threads)

    @cached_property
    def corpus(self) -> Corpus:
        """All files, aligned. A run that goes on keeps its genes, whatever names mean by now."""
        request = self.request
        kept = self.folder / VOCABULARY
        table = request.table or label_table()
        wanted = label_tasks(self.recipe)
        corpus = build_corpus(
            request.data_folder,
            [card for card in request.cards if card.task in wanted],
            table,
            request.keys_of,
            is_a=request.is_a,
            seed=self.recipe.seed,
            vocabulary=GeneVocabulary.load(kept) if kept.is_file() else None,
            panel=request.panel,
        )
        corpus.vocabulary.save(kept)
        return corpus

    @cached_property
    def network(self) -> CellNetwork:
        """The network as the stages so far have left it."""
        config = self.request.preset.model
        path = self.folder / "network.safetensors"
        if path.is_file():
            sizes = {"n_genes": len(self.corpus.vocabulary), "n_labels": len(self.corpus.labels)}
            network = CellNetwork(config, **sizes)
            network.load_state_dict(load_file(path))
            return network
        texts = self.request.describe_genes(self.corpus.vocabulary.keys)
        network = start_network(
            config, self.corpus, texts, self.request.embed, seed=self.recipe.seed
        )
        add_wide_term(network, self.corpus, self.recipe)
        self._keep(network)
        return network

    @cached_property
    def language(self) -> CellLanguage:
        """The language model with what its stage has learned so far."""
        config = self.request.preset.model
        base, tokenizer = self.request.load_language()
        torch.manual_seed(self.recipe.seed)
        language = CellLanguage(base, tokenizer, config.language, config.encoder.n_queries)
        path = self.folder / "adapters.safetensors"
        if path.is_file():
            language.load_own_state(load_file(path))
        return language

    def run(self, stages: Sequence[Stage] = STAGES) -> None:
        """Run stages in their order."""
        for stage in STAGES:
            if stage in stages:
                logger.info("stage: %s", stage)
                getattr(self, f"_{stage}")()

    def _encoder(self) -> None:
        if self._read("calibration").get("done"):
            return  # calibrating again would read cells that have trained since
        if self.recipe.encoder.steps:
            train_encoder(self.network, self.corpus, self.recipe, self.folder)
        found = calibrate(self.network, self.corpus, seed=self.recipe.seed)
        if self.recipe.encoder.steps and not self.recipe.joint:
            refit(self.network, self.corpus, self.recipe, self.folder)
        self._keep(self.network)
        self._note("calibration", {**found, "done": True})

    def _language(self) -> None:
        writer = PromptWriter(
            self.corpus, "train", seed=self.recipe.seed, kept=self.recipe.template_share
        )
        recipe, folder = self.recipe, self.folder
        spell_labels(self.network, self.language, writer.spoken)
        train_language(self.network, self.language, writer, config=recipe, folder=folder)
        if recipe.joint:
            found = calibrate(self.network, self.corpus, seed=recipe.seed)
            self._note("calibration", {**found, "done": True})
        self._keep(self.network)
        self._write("adapters", self.language.own_state())

    def _decoder(self) -> None:
        data = count_data(self.corpus)
        self.language.eval()
        states = condition_states(self.language, self.corpus, data, seed=self.recipe.seed)
        train_decoder(self.network, states, data, self.recipe, self.folder)
        self._keep(self.network)
        self._write("reference", reference_tensors(data))
        realism = judge_sources(self.network, states, data)
        self._note("reference", reference_card(data, realism))

    def _evaluate(self) -> None:
        self.network.eval()
        rows = evaluate_readout(self.network, self.corpus)
        self._note("readout", {"rows": rows})
        for cells in self.corpus.sets if self.recipe.baseline else ():
            name = f"logistic-{cells.card.name}"
            if not (self.folder / f"{name}.json").is_file():
                self._note(name, logistic_baseline(cells))
        if self._tensors("adapters"):
            found = evaluate_language(
                self.network,
                self.language.eval(),
                self.corpus,
                n=self.recipe.answers_tested,
                seed=self.recipe.seed,
            )
            self._note("language_test", found)

    def export(self, folder: Path) -> Checkpoint:
        """Write the checkpoint of what has been trained so far."""
        checkpoint = Checkpoint(
            network=self.network.eval(),
            vocabulary=self.corpus.vocabulary,
            labels=self.corpus.labels,
            language=self._tensors("adapters"),
            reference=self._tensors("reference"),
            card=self._card(),
        )
        save_checkpoint(checkpoint, folder)
        return checkpoint

    def _card(self) -> dict[str, Any]:
        rows = []
        for row in self._read("readout").get("rows", []):
            rows.append({**row, **self._read(f"logistic-{row['dataset']}")})
        typed = [row for row in rows if row["task"] == "cell type"]
        means = {
            key: round(float(np.mean([row[key] for row in typed])), 4)
            for key in ("macro_f1", "accuracy", "logistic_macro_f1", "calibration_error")
            if typed and all(key in row for row in typed)
        }
        return {
            "preset": self.request.preset_name,
            "seed": self.recipe.seed,
            "split": "per set: 75/5/20 by cell with this seed, or whole donors",
            "datasets": [
                {
                    "name": cells.card.name,
                    "species": cells.card.species,
                    "tissue": cells.card.tissue,
                    "protocol": cells.card.protocol,
                    "task": cells.card.task,
                    "split": cells.card.split,
                    "duplicates_dropped": cells.duplicates,
                    "cells": {part: len(rows) for part, rows in cells.parts.items()},
                    "genes_measured": int(cells.block.measured.sum()),
                }
                for cells in self.corpus.sets
            ],
            "genes": len(self.corpus.vocabulary),
            "genes_of_panel": len(self.request.panel),
            "labels": len(self.corpus.labels),
            "numbers_stored": parameter_count(self.network),
            "steps": self._steps(),
            "calibration": self._read("calibration"),
            "test": rows,
            "test_mean": means,
            "language_test": self._read("language_test"),
            **self._read("reference"),
        }

    def _steps(self) -> dict[str, int]:
        states = {name: name for name in ("encoder", "refit", "language")}
        states["decoder"] = STATE_NAME
        return {stage: self._read(name).get("step", 0) for stage, name in states.items()}

    def _keep(self, network: CellNetwork) -> None:
        self._write("network", network.state_dict())

    def _write(self, name: str, tensors: Mapping[str, Tensor]) -> None:
        draft = self.folder / f"{name}.tmp"
        save_file({k: v.detach().clone().contiguous() for k, v in tensors.items()}, draft)
        draft.replace(self.folder / f"{name}.safetensors")

    def _tensors(self, name: str) -> dict[str, Tensor]:
        path = self.folder / f"{name}.safetensors"
        return load_file(path) if path.is_file() else {}

    def _note(self, name: str, record: Mapping[str, Any]) -> None:
        text = json.dumps(record, indent=1)
        (self.folder / f"{name}.json").write_text(text, encoding="utf-8")

    def _read(self, name: str) -> dict[str, Any]:
        path = self.folder / f"{name}.json"
        found: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.is_file() else {}
        return found
