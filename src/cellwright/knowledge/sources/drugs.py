"""Drugs of GDSC and the Repurposing Hub, merged where their names agree."""

import csv
import re
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cellwright.knowledge.sources import catalogue

PHASES = (
    "", "Preclinical", "Phase 1", "Phase 1/Phase 2", "Phase 2", "Phase 2/Phase 3", "Phase 3",
    "Withdrawn", "Launched",
)  # fmt: skip


@dataclass(kw_only=True, slots=True)
class Drug:
    """A drug while the table is being built."""

    name: str
    synonyms: list[str] = field(default_factory=list)
    targets: list[str] = field(default_factory=list)
    pathway: str = ""
    mechanism: str = ""
    indications: list[str] = field(default_factory=list)
    areas: list[str] = field(default_factory=list)
    phase: str = ""
    in_gdsc: bool = False
    in_hub: bool = False
    gdsc_ids: list[int] = field(default_factory=list)


def form(name: str) -> str:
    """Return the form in which drug names are compared: letters and digits only.

    >>> form("PLX-4720") == form("plx 4720")
    True
    """
    return re.sub(r"[^0-9a-z]+", "", name.casefold())


def compile_drugs(paths: dict[str, Path]) -> dict[str, Any]:
    """Return the columns of ``drugs``: GDSC's compounds first, then the hub's others."""
    drugs = _read_gdsc(paths[catalogue.GDSC.file])
    _merge_hub(drugs, paths[catalogue.REPURPOSING_HUB.file])
    return _columns(sorted(drugs, key=lambda drug: (not drug.in_gdsc, drug.name.casefold())))


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _read_gdsc(path: Path) -> list[Drug]:
    found: dict[str, Drug] = {}
    with path.open(encoding="utf-8", newline="") as handle:
        for row in csv.DictReader(handle):
            name = row["DRUG_NAME"].strip()
            drug = found.setdefault(form(name), Drug(name=name, in_gdsc=True))
            drug.gdsc_ids.append(int(row["DRUG_ID"]))
            _add(drug.synonyms, _parts(row["SYNONYMS"]))
            _add(drug.targets, _parts(row["TARGET"]))
            pathway = row["TARGET_PATHWAY"].strip()
            drug.pathway = drug.pathway or ("" if pathway == "Unclassified" else pathway)
    return list(found.values())


def _merge_hub(drugs: list[Drug], path: Path) -> None:
    by_name = {form(drug.name): drug for drug in drugs}
    by_synonym: dict[str, list[Drug]] = defaultdict(list)
    for drug in drugs:
        for one in drug.synonyms:
            if drug not in by_synonym[form(one)]:
                by_synonym[form(one)].append(drug)
    with path.open(encoding="utf-8", newline="") as handle:
        for row in csv.DictReader(handle, delimiter="\t", quoting=csv.QUOTE_NONE):
            name = row["Name"].strip().strip('"')
            other = by_synonym.get(form(name), [])
            known = by_name.get(form(name)) or (other[0] if len(other) == 1 else None)
            drug = known or Drug(name=name)
            if known is None:
                drugs.append(drug)
                by_name[form(name)] = drug
            elif drug.name != name:
                _add(drug.synonyms, [name])
            drug.in_hub = True
            mechanisms = _parts((row["MOA"] or "").strip('"').replace("|", ","))
            drug.mechanism = drug.mechanism or "; ".join(mechanisms)
            _add(drug.targets, _parts((row["Target"] or "").strip('"').replace("|", ",")))
            _add(drug.indications, _parts((row["Indication"] or "").strip('"')))
            _add(drug.areas, _parts((row["Disease Area"] or "").strip('"')))
            phase = (row["Phase"] or "").strip()
            drug.phase = max(drug.phase, phase, key=_rank)


def _rank(phase: str) -> int:
    return PHASES.index(phase) if phase in PHASES else 0


def _add(known: list[str], more: list[str]) -> None:
    have = {one.casefold() for one in known}
    for one in more:
        if one.casefold() not in have:
            known.append(one)
            have.add(one.casefold())


def _columns(drugs: list[Drug]) -> dict[str, Any]:
    import pyarrow as pa

    return {
        "name": pa.array([drug.name for drug in drugs]),
        "synonyms": pa.array(["|".join(drug.synonyms) for drug in drugs]),
        "targets": pa.array(["|".join(drug.targets) for drug in drugs]),
        "pathway": pa.array([drug.pathway for drug in drugs]).dictionary_encode(),
        "mechanism": pa.array([drug.mechanism for drug in drugs]).dictionary_encode(),
        "indications": pa.array(["|".join(drug.indications) for drug in drugs]),
        "areas": pa.array(["|".join(drug.areas) for drug in drugs]).dictionary_encode(),
        "phase": pa.array([drug.phase for drug in drugs]).dictionary_encode(),
        "in_gdsc": pa.array([drug.in_gdsc for drug in drugs]),
        "in_hub": pa.array([drug.in_hub for drug in drugs]),
        "gdsc_ids": pa.array([sorted(drug.gdsc_ids) for drug in drugs], pa.list_(pa.int32())),
    }
