"""Numbers as int8, int4 or int2 codes: tensors in, tensors out; nothing is known of memories here.

int8 has a scale for each vector of head_dim numbers. int4 is coarse enough that it matters which numbers share a scale.
Keys have a few channels that are large in every slot, so their groups lie along the slots, a channel for itself; values
have none, so theirs lie along the vector (KIVI, arXiv 2402.02750). A group has ``GROUP`` numbers at most; what is left
over at the end of a level or of a vector is a shorter one, never padded, never shared with the next. int2 is for
comparison alone, no memory is held so: with four codes a key, too, needs the least of its group, as in KIVI.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Literal, get_args

import torch
from torch import Tensor

Code = Literal["int8", "int4"]
CODES: tuple[Code, ...] = get_args(Code)

INT8_MAX = 127
#: Largest code of a key, which is signed, and of a value, which is not.
KEY_MAX, VALUE_MAX = 7, 15
INT2_MAX = 3
GROUP = 32
#: The smallest float16 above 0, and the largest.
TINY, FLOAT16_MAX = 2.0**-24, torch.finfo(torch.float16).max
#: Scales of keys, 2^(-16) to 2^(15 7/8) in steps of an eighth: one byte names one, and rounding up costs 9% at most.
KEY_SCALES = torch.tensor([2.0 ** (eighth / 8) for eighth in range(-128, 128)])


def to_int8(x: Tensor) -> tuple[Tensor, Tensor]:
    """Quantize (..., head_dim) to codes of that shape, int8, and scale (..., 1), float16. value = code · scale.

    Off by at most scale / 2, which is max|x| / 254 (and float16's rounding of the scale).
    """
    peak = x.float().abs().amax(-1, keepdim=True)
    scale = (peak / INT8_MAX).clamp_min(TINY).to(torch.float16)
    codes = (x.float() / scale.float()).round().clamp(-INT8_MAX, INT8_MAX).to(torch.int8)
    return codes, scale


def from_int8(codes: Tensor, scale: Tensor) -> Tensor:
    """Restore, as float32, what ``to_int8`` made."""
    return codes.float() * scale.float()


def groups(numbers: int) -> list[int]:
    """Cut so many numbers in a row into groups: the size of each."""
    return [min(GROUP, numbers - start) for start in range(0, numbers, GROUP)]


def keys_to_int4(x: Tensor) -> tuple[Tensor, Tensor]:
    """Quantize (..., slots, head_dim) to codes, packed, (..., slots, head_dim / 2), and scale (..., groups of slots,
    head_dim), both uint8. value = (code - 8) · KEY_SCALES[scale].

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
    """Restore, as float32, what ``keys_to_int4`` made; of several levels if ``sizes`` are those of all their groups."""
    return _unpacked(packed).sub_(KEY_MAX + 1).mul_(_key_steps(scale, sizes))


def values_to_int4(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Quantize (..., head_dim) to codes, packed, (..., head_dim / 2), uint8; scale and least (..., groups), float16.
    value = least + code · scale.

    Off by at most scale / 2, which is (max x - min x) / 30 (and float16's rounding), or 2^-11 · max|x| of its group if
    that is more. Beyond float16's 65,504 numbers are clipped.

    Raises ValueError if head_dim is odd.
    """
    codes, scale, least = _above_least(x, -1, VALUE_MAX)
    return _packed(codes), scale, least


def values_from_int4(packed: Tensor, scale: Tensor, least: Tensor) -> Tensor:
    """Restore, as float32, what ``values_to_int4`` made."""
    codes = _unpacked(packed)
    return codes.mul_(_along(scale, -1, codes.shape[-1])).add_(_along(least, -1, codes.shape[-1]))


def to_int2(x: Tensor, dim: int) -> tuple[Tensor, Tensor, Tensor]:
    """Quantize (..., slots, head_dim) to codes, packed, (..., slots, head_dim / 4), uint8; scale and least, float16, of
    groups along ``dim``: -2 for keys, -1 for values. value = least + code · scale.

    Off by at most scale / 2, which is (max x - min x) / 6 of its group; see ``values_to_int4``. Raises ValueError if
    head_dim is no multiple of 4.
    """
    codes, scale, least = _above_least(x, dim, INT2_MAX)
    return _packed(codes, 4), scale, least


def from_int2(packed: Tensor, scale: Tensor, least: Tensor, dim: int) -> Tensor:
    """Restore, as float32, what ``to_int2`` made."""
    codes = _unpacked(packed, 4)
    return codes.mul_(_along(scale, dim, codes.shape[dim])).add_(_along(least, dim, codes.shape[dim]))


def _above_least(x: Tensor, dim: int, largest: int) -> tuple[Tensor, Tensor, Tensor]:
    """Make codes of 0 to ``largest``, scale and least of every group along ``dim``."""
    wide = x.float().clamp(-FLOAT16_MAX, FLOAT16_MAX)
    least = _of_groups(wide, dim, torch.amin).to(torch.float16)
    spread = _of_groups(wide, dim, torch.amax) - least.float()
    scale = (spread / largest).clamp_min(TINY).to(torch.float16)
    codes = (wide - _along(least, dim, x.shape[dim])) / _along(scale, dim, x.shape[dim])
    return codes.round().clamp(0, largest), scale, least


def _of_groups(x: Tensor, dim: int, reduce: Callable[..., Tensor]) -> Tensor:
    """Apply ``reduce`` to every group along ``dim``."""
    if not x.shape[dim]:
        return x
    return torch.cat([reduce(group, dim, keepdim=True) for group in x.split(GROUP, dim)], dim)


def _key_steps(scale: Tensor, sizes: Sequence[int]) -> Tensor:
    """Choose the scale of every key, from those of its channel's groups along the slots."""
    steps = KEY_SCALES.to(scale.device)[scale.int()]
    repeats = torch.tensor(sizes, dtype=torch.long, device=scale.device)
    return steps.repeat_interleave(repeats, dim=-2, output_size=sum(sizes))


def _along(of_groups: Tensor, dim: int, size: int) -> Tensor:
    """Spread groups along ``dim`` over ``size`` places, float32: each group's number at all of its places."""
    return of_groups.float().repeat_interleave(GROUP, dim).narrow(dim, 0, size)


def _packed(codes: Tensor, each: int = 2) -> Tensor:
    """Pack ``each`` codes in a byte, 0 to 15 if they are two, 0 to 3 if they are four; the first in its low bits."""
    if codes.shape[-1] % each:
        size = codes.shape[-1]
        raise ValueError(f"int{8 // each} packs {each} numbers in a byte, and a vector of {size} is uneven: use int8")
    whole, bits = codes.to(torch.uint8), 8 // each
    return reduce(operator.or_, (whole[..., place::each] << bits * place for place in range(each)))


def _unpacked(packed: Tensor, each: int = 2) -> Tensor:
    bits = 8 // each
    parts = [packed >> bits * place & (1 << bits) - 1 for place in range(each)]
    return torch.stack(parts, -1).flatten(-2).float()
