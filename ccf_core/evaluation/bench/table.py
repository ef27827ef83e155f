"""Make the figures of ``bench`` and write them as a table."""

from __future__ import annotations

from typing import Any

from ccf_core.evaluation.bench.timing import TurnTimes

Figure = dict[str, Any]


def figure(name: str, tokens: int, measured: float | None, bound: float, of: TurnTimes, **parts: float) -> Figure:
    """Make a figure; ``bound`` is the best that operations and bytes allow, ``parts`` is what both are made of."""
    rounded = {part: float(f"{value:.4g}") if isinstance(value, float) else value for part, value in parts.items()}
    return {
        "figure": name,
        "tokens": tokens,
        "measured": None if measured is None else float(f"{measured:.4g}"),
        "bound": float(f"{bound:.4g}"),
        "turns": of.count,
        "of": rounded,
    }


def markdown(result: dict[str, Any]) -> str:
    """Write the figures as a table, with the machine's rates above it and the command below."""
    machine = result["machine"]
    head = (
        f"{result['base']['id']} in {result['dtype']} on {result['device']}, {result['threads']} threads: "
        f"{machine['matrix_operations_per_s'] / 1e9:,.0f} GFLOP/s in matrix products, "
        f"{machine['bytes_per_s'] / 1e9:,.1f} GB/s and {machine['matrix_vector_tokens_per_s']:,.1f} tokens/s "
        "in bare matrix-vector products."
    )
    lines = ["| figure | tokens | measured | at best | turns | of |", "|---|---:|---:|---:|---:|---|"]
    for row in result["figures"]:
        measured = "not measured" if row["measured"] is None else f"{row['measured']:.4g}"
        parts = ", ".join(f"{name} {value:,.4g}" for name, value in row["of"].items())
        cells = [
            row["figure"],
            f"{row['tokens']:,}",
            measured,
            f"{row['bound']:.4g}",
            str(row["turns"]),
            parts,
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([head, "", *lines, "", "```bash", result["command"], "```", ""])
