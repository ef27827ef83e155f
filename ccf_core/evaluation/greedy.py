"""Greedy continuation of many rows at once: what ``Decoder.generate`` gives, in less time.

``model.generate`` copies the whole cache at every token, repeats its key-value heads for every query head, and waits
for the device after each token; with hundreds of rows on a GPU that is most of its time. Here the cache has room from
the start, and a token is the plain layer functions of ``ccf_core.transformer`` over it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import DynamicCache

from ccf_core.decoder import Decoder, Prefix, before_end, end_tokens
from ccf_core.transformer import StackSpec, finish, layer_weights, project, rotary_table

#: Tokens between two looks at whether every row has ended; a look waits for the device.
PATIENCE = 8


@torch.inference_mode()
def greedy(
    decoder: Decoder,
    prefixes: Sequence[Prefix | None],
    prompts: Sequence[Sequence[int]],
    max_new_tokens: int,
    *,
    exactly: bool = False,
) -> list[list[int]]:
    """Likeliest continuation of each prompt after its prefix, up to an end token, which is cut off.

    exactly : ``max_new_tokens`` tokens whatever comes (end tokens are barred).
    """
    model = decoder.model
    ends = end_tokens(model)
    barred = [decoder.config.repeat_token, *(ends if exactly else ())]
    state = _State(decoder, prefixes, prompts, max_new_tokens)
    written: list[Tensor] = []
    ended = torch.zeros(len(prompts), dtype=torch.bool, device=model.device)
    for step in range(max_new_tokens):
        logits = model.get_output_embeddings()(state.hidden).float()
        logits[:, barred] = float("-inf")
        written.append(logits.argmax(-1))
        if step + 1 == max_new_tokens:
            break
        if ends and not exactly:
            ended |= torch.isin(written[-1], torch.tensor(ends, device=model.device))
            if step % PATIENCE == PATIENCE - 1 and bool(ended.all()):
                break
        state.read(written[-1])
    return [before_end(row, ends) for row in torch.stack(written, dim=1).tolist()]


class _State:
    """Keys and values of what was read, (rows, kv_heads, room, head_dim) a layer, and ``hidden``, the last token's."""

    def __init__(
        self,
        decoder: Decoder,
        prefixes: Sequence[Prefix | None],
        prompts: Sequence[Sequence[int]],
        new: int,
    ) -> None:
        self.model = decoder.model
        self.spec = StackSpec.of(self.model)
        self.weights = layer_weights(self.model)
        given = decoder.inputs(prefixes, prompts)
        cache = cast(DynamicCache, given.setdefault("past_key_values", DynamicCache()))
        self.hidden = self.model.model(**given, use_cache=True).last_hidden_state[:, -1].clone()
        mask, positions = cast(Tensor, given["attention_mask"]), cast(Tensor, given["position_ids"])
        self.position = positions[:, -1]
        self.length = mask.shape[1]
        self.mask = F.pad(mask.bool(), (0, new), value=True)[:, None, None]
        self.keys: list[Tensor] = []
        self.values: list[Tensor] = []
        for layer in cast(list[Any], cache.layers):
            self.keys.append(F.pad(layer.keys, (0, 0, 0, new)))
            self.values.append(F.pad(layer.values, (0, 0, 0, new)))
            # Both at once would be twice the memory.
            layer.keys = layer.values = None

    def read(self, tokens: Tensor) -> None:
        """Read one token a row, (rows,)."""
        self.position = self.position + 1
        self.length += 1
        hidden = self.model.get_input_embeddings()(tokens)[:, None]
        cos, sin = rotary_table(self.model, self.position[:, None], hidden.dtype)
        for index, weights in enumerate(self.weights):
            q, k, _, v = project(self.spec, weights, hidden, cos, sin)
            self.keys[index][:, :, self.length - 1] = k[:, 0]
            self.values[index][:, :, self.length - 1] = v[:, 0]
            hidden = finish(self.spec, weights, hidden, self._attend(index, q))
        self.hidden = self.model.model.norm(hidden[:, 0])

    def _attend(self, index: int, query: Tensor) -> Tensor:
        """(rows, 1, heads, head_dim): the query heads of a key-value head take the place of several queries."""
        grouped = query.reshape(query.shape[0], self.spec.kv_heads, -1, self.spec.head_dim)
        keys, values = self.keys[index][:, :, : self.length], self.values[index][:, :, : self.length]
        return F.scaled_dot_product_attention(grouped, keys, values, attn_mask=self.mask[..., : self.length]).reshape(
            query.shape
        )
