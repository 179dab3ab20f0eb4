import json
import re

import anndata
import numpy as np
import pytest

from cellwright.agent.claims import bind, bind_table
from cellwright.errors import RefusedError, ToolError
from cellwright.tools.gates import check, missing_preparation
from cellwright.tools.registry import ALL_TOOLS
from cellwright.tools.spec import ToolResult
from tests.unit.tools.factory import B_GENES, GENES, make_adata, make_bench

DESIGN = {
    "describe_dataset": set(),
    "preprocess_dataset": {"resolution", "batch_key"},
    "subset_cells": {"groups", "column", "drop"},
    "annotate_cells": {"level", "group_by", "choices"},
    "predict_drug_response": {"drugs", "group_by"},
    "generate_cells": {"cell_type", "tissue", "species", "protocol", "n"},
    "explain_cells": {"target", "label", "group_by", "n_genes"},
    "find_markers": {"group_by", "groups", "n_genes"},
    "compare_groups": {"column", "group_a", "group_b", "within"},
    "search_knowledge": {"query", "kind", "species"},
    "match_markers": {"genes", "tissue", "species"},
    "plot_cells": {"kind", "color_by", "genes"},
    "ask_cell": {"cell", "question"},
}


def check_claims(result: ToolResult) -> list[str]:
    """Fill every claim and table; no number or gene may stand in a claim's own words."""
    values = json.loads(result.model_dump_json())
    symbols = frozenset(GENES)
    sentences = [bind(claim, "re_0", values, symbols).text for claim in result.claims()]
    for table in result.report_tables():
        assert bind_table(table, "re_0", values).rows
    assert sentences
    assert all("{" not in sentence for sentence in sentences)
    return sentences


def models_in(annotation, seen):
    for model in [annotation, *getattr(annotation, "__args__", ())]:
        if hasattr(model, "model_fields") and model not in seen:
            seen.add(model)
            for field in model.model_fields.values():
                models_in(field.annotation, seen)
    return seen


def test_names_and_arguments_are_those_of_the_design():
    assert {spec.name: set(spec.args.model_fields) for spec in ALL_TOOLS} == DESIGN


@pytest.mark.parametrize("spec", ALL_TOOLS, ids=lambda spec: spec.name)
def test_every_field_is_described(spec):
    own = {"Passport", "Evidence", "ArtifactRef"}
    for model in models_in(spec.args, set()) | models_in(spec.result, set()):
        if model.__name__ in own or model.__module__.endswith(("passport", "records", "artifacts")):
            continue
        for name, field in model.model_fields.items():
            assert field.description, f"{model.__name__}.{name}"
    assert re.fullmatch(r"[a-z]+_[a-z_]+", spec.name)
    assert spec.args.model_config["extra"] == "forbid"


def test_describe(tmp_path):
    result = make_bench(make_adata(), tmp_path).run("describe_dataset")
    assert "whole numbers" in " ".join(check_claims(result))


def test_preprocess_finds_the_types_and_leaves_the_users_columns(tmp_path):
    adata = make_adata()
    bench = make_bench(adata, tmp_path)
    result = bench.run("preprocess_dataset")
    working = bench.adata()
    found = working.obs["cellwright_leiden"].astype(str)
    purity = [part.value_counts().iloc[0] for _, part in working.obs.groupby(found)["cell_type"]]
    assert sum(purity) / len(working) > 0.95
    assert working.obsm["X_cellwright_umap"].shape == (90, 2)
    assert np.isfinite(working.obsm["X_cellwright_umap"]).all()
    assert bench.passport.prepared == {"clusters", "umap"}
    assert bench.passport.column("cluster").name == "cellwright_leiden"
    assert set(adata.obs.columns) <= set(working.obs.columns)
    assert result.mitochondrial > 0
    check_claims(result)


