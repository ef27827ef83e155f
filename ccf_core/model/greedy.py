"""Greedy continuation of rows of tokens: what ``model.generate`` gives, in less time.

``model.generate`` copies the whole cache at every token, builds a mask and runs a dozen modules for each layer, and on
a GPU waits for it after each token. Here a token is the plain layer functions of ``ccf_core.model.layers`` over
joined projections and a preallocated cache, on CUDA as one graph. This module knows nothing of memories.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import Cache, PreTrainedModel
from transformers.cache_utils import DynamicLayer

from ccf_core.model.layers import StackSpec, Weights, finish, project, rotary_table

#: Tokens between two looks at whether every row has ended, on a GPU, which a look waits for.
PATIENCE = 8
#: A CUDA graph pays for so few rows at most and so many tokens at least; more rows keep a GPU busy as they are.
FEW_ROWS, MANY_TOKENS = 16, 8
#: The capacity of a layer of cache is a multiple of so many positions.
GRAIN = 64

#: Settings of a base's own that leave a greedy continuation as it is, whatever their value or at this one.
WITHOUT_EFFECT = {
    "_from_model_config", "transformers_version", "bos_token_id", "eos_token_id", "pad_token_id", "max_length",
    "max_new_tokens", "use_cache", "do_sample", "temperature", "top_k", "top_p", "min_p", "typical_p",
}  # fmt: skip
NEUTRAL = {"repetition_penalty": 1.0, "num_beams": 1, "num_return_sequences": 1}


def supports_model(model: PreTrainedModel) -> bool:
    """Tell whether ``greedy`` gives what ``model.generate`` would: no sliding window, nothing that changes scores."""
    settings = model.generation_config.to_diff_dict()
    matter = (name not in WITHOUT_EFFECT and value and value != NEUTRAL.get(name) for name, value in settings.items())
    return not getattr(model.config, "sliding_window", None) and not any(matter)


def should_use_cuda_graph(input_ids: Tensor, new: int) -> bool:
    """Tell whether ``new`` tokens for these rows repay capturing a graph."""
    return input_ids.device.type == "cuda" and len(input_ids) <= FEW_ROWS and new >= MANY_TOKENS


@torch.inference_mode()
def greedy(
    model: PreTrainedModel,
    layers: Sequence[Weights],
    given: Mapping[str, object],
    new: int,
    *,
    ends: Sequence[int] = (),
    barred: Sequence[int] = (),
) -> Generator[tuple[Tensor, Tensor], None, None]:
    """Yield the likeliest token after ``given`` of every row, ``new`` times at most.

    layers : the model's layers as ``ccf_core.model.layers.joined_layers`` holds them.
    given : keyword arguments for ``model(...)``, padded on the left, with a cache of capacity for ``new`` tokens more.
    ends : tokens at which a row ends; what follows them in it is arbitrary, and no more comes once all rows have ended
        (on a GPU up to ``PATIENCE`` tokens later).
    barred : tokens that never come.

    A step is the tokens, (rows,) int64, and the scores from which they were chosen, (rows, vocabulary) float32 with
    -inf for what is barred, both on the model's device. The next step is computed when it is asked for, on the thread
    that asks; a caller who has enough closes the iterator.
    """
    ids = cast(Tensor, given["input_ids"])
    state = (CudaGraphState if should_use_cuda_graph(ids, new) else DecodingState)(model, layers, given)
    end_ids = torch.tensor(ends, dtype=torch.long, device=ids.device)
    ended = torch.zeros(len(ids), dtype=torch.bool, device=ids.device)
    patience = 1 if ids.device.type == "cpu" else PATIENCE
    for step in range(new):
        scores = model.get_output_embeddings()(state.hidden).float()
        scores[:, list(barred)] = float("-inf")
        tokens = scores.argmax(-1)
        yield tokens, scores
        ended |= torch.isin(tokens, end_ids)
        if step + 1 == new or (step % patience == patience - 1 and bool(ended.all())):
            return
        state.read(tokens)


class DecodingState:
    """Holds a cache, and in ``hidden`` (rows, hidden) the hidden states of the last token that was read."""

    def __init__(self, model: PreTrainedModel, layers: Sequence[Weights], given: Mapping[str, object]) -> None:
        self.model = model
        self.layers = layers
        self.spec = StackSpec.of(model)
        self.hidden = model.model(**given, use_cache=True).last_hidden_state[:, -1]
        self.cache = cast(Cache, given[cache_argument(model)])
        self.position = cast(Tensor, given["position_ids"])[:, -1]
        mask = cast(Tensor, given["attention_mask"]).bool()
        # One row alone is never padded.
        self.mask = None if len(mask) == 1 or bool(mask.all()) else mask

    def read(self, tokens: Tensor) -> None:
        """Read one token a row, (rows,)."""
        self.position = self.position + 1
        if self.mask is not None:
            self.mask = F.pad(self.mask, (0, 1), value=True)
        self.hidden = self._through(tokens, *rotary_table(self.model, self.position, self.hidden.dtype))

    def _through(self, tokens: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        # What the layer functions take for tokens of a text are here the rows: (rows, hidden).
        hidden = self.model.get_input_embeddings()(tokens)
        for index, w in enumerate(self.layers):
            q, k, _, v = project(self.spec, w, hidden, cos, sin)
            # The query heads of a key-value head take the place of several queries.
            grouped = q.reshape(len(q), self.spec.kv_heads, -1, self.spec.head_dim)
            attended = self._attend(index, grouped, k.unsqueeze(2), v.unsqueeze(2))
            hidden = finish(self.spec, w, hidden, attended.reshape(q.shape))
        return cast(Tensor, self.model.model.norm(hidden))

    def _attend(self, index: int, queries: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Attend by queries (rows, kv_heads, queries, head_dim) to a layer of the cache with the new key and value."""
        keys, values = self.cache.update(key, value, index)
        mask = None if self.mask is None else self.mask[:, None, None]
        return F.scaled_dot_product_attention(queries, keys, values, attn_mask=mask)


