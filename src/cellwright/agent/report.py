"""The report: a checked document as Markdown, single-file HTML, notebook and ``run.json``."""

from __future__ import annotations

import base64
import json
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from cellwright.agent.check import check_lines, checker_of, prose
from cellwright.agent.claims import Grid, Segment, Sentence
from cellwright.agent.document import Document, compose, installed_versions
from cellwright.agent.notebook import write_notebook
from cellwright.agent.plan import PlanStep
from cellwright.agent.state import State
from cellwright.agent.words import CODES, saying
from cellwright.artifacts import ArtifactRef
from cellwright.errors import ReportError

if TYPE_CHECKING:
    from cellwright.agent.context import Context
    from cellwright.tools.passport import Passport
    from cellwright.tools.workbench import Workbench

LONGEST_EVIDENCE = 20_000
"""Characters of a stored result that the HTML shows; the file beside it is whole."""


def write(state: State, context: Context) -> dict[str, str]:
    """Write every file of the report to ``context.out``.

    Returns:
        Name of each deliverable and its path.

    Raises:
        ReportError: A claim is not backed by an artifact; nothing is written then.
    """
    bench = context.bench(state)
    document = compose(state, bench)
    brief = context.level == "brief"
    markdown = render_markdown(document, brief=brief)
    check_markdown(
        markdown, document, frozenset(bench.knowledge.genes.human.by_symbol), brief=brief
    )
    out = context.out
    if out is None:
        msg = "No output folder was given for the report."
        raise ReportError(msg)
    out.mkdir(parents=True, exist_ok=True)
    _copy_artifacts(document, bench, out)
    (out / "report.md").write_text(markdown, "utf-8")
    (out / "report.html").write_text(render_html(document, bench, brief=brief), "utf-8")
    record = run_record(state, document, context.sent)
    (out / "run.json").write_text(json.dumps(record, indent=1), "utf-8")
    written = {name: str(out / name) for name in ("report.md", "report.html", "run.json")}
    if bench.passport is not None and bench.data is not None:
        from cellwright.tools.export import write_annotated

        written["annotated.h5ad"] = str(out / "annotated.h5ad")
        write_annotated(Path(state["path"]), bench, out / "annotated.h5ad")
    context.say("report", "executing the notebook" if context.execute_notebook else "notebook")
    notebook = out / "report.ipynb"
    write_notebook(state, document, notebook, bench, execute=context.execute_notebook)
    written["report.ipynb"] = str(notebook)
    return written


def render_markdown(document: Document, *, brief: bool = False) -> str:
    """The report as Markdown; the brief one has leading findings, doubts and figures alone."""
    environment = _environment(document, autoescape=False)
    environment.filters |= {"cell": _escape_md, "escape_md": _escape_md}
    environment.filters |= {"prose": _prose, "rows": _rows}
    text = environment.get_template("report.md.j2").render(
        doc=document,
        title=_title(document),
        passport_rows=_passport_rows(document.passport),
        brief=brief,
    )
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def render_html(document: Document, bench: Workbench, *, brief: bool = False) -> str:
    """The report as one HTML file, figures inside."""
    environment = _environment(document, autoescape=True)
    environment.filters |= {
        "prose": _prose_html,
        "code": _code_html,
        "data_uri": partial(_data_uri, bench),
        "stored": partial(_stored, bench),
    }
    return environment.get_template("report.html.j2").render(
        doc=document,
        title=_title(document),
        passport_rows=_passport_rows(document.passport),
        brief=brief,
        code=CODES[document.language],
    )


def check_markdown(
    markdown: str,
    document: Document,
    symbols: frozenset[str] = frozenset(),
    *,
    brief: bool = False,
) -> None:
    """Read the finished findings once more, against nothing but what the artifacts say.

    Args:
        markdown: The report.
        document: What the artifacts say.
        symbols: Gene symbols.
        brief: Findings beyond the leading ones may be missing.

    Raises:
        ReportError: A line of the findings says what no artifact backs, or a finding is missing.
    """
    lines = _finding_lines(markdown, saying(document.language))
    problems = check_lines(lines, checker_of(document, symbols, brief=brief))
    if document.worded:
        worded = {prose(said) for _, said in document.worded}
        loose = checker_of(document, symbols, loose=True)
        problems = [
            one
            for one in problems
            if _unescape_md(one.line) not in worded or not loose.claims_of(one.line)
        ]
    if problems:
        first = problems[0]
        what = f"leaves out '{first.line}'"
        if first.kind == "unbacked":
            what = f"says '{first.line}', which no artifact backs"
        nearest = f" The nearest finding is '{first.nearest}'." if first.nearest else ""
        msg = f"The report {what}.{nearest}"
        raise ReportError(msg)


