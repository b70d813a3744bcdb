"""Parts of a recipe that don't fit each other are named with all that is to be changed together."""

import re
import shlex

import pytest

from flows.needs import needs
from flows.recipes import resolve
from storage.errors import ConfigError

PAPER_FACES = ["autoencoder.model.decoder.face_width=512", "autoregressive.model.face_width=512", "face.kind=farl"]
PAPER_SENTENCES = ["autoencoder.model.decoder.sentence_width=768", "autoregressive.model.sentence_width=768"]


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        (
            ["autoencoder.model.compressor.token_width=32"],
            "autoregressive.model.width=16 does not go with autoencoder.model.compressor.token_width=32",
        ),
        (["autoregressive.model.tokens=8"], "does not go with autoencoder.model.compressor.tokens=2"),
        (["autoencoder.model.decoder.face_width=512"], "face_width=512 does not go with face.kind=dlib"),
        (["sentence.kind=longclip"], "sentence_width=384 does not go with sentence.kind=longclip, which gives 768"),
        (PAPER_SENTENCES, "sentence.kind=minilm, which gives 384 numbers"),
        (["face.kind=farl"], "evaluate.face.kind=dlib does not go with face.kind=farl"),
        (PAPER_FACES, "evaluate.face.kind=dlib does not go with face.kind=farl"),
        (
            [*PAPER_FACES, "evaluate.face.kind=farl", "evaluate.face.source=another.pth"],
            "evaluate.face.source=another.pth does not go with face.source=FaRL",
        ),
        (["face.kind=farl", "face.feature=pooled", "face.width=768"], "autoregressive.model.face_width=128"),
        (
            ["autoencoder.warmup_steps=100"],
            "warmup_steps=100 does not go with autoencoder.steps=24, which it",
        ),
        (
            ["autoencoder.model.compressor.kind=transformer", "autoencoder.model.compressor.heads=5"],
            "compressor.width=128, which it must divide",
        ),
        (["movie.variant=few_shot", 'render.variants=["dreamt"]'], "does not go with movie.variant=few_shot"),
        (['first={"sizes": [[256, 448], [448, 256]]}'], "does not go with autoencoder.model.decoder.coarse, which"),
    ],
)
def test_what_does_not_fit_is_named_with_a_line_that_mends_it(changed: list[str], named: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(named)) as raised:
        resolve("smoke", changed)
    mended = [word for word in shlex.split(str(raised.value).split("Change together: ")[1]) if word != "--set"]
    assert resolve("smoke", [*changed, *mended])


def test_aspect_buckets_go_without_a_coarse_head() -> None:
    buckets = 'first={"sizes": [[256, 448], [448, 256]]}'
    assert resolve("smoke", [buckets, "autoencoder.model.decoder.coarse=null"]).first


@pytest.mark.parametrize("recipe", ["smoke", "laptop", "gpu", "paper"])
def test_a_recipe_s_trainings_find_room_in_the_ray_of_its_own(recipe: str) -> None:
    assert resolve(recipe).name == recipe
    assert resolve(recipe, ["side_by_side=true"]).side_by_side


def test_workers_that_ray_would_wait_for_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    many = ["fit.workers=2", "fit.batches=2", "fit.threads=4"]
    with pytest.raises(ConfigError, match=r"cluster.cpus=4 does not go with .*threads.*--set cluster.cpus=8"):
        resolve("laptop", many)
    with pytest.raises(ConfigError, match=r"--set cluster\.cpus=16"):
        resolve("laptop", [*many, "side_by_side=true"])
    assert resolve("laptop", many, {"evaluate"}).fit.workers == 2
    monkeypatch.setenv("RAY_ADDRESS", "there:6379")
    assert resolve("laptop", many).fit.workers == 2


def test_the_papers_backends_fit_each_other() -> None:
    chosen = ["detector.kind=grounding_dino", "frozen.vision.kind=clip", "sentence.kind=longclip"]
    made = resolve("smoke", [*PAPER_FACES, *PAPER_SENTENCES, *chosen, "evaluate.face.kind=farl"])
    assert (made.face.width, made.sentence.width) == (512, 768)


@pytest.mark.parametrize(
    ("flow", "given", "fits"),
    [
        ("build_dataset", (), True),
        ("data_card", (), True),
        ("train_autoencoder", (), False),
        ("train_decoder", ("snapshot", "autoencoder"), True),  # of the autoencoder that is given
        ("train_autoregressive", ("snapshot", "autoencoder"), False),
        ("evaluate", ("snapshot", "autoencoder", "decoder", "autoregressive"), False),
        ("studio", (), False),
    ],
)
def test_only_what_a_flow_uses_must_fit(flow: str, given: tuple[str, ...], fits: bool) -> None:
    uses = needs(flow, dict.fromkeys(given, "there"))
    if fits:
        assert resolve("laptop", ["face.kind=farl"], uses).face.width == 512
    else:
        with pytest.raises(ConfigError, match=r"Change together: --set .*=farl|Change together: .*face_width=512"):
            resolve("laptop", ["face.kind=farl"], uses)


def test_two_trainings_in_one_process_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"side_by_side=true .* fit\.workers=0 .* set fit\.workers=1"):
        resolve("smoke", ["side_by_side=true", "fit.workers=0"])
    resolve("smoke", ["fit.workers=0"])
