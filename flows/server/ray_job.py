"""A process worker's command for flow runs as Ray jobs: `python -m flows.server.ray_job`, with RAY_ADDRESS=http://...

The flow runs on the cluster, as a job named after the flow run, and reports to the Prefect server itself. This process
only waits for the job. If this process is lost and started again, it finds the job by its name and waits again.
"""

import os
import signal
import sys
from types import FrameType
from typing import NoReturn
from uuid import UUID

from prefect import get_client
from prefect.states import Running

from flows.server.keeper import kept
from flows.server.rescue import ATTACHED, STOPPED, job_name, stop, take_up
from storage.errors import ConfigError
from storage.masked import masked
from tasks.cluster import cluster_address
from tasks.jobs import JobError, Jobs

_HANDED_ON = (
    "PREFECT_LOGGING_",
    "PREFECT_API_URL",
    "PREFECT_FLOWS_",
    "PREFECT__FLOW_RUN_ID",
    "MOVIEDREAMER_HOME",
    "MOVIEDREAMER_MODELS",
)
"""Prefixes of the environment variables that are passed to the job; secrets belong in the cluster's environment."""


class _StopError(Exception):
    """SIGTERM was received."""


def main() -> int:
    """Runs the flow run of PREFECT__FLOW_RUN_ID as a Ray job, and reschedules it if the job is lost.

    Returns:
        the exit code: 143 after SIGTERM, otherwise 0; the flow run's state says whether it succeeded.
    """
    flow_run, address = UUID(os.environ["PREFECT__FLOW_RUN_ID"]), cluster_address()
    if not address.startswith("http"):
        raise ConfigError(
            f"RAY_ADDRESS={masked(address)!r} has no dashboard of a Ray cluster: set it to http://HEAD:8265"
        )
    if masked(url := os.environ.get("PREFECT_API_URL", "")) != url:
        raise ConfigError(
            f"PREFECT_API_URL={masked(url)!r} holds a password, which Ray's dashboard would show: leave it out and set "
            "PREFECT_API_AUTH_STRING, here and in the cluster's environment"
        )
    signal.signal(signal.SIGTERM, _stop)
    handed_on = {name: value for name, value in os.environ.items() if name.startswith(_HANDED_ON)}
    with kept(), get_client(sync_client=True) as client:
        try:
            jobs = Jobs(address)
            job, found = jobs.start(job_name(flow_run), f"python -m prefect.engine {flow_run}", handed_on)
            print(f"flow run {flow_run} is the Ray job {job}", file=sys.stderr, flush=True)
            state = client.read_flow_run(flow_run).state
            if found and state and not state.is_running() and not state.is_final():
                client.set_flow_run_state(flow_run, Running(name=ATTACHED, message=f"Ray job {job}"), force=True)
            jobs.wait(job)
        except _StopError:
            state = client.read_flow_run(flow_run).state
            if state and state.type in STOPPED:
                stop(flow_run)
            return 128 + signal.SIGTERM
        except JobError as error:
            print(error, file=sys.stderr, flush=True)
        state = client.read_flow_run(flow_run).state
        if state and not state.is_final():  # the worker, which would do this, may be gone
            take_up(client, flow_run)
        return 0


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    raise _StopError


if __name__ == "__main__":
    sys.exit(main())
