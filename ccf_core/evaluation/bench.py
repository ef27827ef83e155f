"""``python -m ccf_core bench``: what compression costs and saves on this machine, in ratios of measured times.

The content of a text does not change the time, so the document is seeded random tokens; nor does training, so
``--untrained`` measures without an adapter.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Callable

import torch

from ccf_core.adapter import Adapter
from ccf_core.answer import question_prompt, stream
from ccf_core.base import load_base
from ccf_core.codec import CCF
from ccf_core.config import CCFConfig
from ccf_core.decoder import Decoder, Prefix
from ccf_core.evaluation.batches import segment_batches
from ccf_core.evaluation.cli import command, positive, report
from ccf_core.evaluation.data import EvaluationError
from ccf_core.evaluation.subject import Subject
from ccf_core.segment import Segmented

QUESTION = "What does the document say about the harbour, and who is it that says so?"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tokens", type=positive, default=10_000, help="length of the document")
    parser.add_argument("--ratio", type=int, default=8, help="at which questions are answered")
    parser.add_argument("--runs", type=positive, default=5, help="measured runs, after one to warm up")
    parser.add_argument("--new-tokens", type=positive, default=32, help="tokens decoded in a run")
    parser.add_argument("--seed", type=int, default=0, help="of the random document")
    parser.add_argument(
        "--untrained", action="store_true", help="measure an untrained adapter: as fast as a trained one"
    )


def main(args: argparse.Namespace) -> dict:
    """Medians of interleaved runs.

    compress_over_prefill : compressing the document, down to the finest ratio and held as int8, ÷ the bare
        base over the same segments in the same batches (no slots, adapter, cache or output head).
    first_token_over_prefill : first token of an answer from the int8 memory ÷ full-context prefill.
    decode_over_full : tokens a second decoded after the memory ÷ after full context.
    floors : what counting tokens and bytes allows at best.
    """
    subject = _subject(args)
    ccf = subject.ccf
    if args.ratio not in ccf.config.ratios:
        known = ", ".join(map(str, ccf.config.ratios))
        raise EvaluationError(f"The adapter has no ratio {args.ratio}: choose from {known}.")
    document = ccf.segment(_random_tokens(ccf, args.tokens, args.seed))
    prompt = question_prompt(ccf.tokenizer, QUESTION)
    memory = ccf.compress(document.input_ids).quantize("int8")

    report(f"compressing {args.tokens} tokens, and the bare base over them")
    compress_s, bare_s = _interleaved(
        ccf,
        args.runs,
        lambda: ccf.compress(document.input_ids).quantize("int8"),
        lambda: bare_pass(subject.plain, ccf, document),
    )
    report("reading the memory, and the full context")
    at_ratio = memory.at(args.ratio)

    def first_token() -> None:
        prefix = ccf.prefix_for("memory", at_ratio)
        ccf.decoder.generate([prefix], [prompt], max_new_tokens=1, exactly=True)

    first_s, prefill_s = _interleaved(ccf, args.runs, first_token, lambda: ccf.decoder.read_text(document.input_ids))
    report("decoding after either")
    prefixes = ccf.decoder.prefix(at_ratio), ccf.decoder.read_text(document.input_ids)
    rates = [[_decode_rate(ccf, p, prompt, args.new_tokens) for p in prefixes] for _ in range(args.runs + 1)]
    memory_rate, full_rate = (statistics.median(rate) for rate in zip(*rates[1:], strict=True))
    full_kv_bytes = memory.tokens * ccf.token_kv_bytes
    return {
        "tokens": memory.tokens,
        "ratio": args.ratio,
        "compress_over_prefill": round(compress_s / bare_s, 3),
        "first_token_over_prefill": round(first_s / prefill_s, 4),
        "decode_over_full": round(memory_rate / full_rate, 3),
        "kv_bytes": prefixes[0].nbytes,
        "full_kv_bytes": full_kv_bytes,
        "stored_bytes": memory.nbytes,
        "floors": {
            "compress_over_prefill": round(1 + memory.slots / memory.tokens, 3),
            "first_token_over_prefill": round(len(prompt) / memory.tokens, 4),
            "kv_bytes": at_ratio.slots * ccf.token_kv_bytes,
        },
        "seconds": {
            "compress": round(compress_s, 3),
            "bare_base": round(bare_s, 3),
            "first_token": round(first_s, 4),
            "full_prefill": round(prefill_s, 3),
        },
        "tokens_per_s": {"memory": round(memory_rate, 2), "full": round(full_rate, 2)},
        "runs": args.runs,
        "threads": torch.get_num_threads(),
        **subject.described(),
        "command": command(args.argv),
    }


def _subject(args: argparse.Namespace) -> Subject:
    if not args.untrained:
        return Subject.load(args.adapter, args.base, args.device, args.dtype)
    base = load_base(args.base, device=args.device, dtype=args.dtype)
    plain = Decoder(base.copy().model, CCFConfig())
    return Subject(CCF(base, Adapter.zero(base.model, CCFConfig())), plain)


def _random_tokens(ccf: CCF, count: int, seed: int) -> list[int]:
    special = set(ccf.tokenizer.all_special_ids)
    ordinary = [i for i in range(len(ccf.tokenizer)) if i not in special]
    return random.Random(seed).choices(ordinary, k=count)


@torch.inference_mode()
def bare_pass(plain: Decoder, ccf: CCF, document: Segmented) -> None:
    """The untouched base's body over the document's segments, in the batches that ``ccf`` encodes."""
    for batch in segment_batches(ccf, [document]):
        input_ids = torch.tensor([document.segment(i) for _, i in batch], device=plain.model.device)
        plain.model.model(input_ids=input_ids, use_cache=False)


def _interleaved(ccf: CCF, runs: int, *work: Callable[[], object]) -> list[float]:
    """Median seconds of each, taking turns so that a busy moment of the machine meets them all."""
    seconds = [[_timed(ccf, one) for one in work] for _ in range(runs + 1)]
    return [statistics.median(own) for own in zip(*seconds[1:], strict=True)]


def _timed(ccf: CCF, work: Callable[[], object]) -> float:
    _synchronise(ccf)
    started = time.perf_counter()
    work()
    _synchronise(ccf)
    return time.perf_counter() - started


def _synchronise(ccf: CCF) -> None:
    if ccf.model.device.type == "cuda":
        torch.cuda.synchronize()


def _decode_rate(ccf: CCF, prefix: Prefix, prompt: list[int], new_tokens: int) -> float:
    *_, told = stream(ccf.decoder, ccf.tokenizer, prefix, prompt, new_tokens + 1, exactly=True)
    assert isinstance(told, tuple)
    return told[2]
