"""Documents, memories, chats and runs in one SQLite file. A memory is bytes here, and nothing else."""

from .chats import Chat, Chats, Message
from .database import Store, StoreStats
from .documents import Document, Documents, Hit
from .errors import (
    ChatNotFound,
    DocumentNotFound,
    InvalidText,
    RunNotFound,
    StoreBusy,
    StoreError,
    StoreUnavailable,
)
from .memories import Memories, MemoryParts, memory_key
from .runs import Run, Runs

__all__ = [
    "Chat",
    "ChatNotFound",
    "Chats",
    "Document",
    "DocumentNotFound",
    "Documents",
    "Hit",
    "InvalidText",
    "Memories",
    "MemoryParts",
    "Message",
    "Run",
    "RunNotFound",
    "Runs",
    "Store",
    "StoreBusy",
    "StoreError",
    "StoreStats",
    "StoreUnavailable",
    "memory_key",
]
