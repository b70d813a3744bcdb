"""Results become a report: the same in one process as in many, done once, and with a reason for what can't be told."""

import numpy as np
import pytest
import torch
from PIL import Image

from models.metrics.keyframes import figures_of
from models.metrics.style import StyleConfig
from storage.errors import FilmError
from storage.results import results
from storage.results.systems import loose
from storage.root import Storage
from storage.stories import reading
from tasks.evaluation import shards, stage, systems
from tasks.made import Answer
from tasks.progress import silent
from tests.tasks import tiny_metrics
from tests.tasks.clips import beeping


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return tiny_metrics.config(tmp_path_factory.mktemp("weights"))


@pytest.fixture
def folder(tmp_path):
    """Two stories of pictures with plots, and one without pictures."""
    random = np.random.default_rng(0)
    for story, count in (("a", 40), ("b", 3)):
        (tmp_path / "ours" / story).mkdir(parents=True)
        for number in range(count):
            pixels = random.integers(0, 256, (36, 40, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "ours" / story / f"{number:04d}.png")
        plots = "".join(f"Rose does {number} things.\n" for number in range(count))
        (tmp_path / "ours" / story / "plots.txt").write_text(plots)
    (tmp_path / "ours" / "empty").mkdir()
    return tmp_path / "ours"


def in_one_process(config, some, storage):
    looks = stage.Looks(config, storage)
    missing = looks.missing(some)
    work = stage.looking(config, {one.id: one for one in some}, missing, storage)
    for shard in missing:
        list(work(shard))
    return looks


def kept(storage):
    return {name: storage.read_bytes(f"evaluations/vectors/{name}") for name in storage.list("evaluations/vectors")}


def test_actors_see_what_one_process_sees_bit_for_bit(config, folder, tmp_path, cluster, monkeypatch):
    monkeypatch.setattr(shards, "SIZE", 16)
    torch.set_num_threads(1)
    alone, shared = Storage(str(tmp_path / "alone")), Storage(str(tmp_path / "shared"))
    some = shards.of_results(results.read(folder), 1.0)
    assert len(some) == 4
    in_one_process(config, some, alone)
    made = {"ours": results.read(folder)}
    two = cluster.model_copy(update={"workers": 2})
    (report,) = systems.reports(config, made, [], {}, 0.6, shared, two, silent)
    assert kept(shared) == kept(alone)
    (again,) = systems.reports(config, made, [], {}, 0.6, alone, cluster.model_copy(update={"workers": 99}), silent)
    assert again.figures == report.figures  # and no Ray was asked for 99 actors
    assert (report.n, report.figures["clip_score"].n, report.figures["clip_sim"].n) == (43, 43, 41)
    assert set(report.samples["clip_score"]) == {f"{s}/{n + 1}" for s, c in (("a", 40), ("b", 3)) for n in range(c)}
    assert report.models["clip"].licence == "MIT"
    assert report.notes == ("the story 'empty' has no results",)
    for name in ("fid", "fid_layer_64", "inception_score", "aesthetic_score"):
        assert "Fetch" in report.figures[name].reason
    assert all(figure.value is not None or figure.reason for figure in report.figures.values())


def test_a_keyframe_without_a_plot_has_no_clip_score_and_the_others_of_its_story_have(config, folder, tmp_path):
    (folder / "b" / "plots.txt").write_text("Rose waits.\n\nRose leaves.\n")
    (folder / "a" / "plots.txt").unlink()
    storage, some = Storage(str(tmp_path / "s")), shards.of_results(results.read(folder), 1.0)
    looks = in_one_process(config, some, storage)
    found = figures_of("clip", config, looks.keyframes(some), [], looks.gone)
    assert list(found.samples["clip_score"]) == ["b/1", "b/3"]
    assert found.figures["clip_sim"].n == 41
    (folder / "b" / "plots.txt").unlink()
    some = shards.of_results(results.read(folder), 1.0)
    looks = in_one_process(config, some, storage)
    none = figures_of("clip", config, looks.keyframes(some), [], looks.gone).figures["clip_score"]
    assert none.reason == "no keyframe has a plot"


def test_a_network_that_is_added_looks_alone(config, folder, tmp_path):
    storage, some = Storage(str(tmp_path / "s")), shards.of_results(results.read(folder), 1.0)
    gone = config.model_copy(update={"style": StyleConfig(source=str(tmp_path / "nowhere.pth"))})
    in_one_process(gone, some, storage)
    before = kept(storage)
    looks = stage.Looks(config, storage)
    assert {module for places in looks.missing(some).values() for module in places} == {"style"}  # no sound
    in_one_process(config, some, storage)
    assert kept(storage).items() > before.items()
    assert not looks.missing(some)
    Image.new("RGB", (40, 36)).save(folder / "b" / "0001.png")
    assert len(looks.missing(shards.of_results(results.read(folder), 1.0))) == 1


def test_a_stand_in_sees_blur_and_noise_and_bears_its_own_name(config, tmp_path):
    random, near = np.random.default_rng(1), np.random.default_rng(2)
    values = {}
    coarse = random.integers(0, 256, (12, 6, 8, 3)).astype(np.uint8)
    for name, change in (
        ("same", lambda image: image),
        ("blur", lambda image: image.resize((8, 6)).resize((64, 48))),
        ("noise", lambda image: Image.fromarray(
            np.clip(np.asarray(image) + near.normal(scale=60, size=(48, 64, 3)), 0, 255).astype(np.uint8))),
    ):  # fmt: skip
        folder = tmp_path / name / "a"
        folder.mkdir(parents=True)
        for number, pixels in enumerate(coarse):
            drawn = Image.fromarray(pixels).resize((64, 48), Image.Resampling.NEAREST)
            change(drawn).save(folder / f"{number}.png")
    storage, real = Storage(str(tmp_path / "s")), shards.of_results(results.read(tmp_path / "same"), 1.0)
    for name in ("same", "blur", "noise"):
        some = shards.of_results(results.read(tmp_path / name), 1.0)
        looks = stage.Looks(config, storage, ("vision",))
        missing = looks.missing(some)
        work = stage.looking(config, {one.id: one for one in some}, missing, storage)
        for shard in missing:
            list(work(shard))
        found = figures_of("vision", config, looks.keyframes(some), looks.keyframes(real), {}).figures
        values[name] = found["frechet_efficientnet_lite0"].value
    assert values["same"] == pytest.approx(0, abs=1e-6)
    assert min(values["blur"], values["noise"]) > 0.05


def here(storage, keys, make, pool, cluster):
    """As tasks.pool.answers, in this process."""
    work = make()
    for shard in keys:
        try:
            list(work(shard))
            yield Answer(shard, 1)
        except FilmError as error:
            yield Answer(shard, 1, reject=error)


def test_what_cannot_be_read_is_left_out_with_its_reason_and_the_others_are_measured(
    config, folder, tmp_path, cluster, monkeypatch
):
    monkeypatch.setattr(stage, "answers", here)
    storage, films = Storage(str(tmp_path / "s")), tmp_path / "films"
    (films / "film").mkdir(parents=True)
    (films / "film" / "1.png").write_bytes((folder / "b" / "0001.png").read_bytes())
    beeping(folder / "movie.mp4", (0.8, 1.5, 3.0), 0)
    script = reading.parse(
        b"title: b\ncast: [{name: Ann, pictures: [ann.png]}]\nscenes: [{shots: [{plot: Rain.}]}]", "b.yaml"
    )
    (tmp_path / "ann.png").write_bytes(b"no picture")
    stories = {"b": (script, tmp_path / "b.yaml")}

    def report():
        mine, real = {"ours": results.read(folder)}, loose(films)
        (found,) = systems.reports(config, mine, real, stories, 0.6, storage, cluster, silent)
        return found

    whole = report()
    (folder / "bytes.mp4").write_bytes(b"no film")
    (folder / "blank.mp4").write_bytes(b"")
    (folder / "half.mp4").write_bytes((folder / "movie.mp4").read_bytes()[:3000])
    (folder / "link.mp4").symlink_to("nowhere.mp4")
    (folder / "scratched").mkdir()
    (folder / "scratched" / "1.png").write_bytes((folder / "a" / "0001.png").read_bytes())
    (folder / "scratched" / "2.png").write_bytes((folder / "a" / "0001.png").read_bytes()[:900])
    (films / "lost.mkv").write_bytes(b"no film")
    one = report()
    assert (one.n, one.figures, one.samples) == (whole.n, whole.figures, whole.samples)
    said = [note for note in one.notes if "left out" in note]
    assert [note.split(":")[0] for note in said] == [
        *(f"the story {story!r} is left out" for story in ("link", "blank", "bytes", "half", "scratched")),
        "left out of the real films",
        "left out of the photographs",
    ]
    assert "link.mp4' can't be read: No such file" in said[0]
    assert "bytes.mp4' can't be read as a video: Invalid data" in said[2]
    assert "2.png'" in said[4]
    assert "ann.png' is not a picture" in said[6]


def test_a_network_that_answers_with_no_numbers_spoils_no_metric(config, folder, tmp_path, cluster, monkeypatch):
    monkeypatch.setattr(stage, "answers", here)
    whole = stage.encoder

    def encoder(config, module):
        look = whole(config, module)
        if module != "vision":
            return look
        return lambda images, plots: {
            name: rows if len(images) > 3 else rows * np.nan for name, rows in look(images, plots).items()
        }

    monkeypatch.setattr(stage, "encoder", encoder)
    (found,) = systems.reports(
        config, {"ours": results.read(folder)}, [], {}, 0.6, Storage(str(tmp_path / "s")), cluster, silent
    )
    assert [note for note in found.notes if "'b'" in note] == [
        "the story 'b' is left out: the network of vision answers with numbers that are not finite"
    ]
    assert found.figures["clip_score"].n == 40


def test_sound_half_a_second_late_is_told_and_pictures_have_none(config, folder, tmp_path):
    storage = Storage(str(tmp_path / "s"))
    for late in (0, 0.5):
        (tmp_path / str(late)).mkdir()
        beeping(tmp_path / str(late) / "a.mp4", (0.8, 1.5, 3.0), late)
        some = shards.of_results(results.read(tmp_path / str(late)), 1.0)
        looks = stage.Looks(config, storage, ("sound",))
        missing = looks.missing(some)
        list(stage.looking(config, {one.id: one for one in some}, missing, storage)(some[0].id))
        found = figures_of("sound", config, looks.keyframes(some), [], {}).figures
        assert found["sound_step"].value == pytest.approx(late, abs=0.11)
        assert found["loudness_gap"].n == 1
    silent_ = figures_of("sound", config, stage.Looks(config, storage, ()).keyframes(shards.of_results(
        results.read(folder), 1.0)), [], {}).figures  # fmt: skip
    assert silent_["loudness_gap"].reason == "there is no video with sound"
