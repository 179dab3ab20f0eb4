"""Fine-tuning the small language model on pairs of prompt and completion, with LoRA."""

from __future__ import annotations

import json
import logging
import math
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cellwright.cellmodel.modeling.language import load_base

logger = logging.getLogger(__name__)

Pair = tuple[str, str]
"""Prompt and completion."""
Progress = Callable[[int, int, float], None]
"""Called with the step, the steps in all and the loss."""
TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True, kw_only=True)
class LoraRecipe:
    """How an adapter is trained.

    Attributes:
        rank: Rank of the update of each linear layer.
        alpha: Scale of the update, as alpha / rank.
        rate: Highest learning rate.
        warmup: Share of the steps in which the rate rises.
        batch: Pairs a step.
        epochs: Passes over the pairs.
        clip: Largest norm of the gradient.
        seed: Seed of order and initial values.
        max_seconds: Training ends after this time with the rate brought down; 0 for no limit.
        save_every: Steps between checkpoints.
    """

    rank: int = 16
    alpha: int = 32
    rate: float = 6e-4
    warmup: float = 0.04
    batch: int = 8
    epochs: int = 1
    clip: float = 1.0
    seed: int = 0
    max_seconds: float = 0.0
    save_every: int = 50


def finetune(
    base: Path,
    pairs: Sequence[Pair],
    folder: Path,
    recipe: LoraRecipe | None = None,
    *,
    progress: Progress | None = None,
) -> Path:
    """Train a LoRA adapter; an interrupted run goes on from its last checkpoint.

    Only completions are learnt, and logits are computed at their positions alone.

    Args:
        base: Folder of the base model.
        pairs: Prompts and completions.
        folder: Where checkpoints are kept: ``adapter/``, the optimiser's state and ``state.json``.
        recipe: How to train.
        progress: Called after every step.

    Returns:
        Folder of the adapter, in 16 bits.
    """
    recipe = recipe or LoraRecipe()
    torch.manual_seed(recipe.seed)
    model, tokenizer = load_base(base)
    tuned = _with_lora(model, recipe)
    encoded = [_encode(tokenizer, pair) for pair in pairs]
    batches = [
        batch
        for epoch in range(recipe.epochs)
        for batch in _batches(encoded, recipe.batch, recipe.seed + epoch)
    ]
    weights = {name: one for name, one in tuned.named_parameters() if one.requires_grad}
    optimiser = torch.optim.AdamW(weights.values(), lr=recipe.rate, weight_decay=0.01)
    step, spent = _resume(folder, weights, optimiser, recipe)

    def save(step: int, seconds: float) -> None:
        _save(folder, tuned, weights, optimiser, recipe, step=step, seconds=seconds)

    tuned.train()
    start = time.monotonic() - spent
    while step < len(batches):
        share = step / len(batches)
        if recipe.max_seconds:
            share = max(share, (time.monotonic() - start) / recipe.max_seconds)
        if share >= 1:
            break
        for group in optimiser.param_groups:
            group["lr"] = recipe.rate * rate_at(share, recipe.warmup)
        loss = _loss(tuned, batches[step], tokenizer.eos_token_id)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call] # torch has no type for it
        torch.nn.utils.clip_grad_norm_(weights.values(), recipe.clip)
        optimiser.step()
        step += 1
        if progress is not None:
            progress(step, len(batches), float(loss.detach()))
        if step % recipe.save_every == 0:
            save(step, time.monotonic() - start)
    save(step, time.monotonic() - start)
    return folder / "adapter"


def _with_lora(model: Any, recipe: LoraRecipe) -> Any:
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        r=recipe.rank,
        lora_alpha=recipe.alpha,
        target_modules=list(TARGETS),
        task_type="CAUSAL_LM",
        lora_dropout=0.0,
    )
    return get_peft_model(model, config)


def _encode(tokenizer: Any, pair: Pair) -> tuple[list[int], int]:
    """Token ids of a pair, and where the completion starts."""
    prompt = tokenizer.encode(pair[0], add_special_tokens=False)
    completion = tokenizer.encode(pair[1], add_special_tokens=False)
    return [*prompt, *completion], len(prompt)


