"""Documents, memories, collections, jobs, chats and runs in one SQLite file. A memory is only bytes here."""

from .chats import Chat, Chats, Message
from .collections import Collection, Collections
from .database import Store, StoreStats, StoreUsage
from .documents import Document, Documents, Hit
from .errors import (
    ChatNotFound,
    DocumentDamaged,
    DocumentNotFound,
    InvalidText,
    JobNotFound,
    StoreBusy,
    StoreDamaged,
    StoreError,
    StoreUnavailable,
)
from .jobs import Job, Jobs
from .memories import Memories, MemoryParts, memory_key
from .runs import Run, Runs

__all__ = [
    "Chat",
    "ChatNotFound",
    "Chats",
    "Collection",
    "Collections",
    "Document",
    "DocumentDamaged",
    "DocumentNotFound",
    "Documents",
    "Hit",
    "InvalidText",
    "Job",
    "JobNotFound",
    "Jobs",
    "Memories",
    "MemoryParts",
    "Message",
    "Run",
    "Runs",
    "Store",
    "StoreBusy",
    "StoreDamaged",
    "StoreError",
    "StoreStats",
    "StoreUnavailable",
    "StoreUsage",
    "memory_key",
]
