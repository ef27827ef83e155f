import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import store as package
from store import Store, StoreUnavailable

ROOT = Path(package.__file__).parents[1]


def start(code, *arguments):
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_two_processes_lose_nothing(path, store, add):
    document = add("text").sha256
    code = """
        import sys
        from store import Store
        path, document, model_key = sys.argv[1:]
        with Store(path) as store:
            chat = store.chats.create(model_key, [document])
            for segment in range(200):
                store.memories.put_many(document, model_key, [(segment, 4, model_key.encode())])
                store.chats.append(chat.id, "user", str(segment))
    """
    processes = [start(code, path, document, key) for key in ("aa", "bb")]
    for process in processes:
        process.communicate()
    assert [process.returncode for process in processes] == [0, 0]
    for key in ("aa", "bb"):
        found = store.memories.get(document, key, None, [4])
        assert found == {(segment, 4): key.encode() for segment in range(200)}
    contents = [[m.content for m in store.chats.messages(chat.id)] for chat in store.chats.list()]
    assert contents == [[str(n) for n in range(200)]] * 2


def test_processes_may_make_the_same_file_at_the_same_moment(path):
    code = """
        import sys
        from store import Store
        print("ready", flush=True)
        sys.stdin.readline()
        with Store(sys.argv[1]) as store:
            store.documents.add(sys.argv[2], title="t", media_type="text/plain")
    """
    processes = [start(code, path, number) for number in range(3)]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        process.communicate()
    assert [process.returncode for process in processes] == [0] * 3
    with Store(path) as store:
        assert len(store.documents.list()) == 3


def test_a_killed_writer_leaves_whole_segments(path, store, add):
    document = add("text").sha256
    code = """
        import sys
        from store import Store
        store = Store(sys.argv[1])
        store.memories.put_many(sys.argv[2], "aa", [(0, 4, b"whole"), (0, 8, b"whole")])
        with store.transaction():
            store.memories.put_many(sys.argv[2], "aa", [(1, 4, b"half")])
            print("writing", flush=True)
            sys.stdin.readline()
    """
    process = start(code, path, document)
    assert process.stdout.readline() == "writing\n"
    process.kill()
    process.communicate()
    assert store.memories.get(document, "aa", None, [4, 8]) == {(0, 4): b"whole", (0, 8): b"whole"}
    assert store.memories.missing(document, "aa", 2, [4, 8]) == [1]
    store.memories.put_many(document, "aa", [(1, 4, b"again")])
    assert store.stats().blobs == 3


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
def test_a_forked_process_has_to_open_the_file_itself(path, store, add):
    add("text")
    child = os.fork()
    if child == 0:
        status = 1
        try:
            store.documents.list()
        except StoreUnavailable as error:
            with Store(path) as own:
                status = 0 if "open it again" in str(error) and len(own.documents.list()) == 1 else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert len(store.documents.list()) == 1


def test_the_room_needs_no_other_room():
    code = """
        import sys
        import store
        print(sorted({"app", "ccf_core", "gradio", "torch", "transformers"} & set(sys.modules)))
    """
    process = start(code)
    assert process.communicate()[0] == "[]\n"
    assert process.returncode == 0