def test_preprocess_is_seeded_and_takes_out_batches(tmp_path):
    adata = make_adata()
    adata.obs["batch"] = ["one"] * 45 + ["two"] * 45
    late = np.flatnonzero(adata.obs["batch"] == "two")
    dense = adata.X.toarray()
    dense[np.ix_(late, range(15, 25))] *= 6
    adata.X = dense
    first = make_bench(adata, tmp_path)
    result = first.run("preprocess_dataset", batch_key="batch")
    assert result.mixing_after < result.mixing_before
    again = make_bench(adata, tmp_path / "..").run("preprocess_dataset", batch_key="batch")
    assert again.clusters == result.clusters
    check_claims(result)


@pytest.mark.parametrize("n_cells", [6, 20])
def test_few_cells_can_be_preprocessed(tmp_path, n_cells):
    assert make_bench(make_adata(n_cells), tmp_path).run("preprocess_dataset").n_cells == n_cells


def test_markers_are_the_planted_ones(tmp_path):
    bench = make_bench(make_adata(), tmp_path)
    result = bench.run("find_markers", n_genes=5)
    found = {group.group: set(group.names) for group in result.groups}
    assert found["B cell"] == set(B_GENES)
    named = {group.group: group.known_id for group in result.groups}
    assert named["B cell"] == "CL:0000236"
    table = bench.store.path(result.tables[0].id).read_text()
    assert len(table.splitlines()) == 1 + 3 * len(GENES)
    check_claims(result)


def test_unknown_group_and_column_are_answered_with_what_exists(tmp_path):
    bench = make_bench(make_adata(), tmp_path)
    with pytest.raises(ToolError, match="B cell, T cell, monocyte"):
        bench.run("find_markers", groups=["B cel"])
    with pytest.raises(ToolError, match="Did you mean 'cell_type'"):
        bench.run("find_markers", group_by="celltype")


def test_comparison_over_donors_finds_the_shifted_gene(tmp_path):
    adata = make_adata(360, donors=4, shifted="JUN")
    bench = make_bench(adata, tmp_path)
    result = bench.run("compare_groups")
    stratum = result.strata[0]
    assert (result.group_a, result.group_b) == ("treated", "control")
    assert stratum.design == "paired donors"
    assert stratum.up[0].gene == "JUN"
    assert stratum.up[0].p_adjusted < 0.01
    assert stratum.up[0].log2_fold_change == pytest.approx(3, abs=0.8)
    assert result.composition_tested
    assert min(row.p for row in result.composition) > 0.001
    check_claims(result)


def test_comparison_without_donors_gives_no_p_values(tmp_path):
    bench = make_bench(make_adata(90, shifted="JUN", donors=1), tmp_path)
    result = bench.run("compare_groups", within="B cell")
    assert result.strata[0].n_significant is None
    assert result.strata[0].up[0].gene == "JUN"
    assert all(gene.p is None for gene in result.strata[0].up)
    assert any("mislead" in sentence for sentence in check_claims(result))


def test_nothing_to_compare_is_refused(tmp_path):
    bench = make_bench(make_adata(), tmp_path)
    with pytest.raises(RefusedError, match="no condition"):
        bench.run("compare_groups")


def test_clusters_are_annotated_by_markers_without_a_model(tmp_path):
    bench = make_bench(make_adata(), tmp_path)
    with pytest.raises(ToolError, match="preprocess_dataset first"):
        bench.run("annotate_cells", level="cluster")
    bench.run("preprocess_dataset")
    result = bench.run("annotate_cells", level="cluster")
    assert result.by_markers == 1.0
    assert result.why_no_model
    assert result.agreement.n_mapped == 3
    assert result.agreement.related > 0.9
    obs = bench.adata().obs
    assert str(obs["cellwright_cell_type"].dtype) == "category"
    assert set(obs["cellwright_cell_type_ontology_term_id"]) >= {"CL:0000236"}
    assert bench.passport.column("label").name == "cell_type"
    check_claims(result)


def test_choices_bound_the_annotation(tmp_path):
    bench = make_bench(make_adata(), tmp_path)
    bench.run("preprocess_dataset")
    choices = ("B cell", "T cell")
    bench.run("annotate_cells", level="cluster", choices=choices)
    assert set(bench.adata().obs["cellwright_cell_type"]) <= {*choices, "unknown"}


