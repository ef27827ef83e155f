"""The model under training: LoRA merged into the weights once a step, then two passes over packed streams."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedModel

from ccf_core.model.adapter import LEVELS, REPEAT, Adapter, side_of
from ccf_core.model.layers import StackSpec, embedding_table, layer_weights, rms_norm, rotary_table, rotate
from ccf_core.training.attention import flash_attention, plain_attention
from ccf_core.training.data.batch import Batch, Stream
from ccf_core.training.data.batch_size import longest_segment
from ccf_core.training.data.examples import Kind
from ccf_core.training.layers import Take, decoder_layer, encoder_layer, window_means
from ccf_core.training.losses import chunked_cross_entropy, hidden_distance

#: Every so many layers, and after the last, the hidden states of what is taught are compared with the teacher's.
MATCHED = 3


class TrainingModel(nn.Module):
    """Frozen base and trainable adapter; ``forward(batch)`` gives the loss.

    sides : the parts that learn, of ``encoder`` (with its levels), ``decoder`` (with the repeat token) and ``repeat``.
    reader : the adapter whose decoder, frozen, reads the batch's ``teacher`` stream.
    match : weight of the distance of hidden states to the reader's in the loss.
    compiled : use torch.compile for the layers (CUDA). ``attention`` is flash attention where that can be had, for a
    base in halves on CUDA, otherwise the plain reference.
    """

    def __init__(
        self, base: PreTrainedModel, adapter: Adapter, *, compiled: bool, reader: Adapter | None = None,
        sides: Sequence[str] = ("encoder", "decoder", "repeat"), match: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.config = adapter.config
        self.spec = StackSpec.of(base)
        self.base = base.requires_grad_(False)
        learns = {name: side_of(name) in sides for name in adapter.tensors}
        # Mean pooling reads no levels, and several processes wait for a gradient of everything that learns.
        learns[LEVELS] &= self.config.compressor != "mean_pool"
        # The repeat token belongs to what repeats.
        learns[REPEAT] |= "repeat" in sides
        self.trainable = nn.ParameterDict()
        for name, tensor in adapter.tensors.items():
            self.trainable[name.replace(".", "__")] = nn.Parameter(tensor.float().clone(), learns[name])
        self.match = match
        layers = layer_weights(base)
        self.frozen = {name: [w[name].detach() for w in layers] for name in layers[0]}
        self.stacked = {t: torch.stack(self.frozen[f"{t}.weight"]) for t in self.config.targets}
        self.embedding = embedding_table(base)
        self.head = base.get_output_embeddings().weight
        self._longest_window = self.config.slot_window or max(self.config.ratios)
        self.compiled = compiled
        halves = self.embedding.dtype in (torch.bfloat16, torch.float16)
        self.attention = flash_attention if self.embedding.is_cuda and halves else plain_attention

        def fast(function: Callable) -> Callable:
            return torch.compile(function, dynamic=False) if compiled else function

        self._encoder_layer, self._decoder_layer = fast(encoder_layer), fast(decoder_layer)
        self._rotate, self._window_means = fast(rotate), fast(window_means)
        self._kept: dict[tuple[str, ...], list[dict[str, Tensor]]] = {}
        self._reader = None
        if reader:
            pairs = {name.replace(".", "__"): t.to(self.embedding.device) for name, t in reader.tensors.items()}
            with torch.no_grad():
                self._reader = self._merge(pairs, ("decoder",), reader.config.lora_scale)

    def adapter(self) -> Adapter:
        """Copy what is being trained, as it stands."""
        tensors = {name.replace("__", "."): p.detach().float().cpu().clone() for name, p in self.trainable.items()}
        return Adapter(self.config, tensors)

    def merged(self, *sides: str) -> list[dict[str, Tensor]]:
        """Merge every layer's weights: W + scale · B·A of each side in the targets, rounded to the base's dtype.

        Differentiable where a side learns; otherwise merged once and kept.
        """
        if any(p.requires_grad for name, p in self.trainable.items() if name.split("__")[0] in sides):
            return self._merge(dict(self.trainable), sides, self.config.lora_scale)
        if sides not in self._kept:
            with torch.no_grad():
                self._kept[sides] = self._merge(dict(self.trainable), sides, self.config.lora_scale)
        return self._kept[sides]

    def _merge(self, pairs: Mapping[str, Tensor], sides: Sequence[str], scale: float) -> list[dict[str, Tensor]]:
        dtype = self.embedding.dtype
        per_target = {}
        for target in self.config.targets:
            merged = self.stacked[target]
            for side in sides:
                a, b = (pairs[f"{side}__{target}__{part}"].to(dtype) for part in "ab")
                merged = torch.baddbmm(merged, b, a, alpha=scale)
            per_target[f"{target}.weight"] = merged.unbind()
        names = {**self.frozen, **per_target}
        return [{name: values[i] for name, values in names.items()} for i in range(self.spec.layers)]

    def encode(self, batch: Batch, layers: list[dict[str, Tensor]] | None = None) -> tuple[Tensor, Tensor]:
        """Encode all slots: keys before rotary and values, each (S, layers, kv_heads, head_dim).

        layers : ``merged("encoder")``, if the caller has it already.
        """
        hidden = F.embedding(batch.encoder_ids, self.embedding)
        compressor = self.config.compressor
        if compressor != "mean_pool":
            with torch.no_grad():
                means = self._window_means(hidden, *batch.slot_window.unbind(1), self._longest_window)
            # Rounded after they are looked up: the gradients of thousands of slots are summed up in float32.
            levels = F.embedding(batch.slot_level, self.trainable[LEVELS]).to(hidden.dtype)
            # Where a stream has spare slots they all point at its last, unused token.
            hidden = hidden.index_copy(0, batch.slot_at, means + levels)
        cos, sin = rotary_table(self.base, batch.encoder_positions, hidden.dtype)
        keys, values = [], []
        for w in layers or self.merged("encoder"):
            hidden, k, v = self._encoder_layer(
                self.spec, w, hidden, cos, sin, batch, compressor, longest_segment(self.config), self.attention
            )
            keys.append(k)
            values.append(v)
        return torch.stack(keys, 1), torch.stack(values, 1)

    def decode(
        self, stream: Stream, keys: Tensor, values: Tensor, layers: list[dict[str, Tensor]] | None = None,
        at: Tensor | None = None,
    ) -> tuple[Tensor, list[Tensor]]:  # fmt: skip
        """Decode to hidden states (D, hidden), final norm applied, and a list of those at ``at`` on the way.

        layers : ``merged("decoder")``, as in ``encode``. at : tokens (T,) whose hidden states (T, hidden) are listed
        after every ``MATCHED`` layers and after the last.
        """
        k, v = keys.index_select(0, stream.memory_slot), values.index_select(0, stream.memory_slot)
        if len(k):
            cos, sin = rotary_table(self.base, stream.memory_positions, k.dtype)
            k = self._rotate(k, cos[:, None], sin[:, None])
        repeat = stream.ids == self.config.repeat_token
        hidden = F.embedding(stream.ids.masked_fill(repeat, 0), self.embedding)
        hidden = torch.where(repeat[:, None], self.trainable[REPEAT].to(hidden.dtype), hidden)
        cos, sin = rotary_table(self.base, stream.positions, hidden.dtype)
        matched = []
        both = zip(layers or self.merged("decoder"), k.unbind(1), v.unbind(1), strict=True)
        for index, (w, memory_k, memory_v) in enumerate(both, 1):
            hidden = self._decoder_layer(self.spec, w, hidden, cos, sin, memory_k, memory_v, stream, self.attention)
            if at is not None and (index % MATCHED == 0 or index == self.spec.layers):
                matched.append(Take.apply(hidden, at))
        return rms_norm(hidden, self.base.model.norm.weight, self.spec.eps), matched

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Score a batch: (loss, record (kinds, 3) float32 of each kind's summed nats, hits and number of targets).

        Raises ValueError for a batch with sequences of a frozen reader where there is none.
        """
        keys, values = self.encode(batch)
        taught = len(batch.teacher_at)
        compared = self.match > 0 and batch.teacher is not None and taught > 0
        hidden, own = self.decode(batch.read, keys, values, at=batch.target_at[:taught] if compared else None)
        teacher = hidden.detach()
        theirs: list[Tensor] = []
        if batch.teacher is not None:
            if self._reader is None:
                raise ValueError("the batch has sequences of a frozen reader: give one")
            with torch.no_grad():
                none = (keys[:0].detach(), values[:0].detach())
                at = batch.teacher_at if compared else None
                teacher, theirs = self.decode(batch.teacher, *none, self._reader, at)
        if batch.repeat is not None:
            repeated, _ = self.decode(batch.repeat, keys, values, self.merged("decoder", "repeat"))
            hidden = torch.cat((hidden, repeated))
        loss, record = self.loss(batch, hidden, teacher)
        if compared:
            weight = batch.target_weight[:taught] * (batch.teacher_share > 0)
            loss = loss + self.match * (weight * hidden_distance(own, theirs)).sum()
        return loss, record

    def loss(self, batch: Batch, hidden: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
        """Compute (loss, record) of ``forward`` from the hidden states of the decoder and, detached, of the teacher."""
        loss, each, correct = chunked_cross_entropy(
            hidden[batch.target_at], self.head, batch.targets, batch.target_weight, self.compiled,
            teacher=teacher[batch.teacher_at], share=batch.teacher_share,
        )  # fmt: skip
        columns = torch.stack((each, correct.float(), torch.ones_like(each)), 1) * (batch.target_weight > 0)[:, None]
        record = columns.new_zeros((len(Kind) + 1, 3)).index_add_(0, batch.target_kind, columns)
        return loss, record[: len(Kind)]
