"""Prune a full cache to a budget of bytes: every layer and key-value head keeps its best positions.

The budget is uniform over heads, so what is kept is one dense and smaller cache. It knows nothing of questions:
a text is pruned before anything is asked.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from ccf_core.model.decoder import Decoder
from ccf_core.model.layers import StackSpec, attend_with, finish, layer_weights, project, rotary_table, sliding_window
from ccf_core.model.prefix import Prefix


@dataclass(frozen=True)
class FullCache:
    """A batch of texts as the decoder holds them uncompressed, padded on the right.

    input_ids : (batch, tokens) int64.  lengths : (batch,) int64.
    keys, values : one tensor a layer, (batch, kv_heads, past + tokens, head_dim), keys rotated to their positions.
    past : positions of cache that the texts were read after.  begin : position of a text's first token.
    unrotated : keys of the texts alone, before rotary embedding, likewise (batch, kv_heads, tokens, head_dim).
    queries : of the texts, rotated, (batch, heads, tokens, head_dim). Both only where they were asked for.
    """

    input_ids: Tensor
    lengths: Tensor
    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]
    past: int = 0
    begin: int = 0
    unrotated: tuple[Tensor, ...] = ()
    queries: tuple[Tensor, ...] = ()

    @classmethod
    @torch.inference_mode()
    def read(
        cls, decoder: Decoder, texts: Sequence[Sequence[int]], after: Prefix | None = None, *, inside: bool = False
    ) -> FullCache:
        """Read texts in one causal pass, behind ``after``; padding on the right cannot change a text.

        inside : keep ``unrotated`` and ``queries`` too.
        """
        model, device = decoder.model, decoder.model.device
        lengths = [len(text) for text in texts]
        rows = [[*text, *[0] * (max(lengths) - len(text))] for text in texts]
        input_ids = torch.tensor(rows, device=device)
        past, begin = (after.length, after.next_position) if after else (0, 0)
        hidden = model.get_input_embeddings()(input_ids)
        cos, sin = rotary_table(model, torch.arange(begin, begin + input_ids.shape[1], device=device), hidden.dtype)
        spec, layers = StackSpec.of(model), layer_weights(model)
        keys, values, unrotated, queries = [], [], [], []
        for index, w in enumerate(layers):
            q, rotated, k, v = project(spec, w, hidden, cos, sin)
            if after:
                rotated, v = (
                    torch.cat((before[index].transpose(1, 2).expand(len(texts), -1, -1, -1), own), 1)
                    for before, own in ((after.keys, rotated), (after.values, v))
                )
            keys.append(rotated.transpose(1, 2))
            values.append(v.transpose(1, 2))
            if inside:
                unrotated.append(k.transpose(1, 2))
                queries.append(q.transpose(1, 2))
            # What the last layer would go on to make of them is no part of a cache.
            if index + 1 < len(layers):
                attend = attend_with(_mask(past, input_ids.shape[1], sliding_window(model, index), device))
                hidden = finish(spec, w, hidden, attend(q, rotated, v))
        held = (tuple(keys), tuple(values), past, begin, tuple(unrotated), tuple(queries))
        return cls(input_ids, torch.tensor(lengths, device=device), *held)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(batch, layers, kv_heads, tokens), which is the shape of scores."""
        batch, kv_heads, _, _ = self.keys[0].shape
        return batch, len(self.keys), kv_heads, self.input_ids.shape[1]


def _mask(past: int, tokens: int, sliding: int | None, device: torch.device) -> Tensor | None:
    """Make the bool mask, (tokens, past + tokens), of texts behind a past; None where that is plain causal."""
    if not past and (sliding is None or tokens <= sliding):
        return None
    distance = past + torch.arange(tokens, device=device)[:, None] - torch.arange(past + tokens, device=device)
    return (distance >= 0) & (distance < (sliding or past + tokens))


