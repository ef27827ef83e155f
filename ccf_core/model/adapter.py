"""The trained part: sets of LoRA pairs, one embedding a level, the embedding of the repeat token.

Pairs are stacked over layers, ``{encoder|decoder|repeat}.{target}.a`` (layers, rank, in) and ``.b`` (layers, out,
rank), so that merging a target is one batched product. On disk a pair may be int8 with one scale for each layer and
rank component: the row of A and the column of B that belong together.
"""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, cast

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import PreTrainedModel

from ccf_core.assets import NO_ADAPTER, ranking_of
from ccf_core.base.default import trained_base
from ccf_core.base.load import Base
from ccf_core.config import CCFConfig
from ccf_core.errors import AdapterError
from ccf_core.hub import adapter_folder, hub_name
from ccf_core.model.layers import embedding_table, layer_weights

LEVELS = "level_embeddings"
REPEAT = "repeat_embedding"
SHARD_BYTES = 8_500_000


@dataclass(frozen=True)
class Adapter:
    """``tensors`` in float32 on the CPU, named as in the module's docstring, with
    ``level_embeddings`` (levels, hidden), finest level first, and ``repeat_embedding`` (hidden,).

    folder, origin : where an adapter was read, None for one that was not; ``owner/name@commit`` of one of the model
        hub, otherwise "".
    """

    config: CCFConfig
    tensors: dict[str, Tensor]
    # Not copied by dataclasses.replace: what is made of an adapter is not what was read.
    folder: Path | None = field(default=None, init=False)
    origin: str = field(default="", init=False)

    def delta(self, side: str, target: str) -> Tensor:
        """Compute what LoRA adds to a weight of every layer: scale · B·A, (layers, out, in) float32."""
        return self.config.lora_scale * (self.tensors[f"{side}.{target}.b"] @ self.tensors[f"{side}.{target}.a"])

    @classmethod
    def named(cls, adapter: str | Path, revision: str | None = None, token: str | None = None) -> Adapter:
        """Load an adapter; for "none" or "none:RANKING" make what stands for none. Raises what ``load`` raises."""
        if ranking := ranking_of(adapter):
            return cls(CCFConfig.pruned(ranking), {})
        return cls.load(adapter, revision, token)

    def or_none(self, base: Base) -> Adapter:
        """Take what stands for no adapter if this one was trained on another base."""
        return self if self.config.base in ("", base.fingerprint) else Adapter.named(NO_ADAPTER)

    def on(self, base: Base) -> Adapter:
        """Bind what stands for no adapter to the base whose memories it names; a trained one stays as it is."""
        if self.config.trained:
            return self
        own = dataclasses.replace(self.config, base=base.fingerprint, tokenizer=base.tokenizer_fingerprint)
        return dataclasses.replace(self, config=own)

    def with_decoder(self, other: Adapter) -> Adapter:
        """Join this encoder with the decoder, what repeats, the repeat token and the chat template of ``other``.

        Raises AdapterError if the two are of different shapes or bases.
        """
        theirs = dataclasses.replace(other.config, encoder_rank=self.config.encoder_rank)
        names = ("decoder_rank", "repeat_rank", "repeat_token", "chat_template")
        mine = dataclasses.replace(self.config, **{name: getattr(other.config, name) for name in names})
        if theirs != mine:
            raise AdapterError("The two adapters differ in more than their ranks: train one for the other's settings.")
        own = {name: t for name, t in self.tensors.items() if side_of(name) == "encoder"}
        rest = {name: t for name, t in other.tensors.items() if side_of(name) != "encoder"}
        return Adapter(mine, own | rest)

    def with_repeat(self, rank: int, model: PreTrainedModel, seed: int = 0) -> Adapter:
        """Add an untrained LoRA that is for repeating alone."""
        config = dataclasses.replace(self.config, repeat_rank=rank)
        fresh = Adapter.zero(model, config, seed).tensors
        return Adapter(config, self.tensors | {name: t for name, t in fresh.items() if side_of(name) == "repeat"})

    def with_ratios(self, ratios: tuple[int, ...]) -> Adapter:
        """Add coarser levels, whose embeddings begin as that of the coarsest one there is.

        Raises AdapterError unless ``ratios`` are the adapter's own and then coarser ones.
        """
        own, embeddings = self.config.ratios, self.tensors[LEVELS]
        if ratios[: len(own)] != own:
            told = " ".join(map(str, own))
            raise AdapterError(f"The adapter to start from has the ratios {told}: give these, then coarser ones.")
        added = embeddings[-1:].expand(len(ratios) - len(own), -1)
        config = dataclasses.replace(self.config, ratios=ratios)
        return Adapter(config, self.tensors | {LEVELS: torch.cat([embeddings, added])})

    def reading(self) -> Adapter:
        """Leave out the LoRA for repeating: what is left answers and continues."""
        config = dataclasses.replace(self.config, repeat_rank=0)
        return Adapter(config, {name: t for name, t in self.tensors.items() if side_of(name) != "repeat"})

    def repeating(self) -> Adapter:
        """Join the decoder's pairs and those for repeating: an adapter whose decoder repeats."""
        if not self.config.repeat_rank:
            return self
        config = dataclasses.replace(
            self.config, decoder_rank=self.config.decoder_rank + self.config.repeat_rank, repeat_rank=0
        )
        tensors = dict(self.reading().tensors)
        for target in self.config.targets:
            for part, dim in (("a", 1), ("b", 2)):
                both = [self.tensors[f"{side}.{target}.{part}"] for side in ("decoder", "repeat")]
                tensors[f"decoder.{target}.{part}"] = torch.cat(both, dim)
        return Adapter(config, tensors)

    @property
    def fingerprint(self) -> str:
        """Digest (SHA-256) configuration, names, shapes and values."""
        digest = hashlib.sha256(json.dumps(self.config.identity(), sort_keys=True).encode())
        for name, tensor in sorted(self.tensors.items()):
            digest.update(f"{name}{tuple(tensor.shape)}".encode())
            digest.update(tensor.contiguous().numpy().tobytes())
        return digest.hexdigest()

    @property
    def base_on_hub(self) -> str | None:
        """Name the base that the adapter was trained on; None unless that is a name on the model hub."""
        return self.config.base_name if hub_name(self.config.base_name) else None

    @classmethod
    def zero(cls, model: PreTrainedModel, config: CCFConfig, seed: int = 0) -> Adapter:
        """Make an untrained adapter: A random, B zero, both sides being the base.

        The repeat token begins as the mean of all embeddings: its own, if it has one, may never have been trained.
        """
        generator = torch.Generator().manual_seed(seed)
        weights = layer_weights(model)
        tensors = {}
        for side, rank in config.ranks.items():
            for target in config.targets:
                out, width = weights[0][f"{target}.weight"].shape
                a = torch.rand(len(weights), rank, width, generator=generator) * 2 - 1
                tensors[f"{side}.{target}.a"] = a * width**-0.5
                tensors[f"{side}.{target}.b"] = torch.zeros(len(weights), out, rank)
        embedding = embedding_table(model)
        tensors[LEVELS] = torch.zeros(len(config.ratios), embedding.shape[1])
        tensors[REPEAT] = embedding.detach().mean(0, dtype=torch.float32).cpu()
        return cls(config, tensors)

    def save(self, folder: str | Path, dtype: Literal["int8", "bfloat16", "float32"] = "int8") -> None:
        """Write ``ccf.json`` and safetensors shards of at most 8.5 MB; replaces shards that are there."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("adapter-*.safetensors"):
            old.unlink()
        shards: list[dict[str, Tensor]] = [{}]
        filled = 0
        for group in self._packed(dtype):
            size = sum(t.nbytes for t in group.values())
            if filled and filled + size > SHARD_BYTES:
                shards.append({})
                filled = 0
            shards[-1].update(group)
            filled += size
        for index, shard in enumerate(shards, 1):
            save_file(
                shard,
                folder / f"adapter-{index:02d}-of-{len(shards):02d}.safetensors",
                {"format": "ccf-adapter"},
            )
        self.config.save(folder / "ccf.json")

    def _packed(self, dtype: str) -> list[dict[str, Tensor]]:
        groups: list[dict[str, Tensor]] = [{name: self.tensors[name].contiguous() for name in (LEVELS, REPEAT)}]
        for side in self.config.ranks:
            for target in self.config.targets:
                a, b = (self.tensors[f"{side}.{target}.{part}"] for part in "ab")
                names = [f"{side}.{target}.{part}" for part in "ab"]
                if dtype == "int8":
                    for name, tensor, dim in ((names[0], a, 2), (names[1], b, 1)):
                        scale = (tensor.abs().amax(dim, keepdim=True) / 127).clamp_min(1e-12)
                        codes = (tensor / scale).round().to(torch.int8).contiguous()
                        groups.append({name: codes, f"{name}.scale": scale.contiguous()})
                else:
                    wanted = getattr(torch, dtype)
                    groups += [{n: t.to(wanted).contiguous()} for n, t in zip(names, (a, b), strict=True)]
        return groups

    @classmethod
    def load(cls, adapter: str | Path, revision: str | None = None, token: str | None = None) -> Adapter:
        """Read a folder that ``save`` wrote, or ``owner/name`` or ``owner/name@revision`` of the model hub.

        revision : a branch, a tag or a commit; ``token`` is the one that ``hf auth login`` kept if None.

        Raises AdapterError if there is no complete adapter, and HubError.
        """
        folder, origin = adapter_folder(adapter, revision, token)
        shards = sorted(folder.glob("adapter-*.safetensors"))
        if not shards or not (folder / "ccf.json").exists():
            raise AdapterError(
                f"There is no adapter in {folder}: point to a folder with ccf.json and adapter-*.safetensors."
            )
        count = shards[0].stem.rsplit("-", 1)[1].lstrip("0")
        if str(len(shards)) != count:
            raise AdapterError(
                f"{folder} holds {len(shards)} of {count} shards: copy all of one adapter, and only those."
            )
        raw: dict[str, Tensor] = {}
        try:
            for shard in shards:
                with safe_open(shard, "pt") as file:
                    raw.update({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
            tensors = {
                name: tensor.float() * raw[f"{name}.scale"] if tensor.dtype == torch.int8 else tensor.float()
                for name, tensor in raw.items()
                if not name.endswith(".scale")
            }
            config = CCFConfig.load(folder / "ccf.json")
        except (SafetensorError, ValueError, TypeError, KeyError) as error:
            raise AdapterError(f"The adapter in {folder} is damaged: copy the folder again.") from error
        wanted = {f"{side}.{target}.{part}" for side in config.ranks for target in config.targets for part in "ab"} | {
            LEVELS,
            REPEAT,
        }
        if wanted - tensors.keys():
            raise AdapterError(f"{folder} lacks {sorted(wanted - tensors.keys())[0]}: copy the folder again.")
        read = cls(config, tensors)
        object.__setattr__(read, "folder", folder)
        object.__setattr__(read, "origin", origin)
        return read

    def check(self, model: PreTrainedModel) -> None:
        """Raise AdapterError unless every pair fits the model's weights."""
        if not self.config.trained:
            return
        for target in self.config.targets:
            shape = layer_weights(model)[0][f"{target}.weight"].shape
            for side in self.config.ranks:
                a, b = (self.tensors[f"{side}.{target}.{part}"] for part in "ab")
                if (len(a), b.shape[1], a.shape[2]) != (model.config.num_hidden_layers, *shape):
                    raise AdapterError(
                        f"The adapter was trained on {trained_base(self.config)}, which is of another size than "
                        "this base: choose that one."
                    )
        hidden = embedding_table(model).shape[1]
        wanted = {LEVELS: (len(self.config.ratios), hidden), REPEAT: (hidden,)}
        fits = all(tuple(self.tensors[name].shape) == shape for name, shape in wanted.items())
        if not fits:
            raise AdapterError("The adapter's embeddings fit neither its levels nor this base: copy its folder again.")


