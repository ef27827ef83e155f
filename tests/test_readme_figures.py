"""The figures in the README are those of the results beside the adapter."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
MEASURED = README[README.index("## Measured") : README.index("## More")]
PROSE = " ".join(MEASURED.split())


def rows(name: str, **wanted: Any) -> list[dict[str, Any]]:
    """Rows of a results file that have these values."""
    result = json.loads((ROOT / "assets" / "results" / f"{name}.json").read_text(encoding="utf-8"))
    found = [row for row in result["rows"] if wanted.items() <= row.items()]
    assert found
    return found


def row(name: str, **wanted: Any) -> dict[str, Any]:
    (only,) = rows(name, **wanted)
    return only


def cell(row: dict[str, Any], metric: str) -> str:
    low, high = row["ci95"][metric]
    return f"{row['metrics'][metric] * 100:.1f} [{low * 100:.1f}, {high * 100:.1f}]"


def percent(row: dict[str, Any], metric: str) -> str:
    return f"{row['metrics'][metric]:.0%}"


def told(start: str) -> str:
    """The table row of the README that begins with this cell."""
    (line,) = [line for line in MEASURED.splitlines() if line.startswith(f"| {start} |")]
    return line


@pytest.mark.parametrize(
    ("ratio", "sample"), [(4, "full"), (8, "full"), (16, "full"), (32, "full"), (4, "tails"), (8, "tails")]
)
def test_reconstructions(ratio: int, sample: str) -> None:
    measured = row("reconstruct", ratio=ratio, sample=sample)
    cells = [cell(measured, metric) for metric in ("rouge_l", "exact_token", "digit_recall", "teacher_forced")]
    name = f"{ratio}x, {'full segments' if sample == 'full' else sample}"
    assert told(name) == f"| {name} | {' | '.join(cells)} |"


@pytest.mark.parametrize(
    ("name", "reader", "ratio"),
    [
        *((f"memory at {ratio}x", "memory", ratio) for ratio in (4, 8, 16, 32)),
        ("full context", "full", None),
        ("no document", "none", None),
        ("full context, untouched base", "base_full", None),
    ],
)
def test_answers(name: str, reader: str, ratio: int | None) -> None:
    measured = row("qa", source="all", reader=reader, ratio=ratio)
    cells = [cell(measured, metric) for metric in ("f1", "kept", "abstain_f1")]
    assert told(name) == f"| {name} | {' | '.join(cells)} |"


@pytest.mark.parametrize(
    ("name", "reader"),
    [
        ("focus: slots and the best text", "focus"),
        ("the text that BM25 finds", "bm25"),
        ("all of the text", "full"),
        ("the passage asked about", "gold"),
    ],
)
def test_focus(name: str, reader: str) -> None:
    assert told(name) == f"| {name} | {cell(row('focus', source='all', reader=reader), 'f1')} |"


def test_what_focus_is_worth() -> None:
    focus = row("focus", source="all", reader="focus")
    assert f"{focus['n'] - focus['unanswerable']} questions on documents of 10 to 15 joined passages" in PROSE
    assert f"keeps {focus['metrics']['kept_gold']:.1%} of the F1 of reading the passage asked about alone" in PROSE
    assert f"beats BM25's text by {cell(focus, 'f1_minus_bm25').replace(' [', ' points [')}" in PROSE
    assert focus["metrics"]["kv_share"] <= 1 / 6


def test_what_is_kept_of_sources_that_were_and_were_not_trained_on() -> None:
    measured = rows("yardstick/B-shipped")
    sources = {r["source"] for r in measured if "f1" in r["metrics"]} - {"all", "macro"}

    def macro(reader: str, ratio: int | None) -> float:
        of = {r["source"]: r["metrics"] for r in measured if (r["reader"], r["ratio"]) == (reader, ratio)}
        return sum(of[source]["f1"] for source in sources) / len(sources)

    assert len(sources) == 11 and {"tydiqa_en", "iirc_dev_part", "bioasq9b_factoid"} <= sources
    kept = [f"{macro('memory', ratio) / macro('yardstick_full', None):.0%}" for ratio in (4, 8, 16, 32)]
    assert "memory keeps {}, {}, {} and {} of the yardstick reader's F1 at 4x, 8x, 16x and 32x".format(*kept) in PROSE


def test_samples() -> None:
    qa = row("qa", source="all", reader="full")
    assert f"{qa['n'] - qa['unanswerable']} questions on short passages" in PROSE
    assert f"how many of {qa['unanswerable']} questions that the passage does not answer" in PROSE
    sizes = [row("reconstruct", ratio=8, sample=sample)["n"] for sample in ("full", "tails")]
    assert "{} full segments and {} tails".format(*sizes) in PROSE


def test_what_it_is_bad_at() -> None:
    def hits(reader: str, ratio: int | None) -> list[str]:
        return [
            percent(row("needle", reader=reader, ratio=ratio, length=length, depth="all"), "hit")
            for length in (1000, 8000)
        ]

    memory, full = hits("memory", 4), hits("full", None)
    assert f"in 1,000 tokens is found in {memory[0]} of the trials at 4x, in 8,000 tokens in {memory[1]}" in PROSE
    assert f"full context finds {full[0]} and {full[1]}" in PROSE

    kept = [percent(row("perplexity", reader="memory", ratio=ratio, k=4), "gain_kept") for ratio in (4, 8, 16, 32)]
    assert "keep {}, {}, {} and {} of what full context gains (4x to 32x)".format(*kept) in PROSE
    pruned = [
        percent(row("perplexity-baselines", reader=reader, ratio=ratio, k=4), "gain_kept")
        for ratio in (4, 8)
        for reader in ("repeat_attention", "sink_recent")
    ]
    assert "`repeat_attention` {}, `sink_recent` {} at 4x; {} and {} at 8x".format(*pruned) in PROSE


def test_where_memories_beat_pruning_they_do() -> None:
    ours = row("qa", source="all", reader="memory", ratio=4)["metrics"]["kept"]
    theirs = row("qa-baselines", source="all", reader="repeat_attention", ratio=4)["metrics"]["kept"]
    assert ours > theirs
    scores = {r["reader"]: r["metrics"]["rouge_l"] for r in rows("reconstruct-baselines", ratio=4, sample="full")}
    assert scores["memory"] > max(scores["repeat_attention"], scores["sink_recent"])


def test_cost() -> None:
    result, long = (
        json.loads((ROOT / "assets" / "results" / "speed" / f"{name}.json").read_text(encoding="utf-8"))
        for name in ("cpu", "cpu-long")
    )
    measured = {(row["figure"], row["tokens"]): row["measured"] for row in (*result["figures"], *long["figures"])}
    compress = [measured["compress_over_prefill", tokens] for tokens in (1024, 4096, 8192)]
    assert "compressing takes {:.2f}, {:.2f} and {:.2f} times as long as reading".format(*compress) in PROSE
    assert f"comes after 1/{1 / measured['first_over_prefill', 8192]:.0f} of that" in PROSE
    faster = [measured["decode_over_full", tokens] for tokens in (8192, 32768)]
    assert "decoded from {:.2f} times as fast; at 32,768 tokens {:.2f} times".format(*faster) in PROSE
    assert f"{result['threads']} CPU cores in {result['dtype']}".replace("2 CPU", "two CPU") in PROSE


def test_every_linked_page_and_picture_is_there() -> None:
    for path in ("docs/results.md", "docs/images/results-reconstruct.svg", "docs/images/inspect.png"):
        assert f"({path})" in README
        assert (ROOT / path).is_file()
