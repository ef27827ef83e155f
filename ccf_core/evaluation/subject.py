"""The models that an evaluation measures: an adapter on its base, the base without it, and the yardstick reader."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import torch

from ccf_core.assets import DEFAULT_ADAPTER
from ccf_core.base.load import load_base
from ccf_core.ccf import CCF
from ccf_core.device import device_name
from ccf_core.evaluation.readers import READERS
from ccf_core.evaluation.rows import EvaluationError
from ccf_core.focus.focus import PIECE, SHARE, Focus
from ccf_core.memory.dtypes import MemoryDtype
from ccf_core.model.adapter import Adapter
from ccf_core.model.decoder import Decoder
from ccf_core.readers.base import Reader


@dataclass(frozen=True)
class Subject:
    """An adapter on its base.

    ccf : the base with the adapter.  plain : decodes with the base's own weights.
    yardstick : the base with an adapter that was trained to read full text alone; None if there is none for the base.
    """

    ccf: CCF
    plain: Decoder
    yardstick: CCF | None = None

    @classmethod
    def load(
        cls,
        adapter: str | Path | None,
        base: str | Path | None = None,
        device: str | torch.device | None = None,
        dtype: str | torch.dtype | None = None,
        yardstick: str | Path | None = None,
        *,
        allow_other_base: bool = False,
    ) -> Subject:
        """Load the adapter, as ``CCF.from_pretrained`` does, and the ``yardstick``, an adapter folder too, if it was
        trained on the same base."""
        trained = Adapter.named(adapter or DEFAULT_ADAPTER)
        loaded = load_base(base or trained.base_on_hub, device=device, dtype=dtype)
        if adapter is None and not allow_other_base:
            trained = trained.or_none(loaded)
        plain = Decoder(loaded.copy().model, trained.config)
        measure = None
        if yardstick and (reads := Adapter.load(yardstick)).config.base == loaded.fingerprint:
            measure = CCF(loaded.copy(), reads)
        return cls(CCF(loaded, trained, allow_other_base=allow_other_base), plain, measure)

    def has(self, reader: str) -> bool:
        """Tell whether the decoder that a reader reads with is there."""
        return READERS[reader].decoder_of != "yardstick" or self.yardstick is not None

    def decoder(self, reader: str) -> Decoder:
        """Choose the decoder that a reader reads with; EvaluationError if it is not there."""
        decoders = {
            "adapter": self.ccf.decoder,
            "base": self.plain,
            "yardstick": self.yardstick and self.yardstick.decoder,
        }
        if decoder := decoders[READERS[reader].decoder_of]:
            return decoder
        raise EvaluationError(f"There is no yardstick reader of this base for {reader!r}: name one with --yardstick.")

    def repeater(self, reader: str) -> Decoder:
        """Choose the decoder that writes again what a reader read: with the adapter's LoRA for repeating, if any."""
        decoder = self.decoder(reader)
        return self.ccf.repeater if decoder is self.ccf.decoder else decoder

    def reader(self, name: str, options: Options) -> Reader:
        """Make a reader with the settings of the options."""
        settings = options.seed, Focus(piece=options.piece), options.batch_size, options.report
        return READERS[name](self.decoder(name), self.ccf.tokenizer, *settings)

    def text(self, input_ids: Sequence[int]) -> str:
        """Decode token ids, special tokens left out."""
        return str(self.ccf.tokenizer.decode(list(input_ids), skip_special_tokens=True))

    def described(self) -> dict[str, object]:
        """Describe what is measured and, where it is there, what it is measured against."""
        against = {"yardstick": self.yardstick.adapter_fingerprint} if self.yardstick else {}
        return described(self.ccf) | against


def described(ccf: CCF) -> dict[str, object]:
    """Describe the adapter, base, dtype and device: keys that every result of ``ccf_core`` carries.

    ``origin`` is there for an adapter of the model hub: ``owner/name@commit``.
    """
    origin = {"origin": ccf.adapter.origin} if ccf.adapter.origin else {}
    return {
        "adapter": ccf.adapter_fingerprint,
        **origin,
        "base": {"id": ccf.base.id, "fingerprint": ccf.base.fingerprint},
        "dtype": str(ccf.model.dtype).removeprefix("torch."),
        "device": device_name(ccf.model.device),
    }


@dataclass(frozen=True)
class Options:
    """The settings of a task. No ``readers`` means all of the task's, no ``batch_size`` the device's.

    Of single tasks are k (perplexity: which segment, counted from 1), lengths (needle, stream: tokens of a document,
    the task's own if none are named), needles (needle: documents a cell) and unanswerable (qa: questions to add that a
    document does not answer). Readers that choose what they read by the question hold at most ``budget`` of a
    document's full cache; ``focus`` reads text in pieces of ``piece`` tokens, whole segments if 0.
    """

    ratios: tuple[int, ...]
    limit: int | None = None
    seed: int = 0
    readers: tuple[str, ...] = ()
    memory_dtype: MemoryDtype = "int8"
    batch_size: int | None = None
    k: tuple[int, ...] = (4, 16)
    lengths: tuple[int, ...] = ()
    needles: int = 10
    unanswerable: int = 0
    budget: Fraction = Fraction(1, SHARE)
    piece: int = PIECE
    report: Callable[[str], None] = lambda message: None
