"""The small language model: loading it, and greedy decoding under a grammar."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cellwright.errors import WeightsError

Messages = Sequence[Mapping[str, str]]
"""Chat messages, each with ``role`` and ``content``."""


@dataclass(frozen=True, kw_only=True)
class Generation:
    """What a language model wrote.

    Attributes:
        text: The new text, without the stop string or end token.
        n_prompt: Tokens of the prompt.
        n_new: Tokens that the model chose; text that the grammar alone decided is not counted.
        seconds: Wall-clock time, compiling the grammar included.
        mean_logprob: Mean natural-log probability of the chosen tokens before the grammar's mask,
            so that a choice that only the grammar forced reads as doubt; 0 when nothing was
            chosen.
        finished: The text ended by itself, not at ``max_new_tokens``.
        line_logprobs: The same mean for each line of the text.
    """

    text: str
    n_prompt: int
    n_new: int
    seconds: float
    mean_logprob: float
    finished: bool
    line_logprobs: tuple[float, ...] = ()


def set_threads(threads: int) -> None:
    """Set the CPU threads of this process's models; 0 leaves them as they are."""
    if threads > 0:
        torch.set_num_threads(threads)


@contextmanager
def using_threads(threads: int) -> Iterator[None]:
    """Compute with this many CPU threads for a while; 0 leaves them as they are.

    Writing one token at a time gains little from a second thread, and loses tenfold when other
    processes keep that core busy.
    """
    before = torch.get_num_threads()
    set_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def load_base(folder: Path, *, dtype: torch.dtype = torch.float32) -> tuple[Any, Any]:
    """Load a causal language model and its tokenizer from a folder, without the network.

    Args:
        folder: A Transformers folder (``config.json``, tokenizer, ``model.safetensors``).
        dtype: Type of the weights in memory.

    Returns:
        The model in evaluation mode and the tokenizer.

    Raises:
        WeightsError: The folder does not hold a model that can be read.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, local_files_only=True)
    except (OSError, ValueError) as error:
        msg = f"No language model can be read from {folder}: {error}"
        raise WeightsError(msg) from error
    return model.eval(), tokenizer


class LanguageModel:
    """A causal language model that writes text, free or under an EBNF grammar.

    Args:
        model: A Transformers causal language model.
        tokenizer: Its tokenizer.
    """

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self._compiler: Any = None

    @classmethod
    def load(
        cls,
        folder: Path,
        *,
        adapter: Path | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> LanguageModel:
        """Load a base model and, when given, merge a LoRA adapter into it.

        Merging costs nothing later: a merged model decodes as fast as the base.

        Args:
            folder: Folder of the base model.
            adapter: Folder of a PEFT adapter (``adapter_config.json`` and safetensors).
            dtype: Type of the weights in memory.

        Raises:
            WeightsError: Base or adapter cannot be read.
        """
        model, tokenizer = load_base(folder, dtype=dtype)
        if adapter is not None:
            from peft import PeftModel

            try:
                tuned = PeftModel.from_pretrained(model, str(adapter), local_files_only=True)
            except (OSError, ValueError) as error:
                msg = f"No adapter can be read from {adapter}: {error}"
                raise WeightsError(msg) from error
            model = tuned.merge_and_unload().eval()
        return cls(model, tokenizer)

    def prompt(self, messages: Messages) -> str:
        """The text of a chat, ready for the model's answer."""
        text: str = self.tokenizer.apply_chat_template(
            [dict(message) for message in messages], tokenize=False, add_generation_prompt=True
        )
        return text

    @torch.inference_mode()
    def generate(
        self,
        prompt: str | Messages,
        *,
        grammar: str | None = None,
        max_new_tokens: int = 256,
        stop: str = "",
    ) -> Generation:
        """Continue a prompt greedily.

        Args:
            prompt: Text as it is, or chat messages.
            grammar: EBNF grammar with rule ``root`` that the new text must follow.
            max_new_tokens: Most tokens to choose.
            stop: Text that ends the answer and is not part of it; empty for none.

        Returns:
            The new text with what it cost.
        """
        start = time.perf_counter()
        text = prompt if isinstance(prompt, str) else self.prompt(prompt)
        prompt_ids = self.tokenizer.encode(text, add_special_tokens=False)
        guide = self._guide(grammar) if grammar is not None else None
        written: list[int] = []
        logprobs: list[float] = []
        lines: dict[int, list[float]] = {}
        finished = False
        cache = None
        feed = prompt_ids
        while len(logprobs) < max_new_tokens:
            out = self.model(
                input_ids=torch.tensor([feed]),
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            )
            cache = out.past_key_values
            logits = out.logits[0, -1].float()
            token = _choose(logits, guide)
            logprobs.append(float(logits[token] - torch.logsumexp(logits, -1)))
            lines.setdefault(self.tokenizer.decode(written).count("\n"), []).append(logprobs[-1])
            if token == self.tokenizer.eos_token_id or (guide is not None and guide.done(token)):
                finished = True
                break
            feed = [token]
            if guide is not None:
                feed += guide.forced(self.tokenizer)
            written += feed
            if stop and stop in self.tokenizer.decode(written):
                finished = True
                break
            if guide is not None and guide.ended():
                finished = True
                break
        answer = self.tokenizer.decode(written, skip_special_tokens=True)
        return Generation(
            text=answer.split(stop)[0] if stop else answer,
            n_prompt=len(prompt_ids),
            n_new=len(logprobs),
            seconds=time.perf_counter() - start,
            mean_logprob=sum(logprobs) / max(len(logprobs), 1),
            finished=finished,
            line_logprobs=tuple(
                sum(lines[at]) / len(lines[at]) if at in lines else 0.0
                for at in range(len(answer.splitlines()))
            ),
        )

    def accepts(self, text: str, grammar: str) -> bool:
        """The grammar allows this text, whole."""
        guide = self._guide(grammar)
        return guide.accepts(text)

    def _guide(self, grammar: str) -> _Guide:
        import xgrammar

        if self._compiler is None:
            info = xgrammar.TokenizerInfo.from_huggingface(
                self.tokenizer, vocab_size=self.model.config.vocab_size
            )
            self._compiler = xgrammar.GrammarCompiler(info, max_threads=2)
        compiled = self._compiler.compile_grammar(grammar)
        return _Guide(
            xgrammar.GrammarMatcher(compiled, terminate_without_stop_token=False),
            xgrammar.allocate_token_bitmask(1, self.model.config.vocab_size),
            self.tokenizer.eos_token_id,
        )


