"""Every file of infra/ against the schema of who reads it, without Docker and without Kubernetes."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import compose_spec
import jsonschema
import kubernetes_validate
import pytest
import yaml

REPOSITORY = Path(__file__).parents[2]
INFRA = REPOSITORY / "infra"
KUBERAY = json.loads((Path(__file__).parent / "kuberay.schema.json").read_text())
PINS = (REPOSITORY / "constraints.txt").read_text()
VALUES = {  # the parts of the prefect-helm charts that may be set, as their values.yaml names them
    "prefect-server": {"global", "server", "backgroundServices", "redis", "postgresql", "secret"},
    "prefect-worker": {"worker"},
}


def _documents() -> list[Any]:
    """(file and kind, manifest) of each Kubernetes manifest."""
    files = [path for path in sorted((INFRA / "kubernetes").glob("*.yaml")) if ".values" not in path.name]
    return [
        pytest.param(one, id=f"{path.stem}-{one['kind']}")
        for path in files
        for one in yaml.safe_load_all(path.read_text())
    ]


def _clusters(of: Any) -> Iterator[dict[str, Any]]:
    """All cluster specifications in a manifest."""
    if isinstance(of, dict):
        if "headGroupSpec" in of:
            yield of
        for value in of.values():
            yield from _clusters(value)


@pytest.mark.parametrize("manifest", _documents())
def test_manifests_fit_their_schemas(manifest: dict[str, Any]) -> None:
    if manifest["apiVersion"] != "ray.io/v1":
        kubernetes_validate.validate(manifest, "1.32", strict=True)
        return
    jsonschema.validate(manifest, KUBERAY)
    for cluster in _clusters(manifest):
        assert f"ray=={cluster['rayVersion']}\n" in PINS
        for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
            pods = {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "x"}, "template": group["template"]}
            kubernetes_validate.validate(pods, "1.32", strict=True)
            spec = group["template"]["spec"]
            assert spec["securityContext"]["runAsNonRoot"]
            (node,) = spec["containers"]
            assert not node["securityContext"]["allowPrivilegeEscalation"]
            assert {"/tmp/ray", "/dev/shm"} <= {mount["mountPath"] for mount in node["volumeMounts"]}
            volumes = {volume["name"]: volume for volume in spec["volumes"]}
            assert {mount["name"] for mount in node["volumeMounts"]} == set(volumes)
            assert volumes["spill"]["emptyDir"]["sizeLimit"]


def test_a_wrong_field_of_kuberay_is_noticed() -> None:
    job = yaml.safe_load((INFRA / "kubernetes/rayjob.yaml").read_text())
    for change in ({"deletionPolicy": "DeleteSelf"}, {"ttlSecondsAfterFinished": 5}, {"clusterSelector": {"a": "b"}}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**job, "spec": job["spec"] | change}, KUBERAY)


def test_commands_in_manifests_are_ours() -> None:
    from flows import catalogue

    for name, of in (("rayjob", lambda spec: spec), ("raycronjob", lambda spec: spec["jobTemplate"])):
        spec = of(yaml.safe_load((INFRA / f"kubernetes/{name}.yaml").read_text())["spec"])
        program, verb, flow, option, recipe, *_ = spec["entrypoint"].split()
        assert (program, verb, option) == ("moviedreamer", "run", "--recipe")
        assert flow in catalogue.FLOWS
        assert recipe in catalogue.RECIPES


@pytest.mark.parametrize("chart", VALUES)
def test_helm_values_set_what_the_charts_have(chart: str) -> None:
    values = yaml.safe_load((INFRA / f"kubernetes/{chart}.values.yaml").read_text())
    assert set(values) <= VALUES[chart]
    assert "password" not in json.dumps(values).lower()


def test_secrets_are_named_and_never_written() -> None:
    named = set(re.findall(r"create secret generic (\S+)", (INFRA / "kubernetes/base.yaml").read_text()))
    used = set()
    for path in (INFRA / "kubernetes").glob("*.yaml"):
        text = "".join(line for line in path.read_text().splitlines(True) if not line.startswith("#"))
        used |= set(re.findall(r"(?:secretRef: \{name|secretName|existingSecret|create: false, name): ([\w-]+)", text))
    pool = (INFRA / "kubernetes/pool.json").read_text()
    used |= set(re.findall(r'"secretRef": \{"name": "([\w-]+)"', pool))
    assert used == named
    assert all(
        line.endswith("=") for line in (INFRA / "compose.env.example").read_text().splitlines() if line[0] != "#"
    )


def test_compose_parses_and_its_services_wait_for_what_is_there() -> None:
    text = (INFRA / "compose.yaml").read_text()
    plain = yaml.safe_load(text)
    composed = compose_spec.PyCompose.from_yaml(yaml.safe_dump(plain))  # anchors resolved
    assert set(composed.service_names()) == set(plain["services"])
    asked = set(re.findall(r"\$\{(\w+)", text))
    assert asked == set(re.findall(r"^(\w+)=", (INFRA / "compose.env.example").read_text(), re.MULTILINE))
    for service in plain["services"].values():
        assert set(service.get("depends_on", ())) <= set(plain["services"])
        for other, how in service.get("depends_on", {}).items():
            assert how["condition"] != "service_healthy" or "healthcheck" in plain["services"][other]
    assert f"moto=={plain['services']['s3']['image'].split(':')[1]}\n" in PINS


def test_the_cluster_launcher_takes_its_file() -> None:
    import ray

    schema = json.loads((Path(ray.__file__).parent / "autoscaler/ray-schema.json").read_text())
    file = yaml.safe_load((INFRA / "ray-cluster.yaml").read_text())
    jsonschema.validate(file, schema)
    assert file["head_node_type"] in file["available_node_types"]


def test_hadolint_has_nothing_to_say() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    said = subprocess.run([hadolint, "--no-color", INFRA / "Dockerfile"], capture_output=True, text=True, check=False)
    assert said.stdout + said.stderr == ""
    assert said.returncode == 0


def test_the_image_runs_as_a_user_and_copies_what_is_there() -> None:
    steps = _steps()
    targets = [words.split()[-1] for step, words in steps if step == "FROM"]
    assert targets == ["cpu", "cuda"]
    assert [words for step, words in steps if step == "USER"][-1] == "1000"
    for step, words in steps:
        if step == "COPY":
            *sources, _ = words.split()
            assert [source for source in sources if not (REPOSITORY / source).exists()] == []
    rooms = {words.split()[0] for step, words in steps if step == "COPY"}
    assert {"flows", "tasks", "models", "storage", "drawn", "prefect.yaml"} <= rooms


@pytest.mark.slow
def test_the_image_s_install_steps_work_in_a_clean_root(tmp_path: Path) -> None:
    for step, words in _steps():
        if step == "COPY":
            *sources, target = words.split()
            for source in sources:
                place = tmp_path / target if len(sources) == 1 and target != "./" else tmp_path / Path(source).name
                copy = shutil.copytree if (REPOSITORY / source).is_dir() else shutil.copy
                place.parent.mkdir(parents=True, exist_ok=True)
                copy(REPOSITORY / source, place)
        elif step == "RUN" and "apt-get" not in words:
            subprocess.run(words, shell=True, cwd=tmp_path, check=True)
    program = tmp_path / ".venv/bin/moviedreamer"
    told = subprocess.run([program, "list"], capture_output=True, text=True, cwd="/", check=True)
    assert "studio" in told.stdout
    shutil.rmtree(tmp_path)


def _steps() -> list[tuple[str, str]]:
    """(instruction, its words) of the Dockerfile."""
    text = re.sub(r"^#.*\n", "", (INFRA / "Dockerfile").read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in text.splitlines() if line]
