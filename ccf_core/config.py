"""CCFConfig: the numbers that make a memory what it is, saved beside every adapter."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from ccf_core.errors import AdapterError, AdapterNeeded

Mask = Literal["whole"]
Compressor = Literal["slots", "mean_pool", "pruned"]
#: Compressors that are learned; the other is the base itself.
TRAINED = ("slots", "mean_pool")
#: What adapters could once be trained with: (option, value, what took its place).
REMOVED = (("mask", "prefix", "whole"), ("compressor", "pooled_slots", "slots"))

#: Fields that the first adapters did not have.
LATER = ("compressor", "targets", "repeat_rank", "chat_template", "ranking", "base_name")
#: Levels of a memory without an adapter: at 1 it holds every token.
PRUNED_RATIOS = (1, 2, 4, 8, 16, 32)
#: Linear layers of a decoder block that carry a LoRA pair, by their Hugging Face names.
TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True)
class CCFConfig:
    """Shape of the memory and of the adapter.

    segment_length : text tokens a segment (the last one of a document may be shorter).
    ratios : text tokens a slot, ascending; each divides the next. Also the names of the levels.
    mask : what a slot sees of its segment's text, which is all of it.
    slot_window : tokens whose embeddings are averaged into a slot's input; ``None`` is the level's own ratio.
    compressor : what a slot is: an appended token (``slots``), or the mean of a block of text (``mean_pool``, see
        ``ccf_core.baselines.mean_pool``), or a token of it that the base itself read (``pruned``, see
        ``ccf_core.baselines.memories``).
    targets : linear layers with a LoRA pair.
    encoder_rank, decoder_rank : LoRA ranks; ``lora_scale`` multiplies B·A.
    repeat_rank : rank of a LoRA that is added to the decoder's while it repeats a text; 0: there is none.
    repeat_token : the token, which no text holds, whose learned embedding starts a reconstruction; may lie behind the
        base's embeddings. 3 is a special one of the default base; ``Base.new_config`` chooses for any base.
    chat_template : Jinja template in which questions are put; empty: the base's own.
    ranking : of ``pruned``, which tokens are kept: a name of ``ccf_core.baselines.RANKINGS``.
    base, tokenizer : fingerprints of what the adapter was trained on; empty means any.
    base_name : what people call that base, its hub id or folder; two configurations that differ in it alone are equal.
    """

    segment_length: int = 256
    ratios: tuple[int, ...] = (4, 8, 16, 32)
    mask: Mask = "whole"
    slot_window: int | None = 4
    encoder_rank: int = 56
    decoder_rank: int = 24
    lora_scale: float = 2.0
    repeat_token: int = 3
    compressor: Compressor = "slots"
    targets: tuple[str, ...] = TARGETS
    repeat_rank: int = 0
    chat_template: str = ""
    ranking: str = ""
    base: str = ""
    base_name: str = field(default="", compare=False)
    tokenizer: str = ""

    def __post_init__(self) -> None:
        if self.mask != "whole":
            raise ValueError(f"mask must be 'whole', not {self.mask!r}")
        if self.compressor not in get_args(Compressor):
            raise ValueError(f"compressor must be one of {', '.join(get_args(Compressor))}, not {self.compressor!r}")
        if self.segment_length < 1 or not self.ratios:
            raise ValueError("segment_length must be positive and ratios not empty")
        if any(coarse % fine or coarse <= fine for fine, coarse in zip(self.ratios, self.ratios[1:], strict=False)):
            raise ValueError(f"each ratio must divide the next, larger one: {self.ratios}")
        if bool(self.ranking) == self.trained:
            raise ValueError("a ranking of tokens belongs to the compressor 'pruned', which has one")

    @classmethod
    def pruned(cls, ranking: str) -> CCFConfig:
        """Make the configuration of memories that a base makes without an adapter."""
        return cls(
            ratios=PRUNED_RATIOS, encoder_rank=0, decoder_rank=0, targets=(), compressor="pruned", ranking=ranking
        )

    @property
    def trained(self) -> bool:
        """Whether there is an adapter; without one a base reads and writes as it came."""
        return self.compressor in TRAINED

    def check_trained(self, what: str) -> None:
        """Raise AdapterNeeded, which says that ``what`` needs one, where there is no adapter."""
        if not self.trained:
            raise AdapterNeeded(what)

    @property
    def ranks(self) -> dict[str, int]:
        """List the LoRA rank of each side that the adapter has."""
        sides = {"encoder": self.encoder_rank, "decoder": self.decoder_rank, "repeat": self.repeat_rank}
        return {side: rank for side, rank in sides.items() if rank or side != "repeat"}

    @property
    def finest(self) -> int:
        return self.ratios[0]

    @property
    def nested(self) -> bool:
        """Whether the memory at one ratio holds those at all coarser ones."""
        return self.compressor != "mean_pool"

    def levels(self, ratio: int) -> tuple[int, ...]:
        """List the levels that a memory at ``ratio`` holds, coarse to fine.

        Raises ValueError for a ratio that is not one of ``ratios``.
        """
        if ratio not in self.ratios:
            raise ValueError(f"the ratio must be one of {', '.join(map(str, self.ratios))}, not {ratio}")
        return tuple(level for level in reversed(self.ratios) if level >= ratio)

    def as_dict(self) -> dict[str, object]:
        """List all values by name, as they are saved.

        Fields added after the first release are omitted at their default value, so old adapters keep their fingerprint.
        """
        later = {f.name: f.default for f in dataclasses.fields(self) if f.name in LATER}
        return {name: value for name, value in vars(self).items() if later.get(name) != value or name not in later}

    def identity(self) -> dict[str, object]:
        """List the values that are fingerprinted: all that are saved but names for people."""
        compared = {f.name for f in dataclasses.fields(self) if f.compare}
        return {name: value for name, value in self.as_dict().items() if name in compared}

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(self.as_dict(), indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> CCFConfig:
        """Read what ``save`` wrote. Raises AdapterError for a removed option, ValueError or TypeError for damage."""
        raw: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        for name, value, instead in REMOVED:
            if raw.get(name) == value:
                raise AdapterError(
                    f"The adapter in {path.parent} was trained with {name} {value!r}, which is no longer supported: "
                    f"train one with {instead!r}, or choose another adapter."
                )
        for name, value in raw.items():
            raw[name] = tuple(value) if isinstance(value, list) else value
        return cls(**raw)
