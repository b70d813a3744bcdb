"""The command that waits for a flow run's Ray job."""

import os
import signal
from collections.abc import Callable
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest
from prefect.client.schemas.objects import State
from prefect.states import Cancelling, Completed, Pending, Running

from flows.server import ray_job
from storage.errors import ConfigError
from tasks.jobs import JobError


class Both:
    """A Prefect server with one flow run, and a cluster with at most its job."""

    def __init__(self, state: State, found: bool = False, ends: Callable[["Both"], None] = lambda both: None) -> None:
        self.state, self.found, self.ends = state, found, ends
        self.stopped: list[UUID] = []
        self.taken_up = 0
        self.handed_on: dict[str, str] = {}

    def __enter__(self) -> "Both":
        return self

    def __exit__(self, *error: object) -> None: ...

    def read_flow_run(self, flow_run: UUID) -> Any:
        return SimpleNamespace(state=self.state)

    def set_flow_run_state(self, flow_run: UUID, state: State, force: bool) -> None:
        self.state = state

    def take_up(self, client: "Both", flow_run: UUID) -> None:
        self.taken_up += 1

    def start(self, name: str, command: str, environment: dict[str, str]) -> tuple[str, bool]:
        self.handed_on = environment
        return f"{name}-1", self.found

    def wait(self, job: str) -> None:
        self.ends(self)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[[Both], int]:
    """Calls the command with a Prefect server and a cluster."""

    def call(both: Both) -> int:
        monkeypatch.setenv("PREFECT__FLOW_RUN_ID", str(uuid4()))
        monkeypatch.setenv("RAY_ADDRESS", "http://there:8265")
        monkeypatch.setenv("PREFECT_API_KEY", "secret")
        monkeypatch.setattr(ray_job, "get_client", lambda sync_client: both)
        monkeypatch.setattr(ray_job, "Jobs", lambda address: both)
        monkeypatch.setattr(ray_job, "kept", nullcontext)
        monkeypatch.setattr(ray_job, "stop", both.stopped.append)
        monkeypatch.setattr(ray_job, "take_up", both.take_up)
        before = signal.getsignal(signal.SIGTERM)
        try:
            return ray_job.main()
        finally:
            signal.signal(signal.SIGTERM, before)

    return call


def completes(both: Both) -> None:
    both.state = Completed()


def is_told_to_stop(both: Both) -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def is_lost(both: Both) -> None:
    raise JobError("lost")


def test_a_run_whose_job_ends_before_it_is_taken_up(run: Callable[[Both], int]) -> None:
    whole, killed, lost = Both(Running(), ends=completes), Both(Running()), Both(Running(), ends=is_lost)
    assert run(whole) == run(killed) == run(lost) == 0
    assert [both.taken_up for both in (whole, killed, lost)] == [0, 1, 1]


def test_a_run_whose_job_was_there_is_attached_to_it(run: Callable[[Both], int]) -> None:
    found, new = Both(Pending(), found=True), Both(Pending())
    run(found)
    run(new)
    assert (found.state.name, new.state.name) == ("Attached", "Pending")


def test_sigterm_stops_the_job_of_a_cancelled_run_only(run: Callable[[Both], int]) -> None:
    cancelled, restarted = Both(Cancelling(), ends=is_told_to_stop), Both(Running(), ends=is_told_to_stop)
    assert run(cancelled) == run(restarted) == 143
    assert (len(cancelled.stopped), restarted.stopped) == (1, [])


def test_secrets_are_not_handed_on(run: Callable[[Both], int]) -> None:
    both = Both(Running())
    run(both)
    assert "PREFECT__FLOW_RUN_ID" in both.handed_on
    assert "PREFECT_API_KEY" not in both.handed_on


def test_an_address_without_a_dashboard_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT__FLOW_RUN_ID", str(uuid4()))
    monkeypatch.setenv("RAY_ADDRESS", "head:6379")
    with pytest.raises(ConfigError, match="RAY_ADDRESS='head:6379' has no dashboard"):
        ray_job.main()


def test_a_password_is_not_handed_on_to_where_everybody_sees_it(run, monkeypatch) -> None:
    both = Both(Pending())
    monkeypatch.setenv("PREFECT_API_URL", "https://admin:hidden@prefect/api")
    with pytest.raises(ConfigError, match="PREFECT_API_AUTH_STRING") as caught:
        run(both)
    assert "hidden" not in str(caught.value)
    assert both.handed_on == {}
