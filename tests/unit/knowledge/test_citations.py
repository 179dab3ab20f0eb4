"""Nothing but ``Evidence.cite`` may produce a citation: the source code itself is read."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import cellwright

PACKAGE = Path(cellwright.__file__).parent
RECORDS = PACKAGE / "knowledge" / "records.py"
FORGER = PACKAGE / "evals" / "drafts.py"  # false ones, for the checker of suite reports to find
NAMES = {"cite", "citation", "citations"}
PMID = re.compile(r"PMID:?\s*$")


def modules() -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        yield path, ast.parse(path.read_text(encoding="utf-8"))


def cited_values(tree: ast.AST) -> Iterator[ast.expr]:
    """What is given for a field or key that is called a citation."""
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg in NAMES:
            yield node.value
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and key.value in NAMES:
                    yield value


def is_cited(value: ast.expr) -> bool:
    """Whether a value comes from ``cite()``, is handed on from a citation, or is empty."""
    for node in ast.walk(value):
        if isinstance(node, ast.Attribute) and node.attr in NAMES:
            return True
        if isinstance(node, ast.Name) and node.id in NAMES:
            return True
    return isinstance(value, ast.Constant) and not value.value


def builds_pmid(tree: ast.AST) -> bool:
    """Whether a text is put together in which a PMID follows."""
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            for text, following in zip(node.values, node.values[1:], strict=False):
                filled = isinstance(following, ast.FormattedValue)
                if filled and isinstance(text, ast.Constant) and PMID.search(str(text.value)):
                    return True
        if isinstance(node, ast.BinOp | ast.Call):
            parts = [node.left] if isinstance(node, ast.BinOp) else [node.func]
            for part in parts:
                text = part.value if isinstance(part, ast.Attribute) else part
                if isinstance(text, ast.Constant) and PMID.search(str(text.value)):
                    return True
    return False


def test_fields_called_citation_come_from_evidence() -> None:
    wrong = [
        f"{path.relative_to(PACKAGE)}:{value.lineno}"
        for path, tree in modules()
        for value in cited_values(tree)
        if not is_cited(value)
    ]
    assert not wrong


def test_no_other_code_writes_a_pmid() -> None:
    writers = [path for path, tree in modules() if builds_pmid(tree)]
    assert writers == [FORGER, RECORDS]


def test_evidence_is_made_by_the_knowledge_alone() -> None:
    makers = {
        path.relative_to(PACKAGE).parts[0]
        for path, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "Evidence"
    }
    assert makers == {"knowledge"}


def test_the_rules_notice_what_they_forbid() -> None:
    assert builds_pmid(ast.parse("f'[{source}; PMID {number}]'"))
    assert builds_pmid(ast.parse("'see PMID ' + number"))
    (value,) = cited_values(ast.parse("Row(citation=f'{source} 2020')"))
    assert not is_cited(value)
    (value,) = cited_values(ast.parse("Row(citation=best.cite() if best else '')"))
    assert is_cited(value)
