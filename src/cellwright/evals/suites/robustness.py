"""Robustness: the cell language model under other wordings, metadata, options and languages."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from cellwright.evals.asks import (
    FOREIGN,
    GIVEN,
    PART_NAMES,
    RESPONSES,
    SHUFFLED,
    TYPES,
    Asked,
    Asker,
    ask_all,
    make_asks,
    prepare,
    single_split,
    wording_split,
)
from cellwright.evals.cells import CellFile
from cellwright.evals.judge import ChatAnswer, OfflineJudgement, judge_offline
from cellwright.evals.metrics import bootstrap, over_seeds
from cellwright.evals.pictures import new_figure, save
from cellwright.evals.task import OURS, EvalContext, EvalRow, Score

if TYPE_CHECKING:
    from cellwright.cellmodel.data.splits import Part
    from cellwright.cellmodel.inference import CellModel
    from cellwright.cellmodel.instructions.statistics import TemplateStatistics
    from cellwright.cellmodel.instructions.templates import Mode

SUITE = "robustness"
LM = f"{OURS}-lm"
WISHES = 16
TEMPLATES_DESCRIBED = 300


def run(context: EvalContext) -> list[EvalRow]:
    """Every condition on the same test cells by the language model and by the ReadOut."""
    rows = template_rows(context)
    model = context.cell_model
    if model is None or not model.checkpoint.language:
        context.say(f"{SUITE}: no checkpoint with a language stage; only templates were measured")
        return rows
    from cellwright.cellmodel.answers import answer_many

    asker, cells = prepare(context, model)
    asks = make_asks(asker, cells)
    context.say(f"{SUITE}: {len(asks):,} questions")
    done = ask_all(asks, model, partial(answer_many, model), context.say)
    rows += score(done)
    rows += flip_rows(done)
    rows += floor_rows(done, asker.files)
    rows += single_template_rows(done)
    draw_templates(done, context)
    rows += judge_rows(done, context)
    wishes = ask_wishes(context, model, asker)
    rows += wish_rows(wishes)
    write_gallery(done, wishes, context)
    return rows


def _row(data: str, split: str, metric: str, system: str, score: Score) -> EvalRow:
    return EvalRow(
        suite=SUITE, data=data, split=split, metric=metric, system=system, **score.model_dump()
    )


def _by_condition(done: Iterable[Asked]) -> dict[tuple[str, str], list[Asked]]:
    groups: dict[tuple[str, str], list[Asked]] = defaultdict(list)
    for one in done:
        groups[one.ask.data, one.ask.split].append(one)
    return groups


def per_seed(done: Sequence[Asked], value: Callable[[Asked], bool]) -> Score:
    """Share of the answers with a property: mean and range over the seeds' draws."""
    seeds: dict[int, list[bool]] = defaultdict(list)
    for one in done:
        seeds[one.ask.cell.seed].append(value(one))
    return over_seeds([float(np.mean(values)) for values in seeds.values()], len(done))


def score(done: Sequence[Asked]) -> list[EvalRow]:
    """Accuracy of both paths, answers missing or restated, and how often the paths agree."""
    rows = []
    for (data, split), own in _by_condition(done).items():
        if split.startswith("single "):
            continue
        rows += [
            _row(data, split, "accuracy", LM, per_seed(own, lambda one: one.right)),
            _row(
                data,
                split,
                "accuracy",
                OURS,
                per_seed(own, lambda one: one.read_out == one.ask.truth),
            ),
            _row(
                data, split, "unanswered", LM, per_seed(own, lambda one: one.answer.label is None)
            ),
            _row(data, split, "restated", LM, per_seed(own, lambda one: one.answer.restated)),
            _row(
                data,
                split,
                "same_as_readout",
                LM,
                per_seed(own, lambda one: one.answer.label == one.read_out),
            ),
        ]
    return rows


def flip_rows(done: Sequence[Asked]) -> list[EvalRow]:
    """Share of answers that change when only the metadata become another data set's."""
    before = {id(one.ask.cell): one for one in done if one.ask.split == GIVEN}
    pairs = [
        (before[id(one.ask.cell)], one)
        for one in done
        if one.ask.split == FOREIGN and id(one.ask.cell) in before
    ]
    if not pairs:
        return []
    seeds: dict[int, list[tuple[bool, bool]]] = defaultdict(list)
    for first, second in pairs:
        flipped = first.answer.label != second.answer.label
        own = set(second.ask.cell.file.labels)
        seeds[second.ask.cell.seed].append((flipped, flipped and second.answer.label not in own))
    rows = []
    for at, metric in enumerate(("flipped", "flipped_outside_own_set")):
        values = [float(np.mean([one[at] for one in group])) for group in seeds.values()]
        rows.append(_row(TYPES, FOREIGN, metric, LM, over_seeds(values, len(pairs))))
    return rows


