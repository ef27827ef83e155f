"""What a reader costs one user: seconds to make what it keeps of a document, and from there to an answer's first token.

One document at a time, with nothing shared between them, unlike in the batches that scores are made in.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from ccf_core.baselines import BASELINES, position_bytes
from ccf_core.decoder import Prefix
from ccf_core.evaluation import batches, focusing
from ccf_core.evaluation.asking import Question, room
from ccf_core.evaluation.readers import PRUNED
from ccf_core.evaluation.subject import Options, Subject
from ccf_core.evaluation.timing import clock_of

#: Documents that are measured, after one to warm up.
DOCUMENTS = 3


def seconds(
    subject: Subject, reader: str, ratio: int | None, asked: Sequence[tuple[Question, int]], options: Options
) -> dict[str, float]:
    """``compress_s`` and ``first_token_s``: medians over ``DOCUMENTS``, after one to warm up.

    asked : questions, each with the bytes that may be held of its document. If they are fewer they are all there are;
    a single one is its own warm-up.
    """
    clock = clock_of(subject.decoder(reader).model.device)
    compressed, first = [], []
    for question, budget in [*asked[: 1 + DOCUMENTS], *(asked if len(asked) == 1 else ())]:
        started = clock()
        made = compress(subject, reader, ratio, question, budget, options)
        between = clock()
        first_token(subject, reader, ratio, question, made, budget, options)
        compressed.append(between - started)
        first.append(clock() - between)
    told = {"compress_s": compressed, "first_token_s": first}
    return {name: round(statistics.median(taken[1:]), 5) for name, taken in told.items()}


def compress(
    subject: Subject, reader: str, ratio: int | None, question: Question, budget: int, options: Options
) -> Prefix | None:
    """Make of a document's tokens what ``reader`` keeps until a question comes; a prefix, if it is one.

    A memory is made of the tokens in one piece, cut into whole segments, as of any other document.
    """
    decoder, ids = subject.decoder(reader), question.document.input_ids
    if reader in ("memory", "focus"):
        finest = ratio if ratio and reader == "memory" else min(options.ratios)
        subject.ccf.compress(ids, finest, dtype=options.memory_dtype)
    elif reader in PRUNED:
        pruning = BASELINES[reader.removeprefix("base_")](subject.ccf.tokenizer, options.seed)
        return pruning.compress(decoder, ids[: decoder.window - decoder.window // 8], budget)
    elif reader in ("full", "base_full"):
        return decoder.read_text(ids[: room(decoder, [question])], 8192 if batches.on_gpu(decoder) else 1024)
    return None


def first_token(
    subject: Subject,
    reader: str,
    ratio: int | None,
    question: Question,
    made: Prefix | None,
    budget: int,
    options: Options,
) -> int:
    """The token, no end token, that comes after what ``reader`` keeps: ``made``, the question's memory, or text."""
    decoder, prompt = subject.decoder(reader), list(question.prompt)
    if reader == "memory":
        assert question.memory is not None and ratio is not None
        made = decoder.prefix(question.memory.at(ratio))
    elif reader == "focus":
        assert question.memory is not None
        (scores,) = focusing.scores(subject, [question], [question.memory], options)
        within = focusing.within(subject, question, scores, budget, options)
        (read,) = focusing.surest(subject, [question], [within], options)
        made = read.prefix(decoder)
    elif reader == "bm25":
        text = focusing.best_tokens(subject, question, budget // position_bytes(decoder))
        prompt = [*(token for segment in text.values() for token in segment), *prompt]
    ((token,),) = decoder.generate([made], [prompt], max_new_tokens=1, exactly=True)
    return token
