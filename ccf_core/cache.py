"""A Hugging Face cache with room for what is still to be read, so that a token is written into it and not joined to it.

It knows nothing of memories or models.
"""

from __future__ import annotations

from torch import Tensor
from transformers import Cache
from transformers.cache_utils import DynamicLayer

#: A layer's room is a multiple of so many positions.
GRAIN = 64


class RoomyLayer(DynamicLayer):
    """A layer of cache that allocates ``room`` positions at its first update and never copies what it holds.

    ``keys`` and ``values`` are views (batch, kv_heads, positions so far, head_dim) of ``whole``, which has the room.
    More than ``room``, rounded up to a multiple of ``GRAIN``, are a RuntimeError.
    """

    def __init__(self, room: int) -> None:
        super().__init__()
        self.room = room

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        self.dtype, self.device = key_states.dtype, key_states.device
        self.whole = tuple(
            states.new_empty(*states.shape[:2], -(-self.room // GRAIN) * GRAIN, states.shape[3])
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


def roomy_cache(layers: int, room: int) -> Cache:
    """An empty cache for at most ``room`` positions; memory is taken as a layer is first written."""
    return Cache(layers=[RoomyLayer(room) for _ in range(layers)])
