"""Makes planning examples: a request, a data set's passport, and the plan that is wanted."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from cellwright.agent.asks import split_request
from cellwright.agent.completion import complete
from cellwright.agent.grammar import Ask, read_plan, written
from cellwright.agent.lexicon import TERMS, gloss
from cellwright.agent.mentions import (
    COMMON,
    ROLE_WORDS,
    column_for,
    comparable,
    find_mentions,
    singular,
)
from cellwright.agent.phrasings import Language, phrasings
from cellwright.agent.plan import PlanDraft
from cellwright.agent.sample_passports import PASSPORTS
from cellwright.agent.spelling import mend
from cellwright.tools.passport import Passport, Role

Kind = Literal["single", "compound", "ambiguous", "unanswerable", "follow-up"]

GENES = (
    "INS GCG SST CD3D CD8A GZMB EGFR KRAS MS4A1 CD19 LYZ CD14 FCGR3A NKG7 GNLY PPBP EPCAM COL1A1 "
    "PECAM1 VIM Ins1 Gcg Sst Ppy Neurog3 Krt19 Cd3e Cd79a Lyz2 Ms4a1 TP53 MYC MKI67 PTPRC Ptprc "
    "HLA-DRA IL7R CCR7 S100A8 FOXP3 Foxp3 CD4 Cd4 SOX2 GFAP",
    "KRT5 Krt5 BRAF PDX1 Pdx1 CD68 Cd68 CXCR4 TNF IL6 ALB APOE Apoe MARCO TOP2A Mki67",
)
DRUGS = (
    "erlotinib gefitinib afatinib panobinostat nutlin-3a PLX4720 vemurafenib cisplatin paclitaxel "
    "docetaxel gemcitabine trametinib lapatinib sorafenib imatinib bortezomib doxorubicin",
    "osimertinib dabrafenib olaparib palbociclib etoposide selumetinib methotrexate dasatinib",
)
TYPES = (
    "T cell;B cell;NK cell;monocyte;CD14 monocyte;macrophage;dendritic cell;CD8 T cell;CD4 T cell;"
    "alpha cell;beta cell;delta cell;ductal cell;fibroblast;endothelial cell;enterocyte;"
    "goblet cell;neutrophil;plasma cell;microglia;astrocyte;interneuron;hepatocyte;"
    "regulatory T cell;memory CD4 T cell;epithelial cell",
    "mast cell;acinar cell;megakaryocyte;Paneth cell;oligodendrocyte;naive CD4 T cell;"
    "FCGR3A monocyte;pyramidal neuron;smooth muscle cell;stellate cell;plasmacytoid dendritic cell",
)
WORDS: Mapping[str, tuple[tuple[Role, ...], tuple[str, ...]]] = {
    "donor": (("donor", "batch"), ("donor", "patient", "individual", "subject")),
    "label": (("label",), ("cell type", "cell type", "celltype", "type of cell type")),
    "cluster": (("cluster",), ("cluster",)),
    "condition": (("condition",), ("condition", "treatment")),
    "batch": (("batch", "donor"), ()),
}
PERSONAS = (
    "As a clinician, I want to know:|I'm a wet-lab biologist.|Hi!|Hello,|For my thesis:|Please|"
    "Could you please|Hey,|I am new to this.|We have a tumour biopsy.|Dear Cellwright,|pls|"
    "I was wondering:|Quick one:|My PI asks:|Let's|I need you to|I'd like to see:|now|can u",
    "As a bioinformatician:|Good morning.|For the lab meeting tomorrow:|Kindly",
)
ENDINGS = ("|||||||| please|, thanks|!|.| asap", "||| thank you")
JOINS = (", | and |, then |; |. |, and ", ", also |\n")
UNANSWERABLE = ("unsupported", "irrelevant", "unsafe")
SINGLE = (
    "annotate", "umap", "plots", "composition", "markers", "explain", "generate", "drug",
    "compare", "search", "match", "prepare", "describe", "subset", "cell", "whole",
)  # fmt: skip
IN_COMPOUND = SINGLE[:14]
FOLLOW_UPS = ("follow_drug", "follow_type", "follow_umap", "follow_cluster", "follow_subset")


@dataclass(frozen=True, kw_only=True)
class Example:
    """A request with the plan that is wanted.

    Attributes:
        request: The user's words.
        passport: What the data set is.
        asks: The parts that ``split_request`` makes of the request.
        plan: The plan in the plan language.
        draft: The plan read.
        history: What was asked before.
        kind: What it tests.
        language: Of the request.
        held_out: Made of phrasings and values that no training example has.
    """

    request: str
    passport: Passport
    asks: tuple[str, ...]
    plan: str
    draft: PlanDraft
    history: str
    kind: Kind
    language: Language
    held_out: bool


ANNOTATES = re.compile(
    r"\bannotat|\bidentif|\bassign|\bclassif|what cell types|cell types do i have|what cells are",
    re.IGNORECASE,
)


def relabels(english: Sequence[str]) -> bool:
    """Some part annotates the cells, so that 'cell type' means the labels to come."""
    return any(ANNOTATES.search(one) for one in english)


@lru_cache(maxsize=8)
def _right_words(passport: Passport | None) -> frozenset[str]:
    """Words that are no misspellings: common ones, and those of the data set."""
    names = [
        word.lower()
        for column in (passport.columns if passport else ())
        for text in (column.name, *column.values)
        for word in re.findall(r"[A-Za-z]+", text)
    ]
    listed = (*TYPES, *DRUGS, *PERSONAS, *(words for _, words in ROLE_WORDS))
    words = {word.lower() for text in listed for word in re.findall(r"[A-Za-z]+", text)}
    return COMMON | frozenset(names) | words


def make_asks(
    asks: Sequence[str], passport: Passport | None, earlier: Sequence[str] = ()
) -> list[Ask]:
    """What each part of a request names, with the names of the parts before it.

    Args:
        asks: Parts of the request.
        passport: What the data set is.
        earlier: Names of earlier requests of the conversation.
    """
    english = [mend(gloss(one), _right_words(passport)) for one in asks]
    new_labels = relabels(english)
    made: list[Ask] = []
    seen: list[str] = list(earlier)
    for text, said in zip(asks, english, strict=True):
        found = find_mentions(said, passport, new_labels=new_labels, raw=text)
        made.append(
            Ask(text=text, english=said, mentions=found, earlier=tuple(dict.fromkeys(seen)))
        )
        seen += [*found.likely_drugs, *found.types[:4]]
    return made


def _spoken_terms() -> dict[str, dict[str, list[str]]]:
    """Korean and Chinese terms by their English."""
    table: dict[str, dict[str, list[str]]] = {"korean": {}, "chinese": {}}
    for term, english in TERMS.items():
        language = "korean" if re.search("[가-힣]", term) else "chinese"
        table[language].setdefault(english, []).append(term)
    return table


SPOKEN = _spoken_terms()


class ExampleMaker:
    """Draws examples.

    Args:
        seed: Seed of every draw.
        held_out: Draw from held-out phrasings, values and passports only.
    """

    def __init__(self, seed: int, *, held_out: bool) -> None:
        self._draw = random.Random(seed)
        self._held = held_out

    def examples(self, n: int) -> Iterator[Example]:
        """Draw ``n`` examples whose parts come out of ``split_request`` as they went in."""
        made = 0
        while made < n:
            example = self._one()
            if example is not None:
                made += 1
                yield example

    def every_wording(self, times: int) -> Iterator[tuple[str, str, Passport]]:
        """Each wording filled ``times`` times: words, plan line and data set."""
        for language in ("english", "korean", "chinese"):
            for kind, sides in phrasings(language).items():
                for text, plan in sides[self._held] * times:
                    passport = self._draw.choice(PASSPORTS[self._held])
                    values = self._values(
                        text, plan, kind, passport, {}, new_labels=False, language=language
                    )
                    if values is not None:
                        yield _put(text, values[0]), _put(plan, values[1]), passport

    def _one(self) -> Example | None:
        passport = self._draw.choice(PASSPORTS[self._held])
        kind = self._draw.choices(
            ("single", "compound", "ambiguous", "unanswerable", "follow-up"), (32, 52, 7, 8, 6)
        )[0]
        language: Language = self._draw.choices(("english", "korean", "chinese"), (70, 15, 15))[0]
        history = ""
        if kind == "single":
            kinds = [self._draw.choice(SINGLE)]
        elif kind == "compound":
            kinds = self._compound()
        elif kind == "ambiguous":
            kinds = [self._draw.choice(["unclear", "unclear", "unclear_groups", "compare_one"])]
        elif kind == "unanswerable":
            kinds = [self._draw.choice(UNANSWERABLE)]
        else:
            kinds = [self._draw.choice(FOLLOW_UPS)]
            history = self._history(kinds[0])
            language = "english"
        filled = self._fill(kinds, passport, language)
        if filled is None:
            return None
        words, plans = filled
        request = self._join(words, language)
        return self._finish(
            request,
            words=words,
            plans=plans,
            passport=passport,
            history=history,
            kind=kind,  # type: ignore[arg-type] # one of the kinds above
            language=language,
        )

    def _compound(self) -> list[str]:
        count = self._draw.choices((2, 3, 4, 5, 6), (35, 30, 18, 10, 7))[0]
        kinds: list[str] = []
        while len(kinds) < count:
            odd = self._draw.random() < 0.1
            kind = self._draw.choice(UNANSWERABLE if odd else IN_COMPOUND)
            kinds.append(kind)
            follow = {"annotate": "labels", "drug": "after_drug", "generate": "after_generate"}
            if kind in follow and len(kinds) < count and self._draw.random() < 0.35:
                kinds.append(follow[kind])
        if self._draw.random() < 0.35 and "annotate" not in kinds:
            kinds[0] = "annotate"
            if len(kinds) > 1 and kinds[1].startswith("after"):
                kinds[1] = "umap"
        return kinds

    def _history(self, kind: str) -> str:
        source = {
            "follow_drug": "drug",
            "follow_type": "explain",
            "follow_umap": "umap",
            "follow_cluster": "prepare",
            "follow_subset": "umap",
        }[kind]
        words = {
            "drug": f"predict the response to {self._value(DRUGS)}",
            "explain": f"explain the {self._value(TYPES, ';')}s",
            "umap": "draw a umap",
            "prepare": "cluster the cells",
        }
        return words[source]

    def _value(self, pools: tuple[str, str], sep: str | None = None) -> str:
        pool = pools[1] if self._held and self._draw.random() < 0.7 else pools[0]
        return self._draw.choice(pool.split(sep))

    def _fill(
        self, kinds: Sequence[str], passport: Passport, language: Language
    ) -> tuple[list[str], list[str]] | None:
        """Words and plan of each ask; None when the data set lacks what a phrasing needs."""
        words: list[str] = []
        plans: list[str] = []
        chosen = [self._phrasing(kind, language) for kind in kinds]
        if any(one is None for one in chosen):
            return None
        texts = [one[0] for one in chosen if one]
        new_labels = relabels(texts)
        last: dict[str, str] = {}
        for kind, one in zip(kinds, chosen, strict=True):
            text, plan = one or ("", "")
            values = self._values(
                text, plan, kind, passport, last, new_labels=new_labels, language=language
            )
            if values is None:
                return None
            said, meant = values
            spoken = self._typos(text) if language == "english" else text
            words.append(_put(spoken, said))
            plans.append(_put(plan, meant))
            if kind == "drug":
                last["drug"] = said.get("drug", "")
                plans_drug = [said[key] for key in ("drug", "drug2") if key in said]
                last["drugs"] = ",".join(plans_drug)
            if kind == "after_drug" and "," in last.get("drugs", ""):
                each = last["drugs"].split(",")
                plans[-1] = "; ".join(f"explain target=drug label={written(one)}" for one in each)
        return words, plans

    def _phrasing(self, kind: str, language: Language) -> tuple[str, str] | None:
        pairs = phrasings(language).get(kind, ((), ()))[self._held]
        return self._draw.choice(pairs) if pairs else None

    def _values(
        self,
        text: str,
        plan: str,
        kind: str,
        passport: Passport,
        last: Mapping[str, str],
        *,
        new_labels: bool,
        language: Language,
    ) -> tuple[dict[str, str], dict[str, str]] | None:
        said: dict[str, str] = {}
        meant: dict[str, str] = {}
        slots = set(re.findall(r"{(\w+)}", text)) | set(re.findall(r"{(\w+)}", plan))
        for slot in sorted(slots & {"gene", "gene2"}):
            said[slot] = meant[slot] = self._fresh(lambda: self._value(GENES), said)
        if "genes" in slots:
            names = [self._value(GENES) for _ in range(self._draw.randint(2, 5))]
            names = list(dict.fromkeys(names))
            said["genes"] = self._list(names)
            meant["genes"] = ",".join(names)
        for slot in sorted(slots & {"drug", "drug2"}):
            drug = self._fresh(lambda: self._value(DRUGS), said)
            if kind == "after_drug":
                drug = last.get("drug", "")
                if not drug:
                    return None
            said[slot] = drug
            meant[slot] = written(drug)
        for slot in ("type", "type2"):
            if {slot, slot.replace("type", "types")} & slots:
                name = self._fresh(lambda: self._value(TYPES, ";"), said)
                said[slot] = name
                said[slot.replace("type", "types")] = name if name == "microglia" else f"{name}s"
                meant[slot] = written(singular(name))
                if name in SPOKEN.get(language, {}):
                    said[slot] = self._draw.choice(SPOKEN[language][name])
        if slots & {"cond", "ga", "gb"} and not self._groups(kind, passport, said, meant):
            return None
        if kind == "unclear_groups" and len(comparable(passport)) == 1:
            only = comparable(passport)[0]
            if only.n_values == 2:
                return None
        simple = {
            "n": str(self._draw.choice([5, 10, 20, 30, 50, 100, 200, 500, 1000])),
            "res": str(self._draw.choice([0.3, 0.5, 0.8, 1.2, 1.5, 2])),
            "cell": str(self._draw.randint(0, 900)),
            "tissue": self._draw.choice(["pancreas", "lung", "blood", "liver", "brain", "skin"]),
            "species": self._draw.choice(["human", "mouse"]),
            "protocol": self._draw.choice(["10x", "Smart-seq2", "Drop-seq"]),
        }
        for slot, value in simple.items():
            said[slot] = value
            meant[slot] = value
        return self._columns(plan, passport, said, meant, new_labels=new_labels)

    def _columns(
        self,
        plan: str,
        passport: Passport,
        said: dict[str, str],
        meant: dict[str, str],
        *,
        new_labels: bool,
    ) -> tuple[dict[str, str], dict[str, str]] | None:
        for slot, (roles, words) in WORDS.items():
            said[slot] = self._draw.choice(words) if words else ""
            if f"{{c:{slot}}}" in plan:
                column = column_for(roles, passport, new_labels=new_labels)
                if column is None:
                    return None
                meant[f"c:{slot}"] = written(column)
                if slot == "label" and column == "cell_line":
                    said[slot] = "cell line"
        said["label"] = said["label"].replace("type of ", "")
        return said, meant

    def _groups(
        self, kind: str, passport: Passport, said: dict[str, str], meant: dict[str, str]
    ) -> bool:
        columns = [one for one in comparable(passport) if one.n_values == 2]
        if not columns or (kind == "compare_one" and len(comparable(passport)) != 1):
            return False
        column = self._draw.choice(columns)
        first, second = column.values[:2]
        if kind != "compare_one" and self._draw.random() < 0.5:
            first, second = second, first
        said.update(ga=first, gb=second, cond=column.name)
        meant.update(ga=written(first), gb=written(second), cond=written(column.name))
        return True

    def _fresh(self, draw: object, said: Mapping[str, str]) -> str:
        assert callable(draw)
        while True:
            value: str = draw()
            if value not in said.values():
                return value

    def _list(self, names: Sequence[str]) -> str:
        style = self._draw.randint(0, 2)
        if style == 0 or len(names) == 1:
            return ", ".join(names)
        return ", ".join(names[:-1]) + (" and " if style == 1 else ", and ") + names[-1]

    def _typos(self, text: str) -> str:
        if self._draw.random() > 0.12:
            return text
        words = text.split(" ")
        long = [at for at, word in enumerate(words) if len(word) > 5 and word.isalpha()]
        if long:
            at = self._draw.choice(long)
            cut = self._draw.randint(1, len(words[at]) - 3)
            word = words[at]
            words[at] = word[:cut] + word[cut + 1] + word[cut] + word[cut + 2 :]
        return " ".join(words)

    def _join(self, words: Sequence[str], language: Language) -> str:
        if language != "english":
            joins = (", ", "\n", "; ", "。" if language == "chinese" else ". ")
            return self._draw.choice(joins).join(words)
        style = self._draw.random()
        if len(words) > 1 and style < 0.12:
            text = "\n".join(f"{at}. {word}" for at, word in enumerate(words, start=1))
        elif len(words) > 1 and style < 0.2:
            text = "\n".join(f"- {word}" for word in words)
        else:
            text = words[0]
            for at, word in enumerate(words[1:], start=2):
                join = self._draw.choice(JOINS[self._held].split("|"))
                text += (" and " if at == len(words) and self._draw.random() < 0.5 else join) + word
        if self._draw.random() < 0.2:
            text = f"{self._draw.choice(PERSONAS[self._held].split('|'))} {text}"
        text += self._draw.choice(ENDINGS[self._held].split("|"))
        if self._draw.random() < 0.4:
            return text[0].upper() + text[1:]
        return text

    def _finish(
        self,
        request: str,
        *,
        words: Sequence[str],
        plans: Sequence[str],
        passport: Passport,
        history: str,
        kind: Kind,
        language: Language,
    ) -> Example | None:
        asks = split_request(request)
        if not _parted_as_made(asks, words):
            return None
        plan = "".join(f"{at} {one}\n" for at, one in enumerate(plans, start=1))
        return Example(
            request=request,
            passport=passport,
            asks=tuple(asks),
            plan=plan,
            draft=complete(read_plan(plan, asks), make_asks(asks, passport), passport),
            history=history,
            kind=kind,
            language=language,
            held_out=self._held,
        )


def _parted_as_made(asks: Sequence[str], words: Sequence[str]) -> bool:
    """Each part of the request holds the words that were made for it."""
    return len(asks) == len(words) and all(
        _letters(made) in _letters(ask) for made, ask in zip(words, asks, strict=True)
    )


def _letters(text: str) -> str:
    return re.sub(r"[\W_]+", " ", text.casefold()).strip()


def _put(text: str, values: Mapping[str, str]) -> str:
    """The text with its slots filled."""
    return re.sub(r"{([\w:]+)}", lambda match: values[match.group(1)], text)


def make_examples(n: int, *, seed: int, held_out: bool) -> list[Example]:
    """Draw examples, no request twice.

    Args:
        n: How many.
        seed: Seed of every draw.
        held_out: From held-out phrasings, values and passports, or from the others.
    """
    seen: set[str] = set()
    kept: list[Example] = []
    for example in ExampleMaker(seed, held_out=held_out).examples(n * 4):
        if example.request not in seen:
            seen.add(example.request)
            kept.append(example)
        if len(kept) == n:
            break
    return kept


def fits(draft: PlanDraft, wanted: PlanDraft) -> bool:
    """Two plans are the same: steps with arguments and asks, refusals, and the question.

    The order of steps and the case of names do not count.
    """
    return _essence(draft) == _essence(wanted)


def _essence(draft: PlanDraft) -> tuple[list[str], list[str], str | None]:
    steps = [
        json.dumps([one.tool, one.args, sorted(one.asks)], sort_keys=True).lower()
        for one in draft.steps
    ]
    refused = [f"{ask} {one.reason}" for one in draft.refused for ask in one.asks]
    return sorted(steps), sorted(refused), draft.question


__all__ = ["Example", "fits", "make_asks", "make_examples", "relabels"]
