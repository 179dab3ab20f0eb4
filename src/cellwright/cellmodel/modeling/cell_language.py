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
        from peft import LoraConfig, inject_adapter_in_model

        super().__init__()
        base.requires_grad_(requires_grad=False)
        lora = LoraConfig(
            r=config.lora_rank,
            lora_alpha=config.lora_alpha,
            target_modules=list(config.lora_targets),
            lora_dropout=0.0,
            layers_to_transform=_last_layers(base.config.num_hidden_layers, config.lora_layers),
        )
        self.base = inject_adapter_in_model(lora, base)
        self.tokenizer, self.config, self.n_cell_tokens = tokenizer, config, n_cell_tokens
        self.vocabulary_size: int = base.get_input_embeddings().weight.shape[0]
        self.tune_inputs = True
        self.extra = nn.Parameter(self._like(("[", "]", "#")))

    def own_state(self) -> dict[str, Tensor]:
        """Adapters and added tokens: all that was trained."""
        state = {n: p.detach() for n, p in self.base.named_parameters() if "lora_" in n}
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

    def logits(self, hidden: Tensor) -> Tensor:
        """Scores of the base tokens and of the three added ones."""
        added = hidden.float() @ self.extra.float().T
        return torch.cat([self.base.lm_head(hidden).float(), added], dim=-1)

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
        next_tokens = _prefix_tree([self.encode_answer(one, signal=False) for one in among])
        rows = [self.encode(prompt) for prompt in prompts]
        ids, mask = left_pad(rows)
        embedded, cache = self._embed(ids, soft_BQH), None
        positions = (mask.long().cumsum(dim=1) - 1).clamp_min(0)
        answers: list[list[int]] = [[] for _ in rows]
        scores = [0.0] * len(rows)
        signals: list[Tensor | None] = [None] * len(rows)
        open_rows = set(range(len(rows)))
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
            for row in closing:
                signals[row] = hidden[row].float()
            closing = set()
            logits = self.logits(hidden)
            if next_tokens:
                logits = _only(logits, [next_tokens.get(tuple(one), ()) for one in answers])
            log_probs = logits.log_softmax(dim=-1)
            chosen = log_probs.argmax(dim=-1)
            for row in sorted(open_rows):
                token = int(chosen[row])
                scores[row] += float(log_probs[row, token])
                if token == self.vocabulary_size + _SIGNAL:
                    closing.add(row)
                    open_rows.discard(row)
                elif token == self.tokenizer.eos_token_id:
                    open_rows.discard(row)
                else:
                    answers[row].append(token)
            if not open_rows and not closing:
                break
            embedded = self._embed(chosen[:, None], None)
            mask = torch.cat([mask, torch.ones(len(rows), 1, dtype=torch.bool)], dim=1)
            positions = positions[:, -1:] + 1
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


def _prefix_tree(answers: Sequence[Sequence[int]]) -> dict[tuple[int, ...], tuple[int, ...]]:
    """Which tokens may follow each beginning of an answer."""
    tree: dict[tuple[int, ...], set[int]] = {}
    for answer in answers:
        for at, token in enumerate(answer):
            tree.setdefault(tuple(answer[:at]), set()).add(token)
    return {start: tuple(sorted(tokens)) for start, tokens in tree.items()}


def _only(logits_BV: Tensor, allowed: Sequence[Sequence[int]]) -> Tensor:
    """Logits with every token but the allowed ones ruled out; a row that has ended stays."""
    ruled = torch.full_like(logits_BV, float("-inf"))
    for row, tokens in enumerate(allowed):
        kept = list(tokens) if tokens else slice(None)
        ruled[row, kept] = logits_BV[row, kept]
    return ruled


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
