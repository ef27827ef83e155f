"""What is measured: an adapter on its base, beside the base as it was."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import torch

from ccf_core.adapter import Adapter
from ccf_core.base import load_base
from ccf_core.codec import CCF
from ccf_core.decoder import Decoder
from ccf_core.focus import PIECE, SHARE
from ccf_core.memory import MemoryDtype


@dataclass(frozen=True)
class Subject:
    """``ccf`` is the base with the adapter; ``plain`` reads with the base's own weights."""

    ccf: CCF
    plain: Decoder

    @classmethod
    def load(
        cls,
        adapter: str | Path,
        base: str | Path | None = None,
        device: str | torch.device | None = None,
        dtype: str | torch.dtype | None = None,
    ) -> Subject:
        trained = Adapter.load(adapter)
        loaded = load_base(base, device=device, dtype=dtype)
        plain = Decoder(loaded.copy().model, trained.config)
        return cls(CCF(loaded, trained), plain)

    def decoder(self, reader: str) -> Decoder:
        """Readers named ``base_…`` are the untouched base."""
        return self.plain if reader.startswith("base_") else self.ccf.decoder

    def described(self) -> dict[str, object]:
        return described(self.ccf)


def described(ccf: CCF) -> dict[str, object]:
    """Keys that every result of ``ccf_core`` carries."""
    return {
        "adapter": ccf.adapter_fingerprint,
        "base": {"id": ccf.base.id, "fingerprint": ccf.base.fingerprint},
        "dtype": str(ccf.model.dtype).removeprefix("torch."),
        "device": device_name(ccf.model.device),
    }


def device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)


@dataclass(frozen=True)
class Options:
    """How a task is run. No ``readers`` means all of the task's, no ``batch_size`` the device's.

    Of single tasks are k (perplexity: which segment, counted from 1), lengths and needles (needle: tokens of a
    document, documents a cell) and unanswerable (qa: questions to add that a document does not answer). Readers that
    choose what they read by the question hold at most ``budget`` of a document's full cache; ``focus``
    reads text in pieces of ``piece`` tokens, whole segments if 0.
    """

    ratios: tuple[int, ...]
    limit: int | None = None
    seed: int = 0
    readers: tuple[str, ...] = ()
    memory_dtype: MemoryDtype = "int8"
    batch_size: int | None = None
    k: tuple[int, ...] = (4, 16)
    lengths: tuple[int, ...] = (1000, 2000, 4000, 8000)
    needles: int = 10
    unanswerable: int = 0
    budget: Fraction = Fraction(1, SHARE)
    piece: int = PIECE
    report: Callable[[str], None] = lambda message: None
