"""Where the model runs, and in which dtype. Torch is imported by what needs it: the page is built without."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

from ccf_core.errors import CCFError, OutOfMemory

if TYPE_CHECKING:
    import torch

#: Names of dtypes, and what torch calls them.
DTYPES = {
    "bfloat16": "bfloat16",
    "bf16": "bfloat16",
    "float16": "float16",
    "fp16": "float16",
    "float32": "float32",
    "fp32": "float32",
}


class DeviceUnavailable(CCFError):
    """The device or dtype asked for is unknown, or not present on this machine."""


def choose_device(device: str | torch.device | None = None) -> torch.device:
    """Choose the device asked for, else ``CCF_DEVICE``, else the first present of cuda, mps and cpu.

    Raises DeviceUnavailable.
    """
    import torch

    wanted = device or os.environ.get("CCF_DEVICE")
    if not wanted:
        return torch.device(next((name for name in ("cuda", "mps") if _present(name)), "cpu"))
    try:
        chosen = torch.device(wanted)
    except RuntimeError as error:
        raise DeviceUnavailable(f"{wanted} is not a device: use cuda, mps or cpu.") from error
    if not _present(chosen.type):
        raise DeviceUnavailable(f"This machine has no usable {chosen.type} device: use another, or cpu.")
    return chosen


def choose_dtype(device: torch.device, dtype: str | torch.dtype | None = None) -> torch.dtype:
    """Choose the dtype asked for, else ``CCF_DTYPE``, else bfloat16 where it is fast on ``device``, else float32.

    Raises DeviceUnavailable.
    """
    import torch

    wanted = dtype or os.environ.get("CCF_DTYPE")
    if isinstance(wanted, torch.dtype):
        return wanted
    if wanted:
        if wanted not in DTYPES:
            raise DeviceUnavailable(f"{wanted} is not a dtype that can be used: choose {', '.join(DTYPES)}.")
        return cast(torch.dtype, getattr(torch, DTYPES[wanted]))
    fast = device.type in ("cuda", "mps") or (device.type == "cpu" and _cpu_multiplies_bfloat16())
    return torch.bfloat16 if fast else torch.float32


def device_name(device: torch.device) -> str:
    """Name a device in results: a GPU as its maker calls it, any other as torch does."""
    import torch

    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)


@contextmanager
def enough_memory() -> Iterator[None]:
    """Turn the errors of Python and torch for want of memory into OutOfMemory; let others through."""
    try:
        yield
    # For want of the CPU's memory torch raises a plain RuntimeError.
    except (MemoryError, RuntimeError) as error:
        import torch

        wanting = isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "can't allocate memory" in str(error)
        if not wanting:
            raise
        raise OutOfMemory(
            "There is not enough memory for this: close other programs, or choose fewer or shorter documents or a "
            "coarser ratio, and try again; what is stored is kept."
        ) from error


def _present(kind: str) -> bool:
    import torch

    if kind == "cuda":
        return torch.cuda.is_available()
    if kind == "mps":
        return torch.backends.mps.is_available()
    return kind == "cpu"


def _cpu_multiplies_bfloat16() -> bool:
    import torch

    try:
        supported = bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    except (AttributeError, RuntimeError):
        return False
    # On x86 plain AVX-512 may count as support, though it emulates bfloat16, slower than float32.
    native = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    x86 = platform.machine().lower() in ("x86_64", "amd64")
    return supported and (not x86 or any(getattr(torch.cpu, name, lambda: False)() for name in native))
