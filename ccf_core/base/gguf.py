"""A Llama in a GGUF file -> a folder of bfloat16 safetensors, config and tokenizer files.

Covers what the default base needs; weights and tokenizer come out the same under every transformers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from torch import Tensor
from transformers import GenerationConfig, LlamaConfig, PreTrainedTokenizerFast

from ccf_core.digests import weights_sha256

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


def write_folder(source: Path, folder: Path) -> str:
    """Write ``source`` into the empty ``folder`` as transformers saves models.

    Returns the fingerprint of the weights: see ``weights_sha256``.
    """
    reader = gguf.GGUFReader(source)
    tensors = _weights(reader)
    weights = folder / "model.safetensors"
    save_file(tensors, weights, metadata={"format": "pt"})
    weights.chmod(0o644)
    _write_configs(reader, folder)
    _write_tokenizer(reader, folder)
    return weights_sha256(tensors)


def _field(reader: gguf.GGUFReader, name: str) -> Any:
    return reader.fields[name].contents()


def _weights(reader: gguf.GGUFReader) -> dict[str, Tensor]:
    """Dequantise every tensor, under transformers' name; the tied output head is not repeated."""
    heads = {
        "attn_q": _field(reader, "llama.attention.head_count"),
        "attn_k": _field(reader, "llama.attention.head_count_kv"),
    }
    tensors = {}
    for stored in reader.tensors:
        *block, part, _ = stored.name.split(".")
        tensor = torch.from_numpy(gguf.dequantize(stored.data, stored.tensor_type).copy())
        if part in heads:
            # GGUF interleaves the two rotary halves of a head; transformers keeps one after the other.
            rows, columns = tensor.shape
            pairs = tensor.view(heads[part], rows // heads[part] // 2, 2, columns)
            tensor = pairs.transpose(1, 2).reshape(rows, columns)
        layer = f"layers.{block[1]}." if block else ""
        tensors[f"model.{layer}{TENSOR_NAMES[part]}.weight"] = tensor.to(torch.bfloat16)
    return tensors


def _write_configs(reader: gguf.GGUFReader, folder: Path) -> None:
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
        # Stored as float32, so 1e-5 comes back as 9.99999974e-06.
        rms_norm_eps=float(f"{_field(reader, 'llama.attention.layer_norm_rms_epsilon'):.6g}"),
        rope_parameters={"rope_type": "default", "rope_theta": _field(reader, "llama.rope.freq_base")},
        tie_word_embeddings=True,
        **tokens,
    )
    config.save_pretrained(folder)
    GenerationConfig(**tokens).save_pretrained(folder)


def _write_tokenizer(reader: gguf.GGUFReader, folder: Path) -> None:
    """Build the tokenizer here: transformers' own conversion forgets that this one splits off every digit."""
    vocabulary = _field(reader, "tokenizer.ggml.tokens")
    kinds = _field(reader, "tokenizer.ggml.token_type")
    merges = [tuple(merge.split(" ")) for merge in _field(reader, "tokenizer.ggml.merges")]
    tokenizer = Tokenizer(models.BPE(vocab={token: i for i, token in enumerate(vocabulary)}, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    special = [token for token, kind in zip(vocabulary, kinds, strict=True) if kind == gguf.TokenType.CONTROL]
    tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in special])
    named = {
        "bos_token": "bos_token_id",
        "eos_token": "eos_token_id",
        "pad_token": "padding_token_id",
        "unk_token": "unknown_token_id",
    }
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        chat_template=_field(reader, "tokenizer.chat_template"),
        clean_up_tokenization_spaces=False,
        **{name: vocabulary[_field(reader, f"tokenizer.ggml.{field}")] for name, field in named.items()},
    ).save_pretrained(folder)
