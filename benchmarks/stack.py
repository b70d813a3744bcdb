"""A whole installation on this machine, whose parts can be killed: Postgres, a Prefect server with a process pool and a
worker, a Ray head and two nodes with addresses of their own, an S3 server.

Postgres is taken where `initdb` and `pg_ctl` are installed, else SQLite. Everything is in one folder and on free ports
of the loopback network.
"""

import ast
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from faulty_s3 import Proxy, proxied

BIN = Path(sys.executable).parent
REPOSITORY = Path(__file__).parents[1]
HEAD = "127.0.0.4"
NODES = ("127.0.0.2", "127.0.0.3")
KINDS = ("job", "s3", "disk", "process", "clock")
"""Of deployments: a Ray job, whatever its storage; a process that is a driver on the cluster; one with its own Ray."""
_WORK = ("ray::Map", "ray::RayTrain", "ray::TrainController")
_JUMPING_CLOCK = REPOSITORY / "benchmarks/jumping_clock.c"
_LIMIT = 600.0  # seconds for any part to start
_AGENT_PORTS = ("dashboard-agent-listen", "dashboard-agent-grpc", "runtime-env-agent", "metrics-export")
"""Of a node's agents: Ray ends a node that waits 15 seconds for a port that is not given, and always waits for the
first."""


def free_port() -> int:
    """Below those that the system gives to outgoing connections, and above Ray's workers'."""
    while _listens(port := random.randrange(20_000, 32_000)):
        pass
    return port


def until(ready: Callable[[], object], what: str, seconds: float = _LIMIT) -> float:
    """Seconds until `ready` says so."""
    began = time.monotonic()
    while not ready():
        if time.monotonic() - began > seconds:
            raise TimeoutError(f"{what}: not within {seconds:g} s")
        time.sleep(0.1)
    return time.monotonic() - began


