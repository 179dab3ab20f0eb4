"""Splits and controls of the response suite, on made-up cells."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from cellwright.cellmodel.data.registry import DatasetCard
from cellwright.cellmodel.data.splits import donor_split, random_split
from cellwright.evals import response_figures
from cellwright.evals.baselines import logistic, majority
from cellwright.evals.cells import CellFile
from cellwright.evals.suites import drug_labels
from cellwright.evals.suites.drug_labels import LINE, PATIENTS, most_frequent, shuffle_groups
from cellwright.evals.task import EvalContext, Unavailable

N_CELLS, N_GENES = 120, 12


def make_file(name: str, seed: int) -> CellFile:
    """The line: gene 0 tells its labels. The patients: a gene each, and nothing on response."""
    rng = np.random.default_rng(0)
    patients = np.array([f"p{at}" for at in np.arange(N_CELLS) % 10], dtype=object)
    table = rng.normal(size=(N_CELLS, N_GENES))
    if name == LINE:
        labels = np.array(["drug resistant", "drug sensitive"], object)[np.arange(N_CELLS) % 2]
        table[:, 0] += np.where(labels == "drug sensitive", 4.0, -4.0)
        parts = random_split(N_CELLS, seed=seed)
        state = "scaled"
    else:
        answers = dict(zip(sorted(set(patients)), ["yes", "no"] * 5, strict=True))
        labels = np.array([answers[one] for one in patients], dtype=object)
        table = np.abs(table)
        table[np.arange(N_CELLS), [int(one[1:]) for one in patients]] += 6.0
        parts = donor_split(patients, seed=seed)
        state = "ln"
    card = DatasetCard(
        name=name,
        species="human",
        tissue="t",
        protocol="p",
        state=state,
        task="drug response",
        label_column="response",
        donor_column="" if name == LINE else "patient",
        split="random" if name == LINE else "donor",
    )
    genes = tuple(f"G{at}" for at in range(N_GENES))
    matrix = sparse.csr_matrix(table)
    return CellFile(
        card=card,
        matrix=matrix,
        keys=genes,
        names=labels,
        ids=np.full(N_CELLS, "", object),
        parts=parts,
        log=sparse.csr_matrix(np.maximum(table, 0)),
        genes=genes,
        obs=pd.DataFrame({"patient": patients}),
    )


def no_models(_context: EvalContext) -> list:
    msg = "there is no checkpoint yet"
    raise Unavailable(msg)


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict, list, list]:
    said, drawn = [], []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drug_labels, "seed_models", no_models)
        patch.setattr(
            drug_labels, "read_file", lambda name, _context, *, seed: make_file(name, seed)
        )
        patch.setattr(drug_labels, "BASELINES", {"logistic": logistic, "majority": majority})
        patch.setattr(drug_labels, "draw_response", lambda shown, _folder: drawn.append(shown))
        folder = tmp_path_factory.mktemp("data")
        found = drug_labels.run(EvalContext(folder, seeds=3, say=said.append))
    return {row.key[1:]: row for row in found}, said, drawn


def test_a_line_is_told_apart_and_its_shuffled_labels_are_not(rows) -> None:
    found, _said, _drawn = rows
    assert found[LINE, "random", "macro_f1", "logistic"].mean > 0.9
    assert found[LINE, "random", "macro_f1", "logistic-as-read"].mean > 0.9
    assert found[LINE, "random, labels shuffled", "macro_f1", "logistic"].mean < 0.75
    assert found[LINE, "random", "macro_f1", "majority"].mean < 0.5
    assert found[LINE, "random", "macro_f1", "logistic"].seeds == 3


def test_cells_of_known_patients_flatter(rows) -> None:
    found, _said, _drawn = rows
    random = found[PATIENTS, "random", "accuracy", "logistic"].mean
    assert random > 0.95
    assert found[PATIENTS, "donor", "accuracy", "logistic"].mean < random - 0.2
    who = found[drug_labels.PATIENT_OF_CELL, "random", "accuracy", "logistic"].mean
    assert (
        who > 0.95 > 3 * found[drug_labels.PATIENT_OF_CELL, "random", "accuracy", "majority"].mean
    )
    votes = found[PATIENTS, "donor", "patient_accuracy", "logistic"]
    assert votes.n == 2
    assert (LINE, "random", "patient_accuracy", "logistic") not in found


def test_folds_test_every_cell_and_tell_the_splits_apart(rows) -> None:
    found, _said, _drawn = rows
    by_cell = found[PATIENTS, "random, 5 folds", "accuracy", "logistic"]
    by_patient = found[PATIENTS, "donor, 5 folds", "accuracy", "logistic"]
    assert by_cell.n == by_patient.n == N_CELLS
    assert by_cell.mean > 0.95 > by_patient.mean + 0.2
    assert (PATIENTS, "donor, 5 folds, labels shuffled", "accuracy", "logistic") in found


def test_a_missing_model_is_said_and_left_out(rows) -> None:
    found, said, drawn = rows
    assert not [key for key in found if key[-1] == "cellwright"]
    assert any("no checkpoint" in text for text in said)
    assert [shown.system for shown in drawn] == ["logistic", "logistic"]
    assert {len(shown.guess) for shown in drawn} == {24}


def test_a_context_that_was_not_trained_is_refused() -> None:
    class Model:
        class checkpoint:
            class labels:
                names = ("B cell", "drug sensitive")

    file = make_file(LINE, 0)
    with pytest.raises(Unavailable, match=f"not trained on {LINE}: it has no drug resistant"):
        drug_labels._read_out(file.labelled(), file=file, model=Model())


def test_labels_are_shuffled_among_patients_whole() -> None:
    groups = np.repeat(["a", "b", "c", "d"], 5)
    labels = np.repeat(np.array(["yes", "no", "yes", "yes"], object), 5)
    shuffled = [shuffle_groups(labels, groups, np.random.default_rng(at)) for at in range(8)]
    for one in shuffled:
        assert all(len(set(one[groups == group])) == 1 for group in "abcd")
        assert sum(one == "no") == 5
    assert len({tuple(one) for one in shuffled}) > 1


def test_a_vote_is_the_most_frequent() -> None:
    assert most_frequent(["b", "a", "b"]) == "b"
    assert most_frequent(["b", "a"]) == "a"


def test_the_figure_is_drawn(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = make_file(LINE, 0)
    monkeypatch.setattr(response_figures, "_umap", lambda matrix: matrix[:, :2].toarray())
    test = file.parts["test"]
    shown = response_figures.Shown(
        name="line",
        system="logistic",
        matrix=file.matrix,
        labels=file.names,
        test=test,
        guess=file.names[test],
    )
    path = response_figures.draw_response(shown, tmp_path)
    assert path.name == "drug-labels-line-logistic.png"
    assert path.stat().st_size > 5000


def test_words_that_all_labels_share_go_into_the_title() -> None:
    labels = np.array(["PLX-4720 sensitive", "PLX-4720 resistant"], object)
    drug, short = response_figures._without_prefix(labels)
    assert drug == "PLX-4720"
    assert short == {"PLX-4720 sensitive": "sensitive", "PLX-4720 resistant": "resistant"}
    assert response_figures._without_prefix(np.array(["a", "b"], object))[0] == ""
