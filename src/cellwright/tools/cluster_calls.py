"""Both ways on each cluster: the model's majority beside the marker records, and who is right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from cellwright.tools.agreement import UNKNOWN
from cellwright.tools.annotation_columns import majority
from cellwright.tools.annotation_result import ClusterCall
from cellwright.tools.calls import MarkerCall, ModelCalls
from cellwright.tools.workbench import Workbench

if TYPE_CHECKING:
    from pandas import Series

    from cellwright.artifacts import ArtifactRef
    from cellwright.knowledge.ontology import CellOntology

NOT_RECORDED = frozenset({"CL:0001064"})
"""Malignant cells: marker records are of healthy types and cannot name a tumour's cell line."""

NO_LINES = "cell model only; marker records name no cell lines"


def compare_calls(
    marked: Mapping[str, MarkerCall], clusters: Series, said: ModelCalls, ontology: CellOntology
) -> list[ClusterCall]:
    """What the two ways say of each cluster, the largest first."""
    rows = [_compare(name, call, clusters, said, ontology) for name, call in marked.items()]
    return sorted(rows, key=lambda row: -row.n_cells)


def _compare(
    name: str, call: MarkerCall, clusters: Series, said: ModelCalls, ontology: CellOntology
) -> ClusterCall:
    rows = np.flatnonzero(np.asarray(clusters == name))
    named = rows[said.labels[rows] != UNKNOWN]
    label, term, share = UNKNOWN, "", 0.0
    if len(named):
        label, term, share = majority(named, said)
        share *= len(named) / len(rows)
    agree: bool | None = None
    spoken = UNKNOWN not in {label, call.label} and term and call.ontology_id
    if spoken and term not in NOT_RECORDED:
        agree = ontology.related(term, call.ontology_id)
    return ClusterCall(
        cluster=name,
        n_cells=len(rows),
        model_label=label,
        model_share=share,
        in_range=float(said.in_range[rows].mean()) if len(rows) else 0.0,
        marker_label=call.label,
        marker_ontology_id=call.ontology_id,
        marker_score=call.score,
        marker_runner_up=call.runner_up,
        markers=call.genes,
        citation=call.evidence[0].cite() if call.evidence else "",
        agree=agree,
        verdict=NO_LINES if term in NOT_RECORDED else _verdict(label, call, agree=agree),
        evidence=call.evidence,
    )


def _verdict(model_label: str, call: MarkerCall, *, agree: bool | None) -> str:
    close = f"; hardly ahead of {call.runner_up}" if call.is_close else ""
    if agree is True:
        return "both agree"
    if agree is False:
        return f"they differ{close}"
    if model_label != UNKNOWN:
        return "cell model only"
    return f"markers only{close}" if call.label != UNKNOWN else "unknown"


def save_calls(rows: Sequence[ClusterCall], bench: Workbench, *, tool: str) -> ArtifactRef:
    """Store the comparison as CSV."""
    import pandas as pd

    frame = pd.DataFrame(
        [
            {
                key: " ".join(value) if isinstance(value, tuple) else value
                for key, value in row.model_dump(exclude={"evidence"}).items()
            }
            for row in rows
        ]
    )
    return bench.store.put_file(
        "table",
        lambda path: frame.to_csv(path, index=False, float_format="%.6g"),
        "Calls of both ways for each cluster",
        tool=tool,
    )
