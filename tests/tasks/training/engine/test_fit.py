import faulthandler
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file

from storage import checkpoints
from storage.decoding.pictures import decode
from storage.errors import StorageError
from storage.root import Storage
from tasks.cluster import ClusterConfig
from tasks.progress import silent
from tasks.training.engine import fit as fit_module
from tasks.training.engine.fit import TrainingError, fit
from tasks.training.engine.job import FitConfig, Job
from tasks.training.engine.not_finite import DivergedError
from tasks.training.engine.training_loop import Run, train
from tests.tasks.toy_training import STEPS, Toy, autoencoder, seen

TOY = Path(__file__).parents[2] / "toy_training.py"
FINAL = "checkpoints/toy/0/final"
ALONE = FitConfig(workers=0, checkpoint_every=5)
TWO = FitConfig(workers=2, checkpoint_every=5)


def fit_apart(root: Path, config: FitConfig = ALONE, kills: str = "[]") -> int:
    """In a process of its own, which it may kill."""
    return subprocess.run([sys.executable, TOY, root, config.model_dump_json(), kills]).returncode


def fit_here(root: Path, make=Toy, config: FitConfig = ALONE, progress=silent) -> str:
    return fit(Storage(str(root)), "toy", "0", make, config, ClusterConfig(), progress)


def result(root: Path) -> tuple[bytes, bytes]:
    return (root / FINAL / "weights.pt").read_bytes(), (root / FINAL / "curve.jsonl").read_bytes()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    root = tmp_path_factory.mktemp("undisturbed")
    assert fit_here(root) == FINAL
    return root


def test_a_finished_training_is_not_repeated(undisturbed):
    def never():
        raise AssertionError("built again")

    assert fit_here(undisturbed, never) == FINAL


