"""What tells which parts of a document a question needs: its words, and what the decoder makes of the slots.

Every segment's slots are put before the question alone, and the segment counts for the less the likelier it is that an
answer would begin like "Not in the document.", which the decoder was taught to say of passages that hold none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from transformers import PreTrainedTokenizerBase

from ccf_core.answer import abstention, evidence, question_prompt, slot_attention
from ccf_core.bm25 import bm25
from ccf_core.decoder import Decoder, slot_segments
from ccf_core.memory import KVMemory
from ccf_core.plan import Piece, fuse, pieces, ranked

#: Ratio at which a segment is asked alone, chosen on development data: docs/experiments.md.
ASKED_AT = 8
#: Segments that are asked alone at most: in longer documents those that words and attention rank first.
SHORTLIST = 32
#: Scored as an answer it asks for the attention of the prompt's last token, whatever token it is.
NO_ANSWER = (0,)


def attended(decoder: Decoder, prompt: Sequence[int], memory: KVMemory) -> list[float]:
    """For every segment, the share of what the prompt's last token, which chooses the answer's first, attends to at the
    coarsest ratio."""
    coarse = memory.at(memory.header.ratios[-1])
    attention = slot_attention(decoder, decoder.prefix(coarse), prompt, NO_ANSWER)
    shares = {found.segment: found.score for found in evidence(attention, slot_segments(coarse))}
    return [shares.get(i, 0.0) for i in range(memory.segments)]


@torch.inference_mode()
def refusals(decoder: Decoder, prompt: Sequence[int], memory: KVMemory, token: int, room: int) -> list[float]:
    """For every segment alone: log-probability in nats that ``token`` comes after its slots and the prompt.

    As many are asked at once as ``room`` positions of cache hold, one at least.
    """
    widest = max(memory.select([i]).slots for i in range(memory.segments))
    at_once = max(1, room // (widest + len(prompt)))
    told: list[float] = []
    for start in range(0, memory.segments, at_once):
        some = decoder.apart(memory.select(range(start, min(start + at_once, memory.segments))))
        given = decoder.inputs(some, [prompt] * len(some))
        hidden = decoder.model.model(**given, use_cache=False).last_hidden_state[:, -1]
        scores = decoder.model.get_output_embeddings()(hidden).float()
        told += cast(list[float], scores.log_softmax(-1)[:, token].tolist())
    return told


def words(
    tokenizer: PreTrainedTokenizerBase, question: str, texts: Sequence[Sequence[int]], every: Sequence[Piece]
) -> list[float]:
    """BM25 of every piece's text."""
    return bm25(question, [cast(str, tokenizer.decode(list(texts[p.segment][p.start : p.end]))) for p in every])


def worth(
    decoder: Decoder,
    tokenizer: PreTrainedTokenizerBase,
    question: str,
    memory: KVMemory,
    texts: Sequence[Sequence[int]],
    size: int,
    room: int,
) -> list[float]:
    """What every piece of ``size`` tokens (0: every segment) is worth to a question, ``fuse`` of up to three signals:
    how little its segment alone is refused, the segment's words and, if it is smaller, its own.

    question : what was asked, put anew without what was answered.  texts : the tokens of each segment of ``memory``.
    room : of ``refusals``.
    """
    prompt, tokens = question_prompt(tokenizer, question), [len(text) for text in texts]
    every, whole = pieces(tokens, size), words(tokenizer, question, texts, pieces(tokens))
    asked: Sequence[int] = range(len(texts))
    if len(texts) > SHORTLIST:
        asked = sorted(ranked(fuse(whole, attended(decoder, prompt, memory)))[:SHORTLIST])
    least = max(memory.ratio, min(ASKED_AT, memory.header.ratios[-1]))
    alone = memory.select(asked).at(min(ratio for ratio in memory.header.ratios if ratio >= least))
    taken = [0.0] * len(texts)
    for index, refused in zip(asked, refusals(decoder, prompt, alone, abstention(tokenizer)[0], room), strict=True):
        taken[index] = -refused
    signals = [[signal[piece.segment] for piece in every] for signal in (taken, whole)]
    if len(every) > len(texts):
        signals.append(words(tokenizer, question, texts, every))
    return fuse(*signals)
