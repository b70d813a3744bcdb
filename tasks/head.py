"""Starts Ray on this machine with time limits for a busy machine; a failed start leaves no processes.

Ray waits 30 seconds for its node, which no setting changes, polls without a pause, and leaves the processes of a node
that did not start. It also ends a node whose agent takes more than 15 seconds to start. Here Ray has no dashboard, so
its agent is the small one, and a node that ended is started again.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

START_LIMIT = 600  # seconds
_PAUSE = 0.25  # seconds between two polls


@contextmanager
def patient_head() -> Iterator[None]:
    """Inside the block, `ray.init` waits START_LIMIT seconds for its node, and ends its processes if it fails.

    Raises:
        ChildProcessError: an essential process of the node has ended.
    """
    from ray._private import node, services, utils

    ray_node, get_node, missing = node.Node, services.get_node, utils.get_dashboard_dependency_error
    starting: list[Any] = []

    class Head(ray_node):  # type: ignore[misc, valid-type]
        def __init__(self, *arguments: Any, **options: Any) -> None:
            starting.append(self)
            try:
                super().__init__(*arguments, **options)
            except BaseException:
                self.kill_all_processes(check_alive=False, wait=True)
                raise

    def patient(gcs_address: str, node_id: str) -> dict[str, Any]:
        deadline = time.monotonic() + START_LIMIT
        while True:
            try:
                return dict(get_node(gcs_address, node_id))
            except RuntimeError as error:
                for name, process in starting[-1].dead_processes():
                    if name in ("raylet", "gcs_server"):
                        logs = starting[-1].get_logs_dir_path()
                        raise ChildProcessError(
                            f"its {name} ended with {process.returncode}; see {logs}/{name}.err"
                        ) from error
                if time.monotonic() > deadline:
                    raise TimeoutError(f"it is not up after {START_LIMIT} s; is the machine overloaded?") from error
                time.sleep(_PAUSE)

    def without_dashboard() -> ImportError:
        return ImportError("not wanted")

    node.Node, services.get_node, utils.get_dashboard_dependency_error = Head, patient, without_dashboard
    try:
        yield
    finally:
        node.Node, services.get_node, utils.get_dashboard_dependency_error = ray_node, get_node, missing
