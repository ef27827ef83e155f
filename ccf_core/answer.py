"""A question, a reader, an answer: prompts, streaming, evidence and cost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import cast

import torch
from transformers import PreTrainedTokenizerBase, StoppingCriteria, TextIteratorStreamer

from ccf_core.decoder import Decoder, Prefix

#: What adapters are trained to answer where a document does not hold the answer.
ABSTENTION = "Not in the document."


@dataclass(frozen=True)
class Evidence:
    """A segment's share of the attention that the answer paid to the memory; shares sum to 1.

    ratio : at which it was read, 1 if as text, where a reader reads segments at ratios of their own.
    """

    segment: int
    score: float
    ratio: int | None = None


@dataclass(frozen=True)
class Timings:
    """Seconds to put the memory in place, seconds from there to the first token, tokens a second after it."""

    load_s: float
    first_token_s: float
    tokens_per_s: float


@dataclass(frozen=True)
class Answer:
    """kv_bytes is what the decoder held for the document while it answered; full_kv_bytes the plain cache in bf16."""

    text: str
    reader: str
    timings: Timings
    kv_bytes: int
    full_kv_bytes: int
    evidence: tuple[Evidence, ...] = field(default=())


def question_prompt(
    tokenizer: PreTrainedTokenizerBase, question: str, history: Sequence[tuple[str, str]] = ()
) -> list[int]:
    """The base's chat template with the question as the user's turn, after (question, answer) turns before it.

    Special tokens spelt out in a turn stay plain text: a question cannot close its own turn.
    """
    marker = "\x00"
    said = [*(text for turn in history for text in turn), question]
    turns = [{"role": ("user", "assistant")[i % 2], "content": marker} for i in range(len(said))]
    template = cast(str, tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False))
    first, *rest = template.split(marker)
    ids = list(tokenizer(first, add_special_tokens=False)["input_ids"])
    for text, after in zip(said, rest, strict=True):
        ids += tokenizer(text.strip(), add_special_tokens=False, split_special_tokens=True)["input_ids"]
        ids += tokenizer(after, add_special_tokens=False)["input_ids"]
    return ids


class StopWhen(StoppingCriteria):
    """Ends a generation at its next token once ``stopped()`` is true."""

    def __init__(self, stopped: Callable[[], bool]) -> None:
        self.stopped = stopped

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **kwargs: object) -> torch.Tensor:
        return torch.full((input_ids.shape[0],), self.stopped(), dtype=torch.bool, device=input_ids.device)


def stream(
    decoder: Decoder,
    tokenizer: PreTrainedTokenizerBase,
    prefix: Prefix | None,
    prompt: Sequence[int],
    max_new_tokens: int,
    stopped: Callable[[], bool] = lambda: False,
    **kwargs: object,
) -> Iterator[str | tuple[list[int], float, float]]:
    """Pieces of text as they come; last, (token ids, seconds to the first token, tokens a second after it).

    Closing the iterator stops the generation at its next token.
    """
    streamer = TextIteratorStreamer(tokenizer, skip_prompt=True, skip_special_tokens=True)
    closed = threading.Event()
    tokens: list[list[int]] = []
    failure: list[BaseException] = []

    def work() -> None:
        try:
            criteria = [StopWhen(lambda: closed.is_set() or stopped())]
            tokens.extend(
                decoder.generate(
                    [prefix],
                    [prompt],
                    max_new_tokens=max_new_tokens,
                    streamer=streamer,
                    stopping_criteria=criteria,
                    **kwargs,  # type: ignore[arg-type]
                )
            )
        except BaseException as error:  # handed to the caller below
            failure.append(error)
        finally:
            streamer.end()

    started = time.perf_counter()
    first: float | None = None
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        for piece in streamer:
            first = first or time.perf_counter() - started
            if piece:
                yield piece
    finally:
        closed.set()
        thread.join()
    if failure:
        raise failure[0]
    total = time.perf_counter() - started
    first = first or total
    count = len(tokens[0])
    yield tokens[0], first, (count - 1) / (total - first) if count > 1 and total > first else 0.0


def abstention(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """The tokens of ``ABSTENTION``."""
    return cast(list[int], tokenizer(ABSTENTION, add_special_tokens=False)["input_ids"])


@torch.inference_mode()
def slot_attention(decoder: Decoder, prefix: Prefix, prompt: Sequence[int], answer: Sequence[int]) -> torch.Tensor:
    """Attention that the tokens of ``answer`` paid to each slot: (slots,) float32.

    Mean over answer tokens, heads and the upper half of the layers, from one more pass over prompt and answer with
    attention weights written out (the fast kernels keep none).
    """
    before = decoder.model.config._attn_implementation
    decoder.model.set_attn_implementation("eager")
    try:
        given = decoder.inputs([prefix], [[*prompt, *answer]])
        layers = decoder.model.model(**given, output_attentions=True).attentions
    finally:
        decoder.model.set_attn_implementation(before)
    upper = layers[len(layers) // 2 :]
    # The token at position i is chosen by the query before it.
    rows = slice(len(prompt) - 1, len(prompt) + len(answer) - 1)
    return torch.stack([a[0, :, rows, : prefix.length].float().mean((0, 1)) for a in upper]).mean(0).cpu()


def evidence(attention: torch.Tensor, segments: Sequence[int]) -> tuple[Evidence, ...]:
    """Attention summed for each segment and normalised, strongest first."""
    if not len(attention):
        return ()
    totals = torch.zeros(max(segments) + 1).index_add_(0, torch.tensor(segments), attention)
    shares = totals / totals.sum().clamp_min(1e-12)
    order = shares.argsort(descending=True).tolist()
    return tuple(Evidence(i, float(shares[i])) for i in order)