def floor_rows(done: Sequence[Asked], files: Sequence[CellFile]) -> list[EvalRow]:
    """What guessing gives where expression says nothing: an option at random, the commonest."""
    own = [one for one in done if one.ask.split == SHUFFLED]
    if not own:
        return []
    common = {
        file.card.name: Counter(file.names[file.parts["train"]]).most_common(1)[0][0]
        for file in files
    }
    seeds: dict[int, list[float]] = defaultdict(list)
    for one in own:
        seeds[one.ask.cell.seed].append(1 / len(one.ask.question.labels))
    chance = over_seeds([float(np.mean(values)) for values in seeds.values()], len(own))
    majority = per_seed(own, lambda one: common[one.ask.cell.file.card.name] == one.ask.cell.label)
    return [
        _row(TYPES, SHUFFLED, "accuracy", "chance", chance),
        _row(TYPES, SHUFFLED, "accuracy", "majority", majority),
    ]


# --------------------------------------------------------------------------- single templates


def by_template(done: Sequence[Asked], *, options: bool) -> list[list[Asked]]:
    """The answers to each single template."""
    groups: dict[str, list[Asked]] = defaultdict(list)
    for one in done:
        if one.ask.split == single_split(options=options):
            groups[one.ask.template.instruction].append(one)
    return list(groups.values())


def single_template_rows(done: Sequence[Asked]) -> list[EvalRow]:
    """Accuracy over single templates: mean, and the range over the templates."""
    rows = []
    for options in (True, False):
        groups = by_template(done, options=options)
        if not groups:
            continue
        n = sum(len(group) for group in groups)
        hits: dict[str, Callable[[Asked], bool]] = {
            LM: lambda one: one.right,
            OURS: lambda one: one.read_out == one.ask.truth,
        }
        for system, hit in hits.items():
            values = [float(np.mean([hit(one) for one in group])) for group in groups]
            figure = Score(mean=float(np.mean(values)), low=min(values), high=max(values), n=n)
            rows.append(_row(TYPES, single_split(options=options), "accuracy", system, figure))
    return rows


def draw_templates(done: Sequence[Asked], context: EvalContext) -> None:
    """Accuracy under each single template, a dot each."""
    figure, axes = new_figure(7, 3.2, 1, 2)
    for axis, options in zip(axes[0], (True, False), strict=True):
        groups = by_template(done, options=options)
        values = sorted((np.mean([one.right for one in group]) for group in groups), reverse=True)
        axis.scatter(range(1, len(values) + 1), values, s=18, label="language model")
        each = len(groups[0]) if groups else 0
        if groups:
            read = np.mean([one.read_out == one.ask.truth for group in groups for one in group])
            axis.axhline(read, color="black", linewidth=1, linestyle="--", label="ReadOut")
        axis.set(
            title="options" if options else "no options",
            xlabel=f"unseen template ({each} cells each)",
            ylabel="accuracy",
            ylim=(-0.05, 1.05),
        )
    axes[0][0].legend(fontsize=7)
    save(figure, context.figures, f"{SUITE}-templates")


# ------------------------------------------------------------------------------------- templates


def template_rows(context: EvalContext) -> list[EvalRow]:
    """How many templates there are, and how varied they are with each trait removed."""
    from cellwright.cellmodel.instructions.pool import template_pool
    from cellwright.cellmodel.instructions.statistics import trait_statistics
    from cellwright.cellmodel.instructions.templates import LANGUAGES, TASKS

    rows = []
    pictures = {}
    for task in TASKS:
        context.say(f"{SUITE}: templates of {task}")
        for language in LANGUAGES:
            n = len(template_pool(task, language=language))
            figure = Score(mean=n, low=n, high=n, n=n)
            rows.append(_row(task, f"{language} templates", "distinct", OURS, figure))
        draws = [
            trait_statistics(task, n=TEMPLATES_DESCRIBED, seed=seed)
            for seed in range(context.seeds)
        ]
        pictures[task] = draws[0]
        for removed in draws[0]:
            system = f"without-{removed}" if removed else OURS
            for metric, value in _FIGURES.items():
                values = [value(draw[removed]) for draw in draws]
                figure = over_seeds(values, TEMPLATES_DESCRIBED)
                rows.append(_row(task, "templates before the filter", metric, system, figure))
    _draw_statistics(pictures, context)
    return rows