@dataclass
class Stack:
    """The parts, by name, and what runs in them gets as its environment."""

    folder: Path
    processes: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    postgres: str = ""
    closing: ExitStack = field(default_factory=ExitStack)
    proxy: Proxy = field(init=False)
    small_disk: Path = field(init=False)

    def __post_init__(self) -> None:
        self.prefect, self.gcs, self.dashboard, self.s3, self.database = (free_port() for _ in range(5))
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "RAY_", "AWS_"))}
        self.environment = clean | {
            "PREFECT_HOME": str(self.folder / "prefect"),
            "PREFECT_API_URL": f"http://127.0.0.1:{self.prefect}/api",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_SERVER_DATABASE_TIMEOUT": "60",
            "PREFECT_SERVER_UI_ENABLED": "false",
            "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
            "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
            "PREFECT_WORKER_QUERY_SECONDS": "2",
            "DO_NOT_TRACK": "1",
            "RAY_AUTH_MODE": "disabled",
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_TMPDIR": str(self.folder / "r"),
            "RAY_agent_register_timeout_ms": str(int(_LIMIT * 1000)),
            "RAY_worker_register_timeout_seconds": str(int(_LIMIT)),
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.s3}",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": "us-east-1",
            "AWS_ALLOW_HTTP": "true",
            "OMP_NUM_THREADS": "1",
            "PATH": f"{BIN}{os.pathsep}{clean.get('PATH', '')}",
            "PYTHONPATH": os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "benchmarks")]),
        }

    def begin(self, part: str, *command: str | Path, **more: str) -> None:
        """Starts a part's process, in a session of its own."""
        with (self.folder / f"{part}.log").open("ab") as log:
            self.processes[part] = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd=self.folder,
                env=self.environment | more,
            )

    def kill(self, part: str, how: int = signal.SIGKILL, group: bool = False) -> None:
        process = self.processes.pop(part)
        with suppress(ProcessLookupError):
            (os.killpg if group else os.kill)(process.pid, how)
        process.wait()

    def start_postgres(self) -> None:
        """A cluster of the user postgres, since Postgres refuses root."""
        if not (shutil.which("initdb") and shutil.which("pg_ctl")):
            return
        data = self.folder / "postgres"
        data.mkdir()
        shutil.chown(data, "postgres")
        self.as_postgres("initdb", "-D", str(data), "-A", "trust", "-E", "UTF8")
        self.postgres = str(data)
        self.control_postgres("start")
        url = f"postgresql+asyncpg://postgres@127.0.0.1:{self.database}/postgres"
        self.environment["PREFECT_SERVER_DATABASE_CONNECTION_URL"] = url

    def control_postgres(self, action: str, *more: str) -> None:
        options = f"-p {self.database} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self.postgres}"
        log = str(Path(self.postgres) / "log")
        self.as_postgres("pg_ctl", "-D", self.postgres, "-o", options, "-l", log, "-w", *more, action)

    def as_postgres(self, *command: str) -> None:
        user = ("runuser", "-u", "postgres", "--") if os.getuid() == 0 else ()
        with (self.folder / "postgres.log").open("ab") as log:
            subprocess.run([*user, *command], check=True, stdout=log, stderr=log, cwd=self.folder)

    def start_prefect(self) -> None:
        self.begin("server", BIN / "prefect", "server", "start", "--port", str(self.prefect))
        until(self.prefect_answers, "the Prefect server")

    def prefect_answers(self) -> bool:
        try:
            self.call("/health")
        except OSError:
            return False
        return True

    def start_worker(self) -> None:
        name = f"worker-{time.time_ns()}"
        self.begin("worker", BIN / "prefect", "worker", "start", "--pool", "faults", "--name", name)

    def start_ray(self) -> None:
        (self.folder / "r").mkdir(exist_ok=True)
        self.start_node(HEAD)
        until(lambda: _listens(self.dashboard), "Ray's dashboard")
        for address in NODES:
            self.start_node(address)

    def start_node(self, address: str) -> None:
        """A node that is up, however long it takes."""
        command = (BIN / "ray", "start", "--block", "--node-ip-address", address)
        where = ["--address", f"{HEAD}:{self.gcs}"]
        if address == HEAD:
            where = ["--head", "--port", str(self.gcs), "--dashboard-port", str(self.dashboard)]
        size = ["--num-cpus", "0" if address == HEAD else "4", "--object-store-memory", str(128 << 20)]
        log = self.folder / f"{address}.log"

        def started() -> bool:
            if address in self.processes and self.processes[address].poll() is not None:
                self.kill(address, group=True)
            if address not in self.processes:
                log.unlink(missing_ok=True)
                ports = [word for name in _AGENT_PORTS for word in (f"--{name}-port", str(free_port()))]
                self.begin(address, *command, *where, *size, *ports)

            return "Ray runtime started" in log.read_text()

        until(started, f"the Ray node {address}")

    def raylets(self) -> dict[str, int]:
        """Node's address -> id of its raylet's process, of those that live."""
        found = {}
        for process, command in commands():
            if "/raylet" in command[0] and f"{HEAD}:{self.gcs}" in " ".join(command):
                address = next(part.partition("=")[2] for part in command if part.startswith("--node_ip_address="))
                found[address] = process
        return found

    def ray_workers(self) -> list[int]:
        """Ids of the processes on the two nodes that work for a job."""
        raylets = {process for address, process in self.raylets().items() if address in NODES}
        working = [process for process, command in commands() if command[0].startswith(_WORK)]
        return [process for process in working if _parent(process) in raylets]

    def drivers(self, flow_run: str) -> list[int]:
        """Ids of the processes in which a flow run's flow runs."""
        mark = f"PREFECT__FLOW_RUN_ID={flow_run}"
        return [
            process
            for process, command in commands()
            if "prefect.engine" in command and (mark in environment(process) or flow_run in command)
        ]

    def waiting(self, flow_run: str) -> list[int]:
        """Ids of the processes that wait for a flow run's Ray job."""
        mark = f"PREFECT__FLOW_RUN_ID={flow_run}"
        return [
            process
            for process, command in commands()
            if command[-1] == "flows.server.ray_job" and mark in environment(process)
        ]

    def call(self, path: str, body: Any = None, method: str = "") -> Any:
        """What the Prefect server answers."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(
            f"{self.environment['PREFECT_API_URL']}{path}", data, headers, method=method or None
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read() or b"null")

    def state(self, flow_run: str) -> str:
        """The state's type; "" while the server doesn't answer."""
        try:
            return str(self.call(f"/flow_runs/{flow_run}")["state"]["type"])
        except OSError:
            return ""

    def age(self, flow_run: str) -> float:
        """Seconds for which it has been in its state; 0 while the server doesn't answer."""
        try:
            since = datetime.fromisoformat(self.call(f"/flow_runs/{flow_run}")["state"]["timestamp"])
        except OSError:
            return 0.0
        return (datetime.now(UTC) - since).total_seconds()

    def placement_groups(self) -> list[str]:
        """Ids of those that hold or want resources."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.dashboard}/api/v0/placement_groups", timeout=60) as answer:
            groups = json.load(answer)["data"]["result"]["result"]
        return [group["placement_group_id"] for group in groups if group["state"] != "REMOVED"]

    def jobs(self) -> dict[str, str]:
        """Ray job -> its status."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.dashboard}/api/jobs/", timeout=60) as answer:
            return {str(job["submission_id"]): str(job["status"]) for job in json.load(answer) if job["submission_id"]}

    def deploy(self, entrypoint: str, kind: str) -> str:
        """The id of a deployment of a flow, for the worker."""
        flow = self.call("/flows/", {"name": entrypoint.rpartition(".")[2]})["id"]
        environment, command = {"RAY_ADDRESS": f"http://127.0.0.1:{self.dashboard}"}, "flows.server.ray_job"
        if kind == "process":
            environment, command = {"RAY_ADDRESS": f"{HEAD}:{self.gcs}"}, "prefect.engine"
        elif kind == "clock":
            offset, library = self.folder / "clock", self.folder / "clock.so"
            offset.write_bytes(bytes(8))
            subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", library, _JUMPING_CLOCK], check=True)
            environment = {"LD_PRELOAD": str(library), "CLOCK_OFFSET": str(offset)}
            command = "prefect.engine"
        variables = {"env": environment, "command": f"{sys.executable} -m {command}"}
        step = {"prefect.deployments.steps.set_working_directory": {"directory": str(self.folder)}}
        body = {"name": kind, "flow_id": flow, "entrypoint": entrypoint, "pull_steps": [step]}
        body |= {"work_pool_name": "faults", "job_variables": variables, "enforce_parameter_schema": False}
        return str(self.call("/deployments/", body)["id"])

    def run(self, deployment: str, parameters: dict[str, Any]) -> str:
        """The id of a new flow run."""
        body = {"parameters": parameters, "state": {"type": "SCHEDULED"}}
        return str(self.call(f"/deployments/{deployment}/create_flow_run", body)["id"])

    def start_s3(self) -> None:
        behind = free_port()
        self.begin("s3", BIN / "moto_server", "-p", str(behind))
        until(lambda: _listens(behind), "the S3 server")
        self.proxy = self.closing.enter_context(proxied(f"127.0.0.1:{behind}", self.s3))
        bucket = f"http://127.0.0.1:{self.s3}/faults"
        urllib.request.urlopen(urllib.request.Request(bucket, method="PUT"), timeout=60).close()

    def mount(self) -> None:
        """A disk of 32 MiB, where this user may mount one."""
        self.small_disk = self.folder / "disk"
        self.small_disk.mkdir()
        if os.getuid() == 0:
            subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", self.small_disk], check=True)
            self.closing.callback(subprocess.call, ["umount", "-l", str(self.small_disk)])

    def start(self) -> None:
        self.start_s3()
        self.mount()
        self.start_postgres()
        self.start_prefect()
        self.call("/work_pools/", {"name": "faults", "type": "process", "base_job_template": _template()})
        self.start_ray()
        self.start_worker()

    def stop(self) -> None:
        for part in [*self.processes]:
            self.kill(part, signal.SIGTERM if part == "server" else signal.SIGKILL, group=True)
        self.closing.close()
        if self.postgres:
            self.control_postgres("stop", "-m", "immediate")
        mark = str(self.folder).encode()
        for process, _ in commands():
            with suppress(OSError):
                if process != os.getpid() and mark in Path(f"/proc/{process}/environ").read_bytes():
                    os.kill(process, signal.SIGKILL)


@contextmanager
def stack(folder: Path) -> Iterator[Stack]:
    """All parts, which end with the block."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    parts = Stack(folder)
    try:
        parts.start()
        yield parts
    finally:
        parts.stop()


def commands() -> Iterator[tuple[int, list[str]]]:
    """Id and command line of each process of this machine."""
    for place in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if command := (place / "cmdline").read_bytes().rstrip(b"\0").decode(errors="replace").split("\0"):
                yield int(place.name), command


def environment(process: int) -> list[str]:
    """NAME=value each, as the process was started with; none of one that has gone."""
    with suppress(OSError):
        return Path(f"/proc/{process}/environ").read_bytes().decode(errors="replace").split("\0")
    return []


def family(process: int) -> list[int]:
    """Its id, and those of all that descend from it."""
    found, children = [process], {child: _parent(child) for child, _ in commands()}
    for member in found:
        found += [child for child, parent in children.items() if parent == member]
    return found


def _parent(process: int) -> int:
    with suppress(OSError):
        return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
    return 0


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def _template() -> Any:
    """The process pool's own template, as its class has it."""
    code = "from prefect.workers.process import ProcessWorker; print(ProcessWorker.get_default_base_job_template())"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return ast.literal_eval(ran.stdout.splitlines()[-1])
