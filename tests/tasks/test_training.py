"""From a curated film to a movie and its figures, with tiny models of the real classes, in one process."""

import json
import re

import numpy as np
import pytest
import torch

import tasks.evaluation.stage
import tasks.stage
from models.animator import InterpolateConfig
from models.autoencoder.autoencoder import AutoencoderConfig, DiffusionAutoencoder
from models.autoencoder.coarse import CoarseConfig
from models.autoencoder.compressor import TransformerConfig
from models.autoencoder.decoder import DecoderConfig
from models.autoencoder.unet import UNetConfig
from models.autoregressive.autoregressive import AutoregressiveConfig, AutoregressiveModel
from models.backbone import LlamaTinyBackbone
from models.codec import PCACodecConfig
from models.face import DlibConfig
from models.sentence import MiniLmConfig
from models.training.autoencoder import AutoencoderTrainingConfig
from models.training.autoregressive import AutoregressiveTrainingConfig
from models.training.decoder import DecoderTrainingConfig
from models.upscaler import LanczosConfig
from models.vision import EfficientNetLite0Config
from storage.decoding.pictures import decode
from storage.root import Storage
from storage.tables.filmrows import FilmRows
from storage.tables.tables import Tables
from tasks import dataset
from tasks.cluster import ClusterConfig
from tasks.evaluation import report
from tasks.evaluation.comparison import compare
from tasks.figures import likelihood, measure, systems
from tasks.figures.looks import Looks
from tasks.movies import movie, render, script_movie, storyboard
from tasks.progress import silent
from tasks.references import spread
from tasks.training import tokens, train_autoencoder, train_autoregressive, train_decoder
from tasks.training.engine.job import FitConfig
from tasks.training.frozen import FrozenConfig, codec_of, keyframes
from tasks.training.pretrained import known, rebuilt
from tasks.training.views import keyframe_views
from tests.storage.finished import finish
from tests.tasks import tiny_metrics
from tests.tasks.in_process import in_process
from tests.tasks.small_story import FILM, HEIGHT, OTHER, SECONDS, WIDTH, small_story, two_stories, webp

CLUSTER = ClusterConfig()
HERE = FitConfig(workers=0)
FROZEN = FrozenConfig(
    vision=EfficientNetLite0Config(),
    codec=PCACodecConfig(width=WIDTH, height=HEIGHT, block=16, channels=8),
    width=128,
    height=64,
)
AUTOENCODER = AutoencoderConfig(
    compressor=TransformerConfig(channels=1392, positions=8, token_width=16, width=32, heads=2, blocks=1),
    decoder=DecoderConfig(
        unet=UNetConfig(
            channels=(32, 32), layers=1, transformers=(0, 1), head_width=32, cross_width=16, pooled_width=16
        ),
        coarse=CoarseConfig(hidden=16, channels=(16, 16)),
        image_size=(HEIGHT, WIDTH),
    ),
)
TRAIN_AUTOENCODER = train_autoencoder.TrainAutoencoderConfig(
    frozen=FROZEN,
    training=AutoencoderTrainingConfig(model=AUTOENCODER, warmup_steps=2, warmup_batch=2, steps=4, batch=2),
    fit=HERE,
)
TRAIN_DECODER = train_decoder.TrainDecoderConfig(
    frozen=FROZEN, training=DecoderTrainingConfig(steps=2, batch=2), fit=HERE
)
TRAIN_AUTOREGRESSIVE = train_autoregressive.TrainAutoregressiveConfig(
    training=AutoregressiveTrainingConfig(
        model=AutoregressiveConfig(backbone=LlamaTinyBackbone(), width=16), steps=2, window=4, references=2
    ),
    fit=HERE,
)
RENDER = render.RenderConfig(steps=1, references=2)
MOVIE = movie.MovieConfig(fps=4, width=2 * WIDTH, height=2 * HEIGHT, upscaler=LanczosConfig())


