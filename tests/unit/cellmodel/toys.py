"""Made-up cells, a made-up language model, and a pipeline on both."""

import dataclasses
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
from scipy import sparse

from cellwright.cellmodel.data.registry import DatasetCard, LabelRow
from cellwright.cellmodel.presets import Preset, debug
from cellwright.cellmodel.training.pipeline import Pipeline, TrainRequest

GENES = tuple(f"G{at:02d}" for at in range(60))
TYPES = ("alpha cell", "beta cell", "gamma cell")
PLANTED = {name: GENES[10 * at : 10 * at + 4] for at, name in enumerate(TYPES)}
TABLE = {
    file: {name: LabelRow(name=name, ontology_id=f"CL:{at}") for at, name in enumerate(TYPES)}
    for file in ("one", "two")
}
CARDS = (
    DatasetCard(name="one", species="human", tissue="blood", protocol="10x"),
    DatasetCard(name="two", species="mouse", tissue="skin", protocol="Drop-seq"),
)


def make_counts(label: str, n: int, rng: np.random.Generator) -> np.ndarray:
    rate = np.full(len(GENES), 1.0)
    rate[[GENES.index(gene) for gene in PLANTED[label]]] = 12.0
    return rng.poisson(rate, size=(n, len(GENES)))


def make_adata(n_per_type: int = 30, seed: int = 0) -> anndata.AnnData:
    rng = np.random.default_rng(seed)
    counts = np.concatenate([make_counts(name, n_per_type, rng) for name in TYPES])
    obs = pd.DataFrame(
        {"cell_type": np.repeat(TYPES, n_per_type)}, index=[f"c{at}" for at in range(len(counts))]
    )
    return anndata.AnnData(
        sparse.csr_matrix(counts.astype(np.float32)), obs=obs, var=pd.DataFrame(index=list(GENES))
    )


def toy_embed(texts: Sequence[str]) -> np.ndarray:
    rows = []
    for text in texts:
        seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "little")
        rows.append(np.random.default_rng(seed).normal(size=384))
    table = np.array(rows, dtype=np.float32).reshape(-1, 384)
    return table / np.linalg.norm(table, axis=1, keepdims=True)


def toy_language(hidden: int = 32) -> tuple[Any, Any]:
    import torch
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    letters = {chr(at): at - 31 for at in range(32, 127)} | {"<unk>": 0, "\n": 96, "<|im_end|>": 97}
    core = Tokenizer(models.WordLevel(letters, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    core.decoder = decoders.Fuse()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core, eos_token="<|im_end|>", unk_token="<unk>"
    )
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=100,
        hidden_size=hidden,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        tie_word_embeddings=True,
    )
    return LlamaForCausalLM(config).eval(), tokenizer


def make_pipeline(folder: Path, preset: Preset | None = None) -> Pipeline:
    data = folder / "data"
    data.mkdir(parents=True, exist_ok=True)
    for seed, card in enumerate(CARDS):
        if not (data / f"{card.name}.h5ad").exists():
            make_adata(seed=seed).write_h5ad(data / f"{card.name}.h5ad")
    return Pipeline(
        TrainRequest(
            preset_name="debug",
            preset=preset or debug(),
            data_folder=data,
            cards=CARDS,
            state_folder=folder / "state",
            keys_of=lambda names, _species: list(names),
            describe_genes=list,
            embed=toy_embed,
            load_language=toy_language,
            table=TABLE,
        )
    )


def with_encoder_steps(steps: int) -> Preset:
    preset = debug()
    stage = dataclasses.replace(preset.train.encoder, steps=steps)
    return dataclasses.replace(preset, train=dataclasses.replace(preset.train, encoder=stage))
