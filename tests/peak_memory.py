"""``python -m tests.peak_memory TOKENS …``: how much memory a document takes while it is compressed into a database.

For every length a fresh process compresses one document into a database of its own and watches its resident
memory; what it prints is a line of a Markdown table. The model is the workbench's (``CCF_BASE``, ``CCF_ADAPTER``), or
with ``--tiny`` a random one of two layers with the default base's tokenizer: what is left then is not the model's.
"""

from __future__ import annotations

import argparse
import itertools
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psutil

from app.settings import Settings

EVERY_S = 0.01
HEAD = ("tokens", "text, MB", "model loaded, MB", "peak while compressing, MB", "more, MB", "database, MB")


@contextmanager
def watched() -> Iterator[list[int]]:
    """Resident bytes of this process, sampled until the block ends."""
    process, over, seen = psutil.Process(), threading.Event(), [psutil.Process().memory_info().rss]

    def watch() -> None:
        while not over.wait(EVERY_S):
            seen.append(process.memory_info().rss)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def tiny(settings: Settings, folder: Path, **other: int) -> Settings:
    """Settings with a random model and an untrained adapter, both written into ``folder``; ``other`` sizes of it."""
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    from ccf_core import Adapter, CCFConfig
    from ccf_core.base.load import load_base, resolve_base

    sizes = {"num_hidden_layers": 2, "hidden_size": 64, "intermediate_size": 96, "head_dim": 16}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2}
    config = AutoConfig.from_pretrained(resolve_base(), **sizes | heads | other)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder / "base")
    AutoTokenizer.from_pretrained(resolve_base()).save_pretrained(folder / "base")
    model = load_base(folder / "base", device="cpu", dtype="float32").model
    Adapter.zero(model, CCFConfig(encoder_rank=2, decoder_rank=2)).save(folder / "adapter")
    return replace(settings, base=str(folder / "base"), adapter=folder / "adapter", device="cpu", dtype="float32")


def measure(tokens: int, settings: Settings) -> tuple[float, ...]:
    """The numbers of one line, in a fresh process."""
    from app.workbench import Workbench
    from ccf_core.evaluation.rows import DATA, load_rows
    from ccf_core.memory.segments import tokenize

    with Workbench(replace(settings, max_tokens=2 * tokens)) as workbench:
        tokenizer = workbench.folders.memories.model.load().tokenizer
        parts, count = list[str](), 0
        for row in itertools.cycle(load_rows(DATA / "text.jsonl.xz", ("text",))):
            ids, offsets = tokenize(row["text"] + "\n\n", tokenizer)
            if count + len(ids) >= tokens:
                parts.append(row["text"][: offsets[tokens - count - 1][1]])
                break
            parts.append(row["text"] + "\n\n")
            count += len(ids)
        text = "".join(parts)
        # What is allocated once, whatever the length.
        workbench.intake.ingest_text(text[:2000], "Warm")
        with watched() as seen:
            done = workbench.intake.ingest_text(text, "Long")
        return done.tokens, *(
            nbytes / 1e6 for nbytes in (len(text.encode()), seen[0], max(seen), max(seen) - seen[0], done.stored_bytes)
        )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.peak_memory", description=__doc__)
    parser.add_argument("tokens", type=int, nargs="+")
    parser.add_argument("--tiny", action="store_true", help="a random model of two layers")
    parser.add_argument("--here", action="store_true", help="measure in this process")
    args = parser.parse_args()
    if args.here:
        with tempfile.TemporaryDirectory() as folder:
            settings = replace(Settings.from_env(), data_dir=Path(folder))
            found = measure(args.tokens[0], tiny(settings, Path(folder)) if args.tiny else settings)
        print(f"| {found[0]:,.0f} | {found[1]:.1f} | " + " | ".join(f"{number:,.0f}" for number in found[2:]) + " |")
        return
    print(f"| {' | '.join(HEAD)} |\n|{'---:|' * len(HEAD)}", flush=True)
    for tokens in args.tokens:
        again = [sys.executable, "-m", "tests.peak_memory", str(tokens), "--here", *(["--tiny"] if args.tiny else [])]
        subprocess.run(again, check=True)


if __name__ == "__main__":
    main()
