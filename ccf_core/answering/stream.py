"""An answer as it is written: pieces of text while its tokens come, then what it cost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from queue import SimpleQueue

import torch
from transformers import PreTrainedTokenizerBase, TextStreamer
from transformers.generation.streamers import BaseStreamer

from ccf_core.model.decoder import Decoder, before_end, end_tokens
from ccf_core.model.greedy import supports_model
from ccf_core.model.prefix import Prefix


class _Pieces(TextStreamer):
    """Turns tokens into text that is certain not to change with the next one: whole words, mostly."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        super().__init__(tokenizer, skip_special_tokens=True)
        self.ready = ""

    def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
        self.ready += text

    def after(self, token: int | None) -> str:
        """Take the text that is ready after ``token``; after the last one, None, all that is left."""
        if token is None:
            self.end()
        else:
            self.put(torch.tensor([token]))
        text, self.ready = self.ready, ""
        return text


def stream(
    decoder: Decoder,
    tokenizer: PreTrainedTokenizerBase,
    prefix: Prefix | None,
    prompt: Sequence[int],
    max_new_tokens: int,
    stopped: Callable[[], bool] = lambda: False,
    **kwargs: object,
) -> Iterator[str | tuple[list[int], float, float]]:
    """Yield pieces of text as they come; last, (token ids, seconds to the first token, tokens a second after it).

    Every token is computed on the calling thread, when the next piece is asked for; only a base or ``kwargs`` that
    need ``model.generate`` have a thread for it. ``stopped`` is asked after each token, and closing the iterator ends
    the generation as well. Time that the caller takes between two pieces does not count.
    """
    started, waited = time.perf_counter(), 0.0
    if kwargs or not supports_model(decoder.model):
        tokens = _from_generate(decoder, prefix, prompt, max_new_tokens, stopped, kwargs)
    else:
        tokens = _from_greedy(decoder, prefix, prompt, max_new_tokens, stopped)
    ids: list[int] = []
    first = 0.0
    pieces = _Pieces(tokenizer)
    with closing(tokens):
        for token in tokens:
            first = first or time.perf_counter() - started
            ids.append(token)
            if piece := pieces.after(token):
                left = time.perf_counter()
                yield piece
                waited += time.perf_counter() - left
    total = time.perf_counter() - started - waited
    if piece := pieces.after(None):
        yield piece
    ids = before_end(ids, end_tokens(decoder.model))
    first = first or total
    yield ids, first, (len(ids) - 1) / (total - first) if len(ids) > 1 and total > first else 0.0


def _from_greedy(
    decoder: Decoder, prefix: Prefix | None, prompt: Sequence[int], most: int, stopped: Callable[[], bool]
) -> Generator[int, None, None]:
    """Yield tokens as the caller asks for them, an end token last."""
    ends = end_tokens(decoder.model)
    with closing(decoder.steps([prefix], [prompt], max_new_tokens=most)) as steps:
        for tokens, _ in steps:
            token = int(tokens)
            yield token
            if token in ends or stopped():
                return


def _from_generate(
    decoder: Decoder,
    prefix: Prefix | None,
    prompt: Sequence[int],
    most: int,
    stopped: Callable[[], bool],
    kwargs: dict[str, object],
) -> Generator[int, None, None]:
    """Yield the tokens of ``model.generate``, which has no iterator: it runs on a thread and tells a queue of them."""
    told: SimpleQueue[int | None] = SimpleQueue()
    closed = threading.Event()
    failure: list[BaseException] = []

    class Teller(BaseStreamer):
        """Passes on each token; the prompt, of several dimensions, comes first and is left out."""

        def put(self, value: torch.Tensor) -> None:
            if value.ndim == 1:
                told.put(int(value))

        def end(self) -> None:
            """Tell nothing: the end is told when the thread ends, which it also does by an error."""

    def work() -> None:
        try:
            decoder.generate(
                [prefix],
                [prompt],
                max_new_tokens=most,
                stopped=lambda: closed.is_set() or stopped(),
                streamer=Teller(),
                **kwargs,  # type: ignore[arg-type]
            )
        except BaseException as error:  # raised on the caller's thread below
            failure.append(error)
        finally:
            told.put(None)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield from iter(told.get, None)
    finally:
        closed.set()
        thread.join()
    if failure:
        raise failure[0]