_FIGURES: Mapping[str, Callable[[TemplateStatistics], float]] = {
    "instruction_words": lambda found: float(found.instruction_words.mean()),
    "response_words": lambda found: float(found.response_words.mean()),
    "similarity": lambda found: found.similarity,
    "unigram_ratio": lambda found: found.unigram_ratio,
}


def _draw_statistics(
    pictures: Mapping[Any, Mapping[Any, TemplateStatistics]], context: Any
) -> None:
    figure, axes = new_figure(9, 6.4, 2, 2)
    (lengths, similar), (ratio, both) = axes
    for at, (task, found) in enumerate(pictures.items()):
        places = np.arange(len(found)) + 0.25 * (at - 1)
        names = ["all traits" if one is None else f"no {one}" for one in found]
        boxes = lengths.boxplot(
            [one.instruction_words for one in found.values()],
            positions=places,
            widths=0.2,
            showfliers=False,
            patch_artist=True,
        )
        for box in boxes["boxes"]:
            box.set_facecolor(f"C{at}")
        similar.bar(places, [one.similarity for one in found.values()], 0.22, label=task)
        ratio.bar(places, [one.unigram_ratio for one in found.values()], 0.22)
        whole = found[None]
        style = {"histtype": "step", "bins": np.arange(0, 72, 4), "color": f"C{at}"}
        both.hist(whole.instruction_words, **style)
        both.hist(whole.response_words, linestyle="--", **style)
        for axis in (lengths, similar, ratio):
            axis.set_xticks(np.arange(len(found)), names, fontsize=7)
    lengths.set(title="words of an instruction")
    similar.set(title="ROUGE-L to the nearest instruction", ylim=(0, 1))
    ratio.set(title="distinct words / all words")
    both.set(title="words: instruction (solid), response (dashed)", ylabel="templates")
    similar.legend(fontsize=7)
    save(figure, context.figures, f"{SUITE}-statistics")


# ----------------------------------------------------------------------------------------- judge


def judge_rows(done: Sequence[Asked], context: EvalContext) -> list[EvalRow]:
    """Chat answers beside their references, by code: label named, and a proxy of fluency."""
    from cellwright.cellmodel.fluency import BaseFluency

    split = wording_split("chat", "test", options=False)
    answers = [
        ChatAnswer(
            question=one.ask.question.prompt,
            text=one.answer.text,
            reference=one.ask.reference,
            truth=one.ask.truth,
            labels=one.ask.question.labels,
        )
        for one in done
        if one.ask.split == split
    ]
    if not answers:
        return []
    context.say(f"{SUITE}: fluency of {len(answers)} chat answers")
    found = judge_offline(answers, BaseFluency.load(context.settings).mean_log_probs)
    return judgement_rows(found, split)


def judgement_rows(found: OfflineJudgement, split: str) -> list[EvalRow]:
    """Rows of a judgement: the answers, their references, and the answers with words shuffled."""
    n = len(found.fluency)
    rows = []
    for system, values in (
        (LM, found.fluency),
        ("reference", found.reference_fluency),
        ("shuffled-words", found.shuffled_fluency),
    ):
        figure = bootstrap(partial(_mean_at, values), n)
        rows.append(_row("chat answers", split, "mean_token_log_prob", system, figure))
    for system, share in (
        (LM, found.at_least_reference),
        ("shuffled-words", found.shuffled_at_least_reference),
    ):
        figure = Score(mean=share, low=share, high=share, n=n)
        rows.append(_row("chat answers", split, "as_probable_as_reference", system, figure))
    return rows


def _mean_at(values: np.ndarray, at: np.ndarray) -> float:
    return float(np.nanmean(values[at]))


# -------------------------------------------------------------------------- wishes, and gallery


@dataclass(frozen=True, kw_only=True)
class Wish:
    """A wish for a cell and what came of it.

    Attributes:
        split: The condition.
        seed: The draw.
        source: The type and file it was about.
        prompt: The wish.
        text: What the model said.
        given: Whether it gave a cell.
        cell: What the cell is like; empty where none was drawn.
    """

    split: str
    seed: int
    source: Mapping[str, Any]
    prompt: str
    text: str
    given: bool
    cell: str


