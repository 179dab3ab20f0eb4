"""Applicability gates: what a tool needs, held against what the passport says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cellwright.tools.spec import Preparation, ToolArgs, ToolSpec, Verdict

if TYPE_CHECKING:
    from cellwright.tools.passport import Passport
    from cellwright.tools.workbench import Workbench

STATE_WORDS = {
    "counts": "raw counts",
    "log1p": "log-normalised values",
    "tpm": "TPM",
    "scaled": "scaled values",
    "unknown": "values of an unknown kind",
}


def check(
    spec: ToolSpec[Any, Any], args: ToolArgs, passport: Passport | None, bench: Workbench
) -> Verdict:
    """Judge whether a tool may run: its needs first, then its own gate.

    Args:
        spec: The tool.
        args: Its arguments.
        passport: The data's passport; None when there is no data.
        bench: For the label and drug spaces of models; nothing long is run on it.
    """
    verdict = _needs(spec, passport)
    if verdict.outcome == "refuse":
        return verdict
    own = spec.gate(args, passport, bench)
    return own if own.outcome != "ok" else verdict


def missing_preparation(
    spec: ToolSpec[Any, Any], args: ToolArgs, passport: Passport | None
) -> Preparation:
    """What ``preprocess_dataset`` has to make before the tool can run with these arguments."""
    prepared = passport.prepared if passport else frozenset()
    return spec.preparation(args, passport, spec.needs) - prepared


def _needs(spec: ToolSpec[Any, Any], passport: Passport | None) -> Verdict:
    needs = spec.needs
    if not needs.data:
        return Verdict()
    if passport is None:
        return Verdict(
            outcome="refuse",
            reason=f"{spec.title} needs cells, and no data file was given.",
            alternative="Give a data file; gene, marker and drug questions work without one.",
        )
    for verdict in (_matrix(spec, passport), _species(spec, passport), _coverage(spec, passport)):
        if verdict.outcome != "ok":
            return verdict
    return Verdict()


def _matrix(spec: ToolSpec[Any, Any], passport: Passport) -> Verdict:
    if not spec.needs.matrix or any(
        matrix.state in spec.needs.matrix for matrix in passport.matrices
    ):
        return Verdict()
    wanted = " or ".join(STATE_WORDS[state] for state in sorted(spec.needs.matrix))
    first = passport.matrices[0]
    return Verdict(
        outcome="refuse",
        reason=(
            f"{spec.title} needs {wanted}; {passport.file} holds {STATE_WORDS[first.state]} "
            f"({first.slot}: {first.evidence})."
        ),
        alternative=(
            "Supply the same cells with raw counts (in X, raw or layers['counts']); clusters, a "
            "UMAP and gene knowledge are possible without."
        ),
    )


def _species(spec: ToolSpec[Any, Any], passport: Passport) -> Verdict:
    if not spec.needs.species or passport.species.value in spec.needs.species:
        return Verdict()
    wanted = " or ".join(sorted(spec.needs.species))
    return Verdict(
        outcome="refuse",
        reason=(
            f"{spec.title} works on {wanted} cells; the species of {passport.file} is "
            f"{passport.species.value} ({passport.species.evidence})."
        ),
        alternative="Supply human or mouse genes, or map the genes to their human orthologs first.",
    )


def _coverage(spec: ToolSpec[Any, Any], passport: Passport) -> Verdict:
    if passport.coverage >= spec.needs.min_coverage:
        return Verdict()
    return Verdict(
        outcome="refuse",
        reason=(
            f"{spec.title} needs {spec.needs.min_coverage:.0%} of the genes to be known; "
            f"{passport.coverage:.0%} of {passport.file} are."
        ),
        alternative="Name the genes by current symbols or Ensembl ids.",
    )
