"""The shelf in a browser, on a tiny random model: what is refused stays listed, what a file holds besides is shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from store import Store
from tests.browser import steps
from tests.browser.conftest import Serve, without_examples

TEXT = "text/plain"
FOG = "The fog hid seven ships. The harbour master counted them again in the evening light. "
#: Drops files of these sizes on the page: [[name, size], …].
DROP = """files => {
    const carried = new DataTransfer();
    for (const [name, size] of files) carried.items.add(new File([new Uint8Array(size).fill(97)], name));
    const target = document.querySelector('#upload button');
    for (const kind of ['dragenter', 'dragover', 'drop'])
        target.dispatchEvent(new DragEvent(kind, {bubbles: true, cancelable: true, dataTransfer: carried}));
}"""


@pytest.fixture(scope="module")
def app(serve_tiny: Serve, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of an app that serves behind a proxy of 1 MB, with two documents."""
    folder = without_examples(tmp_path_factory.mktemp("shelf"))
    with Store(folder / "data" / "workbench.db") as store:
        store.documents.add(
            FOG * 20, title="Harbour log", media_type="text/html", filename="saved page\u202e of <b>June</b>.html",
            left_out=[("Navigation", "Home | Ships\n<b>News</b>"), ("Running headers", "Harbour log, page 7")],
        )  # fmt: skip
        store.documents.add("本契約書は甲と乙の間で締結する。" * 20, title="契約", media_type=TEXT, filename="契約.txt")
    with serve_tiny(folder, CCF_UPLOAD_MB="1") as address:
        yield address


def visit(page: Page, address: str) -> None:
    page.goto(address)
    expect(page.locator("#head")).to_contain_text("Model ready")
    expect(page.locator("#listing .doc")).not_to_have_count(0)
    steps.settle(page)


def test_what_was_left_out_of_a_text_is_one_click_away(page: Page, app: str, screenshot: Callable[[str], None]) -> None:
    visit(page, app)
    row = page.locator("#listing .doc", has_text="Harbour log")
    expect(row.locator(".doc-file")).to_have_text("saved page[U+202E] of <b>June</b>.html")
    expect(page.locator("#listing .doc", has_text="契約").locator(".doc-file")).to_have_count(0)
    screenshot("shelf-names")
    row.get_by_role("button", name="Read").click()
    original = page.get_by_role("dialog", name="Harbour log")
    expect(original.locator(".doc-file")).to_contain_text("June")
    left_out = original.get_by_role("region", name="Text that was left out")
    expect(left_out).to_be_hidden()
    original.get_by_text("Left out of this text: Navigation, Running headers").click()
    expect(left_out).to_contain_text("not part of what was compressed")
    expect(left_out).to_contain_text("<b>News</b>")
    expect(left_out).to_contain_text("Harbour log, page 7")
    screenshot("left-out")
    page.keyboard.press("Escape")


def test_a_japanese_word_is_found_within_its_sentence(page: Page, app: str, screenshot: Callable[[str], None]) -> None:
    visit(page, app)
    page.fill("#search input", "締結")
    expect(page.locator("#hits .hit mark").first).to_have_text("締結")
    screenshot("search-japanese")
    page.fill("#search input", "契約書")
    page.locator("#hits .hit").click()
    expect(page.get_by_role("dialog", name="契約").locator("mark")).to_have_text("契約書")
    page.keyboard.press("Escape")


def test_what_is_too_large_is_refused_before_it_is_sent_and_stays_listed(
    page: Page, app: str, screenshot: Callable[[str], None]
) -> None:
    uploads: list[int] = []
    page.on("request", lambda request: uploads.append(1) if "/upload?" in request.url else None)
    visit(page, app)
    chooser = page.locator("#upload input[type=file]")
    chooser.wait_for(state="attached")
    chooser.set_input_files({"name": "huge.pdf", "mimeType": TEXT, "buffer": b"a" * 1_500_000})
    refused = page.locator("#progress [role=alert]")
    expect(refused).to_have_text(["✕huge.pdf: The file has 1.5 MB and the limit is 1.0 MB; split it into parts."])
    assert uploads == []
    # Others of the same choice go their way; together they must not be too large either.
    page.evaluate(DROP, [["huge.txt", 1_200_000], ["a.bin", 600_000], ["b.bin", 500_000]])
    expect(refused).to_have_count(4)
    expect(refused.filter(has_text="huge.txt: The file has 1.2 MB")).to_have_count(1)
    expect(refused.filter(has_text="b.bin: Files of more than 1.0 MB together are not taken at once")).to_have_count(1)
    expect(refused.filter(has_text="a.bin: ")).to_have_count(1)
    assert uploads == [1]
    expect(page.locator("#progress .job", has_text="huge.pdf")).not_to_contain_text("Try again")
    expect(page.locator(".toast-body")).to_have_count(0)
    screenshot("refused")
    again = page.context.new_page()
    visit(again, app)
    for left in (3, 2, 1, 0):
        again.locator("#progress").get_by_role("button", name="Dismiss").first.click()
        expect(again.locator("#progress [role=alert]")).to_have_count(left)


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (413, "<html>Too large</html>", "The server, or a proxy before it, takes no file of 0.0 MB"),
        (429, '{"detail": "You uploaded much: upload more in half an hour."}', "upload more in half an hour."),
        (0, "", "The upload broke off"),
    ],
)
def test_an_upload_that_fails_stays_listed(browser, app: str, status: int, body: str, said: str) -> None:
    # Not the page of the other tests: a browser logs such an answer as an error.
    page = browser.new_page()
    answer = (lambda route: route.fulfill(status=status, body=body)) if status else (lambda route: route.abort())
    page.route("**/upload?*", answer)
    visit(page, app)
    page.locator("#upload input[type=file]").set_input_files({"name": "log.txt", "mimeType": TEXT, "buffer": b"fog"})
    refused = page.locator("#progress .job", has_text="log.txt")
    expect(refused).to_contain_text(said)
    refused.get_by_role("button", name="Dismiss").click()
    expect(refused).to_have_count(0)
    page.close()


@pytest.mark.parametrize(
    ("name", "data"),
    [("picture.png", b"\x89PNG\r\n\x1a\n" + bytes(64)), ("empty.txt", b""), ("torn.docx", b"PK\x03\x04")],
)
def test_a_file_that_cannot_be_read_stays_listed(page: Page, app: str, name: str, data: bytes) -> None:
    visit(page, app)
    steps.upload(page, (name, TEXT, data))
    refused = page.locator("#progress [role=alert]")
    expect(refused).to_contain_text(f"{name}: ")
    expect(page.locator(".toast-body")).to_have_count(0)
    again = page.context.new_page()
    visit(again, app)
    expect(again.locator("#progress [role=alert]")).to_contain_text(f"{name}: ")
    again.locator("#progress").get_by_role("button", name="Dismiss").click()
    expect(again.locator("#progress [role=alert]")).to_have_count(0)
