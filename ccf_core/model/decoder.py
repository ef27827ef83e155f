"""Memory in, tokens out: slots become an ordinary Hugging Face cache at their decoder positions.

It knows nothing of text documents or of how slots were made.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import cast

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import Cache, DynamicCache, PreTrainedModel

from ccf_core.cache import roomy_cache
from ccf_core.config import CCFConfig
from ccf_core.errors import MemoryMismatch
from ccf_core.greedy import greedy, serves
from ccf_core.layout import Placement, levels_of, placement
from ccf_core.memory import KVMemory, floating
from ccf_core.transformer import Weights, joined_layers, rotary_table, rotate


@dataclass(frozen=True)
class Prefix:
    """What the decoder has read before the first token that it is fed.

    keys, values : one tensor a layer, (1, kv_heads, slots, head_dim), keys rotated to their positions.
    next_position : rotary position of the first token after it.
    """

    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]
    next_position: int

    @property
    def length(self) -> int:
        return self.keys[0].shape[2]

    @property
    def nbytes(self) -> int:
        return sum(t.nbytes for t in (*self.keys, *self.values))


def decoder_positions(
    memory: KVMemory, config: CCFConfig, window: int, following: int = 0
) -> tuple[list[int], Placement]:
    """Position of every slot in the order of ``slot_tensors``, and the placement that they follow.

    following : tokens of text that the memory leaves room for, besides question and answer.
    """
    placed = placement(memory.tokens, window, window // 8 + following)
    positions: list[int] = []
    start = 0
    for span, blocks in zip(memory.spans, memory.blocks, strict=True):
        # Segments may have been read at ratios of their own.
        positions += placed.slots(start, _slot_ends(config, len(span), min(blocks)))
        start += len(span)
    return positions, placed


@lru_cache(maxsize=4096)
def _slot_ends(config: CCFConfig, tokens: int, ratio: int) -> tuple[int, ...]:
    return tuple(end for _, ends in levels_of(config, tokens, ratio) for end in ends)


def slot_tensors(memory: KVMemory, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """All slots, segment by segment, coarse to fine: k (before rotary) and v, (layers, kv_heads, slots, head_dim)."""
    return floating([block for _, _, block in memory.parts()], dtype, device)


def slot_segments(memory: KVMemory) -> list[int]:
    """For every slot, in the same order, the index of its segment in ``memory.spans``."""
    return [index for index, _, block in memory.parts() for _ in range(block.slots)]


class Decoder:
    """The base under the decoder's LoRA, ready to read memories; ``model`` is an ordinary causal LM."""

    def __init__(self, model: PreTrainedModel, config: CCFConfig) -> None:
        self.model = model
        self.config = config
        self.window = int(model.config.max_position_embeddings)

    @cached_property
    def layers(self) -> Sequence[Weights]:
        """The model's layers with joined projections, made when first needed; its parameters are views of them."""
        return joined_layers(self.model)

    @torch.inference_mode()
    def prefix(self, memory: KVMemory, following: int = 0) -> Prefix:
        """Rotate a memory's slots to their places; ``following`` tokens of text will be read after them.

        Raises MemoryMismatch if the base attends to fewer positions than there are slots (a sliding window).
        """
        sliding = getattr(self.model.config, "sliding_window", None)
        if sliding and memory.slots >= sliding:
            raise MemoryMismatch(
                f"This base sees {sliding} positions at a time: choose a coarser ratio or fewer segments."
            )
        positions, placed = decoder_positions(memory, self.config, self.window, following)
        k, v = self._placed(memory, positions)
        return Prefix(tuple(k.unsqueeze(1)), tuple(v.unsqueeze(1)), placed.question)

    @torch.inference_mode()
    def apart(self, memory: KVMemory) -> list[Prefix]:
        """``prefix`` of every segment alone, as if it were all there is; made at once."""
        each = [decoder_positions(memory.select([i]), self.config, self.window) for i in range(memory.segments)]
        k, v = self._placed(memory, [position for positions, _ in each for position in positions])
        sizes = [len(positions) for positions, _ in each]
        return [
            Prefix(tuple(own_k.unsqueeze(1)), tuple(own_v.unsqueeze(1)), placed.question)
            for own_k, own_v, (_, placed) in zip(k.split(sizes, dim=2), v.split(sizes, dim=2), each, strict=True)
        ]

    def _placed(self, memory: KVMemory, positions: Sequence[int]) -> tuple[Tensor, Tensor]:
        """``slot_tensors`` with keys rotated to their positions."""
        k, v = slot_tensors(memory, self.model.dtype, self.model.device)
        at = torch.tensor(positions, device=self.model.device)
        cos, sin = rotary_table(self.model, at, self.model.dtype)
        return rotate(k.transpose(1, 2), cos, sin).transpose(1, 2), v

    def inputs(
        self, prefixes: Sequence[Prefix | None], prompts: Sequence[Sequence[int]], new: int | None = None
    ) -> dict[str, object]:
        """Keyword arguments for ``model.generate`` or ``model(...)``: one row for each prefix and its prompt.

        Shorter prefixes and prompts are padded on the left and masked. A prefix of ``None`` is an empty one.
        new : tokens after the prompt for which the cache has room; unless told it grows, and is left out if empty.
        """
        device = self.model.device
        rows = len(prompts)
        longest = max(len(p) for p in prompts)
        slots = max(p.length if p else 0 for p in prefixes)
        # Filled where that is cheap, and moved once.
        input_ids = torch.full((rows, longest), self.config.repeat_token)
        position_ids = torch.zeros((rows, longest), dtype=torch.long)
        mask = torch.zeros((rows, slots + longest), dtype=torch.long)
        for row, (prefix, prompt) in enumerate(zip(prefixes, prompts, strict=True)):
            first = prefix.next_position if prefix else 0
            pad = longest - len(prompt)
            input_ids[row, pad:] = torch.tensor(prompt)
            position_ids[row, pad:] = torch.arange(first, first + len(prompt))
            mask[row, slots - (prefix.length if prefix else 0) : slots] = 1
            mask[row, slots + pad :] = 1
        given: dict[str, object] = {
            "input_ids": input_ids.to(device),
            "attention_mask": mask.to(device),
            "position_ids": position_ids.to(device),
        }
        if slots or new is not None:
            given["past_key_values"] = self._cache(prefixes, None if new is None else slots + longest + new)
        return given

    def _cache(self, prefixes: Sequence[Prefix | None], room: int | None = None) -> Cache:
        """What the prefixes hold, in a cache that grows, or has room for as many positions in all."""
        layers = self.model.config.num_hidden_layers
        cache = DynamicCache() if room is None else roomy_cache(layers, room)
        template = next((p for p in prefixes if p), None)
        for index in range(layers if template else 0):
            assert template is not None
            if len(prefixes) == 1:
                cache.update(template.keys[index], template.values[index], index)
            else:
                keys = _padded([prefix.keys[index] if prefix else None for prefix in prefixes])
                values = _padded([prefix.values[index] if prefix else None for prefix in prefixes])
                cache.update(keys, values, index)
        return cache

    @torch.inference_mode()
    def read_text(self, input_ids: Sequence[int], chunk: int = 1024, after: Prefix | None = None) -> Prefix:
        """The decoder's own cache over raw text, as a prefix: full context, or text behind ``after``."""
        cache = self._cache([after], (after.length if after else 0) + len(input_ids))
        begin = after.next_position if after else 0
        for start in range(0, len(input_ids), chunk):
            piece = torch.tensor([list(input_ids[start : start + chunk])], device=self.model.device)
            at = torch.arange(begin + start, begin + start + piece.shape[1], device=piece.device)[None]
            self.model.model(input_ids=piece, position_ids=at, past_key_values=cache, use_cache=True)
        keys, values = (
            tuple(cast(Tensor, getattr(layer, name)) for layer in cache.layers) for name in ("keys", "values")
        )
        return Prefix(keys, values, begin + len(input_ids))

    @torch.inference_mode()
    def generate(
        self,
        prefixes: Sequence[Prefix | None],
        prompts: Sequence[Sequence[int]],
        *,
        max_new_tokens: int,
        exactly: bool = False,
        eos: Iterable[int] = (),
        **kwargs: object,
    ) -> list[list[int]]:
        """Greedy continuation of each prompt after its prefix; ends with an end token, which is cut off.

        exactly : produce ``max_new_tokens`` tokens whatever comes (end tokens are barred).
        kwargs : anything that ``generate`` takes: a streamer, stopping criteria, sampling, beams.
        """
        ends = list(eos) or end_tokens(self.model)
        if kwargs.keys() <= {"streamer", "stopping_criteria"} and serves(self.model):
            barred = [self.config.repeat_token, *(ends if exactly else ())]
            given = self.inputs(prefixes, prompts, max_new_tokens)
            written = greedy(self.model, self.layers, given, max_new_tokens, ends=ends, barred=barred, **kwargs)  # type: ignore[arg-type]
            return [before_end(row, ends) for row in written.tolist()]
        given = self.inputs(prefixes, prompts)
        copies = max(int(kwargs.get(name) or 1) for name in ("num_beams", "num_return_sequences"))  # type: ignore[call-overload]
        if copies > 1 and "past_key_values" in given:
            # ``generate`` repeats every row of its inputs but not of a cache.
            given["past_key_values"].batch_repeat_interleave(copies)  # type: ignore[attr-defined]
        out = self.model.generate(  # type: ignore[operator]
            **given,
            max_new_tokens=max_new_tokens,
            min_new_tokens=max_new_tokens if exactly else None,
            eos_token_id=ends or None,
            pad_token_id=ends[0] if ends else self.config.repeat_token,
            suppress_tokens=[self.config.repeat_token],
            **({"do_sample": False} | kwargs),
        )
        prompt_length = given["input_ids"].shape[1]  # type: ignore[attr-defined]
        return [before_end(row, ends) for row in out[:, prompt_length:].tolist()]

    @torch.inference_mode()
    def score(self, prefix: Prefix | None, prompt: Sequence[int], target: Sequence[int]) -> Tensor:
        """Log-probability in nats of each target token, teacher-forced after prefix and prompt: (targets,) float32."""
        given = self.inputs([prefix], [[*prompt, *target[:-1]]])
        logits = self.model(**given).logits[0, len(prompt) - 1 :].float()
        return logits.log_softmax(-1).gather(1, torch.tensor(target, device=logits.device)[:, None])[:, 0].cpu()


def _padded(rows: Sequence[Tensor | None]) -> Tensor:
    """Tensors (1, kv_heads, slots, head_dim) of different slots in one batch, zeros on the left; None is no slot."""
    like = next(row for row in rows if row is not None)
    none = like.new_zeros(0, like.shape[1], like.shape[3])
    by_slot = [none if row is None else row[0].transpose(0, 1) for row in rows]
    return pad_sequence(by_slot, batch_first=True, padding_side="left").transpose(1, 2)


def end_tokens(model: PreTrainedModel) -> list[int]:
    """Tokens at which the model's generations end."""
    configured = model.generation_config.eos_token_id
    configured = model.config.eos_token_id if configured is None else configured
    if configured is None:
        return []
    return list(configured) if isinstance(configured, list | tuple) else [configured]


def before_end(ids: list[int], ends: Sequence[int]) -> list[int]:
    """What comes before the first end token."""
    for index, token in enumerate(ids):
        if token in ends:
            return ids[:index]
    return ids