class Run:
    """All stages after the curation, on one storage."""

    def __init__(self, root, story=small_story):
        self.storage = Storage(str(root))
        self.snapshot = story(self.storage)
        given = (self.storage, self.snapshot)
        self.autoencoder = train_autoencoder.run(TRAIN_AUTOENCODER, *given, CLUSTER, silent)
        self.work = tokens.run(FROZEN, *given, self.autoencoder, CLUSTER, silent)
        self.decoder = train_decoder.run(TRAIN_DECODER, *given, self.autoencoder, self.work, CLUSTER, silent)
        self.autoregressive = train_autoregressive.run(TRAIN_AUTOREGRESSIVE, *given, self.work, CLUSTER, silent)
        self.work = render.run(RENDER, *given, self.work, self.decoder, self.autoregressive, CLUSTER, silent)
        self.movie = movie.run(MOVIE, *given, self.work, silent)
        rendered = measure.Rendered(*given, self.work, self.autoregressive, RENDER.generation, DlibConfig())
        config = measure.EvaluateConfig(width=32, height=24, shuffles=2)
        self.metrics = measure.run(config, rendered, CLUSTER, silent)
        self.urls = storyboard.run(
            storyboard.StoryboardConfig(width=64), *given, self.work, self.movie, self.metrics, silent
        )


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tasks.stage, "answers", in_process)
        yield Run(tmp_path_factory.mktemp("run"))


def views(run, row_ids, features=True):
    codec = codec_of(FROZEN, run.storage, run.snapshot)
    return keyframe_views(FROZEN, run.storage, run.snapshot, row_ids, codec, features)


def test_the_codec_is_fitted_on_the_training_half_only(run):
    _, train, images = zip(*keyframes(run.storage, run.snapshot, (HEIGHT, WIDTH)), strict=True)
    assert train == (True,) * 6 + (False,) * 6
    codec = codec_of(FROZEN, run.storage, run.snapshot)
    fitted = type(codec)(FROZEN.codec).fit(torch.stack(images[:6]).float() / 255)
    assert torch.equal(fitted.basis_CK, codec.basis_CK)
    (folder,) = run.storage.list("checkpoints/codec")
    kept = run.storage.list(f"checkpoints/codec/{folder}/final")
    assert set(kept) == {"config.json", "done.json", "model.safetensors"}


def test_what_the_frozen_models_see_of_a_mirrored_keyframe_is_of_the_mirrored_picture(run):
    row_ids, _, images = zip(*keyframes(run.storage, run.snapshot, (HEIGHT, WIDTH)), strict=True)
    mirrored = codec_of(FROZEN, run.storage, run.snapshot).encode(torch.stack(images[3:4]).float().flip(-1) / 255)
    drawn = views(run, row_ids).draw(torch.tensor([3]), torch.tensor([1]))
    assert torch.allclose(drawn.latents_BCHW, mirrored, atol=5e-3)
    assert torch.equal(views(run, row_ids[3:], features=False).draw(*torch.tensor([[0], [1]]))[0], drawn[0])


def test_a_compressor_that_does_not_fit_the_image_encoder_says_what_to_set(run):
    wrong = AUTOENCODER.model_copy(update={"compressor": TransformerConfig(channels=1392, positions=3)})
    config = TRAIN_AUTOENCODER.model_copy(update={"training": AutoencoderTrainingConfig(model=wrong)})
    with pytest.raises(Exception, match=r"3 positions of 1392 channels.*gives 8 of 1392"):
        train_autoencoder.run(config, run.storage, run.snapshot, CLUSTER, silent)


def test_tokens_are_those_of_the_trained_autoencoder(run):
    with run.storage.local(run.autoencoder) as folder:
        model = DiffusionAutoencoder.from_pretrained(folder)
    row_ids = [f"{FILM}-000007", f"{FILM}-000002"]
    drawn = [views(run, row_ids).draw(torch.arange(2), torch.tensor([side, side])) for side in (0, 1)]
    for read, seen in zip(tokens.read(run.storage, run.work, row_ids), drawn, strict=True):
        assert torch.allclose(read, model.encode(seen.features_BNC), atol=1e-5)


