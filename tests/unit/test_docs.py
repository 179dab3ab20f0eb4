"""The documentation builds from the code, offline, and says what the package says."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import cellwright

ROOT = Path(__file__).parents[2]


def test_the_citation_names_this_version():
    text = (ROOT / "CITATION.cff").read_text("utf-8")
    assert f"\nversion: {cellwright.__version__}\n" in text


def test_files_that_the_readme_names_are_there():
    text = (ROOT / "README.md").read_text("utf-8")
    named = re.findall(r"\]\((?!http)([^)#]+)\)", text)
    named += re.findall(r"`((?:docs|benchmarks)/[\w./-]+)`", text)
    assert "docs/images/report.png" in named
    assert [name for name in named if not (ROOT / name).exists()] == []
    assert (ROOT / "docs/images/report.png").stat().st_size < 300_000


def test_the_site_builds_and_fetches_nothing(tmp_path):
    pytest.importorskip("mkdocs_gen_files", reason="needs the extra 'docs'")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-q", "-d", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    reference = (tmp_path / "reference" / "cli.html").read_text("utf-8")
    for command in ("cellwright ask", "cellwright serve", "cellwright knowledge match"):
        assert command in reference
    assert "find_markers" in (tmp_path / "reference" / "tools.html").read_text("utf-8")
    for page in tmp_path.rglob("*.html"):
        fetched = re.findall(
            r'<(?:script|link|img|iframe)\b[^>]*?(?:src|href)="(https?://[^"]+)"',
            page.read_text("utf-8"),
        )
        assert [one for one in fetched if "canonical" not in one] == [], page.name
    card = (tmp_path / "model-card.html").read_text("utf-8")
    assert "kang_pbmc_ctrl_12261" in card
    assert "table:" not in card
