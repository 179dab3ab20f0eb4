"""What the reader learns from: requests written by hand, and wordings, in ever new combinations."""

from __future__ import annotations

import random
import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib import resources
from itertools import accumulate

from cellwright.agent.examples import ExampleMaker
from cellwright.agent.fill import FILLERS
from cellwright.agent.intents import intent_of
from cellwright.agent.lexicon import TERMS, is_eastern
from cellwright.agent.mentions import NEW_CLUSTERS, NEW_LABELS, plain_name
from cellwright.agent.names import type_id
from cellwright.agent.notation import ANY, Request, Wanted, read_requests, read_wanted
from cellwright.agent.reader import ASIDE, PLACEHOLDERS, ROLES, Masked, masked
from cellwright.agent.sample_passports import datasets
from cellwright.cellmodel.modeling.ask_tagger import TaggerConfig
from cellwright.cellmodel.training.ask_tagger import Answers, TaggedText
from cellwright.tools.passport import Passport

INTENTS = tuple(name for name in FILLERS if name not in {"same", "context"})
REFUSALS = frozenset(name for name in INTENTS if name.startswith("refuse"))
QUESTIONS = frozenset(name for name in INTENTS if name.startswith("unclear"))
ENDS = ("", "", "", ".", "!", "?", " please", " thanks", "...")
JOINS = (
    ", ", ", ", " and ", " and ", "; ", ". ", "\n", "\n- ", ", then ", ", and ", " then ", " + ",
    " plus ", ". Then ", ". Also ", ", also ", " and also ", " / ", ". After that, ", " -> ",
    " followed by ", " as well as ", ", finally ", "? ", " & ", ". Next, ", ". ",
)  # fmt: skip
EASTERN_JOINS = (
    ", ", " 그리고 ", ". ", "\n", "，", "，然后", "。", "；", "，再", "\n- ", ", 그 다음 ",
)  # fmt: skip
GREETINGS = (
    "Hello, ", "Hi, ", "hi ", "Please ", "Hey ", "Dear all, ", "Good morning. ", "Could you ",
)  # fmt: skip
TIMES = 2
"""How often each wording is filled."""
TWICE, PLAIN = 0.2, 0.15
"""Shares of texts that are put together from several, and that lose capitals and last stop."""
LONGER = 0.7
"""Power of the number of its asks by which a written request is drawn more often."""

NAMED = ("genes", "groups", "drugs", "label", "cell_type", "query", "group_a", "group_b", "within")
"""Arguments that hold names."""
QUESTIONS_PUT: Mapping[str, tuple[str, ...]] = {
    "intent": (*INTENTS, ASIDE),
    "column": ("none", *ROLES),
    "detail": ("none", "drop", "cell", "cluster"),
}
"""What the tagger is asked of each ask: what it is for, the role of the column that it wants, and
whether it leaves groups out (``drop``) or wants cells or clusters annotated."""


def answers_of(fits: Sequence[Wanted], passport: Passport | None) -> Answers:
    """What the plans of a part answer to the questions; left out where they answer nothing."""
    answers = {"intent": intents_of(fits)}
    if not any(one.refused or one.unclear for one in fits):
        roles = [_role(one, passport) for one in fits]
        if all(roles):
            answers["column"] = frozenset().union(*roles)
        details = {_detail(one) for one in fits}
        if "" not in details:
            answers["detail"] = frozenset(details)
    return {name: right for name, right in answers.items() if right}


def _role(wanted: Wanted, passport: Passport | None) -> frozenset[str]:
    """Roles of the column that a plan names; empty where nothing can be learned from it."""
    roles = {one.name.lower(): one.role for one in (passport.columns if passport else ())}
    roles |= {NEW_LABELS: "label", NEW_CLUSTERS: "cluster"}
    for call in wanted.calls:
        if call.tool not in {"plot_cells", "find_markers", "predict_drug_response",
                             "preprocess_dataset"}:  # fmt: skip
            continue
        for name in ("color_by", "group_by", "batch_key"):
            if name in call.args:
                role = roles.get(call.args[name].lower())
                return frozenset({role} if role else ())
            if name in call.optional:
                role = roles.get(call.optional[name].lower())
                return frozenset({role, "none"} if role else ())
        return frozenset({"none"})
    return frozenset()


def _detail(wanted: Wanted) -> str:
    first = wanted.calls[0]
    if first.tool == "subset_cells":
        return "drop" if "drop" in first.args else "none"
    if first.tool == "annotate_cells":
        return first.args.get("level", "none")
    return ""


def intents_of(fits: Sequence[Wanted]) -> frozenset[str]:
    """Intents that are right for a part; none where its plan is no one intent's."""
    found: set[str] = set()
    for one in fits:
        if one.refused:
            found |= REFUSALS
        elif one.unclear:
            found |= QUESTIONS
        else:
            found |= _intents(one)
    return frozenset(found)


