"""A Ray job of a name runs once, however often and by whomever it is asked for."""

from collections.abc import Callable
from types import SimpleNamespace

import pytest

from tasks.jobs import JobError, Jobs


class Cluster:
    """What a cluster's dashboard answers; `before` happens while a job is on its way to it."""

    def __init__(self) -> None:
        self.jobs: dict[str, str] = {}
        self.before: Callable[[str], None] = lambda job: None

    def list_jobs(self) -> list[SimpleNamespace]:
        return [
            SimpleNamespace(
                submission_id=job, status=SimpleNamespace(is_terminal=lambda state=state: state != "RUNNING")
            )
            for job, state in self.jobs.items()
        ]

    def submit_job(self, *, entrypoint: str, submission_id: str, runtime_env: dict[str, dict[str, str]]) -> str:
        self.before(submission_id)
        if submission_id in self.jobs:
            raise RuntimeError(f"Job with submission_id {submission_id} already exists")
        self.jobs[submission_id] = "RUNNING"
        return submission_id

    def stop_job(self, job: str) -> None:
        self.jobs[job] = "STOPPED"


@pytest.fixture
def dashboard(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    there = Cluster()
    monkeypatch.setattr("ray.job_submission.JobSubmissionClient", lambda address: there)
    monkeypatch.setattr("tasks.jobs._LOOK_EVERY", 0)
    return there


def test_a_job_that_runs_is_found_and_one_that_ended_is_followed_by_the_next_attempt(dashboard: Cluster) -> None:
    jobs = Jobs("http://there:8265")
    assert jobs.start("run", "true", {}) == ("run-1", False)
    assert jobs.start("run", "true", {}) == ("run-1", True)
    assert jobs.start("other", "true", {}) == ("other-1", False)
    dashboard.jobs["run-1"] = "FAILED"
    assert jobs.start("run", "true", {}) == ("run-2", False)
    assert jobs.alive("run") == ["run-2"]
    assert jobs.alive() == ["other-1", "run-2"]


def test_of_two_that_ask_at_the_same_time_the_second_gets_the_job_of_the_first(dashboard: Cluster) -> None:
    dashboard.before = lambda job: dashboard.jobs.update({job: "RUNNING"})
    assert Jobs("http://there:8265").start("run", "true", {}) == ("run-1", True)
    assert dashboard.jobs == {"run-1": "RUNNING"}


def test_a_job_is_stopped_and_waited_for(dashboard: Cluster) -> None:
    jobs = Jobs("http://there:8265")
    job, _ = jobs.start("run", "true", {})
    jobs.stop(job)
    jobs.wait(job)
    assert dashboard.jobs == {"run-1": "STOPPED"}


def test_a_cluster_that_refuses_or_forgets_a_job_is_named(dashboard: Cluster) -> None:
    def refuse(job: str) -> None:
        raise RuntimeError("no room")

    dashboard.before = refuse
    jobs = Jobs("http://there:8265")
    with pytest.raises(JobError, match="cluster at 'http://there:8265' does not take the job run-1: no room"):
        jobs.start("run", "true", {})
    with pytest.raises(JobError, match="has lost the job run-1"):
        jobs.wait("run-1")
