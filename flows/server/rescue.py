"""Reschedules flow runs that lose their process, and ends runs that are cancelled, whichever machine is lost.

Three mechanisms; each covers cases in which the previous ones may be gone:

- hooks of every flow, which the worker or the flow calls: after a crash they start a process that reschedules the run;
  after a cancellation they stop its Ray job;
- a thread in the process of each deployed run (`watch`): it kills the process when its run is cancelled and no worker
  stops it, or when the run continues elsewhere;
- `reap`, for when worker and process are gone, or a container and with it the process of the hook: it reschedules
  silent runs and runs that crashed lately, marks cancelled runs as cancelled, and stops Ray jobs whose run has ended.

Finished work is not repeated, so rescheduling costs only the work in flight.
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

TIMES = 3  # a run is rescheduled at most this often
_DELAY = 15.0  # seconds for a process to exit and for its worker to report
_TRIES = 240
_PAUSE = timedelta(minutes=1)  # one more each time: a dead machine's lease on an object store lasts two minutes
_LOOK_EVERY = 5.0  # seconds between checks
_SIGN_EVERY = 6  # checks between renewals of the run's record
_WORKERS_TURN = 10.0  # seconds in which a worker may end a cancelled run
_PENDING_LIMIT = timedelta(minutes=10)  # from the moment a worker takes a run to its process's first report
_CANCELLING_LIMIT = timedelta(minutes=1)
_HOOKS_TURN = timedelta(minutes=2)  # from a crash, in which its hook may reschedule the run
_LATELY = timedelta(hours=1)
_PAGE = 200  # runs
ATTACHED = "Attached"  # the running state of a run whose Ray job continued while no process waited for it
_ENDED = {StateType.COMPLETED, StateType.FAILED, StateType.CRASHED, StateType.CANCELLED}
_MAY_PASS = (StorageError, ClusterError, JobError, StageError, TrainingError)
"""Errors that may pass: of a storage or a cluster, also when the last two report them from a worker."""

_AT_WORK = {"state": {"type": {"any_": [StateType.RUNNING, StateType.PENDING, StateType.CANCELLING]}}}
"""Runs that may have a process."""

STOPPED = {StateType.CANCELLING, StateType.CANCELLED}


def again(flow: Flow[..., Any], flow_run: FlowRun, state: State) -> None:
    """Hook of runs that crashed or failed: reschedules a deployment's run, unless that would not help.

    A separate process does so a little later, because the worker reports the crash again after the hooks, whatever
    state they set, and may exit too.
    """
    error = getattr(state.data, "result", state.data)
    if flow_run.deployment_id and (state.is_crashed() or isinstance(error, _MAY_PASS)):
        nowhere = subprocess.DEVNULL
        command = [sys.executable, "-m", "flows.server.rescue", str(flow_run.id)]
        subprocess.Popen(command, stdin=nowhere, stdout=nowhere, stderr=nowhere, start_new_session=True)


def take_up_later(flow_run: UUID) -> None:
    """The work of that process; while the server does not answer, it retries."""
    for _ in range(_TRIES):
        time.sleep(_DELAY)
        with suppress(httpx.HTTPError), get_client(sync_client=True) as client:
            state = client.read_flow_run(flow_run).state
            if state and (state.is_crashed() or state.is_failed()):
                take_up(client, flow_run)
            return


def stop_job(flow: Flow[..., Any], flow_run: FlowRun, state: State) -> None:
    """Hook of cancelled runs: stops the run's Ray job, if it has one."""
    if cluster_address().startswith("http"):
        stop(flow_run.id)


HOOKS: dict[str, Any] = {"on_crashed": [again], "on_failure": [again], "on_cancellation": [stop_job]}
"""The hooks of every flow."""


def stop(flow_run: UUID) -> None:
    """Stops the Ray job of a flow run on the cluster of RAY_ADDRESS, if there is one."""
    jobs = Jobs(cluster_address())
    for job in jobs.alive(job_name(flow_run)):
        jobs.stop(job)


def job_name(flow_run: UUID | str) -> str:
    """Name of a flow run's Ray jobs, without the number of the attempt."""
    return f"moviedreamer-{flow_run}"


def take_up(client: SyncPrefectClient, flow_run: UUID) -> str:
    """Sets the next state of a run that has lost its process, and returns that state's name.

    The run is rescheduled at once or after a minute or two; it is Cancelled if it was being cancelled, and Crashed if
    it was rescheduled TIMES times.
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
    """Kills this process with SIGKILL once its deployed run is cancelled or continues elsewhere; its keeper cleans up.

    If there is a worker, it stops a cancelled run first, with SIGTERM. Meanwhile this thread renews the run's record on
    the server, a sign of life with the server's timestamp: Prefect's heartbeats have the timestamp of this machine,
    whose clock may be wrong.
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
            except Exception:  # no answer from the server says nothing about the run
                continue
            state, now = run.state, time.monotonic()
            cancelled = min(cancelled, now) if state and state.type in STOPPED else float("inf")
            elsewhere = state and state.is_running() and state.id != ours and state.name != ATTACHED
            if now - cancelled >= _WORKERS_TURN:
                take_up(client, flow_run)
            if elsewhere or now - cancelled >= _WORKERS_TURN:
                os.kill(os.getpid(), signal.SIGKILL)


def reap() -> Iterator[str]:
    """Checks all runs and jobs once, and yields a line for each one that it changed.

    A run is lost if it has given no sign of life, neither a heartbeat nor a renewed record, for three times
    PREFECT_FLOWS_HEARTBEAT_FREQUENCY seconds. That setting must be the same here and where flows run.

    Raises:
        JobError: RAY_ADDRESS is a dashboard that does not answer.
    """
    with get_client(sync_client=True) as client:
        for run in [*_all(client, _AT_WORK), *_all(client, _crashed_lately())]:
            with suppress(ObjectNotFound):  # the run was deleted meanwhile, or its deployment
                if _ours(client, run) and _lost(client, run):
                    yield f"flow run {run.name} ({run.id}): lost, now {take_up(client, run.id)}"
        if cluster_address().startswith("http"):
            jobs = Jobs(cluster_address())
            for job in jobs.alive():
                run_id = job.removeprefix(job_name("")).rpartition("-")[0]
                if job.startswith(job_name("")) and _over(client, run_id):
                    jobs.stop(job)
                    yield f"Ray job {job}: stopped, its flow run has ended"


def _crashed_lately() -> dict[str, Any]:
    now = datetime.now(UTC)
    ended = {"after_": now - _LATELY, "before_": now - _HOOKS_TURN}
    return {"state": {"type": {"any_": [StateType.CRASHED]}}, "end_time": ended}


def _all(client: SyncPrefectClient, which: dict[str, Any]) -> list[FlowRun]:
    """The runs of a filter, which the server returns in pages."""
    wanted, found = FlowRunFilter.model_validate(which), list[FlowRun]()
    while page := client.read_flow_runs(flow_run_filter=wanted, limit=_PAGE, offset=len(found)):
        found += page
    return found


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
    if run.state.type == StateType.CRASHED:
        return run.run_count <= TIMES
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
    """Whether a run has ended or no longer exists; what is no run's id is the name of somebody's own job."""
    try:
        state = client.read_flow_run(UUID(flow_run)).state
    except ObjectNotFound:
        return True
    except ValueError:
        return False
    return state is not None and state.type in _ENDED


if __name__ == "__main__":
    if sys.argv[1:]:
        take_up_later(UUID(sys.argv[1]))
    else:
        for line in reap():
            print(line, flush=True)
