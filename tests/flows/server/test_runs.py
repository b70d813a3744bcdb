"""What `status` tells of a Prefect server's runs."""

import io

from rich.console import Console

from flows.server.runs import FlowRun, show
from tests.storage.test_printable import EVIL


def _shown(*found: FlowRun) -> str:
    text = io.StringIO()
    show(found, Console(file=text, width=160))
    return text.getvalue()


def test_a_run_at_work_says_how_far_each_stage_is_and_a_failed_one_why() -> None:
    stages = ("100 % keyframes: 3 of 3 films", "40 % captions: 2 of 5 films")
    text = _shown(
        FlowRun("studio", "calm-crow", "Running", 75, stages, ""),
        FlowRun("evaluate", "wise-owl", "Crashed", 3725, stages, "no heartbeat for 540 s"),
    )
    assert "calm-crow" in text
    assert "1:15" in text
    assert "100 % keyframes: 3 of 3 films" in text
    assert "1:02:05" in text
    assert "no heartbeat for 540 s" in text
    assert text.count("captions") == 2  # of the crashed run only the last stage


def test_what_comes_from_outside_is_shown_escaped() -> None:
    text = _shown(FlowRun("studio", EVIL, EVIL, 1, (EVIL,), EVIL))
    assert all(letter.isprintable() or letter == "\n" for letter in text)


def test_a_server_without_runs_says_so() -> None:
    assert _shown() == "no run has started on this Prefect server\n"
