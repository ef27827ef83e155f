"""Greedy continuation of rows of tokens: what ``model.generate`` gives, in less time.

``model.generate`` copies the whole cache at every token, builds a mask and runs a dozen modules for each layer, and on
a GPU waits for it after each token. Here a token is the plain layer functions of ``ccf_core.transformer`` over
joined projections and a cache with room. It knows nothing of memories.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol, cast

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import Cache, PreTrainedModel

from ccf_core.transformer import StackSpec, Weights, finish, project, rotary_table

#: Tokens between two looks at whether every row has ended, where nobody watches: a look waits for a GPU.
PATIENCE = 8

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
    state = _State(model, layers, given)
    ids = cast(Tensor, given["input_ids"])
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
        mask = None
        if self.mask is not None:
            self.mask = F.pad(self.mask, (0, 1), value=True)
            mask = self.mask[:, None, None]
        # What the layer functions take for tokens of a text are here the rows: (rows, hidden).
        hidden = self.model.get_input_embeddings()(tokens)
        cos, sin = rotary_table(self.model, self.position, hidden.dtype)
        for index, w in enumerate(self.layers):
            q, k, _, v = project(self.spec, w, hidden, cos, sin)
            keys, values = self.cache.update(k.unsqueeze(2), v.unsqueeze(2), index)
            # The query heads of a key-value head take the place of several queries.
            grouped = q.reshape(len(q), self.spec.kv_heads, -1, self.spec.head_dim)
            attended = F.scaled_dot_product_attention(grouped, keys, values, attn_mask=mask)
            hidden = finish(self.spec, w, hidden, attended.reshape(q.shape))
        self.hidden = self.model.model.norm(hidden)