def ask_wishes(context: EvalContext, model: CellModel, asker: Asker) -> list[Wish]:
    """Wishes for cells of types with counts, under seen and unseen templates."""
    from cellwright.cellmodel.answers import describe_cell, wish_many
    from cellwright.cellmodel.instructions.templates import fill, metadata_values

    sources = model.card.get("generatable", [])
    if not sources:
        return []
    context.say(f"{SUITE}: wishes for cells")
    measured = {
        file.card.name: file.block(model.vocabulary, np.arange(1)).measured for file in asker.files
    }
    wishes = []
    modes: tuple[Mode, ...] = ("instruct", "chat")
    parts: tuple[Part, ...] = ("test", "train")
    for seed in range(context.seeds):
        rng = np.random.default_rng([17, seed])
        for part in parts:
            for mode in modes:
                chosen = [sources[int(rng.integers(len(sources)))] for _ in range(WISHES // 2)]
                prompts = []
                for one in chosen:
                    template = asker.books[part].draw("CPCG", rng, language="english")
                    values = metadata_values(one["species"], one["tissue"], one["protocol"])
                    prompts.append(fill(template, {**values, "cell_type": one["name"]}).prompt)
                spoken = wish_many(model, prompts, mode)
                for at, (source, prompt, said) in enumerate(
                    zip(chosen, prompts, spoken, strict=True)
                ):
                    cell = ""
                    first = at == 0 and seed == 0 and part == "test"
                    if first and said.signal is not None and source["dataset"] in measured:
                        cell = describe_cell(model, said.signal, measured[source["dataset"]])
                    wishes.append(
                        Wish(
                            split=f"generation, {mode}, {PART_NAMES[part]} templates",
                            seed=seed,
                            source=source,
                            prompt=prompt,
                            text=said.text,
                            given=said.signal is not None,
                            cell=cell,
                        )
                    )
    return wishes


def wish_rows(wishes: Sequence[Wish]) -> list[EvalRow]:
    """Share of wishes that were answered with a cell."""
    groups: dict[str, dict[int, list[bool]]] = defaultdict(lambda: defaultdict(list))
    for one in wishes:
        groups[one.split][one.seed].append(one.given)
    return [
        _row(
            "cells",
            split,
            "cell_given",
            LM,
            over_seeds(
                [float(np.mean(own)) for own in seeds.values()], sum(map(len, seeds.values()))
            ),
        )
        for split, seeds in groups.items()
    ]


def write_gallery(done: Sequence[Asked], wishes: Sequence[Wish], context: EvalContext) -> None:
    """Some answers of each task, right and wrong as they come, in ``gallery.md``."""
    lines = [
        "# Gallery",
        "",
        "Answers of the cell language model to test cells under wordings that it was not trained "
        "on; the first of each condition's draw, not picked. `{input}` stands for the cell.",
    ]
    shown = [
        split
        for split in dict.fromkeys(one.ask.split for one in done)
        if "unseen" in split and not split.startswith("single ")
    ]
    for data in (TYPES, RESPONSES):
        own = [one for one in done if one.ask.data == data]
        if own:
            lines += ["", f"## {data.capitalize()}"]
        for split in shown:
            for one in [one for one in own if one.ask.split == split][:2]:
                card = one.ask.cell.file.card
                lines += [
                    "",
                    f"**{split}** · {card.name}",
                    "",
                    f"- Instruction: {_plain(one.ask.question.prompt)}",
                    f"- Answer: {_plain(one.answer.text) or '(nothing)'}",
                    f"- ReadOut: {one.read_out}",
                    f"- Truth: {one.ask.truth}",
                ]
    if wishes:
        lines += ["", "## Cells made to order"]
    for split in dict.fromkeys(one.split for one in wishes):
        if "unseen" not in split:
            continue
        for wish in [one for one in wishes if one.split == split][:2]:
            lines += [
                "",
                f"**{split}** · {wish.source['dataset']}",
                "",
                f"- Instruction: {_plain(wish.prompt)}",
                f"- Answer: {_plain(wish.text)} {'(a cell)' if wish.given else '(no cell)'}",
                *([f"- The cell: {wish.cell}"] if wish.cell else []),
                f"- Wanted: {wish.source['name']}",
            ]
    context.out.mkdir(parents=True, exist_ok=True)
    (context.out / "gallery.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _plain(text: str) -> str:
    """One line that Markdown leaves as it is."""
    return " ".join(text.split()).replace("*", r"\*").replace("<", r"\<")