def side_of(name: str) -> str:
    """Name the part of an adapter that a tensor belongs to: ``encoder``, ``decoder`` or ``repeat``."""
    return {LEVELS: "encoder", REPEAT: "decoder"}.get(name) or name.split(".")[0]


@torch.no_grad()
def _add(model: PreTrainedModel, adapter: Adapter, side: str) -> None:
    """Add the LoRA of a side to the weights in place: W + scale · B·A."""
    weights = layer_weights(model)
    for target in adapter.config.targets:
        for w, delta in zip(weights, adapter.delta(side, target), strict=True):
            weight = w[f"{target}.weight"]
            weight.copy_(weight.float() + delta.to(weight.device))


@torch.no_grad()
def repeating_copy(model: PreTrainedModel, adapter: Adapter) -> PreTrainedModel:
    """Copy an adapted decoder and add the LoRA for repeating; weights that no LoRA changes are shared."""
    changed = {id(w[f"{target}.weight"]) for w in layer_weights(model) for target in adapter.config.targets}
    shared = {id(weight): weight for weight in model.parameters() if id(weight) not in changed}
    twin = copy.deepcopy(model, cast(dict, shared))
    _add(twin, adapter, "repeat")
    return twin


class RepeatEmbedding(nn.Embedding):
    """The base's embeddings, and beside them that of the repeat token, whose id may lie behind the table.

    It is no row of the table, which an output head may share.
    """

    def __init__(self, base: nn.Embedding, token: int, vector: Tensor) -> None:
        super().__init__(base.num_embeddings, base.embedding_dim, _weight=base.weight)
        self.weight = base.weight
        self.token = token
        # It goes where the module goes, and is not saved with it.
        self.register_buffer("repeat", vector.to(base.weight), persistent=False)

    def forward(self, ids: Tensor) -> Tensor:
        """Embed ids (...) as (..., hidden)."""
        repeats = ids == self.token
        embedded = super().forward(ids.masked_fill(repeats, 0))
        return torch.where(repeats[..., None], self.get_buffer("repeat"), embedded)


@torch.no_grad()
def merge_into(model: PreTrainedModel, adapter: Adapter) -> None:
    """Turn ``model`` into the adapted decoder, in place: W + scale · B·A, and the repeat token's embedding.

    Without an adapter it stays as it is.
    """
    if not adapter.config.trained:
        return
    _add(model, adapter, "decoder")
    table = cast(nn.Embedding, model.get_input_embeddings())
    model.set_input_embeddings(RepeatEmbedding(table, adapter.config.repeat_token, adapter.tensors[REPEAT]))


@torch.no_grad()
def merged_layers(model: PreTrainedModel, adapter: Adapter) -> list[dict[str, Tensor]]:
    """List the encoder's layers: the base's own parameters, those with an adapter replaced by merged copies."""
    layers = layer_weights(model)
    merged = [dict(w) for w in layers]
    for target in adapter.config.targets:
        for own, base, delta in zip(merged, layers, adapter.delta("encoder", target), strict=True):
            weight = base[f"{target}.weight"]
            own[f"{target}.weight"] = (weight.float() + delta.to(weight.device)).to(weight.dtype)
    return merged