def _intents(wanted: Wanted) -> set[str]:
    """What a plan is for; a drug's effect on some cells is both of its calls'."""
    tools = [one.tool for one in wanted.calls]
    if tools == ["subset_cells", "predict_drug_response"]:
        return {"subset", "predict"}
    if tools[0] == "subset_cells" and tools[1:] in (["compare_groups"], ["find_markers"]):
        return {tools[1].split("_")[0]}
    if tools == ["annotate_cells", "plot_cells"] and wanted.calls[1].args.get("kind") != "umap":
        return {wanted.calls[1].args.get("kind", "composition")}
    intent = _intent(wanted)
    return {intent} if intent else set()


def _intent(wanted: Wanted) -> str:
    tools = [one.tool for one in wanted.calls]
    first = wanted.calls[0]
    if len(set(tools)) > 1:
        if tools[0] == "annotate_cells":
            return "whole" if "find_markers" in tools else "who"
        return "subset" if tools[0] == "subset_cells" else ""
    if first.tool == "plot_cells":
        return first.args.get("kind", "umap")
    return first.tool.split("_")[0]


def lesson_of(request: Request, passport: Passport | None) -> TaggedText:
    """A lesson from a request with its wanted plans."""
    put = masked(request.text, passport)
    answers = [answers_of(part.fits, passport) for part in request.parts]
    starts = [part.start for part in request.parts[1:]]
    if request.tail < len(request.text):
        starts.append(request.tail)
        answers.append({"intent": frozenset({ASIDE})})
    return TaggedText(
        text=put.text,
        before=masked(request.earlier, passport).text if request.earlier else "",
        # A conjunction that the gloss leaves out does not start an ask.
        starts=tuple(bisect_left(put.places, one) for one in starts),
        answers=tuple(answers),
        about=_about(put, request, passport),
    )


def _about(
    put: Masked, request: Request, passport: Passport | None
) -> Mapping[tuple[int, int], bool]:
    """For parts and placeholders whether a plan of the part holds the name.

    Of a part's own names one also counts whose column the plan has; of names elsewhere, numbers and
    those that the part names too tell nothing.
    """
    columns = {one.name.lower(): one for one in (passport.columns if passport else ())}
    starts = [part.start for part in request.parts]
    home = {place: max(bisect_right(starts, put.places[place]) - 1, 0) for place in put.names}
    found: dict[tuple[int, int], bool] = {}
    for at, part in enumerate(request.parts):
        calls = [call for one in part.fits for call in one.calls]
        if not calls:
            continue
        values = [value for one in calls for value in (*one.args.values(), *one.optional.values())]
        is_open = any((slot, ANY) in one.optional.items() for one in calls for slot in NAMED)
        said = {plain_name(one) for value in values for one in (value, *value.split(","))}
        of_columns = {
            plain_name(one)
            for value in values
            if value.lower() in columns
            for one in columns[value.lower()].values
        }
        if any(put.text.startswith(PLACEHOLDERS["type"], place) for place in put.names):
            kinds = {type_id(one) for one in said}
            said |= {
                plain_name(one) for one in put.names.values() if type_id(one) in kinds - {None}
            }
        own = {plain_name(name) for place, name in put.names.items() if home[place] == at}
        for place, name in put.names.items():
            plain = plain_name(name)
            if home[place] == at:
                found[at, place] = plain in said | of_columns
            elif plain not in own and not name[:1].isdigit() and not is_open:
                found[at, place] = plain in said
    return found


def written_requests() -> tuple[Request, ...]:
    """The requests that ship, ``wordings/requests.txt``."""
    table = resources.files("cellwright.agent") / "wordings" / "requests.txt"
    return read_requests(table.read_text("utf-8"))


def written_lessons(requests: Sequence[Request]) -> list[TaggedText]:
    """Lessons from written requests."""
    known = datasets()
    made = [lesson_of(one, known.get(one.data)) for one in requests]
    return [one for one in made if all(start < len(one.text) for start in one.starts)]


def wording_lessons(seed: int, times: int) -> list[TaggedText]:
    """Lessons from the tables of wordings, each filled ``times`` times."""
    made = []
    for text, plan, passport in ExampleMaker(seed, held_out=False).every_wording(times):
        intent = intent_of(plan)
        if intent in INTENTS:
            no_call = plan.startswith(("refuse", "unclear"))
            answers = {} if no_call else dict(answers_of((read_wanted(plan),), passport))
            answers["intent"] = frozenset({intent})
            put = masked(text, passport).text
            made.append(TaggedText(text=put, before="", starts=(), answers=(answers,)))
    return made


