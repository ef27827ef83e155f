"""Where things live and how much may be used: read once, from the environment, and never changed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from platformdirs import user_data_path

from app.errors import BadSetting
from app.limits import Caps, Demo, KVBudget
from ccf_core.assets import DEFAULT_ADAPTER, NO_ADAPTER
from ccf_core.base.cache import CacheUnavailable, cache_folder
from ccf_core.cli import yes
from ccf_core.memory.dtypes import MEMORY_DTYPES, MemoryDtype

MB = 1_000_000
#: In a demo, unless set: of each visitor's memories, and of each document (whose memory takes 58 MB at most).
DEMO_MEMORY_CAP_MB, DEMO_MAX_TOKENS = 100, 20_000
#: Where a Space finds its storage bucket.
LASTING = Path("/data")


def default_data_dir() -> Path:
    """Find the platform's folder for the user's data."""
    return user_data_path("ccf-workbench", appauthor=False)


@dataclass(frozen=True)
class Settings:
    """Settings of one workbench; the environment variable of each stands in parentheses.

    data_dir : folder of the database (``CCF_DATA``).
    adapter : of the trained adapter the folder, or owner/name@revision on the model hub, or none, see
        ``ccf_core.assets.ranking_of`` (``CCF_ADAPTER``, empty for none). Unless it is named there is none for bases
        that the one that comes with the code was not trained on.
    base : folder or hub id of the base model, None for the default one (``CCF_BASE``).
    device, dtype : where and in which dtype the model runs, None to choose (``CCF_DEVICE``, ``CCF_DTYPE``).
    memory_cap_bytes : of all memories together; the least recently used go first (``CCF_MEMORY_CAP_MB``, MB).
    max_tokens : longest document that is taken (``CCF_MAX_TOKENS``).
    allow_other_base : use an adapter on a base it was not trained on (``CCF_ALLOW_OTHER_BASE`` = 1).
    kv_budget : cache that an answer's documents may take, positions or MB, None for what the window holds
        (``CCF_KV_BUDGET``).
    memory_dtype : in which memories are stored, and held until they are read (``CCF_MEMORY_DTYPE``). What the database
        holds in a more exact one becomes this one when it is needed next, without being compressed again.
    lent : GPUs are lent by the call (ZeroGPU): the model stays on the CPU, and the work goes to where one is
        (``SPACES_ZERO_GPU``).
    demo : data of their own for every visitor, deleted after a while; None for a workbench of one's own (``CCF_DEMO`` =
        1 or 0; without it, on a Hugging Face Space alone). Of it ``CCF_VISITOR_DOCUMENTS``, ``CCF_VISITOR_MB``,
        ``CCF_VISITOR_HOURS`` and ``CCF_VISITORS``; ``memory_cap_bytes`` is then of each visitor's.
    caps : of one visitor's library.
    upload_bytes : of all files of one upload together, where a proxy before the server takes no more; 0 for no such
        limit (``CCF_UPLOAD_MB``).
    snapshot : folder on a disk that lasts, for a copy of the database, None for no copy (``CCF_SNAPSHOT``; without it,
        on a Hugging Face Space, /data where that is mounted).
    login : names and passwords that open the page, none to leave it open (``CCF_LOGIN`` = name:password,…).
    """

    data_dir: Path = field(default_factory=default_data_dir)
    adapter: Path = DEFAULT_ADAPTER
    base: str | None = None
    device: str | None = None
    dtype: str | None = None
    memory_cap_bytes: int = 4_000_000_000
    max_tokens: int = 200_000
    allow_other_base: bool = False
    kv_budget: KVBudget | None = None
    memory_dtype: MemoryDtype = "int8"
    lent: bool = False
    demo: Demo | None = None
    caps: Caps | None = None
    upload_bytes: int = 0
    snapshot: Path | None = None
    login: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    @property
    def database(self) -> Path:
        return self.data_dir / "workbench.db"

    def check_folders(self) -> None:
        """Make the folders of the database and of the base model where there are none. Raises BadSetting."""
        try:
            folder = self.data_dir
            folder.mkdir(parents=True, exist_ok=True)
            if not os.access(folder, os.W_OK):
                raise PermissionError
            cache_folder()
        except (OSError, CacheUnavailable) as error:
            if isinstance(error, CacheUnavailable):
                folder = error.folder
            raise BadSetting(
                f"{folder} cannot be made or written: set CCF_DATA to a folder for documents and memories, and "
                "CCF_CACHE to one for the base model."
            ) from error

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> Settings:
        """Read the settings. Raises BadSetting for a number that is none and an unknown dtype of memories.

        An empty variable counts as unset, but for that of the adapter: then there is none.
        """
        given = {name: value for name, value in environ.items() if value.strip()}
        demo, lent = _demo(given), yes(given.get("SPACES_ZERO_GPU", "0"))
        cap, tokens = (DEMO_MEMORY_CAP_MB, DEMO_MAX_TOKENS) if demo else (cls.memory_cap_bytes // MB, cls.max_tokens)
        return cls(
            data_dir=_folder(given["CCF_DATA"]) if "CCF_DATA" in given else default_data_dir(),
            adapter=_folder(environ["CCF_ADAPTER"].strip() or NO_ADAPTER) if "CCF_ADAPTER" in environ else cls.adapter,
            base=given.get("CCF_BASE"),
            # The platform pretends that there is a GPU; this process must not believe it.
            device="cpu" if lent else given.get("CCF_DEVICE"),
            dtype=given.get("CCF_DTYPE", "bfloat16" if lent else None),
            memory_cap_bytes=_number(given, "CCF_MEMORY_CAP_MB", cap) * MB,
            max_tokens=_number(given, "CCF_MAX_TOKENS", tokens),
            allow_other_base=yes(given.get("CCF_ALLOW_OTHER_BASE", "0")),
            kv_budget=KVBudget.parse(given["CCF_KV_BUDGET"]) if "CCF_KV_BUDGET" in given else None,
            memory_dtype=_memory_dtype(given.get("CCF_MEMORY_DTYPE", cls.memory_dtype)),
            lent=lent,
            demo=demo,
            upload_bytes=_number(given, "CCF_UPLOAD_MB", 1) * MB if "CCF_UPLOAD_MB" in given else 0,
            snapshot=_snapshot(given),
            login=_login(given.get("CCF_LOGIN", "")),
        )


def _demo(given: Mapping[str, str]) -> Demo | None:
    if not yes(given.get("CCF_DEMO", "1" if "SPACE_ID" in given else "0")):
        return None
    caps = Caps(
        _number(given, "CCF_VISITOR_DOCUMENTS", Caps.documents),
        _number(given, "CCF_VISITOR_MB", Caps.nbytes // MB) * MB,
    )
    hours = _number(given, "CCF_VISITOR_HOURS", int(Demo.ttl_s) // 3600)
    return Demo(caps, hours * 3600.0, _number(given, "CCF_VISITORS", Demo.visitors))


def _snapshot(given: Mapping[str, str]) -> Path | None:
    if "CCF_SNAPSHOT" in given:
        return _folder(given["CCF_SNAPSHOT"])
    return LASTING / "ccf-workbench" if "SPACE_ID" in given and os.access(LASTING, os.W_OK) else None


def _login(value: str) -> tuple[tuple[str, str], ...]:
    pairs = [one.strip().partition(":") for one in value.split(",") if one.strip()]
    if not all(name and password for name, _, password in pairs):
        raise BadSetting("CCF_LOGIN must be name:password, and several of them separated by commas.")
    return tuple((name, password) for name, _, password in pairs)


def _folder(value: str) -> Path:
    return Path(value).expanduser()


def _memory_dtype(value: str) -> MemoryDtype:
    for dtype in MEMORY_DTYPES:
        if value.strip() == dtype:
            return dtype
    raise BadSetting(f"CCF_MEMORY_DTYPE must be one of {', '.join(MEMORY_DTYPES)}, not {value!r}.")


def _number(environ: Mapping[str, str], name: str, default: int) -> int:
    value = environ.get(name, str(default))
    if not value.strip().isdecimal() or int(value) == 0:
        raise BadSetting(f"{name} must be a whole number above 0, not {value!r}.")
    return int(value)
