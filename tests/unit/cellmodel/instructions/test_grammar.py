import re

import numpy as np
import pytest

from cellwright.cellmodel.data.registry import label_table
from cellwright.cellmodel.instructions.extraction import extract_label, named_labels
from cellwright.cellmodel.instructions.grammar import Wordings, wordings, write_template
from cellwright.cellmodel.instructions.templates import (
    LANGUAGES,
    METADATA,
    TASKS,
    TRAITS,
    check_template,
    fill,
)

RECORDS = sorted({row.name for rows in label_table().values() for row in rows.values()})
_SLOT = r"\{(?:output|cell_type|drug|tissue|species|sequencing_method)\}"
_CHANGING = r"(?:은|는|이|가|을|를|와|과|으로|로|이나|나|라|이라)(?=[\s.,?!:]|$)"


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("task", ["CTA", "DSP", "CPCG"])
def test_templates_have_their_slots(task: str, language: str) -> None:
    rng = np.random.default_rng(0)
    seen = set()
    for _ in range(100):
        metadata = [name for name in METADATA if rng.random() < 0.5]
        options = task != "CPCG" and rng.random() < 0.5
        template = write_template(task, rng, metadata=metadata, options=options, language=language)
        check_template(template)
        assert ("choices" in template.slots) == options
        assert template.slots & set(METADATA) <= set(metadata)
        assert not re.search(r"[<>\[\]|*~]", template.instruction + template.response)
        seen.add(template.instruction)
    assert len(seen) > 85


@pytest.mark.parametrize("language", LANGUAGES)
def test_instruct_mode_answers_with_the_bare_label(language: str) -> None:
    rng = np.random.default_rng(1)
    assert write_template("DSP", rng, mode="instruct", language=language).response == "{output}"
    assert write_template("CPCG", rng, mode="instruct", language=language).response == ""


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_label_can_be_read_out_of_every_answer(language: str) -> None:
    rng = np.random.default_rng(2)
    values = dict(zip(METADATA, ("human", "lung adenocarcinoma cell lines", "10x"), strict=True))
    for at, name in enumerate(RECORDS * 2):
        template = write_template("CTA", rng, language=language, options=at % 2 == 0)
        example = fill(template, {**values, "output": name, "choices": "(B cell; T cell)"})
        assert extract_label(example.answer, RECORDS) == name, example.answer
        offered = ["B cell", "T cell"] if at % 2 == 0 else RECORDS
        assert named_labels(example.prompt, RECORDS) == offered


def test_drug_responses_can_be_read_out_of_every_answer() -> None:
    rng = np.random.default_rng(3)
    for language in LANGUAGES:
        for word in ("sensitive", "resistant") * 20:
            template = write_template("DSP", rng, language=language)
            values = dict.fromkeys(METADATA, "lung") | {"drug": "PLX-4720", "output": word}
            answer = fill(template, values).answer
            assert extract_label(answer, ["sensitive", "resistant"]) == word


def test_each_trait_changes_the_wording() -> None:
    skilled_or_new = [
        write_template("CTA", np.random.default_rng(at), traits=("proficiency",)).instruction
        for at in range(60)
    ]
    plain = [
        write_template("CTA", np.random.default_rng(at), traits=()).instruction for at in range(60)
    ]
    assert any("transcriptom" in one for one in skilled_or_new)
    assert any("plain words" in one or "basically" in one for one in skilled_or_new)
    assert len(set(skilled_or_new) & set(plain)) < 6
    assert np.mean([len(one) for one in plain]) < np.mean([len(one) for one in skilled_or_new])
    motivated = write_template("CTA", np.random.default_rng(0), traits=("motivation",))
    assert motivated.traits == ("motivation",)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_personality_opens_and_closes(language: str) -> None:
    words = wordings(language)
    assert len(words.personalities) >= 10
    for name in words.personalities:
        assert f"close.{name}" in words.rules
        assert f"frame.{name}" in words.rules
    for task in TASKS:
        assert {task, f"say_{task}", f"motive_{task}"} <= set(words.rules)


def test_every_reference_leads_to_a_rule() -> None:
    rng = np.random.default_rng(0)
    for language in LANGUAGES:
        for task, slots in TASKS.items():
            for _ in range(150):  # a dead reference raises KeyError
                write_template(task, rng, options=slots.options, language=language, traits=TRAITS)


def test_no_korean_particle_hangs_on_a_slot() -> None:
    """Particles that change with the sound before them must not follow a value."""
    rng = np.random.default_rng(0)
    for task in TASKS:
        for _ in range(300):
            template = write_template(task, rng, language="korean")
            for text in (template.instruction, template.response):
                assert not re.search(_SLOT + _CHANGING, text), text


def test_no_template_names_a_cell_type() -> None:
    rng = np.random.default_rng(0)
    for task in TASKS:
        for _ in range(200):
            text = write_template(task, rng).instruction
            assert named_labels(text, [*RECORDS, "zzz"]) == [*RECORDS, "zzz"]
            assert not any(f" {name} " in f" {text} " for name in RECORDS)


def test_a_rule_without_an_end_is_refused() -> None:
    with pytest.raises(ValueError, match="bracket"):
        Wordings("a:\n  b] c\n")
