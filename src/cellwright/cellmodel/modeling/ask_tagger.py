"""MiniLM with heads that find what a request asks for: where each ask starts, and what it wants.

Tokens see the whole request, so an ask is read with what stands around it. The encoder's layers,
the heads, and vectors of added tokens (placeholders of names, Korean and Chinese characters that
MiniLM spells out or does not know) are trained. Layers are stored as what they differ by from those
of MiniLM, in 8 bits: 11 MB in all.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from cellwright.errors import WeightsError

WEIGHTS, CONFIG = "ask_tagger.safetensors", "ask_tagger.json"
LAYERS = "encoder.encoder."
"""What the names of the encoder's layers begin with."""
SCALE = ".scale"
"""Behind the name of a matrix stored in 8 bits, for what one step is in each of its rows."""
LONGEST = 500
"""Tokens read at once; MiniLM has 512 places."""
POSSIBLE = 0.03
"""Probability from which an ask may start at a token."""
FITTING = 32
"""Dimensions in which asks and names are held against each other."""
FAR = 6
"""Asks between an ask and a name from which on their distance counts the same."""


@dataclass(frozen=True, kw_only=True)
class TaggerConfig:
    """What the trained part of a tagger was made with.

    Attributes:
        heads: Classes of each question that is put to an ask, by the question's name.
        tokens: Tokens added to the encoder's, each with words whose vectors it starts from.
    """

    heads: Mapping[str, tuple[str, ...]]
    tokens: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Encoded:
    """A text as tokens.

    Attributes:
        ids: (T,) tokens, those of the text before it included.
        starts: (T,) where each token starts in the text; -1 for tokens that are not of the text.
        whole: (T,) the token begins a word, or is a Korean or Chinese character.
        names: (T,) the token stands for a name.
    """

    ids: tuple[int, ...]
    starts: tuple[int, ...]
    whole: tuple[bool, ...]
    names: tuple[bool, ...]


@dataclass(frozen=True, kw_only=True)
class Tagged:
    """One ask of a text.

    Attributes:
        start: Its first character.
        end: Behind its last.
        shares: For each question, the probability of each class.
        about: For each placeholder of the text, by its first character, the probability that the
            ask is about what stands behind it.
        start_share: Probability that an ask starts there.
    """

    start: int
    end: int
    shares: Mapping[str, Mapping[str, float]]
    about: Mapping[int, float]
    start_share: float


