"""Warnings on cells: which look like doublets or of low quality, and where they gather."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from cellwright.tools.agreement import UNKNOWN
from cellwright.tools.doublets import SURE, Doublets, score_doublets, write_doublets
from cellwright.tools.quality import (
    LEAST_MITO,
    MITO,
    N_MADS,
    N_MADS_MITO,
    Quality,
    measure_quality,
    sample_column,
    samples_of,
    write_quality,
)
from cellwright.tools.spec import Claim, Table
from cellwright.tools.workbench import Workbench

if TYPE_CHECKING:
    from anndata import AnnData
    from pandas import Series

NOTABLE = 0.2
"""Share of a cluster's cells from which the cluster is named."""

FEWEST = 5
"""Flagged cells that such a cluster needs."""

N_NAMED = 5
NO_COUNTS = "the file holds no raw counts, and sums of two cells can be drawn of nothing else"


class PairCount(BaseModel):
    """Two types, and the cells that look like both."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    types: str = Field(description="The two types.")
    n_cells: int = Field(description="Number of flagged cells.")


class RuleCount(BaseModel):
    """A rule of quality, and the cells that break it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rule: str = Field(description="The rule.")
    n_cells: int = Field(description="Number of cells.")


class FlaggedCluster(BaseModel):
    """A cluster of which a large part is flagged."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cluster: str = Field(description="Name of the cluster.")
    label: str = Field(description="What most of its cells are called.")
    n_cells: int = Field(description="Number of its cells.")
    what: Literal["doublets", "low quality"] = Field(description="What they are flagged as.")
    n_flagged: int = Field(description="Number of its cells that are flagged.")
    share: float = Field(description="Share of its cells that are flagged.")
    detail: str = Field(description="The types that doublets are of, or the rule that is broken.")


class CellWarnings(BaseModel):
    """Cells that are flagged, none of which is left out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sample_column: str = Field(description="Column of the samples; empty if cells came as one.")
    n_scored: int = Field(description="Cells that were looked at as doublets.")
    n_doublets: int = Field(description="Cells that look like two cells of different types.")
    doublet_share: float = Field(description="Share of the cells that were looked at.")
    doublet_threshold: float = Field(description="Score from which a cell is flagged.")
    pairs: tuple[PairCount, ...] = Field(description="What they look like, most frequent first.")
    why_no_doublets: str = Field(description="Why no cell was looked at; empty if any was.")
    skipped: tuple[str, ...] = Field(description="Samples that were not looked at, with reasons.")
    n_low_quality: int = Field(description="Cells of low quality.")
    low_quality_share: float = Field(description="Share of all cells.")
    rules: tuple[RuleCount, ...] = Field(description="Rules, and the cells that break them.")
    n_mads: int = Field(description="Deviations below the median for counts and genes.")
    n_mads_mito: int = Field(description="Deviations above it for the mitochondrial share.")
    least_mito: float = Field(description="Mitochondrial share that is never flagged.")
    clusters: tuple[FlaggedCluster, ...] = Field(
        description="Clusters of which a large part is flagged."
    )

    def claims(self, at: str) -> list[Claim]:
        """Caveats.

        Args:
            at: Where this stands in the result.
        """
        return [*self._doublet_claims(at), *self._quality_claims(at)]

    def _doublet_claims(self, at: str) -> list[Claim]:
        if self.why_no_doublets:
            template = f"Doublets were not looked for: {{{at}.why_no_doublets}}."
            return [Claim(template=template, kind="caveat")]
        found = []
        if self.n_doublets:
            pairs = ", ".join(
                f"{{{at}.pairs.{place}.types}} ({{{at}.pairs.{place}.n_cells:,}})"
                for place in range(min(3, len(self.pairs)))
            )
            found.append(
                f"{{{at}.n_doublets:,}} cells ({{{at}.doublet_share:.1%}}) look like two cells of "
                f"different types in one droplet (score {{{at}.doublet_threshold:g}} or more)"
                + (f", most often {pairs}" if pairs else "")
                + ". Cells between two types look the same. They are flagged in "
                "`cellwright_doublet` and kept."
            )
        found += [
            f"{{{at}.clusters.{place}.share:.0%}} of cluster {{{at}.clusters.{place}.cluster}} "
            f"({{{at}.clusters.{place}.label}}) look like doublets"
            + (f", mostly of {{{at}.clusters.{place}.detail}}" if one.detail else "")
            + "; their label is one of two at best."
            for place, one in enumerate(self.clusters)
            if one.what == "doublets"
        ]
        if self.skipped:
            found.append(f"Doublets were not looked for in some samples: {{{at}.skipped}}.")
        return [Claim(template=template, kind="caveat") for template in found]

    def _quality_claims(self, at: str) -> list[Claim]:
        if not self.n_low_quality:
            return []
        rules = ", ".join(
            f"{{{at}.rules.{place}.rule}} ({{{at}.rules.{place}.n_cells:,}})"
            for place, one in enumerate(self.rules)
            if one.n_cells
        )
        where = f"the rest of their `{{{at}.sample_column}}`" if self.sample_column else "the rest"
        limits = f"{{{at}.n_mads}} median absolute deviations below the median"
        if any(one.rule == MITO for one in self.rules):
            limits += (
                f"; for mitochondrial RNA {{{at}.n_mads_mito}} above it and over "
                f"{{{at}.least_mito:.0%}} of counts"
            )
        found = [
            f"{{{at}.n_low_quality:,}} cells ({{{at}.low_quality_share:.1%}}) are of low quality "
            f"beside {where}: {rules}. The limit is {limits}. They are flagged in "
            "`cellwright_low_quality` and kept."
        ]
        found += [
            f"{{{at}.clusters.{place}.share:.0%}} of cluster {{{at}.clusters.{place}.cluster}} "
            f"({{{at}.clusters.{place}.label}}) are of low quality, mostly by "
            f"{{{at}.clusters.{place}.detail}}: dying or empty, or a type with little RNA."
            for place, one in enumerate(self.clusters)
            if one.what == "low quality"
        ]
        return [Claim(template=template, kind="caveat") for template in found]

    def report_tables(self, at: str) -> list[Table]:
        """Clusters of which a large part is flagged."""
        return [
            Table(
                title="Clusters with many flagged cells",
                rows=f"{at}.clusters",
                columns=(
                    ("cluster", "Cluster"),
                    ("label", "Called"),
                    ("n_cells:,", "Cells"),
                    ("what", "Flagged as"),
                    ("n_flagged:,", "Flagged"),
                    ("share:.0%", "Share"),
                    ("detail", "Of, or by"),
                ),
            )
        ]


