import threading

import pytest

from cellwright.errors import ToolError
from cellwright.tools.adapters.jobs import Jobs


def test_quick_calls_do_not_wait_behind_heavy_ones():
    jobs: Jobs[str] = Jobs(1)
    held = threading.Event()
    heavy = jobs.start("annotate_cells", lambda _say: held.wait(10) and "heavy", quick=False)
    waiting = jobs.start("explain_cells", lambda _say: "next", quick=False)
    assert jobs.start("search_knowledge", lambda _say: "quick", quick=True).future.result(5)
    assert not heavy.future.done()
    assert waiting.message == "waiting for its turn"
    held.set()
    assert (heavy.future.result(5), waiting.future.result(5)) == ("heavy", "next")


def test_progress_never_goes_back_and_a_cancelled_call_stops_at_its_next_step():
    jobs: Jobs[None] = Jobs(1)
    said, go = threading.Event(), threading.Event()

    def work(say):
        say("half", 0.5)
        say("preparing", 0.1)
        said.set()
        go.wait(5)
        say("more", 0.9)

    job = jobs.start("annotate_cells", work, quick=False)
    assert said.wait(5)
    assert (job.message, job.share) == ("preparing", 0.5)
    job.cancelled.set()
    go.set()
    with pytest.raises(ToolError, match="annotate_cells was cancelled"):
        job.future.result(5)


def test_calls_are_asked_for_by_id():
    jobs: Jobs[int] = Jobs(1)
    job = jobs.start("find_markers", lambda _say: 7, quick=False)
    assert jobs.get(job.id).future.result(5) == 7
    with pytest.raises(ToolError, match="Call the tool again"):
        jobs.get("nonsense")
