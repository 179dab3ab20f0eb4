"""Knowledge: gene names, cell type labels, marker lists and search, each beside plain ways."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Sequence
from importlib import resources

from cellwright.evals import knowledge_markers, knowledge_names, knowledge_search
from cellwright.evals.knowledge_markers import Group, Marked, PublicationCounts
from cellwright.evals.knowledge_names import NameCase
from cellwright.evals.knowledge_search import Question, Searcher
from cellwright.evals.metrics import wilson
from cellwright.evals.task import OURS, EvalContext, EvalRow, EvalTask, Score
from cellwright.knowledge import Knowledge, documents
from cellwright.knowledge.search import HybridSearch
from cellwright.knowledge.sources import prose

SUITE = "knowledge"
MANY_NAMES = 60_000
Label = tuple[str, str, str]


def run(context: EvalContext) -> list[EvalRow]:
    """Everything that the knowledge is asked for, against the simplest way to do it."""
    knowledge = context.knowledge
    return [
        *_names(knowledge, context),
        *_name_speed(knowledge, context),
        *_labels(knowledge, context),
        *_markers(knowledge, context),
        *_search(knowledge, context),
    ]


def _names(knowledge: Knowledge, context: EvalContext) -> list[EvalRow]:
    cases = knowledge_names.cases()
    kinds = list(dict.fromkeys(case.kind for case in cases))
    aliases = {
        one: knowledge_names.AliasLookup(knowledge.genes.index(one)) for one in ("human", "mouse")
    }

    def resolve(asked: Sequence[NameCase]) -> list[str]:
        return [
            knowledge_names.judge(knowledge, one, knowledge.genes.resolve(one.name, one.species))
            for one in asked
        ]

    def plain(find: Callable[[NameCase], str]) -> Callable[[Sequence[NameCase]], list[str]]:
        def answer(asked: Sequence[NameCase]) -> list[str]:
            return [_said(one, find(one)) for one in asked]

        return answer

    def score(asked: Sequence[NameCase], said: list[str]) -> dict[str, Score]:
        return {
            "accuracy": wilson(said.count("right"), len(asked)),
            "wrong_gene": wilson(said.count("wrong gene"), len(asked)),
        }

    rows: list[EvalRow] = []
    for kind in ("all", *kinds):
        asked = [one for one in cases if kind in {"all", one.kind}]
        rows += EvalTask[Sequence[NameCase], list[str]](
            suite=SUITE,
            data=f"{kind} ({len(asked)} names)",
            split="hard gene names",
            dataset=asked,
            solvers={
                OURS: resolve,
                "exact-symbol": plain(
                    lambda one: knowledge_names.by_symbol(
                        one.name, knowledge.genes.index(one.species)
                    )
                ),
                "alias-lookup": plain(lambda one: aliases[one.species](one.name)),
            },
            scorer=score,
        ).run(context.say)
    return rows


def _said(case: NameCase, gene: str) -> str:
    if gene:
        return "right" if gene == case.answer else "wrong gene"
    return "right" if case.answer == knowledge_names.UNKNOWN else "no gene"


def _name_speed(knowledge: Knowledge, context: EvalContext) -> list[EvalRow]:
    symbols = [one for one in knowledge.genes.human.symbol if one]
    names = (symbols * (1 + MANY_NAMES // len(symbols)))[:MANY_NAMES]
    knowledge.genes.resolve_many(names[:1], "human")
    return EvalTask[list[str], float](
        suite=SUITE,
        data=f"{MANY_NAMES:,} human symbols",
        split="one process, tables loaded",
        dataset=names,
        solvers={
            OURS: lambda found: _seconds(lambda: knowledge.genes.resolve_many(found, "human"))
        },
        scorer=lambda found, took: {"seconds": Score(mean=took, low=took, high=took, n=len(found))},
    ).run(context.say)


def _seconds(work: Callable[[], object]) -> float:
    """Shortest of three: the machine may be shared."""
    found = []
    for _ in range(3):
        start = time.perf_counter()
        work()
        found.append(time.perf_counter() - start)
    return min(found)


def _labels(knowledge: Knowledge, context: EvalContext) -> list[EvalRow]:
    text = resources.files("cellwright.cellmodel.data").joinpath("labels.tsv").read_text("utf-8")
    rows = csv.DictReader(text.splitlines(), delimiter="\t")
    labels = sorted({(row["label"], row["term"], row["dataset"]) for row in rows})
    ontology = knowledge.ontology
    exact = {ontology.label(one).casefold(): one for one in ontology.ids()}
    for one in ontology.ids():
        for name in ontology.synonyms(one):
            exact.setdefault(name.casefold(), one)
    return EvalTask[list[Label], list[str]](
        suite=SUITE,
        data=f"{len(labels)} labels of measured files",
        split="the tables of forms were written with these labels at hand",
        dataset=labels,
        solvers={
            OURS: lambda found: [ontology.lookup(one).ontology_id or "" for one, _, _ in found],
            "label-or-synonym": lambda found: [
                exact.get(one.casefold(), "") for one, _, _ in found
            ],
        },
        scorer=lambda found, said: {
            "accuracy": wilson(
                sum(term == got for (_, term, _), got in zip(found, said, strict=True)), len(found)
            )
        },
    ).run(context.say)


def _markers(knowledge: Knowledge, context: EvalContext) -> list[EvalRow]:
    measured = knowledge_markers.groups(context)
    published = knowledge_markers.published(knowledge)
    top = f"labelled groups, top {knowledge_markers.TOP_GENES} genes"
    rows: list[EvalRow] = []
    for groups, what, tissue in (
        (measured, top, False),
        (measured, f"{top}, tissue given", True),
        (published, "published lists, ten folds", False),
    ):
        for tuned, split in (
            (False, "marker lists of sources that nothing was tuned on"),
            (True, "marker lists that three constants were tuned on"),
        ):
            chosen = [one for one in groups if one.tuned == tuned]
            if chosen:
                data = f"{len(chosen)} {what}"
                rows += _matched(knowledge, chosen, data, split, context, tissue=tissue)
    return rows


def _matched(
    knowledge: Knowledge,
    groups: list[Group],
    data: str,
    split: str,
    context: EvalContext,
    *,
    tissue: bool,
) -> list[EvalRow]:
    marked = Marked(knowledge)

    def counted(*, idf: bool) -> list[str]:
        ready = {
            one: PublicationCounts(marked(one), knowledge, idf=idf)
            for one in {group.studies for group in groups}
        }
        return [ready[group.studies](group, tissue=tissue) for group in groups]

    found = {
        OURS: [knowledge_markers.ours(marked, one, tissue=tissue) for one in groups],
        "publication-counts": counted(idf=False),
        "idf-publication-counts": counted(idf=True),
    }
    rows = EvalTask[list[Group], list[str]](
        suite=SUITE,
        data=data,
        split=split,
        dataset=groups,
        solvers={name: lambda _found, said=said: said for name, said in found.items()},  # type: ignore[misc]
        scorer=lambda judged, said: knowledge_markers.judge(knowledge, judged, said),
    ).run(context.say)
    plain = found["idf-publication-counts"]
    ahead = knowledge_markers.lead(knowledge, groups, found[OURS], plain)
    metric = "ontology_score_lead_over_idf_counts"
    row = EvalRow(
        suite=SUITE, data=data, split=split, metric=metric, system=OURS, **ahead.model_dump()
    )
    return [*rows, row]


def _search(knowledge: Knowledge, context: EvalContext) -> list[EvalRow]:
    every = knowledge_search.questions(knowledge)
    dense = knowledge_search.dense_only(knowledge)
    said = prose.read(knowledge.settings.knowledge_dir)
    if not said:
        context.say("knowledge: no prose is indexed (knowledge build --from): packaged facts only")
    rows: list[EvalRow] = []
    for indexed in (False, True) if said else (False,):
        texts = documents.compose(knowledge, said if indexed else None)
        systems: dict[str, Searcher] = {
            OURS: knowledge_search.ours(HybridSearch(knowledge, with_prose=indexed)),
            "tf-idf": knowledge_search.tf_idf(texts),
            "dense-only": dense,
        }
        what = "with the sources' prose indexed" if indexed else "packaged facts only"
        for held_out in (True, False):
            asked = [one for one in every if one.held_out == held_out]
            half = "held out" if held_out else "development"
            for given in (False, True):
                rows += EvalTask[list[Question], list[list[str]]](
                    suite=SUITE,
                    data=f"{len(asked)} queries, kind {'given' if given else 'not given'}",
                    split=f"plain-language queries, {half}; {what}",
                    dataset=asked,
                    solvers={name: _asker(find, given=given) for name, find in systems.items()},
                    scorer=knowledge_search.judge,
                ).run(context.say)
    return [*rows, *_search_speed(knowledge, every, context)]


def _asker(find: Searcher, *, given: bool) -> Callable[[list[Question]], list[list[str]]]:
    return lambda asked: [find(one.query, one.kind if given else None) for one in asked]


def _search_speed(
    knowledge: Knowledge, every: Sequence[Question], context: EvalContext
) -> list[EvalRow]:
    asked = [one.query for one in every[:50]]
    return EvalTask[list[str], float](
        suite=SUITE,
        data=f"one query, mean of {len(asked)}",
        split="one process, store open",
        dataset=asked,
        solvers={
            OURS: lambda found: (
                _seconds(lambda: [knowledge.search(one) for one in found]) / len(found)
            )
        },
        scorer=lambda found, took: {"seconds": Score(mean=took, low=took, high=took, n=len(found))},
    ).run(context.say)
