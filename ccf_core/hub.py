"""The model hub: adapters and bases are fetched at one commit, and an adapter is published as one.

Where the hub is (``HF_ENDPOINT``), who asks (``HF_TOKEN``, ``hf auth login``) and where copies are kept (``HF_HOME``)
is settled as everywhere by ``huggingface_hub``, which is imported when it is needed.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ccf_core.errors import AccessDenied, HubError, HubUnreachable, NoSuchRepository, NotAnAdapter, PickledWeights

if TYPE_CHECKING:
    from huggingface_hub import HfApi

CONFIG, SHARDS, CARD, README = "ccf.json", "adapter-*-of-*.safetensors", "card.json", "README.md"
#: All that is fetched of an adapter's repository, and all that is published.
ADAPTER_FILES = (CONFIG, SHARDS, CARD, README)
#: ``owner/name``, and behind an @ a branch, a tag or a commit.
_NAME = re.compile(r"(\w[\w.-]*/\w[\w.-]*)(?:@(\w[\w./-]*))?")
#: Endings of files that may run code as they are read.
_PICKLES = (".bin", ".ckpt", ".joblib", ".pickle", ".pkl", ".pt", ".pth")


def hub_name(name: str) -> tuple[str, str | None] | None:
    """Split ``owner/name`` or ``owner/name@revision``; None for what is no name on the hub."""
    match = _NAME.fullmatch(name)
    return (match[1], match[2]) if match else None


def fetch(repo: str, files: Sequence[str], revision: str | None = None, token: str | None = None) -> Path:
    """Download the files that match one of the patterns; the snapshot's folder has the name of the commit.

    Without a connection a snapshot that is there, and whole, serves. Raises HubError.
    """
    missing = f"There is no folder {repo} here, and the model hub has no such repository, or it is private"
    with _told(repo, f"{missing}: check the name, or log in with `hf auth login`.", revision):
        return Path(_api(token).snapshot_download(repo, revision=revision, allow_patterns=list(files)))


def adapter_folder(adapter: str | Path, revision: str | None = None, token: str | None = None) -> tuple[Path, str]:
    """Find the folder of an adapter and, if it is from the hub, its origin ``owner/name@commit``, otherwise "".

    A folder that is here comes first, unless a revision is asked for. Raises HubError.
    """
    name = adapter.as_posix() if isinstance(adapter, Path) else adapter
    found = hub_name(name)
    if not found or (revision is None and Path(adapter).is_dir()):
        if revision is not None:
            raise HubError(f"{name} has no revisions: name an adapter on the model hub as owner/name, or leave it out.")
        return Path(adapter), ""
    repo, pinned = found
    if revision and pinned and revision != pinned:
        raise HubError(f"{name} names one revision and {revision} another: give one of them.")
    folder = fetch(repo, ADAPTER_FILES, revision or pinned, token)
    if not (folder / CONFIG).is_file() or not any(folder.glob(SHARDS)):
        _refuse(repo, folder.name, token)
    return folder, f"{repo}@{folder.name}"


def publish(
    repo: str, files: Mapping[str, Path | bytes], message: str, private: bool | None = None, token: str | None = None
) -> str:
    """Put the files into a repository, which is made if need be, as one commit; return its hash.

    Shards of the adapter before that are not among ``files`` go. Raises HubError.
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    missing = f"The model hub has no owner {repo.split('/')[0]}, or you may not write there"
    with _told(repo, f"{missing}: check the name, or log in with `hf auth login`."):
        api = _api(token)
        api.create_repo(repo, private=private, exist_ok=True)
        there = [name for name in api.list_repo_files(repo) if Path(name).match(SHARDS)]
        return api.create_commit(
            repo,
            [
                *(CommitOperationDelete(name) for name in there if name not in files),
                *(CommitOperationAdd(name, content) for name, content in files.items()),
            ],
            commit_message=message,
        ).oid


def _api(token: str | None) -> HfApi:
    from huggingface_hub import HfApi

    return HfApi(token=token, library_name="ccf")


def _refuse(repo: str, commit: str, token: str | None) -> None:
    """Say why a repository cannot be an adapter. Raises PickledWeights or NotAnAdapter."""
    with _told(repo, f"{repo} is gone from the model hub: choose another adapter."):
        names = _api(token).list_repo_files(repo, revision=commit)
    if pickled := [name for name in names if name.endswith(_PICKLES)]:
        raise PickledWeights(
            f"{repo} holds its weights as {pickled[0]}, which could run code as it is read and was not fetched: "
            f"choose an adapter with {CONFIG} and {SHARDS}."
        )
    raise NotAnAdapter(
        f"{repo} is no CCF adapter, for it lacks {CONFIG} or {SHARDS}: choose another one; a base model is given as "
        "the base."
    )


@contextlib.contextmanager
def _told(repo: str, missing: str, revision: str | None = None) -> Iterator[None]:
    """Turn what ``huggingface_hub`` raises into a HubError; ``missing`` is the sentence for no such repository."""
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        yield
    except GatedRepoError as error:
        raise AccessDenied(
            f"{repo} is gated: ask for access on its page of the model hub, then log in with `hf auth login`."
        ) from error
    except RevisionNotFoundError as error:
        raise NoSuchRepository(
            f"{repo} has no revision {revision}: name one of its branches, tags or commits."
        ) from error
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise NoSuchRepository(missing) from error
    # The client raises its own, its HTTP library's and the system's errors when there is no connection.
    except Exception as error:
        if isinstance(error, HfHubHTTPError) and error.response.status_code in (401, 403):
            raise AccessDenied(
                f"The model hub refuses that for {repo}: log in with `hf auth login`, and with a token that may."
            ) from error
        raise HubUnreachable(
            f"The model hub did not answer for {repo} as it should ({type(error).__name__}): check the connection; "
            f"where there is none, give a folder filled by `hf download {repo} --local-dir FOLDER`."
        ) from error