def test_asking_for_tokens_of_an_unknown_keyframe_names_it(run):
    with pytest.raises(ValueError, match="nowhere-000001"):
        tokens.read(run.storage, run.work, ["nowhere-000001"])


def test_the_decoder_reads_scripts_and_the_models_open(run):
    with run.storage.local(run.decoder) as folder:
        assert DiffusionAutoencoder.from_pretrained(folder).config.decoder.identity
    with run.storage.local(run.autoregressive) as folder:
        assert AutoregressiveModel.from_pretrained(folder).config.width == 16


def test_every_keyframe_is_rebuilt_and_the_held_out_half_is_dreamt_in_each_variant(run):
    found = Tables(run.storage).read("renders", run.work["renders"]).to_pylist()
    seconds = {variant: [] for variant in RENDER.variants}
    for row in found:
        seconds[row["variant"]].append(int(row["row_id"][-6:]))
        assert decode(row["image"]).shape == (HEIGHT, WIDTH, 3)
    assert seconds == {
        "rebuilt": list(range(SECONDS)),
        **{variant: list(range(6, 12)) for variant in ("dreamt", "few_shot", "no_faces")},
    }


def test_weights_that_rebuild_the_film_well_enough_are_used_as_they_are(run):
    given, init = (run.storage, run.snapshot), f"{run.storage.uri}/{run.decoder}"
    frozen = FROZEN.model_copy(update={"init": init, "fine_tune_below": 0.0})
    autoencoder = train_autoencoder.run(
        TRAIN_AUTOENCODER.model_copy(update={"frozen": frozen}), *given, CLUSTER, silent
    )
    decoder = train_decoder.run(
        TRAIN_DECODER.model_copy(update={"frozen": frozen}), *given, autoencoder, run.work, CLUSTER, silent
    )
    weights = "decoder.safetensors"
    kept = {run.storage.read_bytes(f"{folder}/{weights}") for folder in (run.decoder, autoencoder, decoder)}
    assert len(kept) == 1
    assert autoencoder.startswith("checkpoints/autoencoder/")
    assert decoder.startswith("checkpoints/decoder/")
    reached = rebuilt(frozen, *given)
    for least, answer in ((reached, decoder), (reached + 0.01, None), (None, None)):
        assert known("decoder", frozen.model_copy(update={"fine_tune_below": least}), *given) == answer
    assert known("decoder", frozen, *given, autoencoder) == decoder
    assert known("decoder", frozen, *given, "checkpoints/autoencoder/another/final") is None


def test_a_second_run_finds_everything_done(run, tmp_path):
    before = {path: path.stat().st_mtime_ns for path in sorted((tmp_path / run.storage.uri).rglob("*.*"))}
    given = (run.storage, run.snapshot)
    assert train_autoencoder.run(TRAIN_AUTOENCODER, *given, CLUSTER, silent) == run.autoencoder
    again = tokens.run(FROZEN, *given, run.autoencoder, CLUSTER, silent)
    assert train_decoder.run(TRAIN_DECODER, *given, run.autoencoder, again, CLUSTER, silent) == run.decoder
    assert movie.run(MOVIE, *given, run.work, silent) == run.movie
    storyboard.run(storyboard.StoryboardConfig(width=64), *given, run.work, run.movie, run.metrics, silent)
    assert before == {path: path.stat().st_mtime_ns for path in before}


def test_the_movie_shows_a_second_for_each_held_out_second(run):
    import av

    with av.open(f"{run.storage.uri}/movie.mp4") as container:
        (video,) = container.streams.video
        assert sum(1 for _ in container.decode(video)) == 6 * 4
        assert (video.width, video.height) == (2 * WIDTH, 2 * HEIGHT)