def _batches(
    encoded: Sequence[tuple[list[int], int]], size: int, seed: int
) -> list[list[tuple[list[int], int]]]:
    """Batches of pairs of like length, in random order."""
    draw = random.Random(seed)
    order = list(range(len(encoded)))
    draw.shuffle(order)
    pools = [order[at : at + size * 16] for at in range(0, len(order), size * 16)]
    batches = []
    for pool in pools:
        ranked = sorted(pool, key=lambda at: len(encoded[at][0]))
        batches += [ranked[at : at + size] for at in range(0, len(ranked), size)]
    draw.shuffle(batches)
    return [[encoded[at] for at in batch] for batch in batches]


def _loss(tuned: Any, batch: Sequence[tuple[list[int], int]], pad: int) -> Tensor:
    """Mean cross-entropy of the completions' tokens."""
    width = max(len(ids) for ids, _ in batch)
    ids_BT = torch.tensor([ids + [pad] * (width - len(ids)) for ids, _ in batch])
    seen_BT = torch.tensor([[1] * len(ids) + [0] * (width - len(ids)) for ids, _ in batch])
    learnt_BT = torch.zeros_like(ids_BT, dtype=torch.bool)
    for row, (ids, start) in enumerate(batch):
        learnt_BT[row, start - 1 : len(ids) - 1] = True
    inner = tuned.get_base_model()
    hidden_BTD = inner.model(input_ids=ids_BT, attention_mask=seen_BT).last_hidden_state
    logits_NV = inner.lm_head(hidden_BTD[learnt_BT])
    target_N = ids_BT.roll(-1, dims=1)[learnt_BT]
    return torch.nn.functional.cross_entropy(logits_NV.float(), target_N)


def rate_at(share: float, warmup: float) -> float:
    """Linear rise, then a cosine to a twentieth."""
    if share < warmup:
        return (share + 1e-3) / (warmup + 1e-3)
    return 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * (share - warmup) / (1 - warmup)))


def _save(
    folder: Path,
    tuned: Any,
    weights: dict[str, Tensor],
    optimiser: torch.optim.Optimizer,
    recipe: LoraRecipe,
    *,
    step: int,
    seconds: float,
) -> None:
    from safetensors.torch import load_file, save_file

    folder.mkdir(parents=True, exist_ok=True)
    moments: dict[str, Tensor] = {}
    for name, weight in weights.items():
        moments[f"weight.{name}"] = weight.detach().clone()
        for key, value in optimiser.state.get(weight, {}).items():
            moments[f"{key}.{name}"] = torch.as_tensor(value).detach().clone()
    save_file(moments, folder / "training.tmp")
    (folder / "training.tmp").replace(folder / "training.safetensors")
    tuned.save_pretrained(str(folder / "adapter"))
    path = folder / "adapter" / "adapter_model.safetensors"
    save_file({name: one.half() for name, one in load_file(path).items()}, path)
    config = folder / "adapter" / "adapter_config.json"
    said = json.loads(config.read_text())
    said["base_model_name_or_path"] = "smollm2"  # a folder of this machine says nothing elsewhere
    config.write_text(json.dumps(said, indent=1, sort_keys=True) + "\n")
    (folder / "adapter" / "README.md").unlink(missing_ok=True)
    state = {"step": step, "seconds": round(seconds, 1), "recipe": asdict(recipe)}
    (folder / "state.json").write_text(json.dumps(state, indent=1) + "\n")


def _resume(
    folder: Path,
    weights: dict[str, Tensor],
    optimiser: torch.optim.Optimizer,
    recipe: LoraRecipe,
) -> tuple[int, float]:
    """Take up the last checkpoint of the same recipe; step and seconds spent so far."""
    from safetensors.torch import load_file

    state_file = folder / "state.json"
    if not state_file.is_file():
        return 0, 0.0
    state = json.loads(state_file.read_text())
    if state["recipe"] != asdict(recipe):
        logger.info("The checkpoint in %s was made by another recipe; starting anew.", folder)
        return 0, 0.0
    moments = load_file(folder / "training.safetensors")
    with torch.no_grad():
        for name, weight in weights.items():
            weight.copy_(moments[f"weight.{name}"])
            optimiser.state[weight] = {
                key: moments[f"{key}.{name}"] for key in ("step", "exp_avg", "exp_avg_sq")
            }
    logger.info("Going on from step %d.", state["step"])
    return int(state["step"]), float(state["seconds"])
