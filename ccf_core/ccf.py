"""CCF: the public face. Text to memory, memory to text, questions to answers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import cast

import torch
from torch import Tensor
from transformers import DynamicCache

from ccf_core import answer as answering
from ccf_core.adapter import Adapter, merge_into
from ccf_core.answer import Answer, Timings
from ccf_core.base import Base, load_base
from ccf_core.baselines import BASELINES, position_bytes
from ccf_core.baselines.mean_pool import MeanPoolEncoder
from ccf_core.config import CCFConfig
from ccf_core.decoder import Decoder, Prefix, slot_segments
from ccf_core.device import choose_device
from ccf_core.encoder import Encoder
from ccf_core.errors import Cancelled, MemoryMismatch
from ccf_core.focus import Focus
from ccf_core.focus import read as read_for
from ccf_core.memory import Block, KVMemory, MemoryDtype, MemoryHeader, first_difference
from ccf_core.segment import Segmented, equal_lengths, segment_text
from ccf_core.transformer import StackSpec

Progress = Callable[[int, int], None]

#: What the decoder reads of a document.
READERS = ("memory", "focus", "full", "truncated", "none", *BASELINES, "mean_pool")


class CCF:
    """A base model with an adapter: encoder, decoder and tokenizer in one.

    Not safe for concurrent use; callers hold a lock of their own around the model.
    """

    def __init__(self, base: Base, adapter: Adapter, *, allow_other_base: bool = False) -> None:
        """Takes ``base`` over: its model becomes the adapted decoder.

        Raises MemoryMismatch if the adapter was trained on other weights or another tokenizer, unless
        ``allow_other_base``; AdapterError if it does not fit at all.
        """
        config = adapter.config
        if not allow_other_base:
            for name, trained, found in (
                ("weights", config.base, base.fingerprint),
                ("tokenizer", config.tokenizer, base.tokenizer_fingerprint),
            ):
                if trained and trained != found:
                    raise MemoryMismatch(
                        f"The adapter was trained on a base model with other {name}: load that base, "
                        "or allow the difference explicitly and expect worse results."
                    )
        adapter.check(base.model)
        self.base = base
        self.adapter = adapter
        self.config: CCFConfig = config
        self.tokenizer = base.tokenizer
        self.encoder = (Encoder if config.nested else MeanPoolEncoder)(base.model, adapter)
        merge_into(base.model, adapter)
        self.decoder = Decoder(base.model, config)
        self.model = base.model
        self.adapter_fingerprint = adapter.fingerprint

    @classmethod
    def from_pretrained(
        cls,
        adapter: str | Path = "assets/adapter",
        base: str | Path | None = None,
        device: str | torch.device | None = None,
        dtype: str | torch.dtype | None = None,
        *,
        progress: Callable[[float, str], None] | None = None,
        allow_other_base: bool = False,
    ) -> CCF:
        """Load an adapter folder on a base (a folder, a hub id, or the default one); see ``load_base``."""
        loaded = Adapter.load(adapter)
        return cls(
            load_base(base, device=device, dtype=dtype, progress=progress),
            loaded,
            allow_other_base=allow_other_base,
        )

    def to(self, device: str | torch.device) -> CCF:
        """Itself, moved; memories stay on the CPU. Raises DeviceUnavailable."""
        torch.nn.Module.to(self.model, choose_device(device))
        self.encoder.follow()
        # What it holds of the layers belongs to the device before.
        self.decoder = Decoder(self.model, self.config)
        return self

    def save_pretrained(self, folder: str | Path) -> None:
        self.adapter.save(folder)

    @property
    def header(self) -> MemoryHeader:
        """What memories made here say of their origin."""
        spec = StackSpec.of(self.model)
        return MemoryHeader(
            base=self.base.fingerprint,
            adapter=self.adapter_fingerprint,
            tokenizer=self.base.tokenizer_fingerprint,
            segment_length=self.config.segment_length,
            mask=self.config.mask if self.config.nested else self.config.compressor,
            ratios=self.config.ratios,
            layers=spec.layers,
            kv_heads=spec.kv_heads,
            head_dim=spec.head_dim,
        )

    @property
    def token_kv_bytes(self) -> int:
        """Bytes of one token of plain key-value cache in bf16."""
        header = self.header
        return header.layers * 2 * header.kv_heads * header.head_dim * 2

    # Text to memory

    @property
    def batch_size(self) -> int:
        """Segments that are encoded at once on this device."""
        return 8 if self.model.device.type == "cpu" else 128

    def segment(self, text: str | Sequence[int]) -> Segmented:
        """Tokenize and cut; NothingToCompress if there are no tokens."""
        return segment_text(text, self.tokenizer, self.config.segment_length)

    def encode(
        self,
        document: Segmented,
        segments: Sequence[int] | None = None,
        finest: int | None = None,
        dtype: MemoryDtype | None = None,
    ) -> Iterator[tuple[int, dict[int, Block]]]:
        """Yield (segment, its blocks by level) as they are encoded, the grain at which work can stop and resume."""
        finest = finest or self.config.finest
        wanted = range(len(document.spans)) if segments is None else segments
        batches = list(equal_lengths([(i, len(document.spans[i])) for i in wanted], self.batch_size))
        tokens = ([document.segment(i) for i in indices] for indices in batches)
        for indices, encoded in zip(batches, self.encoder.encode_each(tokens, finest, dtype), strict=True):
            yield from zip(indices, encoded, strict=True)

    def memory(self, document: Segmented, blocks: dict[int, dict[int, Block]], ratio: int) -> KVMemory:
        """Put encoded segments (all of them, by index) together, whatever finer levels they hold besides.

        Raises MemoryMismatch if mean-pooled segments hold any: they were made at another ratio.
        """
        levels = self.config.levels(ratio)
        if not self.config.nested and any(min(own) < ratio for own in blocks.values()):
            raise MemoryMismatch(f"These mean-pooled segments are of a finer ratio: encode them at {ratio}.")
        ordered = tuple({level: blocks[i][level] for level in levels} for i in range(len(document.spans)))
        return KVMemory(self.header, document.spans, ordered, ratio)

    def compress(
        self,
        text: str | Sequence[int],
        finest: int = 4,
        *,
        dtype: MemoryDtype | None = None,
        progress: Progress | None = None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> KVMemory:
        """Compress a text, or token ids, into a memory that serves every ratio from ``finest`` up.

        A mean-pooled memory serves ``finest`` alone. It is held as ``dtype``, or as it was computed.
        progress is told (tokens done, tokens in all). Raises Cancelled soon after ``cancelled()`` turns true.
        """
        document = self.segment(text)
        blocks: dict[int, dict[int, Block]] = {}
        done = 0
        for index, encoded in self.encode(document, None, finest, dtype):
            blocks[index] = encoded
            done += len(document.spans[index])
            if progress:
                progress(done, len(document.input_ids))
            if cancelled():
                raise Cancelled("Compression was cancelled; nothing was changed.")
        return self.memory(document, blocks, finest)

    # Memory to text

    def check(self, memory: KVMemory) -> None:
        """Raises MemoryMismatch unless the memory was made by this base, adapter, tokenizer and configuration."""
        first_difference(self.header, memory.header)

    def prefill(self, memory: KVMemory, prompt: Sequence[int] = ()) -> tuple[DynamicCache, Tensor, Tensor]:
        """(cache, attention_mask, position_ids) that make ``model.generate`` continue a memory.

        With a prompt of p tokens: mask (1, slots + p) and positions (1, p), for ``input_ids`` = that prompt. Without
        one, for a single token of the caller's. Call again for each generation: a cache grows as it is used.
        """
        self.check(memory)
        given = self.decoder.inputs([self.decoder.prefix(memory)], [list(prompt) or [self.config.repeat_token]])
        return given["past_key_values"], given["attention_mask"], given["position_ids"]  # type: ignore[return-value]

    def reconstruct_ids(
        self,
        memory: KVMemory,
        segments: Sequence[int] | None = None,
        batch_size: int = 16,
        *,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> list[list[int]]:
        """Greedy reconstruction of segments, each from its own slots alone: exactly as many tokens as it had.

        Raises Cancelled within a token after ``cancelled()`` turns true.
        """
        self.check(memory)
        wanted = list(range(memory.segments) if segments is None else segments)
        result: dict[int, list[int]] = {}
        for indices in equal_lengths([(i, len(memory.spans[i])) for i in wanted], batch_size):
            prefixes = [self.decoder.prefix(memory.select([i])) for i in indices]
            length = len(memory.spans[indices[0]])
            rows = self.decoder.generate(
                prefixes,
                [[self.config.repeat_token]] * len(indices),
                max_new_tokens=length,
                exactly=True,
                stopping_criteria=[answering.StopWhen(cancelled)],
            )
            if cancelled():
                raise Cancelled("The reconstruction was cancelled; nothing was changed.")
            result.update(zip(indices, rows, strict=True))
        return [result[i] for i in wanted]

    def reconstruct(self, memory: KVMemory, segments: Sequence[int] | None = None) -> list[str]:
        """Greedy reconstruction as text; see ``reconstruct_ids``."""
        return [cast(str, self.tokenizer.decode(ids)) for ids in self.reconstruct_ids(memory, segments)]

    # Questions

    def prefix_for(self, reader: str, memory: KVMemory | None, input_ids: Sequence[int] = ()) -> Prefix | None:
        """What ``reader`` puts before the question.

        ``memory`` reads a memory, ``mean_pool`` the same and insists that it is mean-pooled. The others read
        ``input_ids``, the document's tokens: ``full`` all; ``truncated`` the first ones, and the readers of
        ``BASELINES`` a part of each head's cache, with as many bytes as the decoder holds for the memory at its ratio.
        What ``focus`` reads depends on the question: ``answer`` chooses it.
        """
        if reader == "none":
            return None
        if reader not in READERS:
            raise ValueError(f"the reader must be one of {', '.join(READERS)}, not {reader!r}")
        if reader != "full" and memory is None:
            raise ValueError(f"the reader {reader!r} needs a memory to read, or to match in bytes")
        if reader in ("memory", "mean_pool"):
            assert memory is not None
            if reader == "mean_pool" and self.config.nested:
                raise MemoryMismatch("This adapter's memories are made of slots: read them as 'memory'.")
            self.check(memory)
            return self.decoder.prefix(memory)
        if reader == "focus":
            raise ValueError("what 'focus' reads depends on the question: call answer(…, reader='focus')")
        if not len(input_ids):
            raise ValueError(f"the reader {reader!r} needs the document's tokens as input_ids")
        if reader == "full":
            return self.decoder.read_text(input_ids)
        assert memory is not None
        if reader == "truncated":
            return self.decoder.read_text(input_ids[: memory.slots])
        pruning = BASELINES[reader](self.tokenizer)
        return pruning.compress(self.decoder, input_ids, memory.slots * position_bytes(self.decoder))

    def answer(
        self,
        question: str,
        memory: KVMemory | None,
        max_new_tokens: int = 64,
        *,
        stream: bool = False,
        reader: str = "memory",
        input_ids: Sequence[int] = (),
        with_evidence: bool = True,
        cancelled: Callable[[], bool] = lambda: False,
        history: Sequence[tuple[str, str]] = (),
        focus: Focus | None = None,
    ) -> Answer | Iterator[str | Answer]:
        """Answer from a memory (or as another ``reader``), greedily, after ``history``: questions and their answers.

        With ``stream`` returns an iterator over pieces of text whose last item is the Answer. Evidence is computed
        for the readers of memories alone; its segments index ``memory.spans``. The reader ``focus`` reads at most
        ``focus.budget`` positions of the memory, held down to the finest ratio it may use, and of ``input_ids``.
        """
        prompt = answering.question_prompt(self.tokenizer, question, history)
        asked = " ".join([*(said for said, _ in history), question])
        pieces = self._answer(
            prompt, memory, max_new_tokens, reader, input_ids, with_evidence, cancelled, asked, focus or Focus()
        )
        if stream:
            return pieces
        *_, last = pieces
        assert isinstance(last, Answer)
        return last

    def _answer(
        self,
        prompt: Sequence[int],
        memory: KVMemory | None,
        max_new_tokens: int,
        reader: str,
        input_ids: Sequence[int],
        with_evidence: bool,
        cancelled: Callable[[], bool],
        asked: str,
        focus: Focus,
    ) -> Iterator[str | Answer]:
        started = time.perf_counter()
        focused, prefix = None, None
        if reader == "focus" and memory is not None:
            self.check(memory)
            focused, prefix = read_for(self.decoder, self.tokenizer, asked, prompt, memory, input_ids, focus, cancelled)
        else:
            prefix = self.prefix_for(reader, memory, input_ids)
        loaded = time.perf_counter() - started
        ids: list[int] = []
        first = rate = 0.0
        for piece in answering.stream(self.decoder, self.tokenizer, prefix, prompt, max_new_tokens, cancelled):
            if isinstance(piece, str):
                yield piece
            else:
                ids, first, rate = piece
        shares: tuple[answering.Evidence, ...] = ()
        if with_evidence and reader in ("memory", "focus", "mean_pool") and memory is not None and prefix and ids:
            attention = answering.slot_attention(self.decoder, prefix, prompt, ids)
            told = focused.evidence if focused else partial(answering.evidence, segments=slot_segments(memory))
            shares = told(attention)
        text_tokens = memory.tokens if memory is not None else len(input_ids)
        yield Answer(
            text=cast(str, self.tokenizer.decode(ids, skip_special_tokens=True)).strip(),
            reader=reader,
            timings=Timings(loaded, first, rate),
            kv_bytes=prefix.nbytes if prefix else 0,
            full_kv_bytes=text_tokens * self.token_kv_bytes,
            evidence=shares,
        )
