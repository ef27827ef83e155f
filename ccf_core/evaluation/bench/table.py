"""A figure of ``bench``, and all of them as a table."""

from __future__ import annotations

from typing import Any

from ccf_core.evaluation.timing import Turns

Figure = dict[str, Any]


def figure(name: str, tokens: int, measured: float | None, bound: float, of: Turns, **parts: float) -> Figure:
    """``bound`` is what counting operations and bytes allows at best; ``parts`` is what both are made of."""
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
    """The figures as a table, with the machine's rates above it and the command below."""
    machine = result["machine"]
    head = (
        f"{result['base']['id']} in {result['dtype']} on {result['device']}, {result['threads']} threads: "
        f"{machine['matrix_operations_per_s'] / 1e9:,.0f} GFLOP/s in matrix products, "
        f"{machine['bytes_per_s'] / 1e9:,.1f} GB/s and {machine['matrix_vector_tokens_per_s']:,.1f} tokens/s "
        "in bare matrix-vector products."
    )
    lines = ["| figure | tokens | measured | at best | turns | of |", "|---|---:|---:|---:|---:|---|"]
    for one in result["figures"]:
        measured = "not measured" if one["measured"] is None else f"{one['measured']:.4g}"
        parts = ", ".join(f"{name} {value:,.4g}" for name, value in one["of"].items())
        cells = [
            one["figure"],
            f"{one['tokens']:,}",
            measured,
            f"{one['bound']:.4g}",
            str(one["turns"]),
            parts,
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([head, "", *lines, "", "```bash", result["command"], "```", ""])
