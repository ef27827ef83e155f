// A visitor's key: got before the first request, sent with every one, kept where the browser lets it.
(() => {
    const KEY = "ccf-visitor", HEADER = "x-ccf-visitor";
    const plain = window.fetch.bind(window);
    const shelf = (() => {
        try {
            localStorage.setItem(`${KEY}-try`, "1");
            localStorage.removeItem(`${KEY}-try`);
            return localStorage;
        } catch {
            return null; // blocked, as in an iframe of another site: the key lives as long as the page
        }
    })();
    let key = shelf?.getItem(KEY) ?? null;

    const show = state => { document.documentElement.dataset.kept = state; };
    const call = async method => {
        const answer = await plain(new URL("visitor", document.baseURI), {
            method, headers: key ? {[HEADER]: key} : {},
        });
        const said = await answer.json();
        if (!answer.ok) throw new Error(said.detail);
        key = said.token;
        if (key) shelf?.setItem(KEY, key);
        else shelf?.removeItem(KEY);
    };
    const ready = call("POST").then(() => show(shelf ? "kept" : "page"), () => show("full"));

    window.fetch = async (input, init = {}) => {
        const url = new URL(input instanceof Request ? input.url : input, document.baseURI);
        if (url.origin !== location.origin) return plain(input, init);
        await ready;
        const headers = new Headers(init.headers ?? (input instanceof Request ? input.headers : undefined));
        if (key) headers.set(HEADER, key);
        const answer = await plain(input, {...init, headers});
        // The server has forgotten this visitor: begin anew.
        if (answer.status === 401 && key) {
            if (shelf?.getItem(KEY) === key) shelf.removeItem(KEY); // another tab may have a new one
            key = null;
            location.reload();
        }
        return answer;
    };

    document.addEventListener("click", async event => {
        const act = event.target.closest?.("[data-visitor]")?.dataset.visitor;
        if (!act || !key) return;
        const said = document.getElementById("visitor-said");
        try {
            if (act === "copy") {
                await navigator.clipboard.writeText(key);
                said.textContent = "Copied: who has it can do all that you can.";
            } else if (act === "rotate") {
                await call("PUT");
                said.textContent = "The old key opens nothing any more.";
            } else if (confirm("Delete all documents, conversations and memories of yours?")) {
                await call("DELETE");
                location.reload();
            }
        } catch (error) {
            said.textContent = error.message;
        }
    });
})();