def test_a_script_of_ones_own_becomes_a_movie_once(run, tmp_path):
    import av

    character = next(iter(dataset.characters(run.storage, run.snapshot)))
    keyframe = {"scene_elements": ["A ballroom."], "plots": ["They dance.", " "]}
    dancing = {**keyframe, "characters": [{"description": "A man.", "face": character}, {"description": "A woman."}]}
    path, shown = tmp_path / "story.json", tmp_path / "shown.webp"
    path.write_text(json.dumps({"keyframes": [dancing, dancing, keyframe]}))
    shown.write_bytes(webp(2))
    settings = script_movie.Settings(MiniLmConfig(), DlibConfig(), FROZEN, RENDER, MOVIE)

    def make(*references):
        config = script_movie.ScriptConfig(path=str(path), references=references)
        models = (run.autoencoder, run.decoder, run.autoregressive)
        return script_movie.run(config, settings, run.storage, run.snapshot, *models, silent)

    folder, few_shot = make(), make(str(shown))
    movies = [run.storage.read_bytes(f"{made}/movie.mp4") for made in (folder, few_shot)]
    assert movies[0] != movies[1]
    with av.open(f"{run.storage.uri}/{folder}/movie.mp4") as container:
        assert sum(1 for _ in container.decode(container.streams.video[0])) == 3 * 4
        assert not container.streams.audio
        assert len(container.streams.subtitles) == 1
    notes = script_movie.notes(run.storage, folder)
    assert "keyframes 1-3: 1 empty plots are left out" in notes
    assert "keyframes 1-2: no face for 'A woman.': only the description is used" in notes
    about = json.loads(run.storage.read_bytes(f"{folder}/about.json"))
    made_with = about.pop("upscaler"), about.pop("animator")
    assert made_with[0] == {"kind": "lanczos", "revision": "1", "licence": "Apache-2.0"}
    assert made_with[1] == {"kind": "interpolate"} | {
        name: getattr(InterpolateConfig(), name) for name in ("revision", "licence")
    }
    assert about == {"title": "story", "keyframes": 3, "seconds": 3.0}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(script_movie, "write", None)  # a second run writes nothing
        assert make() == folder
    run.storage.delete(few_shot)
    assert make(str(shown)) == few_shot
    assert run.storage.read_bytes(f"{few_shot}/movie.mp4") == movies[1]


def test_a_film_whose_sound_cannot_be_read_makes_a_silent_movie_and_says_why(run, tmp_path):
    from tests.tasks.clips import write_clip

    gone = tmp_path / "gone.mp4"
    storage = Storage(str(tmp_path / "out"))
    snapshot = small_story(storage, str(gone), has_audio=True)
    renders = Tables(run.storage).read("renders", run.work["renders"])
    Tables(storage).commit("renders", FILM, run.work["renders"][FILM], renders)
    finish(Tables(storage), "renders", FILM, run.work["renders"][FILM], renders.num_rows)
    work = {**snapshot.work, "renders": run.work["renders"]}
    movie.run(MOVIE, storage, snapshot, work, silent)
    (reject,) = Tables(storage).rejects()
    assert (reject.reason, reject.stage, reject.film_id) == ("silent", "movie", FILM)
    assert str(gone) in reject.detail
    write_clip(gone, 12)
    movie.run(MOVIE.model_copy(update={"fps": 5}), storage, snapshot, work, silent)
    assert [again.reason for again in Tables(storage).rejects()] == ["silent"]  # this one has no sound at all


def test_a_decoder_whose_settings_make_other_latents_than_its_autoencoders_is_refused(run):
    frozen = FROZEN.model_copy(update={"codec": FROZEN.codec.model_copy(update={"temper": 0.25})})
    config = TRAIN_DECODER.model_copy(update={"frozen": frozen})
    with pytest.raises(Exception, match=r"was trained on latents of another codec"):
        train_decoder.run(config, run.storage, run.snapshot, run.autoencoder, run.work, CLUSTER, silent)


def test_other_settings_make_another_page(run, tmp_path):
    given = (run.storage, run.snapshot, run.work, run.movie, run.metrics, silent)
    before = run.storage.read_bytes("storyboard.html")
    storyboard.run(storyboard.StoryboardConfig(width=32), *given)
    assert run.storage.read_bytes("storyboard.html") != before
    storyboard.run(storyboard.StoryboardConfig(width=64), *given)
    assert run.storage.read_bytes("storyboard.html") == before