def _finding_lines(markdown: str, say: Callable[[str], str] = str) -> list[str]:
    """Lines of a report that state findings: of its sections, its short answer and references."""
    lines: list[str] = []
    stating = False
    for line in markdown.splitlines():
        if line.startswith("## "):
            stating = line.startswith(
                ('## <a id="', f"## {say('In short')}", f"## {say('References')}")
            )
        elif stating and not re.match(
            rf"\*\*|\*[^*]|{say('Evidence')}: \[|\| (?:---|\w[\w ]*\|?$)", line
        ):
            lines.append(re.sub(r"\[\[s\d+\]\]\(#s\d+\)$", "", line.removeprefix("- ")))
    return _without_headings(lines)


def _without_headings(lines: Sequence[str]) -> list[str]:
    """Lines without the headings of tables, which stand where a table begins."""
    return [
        line
        for before, line in zip(["", *lines], lines, strict=False)
        if line.strip() and not (line.startswith("|") and not before.startswith("|"))
    ]


def run_record(
    state: State, document: Document, sent: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Any]:
    """What ``run.json`` holds: enough to check every claim and to repeat the run.

    Args:
        state: The thread's state.
        document: The report.
        sent: What has left the machine, as ``agent/privacy.py`` keeps it.
    """
    from cellwright.agent.session import FORMAT

    usage = state.get("usage") or []
    kept = [entry for one in usage for entry in one.get("sent", [])]
    claims = [
        {
            "step": section.step.id,
            "kind": sentence.kind,
            "text": sentence.text,
            "facts": [
                {"text": one.text, "artifact": one.artifact, "pointer": one.pointer}
                for one in sentence.segments
                if one.artifact
            ],
        }
        for section in document.sections
        for sentence in (*section.sentences, *section.caveats)
    ]
    return {
        "format": FORMAT,
        "request": document.request,
        "data": state.get("path") or "",
        "passport": state.get("passport"),
        "plan": state["plan"],
        "outcomes": state.get("outcomes") or [],
        "ledger": [entry.model_dump(mode="json") for entry in document.ledger],
        "claims": claims,
        "references": [vars(reference) for reference in document.references],
        "usage": [_without(one, "sent") for one in usage],
        "sent": [*kept, *(dict(one) for one in sent if one not in kept)],
        "reproducibility": dict(document.reproducibility),
        "versions": installed_versions(),
    }


def _without(record: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in record.items() if key != name}


def _environment(document: Document, *, autoescape: bool) -> Environment:
    environment = Environment(
        loader=PackageLoader("cellwright.agent"),
        autoescape=autoescape,
        undefined=StrictUndefined,
        trim_blocks=False,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "number": "{:,}".format,
        "call": _call,
        "say": saying(document.language),
        "delivery": partial(_delivery, saying(document.language)),
    }
    return environment


def _title(document: Document) -> str:
    title = f"Report on {document.passport.file}" if document.passport else "Report"
    return saying(document.language)(title)


def _delivery(say: Callable[[str], str], text: str) -> str:
    """What a step delivers: the tool's title, and the arguments as they are."""
    title, bracket, chosen = text.partition(" (")
    return f"{say(title)}{bracket}{chosen}"


def _passport_rows(passport: Passport | None) -> list[tuple[str, str, str]]:
    if passport is None:
        return []
    rows = [
        (name, statement.value, statement.evidence)
        for name, statement in (
            ("species", passport.species),
            ("gene names", passport.identifiers),
            ("tissue", passport.tissue),
            ("protocol", passport.protocol),
        )
    ]
    rows += [
        (f"matrix {matrix.slot}" + (" (read)" if matrix.slot == passport.best else ""),
         matrix.state, matrix.evidence)
        for matrix in passport.matrices
    ]  # fmt: skip
    rows += [
        (f"{column.role} column", f"{column.name} ({column.n_values} values)", column.evidence)
        for column in passport.columns
    ]
    known = f"{passport.coverage:.1%} of the file's genes"
    rows.append(("known genes", known, "share of names that the gene resolver knows"))
    measured = f"{passport.model_coverage:.1%} of the cell model's genes"
    rows.append(("model genes measured", measured, "share of the model's vocabulary in this file"))
    return rows


