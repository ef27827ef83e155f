"""The services of a workbench, wired together: one door to models, documents and chats for page and command line.

It knows nothing of gradio, does no tensor maths and writes no SQL. Every method of a service may be called from any
thread; those that need the model load it, or wait while another thread does.
"""

from __future__ import annotations

from types import TracebackType
from typing import Self

from app.analysis.ablation import Ablation
from app.analysis.adapter_pair import AdapterPair
from app.analysis.attention import Attention
from app.analysis.evaluation_runs import EvaluationRuns
from app.analysis.fidelity import Fidelity
from app.analysis.results import Results
from app.analysis.savings import Savings, Timing
from app.analysis.summary import Summaries
from app.answers.ask import Asking
from app.answers.compare import Comparing
from app.answers.conversations import Conversations
from app.answers.under_way import AnswersUnderWay
from app.documents.bulk_ingest import Folders
from app.documents.export import Exports
from app.documents.ingest import Intake
from app.documents.library import Library
from app.documents.memory_cache import Memories
from app.documents.queue import Queue
from app.runtime.model import Model, SharedModel
from app.settings import Settings
from store import Store


class Workbench:
    """Opens the database of ``settings``; the model is loaded on demand, or beforehand by ``model.load``.

    Raises:
        StoreUnavailable: the database cannot be used.
    """

    def __init__(self, settings: Settings, model: Model | None = None) -> None:
        self.settings = settings
        self.store = store = Store(settings.database, memory_cap_bytes=settings.memory_cap_bytes)
        self.model = model or Model(settings)
        #: Stored documents to memories, and back.
        self.memories = memories = Memories(store, self.model, settings.max_tokens)
        #: Documents on the shelf, their collections, places in their texts.
        self.library = Library(store, memories)
        #: Documents on their way in: one now, whole folders by all processes of a launch, a queue in the background.
        self.intake = Intake(store, memories, self.library, settings.caps)
        self.folders = Folders(self.intake)
        self.queue = Queue(store, self.intake)
        self.exports = Exports(store, memories)
        #: Questions, and the chats that keep them.
        self.attention = Attention(store, memories)
        self.asking = Asking(store, memories, self.attention.sentence_of, settings.kv_budget)
        self.comparing = Comparing(self.asking, memories)
        self.conversations = Conversations(store)
        self.under_way = AnswersUnderWay(store)
        #: What memories hold, and what they lost.
        self.fidelity = Fidelity(store, memories)
        self.summaries = Summaries(store, memories, self.attention)
        self.ablation = Ablation(memories)
        self.adapter_pair = AdapterPair(memories)
        #: What memories save, and what was measured of them.
        self.savings = Savings(store, memories)
        self.timing = Timing(store, memories)
        self.results = Results(store, memories, self.fidelity)
        self.evaluation_runs = EvaluationRuns(store, self.model, settings.caps is None)

    def cached_state(self, sha256: str, segment: int, ratio: int) -> tuple[bool | float | None, ...]:
        """Make a key that changes when any cached result for the segment does; used to skip re-rendering."""
        return (
            self.attention.cached(sha256, segment),
            self.fidelity.known(sha256, segment, ratio) is not None,
            self.summaries.known(sha256, segment, ratio) is not None,
            *self.fidelity.known_scores(sha256, ratio),
        )

    def beside(self, settings: Settings) -> Workbench:
        """Make another workbench with data of its own and this one's model; the model serves those beside it in
        rotation. Raises StoreUnavailable."""
        return Workbench(settings, SharedModel(self.model, settings.data_dir.name))

    def close(self) -> None:
        """Let the queue go and close the database; nothing can be done with this object afterwards."""
        self.queue.stop()
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