def test_a_plot_that_goes_on_stays_on_the_screen():
    scenes = [movie.Scene("r", t, shot, b"", plot) for t, (shot, plot) in enumerate([(0, "a"), (0, "a"), (1, "a")])]
    assert movie.subtitles(scenes, 1.0) == [(0.0, 2.0, "a"), (2.0, 3.0, "a")]


def test_only_a_movie_in_the_films_own_pace_has_its_sound():
    scenes = [movie.Scene("r", second, 0, b"", "") for second in (4, 5, 6)]
    assert movie.heard(movie.MovieConfig(), "film.mp4", scenes) == ([(4, 5.0), (5, 6.0), (6, 7.0)], "")
    spans, why = movie.heard(movie.MovieConfig(seconds=2), "film.mp4", scenes)
    assert not spans
    assert why == "2 s of movie for each 1 s of 'film.mp4': sound keeps its own pace"
    assert movie.MovieConfig(fps=25, seconds=0.5).clip == pytest.approx(12 / 25)


def test_a_variant_that_was_not_rendered_is_named(run):
    told = movie.MovieConfig(variant="dreamt", fps=5)
    only = {**run.work, "renders": {FILM: "none"}}
    with pytest.raises(ValueError, match="not rendered as 'dreamt'"):
        movie.run(told, run.storage, run.snapshot, only, silent)


def test_figures_come_with_samples_and_meaning_and_without_nan(run):
    text = run.storage.read_bytes("metrics.json").decode()
    assert "NaN" not in text
    figures = json.loads(text)
    assert all(set(figure) >= {"value", "n", "what"} for figure in figures.values())
    assert all("interval" in figure or figure["n"] < 2 or name == "keyframes" for name, figure in figures.items())
    assert all(figure["reason"] for figure in figures.values() if figure["value"] is None)
    assert "Fetch" in figures["fid"]["reason"]
    assert figures["rebuilt_top1_train"]["n"] == 6
    assert figures["nll_right_script"]["n"] == 6
    assert "lt_original" not in figures  # it would be 1 by definition
    assert figures["lt_dreamt"]["n"] == figures["lt_no_faces"]["n"] == 3


def test_a_run_has_a_report_by_which_it_is_compared_with_another(run):
    told = report.parse(run.storage.read_bytes(run.metrics.replace("metrics", "report")), "report.json")
    figures = measure.read(run.storage, run.metrics)
    assert told.figures == figures
    assert (told.n, told.seeds, told.models["autoregressive"].id) == (12, (0,), run.autoregressive)
    shown = [f"{FILM}/{FILM}-{second:06d}" for second in range(6, 12)]
    for name in ("rebuilt_psnr_held_out", "dreamt_similarity", "nll_right_script", "nll_unconditional"):
        assert list(told.samples[name]) == shown
    assert {name.rpartition(".")[0] for name in told.samples["lt_dreamt"]} < set(shown)
    for name, samples in told.samples.items():
        assert figures[name].n == len(samples)
        assert not samples or figures[name].value == pytest.approx(np.mean(list(samples.values())), rel=1e-5)
    assert all(one.difference == 0 for one in compare(told, told) if one.n)


def test_metrics_that_compare_systems_are_of_each_version(run, tmp_path, monkeypatch):
    monkeypatch.setattr(tasks.evaluation.stage, "answers", in_process)
    work, row_ids = {**run.snapshot.work, **run.work}, [f"{FILM}-{second:06d}" for second in range(6, 12)]
    given = (run.storage, work, ["original", "dreamt"], row_ids, CLUSTER, silent)
    found = systems.measured(tiny_metrics.config(tmp_path), *given).figures
    assert {name for name in found if name.startswith(("clip_score", "csd", "fid"))} == {
        "clip_score_original", "clip_score_dreamt", "csd_self_original", "csd_self_dreamt",
        "fid", "fid_layer_768", "fid_layer_192", "fid_layer_64",
    }  # fmt: skip
    assert found["clip_score_dreamt"].n == found["clip_sim_to_original_dreamt"].n == 6
    assert found["clip_score_dreamt"].value != found["clip_score_original"].value
    assert "Fetch" in found["fid"].reason