@pytest.mark.parametrize("kind", ["umap", "dotplot", "heatmap", "violin", "composition"])
def test_every_kind_of_figure_is_drawn(tmp_path, kind):
    bench = make_bench(make_adata(donors=2), tmp_path)
    bench.run("preprocess_dataset")
    result = bench.run("plot_cells", kind=kind)
    data = bench.store.path(result.figures[0].id).read_bytes()
    assert data.startswith(b"\x89PNG")
    assert len(data) > 5000
    check_claims(result)


def test_genes_on_a_umap_by_symbol_or_alias(tmp_path):
    bench = make_bench(make_adata(), tmp_path)
    bench.run("preprocess_dataset")
    result = bench.run("plot_cells", genes=("CD20", "CD3D", "INS"))
    assert result.genes == ("MS4A1", "CD3D")
    assert result.absent == ("INS",)


def test_marker_matching_needs_no_data(tmp_path):
    bench = make_bench(make_adata(), tmp_path)
    bench.passport = bench.data = None
    result = bench.run("match_markers", genes=("CD79A", "MS4A1", "CD19", "nogene1"))
    assert result.matches[0].ontology_id == "CL:0000236"
    assert result.unknown == ("nogene1",)
    assert "PMID" in " ".join(check_claims(result))
    with pytest.raises(RefusedError, match="no data file"):
        bench.run("find_markers")


def test_z_scores_are_refused_with_a_way_out(tmp_path):
    adata = make_adata()
    values = np.log1p(adata.X.toarray())
    adata.X = (values - values.mean(axis=0)) / values.std(axis=0)
    bench = make_bench(adata, tmp_path)
    for name, args in (("annotate_cells", {}), ("generate_cells", {"cell_type": "B cell"})):
        spec = bench.spec(name)
        verdict = check(spec, bench.validate(name, args), bench.passport, bench)
        assert verdict.outcome == "refuse"
        assert "counts" in verdict.alternative or "no trained" in verdict.reason
    assert bench.run("preprocess_dataset").n_clusters >= 2


def test_preparation_depends_on_arguments(tmp_path):
    bench = make_bench(make_adata(), tmp_path)

    def missing(name, **args):
        return missing_preparation(bench.spec(name), bench.validate(name, args), bench.passport)

    assert missing("plot_cells") == {"umap"}
    assert missing("plot_cells", kind="dotplot") == set()
    assert missing("find_markers") == set()
    assert missing("annotate_cells") == {"clusters"}
    assert missing("annotate_cells", group_by="cell_type") == set()


def test_export_adds_columns_to_the_users_own_content(tmp_path):
    from cellwright.tools.export import write_annotated

    adata = make_adata()
    adata.layers["mine"] = adata.X * 2
    bench = make_bench(adata, tmp_path)
    bench.run("preprocess_dataset")
    bench.run("annotate_cells", level="cluster")
    write_annotated(tmp_path / "cells.h5ad", bench, tmp_path / "out.h5ad")
    written = anndata.read_h5ad(tmp_path / "out.h5ad")
    assert (written.X != adata.X).nnz == 0
    assert (written.layers["mine"] != adata.layers["mine"]).nnz == 0
    assert list(written.var_names) == list(adata.var_names)
    wanted = {"cellwright_cell_type", "cellwright_cell_type_ontology_term_id", "cellwright_score"}
    assert wanted | {"cellwright_label_set"} <= set(written.obs.columns)


def test_langchain_tools_answer_errors_as_text(tmp_path):
    from cellwright.tools.adapters.langchain import langchain_tools

    bench = make_bench(make_adata(), tmp_path)
    tools = {tool.name: tool for tool in langchain_tools(bench)}
    assert set(tools) == set(DESIGN)
    call = {"type": "tool_call", "id": "1", "name": "find_markers", "args": {"group_by": "nope"}}
    message = tools["find_markers"].invoke(call)
    assert message.status == "error"
    assert "no column 'nope'" in message.content
    call = {"type": "tool_call", "id": "2", "name": "describe_dataset", "args": {}}
    message = tools["describe_dataset"].invoke(call)
    assert message.artifact.passport.n_cells == 90
    assert '"n_cells":90' in message.content
