"""A storage belongs to one run at a time, however the run was started; settings that don't fit are named at once."""

import subprocess
import sys
from pathlib import Path

import pytest

from flows.lock import alone
from flows.recipes import resolve
from flows.workplace import workplace
from storage.errors import ConfigError, StorageError
from storage.root import Storage

INTRUDER = "import sys; from flows.workplace import workplace\nwith workplace('smoke', sys.argv[1], []): print('in')"


def intrude(place: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", INTRUDER, str(place)], capture_output=True, text=True, check=False, cwd=Path.cwd()
    )


def test_another_process_is_kept_out_while_a_flow_and_those_it_calls_are_at_work(tmp_path: Path) -> None:
    with workplace("smoke", str(tmp_path), []):
        with workplace("smoke", str(tmp_path), ["render.seed=1"]) as (settings, _):
            assert settings.render.seed == 1
        kept_out = intrude(tmp_path)
        assert kept_out.returncode == 1
        assert f"is at work in {str(tmp_path)!r}" in kept_out.stderr
    assert intrude(tmp_path).stdout == "in\n"


def test_the_lock_goes_with_an_error(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="stop"), alone(Storage(str(tmp_path))):
        raise RuntimeError("stop")
    assert intrude(tmp_path).stdout == "in\n"


def test_a_storage_that_cannot_be_written_is_quoted(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="file/out"), alone(Storage(str(tmp_path / "file/out"))):
        pass


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ("autoencoder.model.compressor.token_width=32", "autoregressive.model.width=16 does not go with"),
        ("autoregressive.model.tokens=8", "autoencoder.model.compressor.tokens=2"),
        ("autoencoder.model.decoder.face_width=512", "autoregressive.model.face_width=128"),
    ],
)
def test_models_that_would_not_take_each_others_tokens_are_named(changed: str, named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        resolve("smoke", [changed])
    both = ["autoencoder.model.compressor.token_width=32", "autoregressive.model.width=32"]
    assert resolve("smoke", both).autoregressive.model.width == 32


PAPER_FACES = ["autoencoder.model.decoder.face_width=512", "autoregressive.model.face_width=512", "face.kind=farl"]
PAPER_SENTENCES = ["autoencoder.model.decoder.sentence_width=768", "autoregressive.model.sentence_width=768"]


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        (["sentence.kind=longclip"], "sentence.kind=longclip gives 768 numbers, .*sentence_width=384 does not go with"),
        (PAPER_SENTENCES, "sentence.kind=minilm gives 384 numbers"),
        (["face.kind=farl"], "face.kind=farl gives 512 numbers, .*face_width=128 .*to 512"),
        (PAPER_FACES, "evaluate.face.kind=dlib and face.kind=farl: set both to the same"),
        (
            [*PAPER_FACES, "evaluate.face.kind=farl", "evaluate.face.source=another.pth"],
            r"evaluate.face.source=another\.pth and face.source=FaRL.*\.pth: set both to the same",
        ),
    ],
)
def test_backends_whose_vectors_do_not_fit_are_named(changed: list[str], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        resolve("smoke", changed)


def test_the_papers_backends_fit_each_other() -> None:
    chosen = ["detector.kind=grounding_dino", "frozen.vision.kind=clip", "sentence.kind=longclip"]
    made = resolve("smoke", [*PAPER_FACES, *PAPER_SENTENCES, *chosen, "evaluate.face.kind=farl"])
    assert (made.face.width, made.sentence.width) == (512, 768)


def test_aspect_buckets_and_a_coarse_head_are_not_taken_together() -> None:
    buckets = 'first={"sizes": [[256, 448], [448, 256]]}'
    with pytest.raises(ConfigError, match=r"first.sizes=\[\[256, 448\], \[448, 256\]\] .*decoder.coarse=null"):
        resolve("smoke", [buckets])
    assert resolve("smoke", [buckets, "autoencoder.model.decoder.coarse=null"]).first