class AskTagger(nn.Module):
    """The network.

    Args:
        encoder: MiniLM.
        tokenizer: Its tokenizer.
        config: Classes and added tokens.
    """

    def __init__(self, encoder: Any, tokenizer: Any, config: TaggerConfig) -> None:
        super().__init__()
        from tokenizers import AddedToken

        self.config = config
        self.tokenizer = tokenizer
        self.n_known = len(tokenizer)
        # Placeholders and characters are found before the text is put in lower case.
        tokenizer.add_tokens([AddedToken(one, normalized=False) for one in config.tokens])
        self.encoder = encoder
        for name, weights in self.named_parameters():
            weights.requires_grad = name.startswith(LAYERS)
        width = encoder.config.hidden_size
        self.added = nn.Embedding(max(len(config.tokens), 1), width)
        with torch.no_grad():
            for at, words in enumerate(config.tokens.values()):
                like = tokenizer.encode(words, add_special_tokens=False) or [tokenizer.unk_token_id]
                self.added.weight[at] = encoder.get_input_embeddings().weight[like].mean(0)
        self._stand_ins = frozenset(
            self.n_known + at for at, one in enumerate(config.tokens) if len(one) > 1
        )
        self.start = nn.Linear(width, 1)
        self.used = nn.Linear(width, 1)
        self.seeks = nn.Linear(width, FITTING, bias=False)
        self.sought = nn.Linear(width, FITTING, bias=False)
        self.apart = nn.Embedding(2 * FAR + 1, 1)
        nn.init.zeros_(self.sought.weight)
        nn.init.constant_(self.apart.weight, -3.0)
        self.heads = nn.ModuleDict(
            {name: nn.Linear(width, len(classes)) for name, classes in config.heads.items()}
        )

    @classmethod
    def fresh(cls, folder: Path, config: TaggerConfig) -> AskTagger:
        """A tagger to be trained.

        Args:
            folder: MiniLM's folder.
            config: Classes and added tokens.

        Raises:
            WeightsError: The folder does not hold MiniLM.
        """
        from transformers import AutoModel, AutoTokenizer
        from transformers.utils import logging

        logging.set_verbosity_error()
        logging.disable_progress_bar()
        try:
            encoder = AutoModel.from_pretrained(folder, local_files_only=True)
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError) as error:
            msg = f"MiniLM cannot be read from {folder}: {error}"
            raise WeightsError(msg) from error
        return cls(encoder, tokenizer, config)

    @classmethod
    def load(cls, folder: Path, weights: Path) -> AskTagger:
        """A trained tagger.

        Args:
            folder: MiniLM's folder.
            weights: Folder of the trained part.

        Raises:
            WeightsError: Either cannot be read, or they do not fit.
        """
        config, _ = _stored(weights)
        tagger = cls.fresh(folder, config)
        tagger.adopt(weights)
        return tagger.eval()

    @torch.no_grad()
    def adopt(self, weights: Path) -> None:
        """Take over a trained part, which may know fewer classes and added tokens.

        Args:
            weights: Folder of the trained part.

        Raises:
            WeightsError: It cannot be read, or was trained for another encoder.
        """
        config, state = _stored(weights)
        shapes = {name: one.shape for name, one in self.trained().items()}
        layers = {name for name in shapes if name.startswith(LAYERS)}
        if shapes.keys() != state.keys() or any(state[one].shape != shapes[one] for one in layers):
            msg = f"The tagger in {weights} was trained for another encoder."
            raise WeightsError(msg)
        rows = {"added.weight": (list(config.tokens), list(self.config.tokens))}
        for head, classes in config.heads.items():
            both = (list(classes), list(self.config.heads.get(head, ())))
            rows |= {f"heads.{head}.weight": both, f"heads.{head}.bias": both}
        for name, mine in self.trained().items():
            if name in rows:
                theirs, ours = rows[name]
                for at, one in enumerate(theirs):
                    if one in ours:
                        mine[ours.index(one)] = state[name][at]
            elif name in layers:
                mine.add_(state[name])
            else:
                mine.copy_(state[name])

    def trained(self) -> Mapping[str, Tensor]:
        """What training changes, by name."""
        learnt = {name for name, one in self.named_parameters() if one.requires_grad}
        return {name: one for name, one in self.state_dict().items() if name in learnt}

    def save(self, folder: Path, minilm: Path) -> None:
        """Write the trained part.

        Args:
            folder: Where it goes.
            minilm: MiniLM's folder; what the layers differ by from it is kept.
        """
        from safetensors.torch import save_file

        untrained = AskTagger.fresh(minilm, self.config).trained()
        state: dict[str, Tensor] = {}
        for name, one in self.trained().items():
            if name.startswith(LAYERS):
                state |= _packed(name, one - untrained[name])
            else:
                state[name] = one.half().contiguous()
        folder.mkdir(parents=True, exist_ok=True)
        save_file(state, folder / WEIGHTS)
        said = json.dumps(asdict(self.config), ensure_ascii=False, indent=1)
        (folder / CONFIG).write_text(said, "utf-8")

    def encode(self, text: str, before: str = "") -> Encoded:
        """Tokens of a text, behind those of the text before it."""
        tok = self.tokenizer
        head = [tok.cls_token_id]
        if before:
            head += tok.encode(before, add_special_tokens=False)[: LONGEST // 4]
            head.append(tok.sep_token_id)
        read = tok(text, add_special_tokens=False, return_offsets_mapping=True)
        room = LONGEST - len(head) - 1
        ids, spans = read["input_ids"][:room], read["offset_mapping"][:room]
        begins = [
            one >= self.n_known
            or at == 0
            or not (text[span[0]].isalnum() and text[span[0] - 1].isalnum())
            for at, (one, span) in enumerate(zip(ids, spans, strict=True))
        ]  # fmt: skip
        return Encoded(
            ids=(*head, *ids, tok.sep_token_id),
            starts=(*[-1] * len(head), *(span[0] for span in spans), -1),
            whole=(*[False] * len(head), *begins, False),
            names=(*[False] * len(head), *(one in self._stand_ins for one in ids), False),
        )

    def states(self, batch: Sequence[Encoded]) -> Tensor:
        """(N, T, D) states of the tokens of texts, padded to the longest."""
        longest = max(len(one.ids) for one in batch)
        ids = torch.full((len(batch), longest), self.tokenizer.pad_token_id)
        mask = torch.zeros((len(batch), longest), dtype=torch.long)
        for row, one in enumerate(batch):
            ids[row, : len(one.ids)] = torch.tensor(one.ids)
            mask[row, : len(one.ids)] = 1
        is_added = ids >= self.n_known
        vectors = self.encoder.get_input_embeddings()(ids.masked_fill(is_added, 0))
        more = self.added((ids - self.n_known).clamp(min=0))
        vectors = torch.where(is_added.unsqueeze(-1), more, vectors)
        out: Tensor = self.encoder(inputs_embeds=vectors, attention_mask=mask).last_hidden_state
        return out

    @staticmethod
    def pooled(states: Tensor) -> Tensor:
        """The vector of an ask from the (T, D) states of its tokens: their mean, of unit length."""
        return functional.normalize(states.mean(0), dim=0)

    def about(self, asks: Tensor, names: Tensor, ahead: Tensor) -> Tensor:
        """(M, N) logits that asks are about names.

        A name of an ask's own words counts by what stands around it (``used``), any other by its
        distance; to both comes how ask and name fit, which finds what 'them' stands for.

        Args:
            asks: (M, D) vectors of asks.
            names: (N, D) states of placeholders, of unit length.
            ahead: (M, N) how many asks behind each ask the name stands; 0 for its own.
        """
        scale = names.shape[-1] ** 0.5
        fit = self.seeks(asks * scale) @ self.sought(names * scale).T / FITTING**0.5
        far = self.apart(ahead.clamp(-FAR, FAR) + FAR)[..., 0]
        return fit + torch.where(ahead == 0, self.used(names)[:, 0], far)

    @torch.inference_mode()
    def tag(self, text: str, before: str = "") -> list[Tagged]:
        """The asks of a text, which share out all of it.

        Args:
            text: A request, with names put as placeholders.
            before: The request before it, for follow-ups.
        """
        read = self.encode(text, before)
        inside = [at for at, start in enumerate(read.starts) if start >= 0]
        if not inside:
            return []
        states = self.states([read])[0]
        unit = functional.normalize(states, dim=-1)
        shares = torch.sigmoid(self.start(unit)[:, 0])
        cuts = [
            at for at in inside if read.whole[at] and at != inside[0] and shares[at] >= POSSIBLE
        ]
        bounds = self._parted([inside[0], *cuts, inside[-1] + 1], states, shares)
        asks = torch.stack([self.pooled(states[first:last]) for first, last in pairwise(bounds)])
        names = [at for at in inside if read.names[at]]
        about = torch.sigmoid(self.about(asks, unit[names], ahead(bounds, names)))
        found = []
        for row, (first, last) in enumerate(pairwise(bounds)):
            found.append(
                Tagged(
                    start=0 if first == inside[0] else read.starts[first],
                    end=len(text) if last == inside[-1] + 1 else read.starts[last],
                    shares={name: self._shares(name, asks[row]) for name in self.config.heads},
                    about={
                        read.starts[at]: float(share)
                        for at, share in zip(names, about[row], strict=True)
                    },
                    start_share=1.0 if first == inside[0] else float(shares[first]),
                )
            )
        return found

    def _parted(self, bounds: Sequence[int], states: Tensor, shares: Tensor) -> list[int]:
        """The likeliest parting at some of the bounds where asks may start.

        A parting scores the log odds of its starts, and for each of its asks the log probability of
        what it is likeliest for: parts that make sense each by itself, and no part that would make
        two (semi-Markov decoding).

        Args:
            bounds: The first token, those at which an ask may start, and the end.
            states: (T, D) states of the tokens.
            shares: (T,) probabilities of a start.
        """
        sums = functional.pad(states.cumsum(0), (0, 0, 1, 0))[list(bounds)]
        odds = torch.logit(shares, eps=1e-4)
        best, came = [0.0], [0]
        for end in range(1, len(bounds)):
            asks = functional.normalize(sums[end] - sums[:end], dim=-1)
            sure = torch.log_softmax(self.heads["intent"](asks), -1).amax(-1)
            scores = torch.tensor(best) + sure
            at = int(scores.argmax())
            came.append(at)
            more = float(odds[bounds[end]]) if end < len(bounds) - 1 else 0.0
            best.append(float(scores[at]) + more)
        kept, at = [], len(bounds) - 1
        while at:
            kept.append(bounds[at])
            at = came[at]
        return [bounds[0], *reversed(kept)]

    def _shares(self, head: str, pooled: Tensor) -> Mapping[str, float]:
        shares = torch.softmax(self.heads[head](pooled), -1).tolist()
        return dict(zip(self.config.heads[head], shares, strict=True))


def _packed(name: str, weights: Tensor) -> dict[str, Tensor]:
    """Weights as whole steps, of which each row has 127 each way; vectors in 16 bits."""
    if weights.dim() < 2:
        return {name: weights.half()}
    step = weights.abs().amax(-1, keepdim=True).clamp(min=1e-12) / 127
    return {name: (weights / step).round().to(torch.int8), name + SCALE: step}


def _stored(weights: Path) -> tuple[TaggerConfig, dict[str, Tensor]]:
    """What a folder keeps of a trained tagger; of the layers, differences."""
    from safetensors.torch import load_file

    try:
        said = json.loads((weights / CONFIG).read_text("utf-8"))
        state = {name: one.float() for name, one in load_file(weights / WEIGHTS).items()}
    except (OSError, ValueError) as error:
        msg = f"No trained tagger can be read from {weights}: {error}"
        raise WeightsError(msg) from error
    for name in [one for one in state if one.endswith(SCALE)]:
        state[name.removesuffix(SCALE)] *= state.pop(name)
    heads = {name: tuple(classes) for name, classes in said["heads"].items()}
    return TaggerConfig(heads=heads, tokens=said["tokens"]), state


def ahead(bounds: Sequence[int], names: Sequence[int]) -> Tensor:
    """(M, N) how many asks behind each of M asks a name stands, in tokens from bound to bound."""
    own = torch.tensor([bisect_right(bounds, at) - 1 for at in names], dtype=torch.long)
    return own.unsqueeze(0) - torch.arange(len(bounds) - 1).unsqueeze(1)
