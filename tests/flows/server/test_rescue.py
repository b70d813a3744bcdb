"""A flow run that has lost its process is taken up again, a cancelled one is not, and only ours are touched."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.objects import State, StateType
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelling, Crashed, Failed, Pending, Running, Scheduled

from flows.server import rescue
from storage.errors import ConfigError, StorageError
from tasks.stage import StageError

STUDIO = "flows.studio.studio"


class Server:
    """What the client tells of one flow run."""

    def __init__(
        self,
        *states: State,
        count: int = 1,
        entrypoint: str = STUDIO,
        beats: int = 0,
        age: int = 0,
        silent: int | None = None,
    ) -> None:
        now = datetime.now(UTC)
        for number, state in enumerate(states):
            state.timestamp = now - timedelta(seconds=age + len(states) - number)
        self.states, self.entrypoint, self.beats = list(states), entrypoint, beats
        self.run = SimpleNamespace(id=uuid4(), name="run", deployment_id=uuid4(), run_count=count, state=states[-1])
        self.run.updated = now - timedelta(seconds=age if silent is None else silent)
        self.others: list[Any] = []

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *error: object) -> None: ...

    def read_flow_run(self, flow_run: UUID) -> Any:
        assert flow_run == self.run.id
        return self.run

    def read_flow_runs(self, flow_run_filter: FlowRunFilter, limit: int, offset: int) -> list[Any]:
        """As the server filters: by type, and by the moment of a final state."""
        assert flow_run_filter.state is not None
        assert flow_run_filter.state.type is not None
        found, ended = list(self.others), flow_run_filter.end_time
        at, state = self.run.state.timestamp, self.run.state.type
        if state in (flow_run_filter.state.type.any_ or ()):
            found += [self.run] if ended is None or ended.after_ < at < ended.before_ else []  # type: ignore[operator]
        return found[offset : offset + limit]

    def read_flow_run_states(self, flow_run: UUID) -> list[State]:
        return self.states

    def read_deployment(self, deployment: UUID) -> Any:
        if deployment != self.run.deployment_id:
            raise ObjectNotFound(LookupError(deployment))
        return SimpleNamespace(entrypoint=self.entrypoint)

    def read_events(self, events: object, limit: int) -> Any:
        return SimpleNamespace(events=[object()] * self.beats)

    def update_flow_run(self, flow_run: UUID, name: str) -> None:
        assert (flow_run, name) == (self.run.id, self.run.name)
        self.run.updated = datetime.now(UTC)

    def set_flow_run_state(self, flow_run: UUID, state: State, force: bool) -> None:
        self.states.append(state)
        self.run.state = state


@pytest.fixture(autouse=True)
def _no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)


def hook(server: Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of the run's state when the hook and what it leaves behind have had their turn."""
    monkeypatch.setattr(rescue, "get_client", lambda sync_client: server)
    monkeypatch.setattr(rescue, "_DELAY", 0)
    monkeypatch.setattr(
        "flows.server.rescue.subprocess.Popen", lambda command, **how: rescue.take_up_later(UUID(command[-1]))
    )
    rescue.again(None, server.run, server.states[-1])  # type: ignore[arg-type]
    return str(server.run.state.name)


def test_a_crashed_run_is_scheduled_again_until_it_was_often_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    assert hook(Server(Scheduled(), Pending(), Running(), Crashed()), monkeypatch) == "AwaitingRetry"
    assert hook(Server(Running(), Crashed(), count=rescue.TIMES), monkeypatch) == "AwaitingRetry"
    assert hook(Server(Running(), Crashed(), count=rescue.TIMES + 1), monkeypatch) == "Crashed"
    local = Server(Running(), Crashed())
    local.run.deployment_id = None
    assert hook(local, monkeypatch) == "Crashed"


def test_a_run_that_crashed_because_it_was_cancelled_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    assert hook(Server(Running(), Cancelling(), Crashed()), monkeypatch) == "Cancelled"
    restarted = Server(Running(), Cancelling(), Scheduled(), Pending(), Running(), Crashed())
    assert hook(restarted, monkeypatch) == "AwaitingRetry"


def test_a_run_that_somebody_else_has_taken_up_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(Running(), Crashed(), Scheduled())
    monkeypatch.setattr(rescue, "get_client", lambda sync_client: server)
    monkeypatch.setattr(rescue, "_DELAY", 0)
    rescue.take_up_later(server.run.id)
    assert len(server.states) == 3


def test_a_failure_that_may_pass_is_tried_again_and_a_wrong_setting_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    assert hook(Server(Running(), Failed(data=StorageError("503"))), monkeypatch) == "AwaitingRetry"
    assert hook(Server(Running(), Failed(data=StageError("a worker: 503"))), monkeypatch) == "AwaitingRetry"
    assert hook(Server(Running(), Failed(data=ConfigError("no such film"))), monkeypatch) == "Failed"


