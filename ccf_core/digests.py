"""SHA-256 of files, weights and tokenizers: what fingerprints are made of."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from pathlib import Path

import torch
from torch import Tensor


def sha256_of(path: Path) -> str:
    """Compute the hexadecimal SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def remembered_sha256(path: Path, memo: Path) -> str:
    """Compute ``sha256_of``, remembered in the JSON file ``memo`` until the file's size or time of change differs."""
    state = path.stat()
    name = f"{path.resolve()}|"
    key = f"{name}{state.st_size}|{state.st_mtime_ns}"
    try:
        known: dict[str, str] = json.loads(memo.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        known = {}
    if key not in known:
        known = {other: digest for other, digest in known.items() if not other.startswith(name)}
        known[key] = sha256_of(path)
        # Where the memo cannot be written the file is only hashed again next time.
        with contextlib.suppress(OSError):
            partial = memo.with_suffix(f".{os.getpid()}.partial")
            partial.write_text(json.dumps(known, indent=1), encoding="utf-8")
            partial.replace(memo)
    return known[key]


def tokenizer_sha256(path: Path) -> str:
    """Compute the hexadecimal SHA-256 of a ``tokenizer.json`` in canonical form: sorted keys, no white space."""
    content = json.loads(path.read_text(encoding="utf-8"))
    canonical = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def weights_sha256(tensors: dict[str, Tensor]) -> str:
    """Compute the hexadecimal SHA-256 over (name, shape, bytes) of the tensors, sorted by name."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name}{tuple(tensor.shape)}".encode())
        digest.update(tensor.contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