class _Guide:
    """One walk through a grammar: which tokens may come next."""

    def __init__(self, matcher: Any, bitmask: Tensor, eos: int) -> None:
        self._matcher = matcher
        self._bitmask = bitmask
        self._eos = eos

    def mask(self, logits: Tensor) -> Tensor:
        """The logits with every token that the grammar forbids at minus infinity."""
        import xgrammar

        self._matcher.fill_next_token_bitmask(self._bitmask)
        allowed = logits.clone().unsqueeze(0)
        xgrammar.apply_token_bitmask_inplace(allowed, self._bitmask)
        return allowed[0]

    def done(self, token: int) -> bool:
        """Take a token; true when it ended the text."""
        self._matcher.accept_token(token)
        return bool(self._matcher.is_terminated())

    def accepts(self, text: str) -> bool:
        """The whole text may be written."""
        return bool(self._matcher.accept_string(text)) and self.ended()

    def forced(self, tokenizer: Any) -> list[int]:
        """Tokens of the text that must come next whatever the model thinks; taken at once.

        The last token is left to the model: with what follows it may spell another one, and a
        model that reads its own text cut in unusual places loses its way.
        """
        text: str = self._matcher.find_jump_forward_string()
        tokens: list[int] = tokenizer.encode(text, add_special_tokens=False)[:-1] if text else []
        for token in tokens:
            self._matcher.accept_token(token)
        return tokens

    def ended(self) -> bool:
        """Only the end may come next."""
        self._matcher.fill_next_token_bitmask(self._bitmask)
        word = int(self._bitmask[0, self._eos // 32]) & 0xFFFFFFFF
        others = int((self._bitmask[0] != 0).sum())
        return others == 1 and word == 1 << (self._eos % 32)


def _choose(logits: Tensor, guide: _Guide | None) -> int:
    allowed = logits if guide is None else guide.mask(logits)
    return int(allowed.argmax())