class CudaGraphState(DecodingState):
    """Decode over the full, masked cache, so that every step has the same shapes and addresses and can be replayed as
    one CUDA graph; small kernels are otherwise bound by their launches.
    """

    def __init__(self, model: PreTrainedModel, layers: Sequence[Weights], given: Mapping[str, object]) -> None:
        super().__init__(model, layers, given)
        self.whole = [cast(PreallocatedLayer, layer).whole for layer in self.cache.layers]
        mask = cast(Tensor, given["attention_mask"]).bool()
        rows, read = mask.shape
        for keys_or_values in (tensor for pair in self.whole for tensor in pair):
            # A masked position counts 0 times what it holds, which must not be NaN.
            keys_or_values[:, :, read:] = 0
        self.bias = self.hidden.new_full((rows, 1, 1, self.whole[0][0].shape[2]), float("-inf"))
        self.bias[..., :read].masked_fill_(mask[:, None, None], 0.0)
        self.at = torch.tensor([read], device=mask.device)
        self.tokens = self.at.new_zeros(rows)
        self.cos, self.sin = (t.clone() for t in rotary_table(model, self.position, self.hidden.dtype))
        self.replay: Callable[[], None] | None = None

    def read(self, tokens: Tensor) -> None:
        self.position = self.position + 1
        cos, sin = rotary_table(self.model, self.position, self.hidden.dtype)
        for held, now in ((self.tokens, tokens), (self.cos, cos), (self.sin, sin)):
            held.copy_(now)
        self.bias.index_fill_(3, self.at, 0.0)
        if self.replay is None:
            self.replay = capture(self._step, self.at.device)
        else:
            self.replay()
        self.at += 1

    def _step(self) -> None:
        self.hidden.copy_(self._through(self.tokens, self.cos, self.sin))

    def _attend(self, index: int, queries: Tensor, key: Tensor, value: Tensor) -> Tensor:
        keys, values = self.whole[index]
        keys.index_copy_(2, self.at, key)
        values.index_copy_(2, self.at, value)
        scores = queries @ keys.transpose(2, 3) * self.spec.head_dim**-0.5 + self.bias
        shares = scores.softmax(-1, dtype=torch.float32).to(values.dtype)
        # A few queries and one long sum leave most of a GPU idle: many short sums, and their sum.
        parts = shares.unflatten(3, (-1, GRAIN)).transpose(2, 3) @ values.unflatten(2, (-1, GRAIN))
        return parts.sum(2)


def capture(work: Callable[[], None], device: torch.device) -> Callable[[], None]:
    """Do ``work`` once, and return a function that does the work again.

    On CUDA that function replays a graph of the kernels, which reads and writes at the same addresses.
    """
    if device.type != "cuda":
        work()
        return work
    # Not ``torch.cuda.graph``, which collects garbage and empties the allocator: that takes longer than many tokens.
    graph, stream = torch.cuda.CUDAGraph(), torch.cuda.Stream(device)
    stream.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(stream):
        work()
        graph.capture_begin(capture_error_mode="thread_local")
        work()
        graph.capture_end()
    torch.cuda.current_stream(device).wait_stream(stream)
    return graph.replay


def cache_argument(model: PreTrainedModel) -> str:
    """Name the argument in which ``model`` takes a cache: ``cache``, or in older transformers ``past_key_values``."""
    return "cache" if "cache" in inspect.signature(model.forward).parameters else "past_key_values"


class PrefixLayer(DynamicLayer):
    """A growing layer of cache that is filled before ``model.generate`` is called.

    For beams and ``num_return_sequences`` that repeats every row of its inputs, but not of a cache: the layer repeats
    its own at the first update with more of them.
    """

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: object, **kwargs: object
    ) -> tuple[Tensor, Tensor]:
        if self.keys is not None and 0 < len(self.keys) < len(key_states):
            self.batch_repeat_interleave(len(key_states) // len(self.keys))
        return super().update(key_states, value_states, *args, **kwargs)


class PreallocatedLayer(DynamicLayer):
    """A layer of cache that allocates ``capacity`` positions at its first update and never copies what it holds.

    ``keys`` and ``values`` are views (batch, kv_heads, positions so far, head_dim) of ``whole``, which is allocated.
    More than ``capacity``, rounded up to a multiple of ``GRAIN``, are a RuntimeError.
    """

    def __init__(self, capacity: int) -> None:
        super().__init__()
        self.capacity = capacity

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        self.dtype, self.device = key_states.dtype, key_states.device
        self.whole = tuple(
            states.new_empty(*states.shape[:2], -(-self.capacity // GRAIN) * GRAIN, states.shape[3])
            for states in (key_states, value_states)
        )
        self.keys, self.values = (whole[:, :, :0] for whole in self.whole)
        self.is_initialized = True

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: object, **kwargs: object
    ) -> tuple[Tensor, Tensor]:
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        start, count = self.get_seq_length(), key_states.shape[2]
        for whole, states in zip(self.whole, (key_states, value_states), strict=True):
            whole.narrow(2, start, count).copy_(states)
        self.keys, self.values = (whole.narrow(2, 0, start + count) for whole in self.whole)
        return self.keys, self.values


def preallocated_cache(layers: int, capacity: int) -> Cache:
    """Make an empty cache for at most ``capacity`` positions; memory is taken as a layer is first written."""
    return Cache(layers=[PreallocatedLayer(capacity) for _ in range(layers)])
