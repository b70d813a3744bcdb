"""Latents of keyframes as a table: made film by film, read in windows, the same whatever happened on the way."""

import pytest
import torch

import tasks.stage
from models.codec import PCACodecConfig
from models.vision import LatentsConfig
from storage.root import Storage
from storage.snapshot import Snapshot
from storage.tables.tables import Tables
from tasks.cluster import ClusterConfig
from tasks.made import Film, answered
from tasks.progress import silent
from tasks.training import examples, latents
from tasks.training.examples import Examples
from tasks.training.frozen import FrozenConfig, codec_of, keyframes
from tasks.training.views import keyframe_views
from tests.tasks.small_story import FILM, HEIGHT, OTHER, WIDTH, small_story, two_stories

FROZEN = FrozenConfig(vision=LatentsConfig(patch=2), codec=PCACodecConfig(width=WIDTH, height=HEIGHT, channels=6))


class Actors:
    """Stands for Ray's pool of actors, in this process."""

    def __init__(self) -> None:
        self.worked: list[str] = []
        self.killed_at = ""

    def __call__(self, storage, keys, make, pool, cluster):
        work = make()
        for film_id, key in keys.items():
            if film_id == self.killed_at:
                raise KeyboardInterrupt
            self.worked.append(film_id)
            yield from answered(storage, Film(film_id, key), 1, work)


@pytest.fixture
def actors(monkeypatch):
    found = Actors()
    monkeypatch.setattr(tasks.stage, "answers", found)
    monkeypatch.setattr(tasks.stage._Pace, "due", lambda self: True)
    return found


def run(storage: Storage, snapshot: Snapshot, config: FrozenConfig = FROZEN) -> list[dict]:
    """The rows of the table after the stage."""
    latents.run(config, storage, snapshot, ClusterConfig(), silent)
    keys = latents.STAGE.keys([config, snapshot, config.size], snapshot.work)
    return Tables(storage).read("latents", keys).to_pylist()


def test_a_killed_stage_goes_on_after_its_last_film_and_makes_the_same_rows(tmp_path, actors):
    killed, calm = (Storage(str(tmp_path / name)) for name in ("killed", "calm"))
    snapshot = two_stories(killed)
    actors.killed_at = OTHER
    with pytest.raises(KeyboardInterrupt):
        run(killed, snapshot)
    actors.killed_at = ""
    found = run(killed, snapshot)
    assert actors.worked == [FILM, OTHER]
    assert found == run(calm, two_stories(calm))
    assert run(killed, snapshot) == found
    assert actors.worked == [FILM, OTHER] * 2


def test_another_size_or_codec_makes_other_rows_and_the_patch_of_the_compressor_does_not(tmp_path, actors):
    storage = Storage(str(tmp_path))
    snapshot = small_story(storage)
    run(storage, snapshot)
    run(storage, snapshot, FROZEN.model_copy(update={"vision": LatentsConfig(patch=1)}))
    assert len(actors.worked) == 1
    latents.run(FROZEN, storage, snapshot, ClusterConfig(), silent, (HEIGHT // 2, WIDTH // 2))
    run(storage, snapshot, FROZEN.model_copy(update={"codec": FROZEN.codec.model_copy(update={"channels": 5})}))
    assert len(actors.worked) == 3


def test_a_training_reads_windows_and_keeps_a_few_of_them(tmp_path, actors, monkeypatch):
    monkeypatch.setattr(Examples, "window", 2)
    monkeypatch.setattr(examples, "_KEPT", 3)
    storage = Storage(str(tmp_path))
    snapshot = two_stories(storage)
    run(storage, snapshot)
    codec = codec_of(FROZEN, storage, snapshot)
    row_ids, _, pictures = zip(*keyframes(storage, snapshot, (HEIGHT, WIDTH)), strict=True)
    views = keyframe_views(FROZEN, storage, snapshot, row_ids, codec)
    rows, mirrored = torch.randperm(24, generator=torch.Generator().manual_seed(0)), torch.arange(24) % 2
    plain = torch.stack(pictures)[rows].float() / 255
    images = torch.where(mirrored[:, None, None, None].bool(), plain.flip(-1), plain)
    drawn = views.draw(rows, mirrored)
    torch.testing.assert_close(drawn.latents_BCHW, codec.encode(images), rtol=1e-2, atol=1e-2)
    assert drawn.features_BNC.shape == (24, *views.features_shape) == (24, 3 * 4, 6 * 4)
    assert len(views.source._examples._windows) == 3


def test_nothing_is_stored_where_pixels_are_read(tmp_path, actors):
    storage = Storage(str(tmp_path))
    snapshot = small_story(storage)
    latents.run(FROZEN.model_copy(update={"kept": False}), storage, snapshot, ClusterConfig(), silent)
    assert not actors.worked
    assert not storage.list("checkpoints")
