"""The transfer on a made screen with a planted signal."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cellwright.cellmodel.drug.fit import (
    FitConfig,
    PlatformPair,
    cross_predict,
    factorise,
    fit_response,
    fit_screen,
    ridge,
    spearman_columns,
)
from cellwright.cellmodel.drug.screen import HELD_OUT_LINES, Screen, read_screen
from cellwright.cellmodel.drug.sharing import DrugFacts, drug_similarity
from cellwright.cellmodel.drug.transfer import MISSING, STEP, DrugTransfer, pack_response
from cellwright.errors import CellwrightError, InputError

CONFIG = FitConfig(factors=10, ridge=5.0, platform_var=0.1)
GDSC = Path(__file__).parents[4].parent / "shared" / "data" / "gdsc"


def make_screen(*, lines: int = 120, genes: int = 200, drugs: int = 4, seed: int = 0) -> Screen:
    """Lines along three axes; drug 0 acts where axis 0 is high, drug 1 where it is low."""
    rng = np.random.default_rng(seed)
    axes = rng.normal(size=(lines, 3))
    effects = rng.normal(size=(3, genes))
    base = rng.normal(scale=3, size=genes)
    expression = base + axes @ effects + rng.normal(scale=0.3, size=(lines, genes))
    expression = (expression - expression.mean(1, keepdims=True)) / expression.std(1, keepdims=True)
    response = rng.normal(scale=0.3, size=(lines, drugs))
    response[:, 0] -= axes[:, 0]
    response[:, 1] += axes[:, 0]
    response[rng.random(response.shape) < 0.05] = np.nan
    held_out = np.zeros(lines, bool)
    held_out[:8] = True
    names = tuple(f"LINE-{at}" for at in range(lines))
    return Screen(
        lines=names,
        names=names,
        keys=tuple(f"G{at}" for at in range(genes)),
        drugs=tuple(f"drug{at}" for at in range(drugs)),
        expression=expression.astype(np.float32),
        response=response.astype(np.float32),
        held_out=held_out,
    )


def test_a_planted_signal_is_found_in_held_out_lines_with_the_right_sign() -> None:
    screen = make_screen()
    transfer = fit_screen(screen, config=CONFIG)
    held = screen.held_out
    found = transfer.predict(screen.expression[held], screen.keys)
    right = spearman_columns(found.z, screen.response[held])
    assert right[0] > 0.7
    assert right[1] > 0.7
    assert np.corrcoef(found.z[:, 0], found.z[:, 1])[0, 1] < -0.8


def test_only_the_order_of_genes_matters() -> None:
    screen = make_screen()
    transfer = fit_screen(screen, config=CONFIG)
    profile = screen.expression[:2]
    first = transfer.predict(profile, screen.keys).z
    assert np.allclose(transfer.predict(np.exp(profile), screen.keys).z, first, atol=1e-5)


def test_missing_genes_widen_the_interval_and_keep_the_sign() -> None:
    screen = make_screen()
    transfer = fit_screen(screen, config=CONFIG)
    line = screen.expression[:1]
    whole = transfer.predict(line, screen.keys)
    few = transfer.predict(line[:, :30], screen.keys[:30])
    assert few.n_genes == 30
    assert (few.high - few.low > whole.high - whole.low).all()
    assert np.sign(few.z[0, 0]) == np.sign(whole.z[0, 0])


def test_unknown_and_repeated_keys_are_passed_over() -> None:
    screen = make_screen()
    transfer = fit_screen(screen, config=CONFIG)
    keys = [None, "not in the screen", *screen.keys, screen.keys[0]]
    padded = np.hstack([np.full((1, 2), 99.0), screen.expression[:1], np.full((1, 1), 99.0)])
    plain = transfer.predict(screen.expression[:1], screen.keys)
    assert np.allclose(transfer.predict(padded, keys).z, plain.z)


def test_a_platform_difference_is_learned_and_taken_off_by_as_much_as_it_shows() -> None:
    screen = make_screen()
    # Along the first factor a difference does most harm; what shows it is the rest of it.
    away = np.random.default_rng(3).normal(size=len(screen.keys))
    shift = 0.3 * np.sqrt(len(screen.keys)) * factorise(screen.expression, 1)[1][0] + 0.5 * away
    pair = make_pair(screen.expression[50] + shift, screen, "LINE-50")
    blind = fit_screen(screen, config=CONFIG)
    told = fit_screen(screen, pairs=[pair], config=CONFIG)
    truth = blind.predict(screen.expression[:8], screen.keys).z[:, 0]
    for size in (1.0, 0.5):
        seen = screen.expression[:8] + size * shift
        without = np.abs(blind.predict(seen, screen.keys).z[:, 0] - truth).mean()
        corrected = np.abs(told.predict(seen, screen.keys).z[:, 0] - truth).mean()
        assert corrected < 0.7 * without


def test_a_held_out_line_cannot_teach_what_platforms_do() -> None:
    screen = make_screen()
    with pytest.raises(ValueError, match="held out"):
        fit_screen(screen, pairs=[make_pair(screen.expression[0], screen, "LINE-0")], config=CONFIG)


def make_pair(profile: np.ndarray, screen: Screen, line: str) -> PlatformPair:
    return PlatformPair(name="made", profile=profile, keys=screen.keys, lines=(line,))


def test_like_drugs_are_drawn_together_and_the_level_of_each_is_kept() -> None:
    facts = {
        "drug0": DrugFacts(targets=("EGFR",), pathways=("EGFR signaling",), smiles="CCOc1ccccc1"),
        "drug1": DrugFacts(targets=("egfr",), pathways=("EGFR signaling",), smiles="CCOc1ccccc1Cl"),
        "drug2": DrugFacts(targets=("TOP1",), smiles="NNNN=O"),
    }
    similarity = drug_similarity(("drug0", "drug1", "drug2", "drug3"), facts)
    assert similarity[0, 1] > 0.8
    assert similarity[0, 2] < 0.1
    assert not similarity[3].any()
    screen = make_screen()
    alone = fit_response(screen.expression, screen.response, None, CONFIG)
    config = replace(CONFIG, drug_share=1.0, drug_ridge=0.5)
    together = fit_response(screen.expression, screen.response, similarity, config)
    centre = screen.expression.mean(0)
    assert np.allclose(centre @ alone[0] + alone[1], centre @ together[0] + together[1], atol=1e-3)
    assert np.corrcoef(alone[0][:, 0], alone[0][:, 1])[0, 1] < 0
    assert (
        np.corrcoef(together[0][:, 0], together[0][:, 1])[0, 1]
        > np.corrcoef(alone[0][:, 0], alone[0][:, 1])[0, 1]
    )
    assert not together[0][:, 3].any()


def test_gaps_are_filled_by_the_ridge_itself_and_measured_pairs_are_kept() -> None:
    screen = make_screen()
    filled, weights, bias = ridge(screen.expression, screen.response, 5.0)
    measured = np.isfinite(screen.response)
    assert np.array_equal(filled[measured], screen.response[measured].astype(float))
    fitted = screen.expression @ weights + bias
    assert np.abs(filled - fitted)[~measured].max() < 0.05


def test_the_nearest_tissue_brings_its_own_mean_without_held_out_lines() -> None:
    screen = make_screen()
    high = screen.response[:, 1] > np.nanmedian(screen.response[:, 1])
    tissues = tuple("up" if one else "down" for one in high)
    transfer = fit_screen(replace(screen, tissues=tissues), config=CONFIG)
    name, near, n, mean = transfer.nearest_tissues(screen.expression[10:11], screen.keys)[0]
    assert name == tissues[10]
    assert near > 0
    own = (np.array(tissues) == name) & ~screen.held_out
    assert n == own.sum()
    assert mean[1] == pytest.approx(np.nanmean(screen.response[own, 1]), abs=0.05)


def test_held_out_responses_do_not_change_the_fit() -> None:
    screen = make_screen()
    other = np.where(screen.held_out[:, None], 9.0, screen.response).astype(np.float32)
    first = fit_screen(screen, config=CONFIG)
    second = fit_screen(replace(screen, response=other), config=CONFIG)
    assert np.array_equal(first.weights_KD, second.weights_KD)
    assert np.array_equal(first.half_width_D, second.half_width_D)


def test_intervals_cover_about_four_in_five_lines() -> None:
    screen = make_screen(lines=300)
    transfer = fit_screen(screen, config=CONFIG)
    held = cross_predict(screen, CONFIG)
    truth = screen.response[~screen.held_out]
    inside = (
        np.abs(held - truth)[np.isfinite(truth)]
        <= np.broadcast_to(transfer.half_width_D, truth.shape)[np.isfinite(truth)]
    )
    assert 0.75 < inside.mean() < 0.85


def test_nearest_line_is_the_line_itself_and_brings_its_measured_response() -> None:
    screen = make_screen()
    transfer = fit_screen(screen, config=CONFIG)
    near = transfer.nearest_lines(screen.expression[:1], screen.keys, 3, drugs=["drug0"])[0]
    assert near[0].line == "LINE-0"
    assert near[0].held_out
    if np.isfinite(screen.response[0, 0]):
        assert near[0].measured["drug0"] == pytest.approx(screen.response[0, 0], abs=STEP)
    others = transfer.nearest_lines(screen.expression[:1], screen.keys, 3, training_only=True)[0]
    assert not any(line.held_out for line in others)


def test_saved_and_loaded_it_predicts_the_same(tmp_path: Path) -> None:
    screen = make_screen()
    transfer = fit_screen(screen, config=CONFIG)
    transfer.save(tmp_path)
    again = DrugTransfer.load(tmp_path)
    first = transfer.predict(screen.expression[:3], screen.keys).z
    assert np.allclose(again.predict(screen.expression[:3], screen.keys).z, first, atol=0.05)
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".npz"}


def test_another_format_or_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CellwrightError, match="train drug"):
        DrugTransfer.load(tmp_path / "nothing")
    fit_screen(make_screen(), config=CONFIG).save(tmp_path)
    record = json.loads((tmp_path / "transfer.json").read_text())
    (tmp_path / "transfer.json").write_text(json.dumps({**record, "format": 99}))
    with pytest.raises(CellwrightError, match="format 99"):
        DrugTransfer.load(tmp_path)


def test_an_unscreened_drug_is_named() -> None:
    transfer = fit_screen(make_screen(), config=CONFIG)
    with pytest.raises(CellwrightError, match="aspirin"):
        transfer.drug_index(["drug0", "aspirin"])


def test_missing_responses_survive_packing() -> None:
    packed = pack_response(np.array([[np.nan, 0.5, -4.0]], np.float32))
    assert packed.dtype == np.int8
    assert packed[0, 0] == MISSING
    assert np.allclose(packed[0, 1:] * STEP, [0.5, -4.0])


def test_factors_are_orthonormal_and_ridge_shrinks() -> None:
    screen = make_screen()
    mean, loadings = factorise(screen.expression, 5)
    assert np.allclose(loadings @ loadings.T, np.eye(5), atol=1e-3)
    scores = (screen.expression - mean) @ loadings.T
    _, loose, _ = ridge(scores, screen.response, 1e-3)
    _, tight, _ = ridge(scores, screen.response, 1e6)
    assert np.abs(tight).max() < 0.01 * np.abs(loose).max()


def test_a_folder_without_tables_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a GDSC folder"):
        read_screen(tmp_path)


def test_the_packaged_transfer_never_saw_the_test_lines_and_is_small() -> None:
    transfer = DrugTransfer.load()
    assert int(transfer.held_out_L.sum()) == len(HELD_OUT_LINES)
    assert not {"KY821", "KY-821"} & set(transfer.lines)
    assert not any("mixology" in name for name in transfer.card["platforms_from"])
    from cellwright.cellmodel.drug.transfer import PACKAGED

    assert sum(path.stat().st_size for path in PACKAGED.iterdir()) < 6_000_000


@pytest.mark.data
def test_real_screen_leaves_out_lines_that_share_a_name() -> None:
    screen = read_screen(GDSC)
    assert {"TT", "KMH2", "KY821"}.isdisjoint(screen.lines)
    assert set(HELD_OUT_LINES) <= set(screen.lines)
    assert sum(map(bool, screen.tissues)) > 900
    assert screen.tissues[screen.lines.index("A549")] == "lung NSCLC adenocarcinoma"
    trained = screen.response[~screen.held_out]
    assert np.abs(np.nanmean(trained, axis=0)).max() < 0.5
    assert np.isfinite(screen.expression).all()
