"""``python -m ccf_core push``: publish an adapter on the model hub, with a card of what is known of it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from ccf_core.errors import AdapterError, HubError
from ccf_core.evaluation.report.card import adapter_card
from ccf_core.hub import ADAPTER_FILES, CONFIG, README, hub_name, publish
from ccf_core.model.adapter import Adapter


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, help="folder of the adapter")
    parser.add_argument("repo", help="owner/name on the model hub; made if there is none")
    parser.add_argument("--private", action="store_true", default=None, help="make the repository a private one")
    parser.add_argument("--licence", default="", help="of the adapter, in the hub's word for it: apache-2.0")
    parser.add_argument("--source", nargs="+", default=[], help="what it was trained on, with licences")
    parser.add_argument("--results", nargs="+", type=Path, default=[], help="JSON of evaluate, for the card's figures")


def main(args: argparse.Namespace) -> dict:
    told = {"licence": args.licence, "sources": args.source, "results": args.results}
    commit = push_to_hub(args.folder, args.repo, private=args.private, **told)
    return {"adapter": f"{args.repo}@{commit}"}


def push_to_hub(
    folder: str | Path,
    repo: str,
    *,
    licence: str = "",
    sources: Sequence[str] = (),
    results: Sequence[str | Path] = (),
    private: bool | None = None,
    token: str | None = None,
) -> str:
    """Publish the adapter of a folder as ``repo``, ``owner/name`` on the model hub; return the hash of the commit.

    ``licence``, ``sources`` and ``results`` are for ``adapter_card``. A README.md in the folder is the card if none of
    them is given. Of the folder only ccf.json, the shards and card.json go besides.

    Raises AdapterError, EvaluationError and HubError.
    """
    if hub_name(repo) != (repo, None):
        raise HubError(f"{repo} is no name on the model hub: give owner/name.")
    adapter = Adapter.load(folder)
    if adapter.folder is None:
        raise AdapterError(f"{folder} is no folder of an adapter: give one that holds {CONFIG}.")
    files: dict[str, Path | bytes] = {
        path.name: path for pattern in ADAPTER_FILES for path in sorted(adapter.folder.glob(pattern))
    }
    if licence or sources or results or README not in files:
        files[README] = adapter_card(adapter, repo, licence=licence, sources=sources, results=results).encode()
    return publish(repo, files, f"Adapter {adapter.fingerprint[:12]}", private, token)
