"""Ablation: switches parts of a memory off, and reads what the decoder makes of the rest.

A slot or level that is switched off is left out of the cache; what is left stays at its position. A layer or head keeps
its keys and gives zero values (zero ablation): it still draws attention, and adds nothing, because a cache holds as
many keys in every layer and head.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import torch

from ccf_core.analysis.cut import Cut
from ccf_core.answering.prompt import question_prompt
from ccf_core.ccf import CCF
from ccf_core.errors import Cancelled, NoSuchPart
from ccf_core.memory.memory import KVMemory
from ccf_core.model.decoder import Decoder
from ccf_core.model.prefix import Prefix


def kept_slots(memory: KVMemory, cut: Cut) -> list[int]:
    """List the numbers of the slots that stay, ascending.

    Raises NoSuchPart if the cut names a slot or level that the memory does not have.
    """
    levels = [level for _, level, block in memory.parts() for _ in range(block.slots)]
    _check("slot", cut.slots, range(len(levels)))
    _check("level", cut.levels, sorted(set(memory.header.ratios)))
    return [slot for slot, level in enumerate(levels) if slot not in cut.slots and level not in cut.levels]


@torch.inference_mode()
def ablate(ccf: CCF, memory: KVMemory, cut: Cut) -> Prefix:
    """Make the prefix of ``memory`` without what ``cut`` switches off; with nothing off it is the intact one.

    Raises NoSuchPart if the memory has no such slot, level, layer or head; MemoryMismatch as ``CCF.check``;
    AdapterNeeded where there is no adapter.
    """
    ccf.config.check_trained("Switching off parts of a memory")
    ccf.check(memory)
    header = memory.header
    kept = kept_slots(memory, cut)
    _check("layer", cut.layers, range(header.layers))
    _check("head", cut.heads, range(header.kv_heads))
    prefix = ccf.decoder.prefix(memory)
    if len(kept) < prefix.length:
        index = torch.tensor(kept, dtype=torch.long, device=prefix.keys[0].device)
        keys, values = (tuple(t.index_select(2, index) for t in part) for part in (prefix.keys, prefix.values))
        prefix = replace(prefix, keys=keys, values=values)
    if cut.layers or cut.heads:
        heads = sorted(cut.heads or range(header.kv_heads))
        off = torch.tensor(heads, device=prefix.keys[0].device)
        values = tuple(
            v.index_fill(1, off, 0.0) if layer in (cut.layers or range(header.layers)) else v
            for layer, v in enumerate(prefix.values)
        )
        prefix = replace(prefix, values=values)
    return prefix


def reconstruct_from(ccf: CCF, prefix: Prefix, tokens: int, cancelled: Callable[[], bool] = lambda: False) -> list[int]:
    """Reconstruct exactly ``tokens`` tokens, greedily. Raises Cancelled within a token after ``cancelled()``."""
    return _generate(ccf.repeater, prefix, [ccf.config.repeat_token], tokens, True, cancelled)


def answer_from(
    ccf: CCF,
    prefix: Prefix,
    question: str,
    max_new_tokens: int = 64,
    cancelled: Callable[[], bool] = lambda: False,
    *,
    barred: Sequence[int] = (),
) -> list[int]:
    """Answer greedily, in token ids, without beginning with one of the tokens ``barred``.

    Raises Cancelled within a token after ``cancelled()`` turns true.
    """
    prompt = question_prompt(ccf.tokenizer, question)
    return _generate(ccf.decoder, prefix, prompt, max_new_tokens, False, cancelled, barred)


def _generate(
    decoder: Decoder,
    prefix: Prefix,
    prompt: Sequence[int],
    most: int,
    exactly: bool,
    cancelled: Callable[[], bool],
    barred: Sequence[int] = (),
) -> list[int]:
    (ids,) = decoder.generate(
        [prefix],
        [prompt],
        max_new_tokens=most,
        exactly=exactly,
        stopped=cancelled,
        **({"begin_suppress_tokens": list(barred)} if barred else {}),
    )
    if cancelled():
        raise Cancelled("The operation was cancelled; nothing was changed.")
    return ids


def _check(what: str, named: Iterable[int], there: Sequence[int]) -> None:
    for number in sorted(named):
        if number not in there:
            ways = f"0 to {there[-1]}" if isinstance(there, range) else ", ".join(map(str, there))
            raise NoSuchPart(f"This memory has no {what} {number}: choose from {ways}.")
