"""Looking into memories: segments, reconstructions beside their originals, sizes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from app.ingest import document_slots
from app.library import page_at
from app.memories import Memories
from app.views import Cancelled, RatioSavings, Reconstruction, Savings, SegmentView, Word
from ccf_core import CCF, KVMemory
from ccf_core import Cancelled as WasCancelled
from ccf_core.evaluation.metrics import exact_token, rouge_l
from store import Store

PREVIEW = 160
BATCH = 8


class Inspecting:
    def __init__(self, store: Store, memories: Memories) -> None:
        self.store = store
        self.memories = memories

    def segments(self, sha256: str) -> list[SegmentView]:
        """See ``Workbench.segments``."""
        document = self.store.documents.get(sha256)
        text = self.store.documents.text(sha256)
        return [
            SegmentView(
                index=span.index,
                token_start=span.start,
                token_end=span.end,
                start=span.char_start,
                end=span.char_end,
                page=page_at(document, span.char_start),
                preview=" ".join(text[span.char_start : min(span.char_end, span.char_start + PREVIEW)].split()),
            )
            for span in self.memories.segmented(sha256).spans
        ]

    def reconstruct(self, sha256: str, segment: int, ratio: int, cancelled: Cancelled) -> Reconstruction:
        """See ``Workbench.reconstruct``."""
        return self._reconstruct(sha256, [segment], ratio, cancelled)[0]

    def reconstruct_all(
        self, sha256: str, ratio: int, segments: Sequence[int] | None, cancelled: Cancelled
    ) -> Iterator[Reconstruction]:
        """See ``Workbench.reconstruct_all``."""
        spans = self.memories.segmented(sha256, cancelled).spans
        wanted = range(len(spans)) if segments is None else segments
        for start in range(0, len(wanted), BATCH):
            if cancelled():
                raise WasCancelled("Reconstruction was cancelled.")
            yield from self._reconstruct(sha256, wanted[start : start + BATCH], ratio, cancelled)

    def _reconstruct(
        self, sha256: str, segments: Sequence[int], ratio: int, cancelled: Cancelled
    ) -> list[Reconstruction]:
        recalled = self.memories.recall(sha256, ratio, segments, cancelled=cancelled)
        document = self.store.documents.get(sha256)
        text = self.store.documents.text(sha256)
        tokens = self.memories.segmented(sha256, cancelled)
        ccf = self.memories.model.load()
        memory = recalled.memory
        with self.memories.model.turn(cancelled):
            read = memory.slots, memory.tokens
            outputs = list(self.memories.model.compute(ccf, reconstructed, memory, tokens=read, cancelled=cancelled))
        result = []
        for i, (ids, words, kv_bytes) in enumerate(outputs):
            span = memory.spans[i]
            wanted = tokens.segment(span.index)
            result.append(
                Reconstruction(
                    document=sha256,
                    segment=span.index,
                    ratio=ratio,
                    original=text[span.char_start : span.char_end],
                    text="".join(word.text for word in words),
                    words=words,
                    tokens=len(span),
                    rouge_l=rouge_l(wanted, ids),
                    exact_token=exact_token(wanted, ids),
                    slots=memory.select([i]).slots,
                    kv_bytes=kv_bytes,
                    start=span.char_start,
                    end=span.char_end,
                    page=page_at(document, span.char_start),
                    notes=recalled.notes,
                )
            )
        return result

    def savings(self, sha256: str) -> Savings:
        """See ``Workbench.savings``."""
        document = self.store.documents.get(sha256)
        text = self.memories.segmented(sha256)
        model = self.memories.model
        ccf = model.load()
        self.memories.migrate(text, ccf)
        full = len(text.input_ids) * ccf.token_kv_bytes
        # token_kv_bytes counts two bytes a number; the decoder holds its slots in its own dtype.
        slot_bytes = ccf.token_kv_bytes // 2 * ccf.model.dtype.itemsize

        def at(ratio: int) -> RatioSavings:
            slots = document_slots(text.spans, ratio)
            levels = ccf.config.levels(ratio)
            return RatioSavings(
                ratio=ratio,
                slots=slots,
                kv_bytes=slots * slot_bytes,
                stored_bytes=self.store.memories.nbytes(sha256, model.key, levels),
                factor=full / (slots * slot_bytes),
            )

        return Savings(
            document=sha256,
            text_bytes=document.text_bytes,
            tokens=len(text.input_ids),
            full_kv_bytes=full,
            stored_bytes=self.store.memories.nbytes(sha256, model.key),
            ratios=tuple(at(ratio) for ratio in ccf.config.ratios),
            stored_dtype=self.memories.dtype,
        )


def reconstructed(
    ccf: CCF, memory: KVMemory, cancelled: Cancelled
) -> Iterator[tuple[list[int], tuple[Word, ...], int]]:
    """Of every segment its greedy reconstruction: the ids, words with their probabilities, bytes it was read from."""
    for i, ids in enumerate(ccf.reconstruct_ids(memory, cancelled=cancelled)):
        prefix = ccf.decoder.prefix(memory.select([i]))
        log_probabilities = ccf.decoder.score(prefix, [ccf.config.repeat_token], ids).tolist()
        yield ids, _words(ccf, ids, log_probabilities), prefix.nbytes


def _words(ccf: CCF, ids: Sequence[int], log_probabilities: Sequence[float]) -> tuple[Word, ...]:
    """Tokens joined into words, each with the white space before it; their texts joined are the decoded ids.

    A character may be spread over several tokens: they show as a replacement character until it is complete.
    """
    words: list[tuple[str, float]] = []
    shown, waiting = "", 0.0
    for count, log_probability in enumerate(log_probabilities, 1):
        waiting += log_probability
        text = str(ccf.tokenizer.decode(list(ids[:count]), clean_up_tokenization_spaces=False))
        if text.endswith("\N{REPLACEMENT CHARACTER}") and count < len(ids):
            continue
        piece, shown = text[len(shown) :], text
        begins = not words or piece[:1].isspace() or words[-1][0][-1:].isspace()
        if begins:
            words.append((piece, waiting))
        else:
            words[-1] = words[-1][0] + piece, words[-1][1] + waiting
        waiting = 0.0
    return tuple(Word(text, math.exp(total)) for text, total in words)