def test_the_curve_has_every_step_once(undisturbed):
    lines = (undisturbed / FINAL / "curve.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == list(range(STEPS))


def test_what_led_to_the_result_is_dropped_but_its_curves(undisturbed):
    assert Storage(str(undisturbed)).list("checkpoints/toy/0") == ["final", "tensorboard"]


def test_killed_twice_and_run_again_equals_undisturbed_bit_for_bit(undisturbed, tmp_path):
    kills = '[[7, "driver"], [18, "driver"]]'
    assert fit_apart(tmp_path, kills=kills) < 0
    assert checkpoints.finished(Storage(str(tmp_path)), "toy", "0") is None
    assert fit_apart(tmp_path, kills=kills) < 0
    assert fit_here(tmp_path) == FINAL
    assert result(tmp_path) == result(undisturbed)


def test_each_step_of_a_worker_has_a_limit_that_the_next_one_begins_anew(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(
        faulthandler, "dump_traceback_later", lambda seconds, **more: calls.append((seconds, more["exit"]))
    )
    monkeypatch.setattr(faulthandler, "cancel_dump_traceback_later", lambda: calls.append("over"))
    train(Job(Storage(str(tmp_path)), "toy", "0", Toy, ALONE), patience=60.0)
    assert calls == [(60.0, True)] * (STEPS + 1) + ["over"]


def test_half_a_checkpoint_does_not_count(undisturbed, tmp_path):
    with pytest.raises(RuntimeError, match="broken"):
        fit_here(tmp_path, lambda: Toy(breaks_at=12))
    storage, runs = Storage(str(tmp_path)), "checkpoints/toy/0"
    storage.write_bytes(f"{runs}/000020/state.pt", storage.read_bytes(f"{runs}/000010/state.pt")[:100])
    assert fit_here(tmp_path) == FINAL
    assert result(tmp_path) == result(undisturbed)


@pytest.mark.slow
def test_ray_starts_a_dead_worker_again_and_a_dead_driver_resumes(tmp_path):
    calm, killed = tmp_path / "calm", tmp_path / "killed"
    assert (
        fit_here(calm, lambda: Toy(notes=str(made(calm))), TWO.model_copy(update={"workers": 0, "batches": 2})) == FINAL
    )
    kills = '[[7, "worker"], [18, "driver"]]'
    assert fit_apart(killed, TWO, kills) < 0
    assert fit_apart(killed, TWO, kills) == 0
    assert seen(killed) == seen(calm)
    assert result(killed) == result(calm)


@pytest.mark.slow
def test_with_fewer_slots_than_workers_an_elastic_training_goes_on_with_what_there_is(tmp_path):
    calm, elastic = tmp_path / "calm", tmp_path / "elastic"
    assert fit_here(calm, lambda: Toy(notes=str(made(calm))), ALONE.model_copy(update={"batches": 8})) == FINAL
    more = FitConfig(workers=8, min_workers=1, checkpoint_every=5)  # the toy's cluster has four slots
    assert fit_apart(elastic, more) == 0
    assert seen(elastic) == seen(calm)
    losses = [[row["loss"] for row in fit_module.curve(Storage(str(root)), FINAL)] for root in (calm, elastic)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)


def made(root: Path) -> Path:
    notes = root / "notes"
    notes.mkdir(parents=True)
    return notes


def test_a_loss_that_is_not_finite_stops_with_its_step_and_keeps_the_batch(tmp_path):
    with pytest.raises(TrainingError, match=r"at step 4.*lower the learning rate.*000004-0.safetensors"):
        fit_here(tmp_path, lambda: Toy(diverges_at=4))


def test_a_loss_that_is_not_finite_moves_no_parameter(tmp_path):
    run = Run(Job(Storage(str(tmp_path)), "toy", "0", lambda: Toy(diverges_at=4), ALONE), Toy(diverges_at=4), 0, 1)
    states, stepped = [], run.trainable.stepped

    def note(step):
        states.append({name: value.clone() for name, value in run.trainable.module.named_parameters()})
        stepped(step)

    run.trainable.stepped = note
    with pytest.raises(DivergedError, match="at step 4"):
        run.go()
    before, after = states[3], states[4]
    assert not torch.equal(states[2]["last.weight"], before["last.weight"])
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_data_that_is_not_finite_is_named_with_the_file_that_has_it(tmp_path):
    with pytest.raises(TrainingError, match=r"its data is not finite: 0\.x in '(.*)'\. Check the pictures") as caught:
        fit_here(tmp_path, lambda: Toy(nan_row=11))
    kept = load_file(re.search(r"0\.x in '(.*?)'", str(caught.value))[1])
    assert kept["0.rows"][kept["0.x"].isnan().any(1)].tolist() == [11]


def test_a_run_that_is_taken_up_with_another_model_names_the_tensors_and_keeps_the_checkpoint(undisturbed, tmp_path):
    with pytest.raises(RuntimeError, match="broken"):
        fit_here(tmp_path, lambda: Toy(breaks_at=12))
    with pytest.raises(TrainingError, match=r"of another shape \(average \[1, 8\] instead of \[1, 6\], first.bias"):
        fit_here(tmp_path, lambda: Toy(width=6))
    assert fit_here(tmp_path) == FINAL
    assert result(tmp_path) == result(undisturbed)


def test_a_checkpoint_that_was_cut_off_is_named(tmp_path):
    with pytest.raises(RuntimeError, match="broken"):
        fit_here(tmp_path, lambda: Toy(breaks_at=12))
    state = tmp_path / "checkpoints/toy/0/000010/state.pt"
    state.write_bytes(state.read_bytes()[:100])
    with pytest.raises(TrainingError, match=r"000010/state.pt' is damaged: 100 bytes, saved with .*delete its folder"):
        fit_here(tmp_path)


def test_an_upload_that_fails_stops_the_run_and_leaves_the_last_checkpoint(undisturbed, tmp_path, monkeypatch):
    upload = Storage.upload

    def broken(storage, source, rel):
        if "000015" in rel:
            raise StorageError("the network is away")
        upload(storage, source, rel)

    monkeypatch.setattr(Storage, "upload", broken)
    with pytest.raises(TrainingError, match="the network is away"):
        fit_here(tmp_path)
    assert checkpoints.latest(Storage(str(tmp_path)), "toy", "0").step == 10
    monkeypatch.undo()
    assert fit_here(tmp_path) == FINAL
    assert result(tmp_path) == result(undisturbed)


def test_out_of_memory_says_what_to_lower(tmp_path):
    class Large(Toy):
        def loss(self, batch, step):
            return torch.empty(1 << 50).sum(), {}

    config = ALONE.model_copy(update={"recompute": True})
    with pytest.raises(TrainingError) as caught:
        fit_here(tmp_path, Large, config)
    for cure in ("the model's batch", "fit.batches", "fit.precision=bf16", "fit.sharding=fsdp", "fit.optimizer"):
        assert cure in str(caught.value)
    assert "fit.recompute" not in str(caught.value)


def test_an_optimizer_whose_library_is_missing_names_it(tmp_path):
    with pytest.raises(TrainingError, match="pip install torchao"):
        fit_here(tmp_path, config=FitConfig(workers=0, optimizer="adamw8bit"))


def test_held_out_rows_are_looked_at_with_the_same_seeds_and_the_best_checkpoint_stays(undisturbed, tmp_path):
    config = ALONE.model_copy(update={"validate_every": 4})
    fit_here(tmp_path, config=config)
    curve = [json.loads(line) for line in (tmp_path / FINAL / "curve.jsonl").read_text().splitlines()]
    measured = {row["step"] + 1: row["held_out/loss"] for row in curve if "held_out/loss" in row}
    assert list(measured) == [4, 8, 12, 16, 20, 24]
    best = checkpoints.best(Storage(str(tmp_path)), "toy", "0")
    assert best.step == min((step for step in measured if step < STEPS), key=lambda step: measured[step])
    assert result(tmp_path)[0] == result(undisturbed)[0]  # looking changes nothing


@pytest.mark.parametrize(("precision", "wanted"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_held_out_rows_are_looked_at_in_the_precision_of_the_training(tmp_path, precision, wanted):
    found = []

    class Noted(Toy):
        def validate(self):
            found.append(self.module["first"](self.data[:8]).dtype)
            return super().validate()

    fit_here(tmp_path, Noted, FitConfig(workers=0, precision=precision, validate_every=12))
    assert found == [wanted] * 2


def test_curves_and_samples_stand_in_event_files(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with pytest.raises(RuntimeError, match="broken"):
        fit_here(tmp_path, lambda: Toy(breaks_at=12))
    fit_here(tmp_path, config=ALONE.model_copy(update={"validate_every": 12}))
    events = EventAccumulator(str(tmp_path / "checkpoints/toy/0/tensorboard")).Reload()
    curve = [json.loads(line) for line in (tmp_path / FINAL / "curve.jsonl").read_text().splitlines()]
    assert [event.step for event in events.Scalars("loss")] == list(range(STEPS))
    assert [event.value for event in events.Scalars("loss")] == pytest.approx([row["loss"] for row in curve])
    assert [event.step for event in events.Images("samples")] == [11, 23]
    (tag,) = events.Tags()["tensors"]
    assert b"GiB (parameters" in events.Tensors(tag)[-1].tensor_proto.string_val[0]
    assert curve == fit_module.curve(Storage(str(tmp_path)), FINAL)
    samples = fit_module.sample_sheets(Storage(str(tmp_path)), FINAL)
    assert list(samples) == [11, 23]
    assert decode(samples[23]).tolist() == [[[128, 128, 128]] * 4] * 4


@pytest.mark.parametrize("change", [{"precision": "bf16"}, {"clip": 0.01}, {"clip": None}, {"betas": (0.5, 0.5)}])
def test_settings_that_change_the_result_are_part_of_the_fingerprint(undisturbed, tmp_path, change):
    config = ALONE.model_copy(update=change)
    fit_here(tmp_path, config=config)
    assert result(tmp_path) != result(undisturbed)
    assert config.identity != ALONE.identity


def test_activation_checkpointing_changes_nothing_but_memory(undisturbed, tmp_path):
    config = ALONE.model_copy(update={"recompute": True})
    fit_here(tmp_path, config=config)
    assert result(tmp_path) == result(undisturbed)
    assert config.identity == ALONE.identity


@pytest.mark.slow
def test_compiled_blocks_of_the_autoencoder_have_the_same_losses(tmp_path, monkeypatch):
    """By dynamo alone: what it makes of the blocks runs as it stands, so that no compiler is waited for."""
    graphs, compile_it = [], torch.compile

    def kept(graph, inputs):
        graphs.append(graph)
        return graph.forward

    monkeypatch.setattr(torch, "compile", lambda function: compile_it(function, backend=kept))
    plain = ALONE.model_copy(update={"validate_every": 3})
    compiled = plain.model_copy(update={"compile": True, "recompute": True})
    for name, config in (("plain", plain), ("compiled", compiled)):
        fit_here(tmp_path / name, autoencoder, config)
        assert bool(graphs) == config.compile
    curves = [fit_module.curve(Storage(str(tmp_path / name)), FINAL) for name in ("plain", "compiled")]
    assert [list(row) for row in curves[1]] == [list(row) for row in curves[0]]
    assert [list(row.values()) for row in curves[1]] == [
        pytest.approx(list(row.values()), rel=1e-5) for row in curves[0]
    ]


def test_the_same_batches_on_fewer_workers_are_the_same_training():
    assert FitConfig(workers=2).identity == FitConfig(workers=1, batches=2).identity
    assert FitConfig(workers=2).identity != FitConfig(workers=1).identity
    with pytest.raises(ValidationError, match=r"workers=4 share the batches=2 .* multiple of fit.workers"):
        FitConfig(workers=4, batches=2)


def test_a_model_that_cannot_be_built_says_why(tmp_path):
    def broken():
        raise ValueError("width is -1")

    with pytest.raises(TrainingError, match="width is -1"):
        fit_here(tmp_path, broken)
