"""The suite from end to end on made-up blood cells and a network whose linear term is planted."""

from pathlib import Path

import numpy as np
import pytest
import torch

from cellwright.cellmodel.checkpoint import Checkpoint
from cellwright.cellmodel.data import registry
from cellwright.cellmodel.data.registry import DatasetCard
from cellwright.cellmodel.data.splits import random_split
from cellwright.cellmodel.inference import CellModel
from cellwright.cellmodel.labels import LabelRecord, LabelSpace
from cellwright.cellmodel.modeling.cell_network import CellNetwork
from cellwright.cellmodel.presets import debug
from cellwright.cellmodel.vocabulary import GeneVocabulary
from cellwright.evals.cells import CellFile
from cellwright.evals.suites import saliency
from cellwright.evals.task import OURS, EvalContext
from cellwright.evals.trained import SeedModel
from cellwright.knowledge import Knowledge
from cellwright.settings import Settings
from tests.unit.cellmodel.toys import toy_embed
from tests.unit.tools.factory import GENES, TYPES, make_adata

TERMS = {"B cell": "CL:0000236", "T cell": "CL:0000084", "monocyte": "CL:0000576"}
NAME = "pbmc3k_2638"
CARD = DatasetCard(name=NAME, species="human", tissue="blood", protocol="10x")
KNOWLEDGE = Knowledge.open()


def make_file() -> CellFile:
    adata = make_adata(90)
    names = adata.obs["cell_type"].to_numpy().astype(object)
    return CellFile(
        card=CARD,
        matrix=adata.X,
        keys=list(GENES),
        names=names,
        ids=np.array([TERMS[name] for name in names], object),
        parts=random_split(90, seed=0),
        log=adata.X,
        genes=GENES,
        obs=adata.obs,
    )


def make_model() -> CellModel:
    torch.manual_seed(0)
    network = CellNetwork(debug().model, n_genes=len(GENES), n_labels=len(TYPES))
    for at, genes in enumerate(TYPES.values()):
        network.readout.wide_LV[at, [GENES.index(gene) for gene in genes]] = 0.6
    network.genes.mean_V.fill_(1.0)
    records = tuple(
        LabelRecord(name=name, ontology_id=term, species=("human",), tissues=("blood",), n_cells=30)
        for name, term in TERMS.items()
    )
    checkpoint = Checkpoint(
        network=network.eval().requires_grad_(requires_grad=False),
        vocabulary=GeneVocabulary(GENES),
        labels=LabelSpace(records),
        language={},
        reference={},
        card={},
    )
    return CellModel(checkpoint, Settings(), toy_embed)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict, Path]:
    folder = tmp_path_factory.mktemp("out")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(saliency, "seed_models", lambda _context: [SeedModel(0, make_model())])
        patch.setattr(saliency, "read_file", lambda _name, _context, *, seed: make_file())
        patch.setattr(registry, "training_sets", lambda _task: (CARD,))
        context = EvalContext(folder, seeds=1, out=folder)
        context.__dict__["knowledge"] = KNOWLEDGE
        rows = saliency.run(context)
    return {(row.data, row.metric, row.system): row for row in rows}, folder


def test_planted_genes_are_named_and_have_records(found) -> None:
    rows, _ = found
    ours = rows["all types", "marker_share", OURS]
    assert ours.n == 3
    assert ours.mean > rows["all types", "marker_share", "random-expressed"].mean
    assert ours.mean >= rows["all types", "marker_share_strict", OURS].mean > 0
    assert 0 <= rows["all types", "types_over_half", OURS].mean <= 1
    baselines = {"random-same-level", "top-expressed", "above-average", "t-test", "wilcoxon"}
    assert baselines <= {system for data, metric, system in rows if metric == "marker_share"}


def test_removing_what_is_named_does_more_than_removing_at_random(found) -> None:
    rows, _ = found
    ours, random = (rows[NAME, "deletion_area", one].mean for one in (OURS, "random-order"))
    assert ours < random - 0.1
    ours, random = (rows[NAME, "insertion_area", one].mean for one in (OURS, "random-order"))
    assert ours > random + 0.1


def test_the_verdict_is_the_criterion_that_was_fixed(found) -> None:
    rows, _ = found
    everything = "readout and encoder and genes forgotten"
    for system in saliency.SYSTEMS:
        correlation = rows[everything, "rank_correlation", system].mean
        passed = rows[everything, "passed", system].mean
        assert passed == float(abs(correlation) <= saliency.UNLEARNED)
    stages = {data for data, metric, _ in rows if metric == "rank_correlation"}
    assert len(stages) == 3


def test_figures_are_drawn(found) -> None:
    _, folder = found
    drawn = {path.name for path in (folder / "figures").glob("*.png")}
    assert drawn == {"saliency-blood.png", "saliency-curves.png"}


def test_coding_genes_are_told_from_others() -> None:
    keys = ("CD3D", "MALAT1", "mouse:Reg3a", "nonsense9")
    assert list(saliency.coding_genes(keys, KNOWLEDGE)) == [True, False, True, False]
