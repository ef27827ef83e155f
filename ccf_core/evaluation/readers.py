"""What each reader puts before a question: a job for the decoder."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from ccf_core.evaluation.batches import Job
from ccf_core.evaluation.subject import Options, Subject
from ccf_core.memory import KVMemory
from ccf_core.segment import Segmented

#: Readers that are measured at every ratio; the others read the same whatever the ratio.
AT_RATIO = ("memory", "truncated")


def settings(readers: Sequence[str], options: Options) -> list[tuple[str, int | None]]:
    """(reader, ratio) for each of ``readers`` that the options ask for; a ratio where it makes a difference."""
    return [
        (reader, ratio)
        for reader in readers
        if reader in (options.readers or readers)
        for ratio in (options.ratios if reader in AT_RATIO else (None,))
    ]


def job(
    subject: Subject,
    reader: str,
    document: Segmented,
    memory: KVMemory | None,
    ratio: int | None,
    prompt: Sequence[int],
    new: int,
) -> Job:
    """``new`` tokens after what ``reader`` keeps of the document, and the prompt; text that does not fit is cut."""
    decoder = subject.decoder(reader)
    if reader == "none":
        return Job(prompt, new)
    if reader == "memory":
        assert memory is not None and ratio is not None
        at_ratio = memory.at(ratio)
        return Job(prompt, new, prefix=partial(decoder.prefix, at_ratio), cached=at_ratio.slots)
    ids = document.input_ids[: decoder.window - len(prompt) - new]
    if reader == "truncated":
        assert memory is not None and ratio is not None
        ids = ids[: memory.at(ratio).slots]
    return Job([*ids, *prompt], new)
