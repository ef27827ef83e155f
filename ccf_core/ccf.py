"""CCF: the public face. Text to memory, memory to text, questions to answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, cast

import torch

from ccf_core.answering.answer import Answer
from ccf_core.answering.prompt import question_prompt
from ccf_core.answering.repeat import repeat, repeater_of
from ccf_core.assets import DEFAULT_ADAPTER
from ccf_core.base.default import trained_base
from ccf_core.base.load import Base, load_base
from ccf_core.base.spec import StackSpec
from ccf_core.base.tokenizer import check_repeat_token, with_template
from ccf_core.baselines import RANKINGS
from ccf_core.baselines.mean_pool import MeanPoolEncoder
from ccf_core.baselines.memories import PrunedEncoder
from ccf_core.config import CCFConfig
from ccf_core.device import choose_device
from ccf_core.errors import AdapterError, Cancelled, MemoryMismatch, WrongArgument
from ccf_core.focus.focus import Focus
from ccf_core.memory.block import Block
from ccf_core.memory.dtypes import MemoryDtype
from ccf_core.memory.memory import KVMemory, MemoryHeader, check_compatible, check_memory
from ccf_core.memory.segments import Segmented, check_text, equal_lengths, segment_text, token_ids
from ccf_core.model.adapter import Adapter, merge_into
from ccf_core.model.decoder import Decoder
from ccf_core.model.encoder import Encoder
from ccf_core.model.layers import embedding_table
from ccf_core.model.prefix import Prefix
from ccf_core.readers.ask import check_unasked, read, write
from ccf_core.readers.base import Reading

Progress = Callable[[int, int], None]


class CCF:
    """A base model with an adapter: encoder, decoder and tokenizer in one.

    Not safe for concurrent use; callers hold a lock of their own around the model.
    """

    def __init__(self, base: Base, adapter: Adapter, *, allow_other_base: bool = False) -> None:
        """Take ``base`` over: its model becomes the adapted decoder.

        Raises MemoryMismatch if the adapter was trained on other weights or another tokenizer, unless
        ``allow_other_base``; AdapterError if it does not fit at all, or its repeat token is one that texts hold.
        """
        config = adapter.config
        if not allow_other_base:
            for name, trained, found in (
                ("other weights", config.base, base.fingerprint),
                ("another tokenizer", config.tokenizer, base.tokenizer_fingerprint),
            ):
                if trained and trained != found:
                    raise MemoryMismatch(
                        f"The adapter was trained on {trained_base(config)}, and {base.id} is a "
                        f"base with {name}: load the one it was trained on, or allow another of its size "
                        "(allow_other_base=True, --allow-other-base, CCF_ALLOW_OTHER_BASE=1) and expect worse results."
                    )
        adapter = adapter.on(base)
        config = adapter.config
        adapter.check(base.model)
        self.tokenizer = with_template(base.tokenizer, config.chat_template)
        self.base = base
        self.adapter = adapter
        self.config: CCFConfig = config
        if config.trained:
            check_repeat_token(self.tokenizer, config.repeat_token)
            self._encoder = (Encoder if config.nested else MeanPoolEncoder)(base.model, adapter)
        elif config.ranking not in RANKINGS:
            raise AdapterError(f"There is no ranking {config.ranking!r}: choose {', '.join(RANKINGS)}.")
        merge_into(base.model, adapter)
        self.decoder = Decoder(base.model, config)
        self.model = base.model
        self.adapter_fingerprint = adapter.fingerprint

    @property
    def encoder(self) -> Encoder:
        """The encoder of slots. Raises AdapterNeeded where there is no adapter: then ``encode`` reads with the base."""
        self.config.check_trained("What slots look at")
        return self._encoder

    @classmethod
    def from_pretrained(
        cls,
        adapter: str | Path | None = None,
        base: str | Path | None = None,
        device: str | torch.device | None = None,
        dtype: str | torch.dtype | None = None,
        *,
        revision: str | None = None,
        token: str | None = None,
        progress: Callable[[float, str], None] | None = None,
        allow_other_base: bool = False,
    ) -> CCF:
        """Load an adapter on a base, each a folder or a name on the model hub; see ``Adapter.named`` and ``load_base``.

        adapter : "none" for any base as it is, whose memories are then parts of its own cache; "none:RANKING" to name
        the way in which they are chosen, one of ``ccf_core.baselines.RANKINGS``. Unless it is named it is the one that
        comes with the code, and none for bases that this was not trained on.

        Without a base it is the one on the hub that the adapter names, otherwise the default one.
        ``revision`` and ``token`` are for the adapter.
        """
        trained = Adapter.named(adapter or DEFAULT_ADAPTER, revision, token)
        loaded = load_base(base or trained.base_on_hub, device=device, dtype=dtype, progress=progress)
        if adapter is None and not allow_other_base:
            trained = trained.or_none(loaded)
        return cls(loaded, trained, allow_other_base=allow_other_base)

    @cached_property
    def repeater(self) -> Decoder:
        """The decoder that writes segments again: ``decoder`` itself, or with the adapter's LoRA for repeating.

        Raises AdapterNeeded where there is no adapter.
        """
        self.config.check_trained("Writing a text again from its memory")
        return repeater_of(self.decoder, self.adapter)

    def to(self, device: str | torch.device) -> CCF:
        """Move to a device and return itself; memories stay on the CPU. Raises DeviceUnavailable."""
        torch.nn.Module.to(self.model, choose_device(device))
        if self.config.trained:
            self._encoder.follow()
        # The old decoder holds joined layers of the device before.
        self.decoder = Decoder(self.model, self.config)
        self.__dict__.pop("repeater", None)
        return self

    @property
    def header(self) -> MemoryHeader:
        """Describe the origin of the memories made here."""
        spec = StackSpec.of(self.model)
        return MemoryHeader(
            base=self.base.fingerprint,
            adapter=self.adapter_fingerprint,
            tokenizer=self.base.tokenizer_fingerprint,
            segment_length=self.config.segment_length,
            mask=self.config.mask if self.config.compressor == "slots" else self.config.compressor,
            ratios=self.config.ratios,
            layers=spec.layers,
            kv_heads=spec.kv_heads,
            head_dim=spec.head_dim,
        )

    @property
    def token_kv_bytes(self) -> int:
        """Bytes of one token of plain key-value cache in bf16."""
        return self.base.kv_bytes(torch.bfloat16)

    @property
    def vocabulary(self) -> int:
        """Number of tokens that the base knows."""
        return len(embedding_table(self.model))

    # Text to memory

    @property
    def batch_size(self) -> int:
        """Segments that are encoded at once on this device."""
        return 8 if self.model.device.type == "cpu" else 128

    def segment(self, text: str | Sequence[int]) -> Segmented:
        """Tokenize and cut.

        Raises NothingToCompress if there are no tokens, WrongArgument for what is neither a text nor ids of its tokens.
        """
        if not isinstance(text, str):
            text = token_ids(text, self.vocabulary, "one text, or its token ids")
        return segment_text(text, self.tokenizer, self.config.segment_length)

    def encode(
        self,
        document: Segmented,
        segments: Sequence[int] | None = None,
        finest: int | None = None,
        dtype: MemoryDtype | None = None,
    ) -> Iterator[tuple[int, dict[int, Block]]]:
        """Yield (segment, its blocks by level) as they are encoded, the grain at which work can stop and resume.

        Without an adapter segments are read after one another: those before the ones that are wanted are read, too.
        """
        finest = finest or self.config.finest
        wanted = range(len(document.spans)) if segments is None else segments
        if not self.config.trained:
            pruned = PrunedEncoder(self.decoder, RANKINGS[self.config.ranking](self.tokenizer))
            yield from pruned.encode_document(document, self.header, wanted, finest, dtype)
            return
        batches = list(equal_lengths(((i, len(document.spans[i])) for i in wanted), self.batch_size))
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
        """Compress a text, or token ids, into a memory that can be read at every ratio from ``finest`` up.

        A mean-pooled memory is read at ``finest`` alone. It is held as ``dtype``, or as it was computed.
        ``progress`` is called with (tokens done, all tokens). Raises Cancelled soon after ``cancelled()`` turns true,
        and WrongArgument for what is no text, the name of a file among that.
        """
        check_text(text)
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
        """Raise MemoryMismatch unless the memory was made by this base, adapter, tokenizer and configuration.

        Raises WrongArgument for what is no memory.
        """
        check_memory(memory)
        check_compatible(self.header, memory.header)

    def reconstruct_ids(
        self,
        memory: KVMemory,
        segments: Sequence[int] | None = None,
        batch_size: int = 16,
        *,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> list[list[int]]:
        """Reconstruct segments greedily, each from its own slots alone: exactly as many tokens as it had.

        Raises Cancelled within a token after ``cancelled()`` turns true.
        """
        self.check(memory)
        wanted = range(memory.segments) if segments is None else memory.numbers(segments)
        return repeat(self.repeater, memory, wanted, batch_size, cancelled)

    def reconstruct(self, memory: KVMemory, segments: Sequence[int] | None = None) -> list[str]:
        """Reconstruct segments as text; see ``reconstruct_ids``."""
        return [cast(str, self.tokenizer.decode(ids)) for ids in self.reconstruct_ids(memory, segments)]

    # Questions

    def prefix_for(self, reader: str, memory: KVMemory | None, input_ids: Sequence[int] = ()) -> Prefix | None:
        """Read what a reader of ``ccf_core.readers.READERS`` puts before any question; None if that is nothing.

        ``memory`` reads a memory, ``mean_pool`` the same and insists that it is mean-pooled. The others read
        ``input_ids``, the document's tokens: ``full`` all; ``truncated`` the first ones, and the readers of pruned
        caches a part of each head's cache, as many positions as the memory has slots.
        Raises ValueError for an unknown reader, for one that lacks what it reads, and for ``focus``: what that reads
        depends on the question, so ``answer`` chooses it.
        """
        input_ids = self._checked(memory, input_ids)
        check_unasked(reader)
        return self._reading(reader, memory, input_ids).prefix(self.decoder)

    def prefill(self, memory: KVMemory, question: str | Sequence[int]) -> dict[str, object]:
        """Make the arguments with which transformers' ``model.generate`` answers from a memory, beams and samples too.

        question : a text for the chat template, or token ids that follow the memory as they are.

        Returns ``input_ids`` and ``position_ids`` (1, prompt), ``attention_mask`` (1, slots + prompt), all int64, the
        cache of the slots, by the name that the installed transformers has for it, and ``suppress_tokens``. A cache
        grows with what is written: each generation needs arguments of its own. Raises what ``check`` raises.
        """
        self.check(memory)
        if isinstance(question, str):
            question = question_prompt(self.tokenizer, question)
        known = max(self.vocabulary, self.config.repeat_token + 1)
        prompt = token_ids(question, known, "a question, or its token ids")
        given = self.decoder.inputs([self.decoder.prefix(memory)], [prompt])
        return given | {"suppress_tokens": [self.config.repeat_token]}

    def _checked(self, memory: object, input_ids: Sequence[int]) -> tuple[int, ...]:
        """Check a memory, if there is one, and a text's token ids. Raises WrongArgument."""
        if memory is not None:
            check_memory(memory)
        return token_ids(input_ids, self.vocabulary)

    def _reading(self, reader: str, memory: KVMemory | None, input_ids: Sequence[int], **asked: Any) -> Reading:
        return read(reader, self.decoder, self.tokenizer, memory, input_ids, check=self.check, **asked)

    def _writing(
        self, reader: str, reading: Callable[[], Reading], prompt: Sequence[int], new: int, tokens: int, **options: Any
    ) -> Iterator[str | Answer]:
        full = tokens * self.token_kv_bytes
        return write(reader, self.decoder, self.tokenizer, reading, prompt, new, full_kv_bytes=full, **options)

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
        ``focus.budget`` positions of the memory, held down to the finest ratio it may use, and of ``input_ids``;
        ``graded`` likewise, and without that budget as many as the memory has slots.
        """
        input_ids = self._checked(memory, input_ids)
        if not isinstance(question, str):
            raise WrongArgument(f"A question is a text, not {type(question).__name__}.")
        prompt = question_prompt(self.tokenizer, question, history)
        asked = " ".join([*(said for said, _ in history), question])
        wanted = {"prompt": prompt, "text": asked, "focus": focus, "cancelled": cancelled}
        reading = partial(self._reading, reader, memory, input_ids, **wanted)
        tokens = memory.tokens if memory is not None else len(input_ids)
        options = {"with_evidence": with_evidence, "cancelled": cancelled}
        pieces = self._writing(reader, reading, prompt, max_new_tokens, tokens, **options)
        return pieces if stream else _last(pieces)

    def continue_text(
        self,
        memory: KVMemory | None,
        input_ids: Sequence[int],
        max_new_tokens: int = 64,
        *,
        budget: int | None = None,
        reader: str = "graded",
        stream: bool = False,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> Answer | Iterator[str | Answer]:
        """Continue a text greedily from its memory, without the chat template, up to an end token.

        memory : of all of ``input_ids``, the text's tokens, held down to the finest ratio that may be read.
        budget : positions of cache for slots and text, as many as the memory has slots if None.
        reader : how the text is read, ``graded`` unless another one is to be compared with it.

        The decoder goes on from the text's last token; a reader that reads no text has that token alone after its
        slots. With ``stream`` as in ``answer``; the Answer's text is as it was written, and it has no evidence.
        Raises BudgetTooSmall; ValueError without ``input_ids`` and for a reader that needs a question.
        """
        input_ids = self._checked(memory, input_ids)
        check_unasked(reader)
        if not len(input_ids):
            raise ValueError("a text goes on from its last token: give its tokens as input_ids")

        def reading() -> Reading:
            whole = self._reading(reader, memory, input_ids, focus=Focus(budget), cancelled=cancelled)
            return replace(whole, text=whole.text[:-1])

        options = {"with_evidence": False, "as_written": True, "cancelled": cancelled}
        pieces = self._writing(reader, reading, input_ids[-1:], max_new_tokens, len(input_ids), **options)
        return pieces if stream else _last(pieces)


def _last(pieces: Iterator[str | Answer]) -> Answer:
    """Let all pieces come and take the Answer, which is the last one."""
    *_, last = pieces
    assert isinstance(last, Answer)
    return last
