"""Several workers, connected by gloo without Ray: they end with what one worker ends with, killed or not."""

import json
import multiprocessing
from multiprocessing.connection import wait
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from storage import checkpoints
from storage.root import Storage
from tasks.training.engine.job import FitConfig
from tests.tasks.toy_training import BATCH, ROWS, STEPS, autoencoder, autoregressive, seen, without_dropout, work

FINAL = "checkpoints/toy/0/final"
CONFIG = FitConfig(workers=2, checkpoint_every=5)


@pytest.fixture(scope="module")
def processes():
    """Starts processes that have torch in them already."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["tasks.training.engine.training_loop", "tests.tasks.toy_training", "torch.utils.tensorboard"]
    )
    return context


@pytest.fixture(scope="module")
def train(processes):
    def train(root: Path, world: int, config: FitConfig = CONFIG, kills: str = "[]", make=None) -> bool:
        """Whether all workers came to their end; when one dies, the others are ended too, as Ray Train does."""
        root.mkdir(exist_ok=True)
        (root / "meeting").unlink(missing_ok=True)
        told = str(root), config.model_dump_json(), kills, make
        workers = [processes.Process(target=work, args=(*told, rank, world)) for rank in range(world)]
        for worker in workers:
            worker.start()
        running = workers
        while running:
            wait([worker.sentinel for worker in running])
            if any(worker.exitcode for worker in workers):
                for worker in workers:
                    worker.kill()
            running = [worker for worker in workers if worker.is_alive()]
        return not any(worker.exitcode for worker in workers)

    return train


def result(root: Path) -> tuple[bytes, bytes]:
    return (root / FINAL / "weights.pt").read_bytes(), (root / FINAL / "curve.jsonl").read_bytes()


def losses(root: Path) -> torch.Tensor:
    """Of the batches and, where they were looked at, of the held-out rows."""
    curve = [json.loads(line) for line in (root / FINAL / "curve.jsonl").read_text().splitlines()]
    return torch.tensor([row[name] for row in curve for name in ("loss", "held_out/loss") if name in row])


@pytest.fixture(scope="module")
def alone(train, tmp_path_factory):
    root = tmp_path_factory.mktemp("alone")
    assert train(root, 1)
    return root


def test_a_step_of_two_workers_is_a_step_of_one_that_accumulates_bit_for_bit(train, alone, tmp_path):
    assert train(tmp_path, 2)
    assert result(tmp_path) == result(alone)
    assert seen(tmp_path) == seen(alone)


def test_two_workers_of_which_one_is_killed_resumed_as_one_see_each_sample_once_an_epoch(train, alone, tmp_path):
    assert not train(tmp_path, 2, kills='[[17, "worker"]]')
    storage = Storage(str(tmp_path))
    cursor = json.loads((tmp_path / checkpoints.latest(storage, "toy", "0").rel / "done.json").read_text())
    assert cursor["samples"] == cursor["step"] * 2 * BATCH
    assert train(tmp_path, 1)
    assert result(tmp_path) == result(alone)
    steps = seen(tmp_path)
    assert list(steps) == list(range(STEPS))
    an_epoch = ROWS // (2 * BATCH)
    for first in range(0, STEPS - an_epoch, an_epoch):
        rows = [row for step in range(first, first + an_epoch) for batch in steps[step] for row in batch]
        assert sorted(rows) == list(range(ROWS))


def test_killed_in_the_middle_of_an_upload_it_resumes_from_the_checkpoint_before(train, alone, tmp_path):
    assert not train(tmp_path, 1, kills='[[15, "upload"]]')
    storage = Storage(str(tmp_path))
    assert storage.list("checkpoints/toy/0/000015") == ["state.pt"]
    assert checkpoints.latest(storage, "toy", "0").step == 10
    assert train(tmp_path, 1)
    assert result(tmp_path) == result(alone)


def test_shards_make_the_same_curve_and_resume_as_a_whole(train, alone, tmp_path):
    fsdp = CONFIG.model_copy(update={"sharding": "fsdp", "recompute": True})
    assert not train(tmp_path, 2, fsdp, '[[17, "worker"]]')
    assert train(tmp_path, 2, fsdp)
    assert torch.allclose(losses(tmp_path), losses(alone), rtol=1e-4)
    weights, expected = (torch.load(root / FINAL / "weights.pt") for root in (tmp_path, alone))
    assert all(torch.allclose(weights[name], expected[name], atol=1e-5) for name in expected)


def test_three_batches_on_two_workers_count_each_once(train, tmp_path):
    three = CONFIG.model_copy(update={"batches": 3})
    assert train(tmp_path / "two", 2, three)
    assert train(tmp_path / "one", 1, three)
    assert torch.allclose(losses(tmp_path / "two"), losses(tmp_path / "one"), rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("make", [autoencoder, autoregressive])
def test_the_models_of_the_project_train_alike_on_one_worker_on_two_and_in_shards(train, tmp_path, make):
    looks = CONFIG.model_copy(update={"validate_every": 3})
    shards = looks.model_copy(update={"sharding": "fsdp", "recompute": True})
    assert train(tmp_path / "one", 1, looks, make=make)
    assert train(tmp_path / "two", 2, looks, make=make)
    assert train(tmp_path / "shards", 2, shards, make=make)
    assert torch.equal(losses(tmp_path / "one"), losses(tmp_path / "two"))
    assert torch.allclose(losses(tmp_path / "one"), losses(tmp_path / "shards"), rtol=1e-4)
    weights = [
        {file.relative_to(root): load_file(file) for file in sorted((root / FINAL).rglob("*.safetensors"))}
        for root in (tmp_path / "one", tmp_path / "shards")
    ]
    for file, expected in weights[0].items():
        near = 2e-2 if file.name == "tokens.safetensors" else 1e-3  # tokens of unit variance, through all the weights
        assert all(torch.allclose(weights[1][file][name], expected[name], atol=near) for name in expected)


@pytest.mark.slow
def test_compiled_blocks_learn_the_same(train, tmp_path):
    compiled = CONFIG.model_copy(update={"compile": True})
    assert train(tmp_path / "plain", 1, make=without_dropout)
    assert train(tmp_path / "compiled", 1, compiled, make=without_dropout)
    assert torch.allclose(losses(tmp_path / "compiled"), losses(tmp_path / "plain"), rtol=1e-4)
    assert compiled.identity != CONFIG.identity  # it draws other dropout
