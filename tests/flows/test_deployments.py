"""prefect.yaml and infra/automations, read as Prefect reads them: no server is asked."""

import asyncio
import datetime
import json
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import kubernetes_validate
import pytest
import yaml
from prefect.cli.deploy._models import DeploymentConfig, PrefectYamlModel
from prefect.client.schemas.schedules import construct_schedule
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.server.schemas.schedules import CronSchedule
from prefect.utilities.callables import parameter_schema
from prefect.utilities.templating import apply_values
from typer.testing import CliRunner

from flows import catalogue
from flows.cli import app
from flows.settings.recipes import resolve

REPOSITORY = Path(__file__).parents[2]
FILE = yaml.safe_load((REPOSITORY / "prefect.yaml").read_text())
DEPLOYMENTS = PrefectYamlModel.model_validate(FILE).deployments
AUTOMATIONS = sorted((REPOSITORY / "infra/automations").glob("*.yaml"))
DIFFERENT = {(str(one.entrypoint), json.dumps(one.parameters)): one for one in DEPLOYMENTS}.values()
PLACES = {"laptop": "process", "gpu": "process", "cluster": "process", "docker": "docker", "docker-gpu": "docker"}


def _flow(deployment: DeploymentConfig) -> str:
    return str(deployment.entrypoint).rpartition(".")[2]


def _template(pool: str) -> dict[str, Any]:
    """The base job template of a pool: Prefect's own, or that of the manifests."""
    if pool.startswith("kubernetes"):
        return json.loads((REPOSITORY / "infra/kubernetes/pool.json").read_text())
    import prefect.server.api

    views = Path(prefect.server.api.__file__).parent / "collections_data/views/aggregate-worker-metadata.json"
    kinds = {kind: one for of in json.loads(views.read_text()).values() for kind, one in of.items()}
    return kinds[PLACES[pool]]["default_base_job_configuration"]


def test_every_flow_is_deployed_to_every_kind_of_place() -> None:
    names = {(_flow(one), one.name) for one in DEPLOYMENTS}
    assert len(names) == len(DEPLOYMENTS)
    for place in ("laptop", "docker", "kubernetes"):
        assert {flow for flow, name in names if name == place} == set(catalogue.FLOWS)
    on_gpus = set(catalogue.FLOWS) - {"data_card", "export_webdataset"}
    for place in ("gpu", "cluster", "docker-gpu", "kubernetes-gpu"):
        assert {flow for flow, name in names if name == place} == on_gpus
    for one in DEPLOYMENTS:
        assert one.entrypoint == f"flows.{catalogue.FLOWS[_flow(one)].module}.{_flow(one)}"
        assert one.work_pool is not None
        assert one.work_pool.name == one.name
        assert one.tags
        assert one.concurrency_limit == (None if one.name == "cluster" else 1)  # docs/faults.md says why


def test_pools_know_the_job_variables_of_their_deployments() -> None:
    for one in DEPLOYMENTS:
        assert one.work_pool is not None
        template, variables = _template(str(one.name)), one.work_pool.job_variables
        assert set(variables) <= set(template["variables"]["properties"])
        assert all(isinstance(value, str) for value in variables["env"].values())


@pytest.mark.parametrize("gpus", [0, 1])
def test_the_kubernetes_pool_makes_a_valid_job(gpus: int) -> None:
    template = _template("kubernetes")
    defaults = {name: one["default"] for name, one in template["variables"]["properties"].items() if "default" in one}
    values = defaults | {"name": "x", "image": "moviedreamer:cpu", "gpus": gpus, "labels": {}}
    job = apply_values(template["job_configuration"]["job_manifest"], values, remove_notset=False)
    (container,) = job["spec"]["template"]["spec"]["containers"]
    container |= {
        "env": [{"name": "A", "value": "b"}],
        "args": ["prefect", "flow-run", "execute"],
    }  # as the worker does
    kubernetes_validate.validate(job, "1.32", strict=True)
    assert container["resources"]["limits"]["nvidia.com/gpu"] == gpus


