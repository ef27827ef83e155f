"""The folder of what is downloaded and converted."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_cache_path

from ccf_core.errors import CCFError


class CacheUnavailable(CCFError):
    """The folder for what is downloaded cannot be made or written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        super().__init__(f"{folder} cannot be made or written: set CCF_CACHE to a folder for the base model.")


def cache_folder() -> Path:
    """Find where downloads and converted models live: ``CCF_CACHE``, else the platform's cache folder.

    Raises CacheUnavailable.
    """
    chosen = os.environ.get("CCF_CACHE")
    folder = Path(chosen).expanduser() if chosen else user_cache_path("ccf-workbench", appauthor=False)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CacheUnavailable(folder) from error
    return folder
