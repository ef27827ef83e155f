"""Two kinds of checkpoints of a run.

Exact: weights in float32, optimiser moments and the step, to go on as if never stopped. Portable: the adapter in
bfloat16 in parts of at most 8.5 MB (49 MB for the shipped shape) and a cursor; moments are left behind. Batches and
ratios are drawn from (seed, number) alone, so seed and step are all the generator states that a run has.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from ccf_core.base.default import trained_base
from ccf_core.config import CCFConfig
from ccf_core.errors import AdapterError, TrainingError
from ccf_core.model.adapter import Adapter
from ccf_core.training.model import TrainingModel


@dataclass(frozen=True)
class Cursor:
    """Where a run stands: the next ``step`` of the batches drawn from ``seed``."""

    step: int = 0
    seed: int = 0


def save(folder: Path, model: TrainingModel, optimizer: torch.optim.Optimizer, cursor: Cursor) -> None:
    """Write both kinds, the portable one in ``folder/portable``; each file is replaced whole, the state last."""
    names = list(model.trainable)
    moments = {
        f"{name}.{key}": value.cpu() if value.ndim else value.cpu().reshape(1)
        for name, p in zip(names, model.trainable.values(), strict=True)
        for key, value in optimizer.state[p].items()
    }
    weights = {name: p.detach().cpu() for name, p in model.trainable.items()}
    for name, tensors in (("weights", weights), ("moments", moments)):
        save_file(tensors, folder / f"{name}.part")
        (folder / f"{name}.part").replace(folder / f"{name}.safetensors")
    model.adapter().save(folder / "portable", "bfloat16")
    for path in (folder / "portable" / "cursor.json", folder / "state.json"):
        part = path.with_suffix(".part")
        part.write_text(json.dumps(asdict(cursor)) + "\n")
        part.replace(path)


def standing(folder: Path, config: CCFConfig) -> Cursor | None:
    """Read where the run in ``folder`` stands; None if it has no checkpoint yet.

    Raises TrainingError if that run trains another adapter than one of ``config``, or the checkpoint is damaged.
    """
    if not (folder / "state.json").exists():
        return None
    try:
        own = CCFConfig.load(folder / "portable" / "ccf.json")
    except (OSError, ValueError, TypeError) as error:
        raise _damaged(folder) from error
    cursor = _cursor(folder / "state.json")
    if (own.base, own.tokenizer) != (config.base, config.tokenizer):
        raise TrainingError(
            f"The run in {folder} trains on another base model, {trained_base(own)}: give that --base, or begin a new "
            f"run in another --out with --start {folder / 'portable'} --allow-other-base."
        )
    for name, value in vars(own).items():
        # What is learned of the repeat token is its vector, whatever the id.
        if name not in ("base_name", "repeat_token") and getattr(config, name) != value:
            raise TrainingError(
                f"The run in {folder} has {name} {value}, not {getattr(config, name)}: give what it began with, or "
                "another --out for a new run."
            )
    return cursor


def resume(folder: Path, model: TrainingModel, optimizer: torch.optim.Optimizer) -> None:
    """Put an exact checkpoint back into model and optimiser. Raises TrainingError if it is damaged."""
    fused = optimizer.param_groups[0]["fused"]
    try:
        weights, moments = (load_file(folder / f"{name}.safetensors") for name in ("weights", "moments"))
        with torch.no_grad():
            for name, p in model.trainable.items():
                p.copy_(weights[name])
                if f"{name}.step" not in moments:  # it does not learn
                    continue
                optimizer.state[p] = {
                    "step": moments[f"{name}.step"].reshape(()).to(p.device if fused else "cpu"),
                    **{key: moments[f"{name}.{key}"].to(p.device) for key in ("exp_avg", "exp_avg_sq")},
                }
    except (OSError, SafetensorError, KeyError, RuntimeError) as error:
        raise _damaged(folder) from error


def load_portable(folder: Path) -> tuple[Adapter, Cursor]:
    """Read adapter and cursor of a portable checkpoint. Raises AdapterError or TrainingError if it is none."""
    adapter = Adapter.load(folder)
    if not (folder / "cursor.json").is_file():
        raise AdapterError(f"{folder} holds an adapter but no cursor.json: give it as --start for a new run.")
    return adapter, _cursor(folder / "cursor.json")


def _cursor(path: Path) -> Cursor:
    try:
        cursor = Cursor(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise _damaged(path.parent) from error
    if not all(isinstance(number, int) and number >= 0 for number in (cursor.step, cursor.seed)):
        raise _damaged(path.parent)
    return cursor


def _damaged(folder: Path) -> TrainingError:
    return TrainingError(f"The checkpoint in {folder} is damaged: copy it again, or give another --out for a new run.")
