"""The card of a published adapter: what is known of it, in Markdown; where nothing is known the card says so."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ccf_core.errors import AdapterError
from ccf_core.evaluation.report.page import markdown, read_result
from ccf_core.hub import CARD
from ccf_core.model.adapter import Adapter

_USE = """```python
from ccf_core import CCF

ccf = CCF.from_pretrained("{repo}")  # revision="COMMIT" pins what it is today
memory = ccf.compress(open("report.txt").read())
print(ccf.answer("When did the pump fail?", memory.at({ratio})).text)
```

A base with another fingerprint is refused."""


def adapter_card(
    adapter: Adapter, repo: str, *, licence: str = "", sources: Sequence[str] = (), results: Sequence[str | Path] = ()
) -> str:
    """Write the README.md of an adapter in the repository ``repo``, ``owner/name`` on the model hub.

    licence : in the hub's word for it, such as apache-2.0.
    sources : what the adapter was trained on, with licences; a line each.
    results : JSON files of ``evaluate``, which become the figures.

    What is not given is taken from ``card.json`` in the adapter's folder, if that has it.
    Raises AdapterError for results of another adapter, EvaluationError for files that are no results.
    """
    known = _known(adapter)
    config, fingerprint = adapter.config, adapter.fingerprint
    licence = licence or known.get("licence", "")
    of_base = known.get("base", {})
    base = config.base_name or of_base.get("id", "")
    measured = [read_result(Path(file)) for file in results]
    if any(result.get("adapter") != fingerprint for result in measured):
        raise AdapterError("A results file is of another adapter: measure this one, or leave the file out.")
    ranks = ", ".join(f"{rank} ({side})" for side, rank in config.ranks.items())
    facts = {
        "Base": base or "its name was not kept: the fingerprint tells whether it is the right one",
        "Fingerprint of the base": f"`{config.base}`" if config.base else "not kept: any base of its shape is taken",
        "Licence of the base": of_base.get("licence", "not told"),
        "Licence": licence or "not told: ask before you use it",
        "Ratios": ", ".join(f"{ratio}x" for ratio in config.ratios),
        "Segments": f"{config.segment_length} tokens, {config.compressor}",
        "LoRA": f"rank {ranks} on {', '.join(config.targets)}",
        "Fingerprint": f"`{fingerprint}`",
    }
    trained_on = [f"- {source}" for source in sources] or _sources(known)
    figures = [f"### {result['task']}\n\n{markdown(result).rstrip()}" for result in measured]
    parts = [
        _metadata(licence, adapter.base_on_hub),
        f"# {known.get('name') or repo.split('/')[-1]}",
        "An adapter of CCF, which compresses documents into short key-value memories. Its files are safetensors and "
        "JSON; no code comes with it.",
        "\n".join(["| | |", "|---|---|", *(f"| {name} | {told} |" for name, told in facts.items())]),
        _USE.format(repo=repo, ratio=config.ratios[min(1, len(config.ratios) - 1)]),
        "## Figures",
        *(figures or ["Nothing is told: measure it before you rely on it."]),
        "## Trained on",
        "\n".join(trained_on) or "Nothing is told: ask before you rely on it.",
    ]
    return "\n\n".join(parts) + "\n"


def _metadata(licence: str, base: str | None) -> str:
    """Write what the hub's search and pages read: YAML between two lines of dashes."""
    from huggingface_hub import ModelCardData

    facts = ModelCardData(
        library_name="ccf",
        license=licence.lower() or None,
        base_model=base and base.partition("@")[0],
        base_model_relation="adapter" if base else None,
        tags=["ccf", "context-compression"],
    )
    return f"---\n{facts.to_yaml()}\n---"


def _known(adapter: Adapter) -> dict[str, Any]:
    path = adapter.folder / CARD if adapter.folder else None
    if path is None or not path.is_file():
        return {}
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise AdapterError(f"{path} is not readable as JSON: mend it, or take it away.") from error
    return known if isinstance(known, dict) else {}


def _sources(known: dict[str, Any]) -> list[str]:
    """List what ``card.json`` says of the data, as the one of the shipped adapter does."""
    lists = [rows for part in known.get("data", {}).values() for rows in part.values() if isinstance(rows, list)]
    return [f"- {row['source']} ({row.get('licence', 'licence not told')})" for rows in lists for row in rows]
