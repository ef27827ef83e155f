"""What waits to be compressed is kept until it has its outcome."""

import pytest

from store import JobNotFound, Store


def test_jobs_are_taken_in_the_order_of_arrival_and_once(store):
    first, second = store.jobs.add("a.pdf", b"aa"), store.jobs.add("b.pdf", b"bb")
    taken = [store.jobs.take(), store.jobs.take(), store.jobs.take()]
    assert [job and job.id for job in taken] == [first.id, second.id, None]
    assert [job.state for job in store.jobs.list()] == ["running", "running"]


def test_the_bytes_stay_until_the_text_is_stored(store, add, sql):
    job = store.jobs.add("odd \ud800 name.pdf", b"bytes of a file", title="Title")
    assert (store.jobs.data(job.id), job.name, job.title) == (b"bytes of a file", "odd ? name.pdf", "Title")
    document = add("text")
    store.jobs.read(job.id, document.sha256)
    assert store.jobs.data(job.id) is None
    assert store.jobs.get(job.id).document == document.sha256
    assert sql("SELECT count(*) FROM jobs WHERE data IS NOT NULL") == [(0,)]


def test_a_failed_job_can_be_tried_again_and_says_why_it_failed(store):
    job = store.jobs.add("a.pdf", b"aa")
    store.jobs.take()
    store.jobs.fail(job.id, "It needs a password.")
    failed = store.jobs.get(job.id)
    assert (failed.state, failed.reason, store.jobs.data(job.id)) == ("failed", "It needs a password.", b"aa")
    assert store.jobs.take() is None
    again = store.jobs.retry(job.id)
    assert (again.state, again.reason) == ("queued", "")
    assert store.jobs.take().id == job.id


def test_what_ran_when_the_program_ended_waits_again(path):
    with Store(path) as store:
        store.jobs.add("a.pdf", b"aa")
        store.jobs.add("b.pdf", b"bb")
        store.jobs.take()
    with Store(path) as later:
        assert later.jobs.requeue() == 1
        assert [job.state for job in later.jobs.list()] == ["queued", "queued"]
        assert later.jobs.take().name == "a.pdf"


def test_outcomes_are_kept_until_they_are_cleared(store):
    done, waiting = store.jobs.add("a.pdf", b"aa"), store.jobs.add("b.pdf", b"bb")
    store.jobs.finish(done.id, {"tokens": 7, "notes": ["a page without text"]})
    assert store.jobs.get(done.id).outcome == {"tokens": 7, "notes": ["a page without text"]}
    assert store.jobs.retry(done.id).state == "stored"
    store.jobs.clear()
    assert [job.id for job in store.jobs.list()] == [waiting.id]


def test_a_deleted_document_takes_its_jobs_along(store, add):
    document = add("text")
    mine = store.jobs.add("text", document=document.sha256, anew=True)
    other = store.jobs.add("b.pdf", b"bb")
    assert mine.anew
    store.documents.delete(document.sha256)
    assert [job.id for job in store.jobs.list()] == [other.id]
    store.jobs.finish(mine.id, {})
    store.jobs.read(mine.id, document.sha256)
    assert [job.id for job in store.jobs.list()] == [other.id]


def test_a_dismissed_job_is_gone(store):
    job = store.jobs.add("a.pdf", b"aa")
    store.jobs.delete(job.id)
    for call in (store.jobs.get, store.jobs.data, store.jobs.retry, store.jobs.delete):
        with pytest.raises(JobNotFound, match="add the file again"):
            call(job.id)
