"""Refuse files before they are uploaded, and list every file whose upload fails, with the reason, until dismissed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from app.errors import WorkbenchError
from app.parsers import Limits, ReadError
from app.settings import Settings
from app.workbench import Workbench

#: Refused files that one event may list.
MAX_REFUSED = 100
#: Bytes of an upload besides its files: their names and what stands between them.
AROUND_FILES = 100_000
#: Raises ``refused`` for files that are too large, alone or together, and for uploads that come to nothing. What is
#: small enough goes on as if it had been chosen alone. Gradio itself would refuse all, in a toast that fades.
_JS = """
const LARGEST = %d, TOGETHER = %d;
const first = !window.ccfRefused;
window.ccfRefused = told => trigger('refused', told);
const refused = (files, why) => window.ccfRefused({files, ...why});
const sift = files => {
    const small = new DataTransfer(), large = [];
    let sum = 0;
    for (const file of files) {
        if (file.size > LARGEST || TOGETHER && sum + file.size > TOGETHER) large.push([file.name, file.size]);
        else { small.items.add(file); sum += file.size; }
    }
    if (large.length) refused(large, {});
    return large.length ? small : null;
};
const onChange = event => {
    const input = event.target;
    const small = input.matches?.('#upload input[type=file]') ? sift(input.files) : null;
    if (!small) return;
    if (small.files.length) input.files = small.files;
    else { event.stopImmediatePropagation(); input.value = ''; }
};
const onDrop = event => {
    const small = event.target.closest?.('#upload') ? sift(event.dataTransfer?.files ?? []) : null;
    if (!small) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    const kind = small.files.length ? 'drop' : 'dragleave';
    event.target.dispatchEvent(new DragEvent(kind, {bubbles: true, cancelable: true, dataTransfer: small}));
};
const send = window.fetch;
const watched = async (input, init) => {
    const address = new URL(input instanceof Request ? input.url : input, document.baseURI);
    const body = init?.body;
    const uploaded = address.pathname.endsWith('/upload') && body instanceof FormData ? body.getAll('files') : [];
    const files = uploaded.map(file => [file.name, file.size]);
    if (!files.length) return send(input, init);
    try {
        const answer = await send(input, init);
        if (!answer.ok) {
            const said = await answer.clone().json().catch(() => null);
            refused(files, {status: answer.status, said: String(said?.detail ?? '')});
        }
        return answer;
    } catch (error) {
        refused(files, {status: 0});
        throw error;
    }
};
if (first) {
    document.addEventListener('change', onChange, true);
    document.addEventListener('drop', onDrop, true);
    window.fetch = watched;
}
"""


def limits(settings: Settings) -> tuple[int, int]:
    """Return how many bytes a file may have, and all files of one upload together, 0 for any number."""
    caps = settings.demo.caps if settings.demo else settings.caps
    together = settings.upload_bytes or (Limits().size - AROUND_FILES if caps else 0)
    return min(Limits().size, together or Limits().size, caps.nbytes if caps else Limits().size), together


def watching(settings: Settings) -> str:
    """Make the JavaScript that raises ``refused`` on the element that it belongs to."""
    return _JS % limits(settings)


def list_refused(workbench: Workbench, told: Mapping[str, Any]) -> None:
    """List the files that a page refused, or could not upload: ``told`` is the data of its event."""
    for name, size in list(told["files"])[:MAX_REFUSED]:
        workbench.queue.refuse(Path(str(name)), _reason(workbench, int(size), told))


def _reason(workbench: Workbench, size: int, told: Mapping[str, Any]) -> str:
    largest, together = limits(workbench.settings)
    if "status" not in told:
        try:
            Limits(size=largest).check_size(size)
            workbench.intake.check_caps(size)
        except (ReadError, WorkbenchError) as error:
            return str(error)
        return f"Files of more than {together / 1e6:,.1f} MB together are not taken at once; add this one by itself."
    status = int(told["status"])
    if status == 0:
        return "The upload broke off; check the connection and add the file again."
    if said := str(told.get("said", ""))[:200]:
        return said
    if status == 413:
        return f"The server, or a proxy before it, takes no file of {size / 1e6:,.1f} MB; split it into parts."
    return f"The upload failed (the server answered {status}); add the file again."
