"""Answer one question under several settings: the same documents in full, as memories, cut off, or not at all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

from app.answers.ask import Asking
from app.documents.memory_cache import Memories
from app.errors import NotAnswerable
from app.types import AnswerView, CancelCheck, Progress, Reader, never, silent
from ccf_core import Cancelled

FULL, FOCUS, TRUNCATED, NONE = "full", "focus", "truncated", "none"
#: ``focus`` and ``truncated`` (the first tokens of the text) have the bytes of the memory at this ratio.
SAME_BYTES = 8
DEFAULT = (FULL, "4x", "8x", "16x", TRUNCATED)


@dataclass(frozen=True)
class Compared:
    """One step of a comparison: a piece of one setting's answer, that answer, or why there is none."""

    setting: str
    piece: str = ""
    answer: AnswerView | None = None
    error: str = ""


class Comparing:
    def __init__(self, asking: Asking, memories: Memories) -> None:
        self.asking = asking
        self.memories = memories

    def compare(
        self,
        question: str,
        documents: Sequence[str],
        settings: Sequence[str] = DEFAULT,
        *,
        max_new_tokens: int = 64,
        progress: Progress = silent,
        cancelled: CancelCheck = never,
    ) -> Iterator[Compared]:
        """Answer under each setting, one after the other, full context first; others may use the model in between.

        A setting is ``full``, a ratio (``4x`` …), ``focus`` (coarse, finer where the question needs it) or
        ``truncated`` (the first tokens), both in the bytes of the memory at 8x, or ``none``. What one setting cannot
        do, such as a text that is too long to be read in full, is that setting's ``error`` and the others go on. When
        ``cancelled`` turns true, the answer being written ends there and the settings after it are left out.

        Raises, at the first step: NotAnswerable (no question, no setting or an unknown one), NoDocument,
        DocumentNotFound.
        """
        if not question.strip():
            raise NotAnswerable("There is no question; write one.")
        for setting in self._in_order(settings, cancelled):
            if cancelled():
                return
            try:
                yield from self._one(setting, question, documents, max_new_tokens, progress, cancelled)
            except NotAnswerable as error:
                yield Compared(setting, error=str(error))
            except Cancelled:
                return

    def _in_order(self, settings: Sequence[str], cancelled: CancelCheck) -> list[str]:
        known = all_settings(self.memories.model.load(cancelled=cancelled).config.ratios)
        unknown = next((repr(setting) for setting in settings if setting not in known), None)
        if unknown or not settings:
            raise NotAnswerable(
                f"There is no setting {unknown or 'to compare'}; choose from {', '.join(known)}, at least one."
            )
        return [setting for setting in known if setting in settings]

    def _one(
        self,
        setting: str,
        question: str,
        documents: Sequence[str],
        max_new_tokens: int,
        progress: Progress,
        cancelled: CancelCheck,
    ) -> Iterator[Compared]:
        reader, ratio = self._read(setting)
        pieces = self.asking.ask(
            question, documents, ratio, reader, max_new_tokens=max_new_tokens, as_asked=True, progress=progress,
            cancelled=cancelled,
        )  # fmt: skip
        # Whoever leaves a comparison early stops the model before the next one gets it.
        with closing(pieces):  # type: ignore[type-var]
            for piece in pieces:
                if isinstance(piece, AnswerView):
                    yield Compared(setting, answer=piece)
                else:
                    yield Compared(setting, piece=piece)

    def _read(self, setting: str) -> tuple[Reader, int]:
        """Return what the decoder reads under a setting, and at which ratio."""
        if setting.endswith("x"):
            return "memory", int(setting[:-1])
        if setting in (FOCUS, TRUNCATED):
            return ("focus" if setting == FOCUS else "truncated"), SAME_BYTES
        return ("full" if setting == FULL else "none"), self.memories.model.load().config.ratios[0]


def all_settings(ratios: Sequence[int]) -> tuple[str, ...]:
    """List every setting in the order in which they are compared."""
    return (FULL, *(f"{ratio}x" for ratio in ratios), FOCUS, TRUNCATED, NONE)