class Lessons:
    """Draws texts to train on.

    Args:
        written: Lessons from written requests.
        wordings: Lessons from single wordings.
        share: Share of texts drawn from written requests.
    """

    def __init__(
        self, written: Sequence[TaggedText], wordings: Sequence[TaggedText], *, share: float = 0.85
    ) -> None:
        self._written, self._wordings, self._share = written, wordings, share
        self._shares = list(accumulate(len(one.answers) ** LONGER for one in written))
        kinds = Counter(one.answers[0]["intent"] for one in wordings)
        self._weights = [kinds[one.answers[0]["intent"]] ** -0.5 for one in wordings]
        self._joinable = {
            eastern: [
                one
                for one in written
                if not one.before and len(one.text) < 160 and is_eastern(one.text) == eastern
            ]
            for eastern in (False, True)
        }

    def draw(self, rng: random.Random) -> TaggedText:
        """A text: as it is, or put together from several, sometimes spelt otherwise."""
        lesson = self._together(rng) if rng.random() < TWICE else self._one(rng)
        return self._spelt(lesson, rng)

    def _one(self, rng: random.Random) -> TaggedText:
        if rng.random() < self._share:
            return rng.choices(self._written, cum_weights=self._shares)[0]
        return rng.choices(self._wordings, self._weights)[0]

    def _together(self, rng: random.Random) -> TaggedText:
        """Several texts, joined as people join them."""
        first = self._one(rng)
        while first.before:
            first = self._one(rng)
        eastern = is_eastern(first.text)
        text, starts, answers = first.text, list(first.starts), list(first.answers)
        about = dict(first.about)
        pool = self._joinable[eastern]
        joins = EASTERN_JOINS if eastern else JOINS
        count = rng.choices((1, 2, 3, 4), (5, 4, 2, 1))[0]
        same = rng.choice(joins) if rng.random() < 0.6 else ""
        for _ in range(count):
            wording = not eastern and rng.random() < 1 - self._share
            other = rng.choices(self._wordings, self._weights)[0] if wording else rng.choice(pool)
            if is_eastern(other.text) != eastern or other.before:
                continue
            join = same or rng.choice(joins)
            said = other.text
            if "\n" not in join and ". " not in join and rng.random() < 0.6:
                said = said[0].lower() + said[1:]
            text = re.sub(r"[\s.,;!。，]+$", "", text) + join
            # Words that join belong to the ask behind them.
            joining = re.search(r"[\w ,]*$", join)
            words = joining.group().lstrip(" ,") if joining else ""
            skipped = len(said) - len(re.sub(r"^[^\w\[]*", "", said))
            begin = len(text) - len(words) if words else len(text) + skipped
            starts += [begin, *(len(text) + one for one in other.starts)]
            about |= {
                (len(answers) + ask, len(text) + place): one
                for (ask, place), one in other.about.items()
            }
            answers += other.answers
            text += said
        return TaggedText(
            text=text, before="", starts=tuple(starts), answers=tuple(answers), about=about
        )

    @staticmethod
    def _spelt(lesson: TaggedText, rng: random.Random) -> TaggedText:
        if rng.random() < PLAIN:
            text = re.sub(r"[.!。?]+$", "", lesson.text)
            lesson = replace(lesson, text=text[:1].lower() + text[1:])
        if not is_eastern(lesson.text) and rng.random() < PLAIN:
            hello = rng.choice(GREETINGS)
            lesson = _moved(lesson, hello + lesson.text, 0, len(hello))
        if not is_eastern(lesson.text) and rng.random() < PLAIN:
            lesson = _typo(lesson, rng)
        return lesson


def _moved(lesson: TaggedText, text: str, behind: int, by: int) -> TaggedText:
    """A text in which all that stands behind a place, or there, has moved."""
    return replace(
        lesson,
        text=text,
        starts=tuple(one + by if one >= behind else one for one in lesson.starts),
        about={
            (ask, place + by if place >= behind else place): one
            for (ask, place), one in lesson.about.items()
        },
    )


def _typo(lesson: TaggedText, rng: random.Random) -> TaggedText:
    """Two letters swapped, or one left out, within a word."""
    text = lesson.text
    spots = [found.start() for found in re.finditer(r"(?<=[a-z])[a-z](?=[a-z])", text)]
    if not spots:
        return lesson
    at = rng.choice(spots)
    if rng.random() < 0.5:
        return replace(lesson, text=text[:at] + text[at + 1] + text[at] + text[at + 2 :])
    return _moved(lesson, text[:at] + text[at + 1 :], at + 1, -1)


def tagger_config(lessons: Sequence[TaggedText]) -> TaggerConfig:
    """What a tagger is asked, and what its encoder has to learn to read.

    That is placeholders, which start as the words for what they stand for, and the Korean and
    Chinese characters that the lessons have twice, which start as English terms written with them.
    """
    seen = Counter(letter for one in lessons for letter in one.text + one.before)
    letters = sorted(one for one, count in seen.items() if is_eastern(one) and count > 1)
    meant: dict[str, list[str]] = {one: [] for one in letters}
    for term, english in TERMS.items():
        for letter in set(term) & meant.keys():
            meant[letter].append(english)
    return TaggerConfig(
        heads=QUESTIONS_PUT,
        tokens={one: name for name, one in PLACEHOLDERS.items()}
        | {one: " ".join(sorted(words, key=len)[:4]) for one, words in meant.items()},
    )
