"""Residual tokens: where slots do not tell a token, its own key and value in place of a slot that is hardly needed.

A token of plain cache takes the bytes of a slot, so a memory of residual tokens gives up one slot for each of them and
never holds more. Which ones is decided segment by segment before any question, from the decoder's teacher-forced
reconstruction: ``exchange`` knows numbers alone, ``residual`` carries it out. (arXiv 2412.17483 names the failure "lost
if surprise".)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ccf_core import focus
from ccf_core.config import CCFConfig
from ccf_core.decoder import Decoder, Prefix
from ccf_core.errors import MemoryMismatch
from ccf_core.layout import levels_of, placement
from ccf_core.memory import Block, KVMemory
from ccf_core.segment import Span
from ccf_core.transformer import StackSpec, attend_with, embedding_table, finish, project, rotary_table, rotate

#: Share of a token's loss that keeping the token is taken to save. Chosen on development half A.
WORTH = 0.5


class Exchange(NamedTuple):
    """In one segment: ends of the slots that are given up, and tokens (from 0) that are kept as they are, ascending."""

    slots: tuple[int, ...] = ()
    tokens: tuple[int, ...] = ()


def check(memory: KVMemory) -> None:
    """Raises MemoryMismatch for mean-pooled memories, and for int4, whose slots share scales: none can go alone."""
    focus.check(memory)
    if memory.dtype == "int4":
        raise MemoryMismatch("Tokens cannot stand among slots held as int4: hold the memory as int8 or bfloat16.")


def coarser(config: CCFConfig, ratio: int) -> int | None:
    """The next coarser ratio, None for the coarsest."""
    return next((r for r in sorted(config.ratios) if r > ratio), None)


def lowest(chances: Tensor, count: int) -> tuple[int, ...]:
    """Indices of the ``count`` lowest numbers, ascending; of equal ones the first."""
    return tuple(sorted(chances.sort(stable=True).indices[:count].tolist()))


def exchange(
    config: CCFConfig, ratio: int, fine: Tensor, coarse: Tensor, worth: float = WORTH, most: int | None = None
) -> Exchange:
    """What to give up and to keep of a segment's memory at ``ratio``.

    fine, coarse : (tokens,) log-probability in nats of each token of the segment, teacher-forced, after its slots at
    ``ratio`` and at the next coarser ratio.  worth : share of its loss that a kept token saves.  most : exchanges at
    most, None for no limit.

    Only slots of the finest level are given up, since what is coarser was made without them. One costs what ``fine``
    gains on ``coarse`` between its neighbours; the cheapest go first. With k of them gone, a token's chance is taken
    to be ``coarse`` around them, else ``fine``, and the k least likely tokens are kept. k is where ``worth`` times
    their loss, less the cost, is highest; the least such k.
    """
    bounds = sorted(end for _, ends in levels_of(config, len(fine), ratio) for end in ends)
    around = dict(zip(bounds, zip([0, *bounds], bounds[1:], strict=False), strict=False))
    level, ends = levels_of(config, len(fine), ratio)[-1]
    own = {end: slice(*around[end]) for end in ends if level != config.ratios[-1]}
    cost = {end: float((fine[own[end]] - coarse[own[end]]).sum()) for end in own}
    given_up = sorted(own, key=lambda end: cost[end])[:most]
    expected = fine.clone()
    best, gain, spent = Exchange(), 0.0, 0.0
    for count, end in enumerate(given_up, 1):
        spent += cost[end]
        expected[own[end]] = coarse[own[end]]
        kept = lowest(expected, count)
        saved = -worth * float(expected[list(kept)].sum()) - spent
        if saved > gain:
            best, gain = Exchange(tuple(sorted(given_up[:count])), kept), saved
    return best


@torch.inference_mode()
def plain_cache(decoder: Decoder, segments: Sequence[Sequence[int]]) -> list[Block]:
    """What the decoder holds of segments of one length when it reads each as plain text, on the CPU.

    Keys are before rotary embedding, as slots' are: a block of (layers, kv_heads, tokens, head_dim) for each.
    """
    spec = StackSpec.of(decoder.model)
    hidden = F.embedding(torch.tensor(segments, device=decoder.model.device), embedding_table(decoder.model))
    cos, sin = rotary_table(decoder.model, torch.arange(hidden.shape[1], device=hidden.device), hidden.dtype)
    attend = attend_with(None)
    keys, values = [], []
    for w in decoder.layers:
        q, rotated, k, v = project(spec, w, hidden, cos, sin)
        hidden = finish(spec, w, hidden, attend(q, rotated, v))
        keys.append(k)
        values.append(v)
    # (layers, batch, tokens, kv_heads, head_dim) -> (batch, layers, kv_heads, tokens, head_dim)
    k, v = (torch.stack(kept).permute(1, 0, 3, 2, 4).cpu() for kept in (keys, values))
    return [Block(own_k, own_v) for own_k, own_v in zip(k, v, strict=True)]


@dataclass(frozen=True)
class ResidualMemory:
    """Slots and tokens of a document's segments, each segment's in the order of the text.

    ends : of every vector, the tokens of its segment up to it (a slot's end, or the token and all before it).
    raw : whether it is a token. A slot stands before the token at which it ends.
    blocks : one a segment, (layers, kv_heads, vectors, head_dim), keys before rotary embedding.
    """

    spans: tuple[Span, ...]
    ends: tuple[tuple[int, ...], ...]
    raw: tuple[tuple[bool, ...], ...]
    blocks: tuple[Block, ...]

    @classmethod
    def of(
        cls, config: CCFConfig, memory: KVMemory, exchanges: Sequence[Exchange], kept: Sequence[Block]
    ) -> ResidualMemory:
        """``memory`` less the slots given up, with the tokens ``kept[i]`` of segment i, held in the same dtype."""
        ends, raw, blocks = [], [], []
        for span, own, changed, tokens in zip(memory.spans, memory.blocks, exchanges, kept, strict=True):
            slots = [end for _, level in levels_of(config, len(span), memory.ratio) for end in level]
            vectors = [(end, False, i) for i, end in enumerate(slots) if end not in changed.slots]
            vectors += [(token + 1, True, len(slots) + i) for i, token in enumerate(changed.tokens)]
            vectors.sort()
            parts = [*own.values(), like(tokens, next(iter(own.values())))]
            order = torch.tensor([i for _, _, i in vectors])
            blocks.append(
                Block(
                    **{
                        name: torch.cat([part.tensors()[name] for part in parts], dim=2)[:, :, order]
                        for name in parts[0].tensors()
                    }
                )
            )
            ends.append(tuple(end for end, _, _ in vectors))
            raw.append(tuple(is_raw for _, is_raw, _ in vectors))
        return cls(memory.spans, tuple(ends), tuple(raw), tuple(blocks))

    @property
    def length(self) -> int:
        """Slots and tokens: positions of the decoder's cache."""
        return sum(map(len, self.ends))

    @property
    def tokens(self) -> int:
        """How many of them are tokens."""
        return sum(map(sum, self.raw))

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors as held, scales included."""
        return sum(block.nbytes for block in self.blocks)

    def positions(self, decoder: Decoder) -> tuple[list[int], int]:
        """Rotary position of every vector, placed as a memory of the same text is, and of the first token after."""
        placed = placement(sum(map(len, self.spans)), decoder.window)
        found: list[int] = []
        start = 0
        for span, ends in zip(self.spans, self.ends, strict=True):
            found += placed.slots(start, ends)
            start += len(span)
        return found, placed.question

    @torch.inference_mode()
    def prefix(self, decoder: Decoder) -> Prefix:
        """What the decoder reads."""
        positions, question = self.positions(decoder)
        floating = [block.floating(decoder.model.dtype, decoder.model.device) for block in self.blocks]
        k, v = (torch.cat(parts, dim=2) for parts in zip(*floating, strict=True))
        at = torch.tensor(positions, device=decoder.model.device)
        cos, sin = rotary_table(decoder.model, at, decoder.model.dtype)
        k = rotate(k.transpose(1, 2), cos, sin).transpose(1, 2)
        return Prefix(tuple(k.unsqueeze(1)), tuple(v.unsqueeze(1)), question)


def like(block: Block, other: Block) -> Block:
    """A floating block held as ``other`` is: in int8, or in its floating dtype."""
    if other.dtype == "int8":
        return block.quantize("int8")
    return Block(block.k.to(other.k.dtype), block.v.to(other.v.dtype))


def pick(block: Block, tokens: Sequence[int]) -> Block:
    """Copies of some positions of a floating block."""
    at = torch.tensor(tokens, dtype=torch.long)
    return Block(block.k[:, :, at], block.v[:, :, at])


def residual(
    decoder: Decoder, memory: KVMemory, input_ids: Sequence[int], *, worth: float = WORTH, most: int | None = None
) -> ResidualMemory:
    """A document's memory with residual tokens, in as many positions and bytes as ``memory`` takes at its ratio.

    input_ids : the tokens that it was made of. At the coarsest ratio nothing is exchanged; nor with ``most`` 0.
    Costs two teacher-forced passes and a plain one over the text. Raises ValueError if ``input_ids`` are not as many
    as the memory is of; MemoryMismatch for a mean-pooled memory and one held as int4.
    """
    check(memory)
    texts = focus.cut(input_ids, [len(span) for span in memory.spans])
    config, prompt = decoder.config, [decoder.config.repeat_token]
    up = coarser(config, memory.ratio)
    exchanges, kept = [], []
    for index, ids in enumerate(texts):
        own = memory.select([index])
        score = partial(decoder.score, prompt=prompt, target=ids)
        fine = score(decoder.prefix(own))
        coarse = score(decoder.prefix(own.at(up))) if up else fine
        exchanges.append(exchange(config, memory.ratio, fine, coarse, worth, most))
        kept.append(pick(plain_cache(decoder, [ids])[0], exchanges[-1].tokens))
    return ResidualMemory.of(config, memory, exchanges, kept)
