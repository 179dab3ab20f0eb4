"""``cellwright train templates``: write instruction templates to a file, by grammar or by model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cellwright.cli.console import print_json, working
from cellwright.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from cellwright.cellmodel.instructions.templates import Language, Task, Template


def write_templates(
    out: Annotated[Path, typer.Option(help="File of JSON lines to write.")],
    model: Annotated[
        str, typer.Option(help="Language model 'provider:name'; empty takes the offline grammar.")
    ] = "",
    task: Annotated[list[str] | None, typer.Option(help="CTA, DSP, CPCG; all if none.")] = None,
    language: Annotated[
        list[str] | None, typer.Option(help="english, korean, chinese; all if none.")
    ] = None,
    n: Annotated[
        int, typer.Option(min=0, help="Templates of each task and language; 0 takes the usual.")
    ] = 0,
    seed: Annotated[int, typer.Option(help="Seed of the draws.")] = 0,
) -> None:
    """Write instruction templates as JSON lines, each checked and none like another.

    Training reads such a file in place of the grammar's own templates.
    """
    from cellwright.cellmodel.instructions.pool import POOL_SIZES, template_pool
    from cellwright.cellmodel.instructions.templates import LANGUAGES, TASKS, save_templates

    tasks: list[Task] = [one for one in TASKS if not task or one in task]
    languages: list[Language] = [one for one in LANGUAGES if not language or one in language]
    _refuse_unknown(task, list(TASKS), "task")
    _refuse_unknown(language, list(LANGUAGES), "language")
    complete = _completion(model) if model else None
    found: list[Template] = []
    report: list[dict[str, Any]] = []
    with working("writing templates") as say:
        for one in tasks:
            for tongue in languages:
                size = n or POOL_SIZES[tongue]
                row: dict[str, Any] = {"task": one, "language": tongue}
                if complete is None:
                    written = template_pool(one, seed, size, tongue)
                else:
                    from cellwright.cellmodel.instructions.authoring import write_with_llm

                    result = write_with_llm(
                        complete,
                        one,
                        size,
                        language=tongue,
                        seed=seed,
                        say=lambda text: say(text, None),
                    )
                    written = result.templates
                    row |= {
                        "dropped": dict(result.dropped),
                        "calls": result.calls,
                        "rewrites": result.rewrites,
                    }
                parts = [template.part for template in written]
                row |= {part: parts.count(part) for part in ("train", "valid", "test")}
                found += written
                report.append(row)
    out.parent.mkdir(parents=True, exist_ok=True)
    save_templates(found, out)
    print_json({"templates": len(found), "file": str(out), "by": report})


def _refuse_unknown(given: list[str] | None, known: list[Any], what: str) -> None:
    unknown = [one for one in given or () if one not in known]
    if unknown:
        msg = f"No {what} {unknown[0]!r}. There are: {', '.join(known)}."
        raise InputError(msg)


def _completion(name: str) -> Callable[[str], str]:
    """A chat model as a function from prompt to reply."""
    from cellwright.agent.planner import choose_model
    from cellwright.settings import Settings

    if name == "embedded":
        msg = "The embedded model only writes plans; name another as 'provider:name'."
        raise InputError(msg)
    model = choose_model(Settings(), name)
    return lambda prompt: str(model.invoke(prompt).text)
