"""Score the parts of a document for a question: by its words, and by what the decoder makes of the slots.

Every segment's slots are put before the question alone, and the segment counts for the less the likelier it is that an
answer would begin like "Not in the document.", which the decoder was taught to say of passages that hold none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from transformers import PreTrainedTokenizerBase

from ccf_core.answering.evidence import evidence, slot_attention
from ccf_core.answering.prompt import abstention, question_prompt
from ccf_core.focus.bm25 import bm25
from ccf_core.focus.budget import Piece, fuse, pieces, ranked
from ccf_core.memory.memory import KVMemory
from ccf_core.model.decoder import Decoder
from ccf_core.model.prefix import slot_segments

#: Ratio at which a segment is asked alone, chosen on development data: docs/experiments.md.
ASKED_AT = 8
#: Segments that are asked alone at most: in longer documents those that words and attention rank first.
SHORTLIST = 32
#: A placeholder target: only the attention of the prompt's last token is read, which does not depend on it.
ANY_TOKEN = (0,)


def attended(decoder: Decoder, prompt: Sequence[int], memory: KVMemory) -> list[float]:
    """Measure every segment's share in the attention of the prompt's last token, which chooses the answer's first, to
    all slots at the coarsest ratio."""
    coarse = memory.at(memory.header.ratios[-1])
    attention = slot_attention(decoder, decoder.prefix(coarse), prompt, ANY_TOKEN)
    shares = {found.segment: found.score for found in evidence(attention, slot_segments(coarse))}
    return [shares.get(i, 0.0) for i in range(memory.segments)]


@torch.inference_mode()
def abstention_logprobs(
    decoder: Decoder, prompt: Sequence[int], memory: KVMemory, token: int, cache_positions: int
) -> list[float]:
    """Score every segment alone: log-probability in nats that ``token`` comes after its slots and the prompt.

    As many are asked at once as fit in ``cache_positions``, one at least.
    """
    widest = max(memory.select([i]).slots for i in range(memory.segments))
    at_once = max(1, cache_positions // (widest + len(prompt)))
    logprobs: list[float] = []
    for start in range(0, memory.segments, at_once):
        some = decoder.prefix_per_segment(memory.select(range(start, min(start + at_once, memory.segments))))
        given = decoder.inputs(some, [prompt] * len(some))
        hidden = decoder.model.model(**given, use_cache=False).last_hidden_state[:, -1]
        scores = decoder.model.get_output_embeddings()(hidden).float()
        logprobs += cast(list[float], scores.log_softmax(-1)[:, token].tolist())
    return logprobs


def words(
    tokenizer: PreTrainedTokenizerBase, question: str, texts: Sequence[Sequence[int]], every: Sequence[Piece]
) -> list[float]:
    """Score every piece's text by BM25."""
    return bm25(question, [cast(str, tokenizer.decode(list(texts[p.segment][p.start : p.end]))) for p in every])


def worth(
    decoder: Decoder,
    tokenizer: PreTrainedTokenizerBase,
    question: str,
    memory: KVMemory,
    texts: Sequence[Sequence[int]],
    size: int,
    cache_positions: int,
) -> list[float]:
    """Score every piece of ``size`` tokens (0: every segment) for a question, ``fuse`` of up to three signals:
    how unlikely the abstention is after its segment alone, the segment's words and, if it is smaller, its own.

    question : the chat's earlier questions and the last one, without the answers; it gets a fresh template.
    texts : the tokens of each segment of ``memory``.
    cache_positions : of ``abstention_logprobs``.
    """
    prompt, tokens = question_prompt(tokenizer, question), [len(text) for text in texts]
    every, whole = pieces(tokens, size), words(tokenizer, question, texts, pieces(tokens))
    asked: Sequence[int] = range(len(texts))
    if len(texts) > SHORTLIST:
        asked = sorted(ranked(fuse(whole, attended(decoder, prompt, memory)))[:SHORTLIST])
    least = max(memory.ratio, min(ASKED_AT, memory.header.ratios[-1]))
    alone = memory.select(asked).at(min(ratio for ratio in memory.header.ratios if ratio >= least))
    taken = [0.0] * len(texts)
    abstains = abstention_logprobs(decoder, prompt, alone, abstention(tokenizer)[0], cache_positions)
    for index, logprob in zip(asked, abstains, strict=True):
        taken[index] = -logprob
    signals = [[signal[piece.segment] for piece in every] for signal in (taken, whole)]
    if len(every) > len(texts):
        signals.append(words(tokenizer, question, texts, every))
    return fuse(*signals)
