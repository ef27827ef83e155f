"""Numbers as int8 or int4 codes: tensors in, tensors out; nothing is known of memories here.

int8 has a scale for each vector of head_dim numbers. int4 is coarse enough that it matters which numbers share a scale.
Keys have a few channels that are large in every slot, so their groups lie along the slots, a channel for itself; values
have none, so theirs lie along the vector (KIVI, arXiv 2402.02750). A group has ``GROUP`` numbers at most; what is left
over at the end of a level or of a vector is a shorter one, never padded, never shared with the next.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, get_args

import torch
from torch import Tensor

Code = Literal["int8", "int4"]
CODES: tuple[Code, ...] = get_args(Code)

INT8_MAX = 127
#: Largest code of a key, which is signed, and of a value, which is not.
KEY_MAX, VALUE_MAX = 7, 15
GROUP = 32
#: The smallest float16 above 0, and the largest.
TINY, FLOAT16_MAX = 2.0**-24, torch.finfo(torch.float16).max
#: Scales of keys, 2^(-16) to 2^(15 7/8) in steps of an eighth: one byte names one, and rounding up costs 9% at most.
KEY_SCALES = torch.tensor([2.0 ** (eighth / 8) for eighth in range(-128, 128)])


def to_int8(x: Tensor) -> tuple[Tensor, Tensor]:
    """Symmetric: (..., head_dim) -> codes of that shape, int8, and scale (..., 1), float16. value = code · scale.

    Off by at most scale / 2, which is max|x| / 254 (and float16's rounding of the scale).
    """
    peak = x.float().abs().amax(-1, keepdim=True)
    scale = (peak / INT8_MAX).clamp_min(TINY).to(torch.float16)
    codes = (x.float() / scale.float()).round().clamp(-INT8_MAX, INT8_MAX).to(torch.int8)
    return codes, scale


def from_int8(codes: Tensor, scale: Tensor) -> Tensor:
    """float32 of what ``to_int8`` made."""
    return codes.float() * scale.float()


def groups(numbers: int) -> list[int]:
    """Sizes of the groups that so many numbers in a row are cut into."""
    return [min(GROUP, numbers - start) for start in range(0, numbers, GROUP)]


def keys_to_int4(x: Tensor) -> tuple[Tensor, Tensor]:
    """(..., slots, head_dim) -> codes, packed, (..., slots, head_dim / 2), and scale (..., groups of slots, head_dim),
    both uint8. value = (code - 8) · KEY_SCALES[scale].

    A scale is the first of ``KEY_SCALES`` that is not below max|x| / 7 of its group, so a value is off by at most half
    of it: 2^(1/8) · max|x| / 14, or 2^-17 if that is more. Beyond 4.2e5 numbers are clipped.

    Raises ValueError if head_dim is odd.
    """
    wide, sizes = x.float(), groups(x.shape[-2])
    peak = _of_groups(wide.abs(), -2, torch.amax)
    place = torch.searchsorted(KEY_SCALES.to(x.device), (peak / KEY_MAX).contiguous())
    scale = place.clamp_max(len(KEY_SCALES) - 1).to(torch.uint8)
    codes = (wide / _key_steps(scale, sizes)).round().clamp(-KEY_MAX, KEY_MAX)
    return _packed(codes + KEY_MAX + 1), scale


def keys_from_int4(packed: Tensor, scale: Tensor, sizes: Sequence[int]) -> Tensor:
    """float32 of what ``keys_to_int4`` made; of several levels in a row, if ``sizes`` are those of all their groups."""
    return _unpacked(packed).sub_(KEY_MAX + 1).mul_(_key_steps(scale, sizes))


def values_to_int4(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(..., head_dim) -> codes, packed, (..., head_dim / 2), uint8; scale and least value (..., groups), float16.
    value = least + code · scale.

    Off by at most scale / 2, which is (max x - min x) / 30 (and float16's rounding), or 2^-11 · max|x| of its group if
    that is more. Beyond float16's 65,504 numbers are clipped.

    Raises ValueError if head_dim is odd.
    """
    wide = x.float().clamp(-FLOAT16_MAX, FLOAT16_MAX)
    least = _of_groups(wide, -1, torch.amin).to(torch.float16)
    spread = _of_groups(wide, -1, torch.amax) - least.float()
    scale = (spread / VALUE_MAX).clamp_min(TINY).to(torch.float16)
    codes = ((wide - _along(least, x.shape[-1])) / _along(scale, x.shape[-1])).round().clamp(0, VALUE_MAX)
    return _packed(codes), scale, least


def values_from_int4(packed: Tensor, scale: Tensor, least: Tensor) -> Tensor:
    """float32 of what ``values_to_int4`` made."""
    codes = _unpacked(packed)
    return codes.mul_(_along(scale, codes.shape[-1])).add_(_along(least, codes.shape[-1]))


def _of_groups(x: Tensor, dim: int, reduce: Callable[..., Tensor]) -> Tensor:
    """``reduce`` over every group along ``dim``."""
    if not x.shape[dim]:
        return x
    return torch.cat([reduce(group, dim, keepdim=True) for group in x.split(GROUP, dim)], dim)


def _key_steps(scale: Tensor, sizes: Sequence[int]) -> Tensor:
    """The scale of every key, from those of its channel's groups along the slots."""
    steps = KEY_SCALES.to(scale.device)[scale.int()]
    repeats = torch.tensor(sizes, dtype=torch.long, device=scale.device)
    return steps.repeat_interleave(repeats, dim=-2, output_size=sum(sizes))


def _along(of_groups: Tensor, head_dim: int) -> Tensor:
    """(..., groups) -> (..., head_dim), float32: each group's number at all of its places."""
    return of_groups.float().repeat_interleave(GROUP, -1)[..., :head_dim]


def _packed(codes: Tensor) -> Tensor:
    """Two codes of 0 to 15 in a byte, the first in its low bits."""
    if codes.shape[-1] % 2:
        raise ValueError(f"int4 packs numbers in pairs, and a vector of {codes.shape[-1]} has one left over: use int8")
    whole = codes.to(torch.uint8)
    return whole[..., ::2] | whole[..., 1::2] << 4


def _unpacked(packed: Tensor) -> Tensor:
    return torch.stack((packed & 15, packed >> 4), -1).flatten(-2).float()
