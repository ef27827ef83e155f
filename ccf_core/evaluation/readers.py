"""What each reader holds of a document, and puts before a question: a job for the decoder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from ccf_core.baselines import BASELINES, Ranked
from ccf_core.codec import CCF
from ccf_core.decoder import Prefix
from ccf_core.evaluation import batches, metrics, residuals
from ccf_core.evaluation.batches import Job, Report
from ccf_core.evaluation.data import EvaluationError
from ccf_core.evaluation.subject import Options, Subject
from ccf_core.memory import MEMORY_DTYPES, KVMemory, MemoryDtype
from ccf_core.residual import ResidualMemory
from ccf_core.segment import Segmented

#: Readers of memories: which of them an adapter has depends on how it compresses.
MEMORIES = ("memory", "mean_pool")
#: Readers of memories held as another dtype than the options say: for comparing dtypes in one run, on the same rows.
AS_HELD: dict[str, MemoryDtype] = {f"memory_{dtype}": dtype for dtype in MEMORY_DTYPES}
#: The one that loses nothing, whose scores the others' are taken from.
EXACT = "memory_bfloat16"
COMPARED = ("teacher_forced", "rouge_l", "f1")
#: Readers of pruned caches, by the adapted decoder and by the untouched base.
PRUNED = (*BASELINES, *(f"base_{name}" for name in BASELINES))
#: Reader of memories in which tokens take the place of some slots, see ``ccf_core.residual``.
RESIDUAL = "residual"
#: Readers that choose what they read by the question, see ``focusing``.
BY_QUESTION = ("focus", "focus_no_slots", "bm25", "gold")
#: Readers that are measured at every ratio; the others read the same whatever the ratio.
AT_RATIO = (*MEMORIES, *AS_HELD, RESIDUAL, "truncated", *PRUNED)

#: What a reader of ``MEMORIES``, ``AS_HELD``, ``RESIDUAL`` or ``PRUNED`` has made of a document beforehand.
Made = KVMemory | ResidualMemory | Ranked


def settings(readers: Sequence[str], options: Options, compressor: str = "slots") -> list[tuple[str, int | None]]:
    """(reader, ratio) for each of ``readers`` that the options ask for; a ratio where it makes a difference.

    Unless the options name readers, pruned caches and residual tokens are left out, which cost a pass or more over
    every text, and so are readers that choose by the question and those of ``AS_HELD``.
    Raises EvaluationError for memories of a kind that the adapter does not make.
    """
    own, other = MEMORIES[::-1] if compressor == "mean_pool" else MEMORIES
    if other in options.readers:
        raise EvaluationError(f"This adapter has no reader {other!r}: choose {own!r}, or another adapter.")
    unnamed = (*AS_HELD, RESIDUAL, *PRUNED, *BY_QUESTION, other)
    wanted = options.readers or [reader for reader in readers if reader not in unnamed]
    return [
        (reader, ratio)
        for reader in readers
        if reader in wanted
        for ratio in (options.ratios if reader in AT_RATIO else (None,))
    ]


def differences(
    reader: str, scores: Mapping[str, list[metrics.Pair]], exact: Mapping[str, list[metrics.Pair]] | None
) -> dict[str, list[metrics.Pair]]:
    """What holding memories as another dtype changes, row by row: ``rouge_l_minus_bfloat16`` and its like.

    exact : the scores of ``EXACT`` on the same rows, if it was run; nothing is told without them, or of other readers.
    """
    if exact is None or reader == EXACT or reader not in AS_HELD:
        return {}
    pairs = {name: zip(scores[name], exact[name], strict=True) for name in COMPARED if name in scores}
    return {f"{name}_minus_{AS_HELD[EXACT]}": [(a - b, 1.0) for (a, _), (b, _) in both] for name, both in pairs.items()}


def slots_at(document: Segmented, ratio: int) -> int:
    """Slots of the document's memory at ``ratio``: ceil(n / ratio) a segment."""
    return sum(-(-len(span) // ratio) for span in document.spans)


def memories_at(
    ccf: CCF, documents: Sequence[Segmented], ratios: Sequence[int], memory_dtype: MemoryDtype, report: Report
) -> dict[int, list[KVMemory]]:
    """Every document's memory at every ratio; encoded once if memories are nested, else once a ratio."""
    if not ccf.config.nested:
        return {ratio: batches.compress_all(ccf, documents, ratio, memory_dtype, report) for ratio in ratios}
    finest = batches.compress_all(ccf, documents, min(ratios), memory_dtype, report)
    return {ratio: [memory.at(ratio) for memory in finest] for ratio in ratios}


def rank(
    subject: Subject, reader: str, documents: Sequence[Segmented], kept: Sequence[int], options: Options
) -> list[Ranked]:
    """The best ``kept`` positions of every document's cache as a reader of ``PRUNED`` ranks them, on the CPU.

    Scores do not depend on the ratio, so this is done once, for the finest one. Of a document that is read the part
    that fits the window beside a question.
    """
    decoder = subject.decoder(reader)
    pruning = BASELINES[reader.removeprefix("base_")](subject.ccf.tokenizer, options.seed)
    texts = [document.input_ids[: decoder.window - decoder.window // 8] for document in documents]
    result: dict[int, Ranked] = {}
    rows, tokens = (256, 65_536) if batches.on_gpu(decoder) else (8, 8_192)
    for batch in batches.batches([Job(text) for text in texts], options.batch_size or rows, tokens):
        ranked = pruning.rank(decoder, [texts[i] for i in batch], [kept[i] for i in batch])
        result |= {i: one.to("cpu") for i, one in zip(batch, ranked, strict=True)}
        options.report(f"{len(result)} of {len(documents)} texts read for {reader}")
    return [result[i] for i in range(len(documents))]


def prepare(
    subject: Subject, reader: str, documents: Sequence[Segmented], options: Options
) -> Mapping[int | None, Sequence[Made | None]]:
    """What ``reader`` makes of all documents before anything is asked, by ratio; nothing if it reads plain text."""
    if reader in (*MEMORIES, *AS_HELD):
        dtype = AS_HELD.get(reader, options.memory_dtype)
        made = memories_at(subject.ccf, documents, options.ratios, dtype, options.report)
        return {ratio: memories for ratio, memories in made.items()}
    if reader == RESIDUAL:
        return {ratio: made for ratio, made in residuals.make(subject, documents, options).items()}
    if reader in PRUNED:
        kept = [slots_at(document, min(options.ratios)) for document in documents]
        return dict.fromkeys(options.ratios, rank(subject, reader, documents, kept, options))
    return dict.fromkeys((None, *options.ratios), [None] * len(documents))


def held(
    subject: Subject, reader: str, document: Segmented, made: Made | None, ratio: int
) -> tuple[Callable[[], Prefix], int]:
    """(how to make the prefix of a reader of memories, ``RESIDUAL`` or ``PRUNED``, how many positions it has).

    A memory may be finer than ``ratio`` where memories are nested. Raises EvaluationError if nothing was made.
    """
    decoder = subject.decoder(reader)
    if isinstance(made, KVMemory) and reader in (*MEMORIES, *AS_HELD):
        at_ratio = made.at(ratio)
        return partial(decoder.prefix, at_ratio), at_ratio.slots
    if isinstance(made, ResidualMemory) and reader == RESIDUAL:
        return partial(made.prefix, decoder), made.length
    if isinstance(made, Ranked) and reader in PRUNED:
        kept = min(slots_at(document, ratio), made.length)
        return partial(made.prefix, kept, decoder.model.device), kept
    raise EvaluationError(f"The reader {reader!r} reads what was made of a document before: prepare it first.")


def job(
    subject: Subject,
    reader: str,
    document: Segmented,
    made: Made | None,
    ratio: int | None,
    prompt: Sequence[int],
    new: int,
) -> Job:
    """``new`` tokens after what ``reader`` keeps of the document, and the prompt; text that does not fit is cut.

    made : what ``prepare`` gave for this reader, ratio and document.
    """
    decoder = subject.decoder(reader)
    if reader == "none":
        return Job(prompt, new)
    if reader in (*MEMORIES, *AS_HELD, RESIDUAL, *PRUNED):
        assert ratio is not None
        prefix, cached = held(subject, reader, document, made, ratio)
        return Job(prompt, new, prefix=prefix, cached=cached)
    ids = document.input_ids[: decoder.window - len(prompt) - new]
    if reader == "truncated":
        assert ratio is not None
        ids = ids[: slots_at(document, ratio)]
    return Job([*ids, *prompt], new)
