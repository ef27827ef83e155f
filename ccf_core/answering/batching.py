"""Generate and score many rows at once, in batches that waste little padding and fit the device."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ccf_core.model.decoder import Decoder
from ccf_core.model.prefix import Prefix

Report = Callable[[str], None]
#: Log-probability in nats of each target token, and the likeliest token in its place: (targets,) float32 and int64.
Scored = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class DecodeRequest:
    """One row for the decoder: a prefix of ``cached`` positions, made when its batch comes, then ``prompt``.

    ``new`` tokens are generated, or ``target`` is scored. Text that is read is part of the prompt.
    """

    prompt: Sequence[int]
    new: int = 0
    target: Sequence[int] = ()
    prefix: Callable[[], Prefix | None] = lambda: None
    cached: int = 0

    @property
    def length(self) -> int:
        return self.cached + len(self.prompt) + max(self.new, len(self.target))


def on_gpu(decoder: Decoder) -> bool:
    return decoder.model.device.type != "cpu"


def cache_tokens(decoder: Decoder) -> int:
    """Count the tokens of cache that a batch of generations may hold, padding included.

    On a GPU half of the memory that is free; a token takes its key and value about three times while its prompt is
    read (as they are made, as they are given room, and what the layers work with).
    """
    if not on_gpu(decoder):
        return 32_768
    free = torch.cuda.mem_get_info(decoder.model.device)[0] if decoder.model.device.type == "cuda" else 2**34
    return min(524_288, free // 2 // (3 * decoder.kv_bytes))


def batches(requests: Sequence[DecodeRequest], rows: int, tokens: int) -> Iterator[list[int]]:
    """Yield indices of requests, alike in length, at most ``rows`` and (padding included) ``tokens`` a batch.

    Longest first, so that a device too small fails at once.
    """
    batch: list[int] = []
    widest = (0, 0, 0)
    for index in sorted(range(len(requests)), key=lambda i: _size(requests[i]), reverse=True):
        request = requests[index]
        size = (request.cached, len(request.prompt), max(request.new, len(request.target)))
        wider = (max(widest[0], size[0]), max(widest[1], size[1]), max(widest[2], size[2]))
        if batch and (len(batch) == rows or sum(wider) * (len(batch) + 1) > tokens):
            yield batch
            batch, wider = [], size
        batch.append(index)
        widest = wider
    if batch:
        yield batch


def _size(request: DecodeRequest) -> tuple[int, int, int]:
    """Sort key: requests after one text that is read once come one after another."""
    return request.new, request.cached, request.length


def generate(
    decoder: Decoder,
    requests: Sequence[DecodeRequest],
    report: Report,
    *,
    rows: int | None = None,
    exactly: bool = False,
) -> list[list[int]]:
    """Generate greedily for every request, at most (``exactly``: just) its ``new``."""
    rows = rows or (2048 if on_gpu(decoder) else 16)
    result: list[list[int]] = [[] for _ in requests]
    done = 0
    for batch in batches(requests, rows, cache_tokens(decoder)):
        chosen = [requests[i] for i in batch]
        given = [request.prefix() for request in chosen], [request.prompt for request in chosen]
        longest = max(request.new for request in chosen)
        out = decoder.generate(*given, max_new_tokens=longest, exactly=exactly)
        for index, request, ids in zip(batch, chosen, out, strict=True):
            result[index] = ids[: request.new]
        done += len(batch)
        report(f"{done} of {len(requests)} generated")
    return result


@torch.inference_mode()
def score(
    decoder: Decoder, requests: Sequence[DecodeRequest], report: Report, *, rows: int | None = None
) -> list[Scored]:
    """Score each target token teacher-forced: log-probability in nats, and the likeliest token in its place.

    Both are (targets,) on the CPU, float32 and int64.
    """
    rows = rows or (256 if on_gpu(decoder) else 8)
    head = decoder.model.get_output_embeddings()
    result: list[Scored] = [(torch.empty(0), torch.empty(0, dtype=torch.long)) for _ in requests]
    done = 0
    for batch in batches(requests, rows, 131_072 if on_gpu(decoder) else 16_384):
        chosen = [requests[i] for i in batch]
        given = decoder.inputs(
            [request.prefix() for request in chosen], [[*request.prompt, *request.target[:-1]] for request in chosen]
        )
        hidden = decoder.model.model(**given, use_cache=False).last_hidden_state
        for index, request, states in zip(batch, chosen, hidden, strict=True):
            # Rows are padded on the left, so the states that see a target's past are the last ones.
            logits = head(states[-len(request.target) :]).float()
            target = torch.tensor(request.target, device=logits.device)
            chances = logits.log_softmax(-1).gather(1, target[:, None])[:, 0]
            result[index] = (chances.cpu(), logits.argmax(-1).cpu())
        done += len(batch)
        report(f"{done} of {len(requests)} scored")
    return result


@torch.inference_mode()
def attention(
    decoder: Decoder, requests: Sequence[DecodeRequest], report: Report, *, rows: int | None = None
) -> list[Tensor]:
    """Measure ``answering.evidence.slot_attention`` of each request's prefix, prompt and target: (slots,) float32."""
    rows = rows or (64 if on_gpu(decoder) else 8)
    result: list[Tensor] = [torch.empty(0)] * len(requests)
    before = decoder.model.config._attn_implementation
    decoder.model.set_attn_implementation("eager")
    done = 0
    try:
        for batch in batches(requests, rows, 131_072 if on_gpu(decoder) else 16_384):
            chosen = [requests[i] for i in batch]
            prefixes = [request.prefix() for request in chosen]
            given = decoder.inputs(prefixes, [[*request.prompt, *request.target[:-1]] for request in chosen])
            layers = decoder.model.model(**given, use_cache=False, output_attentions=True).attentions
            upper = layers[len(layers) // 2 :]
            slots = max(request.cached for request in chosen)
            for row, (index, request) in enumerate(zip(batch, chosen, strict=True)):
                # Rows and prefixes are padded on the left.
                per_layer = [
                    a[row, :, -len(request.target) :, slots - request.cached : slots].float().mean((0, 1))
                    for a in upper
                ]
                result[index] = torch.stack(per_layer).mean(0).cpu()
            done += len(batch)
            report(f"attention of {done} of {len(requests)} answers")
    finally:
        decoder.model.set_attn_implementation(before)
    return result
