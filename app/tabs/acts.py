"""Buttons and boxes inside a page's own HTML: which of them was used, and on what.

An element with ``data-act="name"`` raises the event of that name on its ``gr.HTML``; the handler's ``gr.EventData``
holds its other data attributes, and as ``on`` whether it is a box that is ticked.
"""

from __future__ import annotations

_JS = """
const known = [%s];
const act = event => {
    const from = event.target.closest('[data-act]');
    if (!from || !known.includes(from.dataset.act)) return;
    if ((from.tagName === 'INPUT') !== (event.type === 'change')) return;
    trigger(from.dataset.act, {...from.dataset, on: Boolean(from.checked)});
};
element.addEventListener('click', act);
element.addEventListener('change', act);
watch('value', () => element.querySelectorAll('input[data-act]').forEach(
    box => { box.checked = box.hasAttribute('checked'); }));
"""

#: Opens the dialog of a new value, at the marked place; the value is forgotten with the dialog.
DIALOG_JS = """
watch('value', () => {
    const dialog = element.querySelector('dialog');
    if (!dialog || dialog.open) return;
    dialog.showModal();
    const place = dialog.querySelector('mark');
    if (place) place.scrollIntoView({block: place.offsetHeight > 300 ? 'start' : 'center'});
});
element.addEventListener('click', event => {
    if (event.target.closest('[data-close]') || event.target.tagName === 'DIALOG')
        element.querySelector('dialog').close();
});
element.addEventListener('close', () => { props.value = ''; }, true);
"""

#: Hands a text over as a file, without leaving it on the server: (name, text) -> nothing.
SAVE_JS = """(name, text) => {
    if (!text) return;
    const link = document.createElement('a');
    link.href = URL.createObjectURL(new Blob([text], {type: 'text/plain'}));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}"""


def acts(*names: str) -> str:
    """``js_on_load`` of a ``gr.HTML`` whose elements raise these events."""
    return _JS % ", ".join(f"'{name}'" for name in names)
