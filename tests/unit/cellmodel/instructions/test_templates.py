from pathlib import Path

import numpy as np
import pytest

from cellwright.cellmodel.instructions.extraction import extract_label, named_labels
from cellwright.cellmodel.instructions.grammar import write_template
from cellwright.cellmodel.instructions.templates import (
    Template,
    check_template,
    choices_text,
    fill,
    load_templates,
    metadata_values,
    response_word,
    save_templates,
)
from cellwright.errors import InputError

LABELS = ["T cell", "CD4 T cell", "B cell", "pancreatic beta cell"]


def test_fill_leaves_the_cell_standing() -> None:
    template = Template(task="CTA", instruction="{species}: {input}?", response="A {output}.")
    example = fill(template, {"species": "human", "input": "no", "output": "B cell"})
    assert example.prompt == "human: {input}?"
    assert example.answer == "A B cell."


@pytest.mark.parametrize(
    ("label", "said"),
    [
        ("astrocyte", "This is an astrocyte."),
        ("NK cell", "This is an NK cell."),
        ("H838 lung adenocarcinoma cell", "This is an H838 lung adenocarcinoma cell."),
        ("CD4 T cell", "This is a CD4 T cell."),
        ("Ndnf interneuron", "This is a Ndnf interneuron."),
        ("platelet", "This is a platelet."),
        ("MAIT cell", "This is a MAIT cell."),
        ("endothelial cell", "This is an endothelial cell."),
    ],
)
def test_articles_agree_with_the_label(label: str, said: str) -> None:
    template = Template(task="CTA", instruction="{input}", response="This is a {output}.")
    assert fill(template, {"output": label}).answer == said


def test_species_are_named_in_the_language_of_the_prompt() -> None:
    assert metadata_values("mouse", "lung", "10x", "korean")["species"] == "생쥐"
    assert metadata_values("mouse", "lung", "10x")["species"] == "mouse"
    assert metadata_values("zebrafish", "lung", "10x", "chinese")["species"] == "zebrafish"


@pytest.mark.parametrize(
    ("instruction", "response", "complaint"),
    [
        ("What is it?", "{output}", "needs {input}"),
        ("{input} of {age}?", "{output}", "does not know"),
        ("{input} or {input}?", "{output}", "once"),
        ("{input} with gene A?", "{output}", "made-up genes"),
        ("{input}? {", "{output}", "brace"),
        ("word " * 71 + "{input}", "{output}", "70 words"),
        ("{input}?", "No answer.", "needs {output} once"),
        ("{input}?", "In {tissue} a {output}.", "only slots that its instruction has"),
    ],
)
def test_a_template_that_does_not_suit_is_refused(
    instruction: str, response: str, complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        check_template(Template(task="CTA", instruction=instruction, response=response))


def test_templates_come_back_from_a_file(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    written = [write_template("DSP", rng, options=True, language="korean") for _ in range(5)]
    save_templates(written, tmp_path / "t.jsonl")
    assert list(load_templates(tmp_path / "t.jsonl")) == written
    (tmp_path / "bad.jsonl").write_text('{"task": "CTA", "instruction": "?", "response": ""}\n')
    with pytest.raises(InputError, match="line 1"):
        load_templates(tmp_path / "bad.jsonl")


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("B cell", "B cell"),
        ("I would call it a CD4 T cell.", "CD4 T cell"),
        ("A CD4 T cell, which is a kind of T cell.", "CD4 T cell"),
        ("pancreatic beta cells", "pancreatic beta cell"),
        ("pancreatic betta cell", "pancreatic beta cell"),
        ("이 세포는 B cell입니다.", "B cell"),
        ("该细胞是CD4 T cell。", "CD4 T cell"),
        ("A B cell or a pancreatic beta cell.", None),
        ("I do not know.", None),
    ],
)
def test_extraction(text: str, label: str | None) -> None:
    assert extract_label(text, LABELS) == label


def test_insensitive_is_not_sensitive() -> None:
    assert extract_label("The cell is insensitive to it.", ["sensitive", "resistant"]) is None
    assert response_word("PLX-4720 sensitive") == "sensitive"


def test_options_are_the_labels_that_a_prompt_names() -> None:
    labels = ["B cell", "T cell", "beta cell", "dendritic cell", "plasmacytoid dendritic cell"]
    assert named_labels("Which of (B cell, T cells) is {input}?", labels) == ["B cell", "T cell"]
    assert named_labels("Is {input} a B cell?", labels) == labels
    assert named_labels("What is {input}?", labels) == labels
    offered = choices_text(["plasmacytoid dendritic cell", "B cell"], np.random.default_rng(0))
    assert named_labels(f"{{input}}: {offered}", labels) == [
        "B cell",
        "plasmacytoid dendritic cell",
    ]
