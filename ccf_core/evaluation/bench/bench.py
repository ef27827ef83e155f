"""``python -m ccf_core bench``: what compression costs and saves on this machine, in ratios of measured times.

The content of a text does not change the time, so documents are seeded random tokens; nor does training, so
``--untrained`` measures without an adapter. docs/speed.md says what every figure is.
"""

from __future__ import annotations

import argparse
import random
import statistics
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import torch

from ccf_core.answering.batching import on_gpu
from ccf_core.answering.prompt import question_prompt
from ccf_core.base.load import load_base
from ccf_core.ccf import CCF
from ccf_core.cli import positive, report
from ccf_core.evaluation.bench.roofline import Counts, matrix_products, matrix_vector_products
from ccf_core.evaluation.bench.table import Figure, figure, markdown
from ccf_core.evaluation.bench.timing import TurnTimes, Work, clock_of, peak, per_token, time_in_turns, timed
from ccf_core.evaluation.cli import command
from ccf_core.evaluation.memories import compress_all
from ccf_core.evaluation.rows import EvaluationError
from ccf_core.evaluation.subject import described
from ccf_core.memory.memory import KVMemory
from ccf_core.model.adapter import Adapter
from ccf_core.model.decoder import Decoder
from ccf_core.model.layers import embedding_table
from ccf_core.model.prefix import Prefix

QUESTION = "What does the document say about the harbour, and who is it that says so?"

#: Tokens up to which full context is read on a CPU: the time grows with their square.
PREFILL_ON_CPU = 16_384


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tokens", type=positive, nargs="+", default=[1024, 4096, 8192], help="lengths of documents")
    parser.add_argument("--ratio", type=int, default=8, help="at which questions are answered")
    parser.add_argument(
        "--finest", type=int, help="ratio down to which documents are compressed (the adapter's finest)"
    )
    parser.add_argument("--runs", type=positive, default=5, help="turns measured, after one to warm up")
    parser.add_argument("--seconds", type=positive, default=300, help="after which no further turn of a figure begins")
    parser.add_argument(
        "--prefill-up-to", type=positive, help="longest document read in full context (CPU: 16384, else any)"
    )
    parser.add_argument("--documents", type=positive, default=8, help="of the first length, compressed together")
    parser.add_argument("--new-tokens", type=positive, default=32, help="tokens decoded in a turn")
    parser.add_argument("--seed", type=int, default=0, help="of the random documents")
    parser.add_argument(
        "--untrained", action="store_true", help="measure an untrained adapter: as fast as a trained one"
    )
    parser.add_argument(
        "--cpu-time", action="store_true", help="count seconds that one CPU gave to the process: for a busy machine"
    )
    parser.add_argument("--markdown", type=Path, help="also write the figures as a table to this file")


def main(args: argparse.Namespace) -> dict:
    """Measure ``figures``, each with ``measured``, the ``bound`` that counting operations and bytes gives, and what
    both are made ``of``; and ``machine``, the rates that the bounds are made with, medians of the same run."""
    if args.markdown and not args.markdown.parent.is_dir():
        raise EvaluationError(f"There is no folder for {args.markdown.name}: make it first.")
    bench = Bench(_load_ccf(args), args)
    figures: list[Figure] = []
    for row in bench.figures():
        report(f"{row['figure']} {row['measured']}, at best {row['bound']}")
        figures.append(row)
    result = {
        "figures": figures,
        "machine": bench.machine(),
        "ratio": args.ratio,
        "finest": bench.finest,
        "runs": args.runs,
        "threads": torch.get_num_threads(),
        **described(bench.ccf),
        "command": command(args.argv),
    }
    if args.markdown:
        args.markdown.write_text(markdown(result), encoding="utf-8")
    return result


def _load_ccf(args: argparse.Namespace) -> CCF:
    if not args.untrained:
        return CCF.from_pretrained(
            args.adapter, args.base, args.device, args.dtype, allow_other_base=args.allow_other_base
        )
    base = load_base(args.base, device=args.device, dtype=args.dtype)
    return CCF(base, Adapter.zero(base.model, base.new_config()))