def test_of_many_keyframes_some_are_looked_at(run, monkeypatch):
    monkeypatch.setattr(measure, "_RUN", 2)
    config = measure.EvaluateConfig(width=32, height=24, shuffles=1, most=4)
    given = run.storage, run.snapshot, run.work, run.autoregressive, RENDER.generation, DlibConfig()
    figures = measure.read(run.storage, measure.run(config, measure.Rendered(*given), CLUSTER, silent))
    assert figures["rebuilt_top1_train"].n == figures["rebuilt_psnr_held_out"].n == figures["dreamt_similarity"].n == 4
    assert figures["lt_dreamt"].n == 2  # every second keyframe shows a face
    assert (figures["keyframes"].n, figures["nll_right_script"].n) == (12, 6)


def test_of_many_keyframes_learnt_from_the_mixture_is_fitted_to_a_window(run, monkeypatch):
    monkeypatch.setattr(likelihood, "_FITTED", 3)
    fitted = likelihood._learnt(run.storage, run.snapshot, run.work)
    first = [f"{FILM}-{second:06d}" for second in range(3)]
    assert torch.equal(fitted, tokens.read(run.storage, run.work, first)[0])


def looks(pixels):
    row_ids = tuple(f"r-{t}" for t in range(len(pixels)))
    return Looks(row_ids, pixels, pixels, [np.zeros((0, 1), np.float32)] * len(pixels))


def test_perfectly_rebuilt_keyframes_find_their_originals():
    pixels = np.random.default_rng(0).random((6, 30), dtype=np.float32)
    found = measure.rebuilt_figures(
        measure.EvaluateConfig(), looks(pixels), looks(pixels + 0.01), {"train": ["r-0", "r-1"], "held_out": ["r-5"]}
    )
    assert found.samples["rebuilt_top1_train"] == {"r/r-0": 1.0, "r/r-1": 1.0}
    found = found.figures
    assert (found["rebuilt_top1_train"].value, found["rebuilt_top1_train"].n) == (1.0, 2)
    assert found["rebuilt_within_2_held_out"].value == 1.0
    assert found["rebuilt_psnr_held_out"].value == pytest.approx(40, abs=0.1)


def test_pictures_that_are_not_shown_are_not_read(run, monkeypatch):
    whole, some, read, between = [], [], Tables.read, FilmRows.between

    def noted_read(self, table, work, columns=None):
        whole.append((table, columns))
        return read(self, table, work, columns)

    def noted_between(self, film_id, first, last, columns=None):
        some.append((self.table, first))
        return between(self, film_id, first, last, columns)

    monkeypatch.setattr(Tables, "read", noted_read)
    monkeypatch.setattr(FilmRows, "between", noted_between)
    given = (run.storage, run.snapshot, run.work, run.movie, run.metrics, "key")
    page = storyboard._page(storyboard.StoryboardConfig(keyframes=4, width=16, characters=0), *given)
    assert whole
    assert all(columns and not {"image", "embedding"} & set(columns) for _, columns in whole)
    assert not some
    assert [half.count for half in page.halves] == [len(list(half.frames)) for half in page.halves] == [2, 2]
    assert len([table for table, _ in some if table == "keyframes"]) == 4


def test_the_storyboard_shows_each_half_with_its_versions(run):
    html = run.storage.read_bytes("storyboard.html").decode()
    learnt, dreamt = html.split('id="dreamt"')
    assert learnt.count("<article") == dreamt.count("<article") == 6
    assert learnt.count("rebuilt through its tokens</figcaption>") == 6
    assert "dreamt from the script</figcaption>" not in learnt
    assert dreamt.count("dreamt from the script</figcaption>") == 6
    assert dreamt.count("dreamt, with reference frames</figcaption>") == 6
    assert re.search(r"Script by|script by template \(chosen\)", html)
    assert run.urls == [f"{run.storage.uri}/{name}" for name in ("movie.mp4", "storyboard.html", "metrics.json")]


@pytest.fixture(scope="module")
def by_films(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tasks.stage, "answers", in_process)
        yield Run(tmp_path_factory.mktemp("by_films"), two_stories)