def warn_of_cells(
    adata: AnnData, labels: np.ndarray, clusters: Series, bench: Workbench
) -> CellWarnings:
    """Flag cells in obs, and say where they gather.

    Args:
        adata: A working copy of intake; its obs is written to.
        labels: (B,) called type of each cell.
        clusters: Cluster of each cell.
        bench: For the passport, the seed and progress.
    """
    column = sample_column(bench.passport)
    samples = samples_of(adata, column)
    quality = measure_quality(adata, samples)
    write_quality(adata, quality)
    doublets = _doublets(adata, labels, clusters, samples, bench)
    write_doublets(adata, doublets)
    return summarise(quality, doublets, labels, clusters, column)


def _doublets(
    adata: AnnData,
    labels: np.ndarray,
    clusters: Series,
    samples: np.ndarray | None,
    bench: Workbench,
) -> Doublets:
    if "counts" not in adata.layers:
        return Doublets(
            score=np.full(adata.n_obs, np.nan, dtype=np.float32),
            partners=np.full(adata.n_obs, None, dtype=object),
            skipped=(("", NO_COUNTS),),
        )
    names = "cluster " + np.asarray(clusters.astype(str), dtype=object)
    types = np.where(labels == UNKNOWN, names, labels)
    return score_doublets(
        adata.layers["counts"], types, samples, seed=bench.settings.seed, say=bench.progress
    )


def summarise(
    quality: Quality,
    doublets: Doublets,
    labels: np.ndarray,
    clusters: Series,
    column: str,
) -> CellWarnings:
    """Count flags, and find the clusters of which they are a large part."""
    scored = ~np.isnan(doublets.score)
    flags = doublets.flags
    pairs = Counter(" and ".join(pair) for pair in doublets.partners[flags] if pair)
    low = quality.flags
    why = ""
    if not scored.any():
        why = "; ".join(f"{name}: {text}" if name else text for name, text in doublets.skipped)
    found = [
        *_gathered("doublets", flags, labels, clusters, doublets.partners),
        *_gathered("low quality", low, labels, clusters, quality.reasons),
    ]
    return CellWarnings(
        sample_column=column,
        n_scored=int(scored.sum()),
        n_doublets=int(flags.sum()),
        doublet_share=float(flags.sum() / max(scored.sum(), 1)),
        doublet_threshold=SURE,
        pairs=tuple(PairCount(types=types, n_cells=n) for types, n in pairs.most_common(N_NAMED)),
        why_no_doublets=why,
        skipped=() if why else tuple(f"{name} ({text})" for name, text in doublets.skipped),
        n_low_quality=int(low.sum()),
        low_quality_share=float(low.mean()) if len(low) else 0.0,
        rules=_rules(quality.broken),
        n_mads=N_MADS,
        n_mads_mito=N_MADS_MITO,
        least_mito=LEAST_MITO,
        clusters=tuple(found),
    )


def _rules(broken: Mapping[str, np.ndarray]) -> tuple[RuleCount, ...]:
    return tuple(RuleCount(rule=rule, n_cells=int(one.sum())) for rule, one in broken.items())


def _gathered(
    what: Literal["doublets", "low quality"],
    flags: np.ndarray,
    labels: np.ndarray,
    clusters: Series,
    details: np.ndarray,
) -> list[FlaggedCluster]:
    found = []
    for name in map(str, clusters.cat.categories):
        rows = np.flatnonzero(np.asarray(clusters.astype(str) == name))
        hits = [row for row in rows if flags[row]]
        if len(hits) < max(FEWEST, NOTABLE * len(rows)):
            continue
        seen = Counter(_text(details[row]) for row in hits if details[row])
        found.append(
            FlaggedCluster(
                cluster=name,
                label=str(Counter(labels[rows].tolist()).most_common(1)[0][0]),
                n_cells=len(rows),
                what=what,
                n_flagged=len(hits),
                share=len(hits) / len(rows),
                detail=seen.most_common(1)[0][0] if seen else "",
            )
        )
    return sorted(found, key=lambda one: -one.share)


def _text(detail: object) -> str:
    return " and ".join(detail) if isinstance(detail, tuple) else str(detail)
