"""Starts Ray on this machine with time limits for a busy machine; a failed start leaves no processes.

Ray waits 30 seconds for its node, which no setting changes, polls without a pause, and leaves the processes of a node
that did not start. It also ends a node whose agents take more than 15 seconds to report their ports. Here the ports are
known before: the dashboard's agent, which is the small one without a dashboard, has none, and the other one's is drawn.
A node that ended, as when that port was taken meanwhile, is started again.
"""

import random
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

START_LIMIT = 600  # seconds
_PAUSE = 0.25  # seconds between two polls
_PORTS = range(20_000, 32_000)  # above Ray's workers', below those that the system gives to outgoing connections


@contextmanager
def patient_head() -> Iterator[None]:
    """Inside the block, `ray.init` waits START_LIMIT seconds for its node, and ends its processes if it fails.

    Raises:
        ChildProcessError: an essential process of the node has ended.
    """
    from ray._private import node, services, utils
    from ray._raylet import (  # type: ignore[attr-defined]
        DASHBOARD_AGENT_LISTEN_PORT_NAME,
        METRICS_AGENT_PORT_NAME,
        METRICS_EXPORT_PORT_NAME,
        persist_port,
    )

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

        def start_ray_processes(self) -> None:
            for name in (METRICS_AGENT_PORT_NAME, METRICS_EXPORT_PORT_NAME, DASHBOARD_AGENT_LISTEN_PORT_NAME):
                persist_port(self.get_session_dir_path(), self.node_id, name, -1)
            self._ray_params.runtime_env_agent_port = _free_port()
            super().start_ray_processes()

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


def _free_port() -> int:
    while True:
        port = random.SystemRandom().choice(_PORTS)  # another in each run, whatever its seed
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return port
