"""Starts this process's Ray with time limits for a busy machine; a failed start leaves no processes.

Ray itself gives its node 30 seconds, which no setting changes, asks for it without a pause meanwhile, and forgets the
processes of a node that did not start. It also ends a node whose agent takes more than 15 seconds to come up: the Ray
of one process has no dashboard, so its agent is the small one, and a node that ended is started again.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

START_LIMIT = 600  # seconds
_PAUSE = 0.25  # seconds between two questions


@contextmanager
def patient_head() -> Iterator[None]:
    """In the block `ray.init` waits START_LIMIT seconds for its node, and ends its processes when that does not come.

    Raises:
        ChildProcessError: soon, when a process without which there is no node has ended.
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
