"""``predict_drug_response`` on made-up cells with the screen's genes."""

import json
from functools import cache
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from cellwright.agent.claims import bind, bind_table
from cellwright.cellmodel.drug import DrugTransfer
from cellwright.errors import RefusedError
from cellwright.tools.drug_groups import direction, pseudobulks, units
from cellwright.tools.drug_labels import contexts, nearest_context, trained_context
from cellwright.tools.drug_names import resolve_drugs
from cellwright.tools.drug_reading import known_markers, read_prediction
from cellwright.tools.drug_records import DrugArgs
from cellwright.tools.predict_drug_response import TOOL, gate, run
from cellwright.tools.selection import keys_of
from cellwright.tools.workbench import Workbench
from tests.unit.tools.factory import make_bench

SHARED = Path(__file__).parents[3].parent / "shared" / "data"


@cache
def made_cells(*, donors: int = 0, genes: int = 700) -> anndata.AnnData:
    """Two groups: one expresses like the line K-562, the other like A549."""
    transfer = DrugTransfer.load()
    space = transfer.space
    known = [at for at, key in enumerate(space.keys) if key.isalnum()][:genes]
    draw = np.random.default_rng(0)
    rows, labels = [], []
    for line in ("K-562", "A549"):
        profile = space.mean_G + transfer.scores_LK[transfer.lines.index(line)] @ space.loadings_KG
        rate = np.exp(profile[known] * 1.2)
        rows.append(draw.poisson(rate * 3, size=(40, len(known))))
        labels += [f"like {line}"] * 40
    obs = pd.DataFrame({"cell_type": labels}, index=[f"c{at}" for at in range(80)])
    if donors:
        obs["donor_id"] = [f"d{at % donors}" for at in range(80)]
    counts = sparse.csr_matrix(np.vstack(rows).astype(np.float32))
    return anndata.AnnData(
        counts, obs=obs, var=pd.DataFrame(index=[space.keys[at] for at in known])
    )


def made_bench(folder: Path, *, donors: int = 0, genes: int = 700) -> Workbench:
    return make_bench(made_cells(donors=donors, genes=genes).copy(), folder)


def test_groups_cells_donors_and_claims(tmp_path: Path) -> None:
    bench = made_bench(tmp_path, donors=3)
    result = run(DrugArgs(drugs=("Tarceva", "imatinib mesylate")), bench)
    assert [drug.drug for drug in result.drugs] == ["Erlotinib", "Imatinib"]
    assert result.drugs[0].query == "Tarceva"
    assert "EGFR" in result.drugs[0].targets
    assert {one.group for one in result.responses} == {"like K-562", "like A549"}
    for one in result.responses:
        assert one.low < one.z < one.high
        assert (one.n_cells, one.n_donors) == (40, 3)
        assert len(one.nearest) == 3
    assert len(result.donors) == 2 * 2 * 3
    document = json.loads(result.model_dump_json())
    said = [bind(claim, "re", document, frozenset({"EGFR", "ABL1"})) for claim in result.claims()]
    assert any("Erlotinib" in sentence.text for sentence in said)
    assert any(sentence.kind == "caveat" for sentence in said)
    grid = bind_table(result.report_tables()[0], "re", document)
    assert len(grid.rows) == 4


def test_new_data_gets_a_score_per_cell_and_keeps_the_users_columns(tmp_path: Path) -> None:
    bench = made_bench(tmp_path)
    before = bench.adata()
    result = run(DrugArgs(drugs=("imatinib",)), bench)
    assert result.data is not None
    made = anndata.read_h5ad(bench.store.path(result.data.id))
    assert set(made.obs.columns) - set(before.obs.columns) == {"cellwright_drug_imatinib"}
    assert np.isfinite(made.obs["cellwright_drug_imatinib"]).all()
    table = pd.read_csv(bench.store.path(result.tables[0].id))
    assert table["drug"].nunique() == len(DrugTransfer.load().drugs)
    assert bench.store.path(result.figures[0].id).stat().st_size > 5000


def test_a_line_is_recognised_and_ranks_follow_its_measured_response(tmp_path: Path) -> None:
    result = run(DrugArgs(drugs=("imatinib",)), made_bench(tmp_path, genes=2500))
    by_group = {one.group: one for one in result.responses}
    assert by_group["like K-562"].nearest[0].line == "K-562"
    # K-562 carries BCR-ABL; its lineage alone makes it the more sensitive of the two.
    assert by_group["like K-562"].z < by_group["like A549"].z


def test_no_drug_named_takes_those_that_stand_out(tmp_path: Path) -> None:
    result = run(DrugArgs(), made_bench(tmp_path))
    assert 1 <= len(result.drugs) <= 6
    assert all(drug.query == "" and drug.skill >= 0.3 for drug in result.drugs)


def test_an_unscreened_drug_is_refused_with_its_nearest_by_target(tmp_path: Path) -> None:
    bench = made_bench(tmp_path)
    verdict = gate(DrugArgs(drugs=("vemurafenib",)), bench.passport, bench)
    assert verdict.outcome == "refuse"
    assert "BRAF" in verdict.reason
    near = verdict.alternative.removeprefix("Nearest by target or mechanism: ").strip(".")
    assert set(near.split(", ")) <= set(DrugTransfer.load().drugs)
    with pytest.raises(RefusedError, match="vemurafenib"):
        run(DrugArgs(drugs=("vemurafenib",)), bench)