@pytest.mark.parametrize(
    ("made", "after"),
    [
        (partial(Server, Pending(), Running(), age=3600), "AwaitingRetry"),
        (partial(Server, Pending(), Running(), age=3600, beats=1), "Running"),
        (partial(Server, Pending(), Running(), age=3600, silent=20), "Running"),
        (partial(Server, Pending(), Running()), "Running"),
        (partial(Server, Pending(), age=3600), "AwaitingRetry"),
        (partial(Server, Pending()), "Pending"),
        (partial(Server, Running(), Cancelling(), age=3600), "Cancelled"),
        (partial(Server, Running(), Cancelling()), "Cancelling"),
        (partial(Server, Pending(), Running(), age=3600, entrypoint="flows.studio.other"), "Running"),
        (partial(Server, Running(), Crashed(), age=300), "AwaitingRetry"),
        (partial(Server, Running(), Crashed(), age=10), "Crashed"),
        (partial(Server, Running(), Crashed(), age=7200), "Crashed"),
        (partial(Server, Running(), Crashed(), age=300, count=rescue.TIMES + 1), "Crashed"),
        (partial(Server, Running(), Cancelling(), Crashed(), age=300), "Cancelled"),
    ],
)
def test_reaping_takes_up_what_gives_no_sign_of_life(
    monkeypatch: pytest.MonkeyPatch, made: Callable[[], Server], after: str
) -> None:
    server = made()  # now: it knows how old its states are
    before = server.run.state
    monkeypatch.setattr(rescue, "get_client", lambda sync_client: server)
    told = list(rescue.reap())
    assert server.run.state.name == after
    assert bool(told) == (server.run.state is not before)


def test_runs_of_deleted_deployments_and_of_other_pages_keep_nobody_from_being_taken_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = Server(Pending(), Running(), age=3600)
    server.others = [SimpleNamespace(id=uuid4(), deployment_id=uuid4()) for _ in range(rescue._PAGE)]
    monkeypatch.setattr(rescue, "get_client", lambda sync_client: server)
    assert len(list(rescue.reap())) == 1
    assert server.run.state.name == "AwaitingRetry"


def test_a_ray_job_whose_run_has_ended_is_stopped_and_anothers_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    server, stopped = Server(Running(), Crashed()), list[str]()
    ours = f"moviedreamer-{server.run.id}-2"
    alive = ["moviedreamer-nightly-1", ours, "raysubmit_1"]
    jobs = SimpleNamespace(alive=lambda name="": alive, stop=stopped.append)
    monkeypatch.setenv("RAY_ADDRESS", "http://there:8265")
    monkeypatch.setattr(rescue, "Jobs", lambda address: jobs)
    monkeypatch.setattr(rescue, "get_client", lambda sync_client: server)
    assert list(rescue.reap()) == [f"Ray job {ours}: stopped, its flow run has ended"]
    assert stopped == [ours]
    server.run.state = Scheduled()
    assert list(rescue.reap()) == []
    assert server.run.state.type == StateType.SCHEDULED


class _Killed(BaseException):
    """The process would have ended."""


class _Enough(BaseException):
    """The test has seen enough of a process that goes on."""


@pytest.mark.parametrize(
    ("state", "known", "ends"),
    [
        (Running(), True, _Enough),
        (Running(), False, _Killed),
        (Running(name=rescue.ATTACHED), False, _Enough),
        (Scheduled(), False, _Enough),
        (Cancelling(), False, _Killed),
    ],
    ids=[
        "at work",
        "taken up elsewhere",
        "found again by who waits",
        "to be taken up",
        "cancelled, and no worker says so",
    ],
)
def test_a_process_ends_when_its_run_is_cancelled_or_goes_on_elsewhere(
    monkeypatch: pytest.MonkeyPatch, state: State, known: bool, ends: type[BaseException]
) -> None:
    server, clock = Server(Running(), state, silent=3600), iter(range(0, 50, 5))

    def sleep(seconds: float) -> None:
        if next(clock, None) is None:
            raise _Enough

    def end(process: int, how: int) -> None:
        raise _Killed

    monkeypatch.setattr(rescue, "get_client", lambda sync_client: server)
    monkeypatch.setattr(rescue, "time", SimpleNamespace(sleep=sleep, monotonic=lambda: next(clock, 50)))
    monkeypatch.setattr("flows.server.rescue.os.kill", end)
    with pytest.raises(ends):
        rescue._watch(server.run.id, state.id if known else uuid4())
    assert server.run.state.name == ("Cancelled" if state.is_cancelling() else state.name)
    assert server.run.updated > state.timestamp  # a sign of life
