"""Check settings, base and adapters of a training run before it begins, and find the step that it begins at."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import NamedTuple

from ccf_core.base.default import trained_base
from ccf_core.base.load import Base
from ccf_core.base.tokenizer import check_repeat_token, with_template
from ccf_core.config import TARGETS, CCFConfig
from ccf_core.errors import AdapterError, TrainingError
from ccf_core.model.adapter import Adapter
from ccf_core.training import checkpoint
from ccf_core.training.checkpoint import Cursor
from ccf_core.training.config import TrainingConfig

#: What the tensors of an adapter are shaped by.
SHAPING = ("encoder_rank", "decoder_rank", "repeat_rank", "targets", "ratios")


class PackedOnly(TrainingError):
    """The strategy can train neither with a reader nor with a LoRA for repeating."""


class OtherBase(TrainingError):
    """An adapter was trained on another base model than the one that is to be trained on."""


class Beginning(NamedTuple):
    """Where a run begins: the adapter's settings with the base's fingerprints; the place to go on from, if any, and
    whether a checkpoint in the run's own folder holds it."""

    config: CCFConfig
    cursor: Cursor | None
    resumed: bool

    @property
    def first(self) -> int:
        return self.cursor.step if self.cursor else 0


def beginning(
    base: Base,
    config: CCFConfig,
    run: TrainingConfig,
    folder: Path,
    *,
    start: Adapter | None = None,
    reader: Adapter | None = None,
    cursor: Cursor | None = None,
    allow_other_base: bool = False,
) -> Beginning:
    """Find where a run begins, with the arguments of ``ccf_core.training.loop.train``.

    Raises TrainingError for settings that do not go together, or not with the run in ``folder``; OtherBase and
    AdapterError for an adapter that does not fit, or whose repeat token texts hold.
    """
    config = dataclasses.replace(config, base=base.fingerprint, base_name=base.id, tokenizer=base.tokenizer_fingerprint)
    _check_settings(run, config, reader)
    check_repeat_token(with_template(base.tokenizer, config.chat_template), config.repeat_token)
    for given in filter(None, (start, reader)):
        _check_base(given, base, allow_other_base)
    for name in SHAPING:
        if start and getattr(config, name) != getattr(start.config, name):
            raise AdapterError(f"The adapter to start from has {name} {getattr(start.config, name)}: leave it out.")
    stopped = checkpoint.standing(folder, config)
    cursor = stopped or cursor
    if cursor and cursor.seed != run.seed:
        raise TrainingError(f"The run to go on with was drawn from seed {cursor.seed}: give --seed {cursor.seed}.")
    return Beginning(config, cursor, stopped is not None)


def _check_settings(run: TrainingConfig, config: CCFConfig, reader: Adapter | None) -> None:
    if run.mix.reader and reader is None:
        raise TrainingError("A mix with a reader needs the reader's adapter: give one as --reader.")
    if unknown := set(config.targets) - set(TARGETS):
        raise TrainingError(f"No linear layer is called {min(unknown)}: choose --targets from {', '.join(TARGETS)}.")
    if run.strategy != "packed" and (run.mix.reader or config.repeat_rank):
        raise PackedOnly(
            "--reader and --repeat-rank work with --strategy packed alone: choose that, or leave them out."
        )
    if len(run.mix.ratios) != len(config.ratios):
        ratios = ", ".join(map(str, config.ratios))
        raise TrainingError(f"--mix-ratios must be a share for each of the ratios {ratios}.")


def _check_base(adapter: Adapter, base: Base, allow_other_base: bool) -> None:
    adapter.check(base.model)
    trained = (adapter.config.base or base.fingerprint, adapter.config.tokenizer or base.tokenizer_fingerprint)
    if trained != (base.fingerprint, base.tokenizer_fingerprint) and not allow_other_base:
        raise OtherBase(
            f"The adapter was trained on another base model than {base.id}, on {trained_base(adapter.config)}: give "
            "that one as --base, or allow the difference with --allow-other-base."
        )
