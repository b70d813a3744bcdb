"""Ray Jobs: commands that run on a cluster under unique names; a command that is already running is not started again.

A job is called <name>-<attempt>. Whoever asks for a name whose job waits or runs gets that job; a new attempt is made
only when there is none. Two callers at the same time ask for the same attempt, which Ray makes once.
"""

import os
import time
from collections.abc import Mapping

from storage.errors import MovieDreamerError
from storage.masked import masked

_LOOK_EVERY = 1.0  # seconds
_PATIENCE = 600.0  # seconds in which the cluster answers nothing before its job is given up
_STOP_LIMIT = 20.0  # seconds


class JobError(MovieDreamerError):
    """A cluster accepts no job, or has lost one."""


class Jobs:
    """The jobs of one cluster.

    Args:
        address: of its dashboard, such as http://head:8265.

    Raises:
        JobError: from each method, when the cluster does not answer.
    """

    def __init__(self, address: str) -> None:
        os.environ.setdefault("RAY_AUTH_MODE", "disabled")
        from ray.job_submission import JobSubmissionClient

        self.address = masked(address)
        try:
            self._client = JobSubmissionClient(address)
        except (RuntimeError, OSError) as error:
            raise JobError(
                f"no Ray cluster answers at {self.address!r}, where RAY_ADDRESS has a dashboard: {masked(str(error))}"
            ) from error

    def alive(self, name: str = "") -> list[str]:
        """Ids of the jobs that wait or run: of one name, or all."""
        return [job for job, ended in self._all().items() if not ended and name in ("", _name(job))]

    def start(self, name: str, command: str, environment: Mapping[str, str]) -> tuple[str, bool]:
        """The job of that name, and whether it was there; it is submitted unless one waits or runs.

        Args:
            environment: variables of the command's process beside those of the cluster; everybody who sees the
                cluster's dashboard sees them.
        """
        while True:
            attempts = {job: ended for job, ended in self._all().items() if _name(job) == name}
            for job, ended in attempts.items():
                if not ended:
                    return job, True
            job = f"{name}-{len(attempts) + 1}"
            try:
                env = {"env_vars": dict(environment)}
                self._client.submit_job(entrypoint=command, submission_id=job, runtime_env=env)
                return job, False
            except (RuntimeError, OSError) as error:
                if job not in self._all():
                    said = masked(str(error))
                    raise JobError(f"the cluster at {self.address!r} does not take the job {job}: {said}") from error
                # somebody else was first, or the answer was lost

    def wait(self, job: str) -> None:
        """Waits until a job has ended; a cluster that does not answer for a while is asked again.

        Raises:
            JobError: the cluster has lost the job, for example with its head, or does not answer.
        """
        heard = time.monotonic()
        while True:
            try:
                jobs = self._all()
            except JobError:
                if time.monotonic() - heard > _PATIENCE:
                    raise
            else:
                heard = time.monotonic()
                if job not in jobs:
                    raise JobError(f"the cluster at {self.address!r} has lost the job {job}")
                if jobs[job]:
                    return
            time.sleep(_LOOK_EVERY)

    def stop(self, job: str) -> None:
        """Ends a job and waits for its end: SIGTERM, and SIGKILL to what is still there soon after."""
        deadline = time.monotonic() + _STOP_LIMIT
        while not self._all().get(job, True):
            if time.monotonic() > deadline:
                raise JobError(f"the job {job} at {self.address!r} does not stop within {_STOP_LIMIT:g} s")
            self._client.stop_job(job)
            time.sleep(_LOOK_EVERY)

    def _all(self) -> dict[str, bool]:
        """Job -> whether it has ended."""
        try:
            jobs = self._client.list_jobs()
        except (RuntimeError, OSError) as error:
            raise JobError(f"the cluster at {self.address!r} does not answer: {masked(str(error))}") from error
        return {job.submission_id: job.status.is_terminal() for job in jobs if job.submission_id}


def _name(job: str) -> str:
    return job.rpartition("-")[0]