def test_one_unscreened_drug_of_two_is_a_warning_and_a_caveat(tmp_path: Path) -> None:
    bench = made_bench(tmp_path)
    args = DrugArgs(drugs=("erlotinib", "zzzdrug"))
    assert gate(args, bench.passport, bench).outcome == "warn"
    found, left_out = resolve_drugs(args.drugs, bench.knowledge, DrugTransfer.load())
    assert list(found) == ["Erlotinib"]
    assert left_out[0].drug == "zzzdrug"
    assert any("not_predicted.0" in one.template for one in run(args, bench).claims())


def test_mouse_cells_are_refused_with_the_reason(tmp_path: Path) -> None:
    bench = made_bench(tmp_path)
    assert bench.passport is not None
    species = bench.passport.species.model_copy(update={"value": "mouse"})
    mouse = bench.passport.model_copy(update={"species": species})
    verdict = gate(DrugArgs(drugs=("erlotinib",)), mouse, bench)
    assert verdict.outcome == "refuse"
    assert "mouse" in verdict.reason


def test_too_few_shared_genes_are_refused(tmp_path: Path) -> None:
    bench = made_bench(tmp_path, genes=60)
    verdict = gate(DrugArgs(drugs=("erlotinib",)), bench.passport, bench)
    assert verdict.outcome == "refuse"
    assert "60" in verdict.reason


def test_scaled_values_outside_a_trained_context_are_refused_with_the_nearest(
    tmp_path: Path,
) -> None:
    """Intake lets z-scores through; only a drug and cells with trained labels go on."""
    assert "scaled" in TOOL.needs.matrix
    cells = made_cells().copy()
    cells.X = (cells.X.toarray() - cells.X.mean(0).A1) / (cells.X.toarray().std(0) + 1e-3)
    bench = make_bench(cells, tmp_path)
    assert bench.passport is not None
    assert bench.passport.state == "scaled"
    verdict = gate(DrugArgs(drugs=("PLX-4720",)), bench.passport, bench)
    assert verdict.outcome == "refuse"
    assert "PLX-4720 on A375" in verdict.reason


def test_trained_contexts_are_bound_to_drug_cells_and_matrix(tmp_path: Path) -> None:
    passport = made_bench(tmp_path).passport
    assert passport is not None
    tissue = passport.tissue.model_copy(update={"value": "melanoma CD45+"})
    melanoma = passport.model_copy(update={"tissue": tissue})
    found = trained_context(("pembrolizumab",), melanoma)
    assert found is not None
    assert found.of_patients
    assert trained_context(("pembrolizumab",), passport) is None
    assert trained_context(("PLX-4720",), melanoma) is None
    assert nearest_context(("plx4720",), melanoma).drug == "PLX-4720"
    assert {one.drug for one in contexts()} == {"PLX-4720", "checkpoint therapy"}


def test_kind_and_state_add_up_and_genes_at_the_average_flip_the_call(tmp_path: Path) -> None:
    bench = made_bench(tmp_path, genes=2500)
    result = run(DrugArgs(drugs=("paclitaxel",)), bench)
    transfer, adata = DrugTransfer.load(), bench.adata()
    for one in result.responses:
        assert one.tissue in transfer.tissues
        assert one.z == pytest.approx(one.tissue_z + one.own_z, abs=2e-3)
        profile = pseudobulks(adata, units(adata.obs["cell_type"], None))[0]
    reading = read_prediction(transfer, profile, keys_of(adata), "Paclitaxel")
    z = transfer.predict(profile[None, :], keys_of(adata), ["Paclitaxel"]).z[0, 0]
    bias = transfer.bias_D[transfer.drugs.index("Paclitaxel")]
    assert reading.shares.sum() + bias == pytest.approx(z, abs=1e-3)
    left = z - reading.shares[list(reading.flip)].sum()
    assert left * z <= 1e-6
    assert (z - reading.shares[list(reading.flip[:-1])].sum()) * z > 0


def test_markers_of_a_class_go_by_targets_and_pathway() -> None:
    assert {one.gene for one in known_markers("Erlotinib", ("EGFR",), "EGFR signaling")} == {
        "AXL",
        "MET",
    }
    assert known_markers("Nothing", (), "") == ()


@pytest.mark.parametrize(
    ("z", "low", "high", "words"),
    [
        (-1, -1.5, -0.5, "more sensitive"),
        (1, 0.5, 1.5, "more resistant"),
        (-0.5, -1.5, 0.5, "leaning sensitive"),
        (0.5, -0.5, 1.5, "leaning resistant"),
        (0, -1, 1, "near the average"),
    ],
)
def test_direction_words(z: float, low: float, high: float, words: str) -> None:
    assert direction(z, low, high).startswith(words)


@pytest.mark.data
def test_plates_of_the_same_lines_agree(tmp_path: Path) -> None:
    """The two CEL-seq2 plates of five held-out lines get the same answer."""
    found = []
    for plate in ("p1", "p2"):
        folder = tmp_path / plate
        folder.mkdir()
        bench = make_bench(anndata.read_h5ad(SHARED / f"mixology_celseq2_5cl_{plate}.h5ad"), folder)
        result = run(DrugArgs(drugs=("erlotinib", "trametinib", "paclitaxel")), bench)
        found.append([one.z for one in result.responses])
    assert np.corrcoef(*found)[0, 1] > 0.9
