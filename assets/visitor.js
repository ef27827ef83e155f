// A visitor's key: got before the first request, sent with every one, kept where the browser lets it.
(() => {
    const KEY = "ccf-visitor", HEADER = "x-ccf-visitor";
    const plain = window.fetch.bind(window);
    const open = name => {
        try {
            window[name].setItem(`${KEY}-try`, "1");
            window[name].removeItem(`${KEY}-try`);
            return true;
        } catch {
            // Blocked, as in an iframe of another site: what the page keeps lives as long as the page.
            const held = new Map();
            const shelf = {
                getItem: item => held.get(String(item)) ?? null,
                setItem: (item, value) => { held.set(String(item), String(value)); },
                removeItem: item => { held.delete(String(item)); },
                key: at => [...held.keys()][at] ?? null,
                clear: () => held.clear(),
                get length() { return held.size; },
            };
            Object.defineProperty(window, name, {value: shelf, configurable: true});
            return false;
        }
    };
    open("sessionStorage");
    const kept = open("localStorage");
    let key = localStorage.getItem(KEY);

    const show = state => { document.documentElement.dataset.kept = state; };
    const call = async method => {
        const answer = await plain(new URL("visitor", document.baseURI), {
            method, headers: key ? {[HEADER]: key} : {},
        });
        const said = await answer.json();
        if (!answer.ok) throw new Error(said.detail);
        key = said.token;
        if (key) localStorage.setItem(KEY, key);
        else localStorage.removeItem(KEY);
    };
    // A request that is refused meanwhile, for its key has just gone, waits for what becomes of the key.
    const change = method => {
        const changed = call(method);
        ready = changed.catch(() => {});
        return changed;
    };
    let ready = call("POST").then(() => show(kept ? "kept" : "page"), () => show("full"));

    window.fetch = async (input, init = {}) => {
        const url = new URL(input instanceof Request ? input.url : input, document.baseURI);
        if (url.origin !== location.origin) return plain(input, init);
        await ready;
        const sent = key;
        const headers = new Headers(init.headers ?? (input instanceof Request ? input.headers : undefined));
        if (sent) headers.set(HEADER, sent);
        const answer = await plain(input instanceof Request ? input.clone() : input, {...init, headers});
        // Whoever has to log in again keeps the key.
        if (answer.status !== 401 || answer.headers.get(HEADER) !== "unknown" || !sent) return answer;
        await ready;
        if (sent !== key) return window.fetch(input, init); // it was on its way when the key changed
        // The server has forgotten this visitor: begin anew.
        if (localStorage.getItem(KEY) === sent) localStorage.removeItem(KEY); // another tab may have a new one
        key = null;
        location.reload();
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
                await change("PUT");
                said.textContent = "The old key opens nothing any more.";
            } else if (confirm("Delete all documents, conversations and memories of yours?")) {
                await change("DELETE");
                location.reload();
            }
        } catch (error) {
            said.textContent = error.message;
        }
    });
})();
