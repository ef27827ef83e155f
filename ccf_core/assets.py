"""Find the files that come with the code: adapter, examples, results, styles."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
#: Installed, the folder lies inside this package; in a checkout, beside it.
_INSTALLED, _CHECKOUT = _PACKAGE / "_assets", _PACKAGE.parent / "assets"


def asset(*parts: str) -> Path:
    """Return the path of an asset, ``asset("adapter")``; whatever the working directory is."""
    return (_INSTALLED if _INSTALLED.is_dir() else _CHECKOUT).joinpath(*parts)


#: The adapter that comes with the code.
DEFAULT_ADAPTER = asset("adapter")
#: In place of an adapter's folder: there is none, and memories are what the base reads. "none:NAME" names a ranking of
#: ``ccf_core.baselines.RANKINGS``, by which tokens are kept.
NO_ADAPTER, RANKING = "none", "repeat_attention"


def ranking_of(adapter: str | Path) -> str | None:
    """Name the ranking that "none" or "none:NAME" stands for; None for the folder of an adapter."""
    kind, _, name = str(adapter).partition(":")
    return (name or RANKING) if kind == NO_ADAPTER else None


#: The adapter whose decoder reads full text alone: what other decoders' answers are measured against.
YARDSTICK = asset("yardstick")
