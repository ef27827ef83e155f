"""Many memories, generations and scores at once: batches that waste little padding and fit the device."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ccf_core.codec import CCF
from ccf_core.decoder import Decoder, Prefix
from ccf_core.memory import Block, KVMemory, MemoryDtype
from ccf_core.segment import Segmented, Span
from ccf_core.transformer import StackSpec

Report = Callable[[str], None]


@dataclass(frozen=True)
class Job:
    """One row for the decoder: a prefix of ``cached`` slots, made when its batch comes, then ``prompt``.

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
    """Tokens of cache that a batch of generations may hold, padding included.

    On a GPU half of the memory that is free; a token takes its key and value about three times while its prompt is
    read (as they are made, as they are given room, and what the layers work with).
    """
    if not on_gpu(decoder):
        return 32_768
    spec, dtype = StackSpec.of(decoder.model), decoder.model.dtype
    free = torch.cuda.mem_get_info(decoder.model.device)[0] if decoder.model.device.type == "cuda" else 2**34
    return min(524_288, free // 2 // (3 * 2 * spec.layers * spec.kv_heads * spec.head_dim * dtype.itemsize))


def batches(jobs: Sequence[Job], rows: int, tokens: int) -> Iterator[list[int]]:
    """Indices of jobs, alike in length, at most ``rows`` and (padding included) ``tokens`` a batch.

    Longest first, so that a device too small fails at once.
    """
    batch: list[int] = []
    widest = (0, 0, 0)
    for index in sorted(range(len(jobs)), key=lambda i: _size(jobs[i]), reverse=True):
        job = jobs[index]
        size = (job.cached, len(job.prompt), max(job.new, len(job.target)))
        wider = (max(widest[0], size[0]), max(widest[1], size[1]), max(widest[2], size[2]))
        if batch and (len(batch) == rows or sum(wider) * (len(batch) + 1) > tokens):
            yield batch
            batch, wider = [], size
        batch.append(index)
        widest = wider
    if batch:
        yield batch


def _size(job: Job) -> tuple[int, int, int]:
    """Jobs after one text that is read once come one after another."""
    return job.new, job.cached, job.length


def generate(
    decoder: Decoder, jobs: Sequence[Job], report: Report, *, rows: int | None = None, exactly: bool = False
) -> list[list[int]]:
    """Greedy tokens of every job, at most (``exactly``: just) its ``new``."""
    rows = rows or (2048 if on_gpu(decoder) else 16)
    result: list[list[int]] = [[] for _ in jobs]
    done = 0
    for batch in batches(jobs, rows, cache_tokens(decoder)):
        chosen = [jobs[i] for i in batch]
        given = [job.prefix() for job in chosen], [job.prompt for job in chosen]
        longest = max(job.new for job in chosen)
        out = decoder.generate(*given, max_new_tokens=longest, exactly=exactly)
        for index, job, ids in zip(batch, chosen, out, strict=True):
            result[index] = ids[: job.new]
        done += len(batch)
        report(f"{done} of {len(jobs)} generated")
    return result


@torch.inference_mode()
def score(
    decoder: Decoder, jobs: Sequence[Job], report: Report, *, rows: int | None = None
) -> list[tuple[Tensor, Tensor]]:
    """Teacher-forced log-probability in nats of each target token, and whether it is the likeliest one.

    Both are (targets,) on the CPU, float32 and bool.
    """
    rows = rows or (256 if on_gpu(decoder) else 8)
    head = decoder.model.get_output_embeddings()
    result: list[tuple[Tensor, Tensor]] = [(torch.empty(0), torch.empty(0, dtype=torch.bool)) for _ in jobs]
    done = 0
    for batch in batches(jobs, rows, 131_072 if on_gpu(decoder) else 16_384):
        chosen = [jobs[i] for i in batch]
        given = decoder.inputs([job.prefix() for job in chosen], [[*job.prompt, *job.target[:-1]] for job in chosen])
        hidden = decoder.model.model(**given, use_cache=False).last_hidden_state
        for index, job, states in zip(batch, chosen, hidden, strict=True):
            # Rows are padded on the left, so the states that see a target's past are the last ones.
            logits = head(states[-len(job.target) :]).float()
            target = torch.tensor(job.target, device=logits.device)
            chances = logits.log_softmax(-1).gather(1, target[:, None])[:, 0]
            result[index] = (chances.cpu(), (logits.argmax(-1) == target).cpu())
        done += len(batch)
        report(f"{done} of {len(jobs)} scored")
    return result


@torch.inference_mode()
def attention(decoder: Decoder, jobs: Sequence[Job], report: Report, *, rows: int | None = None) -> list[Tensor]:
    """What ``ccf_core.answer.slot_attention`` gives for each job's prefix, prompt and target: (slots,) float32."""
    rows = rows or (64 if on_gpu(decoder) else 8)
    result: list[Tensor] = [torch.empty(0)] * len(jobs)
    before = decoder.model.config._attn_implementation
    decoder.model.set_attn_implementation("eager")
    done = 0
    try:
        for batch in batches(jobs, rows, 131_072 if on_gpu(decoder) else 16_384):
            chosen = [jobs[i] for i in batch]
            prefixes = [job.prefix() for job in chosen]
            given = decoder.inputs(prefixes, [[*job.prompt, *job.target[:-1]] for job in chosen])
            layers = decoder.model.model(**given, use_cache=False, output_attentions=True).attentions
            upper = layers[len(layers) // 2 :]
            slots = max(job.cached for job in chosen)
            for row, (index, job) in enumerate(zip(batch, chosen, strict=True)):
                # Rows and prefixes are padded on the left.
                own = [a[row, :, -len(job.target) :, slots - job.cached : slots].float().mean((0, 1)) for a in upper]
                result[index] = torch.stack(own).mean(0).cpu()
            done += len(batch)
            report(f"attention of {done} of {len(jobs)} answers")
    finally:
        decoder.model.set_attn_implementation(before)
    return result


def decode(ccf: CCF, input_ids: Sequence[int]) -> str:
    """Token ids as text, special tokens left out."""
    return str(ccf.tokenizer.decode(list(input_ids), skip_special_tokens=True))


def single_segment(document: Segmented, index: int) -> Segmented:
    """One segment of a document as a document of its own: what the encoder makes of it is the same."""
    span = document.spans[index]
    alone = Span(span.document, 0, 0, len(span), 0, span.char_end - span.char_start)
    return Segmented(document.sha256, document.segment(index), (alone,))


def segment_batches(ccf: CCF, documents: Sequence[Segmented]) -> Iterator[list[tuple[int, int]]]:
    """Batches of (document, segment) of one length, as large as those in which a codec encodes."""
    by_length: dict[int, list[tuple[int, int]]] = {}
    for number, document in enumerate(documents):
        for index, span in enumerate(document.spans):
            by_length.setdefault(len(span), []).append((number, index))
    rows = 128 if on_gpu(ccf.decoder) else 8
    for alike in by_length.values():
        yield from (alike[at : at + rows] for at in range(0, len(alike), rows))


def compress_all(
    ccf: CCF, documents: Sequence[Segmented], finest: int, memory_dtype: MemoryDtype, report: Report
) -> list[KVMemory]:
    """Memories of many documents; segments of one length are encoded together, whatever their document."""
    blocks: list[dict[int, dict[int, Block]]] = [{} for _ in documents]
    done, total = 0, sum(len(document.spans) for document in documents)
    batches = list(segment_batches(ccf, documents))
    segments = ([documents[number].segment(index) for number, index in batch] for batch in batches)
    for batch, encoded in zip(batches, ccf.encoder.encode_each(segments, finest, memory_dtype), strict=True):
        for (number, index), levels in zip(batch, encoded, strict=True):
            blocks[number][index] = levels
        done += len(batch)
        if done % 1024 < len(batch) or done == total:
            report(f"{done} of {total} segments encoded")
    return [ccf.memory(document, own, finest) for document, own in zip(documents, blocks, strict=True)]
