"""Starts this process's Ray with time limits for a busy machine; a failed start leaves no processes.

Ray itself gives its node 30 seconds, which no setting changes, asks for it without a pause meanwhile, and forgets the
processes of a node that did not start.
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
        RuntimeError: at once, when a process without which there is no node has ended.
    """
    from ray._private import node, services

    ray_node, get_node = node.Node, services.get_node
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
                        raise OSError(f"its {name} ended with {process.returncode}; see {logs}/{name}.err") from error
                if time.monotonic() > deadline:
                    raise TimeoutError(f"it is not up after {START_LIMIT} s; is the machine overloaded?") from error
                time.sleep(_PAUSE)

    node.Node, services.get_node = Head, patient
    try:
        yield
    finally:
        node.Node, services.get_node = ray_node, get_node
