"""Families under one protocol, on a made screen with a planted signal."""

from dataclasses import replace

import numpy as np

from cellwright.cellmodel.drug.fit import FitConfig, folds_of, spearman_columns
from cellwright.cellmodel.drug.screen import Screen
from cellwright.evals import drug_families as families
from cellwright.evals.drug_families import Protocol
from tests.unit.cellmodel.drug.test_transfer import make_screen

CONFIG = FitConfig(factors=10, ridge=5.0, platform_var=0.1)


def make_protocol() -> Protocol:
    screen = make_screen()
    # The tissue follows the axis that decides on drug 1.
    high = np.nan_to_num(screen.response[:, 1]) > 0
    tissues = tuple("up" if one else "down" for one in high)
    screen = replace(screen, tissues=tissues, sites=tissues)
    draw = np.random.default_rng(1)
    away = draw.normal(size=(2, len(screen.keys)))
    shared = draw.normal(size=len(screen.keys))
    platforms = {"a": shared + 0.1 * away[0], "b": shared + 0.1 * away[1]}
    platforms["a"][:20] = np.nan
    return Protocol(
        screen=screen,
        similarity=np.zeros((4, 4)),
        platforms=platforms,
        embed=lambda profiles, genes: profiles[:, genes[:40]],
        config=CONFIG,
    )


def within(screen: Screen, guess: np.ndarray) -> float:
    return float(spearman_columns(guess, screen.response[~screen.held_out])[1])


def test_every_family_predicts_every_left_out_line_and_finds_the_signal() -> None:
    protocol = make_protocol()
    fold = folds_of(len(protocol.train), CONFIG)
    found = families.leave_out(protocol, fold)
    assert set(found) == {
        families.SHARED,
        families.LINEAR,
        families.EMBEDDING,
        families.NEAREST,
        families.TISSUE,
        families.NEAR_TISSUE,
    }
    for name in (families.SHARED, families.LINEAR, families.NEAREST):
        assert np.isfinite(found[name]).all()
        assert within(protocol.screen, found[name]) > 0.6


def test_a_left_out_line_does_not_teach_its_own_prediction() -> None:
    protocol = make_protocol()
    fold = folds_of(len(protocol.train), CONFIG)
    first = families.leave_out(protocol, fold)
    response = protocol.screen.response.copy()
    own = protocol.train[fold == 0]
    response[own] = -response[own]
    second = families.leave_out(
        replace(protocol, screen=replace(protocol.screen, response=response)), fold
    )
    for name, guess in first.items():
        assert np.allclose(guess[fold == 0], second[name][fold == 0]), name


def test_a_disguise_is_seen_through_with_what_other_platforms_teach() -> None:
    protocol = make_protocol()
    fold = folds_of(len(protocol.train), CONFIG)
    scores = [
        within(
            protocol.screen,
            families.leave_out(
                protocol, fold, disguise="a", corrected=corrected, families=(families.SHARED,)
            )[families.SHARED],
        )
        for corrected in (True, False)
    ]
    assert scores[0] > 0.6
    assert scores[0] >= scores[1] - 0.02


def test_the_tissue_mean_is_over_lines_of_the_tissue_that_were_measured() -> None:
    response = np.array([[1.0, np.nan], [3.0, np.nan], [10.0, 4.0]])
    tissues = np.array(["x", "x", "y"], object)
    found = families.tissue_mean(np.array(["x", "z"], object), tissues, response)
    assert found[0].tolist() == [2.0, 4.0]
    assert np.allclose(found[1], np.nanmean(response, axis=0))


def test_sites_are_folds() -> None:
    protocol = make_protocol()
    fold = families.site_folds(protocol.screen)
    sites = np.array(protocol.screen.sites)[protocol.train]
    assert set(fold) == {0, 1}
    assert len(set(sites[fold == 0])) == 1
