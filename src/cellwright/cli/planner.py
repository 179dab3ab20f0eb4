"""``cellwright train reader`` and ``train planner``: train what plans, and measure it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cellwright.cli.console import print_json, working

if TYPE_CHECKING:
    from cellwright.agent.reader import Reader


def train_reader(
    out: Annotated[Path, typer.Option(help="Where the trained part goes.")] = Path("reader"),
    folder: Annotated[
        Path, typer.Option(help="Checkpoint; a killed run goes on from here.")
    ] = Path("checkpoints/reader"),
    start: Annotated[
        Path | None, typer.Option(help="A trained part to go on from; anew without it.")
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Updates; 4,200 take 90 minutes.")] = 4200,
    seed: Annotated[int, typer.Option(help="Seed of examples and training.")] = 0,
    threads: Annotated[int, typer.Option(help="CPU threads; 0 takes all.")] = 0,
) -> None:
    """Train the reader of requests on the written requests and wordings that ship."""
    from cellwright.agent.lessons import (
        TIMES,
        Lessons,
        tagger_config,
        wording_lessons,
        written_lessons,
        written_requests,
    )
    from cellwright.cellmodel.modeling.language import set_threads
    from cellwright.cellmodel.training.ask_tagger import TaggerRecipe, train_tagger
    from cellwright.settings import Settings
    from cellwright.weights import WeightStore

    set_threads(threads)
    settings = Settings()
    minilm = WeightStore(settings.weights_dir, offline=settings.offline).path("minilm")
    with working("making examples") as say:
        written = written_lessons(written_requests())
        wordings = wording_lessons(seed, TIMES)
        tagger = train_tagger(
            minilm,
            tagger_config([*written, *wordings]),
            Lessons(written, wordings).draw,
            TaggerRecipe(steps=steps, seed=seed),
            start=start,
            kept=folder / "tagger.pt",
            progress=lambda step, steps, loss: say(f"step {step}, loss {loss:.3f}", step / steps),
        )
        tagger.save(out, minilm)
    print_json({"requests": len(written), "wordings": len(wordings), "reader": str(out)})


def train_planner(
    out: Annotated[Path, typer.Option(help="Where the adapter goes.")] = Path("planner-adapter"),
    folder: Annotated[
        Path, typer.Option(help="Checkpoints; a killed run goes on from here.")
    ] = Path("checkpoints/planner"),
    examples: Annotated[int, typer.Option(min=8, help="Training examples.")] = 3600,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over them.")] = 1,
    minutes: Annotated[float, typer.Option(help="Longest training time; 0 for none.")] = 0.0,
    test: Annotated[int, typer.Option(min=0, help="Held-out requests to measure on.")] = 200,
    seed: Annotated[int, typer.Option(help="Seed of examples and training.")] = 1,
    threads: Annotated[int, typer.Option(help="CPU threads; 0 takes all.")] = 0,
) -> None:
    """Fine-tune the embedded planner on made examples and print how well it plans held-out ones."""
    import shutil

    from cellwright.agent.examples import make_asks, make_examples
    from cellwright.agent.grammar import make_grammar
    from cellwright.agent.planner import packaged_reader
    from cellwright.agent.prompts import small_prompt
    from cellwright.cellmodel.modeling.language import LanguageModel, set_threads
    from cellwright.cellmodel.training.language import LoraRecipe, finetune
    from cellwright.settings import Settings
    from cellwright.weights import WeightStore

    set_threads(threads)
    settings = Settings()
    base = WeightStore(settings.weights_dir, offline=settings.offline).path("smollm2")
    with working("making examples") as say:
        model = LanguageModel.load(base)
        pairs = []
        for example in make_examples(examples, seed=seed, held_out=False):
            asks = make_asks(example.asks, example.passport)
            if example.history or model.accepts(example.plan, make_grammar(asks)):
                prompt = small_prompt(asks, example.passport, example.history)
                pairs.append((prompt, example.plan))
        recipe = LoraRecipe(epochs=epochs, max_seconds=60 * minutes, seed=seed)
        adapter = finetune(
            base,
            pairs,
            folder,
            recipe,
            progress=lambda step, steps, loss: say(f"step {step}, loss {loss:.3f}", step / steps),
        )
        shutil.copytree(adapter, out, dirs_exist_ok=True)
        say("measuring", None)
        fit = measure(base, out, packaged_reader(settings), test, seed)
        print_json({"pairs": len(pairs), "adapter": str(out), "fit": fit})


def measure(
    base: Path, adapter: Path, reader: Reader, n: int, seed: int
) -> dict[str, dict[str, Any]]:
    """Share of held-out requests whose whole plan is right, by planner and kind.

    Args:
        base: Folder of the base model.
        adapter: Folder of the adapter.
        reader: What reads requests beside it.
        n: Requests.
        seed: Seed; the requests are of another one than the training examples.
    """
    import time
    from collections import defaultdict

    from cellwright.agent.examples import fits, make_examples
    from cellwright.agent.planner import EmbeddedPlanner, propose
    from cellwright.agent.router import route

    planners = {
        "base-model": EmbeddedPlanner(base=base),
        "embedded": EmbeddedPlanner(base=base, adapter=adapter),
        "cellwright": EmbeddedPlanner(base=base, adapter=adapter, reader=reader),
    }
    scores: dict[str, dict[str, list[float]]] = {}
    wanted = make_examples(n, seed=seed + 1000, held_out=True)
    for name in ("keyword-router", *planners):
        rows: dict[str, list[float]] = defaultdict(list)
        for one in wanted:
            start = time.perf_counter()
            if name in planners:
                model = planners[name]
                history = [{"request": one.history, "steps": []}] if one.history else []
                draft = propose(model, one.request, one.passport, history).draft
            else:
                draft = route(one.asks, one.passport)
            rows["seconds"].append(time.perf_counter() - start)
            for group in ("all", one.kind, one.language):
                rows[group].append(float(fits(draft, one.draft)))
        scores[name] = dict(rows)
    return {
        name: {key: round(sum(values) / len(values), 3) for key, values in rows.items()}
        for name, rows in scores.items()
    }
