"""Greedy continuation of rows of tokens: what ``model.generate`` gives, in less time.

``model.generate`` copies the whole cache at every token, builds a mask and runs a dozen modules for each layer, and on
a GPU waits for it after each token. Here a token is the plain layer functions of ``ccf_core.transformer`` over
joined projections and a cache with room, on CUDA as one graph. It knows nothing of memories.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol, cast

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import Cache, PreTrainedModel

from ccf_core.cache import GRAIN, RoomyLayer
from ccf_core.transformer import StackSpec, Weights, finish, project, rotary_table

#: Tokens between two looks at whether every row has ended, where nobody watches: a look waits for a GPU.
PATIENCE = 8
#: Recording pays for so few rows at most and so many tokens at least; more rows keep a GPU busy as they are.
FEW_ROWS, MANY_TOKENS = 16, 8

#: Settings of a base's own that leave a greedy continuation as it is, whatever their value or at this one.
WITHOUT_EFFECT = {
    "_from_model_config", "transformers_version", "bos_token_id", "eos_token_id", "pad_token_id", "max_length",
    "max_new_tokens", "use_cache", "do_sample", "temperature", "top_k", "top_p", "min_p", "typical_p",
}  # fmt: skip
NEUTRAL = {"repetition_penalty": 1.0, "num_beams": 1, "num_return_sequences": 1}


class Streamer(Protocol):
    """Told of the prompt, then of every token, then that there are no more."""

    def put(self, value: Tensor) -> None: ...
    def end(self) -> None: ...


def serves(model: PreTrainedModel) -> bool:
    """Whether ``greedy`` gives what ``model.generate`` would: no sliding window, no settings that change scores."""
    settings = model.generation_config.to_diff_dict()
    matter = (name not in WITHOUT_EFFECT and value and value != NEUTRAL.get(name) for name, value in settings.items())
    return not getattr(model.config, "sliding_window", None) and not any(matter)


def worth_recording(input_ids: Tensor, new: int) -> bool:
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
    streamer: Streamer | None = None,
    stopping_criteria: Iterable[Callable[[Tensor, Tensor], Tensor]] = (),
) -> Tensor:
    """The likeliest ``new`` tokens after ``given``, (rows, tokens) int64; what follows a row's end token is arbitrary.

    layers : the model's layers as ``ccf_core.transformer.joined_layers`` holds them.
    given : keyword arguments for ``model(...)``, padded on the left, with a cache of room for ``new`` tokens more.
    barred : tokens that never come. Fewer tokens come if every row has ended, by an end token or a criterion.
    """
    ids = cast(Tensor, given["input_ids"])
    state = (_Recorded if worth_recording(ids, new) else _State)(model, layers, given)
    prompt = ids.shape[1]
    end_ids = torch.tensor(ends, dtype=torch.long, device=ids.device)
    ended = torch.zeros(len(ids), dtype=torch.bool, device=ids.device)
    criteria = list(stopping_criteria)
    patience = 1 if criteria or streamer or ids.device.type == "cpu" else PATIENCE
    if streamer:
        streamer.put(ids.cpu())
    for step in range(new):
        scores = model.get_output_embeddings()(state.hidden).float()
        scores[:, list(barred)] = float("-inf")
        tokens = scores.argmax(-1)
        ids = torch.cat((ids, tokens[:, None]), dim=1)
        if streamer:
            streamer.put(tokens.cpu())
        ended |= torch.isin(tokens, end_ids)
        for criterion in criteria:
            ended |= criterion(ids, scores)
        if step + 1 == new or (step % patience == patience - 1 and bool(ended.all())):
            break
        state.read(tokens)
    if streamer:
        streamer.end()
    return ids[:, prompt:]


class _State:
    """A cache, and ``hidden`` (rows, hidden): what the last token that was read has become."""

    def __init__(self, model: PreTrainedModel, layers: Sequence[Weights], given: Mapping[str, object]) -> None:
        self.model = model
        self.layers = layers
        self.spec = StackSpec.of(model)
        self.hidden = model.model(**given, use_cache=True).last_hidden_state[:, -1]
        self.cache = cast(Cache, given["past_key_values"])
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
        """Queries (rows, kv_heads, queries, head_dim) to layer ``index`` of the cache with the new key and value."""
        keys, values = self.cache.update(key, value, index)
        mask = None if self.mask is None else self.mask[:, None, None]
        return F.scaled_dot_product_attention(queries, keys, values, attn_mask=mask)


class _Recorded(_State):
    """The same over the whole of the cache's room, what is still empty masked: every token is then the same work at the
    same addresses, and a GPU, which small operations keep waiting, replays it from one CUDA graph.
    """

    def __init__(self, model: PreTrainedModel, layers: Sequence[Weights], given: Mapping[str, object]) -> None:
        super().__init__(model, layers, given)
        self.whole = [cast(RoomyLayer, layer).whole for layer in self.cache.layers]
        mask = cast(Tensor, given["attention_mask"]).bool()
        rows, read = mask.shape
        for keys_or_values in (tensor for pair in self.whole for tensor in pair):
            # What is masked counts 0 times, which has to be 0.
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
            self.replay = recorded(self._step, self.at.device)
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


def recorded(work: Callable[[], None], device: torch.device) -> Callable[[], None]:
    """Do ``work`` once; what does it again: on CUDA the graph of its kernels, which reads and writes where it did."""
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
