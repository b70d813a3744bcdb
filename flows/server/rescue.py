"""Flow runs that lose their process are taken up again, and those that are cancelled end, whoever is there to see it.

Three that watch, each where the one before it may be gone:

- hooks of every flow, which the worker calls (or the flow itself): for a crashed run a process is left behind that
  schedules it again, a cancelled one's Ray job is stopped;
- a thread in the process of each deployed run (`watch`): it ends the process when its run is cancelled and no worker
  says so, or goes on elsewhere;
- `reap`, for when worker and process are gone: runs that give no sign of life are scheduled again, cancelled ones are
  told to be so, and Ray jobs whose run has ended are stopped.

What was finished before is not done again, so taking up costs what was in flight.
"""

import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
from prefect import Flow, get_client
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.context import FlowRunContext
from prefect.events.filters import EventFilter, EventNameFilter, EventOccurredFilter, EventResourceFilter
from prefect.exceptions import ObjectNotFound
from prefect.settings import get_current_settings
from prefect.states import AwaitingRetry, Cancelled, Crashed

from flows.catalogue import FLOWS
from storage.errors import StorageError
from tasks.cluster import ClusterError, cluster_address
from tasks.jobs import JobError, Jobs
from tasks.stage import StageError
from tasks.training.engine.fit import TrainingError

TIMES = 3  # that a run is taken up again
_DELAY = 15.0  # seconds in which a process that ends has ended, and its worker has had its say
_TRIES = 240
_PAUSE = timedelta(minutes=1)  # more each time: a dead machine's lease on an object store lasts for two
_LOOK_EVERY = 5.0  # seconds
_SIGN_EVERY = 6  # looks
_WORKERS_TURN = 10.0  # seconds in which a worker may end a cancelled run
_PENDING_LIMIT = timedelta(minutes=10)  # from a worker's taking a run to its process's first word
_CANCELLING_LIMIT = timedelta(minutes=1)
ATTACHED = "Attached"  # the running state of a run whose Ray job went on while nobody waited for it
_ENDED = {StateType.COMPLETED, StateType.FAILED, StateType.CRASHED, StateType.CANCELLED}
_MAY_PASS = (StorageError, ClusterError, JobError, StageError, TrainingError)
"""Errors of a storage or a cluster; the last two also tell of those that a worker met."""

STOPPED = {StateType.CANCELLING, StateType.CANCELLED}


def again(flow: Flow[..., Any], flow_run: FlowRun, state: State) -> None:
    """Hook of runs that crashed or failed: has a deployment's run taken up again, unless that would not help.

    A process of its own does so a little later, since a worker reports a crash once more after the hooks, whatever
    state they gave the run, and may end, too.
    """
    error = getattr(state.data, "result", state.data)
    if flow_run.deployment_id and (state.is_crashed() or isinstance(error, _MAY_PASS)):
        nowhere = subprocess.DEVNULL
        command = [sys.executable, "-m", "flows.server.rescue", str(flow_run.id)]
        subprocess.Popen(command, stdin=nowhere, stdout=nowhere, stderr=nowhere, start_new_session=True)


def take_up_later(flow_run: UUID) -> None:
    """What that process does; as long as the server is away, it asks again."""
    for _ in range(_TRIES):
        time.sleep(_DELAY)
        with suppress(httpx.HTTPError), get_client(sync_client=True) as client:
            state = client.read_flow_run(flow_run).state
            if state and (state.is_crashed() or state.is_failed()):
                take_up(client, flow_run)
            return


def stop_job(flow: Flow[..., Any], flow_run: FlowRun, state: State) -> None:
    """Hook of cancelled runs: stops the Ray job of one that has it."""
    if cluster_address().startswith("http"):
        stop(flow_run.id)


HOOKS: dict[str, Any] = {"on_crashed": [again], "on_failure": [again], "on_cancellation": [stop_job]}
"""Of every flow."""


def stop(flow_run: UUID) -> None:
    """Stops the Ray job of a flow run on the cluster of RAY_ADDRESS, where there is one."""
    jobs = Jobs(cluster_address())
    for job in jobs.alive(job_name(flow_run)):
        jobs.stop(job)


def job_name(flow_run: UUID | str) -> str:
    """What the Ray jobs of a flow run are called, before the number of the attempt."""
    return f"moviedreamer-{flow_run}"


def take_up(client: SyncPrefectClient, flow_run: UUID) -> str:
    """Gives a run that has lost its process its next state, and returns that state's name.

    Scheduled again, at once or after a minute or two; Cancelled, when it was being cancelled; Crashed, when that was
    done often enough.
    """
    run = client.read_flow_run(flow_run)
    states = [state.type for state in sorted(client.read_flow_run_states(flow_run), key=lambda one: one.timestamp)]
    since = states[len(states) - states[::-1].index(StateType.RUNNING) :] if StateType.RUNNING in states else states
    if STOPPED & set(since):
        state: State = Cancelled(message="Its process has ended.")
    elif run.run_count > TIMES:
        state = Crashed(message=f"Its process was lost {run.run_count} times.")
    else:
        pause = _PAUSE * (run.run_count - 1)
        state = AwaitingRetry(scheduled_time=datetime.now(UTC) + pause, message="It has lost its process.")
    if run.state is None or run.state.name != state.name:
        client.set_flow_run_state(flow_run, state, force=True)
    return str(state.name)


