"""The runs on a Prefect server: state, progress, duration, and reasons of failures."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

from rich.console import Console
from rich.table import Table

from flows.display.shown import shown
from storage.masked import masked
from storage.printable import LINE, printable
from tasks.shown import clock

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

_NEWEST = 20  # runs


class FlowRun(NamedTuple):
    """One run, with the progress of its stages from their artifacts and the message of its state, such as an error."""

    flow: str
    name: str
    state: str
    seconds: float
    stages: tuple[str, ...]
    said: str


def runs() -> list[FlowRun]:
    """The newest runs of our flows on the server of PREFECT_API_URL, running ones first."""
    from prefect import get_client
    from prefect.client.schemas.filters import FlowFilter, FlowFilterName, FlowRunFilter, FlowRunFilterStartTime
    from prefect.client.schemas.sorting import FlowRunSort

    from flows.catalogue import FLOWS

    began = FlowRunFilter(start_time=FlowRunFilterStartTime(is_null_=False))
    ours = FlowFilter(name=FlowFilterName(any_=list(FLOWS)))
    with get_client(sync_client=True) as client:
        found = client.read_flow_runs(
            flow_filter=ours, flow_run_filter=began, sort=FlowRunSort.START_TIME_DESC, limit=_NEWEST
        )
        stages = _stages(client, [run.id for run in found])
        names = {run.flow_id: client.read_flow(run.flow_id).name for run in found}
    listed = []
    for run in found:
        assert run.start_time is not None
        end = run.end_time or datetime.now(UTC)
        state = run.state_name or ""
        said = masked(run.state.message or "") if run.state and not run.state.is_completed() else ""
        seconds = (end - run.start_time).total_seconds()
        listed.append(FlowRun(names[run.flow_id], run.name, state, seconds, tuple(stages.get(run.id, ())), said))
    return sorted(listed, key=lambda run: run.state != "Running")


def _stages(client: "SyncPrefectClient", of: Sequence[UUID]) -> dict[UUID, list[str]]:
    """Run -> its progress artifacts, oldest first."""
    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId, ArtifactFilterType
    from prefect.client.schemas.sorting import ArtifactSort

    wanted = ArtifactFilter(
        flow_run_id=ArtifactFilterFlowRunId(any_=list(of)), type=ArtifactFilterType(any_=["progress"])
    )
    found: dict[UUID, list[str]] = {}
    for one in reversed(client.read_artifacts(artifact_filter=wanted, sort=ArtifactSort.CREATED_DESC)):
        if one.flow_run_id:
            found.setdefault(one.flow_run_id, []).append(f"{one.data:g} % {one.description or one.key}")
    return found


def show(found: Sequence[FlowRun], console: Console) -> None:
    """Prints the runs as a table: the stages of running ones, the reason of failed ones."""
    table = Table("flow", "run", "state", "time", "progress, or error", title="Runs", title_justify="left")
    for run in found:
        table.add_row(run.flow, shown(run.name), shown(run.state), clock(run.seconds), "\n".join(_told(run)))
    console.print(table if found else "no run has started on this Prefect server")


def _told(run: FlowRun) -> Iterator[str]:
    if run.said:
        yield shown(printable(run.said, LINE))
    last = run.stages if run.state == "Running" else run.stages[-1:]
    yield from (shown(printable(stage, LINE)) for stage in last)
