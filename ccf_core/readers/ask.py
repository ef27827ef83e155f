"""One document read by a named reader, and the answer that is written after it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import cast

from transformers import PreTrainedTokenizerBase

from ccf_core.answering.answer import Answer, Evidence, Timings
from ccf_core.answering.evidence import slot_attention
from ccf_core.answering.stream import stream
from ccf_core.focus.focus import Focus
from ccf_core.memory.memory import KVMemory
from ccf_core.memory.segments import Segmented
from ccf_core.model.decoder import Decoder
from ccf_core.readers import READERS
from ccf_core.readers.base import Question, Reading


def check_unasked(name: str) -> None:
    """Raise ValueError for a reader that needs a question to read."""
    if name in READERS and READERS[name].by_question:
        raise ValueError(f"what {name!r} reads depends on the question: call answer(…, reader={name!r})")


def read(
    name: str,
    decoder: Decoder,
    tokenizer: PreTrainedTokenizerBase,
    memory: KVMemory | None,
    input_ids: Sequence[int],
    *,
    prompt: Sequence[int] = (),
    text: str = "",
    focus: Focus | None = None,
    check: Callable[[KVMemory], None] = lambda _: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Reading:
    """Let the reader of this name choose what is read of a document: of its memory, of its tokens, or of both.

    prompt, text : the question's tokens and words, for readers that choose by it.  check : is called with a memory
    whose slots are read.
    Raises ValueError for an unknown reader and for one that lacks what it reads.
    """
    focus = focus or Focus()
    if name not in READERS:
        raise ValueError(f"the reader must be one of {', '.join(READERS)}, not {name!r}")
    reader = READERS[name](decoder, tokenizer, focus=focus, cancelled=cancelled)
    if reader.needs_memory() and memory is None:
        raise ValueError(f"the reader {name!r} needs a memory to read, or to match in bytes")
    if reader.reads_slots and memory is not None:
        check(memory)
    if reader.reads_text and not len(input_ids):
        raise ValueError(f"the reader {name!r} needs the document's tokens as input_ids")
    document = Segmented("", tuple(input_ids), memory.spans if memory else ())
    budget = memory.slots if memory else 0
    if reader.by_question or (reader.grades_memory and focus.budget is not None):
        budget = focus.positions(len(input_ids))
    question = Question(prompt, document, memory=memory, text=text, budget=budget)
    (reading,) = reader.read([question], reader.prepare([question]))
    return reading


def write(
    name: str,
    decoder: Decoder,
    tokenizer: PreTrainedTokenizerBase,
    reading: Callable[[], Reading],
    prompt: Sequence[int],
    max_new_tokens: int,
    *,
    full_kv_bytes: int,
    with_evidence: bool = True,
    as_written: bool = False,
    cancelled: Callable[[], bool] = lambda: False,
) -> Iterator[str | Answer]:
    """Yield the answer's text in pieces, greedily, and last the Answer with what it cost.

    reading : makes what is read, which counts as time.  full_kv_bytes : of the whole text's cache, to compare with.
    as_written : whether the blanks around the text are kept.
    """
    started = time.perf_counter()
    chosen = reading()
    prefix = chosen.prefix(decoder)
    loaded = time.perf_counter() - started
    ids: list[int] = []
    first = rate = 0.0
    for piece in stream(decoder, tokenizer, prefix, prompt, max_new_tokens, cancelled):
        if isinstance(piece, str):
            yield piece
        else:
            ids, first, rate = piece
    shares: tuple[Evidence, ...] = ()
    if with_evidence and chosen.evidence and prefix and ids:
        shares = chosen.evidence(slot_attention(decoder, prefix, prompt, ids))
    text = cast(str, tokenizer.decode(ids, skip_special_tokens=True))
    yield Answer(
        text=text if as_written else text.strip(),
        reader=name,
        timings=Timings(loaded, first, rate),
        kv_bytes=prefix.nbytes if prefix else 0,
        full_kv_bytes=full_kv_bytes,
        evidence=shares,
    )