@dataclass(frozen=True)
class Ranked:
    """The best positions of one text's full cache, in each layer and head in order of falling score.

    keys, values : (layers, kv_heads, kept, head_dim).  positions : (layers, kv_heads, kept) int64, their places in
    the text.  next_position : the text's length.
    """

    keys: Tensor
    values: Tensor
    positions: Tensor
    next_position: int

    @property
    def length(self) -> int:
        return self.positions.shape[-1]

    def to(self, device: torch.device | str) -> Ranked:
        return Ranked(self.keys.to(device), self.values.to(device), self.positions.to(device), self.next_position)

    def best(self, kept: int) -> Ranked:
        """Copy the best ``kept`` positions of every head (all there are, if fewer)."""
        keys, values, positions = (x[:, :, :kept].clone() for x in (self.keys, self.values, self.positions))
        return Ranked(keys, values, positions, self.next_position)

    @torch.inference_mode()
    def prefix(self, kept: int, device: torch.device | str | None = None) -> Prefix:
        """Make a prefix of the best ``kept`` positions, in the order of the text."""
        best = self.best(kept).to(device or self.keys.device)
        order = best.positions.argsort(-1)[..., None]
        keys, values = (torch.take_along_dim(x, order, dim=2).unsqueeze(1) for x in (best.keys, best.values))
        return Prefix(tuple(keys), tuple(values), self.next_position)


class Pruning(ABC):
    """A way to choose positions. ``tokenizer`` is for methods that prompt, ``seed`` for those that draw."""

    #: Whether it scores by ``FullCache.queries``.
    by_queries: ClassVar[bool] = False

    def __init__(self, tokenizer: PreTrainedTokenizerBase, seed: int = 0) -> None:
        self.tokenizer = tokenizer
        self.seed = seed

    @staticmethod
    def seen(input_ids: Sequence[int], limit: int | None) -> Sequence[int]:
        """Cut a text to the ``limit`` tokens that are read of it, its first ones; None for all."""
        return input_ids[:limit]

    @abstractmethod
    def scores(self, decoder: Decoder, cache: FullCache) -> Tensor:
        """Score each position: (batch, layers, kv_heads, tokens) float32; ignored where there is padding."""

    @torch.inference_mode()
    def rank(self, decoder: Decoder, texts: Sequence[Sequence[int]], kept: Sequence[int]) -> list[Ranked]:
        """Choose the best ``kept[i]`` positions of each text, all texts in one batch."""
        cache = FullCache.read(decoder, texts, inside=self.by_queries)
        padding = torch.arange(cache.shape[-1], device=cache.lengths.device) >= cache.lengths[:, None]
        scores = self.scores(decoder, cache).masked_fill(padding[:, None, None], float("-inf"))
        order = scores.sort(dim=-1, descending=True, stable=True).indices[..., : max(kept)]
        keys, values = (
            torch.stack([torch.take_along_dim(x, order[:, i, ..., None], dim=2) for i, x in enumerate(layers)])
            for layers in (cache.keys, cache.values)
        )
        ranked = [Ranked(keys[:, i], values[:, i], order[i], len(text)) for i, text in enumerate(texts)]
        return [row.best(min(count, len(text))) for row, count, text in zip(ranked, kept, texts, strict=True)]

    def compress(self, decoder: Decoder, input_ids: Sequence[int], budget: int) -> Prefix:
        """Prune one text to ``budget`` bytes of cache as the decoder holds it.

        A memory in int8 is widened when it is read: what it costs the decoder is its slots times ``Decoder.kv_bytes``;
        to match the bytes in which it is stored, give its ``nbytes``. Raises ValueError if not one position fits.
        """
        kept = budget // decoder.kv_bytes
        if kept < 1:
            raise ValueError(f"a budget of {budget} bytes holds no position: give {decoder.kv_bytes} or more")
        return self.rank(decoder, [input_ids], [kept])[0].prefix(kept)
