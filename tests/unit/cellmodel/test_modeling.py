import dataclasses

import numpy as np
import torch
from scipy import sparse

from cellwright.cellmodel.config import dump_config, parse_config
from cellwright.cellmodel.modeling.cell_input import cell_input, top_genes
from cellwright.cellmodel.modeling.cell_language import CellLanguage
from cellwright.cellmodel.modeling.cell_network import CellNetwork
from cellwright.cellmodel.presets import PRESETS, debug
from tests.unit.cellmodel.toys import toy_language


def make_network(**encoder: object) -> CellNetwork:
    config = debug().model
    config = dataclasses.replace(config, encoder=dataclasses.replace(config.encoder, **encoder))
    torch.manual_seed(0)
    return CellNetwork(config, n_genes=40, n_labels=5).eval()


def make_expression(n: int = 6) -> sparse.csr_matrix:
    rng = np.random.default_rng(0)
    return sparse.csr_matrix(rng.poisson(0.5, size=(n, 40)).astype(np.float32))


def make_input(n: int = 6) -> object:
    return cell_input(make_expression(n), np.ones(40, dtype=np.float32), 12)


def test_shapes() -> None:
    network = make_network()
    cells = make_input()
    queries = network.queries(cells)
    assert queries.shape == (6, 2, 16)
    assert network.soft_tokens(network.read(cells)).shape == (6, 2, 32)
    wide, deep, vector = network.scores(cells, torch.arange(5), torch.randn(2, 384))
    assert wide.shape == deep.shape == (6, 7)
    torch.testing.assert_close(vector.norm(dim=1), torch.ones(6))


def test_soft_tokens_spell_what_the_readout_expects_among_the_labels_offered() -> None:
    network = make_network()
    network.response_L[4] = True
    network.spelling_LQH.copy_(torch.eye(5)[:, None, :].repeat(1, 2, 7)[:, :, :32])
    reading = network.read(make_input())
    free = network.soft_tokens(reading)[:, 0, :5]
    shares = reading.scores[:, :4].softmax(dim=1)
    torch.testing.assert_close(free, torch.cat([shares, torch.ones(6, 1)], dim=1))
    offered = torch.tensor([[False, True, False, True, False]]).expand(6, -1)
    among = network.soft_tokens(reading, offered)[:, 0, :5]
    assert (among[:, [0, 2]] == 0).all()
    torch.testing.assert_close(among[:, [1, 3]], shares[:, [1, 3]] / shares[:, [1, 3]].sum(1, True))
    assert (among[:, 4] == 1).all()  # types were offered, which says nothing of responses


def test_a_label_that_was_never_trained_has_the_usual_wide_score() -> None:
    network = make_network()
    network.readout.usual_wide.fill_(7.0)
    wide, _deep, _vector = network.scores(make_input(), torch.arange(5), torch.randn(2, 384))
    torch.testing.assert_close(wide[:, 5:], torch.full((6, 2), 7.0))


def test_the_mlp_reader_gives_as_many_queries() -> None:
    assert make_network(reader="mlp", n_gene_tokens=0).queries(make_input()).shape == (6, 2, 16)


def test_training_and_inference_read_gene_tokens_alike() -> None:
    network = make_network(dropout=0.0)
    calm = network.queries(make_input())
    torch.testing.assert_close(network.train().queries(make_input()), calm, rtol=1e-4, atol=1e-5)


def test_top_genes_prefers_the_unusual_and_ignores_other_cells() -> None:
    expression = sparse.csr_matrix([[3.0, 0.0, 2.0, 1.0], [1.0, 1.0, 0.0, 0.0]])
    usual = np.array([4.0, 1.0, 1.0, 1.0])
    genes, levels = top_genes(expression, usual, 2)
    assert set(genes[0]) == {2, 3}
    alone, _ = top_genes(expression[:1], usual, 2)
    assert (alone[0] == genes[0]).all()
    assert (levels[1] > 0).sum() == 2


def make_language() -> CellLanguage:
    base, tokenizer = toy_language()
    return CellLanguage(base, tokenizer, debug().model.language, 2).eval()


def test_padding_does_not_change_what_is_read() -> None:
    language = make_language()
    soft = torch.randn(2, 2, 32)
    prompts = ["What is {input}?", "And in a much longer question, what is {input}?"]
    together = language.speak(prompts, soft, max_new_tokens=4)
    for at, prompt in enumerate(prompts):
        alone = language.speak([prompt], soft[at : at + 1], max_new_tokens=4)[0]
        assert alone.text == together[at].text
        assert abs(alone.log_prob - together[at].log_prob) < 1e-3


def test_the_cell_changes_what_the_language_model_reads() -> None:
    language = make_language()
    answers = [
        language.speak(["What is {input}?"], soft, max_new_tokens=2)[0].log_prob
        for soft in (torch.zeros(1, 2, 32), torch.full((1, 2, 32), 3.0))
    ]
    assert answers[0] != answers[1]


def test_own_state_round_trip() -> None:
    language = make_language()
    with torch.no_grad():
        language.extra.fill_(0.5)
    other = make_language()
    other.load_own_state(language.own_state())
    torch.testing.assert_close(other.extra, language.extra)


def test_every_preset_survives_its_json() -> None:
    for preset in PRESETS.values():
        model = preset().model
        assert parse_config(dump_config(model)) == model


def test_an_answer_bound_to_labels_is_one_of_them() -> None:
    language = make_language()
    soft = torch.randn(1, 2, 32)
    labels = ["B cell", "beta cell", "T"]
    bound = language.speak(["What is {input}?"], soft, among=labels)[0]
    assert bound.text in labels
    alone = language.speak(["What is {input}?"], soft, among=["B cell"])[0]
    assert alone.text == "B cell"
    assert abs(alone.log_prob) < 1e-4