def _copy_artifacts(document: Document, bench: Workbench, out: Path) -> None:
    """Put figures, tables and results beside the report."""
    for folder in ("figures", "tables", "evidence"):
        (out / folder).mkdir(exist_ok=True)
    for section in document.sections:
        if section.outcome.status != "done":
            continue
        result_id = section.outcome.result
        shutil.copyfile(bench.store.path(result_id), out / "evidence" / f"{result_id}.json")
        stored = bench.store.get_json(result_id)
        for ref in stored["figures"]:
            target = out / "figures" / f"{section.step.id}_{ref['id']}.png"
            shutil.copyfile(bench.store.path(ref["id"]), target)
        for ref in stored["tables"]:
            target = out / "tables" / f"{section.step.id}_{ref['id']}.csv"
            shutil.copyfile(bench.store.path(ref["id"]), target)
        if stored.get("cells"):
            source = bench.store.path(stored["cells"]["id"])
            shutil.copyfile(source, out / f"{section.step.id}_generated.h5ad")


def _call(step: PlanStep) -> str:
    """A step as the Python call that repeats it."""
    shown = {name: value for name, value in step.args.items() if value is not None}
    return f"{step.tool}({', '.join(f'{name}={value!r}' for name, value in shown.items())})"


def _escape_md(text: str) -> str:
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", " ".join(str(text).split()))


def _unescape_md(text: str) -> str:
    return re.sub(r"\\([\\`*_\[\]<>|#])", r"\1", text.strip())


def _rows(grid: Grid) -> str:
    """A table in Markdown."""
    lines = [grid.headings, ["---"] * len(grid.headings)]
    lines += [[_escape_md(one.text) for one in row] for row in grid.rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _prose(sentence: Sentence) -> str:
    """A sentence in Markdown: its own words as they are, quoted facts as data."""
    said = ""
    for one in sentence.segments:
        in_code = said.count("`") % 2 == 1
        quoted = one.text.replace("`", "'") if in_code else _escape_md(one.text)
        said += quoted if one.artifact else one.text
    return said.strip()


def _prose_html(sentence: Sentence) -> Markup:
    """A sentence in HTML: each fact a link to its artifact, and the little Markdown of claims."""
    said = "".join(
        _fact_html(one) if one.artifact else str(escape(one.text)) for one in sentence.segments
    )
    for pattern, tag in ((r"\*\*(.+?)\*\*", "strong"), (r"\*(.+?)\*", "em"), (r"`(.+?)`", "code")):
        said = re.sub(pattern, rf"<{tag}>\1</{tag}>", said)
    return Markup(said)


def _code_html(text: str) -> Markup:
    """A fixed sentence with file names set as code."""
    return Markup(re.sub(r"`(.+?)`", r"<code>\1</code>", str(escape(text))))


def _fact_html(fact: Segment) -> str:
    """A fact as a link; what would read as Markdown in it is written as an entity."""
    text = str(escape(fact.text)).replace("*", "&#42;").replace("`", "&#96;")
    source = escape(f"{fact.artifact} · {fact.pointer}")
    return f'<a class="fact" href="#{fact.artifact}" title="{source}">{text}</a>'


def _data_uri(bench: Workbench, figure: ArtifactRef) -> str:
    content = base64.b64encode(bench.store.path(figure.id).read_bytes()).decode()
    return f"data:image/png;base64,{content}"


def _stored(bench: Workbench, result_id: str) -> str:
    result: Mapping[str, Any] = bench.store.get_json(result_id)
    text = json.dumps(result, indent=1, ensure_ascii=False)
    if len(text) > LONGEST_EVIDENCE:
        return f"{text[:LONGEST_EVIDENCE]}\n... (whole in evidence/{result_id}.json)"
    return text