def test_where_films_are_held_out_as_wholes_only_the_others_are_learnt_from(by_films):
    row_ids, train, _ = zip(*keyframes(by_films.storage, by_films.snapshot, (HEIGHT, WIDTH)), strict=True)
    assert [row_id.startswith(FILM) for row_id in row_ids] == list(train)
    assert sum(train) == SECONDS
    (learnt,), (held_out,) = (dataset.load(by_films.storage, by_films.snapshot, part) for part in ("train", "test"))
    assert (learnt.film.film_id, held_out.film.film_id) == (FILM, OTHER)
    assert len(learnt.row_ids) == len(held_out.row_ids) == SECONDS


def test_a_film_that_is_held_out_as_a_whole_is_dreamt_and_only_it_has_a_movie(by_films):
    drawn = Tables(by_films.storage).read("renders", by_films.work["renders"], ["row_id", "variant"]).to_pylist()
    for variant, films in (
        ("rebuilt", {FILM, OTHER}),
        ("dreamt", {OTHER}),
        ("few_shot", {OTHER}),
        ("no_faces", {OTHER}),
    ):
        mine = [row["row_id"] for row in drawn if row["variant"] == variant]
        assert {row_id.split("-")[0] for row_id in mine} == films
        assert len(mine) == SECONDS * len(films)
    assert by_films.storage.list(f"movies/{by_films.movie}") == ["metrics.json", "movie.mp4", "storyboard.html"]
    html = by_films.storage.read_bytes("storyboard.html").decode()
    assert "Held-out films" in html
    assert "another story" in html


def test_figures_of_a_film_that_is_held_out_as_a_whole_count_all_its_keyframes(by_films):
    figures = json.loads(by_films.storage.read_bytes("metrics.json"))
    for name in ("rebuilt_top1_train", "rebuilt_top1_held_out", "nll_right_script", "nll_right_script_few_shot"):
        assert figures[name]["n"] == SECONDS
    assert figures["lt_rebuilt"]["n"] == SECONDS // 2
    assert "training films" in figures["rebuilt_psnr_train"]["what"]
    assert "the film's other keyframes" in figures["nll_right_script_few_shot"]["what"]


def test_scripts_of_a_film_that_is_held_out_as_a_whole_carry_its_other_faces(by_films):
    (film,) = dataset.load(by_films.storage, by_films.snapshot, "test")
    rows = Tables(by_films.storage).read("features", by_films.snapshot.work["features"]).to_pylist()
    own = {row["row_id"]: np.frombuffer(row["faces"], np.float16).astype(np.float32).reshape(-1, 128) for row in rows}
    everyone = {tuple(face) for row_id, faces in own.items() if row_id.startswith(OTHER) for face in faces}
    for script in film.scripts:
        assert len(script.faces) == len(own[script.row_id])
        assert {tuple(face) for face in script.faces} <= everyone - {tuple(face) for face in own[script.row_id]}


def test_of_what_was_learnt_from_some_keyframes_are_rebuilt_to_compare(by_films, monkeypatch):
    config = RENDER.model_copy(update={"learnt": 3, "variants": ("rebuilt",)})
    models = by_films.decoder, by_films.autoregressive
    monkeypatch.setattr(tasks.stage, "answers", in_process)
    work = render.run(config, by_films.storage, by_films.snapshot, by_films.work, *models, CLUSTER, silent)
    rows = Tables(by_films.storage).read("renders", work["renders"], ["row_id"])["row_id"].to_pylist()
    assert [int(row_id[-6:]) for row_id in rows if row_id.startswith(FILM)] == spread(SECONDS, 3)
    assert len([row_id for row_id in rows if row_id.startswith(OTHER)]) == SECONDS


def test_keyframes_to_show_are_spread_evenly():
    assert spread(10, 4) == [0, 3, 6, 9]
    assert spread(3, 10) == [0, 1, 2]


def test_the_small_story_is_a_picture():
    assert decode(webp(0)).shape == (HEIGHT, WIDTH, 3)