class Bench:
    """A CCF, the settings of a run, and the times of the machine's own matrix products in its turns."""

    def __init__(self, ccf: CCF, args: argparse.Namespace) -> None:
        self.ccf = ccf
        self.args = args
        self.finest: int = args.finest or ccf.config.finest
        for ratio in (self.finest, args.ratio):
            if ratio not in ccf.config.ratios:
                known = ", ".join(map(str, ccf.config.ratios))
                raise EvaluationError(f"The adapter has no ratio {ratio}: choose from {known}.")
        if args.ratio < self.finest:
            raise EvaluationError(f"A memory down to {self.finest}x has no {args.ratio}x: choose a finer --finest.")
        if args.cpu_time and (on_gpu(ccf.decoder) or torch.get_num_threads() > 1):
            raise EvaluationError("--cpu-time is for one thread on a CPU: set OMP_NUM_THREADS=1, or leave it out.")
        self.clock = clock_of(ccf.model.device, args.cpu_time)
        self.prompt = question_prompt(ccf.tokenizer, QUESTION)
        self.counts = Counts.of(ccf.decoder)
        segment = ccf.segment(self._ids(ccf.config.segment_length))
        rows = len(segment.input_ids)
        if ccf.config.trained:
            rows = ccf.batch_size * len(ccf.encoder.tables(rows, self.finest).cos)
        products, self.matrix_operations = matrix_products(ccf.decoder, rows)
        self.matrix = timed(self.clock, products)
        self.vector = timed(self.clock, matrix_vector_products(ccf.decoder))
        self.rates: dict[str, list[float]] = {"matrix": [], "vector": []}

    def figures(self) -> Iterator[Figure]:
        """Measure the figures of every length, then that of the batch."""
        for tokens in self.args.tokens:
            yield from self.document(tokens)
        yield self.batch()

    def document(self, tokens: int) -> Iterator[Figure]:
        """Measure one document of so many tokens: read by either way, then decoded after."""
        ids = self._ids(tokens)
        memory: dict[str, KVMemory] = {}
        yield from self._reading(ids, memory)
        yield from self._decoding(memory["finest"].at(self.args.ratio))

    def _reading(self, ids: list[int], memory: dict[str, KVMemory]) -> Iterator[Figure]:
        ccf, counts, tokens = self.ccf, self.counts, len(ids)
        report(f"compressing and reading {tokens} tokens")

        def compress() -> None:
            memory["finest"] = ccf.compress(ids, self.finest, dtype="int8")

        def first_token() -> None:
            prefix = ccf.prefix_for("memory", memory["finest"].at(self.args.ratio))
            ccf.decoder.generate([prefix], [self.prompt], max_new_tokens=1, exactly=True)

        works = {"matrix": self.matrix, "vector": self.vector}
        works |= {name: timed(self.clock, work) for name, work in (("compress", compress), ("first", first_token))}
        gpu = on_gpu(ccf.decoder)
        reads = tokens <= (self.args.prefill_up_to or (tokens if gpu else PREFILL_ON_CPU))
        if reads:
            works["prefill"] = timed(self.clock, lambda: ccf.decoder.read_text(ids))
        measured = self._turns(works)
        operations = {
            "compress": counts.compress(ccf, map(len, ccf.segment(ids).spans), self.finest),
            "prefill": counts.prefill(tokens),
        }
        first_bound = counts.first_token_s(
            len(self.prompt),
            memory["finest"].at(self.args.ratio).slots,
            self.matrix_operations / measured.median("matrix"),
            counts.weight_bytes / measured.median("vector"),
        )
        prefill_bound = operations["prefill"] * measured.median("matrix") / self.matrix_operations
        seconds = {f"{name}_s": measured.median(name) for name in ("compress", "first", "prefill") if name in works}
        for name, bound in (
            ("compress", operations["compress"] / operations["prefill"]),
            ("first", first_bound / prefill_bound),
        ):
            ratio = measured.ratio(name, "prefill") if reads else None
            yield figure(f"{name}_over_prefill", tokens, ratio, bound, measured, **seconds)
        for name in ("compress", "prefill") if reads else ("compress",):
            share = measured.ratio("matrix", name) * operations[name] / self.matrix_operations
            yield figure(f"{name}_share_of_matrix_rate", tokens, share, 1, measured, operations=operations[name])

    def _decoding(self, memory: KVMemory) -> Iterator[Figure]:
        decoder, counts, tokens, slots = self.ccf.decoder, self.counts, memory.tokens, memory.slots
        report(f"decoding after {tokens} tokens")
        # Time does not depend on what a cache holds, so full context need not be read for it.
        makers = {"memory": partial(decoder.prefix, memory), "full": partial(_filled, counts, decoder, tokens)}

        def decode(prefix: Prefix) -> dict[str, list[float]]:
            return per_token(self.clock, decoder, prefix, self.prompt, self.args.new_tokens, self.vector)

        peaks = {name: peak(decoder.model.device, make, decode) for name, make in makers.items()}
        taken: dict[str, dict[str, list[float]]] = {name: {"token": [], "between": []} for name in makers}
        for _ in range(self.args.runs):
            for name, make in makers.items():
                for part, seconds in decode(make()).items():
                    taken[name][part] += seconds
        after = {name: TurnTimes(seconds) for name, seconds in taken.items()}
        for turn in after.values():
            self.rates["vector"] += turn.seconds["between"]
        rates = {f"{name}_tokens_per_s": 1 / turn.median("token") for name, turn in after.items()}
        rates |= {"matrix_vector_tokens_per_s": 1 / after["memory"].median("between"), "slots": slots}
        over_vector = counts.weight_bytes / counts.decode_bytes(slots)
        over_full = counts.decode_bytes(tokens) / counts.decode_bytes(slots)
        measured = after["memory"]
        yield figure(
            "decode_over_matrix_vector", tokens, measured.ratio("between", "token"), over_vector, measured, **rates
        )
        # Each in units of the products that were done between its own tokens.
        ratio = after["full"].ratio("token", "between") / measured.ratio("token", "between")
        yield figure("decode_over_full", tokens, ratio, over_full, measured, **rates)
        sizes = {f"{name}_bytes": size for name, size in peaks.items()}
        yield figure("held_over_full", tokens, peaks["memory"] / peaks["full"], slots / tokens, measured, **sizes)

    def batch(self) -> Figure:
        """Measure documents that are compressed together, of half the first length to the whole."""
        most, draw = self.args.tokens[0], random.Random(self.args.seed)
        lengths = [draw.randint((most + 1) // 2, most) for _ in range(self.args.documents)]
        documents = [self.ccf.segment(self._ids(length)) for length in lengths]
        report(f"compressing {len(documents)} documents together")

        def compress() -> None:
            compress_all(self.ccf, documents, self.finest, "int8", lambda message: None)

        works = {"matrix": self.matrix, "batch": timed(self.clock, compress)}
        measured = self._turns(works)
        spans = [len(span) for document in documents for span in document.spans]
        operations = self.counts.compress(self.ccf, spans, self.finest)
        share = measured.ratio("matrix", "batch") * operations / self.matrix_operations
        seconds = measured.median("batch")
        rates = {"documents_per_s": len(documents) / seconds, "tokens_per_s": sum(lengths) / seconds}
        return figure("batch_share_of_matrix_rate", sum(lengths), share, 1, measured, operations=operations, **rates)

    def machine(self) -> dict[str, float]:
        """Give the machine's rates, medians of the run: operations a second in matrix products; in matrix-vector
        products bytes a second, and passes a second through all matrices."""
        matrix, vector = (statistics.median(seconds) for seconds in self.rates.values())
        return {
            "matrix_operations_per_s": self.matrix_operations / matrix,
            "bytes_per_s": self.counts.weight_bytes / vector,
            "matrix_vector_tokens_per_s": 1 / vector,
        }

    def _turns(self, works: dict[str, Work]) -> TurnTimes:
        measured = time_in_turns(works, self.args.runs, self.args.seconds)
        for name, seconds in self.rates.items():
            seconds += measured.seconds.get(name, ())
        return measured

    def _ids(self, count: int) -> list[int]:
        special = set(self.ccf.tokenizer.all_special_ids)
        ordinary = [i for i in range(len(self.ccf.tokenizer)) if i not in special]
        return random.Random(self.args.seed).choices(ordinary, k=count)


def _filled(counts: Counts, decoder: Decoder, positions: int) -> Prefix:
    """Fill a cache of so many positions, in the place of a text's."""
    spec, like = counts.spec, embedding_table(decoder.model)
    filled = [like.new_full((1, spec.kv_heads, positions, spec.head_dim), 0.1) for _ in range(2 * spec.layers)]
    return Prefix(tuple(filled[::2]), tuple(filled[1::2]), positions)
