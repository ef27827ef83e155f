"""Decoder: memory in, tokens out. Slots become an ordinary Hugging Face cache at their decoder positions.

This module knows nothing of text documents or of how slots were made.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from functools import cached_property
from typing import cast

import torch
from torch import Tensor
from transformers import Cache, PreTrainedModel, StoppingCriteria

from ccf_core.base.tokenizer import end_tokens
from ccf_core.config import CCFConfig
from ccf_core.errors import MemoryMismatch
from ccf_core.memory.memory import KVMemory
from ccf_core.model.greedy import PrefixLayer, cache_argument, greedy, preallocated_cache, supports_model
from ccf_core.model.layers import StackSpec, Weights, joined_layers, rotary_table, rotate
from ccf_core.model.prefix import Prefix, decoder_positions, padded, slot_tensors

#: Tokens of text in one pass of the decoder, on a CPU and on a GPU; see ``Decoder.chunk``.
TEXT_CHUNK, TEXT_CHUNK_GPU = 1024, 8192


class Decoder:
    """The base under the decoder's LoRA, ready to read memories; ``model`` is an ordinary causal LM."""

    def __init__(self, model: PreTrainedModel, config: CCFConfig) -> None:
        self.model = model
        self.config = config
        self.window = int(model.config.max_position_embeddings)
        #: Positions that the base attends to at a time, if it has a sliding window.
        self.sliding: int | None = getattr(model.config, "sliding_window", None)

    @property
    def kv_bytes(self) -> int:
        """Bytes of one position of cache, in the dtype that the model computes in."""
        return StackSpec.of(self.model).kv_bytes(self.model.dtype)

    @property
    def chunk(self) -> int:
        """Tokens of text that are read in one pass: so many keep the device busy."""
        return TEXT_CHUNK_GPU if self.model.device.type == "cuda" else TEXT_CHUNK

    @cached_property
    def layers(self) -> Sequence[Weights]:
        """The model's layers with joined projections, made when first needed; its parameters are views of them."""
        return joined_layers(self.model)

    @torch.inference_mode()
    def prefix(self, memory: KVMemory, following: int = 0) -> Prefix:
        """Rotate a memory's slots to their places; ``following`` tokens of text will be read after them.

        Raises MemoryMismatch if the base attends to fewer positions than there are slots (a sliding window).
        """
        if self.sliding and memory.slots >= self.sliding:
            raise MemoryMismatch(
                f"This base sees {self.sliding} positions at a time: choose a coarser ratio or fewer segments."
            )
        positions, after = decoder_positions(memory, self.config, self.window, following)
        k, v = self._placed(memory, positions)
        return Prefix(tuple(k.unsqueeze(1)), tuple(v.unsqueeze(1)), after, memory.slots)

    @torch.inference_mode()
    def prefix_per_segment(self, memory: KVMemory) -> list[Prefix]:
        """Make a ``prefix`` of every segment, all in one go, as if the memory held that segment alone."""
        each = [decoder_positions(memory.select([i]), self.config, self.window) for i in range(memory.segments)]
        k, v = self._placed(memory, torch.cat([positions for positions, _ in each], -1))
        sizes = [positions.shape[-1] for positions, _ in each]
        return [
            Prefix(tuple(own_k.unsqueeze(1)), tuple(own_v.unsqueeze(1)), after, own_k.shape[2])
            for own_k, own_v, (_, after) in zip(k.split(sizes, dim=2), v.split(sizes, dim=2), each, strict=True)
        ]

    def _placed(self, memory: KVMemory, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Rotate the keys of ``slot_tensors`` to their positions, those of ``decoder_positions``."""
        k, v = slot_tensors(memory, self.model.dtype, self.model.device)
        positions = positions.to(self.model.device)
        if positions.ndim == 1:
            cos, sin = rotary_table(self.model, positions, self.model.dtype)
            return rotate(k.transpose(1, 2), cos, sin).transpose(1, 2), v
        # Layer by layer: where positions differ by head, the tables are as large as the keys.
        for keys, at in zip(k, positions, strict=True):
            cos, sin = rotary_table(self.model, at, self.model.dtype)
            keys.copy_(rotate(keys.unsqueeze(2), cos, sin).squeeze(2))
        return k, v

    def inputs(
        self, prefixes: Sequence[Prefix | None], prompts: Sequence[Sequence[int]], new: int | None = None
    ) -> dict[str, object]:
        """Make the arguments of ``model.generate`` or ``model(...)``, one row for each prefix and its prompt.

        Shorter prefixes and prompts are padded on the left and masked. A prefix of ``None`` is an empty one.
        new : tokens after the prompt for which the cache has capacity; unless told it grows, and is left out if empty.
        Raises MemoryMismatch if a sliding window of the base would hide slots from them.
        """
        device = self.model.device
        rows = len(prompts)
        longest = max(len(p) for p in prompts)
        slots = max(p.length if p else 0 for p in prefixes)
        self._check_in_sight(prefixes, longest + (new or 0))
        # Filled where that is cheap, and moved once.
        input_ids = torch.zeros((rows, longest), dtype=torch.long)
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
            given[cache_argument(self.model)] = self._cache(prefixes, None if new is None else slots + longest + new)
        return given

    def _check_in_sight(self, prefixes: Sequence[Prefix | None], following: int) -> None:
        """Raise MemoryMismatch if the last of the positions after a memory would not see all of its slots."""
        most = max((prefix.length for prefix in prefixes if prefix and prefix.slots), default=0)
        if self.sliding and most and most + following > self.sliding:
            raise MemoryMismatch(
                f"This base sees {self.sliding:,} positions at a time, and memory, question and answer take "
                f"{most + following:,}: choose a coarser ratio, fewer segments or a shorter answer."
            )

    def _cache(self, prefixes: Sequence[Prefix | None], capacity: int | None = None) -> Cache:
        """Put what the prefixes hold into a cache that grows, or has capacity for so many positions in all."""
        layers = self.model.config.num_hidden_layers
        cache = (
            Cache(layer_class_to_replicate=PrefixLayer) if capacity is None else preallocated_cache(layers, capacity)
        )
        template = next((p for p in prefixes if p), None)
        for index in range(layers if template else 0):
            assert template is not None
            if len(prefixes) == 1:
                cache.update(template.keys[index], template.values[index], index)
            else:
                keys = padded([prefix.keys[index] if prefix else None for prefix in prefixes])
                values = padded([prefix.values[index] if prefix else None for prefix in prefixes])
                cache.update(keys, values, index)
        return cache

    @torch.inference_mode()
    def read_text(self, input_ids: Sequence[int], chunk: int | None = None, after: Prefix | None = None) -> Prefix:
        """Read raw text, behind ``after`` if given, ``chunk`` tokens at a time: the decoder's own cache as a prefix."""
        chunk = chunk or self.chunk
        cache = self._cache([after], (after.length if after else 0) + len(input_ids))
        begin = after.next_position if after else 0
        for start in range(0, len(input_ids), chunk):
            piece = torch.tensor([list(input_ids[start : start + chunk])], device=self.model.device)
            at = torch.arange(begin + start, begin + start + piece.shape[1], device=piece.device)[None]
            self.model.model(input_ids=piece, position_ids=at, use_cache=True, **{cache_argument(self.model): cache})
        keys, values = (
            tuple(cast(Tensor, getattr(layer, name)) for layer in cache.layers) for name in ("keys", "values")
        )
        return Prefix(keys, values, begin + len(input_ids), after.slots if after else 0)

    @torch.inference_mode()
    def steps(
        self,
        prefixes: Sequence[Prefix | None],
        prompts: Sequence[Sequence[int]],
        *,
        max_new_tokens: int,
        exactly: bool = False,
        eos: Iterable[int] = (),
    ) -> Generator[tuple[Tensor, Tensor], None, None]:
        """Yield the next token of every row and its scores, one step at a time; see ``greedy``.

        exactly : as in ``generate``. Only for a model that ``supports_model`` finds fit.
        """
        ends, barred = self._ends_and_barred(eos, exactly)
        given = self.inputs(prefixes, prompts, max_new_tokens)
        return greedy(self.model, self.layers, given, max_new_tokens, ends=ends, barred=barred)

    def _ends_and_barred(self, eos: Iterable[int], exactly: bool) -> tuple[list[int], list[int]]:
        """List the tokens at which a row ends and the tokens that never come; ``exactly`` bars the ends, too."""
        ends = list(eos) or end_tokens(self.model)
        learned = [self.config.repeat_token] if self.config.trained else []
        barred = (*learned, *(ends if exactly else ()))
        # The repeat token may lie behind the vocabulary.
        return ends, [token for token in barred if token < self.model.config.vocab_size]

    @torch.inference_mode()
    def generate(
        self,
        prefixes: Sequence[Prefix | None],
        prompts: Sequence[Sequence[int]],
        *,
        max_new_tokens: int,
        exactly: bool = False,
        eos: Iterable[int] = (),
        stopped: Callable[[], bool] = lambda: False,
        **kwargs: object,
    ) -> list[list[int]]:
        """Continue each prompt after its prefix, greedily, up to an end token, which is cut off.

        exactly : produce ``max_new_tokens`` tokens whatever comes (end tokens are barred).
        stopped : asked after each token; once it is true no more tokens come.
        kwargs : anything else that ``model.generate`` takes: a streamer, sampling, beams. With any of them, or for a
            base that ``greedy`` does not support, ``model.generate`` does the work, which takes longer.
        """
        ends, barred = self._ends_and_barred(eos, exactly)
        if not kwargs and supports_model(self.model):
            written: list[Tensor] = []
            for tokens, _ in self.steps(prefixes, prompts, max_new_tokens=max_new_tokens, exactly=exactly, eos=ends):
                written.append(tokens)
                if stopped():
                    break
            return [before_end(row, ends) for row in torch.stack(written, dim=1).tolist()]
        given = self.inputs(prefixes, prompts)
        self._check_in_sight(prefixes, given["input_ids"].shape[1] + max_new_tokens)  # type: ignore[attr-defined]
        criteria = [*cast(Iterable, kwargs.pop("stopping_criteria", ())), StopWhen(stopped)]
        out = self.model.generate(  # type: ignore[operator]
            **given,
            max_new_tokens=max_new_tokens,
            eos_token_id=ends or None,
            pad_token_id=ends[0] if ends else 0,
            suppress_tokens=barred or None,
            stopping_criteria=criteria,
            **({"do_sample": False} | kwargs),
        )
        prompt_length = given["input_ids"].shape[1]  # type: ignore[attr-defined]
        return [before_end(row, ends) for row in out[:, prompt_length:].tolist()]

    @torch.inference_mode()
    def score(self, prefix: Prefix | None, prompt: Sequence[int], target: Sequence[int]) -> Tensor:
        """Score each target token, teacher-forced after prefix and prompt: its log-probability, (targets,) float32."""
        given = self.inputs([prefix], [[*prompt, *target[:-1]]])
        logits = self.model(**given).logits[0, len(prompt) - 1 :].float()
        return logits.log_softmax(-1).gather(1, torch.tensor(target, device=logits.device)[:, None])[:, 0].cpu()


class StopWhen(StoppingCriteria):
    """Ends ``model.generate`` at its next token once ``stopped()`` is true."""

    def __init__(self, stopped: Callable[[], bool]) -> None:
        self.stopped = stopped

    def __call__(self, input_ids: Tensor, scores: Tensor, **kwargs: object) -> Tensor:
        return torch.full((input_ids.shape[0],), self.stopped(), dtype=torch.bool, device=input_ids.device)


def before_end(ids: list[int], ends: Sequence[int]) -> list[int]:
    """Cut ``ids`` off before the first end token."""
    for index, token in enumerate(ids):
        if token in ends:
            return ids[:index]
    return ids
