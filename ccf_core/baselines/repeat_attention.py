"""Keys that the decoder looks at while it repeats the text: what it needs to say it again."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ccf_core.answering.prompt import question_prompt
from ccf_core.baselines.pruning import FullCache, Pruning
from ccf_core.errors import MemoryMismatch
from ccf_core.memory.layout import usable
from ccf_core.model.decoder import Decoder
from ccf_core.model.layers import StackSpec, finish, layer_weights, project, rotary_table, sliding_window

INSTRUCTION = "Repeat the text above."
#: Tokens before a chunk that stand at the start of its repetition, so that the place is known.
LEAD = 8
#: Float32 attention weights that exist at once: what a CPU's cache holds, and what fills a GPU.
CPU_WEIGHTS, GPU_WEIGHTS = 2**20, 2**26


class RepeatAttention(Pruning):
    """KVzip (arXiv 2505.23416): the score of a key is the highest attention that it gets during a repetition.

    The decoder reads the full cache, the chat template around "Repeat the text above.", and the text again (teacher-
    forced). The maximum goes over the queries from which the text's tokens are predicted and over the query heads of a
    key-value head; the softmax is the decoder's own, over all that a query sees. A long text is repeated in chunks that
    fit an eighth of the window, the place that is kept for questions, each after the whole cache, the prompt and the 8
    tokens before the chunk. Behind a past, it is the text after it that is repeated. KVzip's budget is shared by all
    heads and layers; here every head gets the same, so that the cache is dense and really smaller.
    """

    def scores(self, decoder: Decoder, cache: FullCache) -> Tensor:
        """Score keys. Raises MemoryMismatch if a sliding window of the base hides some of text and repetition."""
        prompt = question_prompt(self.tokenizer, INSTRUCTION)
        tokens = cache.shape[-1]
        chunk = max(decoder.window - usable(decoder.window) - len(prompt) - LEAD, LEAD)
        seen = tokens + len(prompt) + LEAD + min(chunk, tokens)
        if decoder.sliding and seen > decoder.sliding:
            raise MemoryMismatch(
                f"This base sees {decoder.sliding} positions at a time: give a shorter text, or another ranking."
            )
        best = torch.zeros(cache.shape, device=cache.lengths.device)
        for start in range(0, tokens, chunk):
            lead = min(start, LEAD)
            said = cache.input_ids[:, start - lead : min(start + chunk, tokens) - 1]
            ids = torch.cat((torch.tensor([prompt], device=said.device).expand(len(said), -1), said), dim=1)
            first = len(prompt) + lead - 1
            best = torch.maximum(best, _highest_attention(decoder, cache, ids, first, cache.lengths - start))
        return best


def _highest_attention(decoder: Decoder, cache: FullCache, ids: Tensor, first: int, count: Tensor) -> Tensor:
    """Find the highest attention that each key of the texts gets while ``ids`` (batch, queries) are read after them.

    Queries ``first`` … ``first`` + ``count`` - 1 of each row are looked at; count : (batch,).
    Returns (batch, layers, kv_heads, tokens) float32.
    """
    model = decoder.model
    spec = StackSpec.of(model)
    (batch, _, _, tokens), queries = cache.shape, ids.shape[1]
    query, scored = torch.arange(queries, device=ids.device), slice(cache.past, cache.past + tokens)
    in_cache = (torch.arange(tokens, device=ids.device) < cache.lengths[:, None])[:, None]
    # Queries after the last one that is looked at see nothing of the cache, so that they cannot be the highest.
    in_cache = in_cache & (query < first + count[:, None])[..., None]
    sees = torch.cat((in_cache, (query <= query[:, None]).expand(batch, -1, -1)), dim=2)
    # A sliding window reaches over text and repetition, but not over all that came before.
    back = cache.lengths[:, None, None] + query[:, None] + torch.arange(cache.past, 0, -1, device=ids.device)
    windows = [sliding_window(model, layer) for layer in range(spec.layers)]
    sees_in = {window: torch.cat((back < (window or math.inf), sees), dim=2) for window in set(windows)}
    weights_at_once = CPU_WEIGHTS if ids.device.type == "cpu" else GPU_WEIGHTS
    step = max(1, weights_at_once // (batch * spec.heads * (cache.past + sees.shape[2])))
    hidden = model.get_input_embeddings()(ids)
    cos, sin = rotary_table(model, cache.begin + cache.lengths[:, None] + query, hidden.dtype)
    best = []
    for w, cached_k, cached_v, window in zip(layer_weights(model), cache.keys, cache.values, windows, strict=True):
        q, k, _, v = project(spec, w, hidden, cos, sin)
        k, v = (torch.cat((c, x.transpose(1, 2)), 2) for c, x in ((cached_k, k), (cached_v, v)))
        # (batch, kv_heads, query heads of each, queries, head_dim)
        q = q.transpose(1, 2).unflatten(1, (spec.kv_heads, -1)) * spec.head_dim**-0.5
        highest, attended = k.new_zeros(batch, spec.kv_heads, tokens, dtype=torch.float32), []
        for at in range(0, queries, step):
            rows = slice(at, at + step)
            some = q[..., rows, :]
            logits = (some.flatten(2, 3) @ k.transpose(-1, -2)).float()
            logits = logits.unflatten(2, some.shape[2:4])
            logits.masked_fill_(~sees_in[window][:, None, None, rows], float("-inf"))
            weights = logits.softmax(-1)
            attended.append((weights.to(v.dtype).flatten(2, 3) @ v).unflatten(2, some.shape[2:4]))
            if (looked_at := weights[..., max(first - at, 0) :, scored]).numel():
                highest = torch.maximum(highest, looked_at.amax((2, 3)))
        best.append(highest)
        hidden = finish(spec, w, hidden, torch.cat(attended, 3).flatten(1, 2).transpose(1, 2))
    return torch.stack(best, dim=1)
