"""What is asked of the Ray of this machine."""

import os
import subprocess
import sys
import tempfile
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from tasks import cluster as cluster_module
from tasks import head, progress
from tasks.cluster import ClusterConfig, ClusterError, cluster_address, connect, dashboard, require_gpus


def test_gpus_that_ray_would_wait_for_are_told_with_the_settings_that_ask(
    cluster: ClusterConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ClusterError, match=r"fit.workers=500 of fit.gpus=2 take 1000 GPUs, this machine has \d+: set"):
        require_gpus(cluster, 1000, "fit.workers=500 of fit.gpus=2")
    require_gpus(cluster, 0, "nothing")
    monkeypatch.setenv("RAY_ADDRESS", "there:6379")
    require_gpus(cluster, 1000, "a cluster may grow")


def _run(program: str, *arguments: str, **names: str) -> str:
    """What a program prints that begins without a Ray."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    command = [sys.executable, "-c", textwrap.dedent(program), *arguments]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, env=clean | names, check=True).stdout


@pytest.fixture(scope="module")
def short_path() -> Iterator[Path]:
    """A folder for Ray's sockets, whose paths have a limit."""
    with tempfile.TemporaryDirectory(prefix="md", dir="/tmp", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def failed_and_next(short_path: Path) -> list[str]:
    """What a process says of a start that fails, of what is left then, and of its next start; another Ray was here."""
    (short_path / "ray").mkdir()
    (short_path / "ray" / "ray_current_cluster").write_text("127.0.0.1:9")  # where `ray start --head` ran
    program = """
        import os, sys
        from pathlib import Path
        from ray._private import services
        from tasks import cluster, head

        def children():
            tasks = Path(f"/proc/{os.getpid()}/task").iterdir()
            return [child for task in tasks for child in (task / "children").read_text().split()]

        def never(gcs_address, node_id):
            if not children():
                print("no child")
            raise RuntimeError("not yet")

        small = cluster.ClusterConfig(cpus=2, object_store_mb=128)
        head.START_LIMIT, get_node, services.get_node = 0, services.get_node, never
        try:
            cluster.connect(small)
        except cluster.ClusterError as error:
            print(error)
        print("left:", *children())
        services.get_node = get_node
        cluster.connect(small)
        import ray
        print("own:", ray.cluster_resources()["CPU"], Path(ray._private.worker._global_node.get_session_dir_path()))
    """
    return _run(program, RAY_TMPDIR=str(short_path)).splitlines()


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
def test_a_start_that_fails_leaves_no_process(failed_and_next: list[str]) -> None:
    failed, left, _ = failed_and_next
    assert failed == "Ray does not start on this machine: it is not up after 0 s; is the machine overloaded?"
    assert left == "left:"


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
def test_a_start_ignores_another_ray(failed_and_next: list[str], short_path: Path) -> None:
    assert failed_and_next[-1].startswith(f"own: 2.0 {short_path}/ray/session_")


def test_a_head_that_takes_long_is_waited_for_and_a_raylet_that_ended_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    from ray._private import node, services

    answers = iter([RuntimeError(), RuntimeError(), {"node_manager_port": 1}])
    ended: list[tuple[str, SimpleNamespace]] = []

    class Node:
        def __init__(self) -> None:
            self.dead_processes = lambda: ended
            self.get_logs_dir_path = lambda: "/logs"
            self.info = services.get_node("here:1", "id")

        def kill_all_processes(self, **options: bool) -> None:
            killed.append(self)

    def get_node(gcs_address: str, node_id: str) -> dict[str, int]:
        answer = next(answers)
        if isinstance(answer, RuntimeError):
            raise answer
        return answer

    killed: list[Node] = []
    monkeypatch.setattr(node, "Node", Node)
    monkeypatch.setattr(services, "get_node", get_node)
    monkeypatch.setattr(head, "_PAUSE", 0)
    with head.patient_head():
        assert node.Node().info == {"node_manager_port": 1}
    assert (node.Node, services.get_node, killed) == (Node, get_node, [])
    answers = iter([RuntimeError()])
    ended.append(("raylet", SimpleNamespace(returncode=-6)))
    with pytest.raises(OSError, match=r"its raylet ended with -6; see /logs/raylet\.err"), head.patient_head():
        node.Node()
    assert len(killed) == 1


def test_a_head_knows_the_ports_of_its_agents_before_they_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from ray._private import node

    class Node:
        node_id = "0" * 56

        def __init__(self) -> None:
            self._ray_params = SimpleNamespace(runtime_env_agent_port=None)
            self.start_ray_processes()

        def get_session_dir_path(self) -> str:
            return str(tmp_path)

        def start_ray_processes(self) -> None:
            self.port = self._ray_params.runtime_env_agent_port

    monkeypatch.setattr(node, "Node", Node)
    with head.patient_head():
        assert node.Node().port in range(20_000, 32_000)
    names = ("dashboard_agent_listen", "metrics_agent", "metrics_export")
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {
        f"{name}_port_{Node.node_id}": "-1" for name in names
    }


def test_two_trainings_that_begin_together_start_one_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    started: list[ClusterConfig] = []
    both = threading.Barrier(2)

    def start(config: ClusterConfig) -> None:
        started.append(config)

    def begin() -> None:
        both.wait()
        connect(ClusterConfig())

    monkeypatch.setattr(cluster_module, "_start", start)
    monkeypatch.setattr(ray, "is_initialized", lambda: bool(started))
    threads = [threading.Thread(target=begin) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(started) == 1


@pytest.mark.parametrize("address", ["", " ", "local"])
def test_an_address_that_names_no_cluster_is_this_machine(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("RAY_ADDRESS", address)
    assert cluster_address() == ""


def test_a_folder_of_another_user_is_named_with_its_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    def init(**options: object) -> None:
        assert options["address"] == "local"
        raise PermissionError(13, "Permission denied", "/tmp/ray/session")

    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with pytest.raises(ClusterError, match="Permission denied: '/tmp/ray/session'; set RAY_TMPDIR to a folder of your"):
        connect(ClusterConfig())


def test_a_cluster_that_does_not_answer_is_named_while_it_is_waited_for_and_given_up(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    import ray

    told, over = threading.Event(), threading.Event()
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:9")
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr("ray._raylet.GcsClient", lambda address: over.wait())
    monkeypatch.setattr(cluster_module, "_JOIN_LIMIT", 0.5)
    monkeypatch.setattr(progress, "_SOON", 0)

    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)
        told.set()

    given_up = r"'127\.0\.0\.1:9' did not answer within 0\.5 s: set RAY_ADDRESS to"
    with progress.telling(say), pytest.raises(ClusterError, match=given_up):
        connect(ClusterConfig())
    over.set()
    assert told.is_set()
    waited = "waiting for the Ray cluster at RAY_ADDRESS='127.0.0.1:9' (0 s of at most 0.5)\n"
    assert capfd.readouterr().err == waited


MALFORMED = ["127.0.0.1:99999", "there:0", "there", "there:", ":6379", "there:port", "there:6379/path", "::1:6379"]


@pytest.mark.parametrize(
    "address", [*MALFORMED, "me@there:6379", "two there:6379", "ray://there:123456", "ray://there"]
)
def test_a_malformed_address_is_refused_before_anything_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", address)
    monkeypatch.setattr(cluster_module, "_join", lambda address: pytest.fail("it is waited for"))
    with pytest.raises(
        ClusterError, match="is not host:port with a port from 1 to 65535: set RAY_ADDRESS to the host:port of"
    ):
        connect(ClusterConfig())


@pytest.mark.parametrize("address", ["auto", "there:6379", "[::1]:65535", "ray://there.example:10001", "http://there"])
def test_other_addresses_are_tried(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    import ray

    tried: list[str] = []
    monkeypatch.setenv("RAY_ADDRESS", address)
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(cluster_module, "_join", tried.append)
    connect(ClusterConfig())
    assert tried == [address]


@pytest.mark.parametrize("fault", [ValueError("Invalid address format: there"), RuntimeError("Version mismatch: 2.9")])
def test_a_cluster_that_cannot_be_joined_says_why(monkeypatch: pytest.MonkeyPatch, fault: Exception) -> None:
    import ray

    def init(address: str, **options: object) -> None:
        raise fault

    monkeypatch.setenv("RAY_ADDRESS", "there:1")
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    monkeypatch.setattr(cluster_module, "_await_head", lambda address: None)
    with pytest.raises(ClusterError, match=f"cannot join the Ray cluster at RAY_ADDRESS='there:1': {fault}; set RAY"):
        connect(ClusterConfig())


def test_the_ray_of_this_machine_has_the_small_agent_and_no_dashboard(cluster: ClusterConfig) -> None:
    from ray._private import utils

    before = utils.get_dashboard_dependency_error
    with head.patient_head():
        assert isinstance(utils.get_dashboard_dependency_error(), ImportError)
    assert utils.get_dashboard_dependency_error is before
    connect(cluster)
    assert dashboard() == ""


@pytest.mark.parametrize(("ends", "starts"), [(2, 3), (3, 3)])
def test_a_node_that_ends_while_it_starts_is_started_again_but_not_for_ever(
    monkeypatch: pytest.MonkeyPatch, ends: int, starts: int
) -> None:
    import ray

    tried = []

    def init(**options: object) -> None:
        tried.append(options)
        if len(tried) <= ends:
            raise ChildProcessError("its raylet ended with -6")

    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    if ends < 3:
        cluster_module._start(ClusterConfig())
    else:
        with pytest.raises(ClusterError, match="Ray does not start on this machine: its raylet ended with -6"):
            cluster_module._start(ClusterConfig())
    assert len(tried) == starts
