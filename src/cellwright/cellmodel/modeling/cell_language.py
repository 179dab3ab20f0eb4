"""Cells inside a causal language model: soft tokens in, text or the signal token out."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from cellwright.cellmodel.config import LanguageConfig

INPUT_SLOT = "{input}"
_PLACEHOLDER = -1
_OPEN, _CLOSE, _SIGNAL = range(3)


class Spoken(NamedTuple):
    """What the model said.

    Attributes:
        text: The answer.
        log_prob: Log probability of the whole answer, its end included.
        signal: State of the model at the signal token, ``(H,)``; None if it gave no signal.
    """

    text: str
    log_prob: float
    signal: Tensor | None


class CellLanguage(nn.Module):
    """A base model with adapters, and three tokens of its own.

    The tokens that open and close a cell and the signal token are rows beside the base model's
    table, so its weights stay as they were fetched.

    Args:
        base: A causal language model of Transformers; it is given adapters in place.
        tokenizer: Its tokenizer.
        config: Rank and place of the adapters.
        n_cell_tokens: Soft tokens of a cell.
    """

    def __init__(
        self,
        base: Any,
        tokenizer: Any,
        config: LanguageConfig,
        n_cell_tokens: int,
    ) -> None:
        super().__init__()
        if config.layers:
            base.model.layers = base.model.layers[: config.layers]
            base.config.num_hidden_layers = config.layers
        if not config.pretrained:
            base.apply(base._init_weights)
        self.base = _with_adapters(base, config)
        self.tokenizer, self.config, self.n_cell_tokens = tokenizer, config, n_cell_tokens
        self.vocabulary_size: int = base.get_input_embeddings().weight.shape[0]
        self.tune_inputs = True
        self.extra = nn.Parameter(self._like(("[", "]", "#")))

    def own_state(self) -> dict[str, Tensor]:
        """Adapters (or all weights, where they were trained) and added tokens."""
        state = {
            name: weight.detach()
            for name, weight in self.base.named_parameters()
            if "lora_" in name or not self.config.lora_rank
        }
        return {"extra": self.extra.detach(), **state}

    def load_own_state(self, state: Mapping[str, Tensor]) -> None:
        """Put back what ``own_state`` gave."""
        own = dict(self.base.named_parameters())
        with torch.no_grad():
            for name, value in state.items():
                target = self.extra if name == "extra" else own[name]
                target.copy_(value)

    def encode(self, prompt: str) -> list[int]:
        """Token ids of a prompt in the chat frame; ``{input}`` becomes the cell's place."""
        framed = f"<|im_start|>user\n{prompt}<|im_end|>\n<|im_start|>assistant\n"
        before, slot, after = framed.partition(INPUT_SLOT)
        ids = self._tokens(before)
        if slot:
            cell = [_PLACEHOLDER] * self.n_cell_tokens
            ids += [self.vocabulary_size + _OPEN, *cell, self.vocabulary_size + _CLOSE]
            ids += self._tokens(after)
        return ids

    def encode_answer(self, answer: str, *, signal: bool) -> list[int]:
        """Token ids of an answer and its end: the signal token, or the end of the turn."""
        end = self.vocabulary_size + _SIGNAL if signal else int(self.tokenizer.eos_token_id)
        return [*self._tokens(answer), end]

    def forward(self, ids_BS: Tensor, mask_BS: Tensor, soft_BQH: Tensor | None) -> Tensor:
        """States of the last layer, ``(B, S, H)``.

        Args:
            ids_BS: Token ids; padding may be anything.
            mask_BS: True where a token is real.
            soft_BQH: Soft tokens for the rows that have a cell, in order; None if none has.
        """
        positions = (mask_BS.long().cumsum(dim=1) - 1).clamp_min(0)
        out = self.base.model(
            inputs_embeds=self._embed(ids_BS, soft_BQH),
            attention_mask=mask_BS.long(),
            position_ids=positions,
            use_cache=False,
        )
        return out.last_hidden_state

    def logits(self, hidden: Tensor, allowed: "Allowed | None" = None) -> Tensor:
        """Scores of the base tokens and of the three added ones, or of the allowed tokens alone."""
        if allowed is not None:
            table = self.base.lm_head.weight[allowed.tokens].to(hidden.dtype)
            return (hidden @ table.T).float().masked_fill(~allowed.mask, float("-inf"))
        added = hidden.float() @ self.extra.float().T
        return torch.cat([self.base.lm_head(hidden).float(), added], dim=-1)

    def merge(self) -> None:
        """Fold the adapters into the base model's weights: faster, and not trainable any more."""
        from peft.tuners.lora import LoraLayer

        for parent in list(self.base.modules()):
            for name, module in parent.named_children():
                if isinstance(module, LoraLayer):
                    module.merge()
                    setattr(parent, name, module.get_base_layer())

    def _read_start(
        self, rows: Sequence[Sequence[int]], ids: Tensor, mask: Tensor
    ) -> tuple[Any, Tensor, Tensor]:
        """Read what all prompts begin with once, and not once for each.

        Returns:
            The cache, the ids that are left to read, and their positions.
        """
        positions = (mask.long().cumsum(dim=1) - 1).clamp_min(0)
        shared = _shared_start(rows)
        if len(rows) < 2 or not shared:
            return None, ids, positions
        out = self.base.model(inputs_embeds=self._embed(ids[:1, :shared], None), use_cache=True)
        cache = out.past_key_values
        cache.batch_repeat_interleave(len(rows))
        return cache, ids[:, shared:], positions[:, shared:]

    @torch.inference_mode()
    def speak(
        self,
        prompts: Sequence[str],
        soft_BQH: Tensor | None,
        *,
        among: Sequence[str] = (),
        max_new_tokens: int = 48,
    ) -> list[Spoken]:
        """Answer prompts greedily.

        Args:
            prompts: Prompts.
            soft_BQH: Soft tokens, a row for each prompt with ``{input}``.
            among: Answers to choose from, token by token; empty leaves the model free. The log
                probability of an answer is then taken among these.
            max_new_tokens: Longest answer.
        """
        tree = _AnswerTree([self.encode_answer(one, signal=False) for one in among])
        rows = [self.encode(prompt) for prompt in prompts]
        ids, mask = left_pad(rows)
        cache, ids, positions = self._read_start(rows, ids, mask)
        embedded = self._embed(ids, soft_BQH)
        answers: list[list[int]] = [[] for _ in rows]
        scores = [0.0] * len(rows)
        signals: list[Tensor | None] = [None] * len(rows)
        live = list(range(len(rows)))
        closing: set[int] = set()
        for _ in range(max_new_tokens + 1):
            out = self.base.model(
                inputs_embeds=embedded,
                attention_mask=mask.long(),
                position_ids=positions,
                past_key_values=cache,
                use_cache=True,
            )
            cache, hidden = out.past_key_values, out.last_hidden_state[:, -1]
            allowed = tree.after([answers[row] for row in live])
            log_probs = self.logits(hidden, allowed).log_softmax(dim=-1)
            best = log_probs.argmax(dim=-1)
            chosen = best if allowed is None else allowed.tokens[best]
            kept = []
            for at, row in enumerate(live):
                if row in closing:
                    signals[row] = hidden[at].float()
                    continue
                token = int(chosen[at])
                scores[row] += float(log_probs[at, best[at]])
                if token == self.vocabulary_size + _SIGNAL:
                    closing.add(row)
                    kept.append(at)
                elif token != self.tokenizer.eos_token_id:
                    answers[row].append(token)
                    if only := tree.only(answers[row]):
                        answers[row] = only
                    else:
                        kept.append(at)
            if not kept:
                break
            if len(kept) < len(live):
                live = [live[at] for at in kept]
                cache.batch_select_indices(torch.tensor(kept))
            embedded = self._embed(chosen[kept, None], None)
            mask = torch.cat([mask[kept], mask.new_ones(len(kept), 1)], dim=1)
            positions = positions[kept, -1:] + 1
        texts = [self._text(answer) for answer in answers]
        return [Spoken(*parts) for parts in zip(texts, scores, signals, strict=True)]

    @torch.inference_mode()
    def signal_states(self, pairs: Sequence[tuple[str, str]]) -> Tensor:
        """State at the signal token after each (prompt, answer) without a cell, ``(B, H)``."""
        rows = [self.encode(p) + self.encode_answer(a, signal=True) for p, a in pairs]
        ids, mask = left_pad(rows)
        return self(ids, mask, None)[:, -1].float()

    def token_embeddings(self, ids: Tensor) -> Tensor:
        """Rows of the base model's input table."""
        return self.base.get_input_embeddings()(ids)

    def _embed(self, ids_BS: Tensor, soft_BQH: Tensor | None) -> Tensor:
        base_ids = torch.where((ids_BS >= 0) & (ids_BS < self.vocabulary_size), ids_BS, 0)
        embedded = self.token_embeddings(base_ids)
        added = ids_BS >= self.vocabulary_size
        table = self.extra if self.tune_inputs else self.extra.detach()
        rows = table[(ids_BS - self.vocabulary_size).clamp(0, 2)].to(embedded.dtype)
        embedded = torch.where(added[..., None], rows, embedded)
        if soft_BQH is not None:
            place = (ids_BS == _PLACEHOLDER)[..., None].expand_as(embedded)
            embedded = embedded.masked_scatter(place, soft_BQH.to(embedded.dtype))
        return embedded

    def _like(self, texts: Sequence[str]) -> Tensor:
        """Rows to start added tokens from: the mean embedding of a text each."""
        table = self.base.get_input_embeddings().weight.detach().float()
        return torch.stack([table[self._tokens(text)].mean(dim=0) for text in texts])

    def _tokens(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def _text(self, ids: Sequence[int]) -> str:
        plain = [token for token in ids if token < self.vocabulary_size]
        return str(self.tokenizer.decode(plain, skip_special_tokens=True)).strip()


class Allowed(NamedTuple):
    """Tokens that may come next.

    Attributes:
        tokens: ``(T,)`` all that may in some row.
        mask: ``(B, T)`` bool, those that may in each row; a row that has ended may have any.
    """

    tokens: Tensor
    mask: Tensor


class _AnswerTree:
    """Answers to choose from, by how they begin. Without any, everything is allowed."""

    def __init__(self, answers: Sequence[Sequence[int]]) -> None:
        self._after: dict[tuple[int, ...], list[Sequence[int]]] = {}
        for answer in answers:
            for at in range(len(answer)):
                self._after.setdefault(tuple(answer[:at]), []).append(answer)

    def after(self, begun: Sequence[Sequence[int]]) -> Allowed | None:
        """What may follow each beginning."""
        if not self._after:
            return None
        kept = [{one[len(own)] for one in self._after.get(tuple(own), ())} for own in begun]
        tokens = sorted(set().union(*kept))
        mask = [[token in own or not own for token in tokens] for own in kept]
        return Allowed(torch.tensor(tokens), torch.tensor(mask))

    def only(self, begun: Sequence[int]) -> list[int]:
        """The answer without its end, if only one begins so; it is certain then."""
        found = self._after.get(tuple(begun), ())
        return list(found[0][:-1]) if len(found) == 1 else []


def _shared_start(rows: Sequence[Sequence[int]]) -> int:
    """Length of what rows of one length begin with, up to the first cell."""
    if len({len(row) for row in rows}) != 1:
        return 0
    first = rows[0]
    for at, token in enumerate(first):
        if token == _PLACEHOLDER or any(row[at] != token for row in rows):
            return at
    return len(first) - 1


def _with_adapters(base: Any, config: LanguageConfig) -> Any:
    """The base model frozen but for adapters, or free where the rank is 0."""
    from peft import LoraConfig, inject_adapter_in_model

    base.requires_grad_(requires_grad=not config.lora_rank)
    if not config.lora_rank:
        return base
    lora = LoraConfig(
        r=config.lora_rank,
        lora_alpha=config.lora_alpha,
        target_modules=list(config.lora_targets),
        lora_dropout=0.0,
        layers_to_transform=_last_layers(base.config.num_hidden_layers, config.lora_layers),
    )
    return inject_adapter_in_model(lora, base)


def _last_layers(n_layers: int, n_last: int) -> list[int] | None:
    return list(range(n_layers - n_last, n_layers)) if 0 < n_last < n_layers else None


def left_pad(rows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Ids and mask ``(B, S)``, padded on the left so that the last column is real everywhere."""
    length = max(len(row) for row in rows)
    ids = torch.zeros(len(rows), length, dtype=torch.long)
    mask = torch.zeros(len(rows), length, dtype=torch.bool)
    for at, row in enumerate(rows):
        ids[at, length - len(row) :] = torch.tensor(row)
        mask[at, length - len(row) :] = True
    return ids, mask
