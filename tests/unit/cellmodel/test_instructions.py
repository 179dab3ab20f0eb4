import numpy as np
import pytest

from cellwright.cellmodel.instructions.extraction import extract_label, named_labels
from cellwright.cellmodel.instructions.grammar import write_template
from cellwright.cellmodel.instructions.templates import METADATA, Template, check_template, fill

LABELS = ["T cell", "CD4 T cell", "B cell", "pancreatic beta cell"]


@pytest.mark.parametrize("task", ["CTA", "DSP", "CPCG"])
@pytest.mark.parametrize("mode", ["instruct", "chat"])
def test_templates_have_their_slots(task: str, mode: str) -> None:
    rng = np.random.default_rng(0)
    seen = set()
    for _ in range(150):
        metadata = [name for name in METADATA if rng.random() < 0.5]
        options = task != "CPCG" and rng.random() < 0.5
        template = write_template(task, rng, mode=mode, metadata=metadata, options=options)
        check_template(template)
        assert ("choices" in template.slots) == options
        assert template.slots & set(METADATA) <= set(metadata)
        seen.add(template.instruction)
    assert len(seen) > 60


def test_parts_of_the_split_share_no_wording() -> None:
    rng = np.random.default_rng(0)
    words = {
        part: {
            write_template("CTA", rng, mode="instruct", part=part).instruction for _ in range(100)
        }
        for part in ("train", "test")
    }
    assert not words["train"] & words["test"]


def test_fill_leaves_the_cell_standing() -> None:
    template = Template(task="CTA", instruction="{species}: {input}?", response="A {output}.")
    example = fill(template, {"species": "human", "input": "no", "output": "B cell"})
    assert example.prompt == "human: {input}?"
    assert example.answer == "A B cell."


def test_a_template_without_its_cell_is_refused() -> None:
    with pytest.raises(ValueError, match="input"):
        check_template(Template(task="CTA", instruction="What is it?", response="{output}"))


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("B cell", "B cell"),
        ("I would call it a CD4 T cell.", "CD4 T cell"),
        ("pancreatic beta cells", "pancreatic beta cell"),
        ("pancreatic betta cell", "pancreatic beta cell"),
        ("I do not know.", None),
    ],
)
def test_extraction(text: str, label: str | None) -> None:
    assert extract_label(text, LABELS) == label


def test_options_are_the_labels_that_a_prompt_names():
    labels = ["B cell", "T cell", "beta cell"]
    assert named_labels("Which of (B cell, T cells) is {input}?", labels) == ["B cell", "T cell"]
    assert named_labels("Is {input} a B cell?", labels) == labels
    assert named_labels("What is {input}?", labels) == labels