@pytest.mark.parametrize("name", catalogue.FLOWS)
def test_every_parameter_says_what_it_is(name: str) -> None:
    schema = parameter_schema(catalogue.flow(name)).model_dump()["properties"]
    assert {"recipe", "storage", "overrides"} <= set(schema)
    assert [parameter for parameter, about in schema.items() if not about.get("description")] == []
    assert [parameter for parameter, about in schema.items() if "default" not in about] == []


@pytest.mark.parametrize("one", DIFFERENT, ids=lambda one: f"{_flow(one)}-{one.name}")
def test_a_flow_gets_the_settings_that_show_prints(one: DeploymentConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A deployment's defaults and one parameter that its user changes: the others keep what the deployment says."""
    name, function = _flow(one), catalogue.flow(_flow(one))
    got: dict[str, Any] = {}

    class SeenError(Exception):
        pass

    def record(flow: str, recipe: str, storage: str, overrides: list[str], *given: Any) -> Any:
        got.update(flow=flow, storage=storage, recipe=resolve(recipe, overrides, catalogue.needs(flow)))
        raise SeenError

    monkeypatch.setattr(f"flows.{catalogue.FLOWS[name].module}.opened", record)
    changed = one.parameters | {"storage": "elsewhere"}
    with pytest.raises(SeenError):
        function.fn(**function.validate_parameters(changed))
    sets = [word for text in changed.get("overrides", []) for word in ("--set", text)]
    said = CliRunner().invoke(
        app, ["show", name, "--recipe", changed["recipe"], "--storage", "elsewhere", *sets, "--json"]
    )
    shown = json.loads(said.stdout)
    assert got["flow"] == shown["flow"] == name
    assert got["storage"] == shown["storage"]
    assert got["recipe"].model_dump(mode="json") == shown["recipe"]


@pytest.mark.parametrize(
    ("first", "last"), [("2027-03-20", "2027-04-05"), ("2027-10-20", "2027-11-10")], ids=["spring", "autumn"]
)
def test_schedules_fire_once_a_night_when_the_clocks_change(first: str, last: str) -> None:
    schedules = [(_flow(one), schedule) for one in DEPLOYMENTS for schedule in one.schedules or ()]
    assert {flow for flow, _ in schedules} == {"render_stories", "evaluate"}
    for _, schedule in schedules:
        assert schedule.timezone
        assert schedule.active is False
        zone = ZoneInfo(schedule.timezone)
        start, end = (datetime.datetime.fromisoformat(day).replace(tzinfo=zone) for day in (first, last))
        assert start.utcoffset() != end.utcoffset()
        plan = construct_schedule(cron=schedule.cron, timezone=schedule.timezone)
        dates = asyncio.run(CronSchedule(**plan.model_dump()).get_dates(start=start, end=end))
        local = [date.astimezone(zone) for date in dates]
        nights = (end.date() - start.date()).days
        assert [date.date() for date in local] == [start.date() + datetime.timedelta(days=day) for day in range(nights)]
        assert len({date.time() for date in local}) == 1


@pytest.mark.parametrize("path", AUTOMATIONS, ids=lambda path: path.stem)
def test_automations_are_what_prefect_takes(path: Path) -> None:
    automation = AutomationCore.model_validate(yaml.safe_load(path.read_text()))
    assert automation.name == path.stem
    assert automation.actions
    trigger = automation.trigger
    assert isinstance(trigger, EventTrigger)
    if path.stem == "zombies":
        beat = int(FILE["definitions"]["env"]["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"])
        assert trigger.posture == Posture.Proactive
        assert trigger.within == datetime.timedelta(seconds=540) > 4 * datetime.timedelta(seconds=beat)
        assert trigger.after <= trigger.expect
