"""The model of a workbench: loaded once, on demand, and used by one thread at a time."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import ccf_core
from app.errors import ModelNotReady, NotInDemo, UnknownAdapter
from app.runtime import zero_gpu
from app.runtime.locks import FairLock
from app.runtime.worker_thread import WorkerThread
from app.settings import Settings
from app.types import CancelCheck, LoadProgress, ModelState, never
from ccf_core import AdapterError, CCFConfig, CCFError
from ccf_core.assets import DEFAULT_ADAPTER, NO_ADAPTER, ranking_of
from ccf_core.config import PRUNED_RATIOS
from ccf_core.device import enough_memory
from ccf_core.memory.dtypes import version_of

if TYPE_CHECKING:
    from ccf_core import CCF

CARD = "card.json"
CONFIG = "ccf.json"
#: Folder, in the data folder, of adapters to choose from besides the one of the settings.
ADAPTERS = "adapters"

T = TypeVar("T")
logger = logging.getLogger(__name__)


class Model:
    """Hold the ``CCF`` of ``settings``, whose state can be asked for at any time."""

    #: The visitor for whom the model is held; see ``SharedModel``.
    visitor = ""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        #: Folder, or name on the model hub, of the adapter in use.
        self.adapter = settings.adapter
        self._state = ModelState("absent", 0.0, "The model is not loaded yet.")
        #: None until it is loaded.
        self.ccf: CCF | None = None
        #: The model in use with its key, which takes longer to compute than a look-up in the store.
        self._keyed: tuple[CCF | None, str] = None, ""
        self._loading = FairLock()
        self._using = FairLock()
        self._besides = FairLock()
        self.worker = WorkerThread()

    @property
    def state(self) -> ModelState:
        """How far loading is, and how many are ahead; never waits."""
        return dataclasses.replace(self._state, ahead=self.ahead())

    @property
    def folder(self) -> Path:
        """Where the files of the adapter in use lie, once it is loaded, if it is one of the model hub."""
        return (self.ccf and self.ccf.adapter.folder) or self.adapter

    @property
    def ratios(self) -> tuple[int, ...]:
        """Ratios that the model serves, finest first; until it is loaded all that it may."""
        if self.ccf:
            return self.ccf.config.ratios
        bare = ranking_of(self.adapter) or (self.settings.base and self.adapter == DEFAULT_ADAPTER)
        return PRUNED_RATIOS if bare else CCFConfig.ratios

    @property
    def key(self) -> str:
        """The ``model_key`` of the model in use; "" until it is loaded."""
        return self._keyed[1]

    def load(self, progress: LoadProgress | None = None, cancelled: CancelCheck = never) -> CCF:
        """Load the model unless it is there; wait if another thread loads it.

        Raises CCFError, with what to do; ModelNotReady for what nobody foresaw; Cancelled while waiting. The
        failure stays in ``state``, and the next call tries again.
        """
        if self.ccf is None:
            with self._loading.hold(cancelled):
                if self.ccf is None:
                    self._load(progress)
        assert self.ccf is not None
        return self.ccf

    def use(self, adapter: Path, progress: LoadProgress | None = None) -> None:
        """Load another adapter and use it from then on; if that fails, the one before stays in use.

        Raises what ``load`` raises.
        """
        with self._loading.hold():
            before = self.adapter
            self.adapter = adapter
            try:
                self._load(progress)
            except BaseException:
                self.adapter = before
                if self.ccf is not None:
                    self._state = self._ready(self.ccf)
                raise

    def adapters(self) -> list[Path]:
        """List the folders of adapters: that of the settings, then those below ``adapters`` in the data folder."""
        others = (self.settings.data_dir / ADAPTERS).glob(f"*/{CONFIG}")
        own = self.adapter if ranking_of(self.adapter) else self.settings.adapter
        return [own, *sorted(path.parent for path in others)]

    def named(self, adapter: str | Path) -> Path:
        """Find the folder among ``adapters`` that is, or has the name, ``adapter``. Raises UnknownAdapter."""
        found = self.adapters()
        for folder in found:
            if str(adapter) in (str(folder), folder.name):
                return folder
        names = " or ".join(folder.name for folder in found)
        raise UnknownAdapter(
            f"There is no adapter “{Path(adapter).name}”: choose {names}, or put its folder into “{ADAPTERS}” of the "
            "data folder."
        )

    @contextmanager
    def beside(self, adapter: Path, cancelled: CancelCheck = never) -> Iterator[CCF]:
        """Load another adapter, for the block alone, on a base of its own; the one in use stays as it is.

        One at a time, for each holds a second base in memory. It needs no ``hold``. Raises what ``load`` raises.
        """
        with self._besides.hold(cancelled):
            try:
                ccf = self._read(adapter)
            except CCFError:
                raise
            except Exception as error:
                logger.exception("The adapter could not be loaded.")
                raise ModelNotReady(_sentence(error)) from error
            yield ccf

    @contextmanager
    def hold(self, cancelled: CancelCheck = never, short: bool = False) -> Iterator[None]:
        """Hold the model for the block: no part of it, not even its tokenizer, may be used by two threads at once.

        With ``short``, for the tokenizer alone, the caller comes before all others.

        Raises Cancelled while waiting, Busy instead of waiting (see ``FairLock``), and OutOfMemory for a block that
        runs out of it.
        """
        with self._using.hold(cancelled, self.visitor, short), enough_memory():
            yield

    def ahead(self) -> int | None:
        """Count the holders before the visitor's next turn; None if the visitor does not wait."""
        return self._using.ahead(self.visitor) if self.visitor else None

    def compute(
        self,
        ccf: CCF,
        work: Callable[..., Iterable[T]],
        *args: Any,
        tokens: tuple[int, int],
        cancelled: CancelCheck = never,
        **options: Any,
    ) -> Generator[T]:
        """Yield the pieces of ``work(ccf, *args, cancelled=cancelled, **options)``, run where the model computes.

        The caller holds the model. Where GPUs are lent by the call that is another process: ``work`` is a function of
        a module, what it takes and gives can be pickled and lies on the CPU, and ``tokens`` says how many it reads and,
        at most, writes. Raises what ``work`` raises, and GPUTakenBack.
        """
        if self.settings.lent and ccf is self.ccf:
            yield from zero_gpu.borrow(ccf, work, args, options, tokens, cancelled)
        elif ccf is self.ccf:
            yield from self.worker.pieces(lambda: work(ccf, *args, cancelled=cancelled, **options))
        else:
            yield from work(ccf, *args, cancelled=cancelled, **options)

    def key_of(self, ccf: CCF, dtype: str = "") -> str:
        """Make the key under which the store keeps the memories of ``ccf``, in ``dtype`` or that of the settings."""
        known, key = self._keyed
        if ccf is known and dtype in ("", self.settings.memory_dtype):
            return key
        return model_key(ccf, dtype or self.settings.memory_dtype)

    def info(self) -> dict[str, Any]:
        """Describe the model: ``version``, ``base`` (id), ``adapter`` (fingerprint), ``ranking`` (of memories without
        an adapter, else ""), dtypes, ``device`` and ``card``.

        ``origin`` is owner/name@commit of an adapter of the model hub, otherwise "". The card is the adapter's, a JSON
        object, {} if it has none; what the model alone knows is None until it is loaded.
        """
        ccf = self.ccf
        return {
            "version": ccf_core.__version__,
            "base": ccf and ccf.base.id,
            "adapter": ccf and ccf.adapter_fingerprint,
            "origin": ccf and ccf.adapter.origin,
            "ranking": ccf and ccf.config.ranking,
            "device": ccf and self._device(ccf),
            "dtype": ccf and str(ccf.model.dtype).removeprefix("torch."),
            "memory_dtype": self.settings.memory_dtype,
            "card": _card(self.folder),
        }

    def _load(self, progress: LoadProgress | None) -> None:
        def report(fraction: float, message: str) -> None:
            self._state = ModelState("loading", fraction, message)
            if progress:
                progress(fraction, message)

        report(0.0, "Loading the model")
        try:
            ccf = self._read(self.adapter, report)
            if not ccf.config.nested:
                raise AdapterError(
                    "The workbench reads a memory at every ratio, which mean-pooled ones are not made for: "
                    "choose an adapter that compresses into slots."
                )
            key = self.key_of(ccf)
        except BaseException as error:
            message = str(error) if isinstance(error, CCFError) else _sentence(error)
            self._state = ModelState("failed", 0.0, message)
            if isinstance(error, CCFError) or not isinstance(error, Exception):
                raise
            logger.exception("The model could not be loaded.")
            raise ModelNotReady(message) from error
        zero_gpu.offer(ccf)
        if not (ccf.config.trained or ranking_of(self.adapter)):
            self.adapter = Path(NO_ADAPTER)
        self._keyed = ccf, key
        self.ccf = ccf
        self._state = self._ready(ccf)

    def _ready(self, ccf: CCF) -> ModelState:
        return ModelState("ready", 1.0, f"{ccf.base.id} on {self._device(ccf)}")

    def _device(self, ccf: CCF) -> str:
        return "a GPU lent by the call" if self.settings.lent else str(ccf.model.device)

    def _read(self, adapter: Path, progress: LoadProgress | None = None) -> CCF:
        s = self.settings
        # Ours gives way on a base that it was not trained on; one that was named is an error there.
        ccf = ccf_core.CCF.from_pretrained(
            None if adapter == DEFAULT_ADAPTER else adapter,
            s.base,
            s.device,
            s.dtype,
            progress=progress,
            allow_other_base=s.allow_other_base,
        )
        named = _card(ccf.adapter.folder or adapter).get("fingerprint") if ccf.config.trained else None
        if named not in (None, ccf.adapter_fingerprint):
            raise AdapterError(f"The adapter in {adapter} is not the one that its {CARD} names: copy the folder again.")
        return ccf


class SharedModel(Model):
    """A model that several visitors share, as one of them sees it: it is held in that visitor's name."""

    __slots__ = ("visitor",)

    def __init__(self, model: Model, visitor: str) -> None:
        self.__dict__ = model.__dict__
        self.visitor = visitor

    def use(self, adapter: Path, progress: LoadProgress | None = None) -> None:
        """Refuse another adapter, which all other visitors would get too. Raises NotInDemo."""
        raise NotInDemo("This demo has one adapter for all visitors: choose another on a machine of your own.")


def _card(adapter: Path) -> dict[str, Any]:
    card = adapter / CARD
    return json.loads(card.read_text(encoding="utf-8")) if card.is_file() else {}


def _sentence(error: BaseException) -> str:
    return f"The model could not be loaded ({type(error).__name__}: {error}); mend that, try again."


def model_key(ccf: CCF, stored: str) -> str:
    """Name a model in the store: SHA-256 over all that makes its memories what they are, in the dtype ``stored``.

    The dtype of the computation is left out: a memory made in float32 serves a bfloat16 decoder as its own.
    """
    facts = dataclasses.asdict(ccf.header) | {"stored": stored, "version": int(version_of(stored))}
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
