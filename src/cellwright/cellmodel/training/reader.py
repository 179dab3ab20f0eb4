"""The decoder's reader: which source a state at the signal token asks for."""

import numpy as np
import torch
from torch import Tensor

SHRINKAGE = 0.01
"""Share of the covariance that is taken for equal in all directions."""
FIRST_SHARE = 0.4
"""What the first wording, which the model itself writes, counts for in a source's mean, besides."""
HEATS = np.exp(np.linspace(-2, 6, 33))


def fit_reader(states_PWH: Tensor, overlap_PP: np.ndarray) -> tuple[Tensor, Tensor]:
    """Weights ``(P, H)`` and bias ``(P,)`` of a linear discriminant over sources.

    What differs between wordings of one wish is the noise, so its covariance, shrunk (Friedman
    1989), says which directions to trust. The odds are then cooled to where the likelihood of the
    true source is greatest when each wording but the first in turn is left out of the fit.

    Args:
        states_PWH: States at the signal token for W wordings of each source, the model's own first.
        overlap_PP: Log odds between sources from the genes of their files, added when judging.
    """
    states = states_PWH.double().numpy()
    weight, bias = _discriminant(states)
    if states.shape[1] < 3:
        return torch.from_numpy(weight).float(), torch.from_numpy(bias).float()
    odds, truth = [], []
    for held in range(1, states.shape[1]):
        own_weight, own_bias = _discriminant(np.delete(states, held, axis=1))
        odds.append(states[:, held] @ own_weight.T + own_bias)
        truth.append(np.arange(len(states)))
    scores, true = np.concatenate(odds), np.concatenate(truth)
    heat = max(HEATS, key=lambda one: _likelihood(scores / one + overlap_PP[true], true))
    return torch.from_numpy(weight / heat).float(), torch.from_numpy(bias / heat).float()


def _discriminant(states_PWH: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    means = states_PWH.mean(axis=1)
    within = (states_PWH - means[:, None]).reshape(-1, means.shape[1])
    between = means - means.mean(axis=0)
    if states_PWH.shape[1] < 2:  # one wording: what differs between sources stands for the noise
        within = between
    covariance = within.T @ within / max(len(within) - len(means), 1)
    level = max(np.trace(covariance) / len(covariance), 1e-9)
    covariance = (1 - SHRINKAGE) * covariance + SHRINKAGE * level * np.eye(len(covariance))
    centres = (1 - FIRST_SHARE) * means + FIRST_SHARE * states_PWH[:, 0]
    weight = np.linalg.solve(covariance, centres.T).T
    return weight, -0.5 * np.einsum("ph,ph->p", weight, centres)


def _likelihood(scores: np.ndarray, true: np.ndarray) -> float:
    top = scores.max(axis=1)
    total = top + np.log(np.exp(scores - top[:, None]).sum(axis=1))
    return float(np.mean(scores[np.arange(len(true)), true] - total))