def watch() -> None:
    """Ends this process with SIGKILL once its deployed run is cancelled or taken up elsewhere; its keeper clears up.

    A worker that is there ends a cancelled run first, politely. Meanwhile the run's record on the server is renewed, a
    sign of life that the server dates: Prefect's heartbeats bear the time of this machine's clock, which may be wrong.
    """
    context = FlowRunContext.get()
    if context and context.flow_run and context.flow_run.deployment_id:
        run = context.flow_run
        assert run.state is not None
        threading.Thread(target=_watch, args=(run.id, run.state.id), daemon=True).start()


def _watch(flow_run: UUID, ours: UUID) -> None:
    cancelled = float("inf")
    with get_client(sync_client=True) as client:
        for look in itertools.count():
            time.sleep(_LOOK_EVERY)
            try:
                run = client.read_flow_run(flow_run)
                if look % _SIGN_EVERY == 0:
                    client.update_flow_run(flow_run, name=run.name)
            except ObjectNotFound:
                os.kill(os.getpid(), signal.SIGKILL)
            except Exception:  # a server that does not answer says nothing about the run
                continue
            state, now = run.state, time.monotonic()
            cancelled = min(cancelled, now) if state and state.type in STOPPED else float("inf")
            elsewhere = state and state.is_running() and state.id != ours and state.name != ATTACHED
            if now - cancelled >= _WORKERS_TURN:
                take_up(client, flow_run)
            if elsewhere or now - cancelled >= _WORKERS_TURN:
                os.kill(os.getpid(), signal.SIGKILL)


def reap() -> Iterator[str]:
    """Takes up what is lost, once; tells of each run and each job that it changed.

    A run is lost when it has given no sign of life, neither a heartbeat nor a renewed record, in three times
    PREFECT_FLOWS_HEARTBEAT_FREQUENCY, which must be the same here and where flows run.

    Raises:
        JobError: when RAY_ADDRESS has a cluster's dashboard and that does not answer.
    """
    with get_client(sync_client=True) as client:
        at_work = {"state": {"type": {"any_": [StateType.RUNNING, StateType.PENDING, StateType.CANCELLING]}}}
        for run in client.read_flow_runs(flow_run_filter=FlowRunFilter.model_validate(at_work)):
            if _ours(client, run) and _lost(client, run):
                yield f"flow run {run.name} ({run.id}): lost, now {take_up(client, run.id)}"
        if cluster_address().startswith("http"):
            jobs = Jobs(cluster_address())
            for job in jobs.alive():
                run_id = job.removeprefix(job_name("")).rpartition("-")[0]
                if job.startswith(job_name("")) and _over(client, run_id):
                    jobs.stop(job)
                    yield f"Ray job {job}: stopped, its flow run has ended"


def _ours(client: SyncPrefectClient, run: FlowRun) -> bool:
    if not run.deployment_id:
        return False
    entrypoint = client.read_deployment(run.deployment_id).entrypoint
    return entrypoint in {f"flows.{flow.module}.{name}" for name, flow in FLOWS.items()}


def _lost(client: SyncPrefectClient, run: FlowRun) -> bool:
    assert run.state is not None
    assert run.updated is not None
    now = datetime.now(UTC)
    age = now - run.state.timestamp
    if run.state.type == StateType.PENDING:
        return age > _PENDING_LIMIT
    if run.state.type == StateType.CANCELLING:
        return age > _CANCELLING_LIMIT
    silence = timedelta(seconds=3 * (get_current_settings().flows.heartbeat_frequency or 0))
    if not silence or now - run.updated < silence:
        return False
    beats = EventFilter(
        event=EventNameFilter(name=["prefect.flow-run.heartbeat"]),
        resource=EventResourceFilter(id=[f"prefect.flow-run.{run.id}"]),
        occurred=EventOccurredFilter.model_validate({"since": now - silence}),
    )
    return not client.read_events(beats, limit=1).events


def _over(client: SyncPrefectClient, flow_run: str) -> bool:
    """Whether a run has ended for good."""
    try:
        state = client.read_flow_run(UUID(flow_run)).state
    except ObjectNotFound:
        return True
    return state is not None and state.type in _ENDED


if __name__ == "__main__":
    if sys.argv[1:]:
        take_up_later(UUID(sys.argv[1]))
    else:
        for line in reap():
            print(line, flush=True)
