"""The training loop: one for all stages, resumable to the bit, one JSON line a step."""

import json
import logging
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from cellwright.cellmodel.config import StageConfig
from cellwright.cellmodel.training.losses import finite

logger = logging.getLogger(__name__)

StepFunction = Callable[[int, np.random.Generator], Mapping[str, Tensor]]


class Trainer:
    """Runs the steps of a stage.

    Weights stay in fp32; ``mixed_precision`` runs the forward pass in bf16. The training state
    (weights, optimiser, step, random states) is written as safetensors and JSON, never pickled.

    Args:
        name: Name of the stage, for its files and log lines.
        config: Length, batch and learning rate.
        module: The module whose trainable parameters are moved.
        step: ``step(number, rng)`` returns named losses; ``loss`` among them is minimised.
        folder: Where training state and log go.
        seed: Seed of the stage.
        mixed_precision: ``bf16`` or ``no``.
    """

    def __init__(
        self,
        name: str,
        config: StageConfig,
        module: nn.Module,
        step: StepFunction,
        *,
        folder: Path,
        seed: int,
        mixed_precision: Literal["bf16", "no"] = "no",
    ) -> None:
        from accelerate import Accelerator

        self.name, self.config, self.folder = name, config, folder
        folder.mkdir(parents=True, exist_ok=True)
        self.accelerator = Accelerator(mixed_precision=mixed_precision)
        self.parameters = {n: p for n, p in module.named_parameters() if p.requires_grad}
        optimiser = torch.optim.AdamW(
            list(self.parameters.values()),
            lr=config.learning_rate,
            weight_decay=config.weight_decay,
            betas=(0.9, 0.98),
        )
        self.module, self.optimiser = self.accelerator.prepare(module, optimiser)
        self.step_function = step
        self.step = 0
        self.seconds = 0.0
        self.rng = np.random.default_rng(seed)
        torch.manual_seed(seed)

    def run(self, until: int | None = None) -> None:
        """Train to the end of the stage, or to a step, from the saved state if there is one."""
        self._resume()
        last = self.config.steps if until is None else until
        self.module.train()
        with (self.folder / f"{self.name}.jsonl").open("a", encoding="utf-8") as log:
            while self.step < last and self._progress() < 1:
                losses = self._one_step()
                line = {"stage": self.name, "step": self.step, "lr": self._learning_rate()}
                line |= {key: round(float(value), 5) for key, value in losses.items()}
                log.write(json.dumps(line | {"seconds": round(self.seconds, 2)}) + "\n")
                log.flush()
                if self.step % self.config.save_every == 0:
                    self.save()
        self.save()
        self.module.eval()

    def _one_step(self) -> Mapping[str, Tensor]:
        began = time.perf_counter()
        for group in self.optimiser.param_groups:
            group["lr"] = self._learning_rate()
        self.optimiser.zero_grad()
        with self.accelerator.autocast():
            losses = self.step_function(self.step, self.rng)
        self.accelerator.backward(finite(losses["loss"]))
        self.accelerator.clip_grad_norm_(list(self.parameters.values()), self.config.clip)
        self.optimiser.step()
        self.step += 1
        self.seconds += time.perf_counter() - began
        return {key: value.detach() for key, value in losses.items()}

    def _progress(self) -> float:
        by_steps = self.step / max(self.config.steps, 1)
        limit = self.config.max_seconds
        return max(by_steps, self.seconds / limit) if limit else by_steps

    def _learning_rate(self) -> float:
        at, warmup = self._progress(), self.config.warmup
        if at < warmup:
            return self.config.learning_rate * (0.05 + 0.95 * at / warmup)
        fall = (at - warmup) / max(1 - warmup, 1e-9)
        return self.config.learning_rate * (
            0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(fall, 1)))
        )

    def save(self) -> None:
        """Write the training state; the step file is written last and makes it valid."""
        if not self.accelerator.is_main_process:
            return
        tensors = {f"weight.{name}": p.detach().clone() for name, p in self.parameters.items()}
        for name, parameter in self.parameters.items():
            for key, value in self.optimiser.state.get(parameter, {}).items():
                tensors[f"optimiser.{key}.{name}"] = torch.as_tensor(value).clone()
        tensors["torch_rng"] = torch.get_rng_state()
        target = self.folder / f"{self.name}.{self.step}.safetensors"
        save_file(tensors, target)
        record = {"step": self.step, "seconds": self.seconds, "rng": self.rng.bit_generator.state}
        draft = self.folder / f"{self.name}.json.tmp"
        draft.write_text(json.dumps(record), encoding="utf-8")
        draft.replace(self.folder / f"{self.name}.json")
        for old in self.folder.glob(f"{self.name}.*.safetensors"):
            if old != target:
                old.unlink()

    def _resume(self) -> None:
        path = self.folder / f"{self.name}.json"
        if self.step or not path.is_file():
            return
        record = json.loads(path.read_text(encoding="utf-8"))
        tensors = load_file(self.folder / f"{self.name}.{record['step']}.safetensors")
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                parameter.copy_(tensors[f"weight.{name}"])
                state = {
                    key.split(".")[1]: value
                    for key, value in tensors.items()
                    if key.startswith("optimiser.") and key.split(".", 2)[2] == name
                }
                if state:
                    self.optimiser.state[parameter] = state
        torch.set_rng_state(tensors["torch_rng"])
        self.rng.bit_generator.state = record["rng"]
        self.step, self.seconds = record["step"], record["seconds"]
        logger.info("%s: resumed at step %d", self.name, self.step)
