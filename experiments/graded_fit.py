"""``python -m experiments.graded_fit``: measure which plan of ``ccf_core.memory.grades`` loses least.

Texts, segments and scores are those of ``evaluate perplexity``: nats a token on the k-th segment, on half A unless told
otherwise. Every plan has as many positions as the memory has at the ratio beside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

from ccf_core.assets import DEFAULT_ADAPTER
from ccf_core.cli import CommandParser, positive, report
from ccf_core.evaluation.rows import DATA, choose, load_rows
from ccf_core.evaluation.subject import Options, Subject
from ccf_core.evaluation.tasks import perplexity
from ccf_core.memory.grades import grades
from ccf_core.memory.memory import KVMemory
from ccf_core.model.decoder import Decoder
from ccf_core.model.prefix import Prefix


def planned(decoder: Decoder, memory: KVMemory, input_ids: tuple[int, ...], budget: int, share: Fraction) -> Prefix:
    """Read a memory as ``grades`` plans it by a share of text."""
    tokens = [len(span) for span in memory.spans]
    tail, ratios = grades(budget, tokens, memory.ratios, share=share)
    slots = memory.mixed(ratios)
    after = decoder.prefix(slots, tail) if slots else None
    return decoder.read_text(input_ids[len(input_ids) - tail :], after=after) if tail or not after else after


def losses(subject: Subject, window: perplexity.Window, ratios: list[int], shares: list[Fraction]) -> Iterator[float]:
    """Yield nats of one window: of nothing and of full context, then of every ratio's plans, share by share."""
    ccf, (_, before, after) = subject.ccf, window
    memory = ccf.compress(before.input_ids, dtype="int8")
    prefixes: list[Prefix | None] = [None, ccf.decoder.read_text(before.input_ids)]
    for prefix in prefixes:
        yield -float(ccf.decoder.score(prefix, after[:1], after[1:]).sum())
    for ratio in ratios:
        for share in shares:
            prefix = planned(ccf.decoder, memory, before.input_ids, before.slots(ratio), share)
            yield -float(ccf.decoder.score(prefix, after[:1], after[1:]).sum())


def main() -> None:
    parser = CommandParser(description="Which plan of graded memories loses least.")
    parser.add_argument("--adapter", type=Path, default=DEFAULT_ADAPTER)
    parser.add_argument("--k", type=positive, default=4, help="on which segment")
    parser.add_argument("--limit", type=positive, default=11, help="texts at most")
    parser.add_argument("--half", choices=("A", "B"), default="A")
    parser.add_argument("--ratio", type=int, nargs="+", default=[4, 8, 16])
    parser.add_argument("--share", type=Fraction, nargs="+", default=[Fraction(n, 8) for n in (4, 6, 7)])
    args = parser.parse_args()
    rows = choose(load_rows(DATA / perplexity.DATA, perplexity.FIELDS), args.half, [])
    subject = Subject.load(args.adapter)
    chosen = perplexity.windows(subject, rows, Options(tuple(args.ratio), limit=args.limit), args.k)
    sums = [0.0] * (2 + len(args.ratio) * len(args.share))
    for done, window in enumerate(chosen, 1):
        sums = [a + b for a, b in zip(sums, losses(subject, window, args.ratio, args.share), strict=True)]
        report(f"{done} of {len(chosen)} texts")
    none, full, *measured = sums
    tokens = sum(len(after) - 1 for *_, after in chosen)
    print(f"k = {args.k}, {len(chosen)} texts: none {none / tokens:.4f} nats, full {full / tokens:.4f}")
    names = [(ratio, share) for ratio in args.ratio for share in args.share]
    for (ratio, share), nats in zip(names, measured, strict=True):
        kept = (none - nats) / (none - full)
        print(f"{ratio}x, share {share}: {nats / tokens:.4f} nats, gain kept {kept:.3f}")


if __name__ == "__main__":
    main()
