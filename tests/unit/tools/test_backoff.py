import itertools
import time

import pytest

from cellwright.knowledge import Knowledge
from cellwright.tools.backoff import (
    DOING,
    LEAST_BITS,
    PROPERTIES,
    back_off,
    back_off_all,
    information,
    nearest_term,
)

IDS = {
    "B cell": "CL:0000236",
    "T cell": "CL:0000084",
    "CD4 T cell": "CL:0000624",
    "CD8 T cell": "CL:0000625",
    "naive CD4 T cell": "CL:0000895",
    "memory CD4 T cell": "CL:0000897",
    "natural killer cell": "CL:0000623",
    "astrocyte": "CL:0000127",
    "goblet cell": "CL:0000160",
    "gastric pit cell": "CL:0002179",
    "layer 4 cortical neuron": "CL:0000679",
    "layer 5 cortical neuron": "CL:0000679",
    "layer 6b cortical neuron": "CL:4023038",
    "endothelial or mural cell": "",
    "skeletal stem cell": "CL:0000134",
    "osteoblast": "CL:0000062",
}


@pytest.fixture(scope="module")
def ontology():
    return Knowledge.open().ontology


@pytest.mark.parametrize(
    ("labels", "kind", "name"),
    [
        ((), "unknown", "unknown"),
        (("unknown",), "unknown", "unknown"),
        (("B cell",), "one", "B cell"),
        (("B cell", "unknown"), "one", "B cell"),
        (("endothelial or mural cell",), "one", "endothelial or mural cell"),
        (("T cell", "CD8 T cell"), "common", "T cell"),
        (("naive CD4 T cell", "memory CD4 T cell"), "common", "CD4 T cell"),
        (("CD8 T cell", "natural killer cell", "B cell"), "common", "lymphocyte"),
        (("layer 4 cortical neuron", "layer 5 cortical neuron"), "common", "glutamatergic neuron"),
        (("layer 4 cortical neuron", "layer 6b cortical neuron"), "common", "glutamatergic neuron"),
        (("B cell", "astrocyte"), "none", "unknown"),
        (("astrocyte", "endothelial or mural cell"), "none", "unknown"),
    ],
)
def test_rules(ontology, labels, kind, name):
    found = back_off(labels, IDS, ontology)
    assert (found.kind, found.name) == (kind, name)
    assert found.labels == tuple(one for one in labels if one != "unknown")
    if kind == "common":
        assert all(ontology.is_a(IDS[one], found.ontology_id) for one in labels)
    else:
        assert found.ontology_id == (IDS[found.labels[0]] if kind == "one" else "")


def test_the_term_holds_all_labels_and_no_narrower_one_does(ontology):
    bits = information(ontology)
    named = {term for term in IDS.values() if term}
    for pair in itertools.combinations(sorted(named), 2):
        found = nearest_term(pair, ontology)
        shared = frozenset.intersection(*(ontology.ancestors(one) | {one} for one in pair))
        informative = [
            one
            for one in shared
            if bits[one] >= LEAST_BITS
            and one not in PROPERTIES
            and not ontology.label(one).endswith(DOING)
        ]
        assert bits.get(found, 0) == max((bits[one] for one in informative), default=0)
        assert not found or found in informative


def test_what_a_cell_does_is_no_answer(ontology):
    found = back_off(("goblet cell", "gastric pit cell"), IDS, ontology)
    assert "epithelial" in found.name


def test_terms_that_the_ontology_does_not_have_are_no_answer(ontology):
    assert nearest_term(["CL:0000236", "CL:9999999"], ontology) == ""
    assert nearest_term([], ontology) == ""
    assert back_off(("B cell", "new"), IDS, ontology).kind == "none"


def test_information_falls_on_the_way_up(ontology):
    bits = information(ontology)
    assert bits["CL:0000000"] == 0
    assert bits["CL:0000255"] < LEAST_BITS < bits["CL:0000988"] < bits["CL:0000084"]
    assert bits["CL:0000084"] < bits["CL:0000895"]


def test_each_distinct_set_is_worked_out_once(ontology):
    sets = [("T cell", "CD8 T cell"), ("B cell",), (), ("B cell", "astrocyte")] * 25_000
    information(ontology)
    start = time.perf_counter()
    found = back_off_all(sets, IDS, ontology)
    assert time.perf_counter() - start < 2
    assert len({id(one) for one in found}) == 4
    assert [one.name for one in found[:4]] == ["T cell", "B cell", "unknown", "unknown"]
