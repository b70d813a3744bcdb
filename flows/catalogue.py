"""What there is to run: the flows and the recipes, by name, without importing any of them.

The command line starts from this page, so that `list` and `--help` answer at once.
"""

from collections.abc import Callable, Iterable
from difflib import get_close_matches
from importlib import import_module
from typing import Any

from storage.errors import ConfigError

FLOWS: dict[str, str] = {
    "build_dataset": "films -> keyframes, characters, captions, scripts, faces, features, and a snapshot of them",
    "train_autoencoder": "snapshot -> codec and diffusion autoencoder (stages 1 and 2) -> two tokens a keyframe",
    "train_decoder": "snapshot and autoencoder -> ID-preserving decoder (stage 3)",
    "train_autoregressive": "snapshot and tokens -> autoregressive model of keyframe tokens",
    "render_movies": "models and snapshot -> keyframes, movie.mp4 and storyboard.html",
    "evaluate": "models and keyframes -> metrics.json",
    "studio": "all of the above: films in, a movie out",
    "data_card": "snapshot -> data_card.html: counts, distributions, pictures, licences, rejects, known biases",
    "export_webdataset": "snapshot -> WebDataset shards for other trainers",
}
"""Name of the flow, which is also its module in this folder and its function there -> what it does."""

RECIPES: dict[str, str] = {
    "smoke": "a minute: a short drawn film and tiny models of the real classes, for tests",
    "laptop": "minutes on two CPU cores, no GPU, nothing downloaded: the default",
    "gpu": "minutes on one GPU: the laptop's backends, a decoder from scratch at 448x256 and then 896x512",
    "paper": "the paper's checkpoints, sizes, schedules and data: weeks on several GPUs",
}
"""Name of the recipe, which is also its function in flows.recipes -> what it is for."""


def flow(name: str) -> Callable[..., Any]:
    """The Prefect flow of that name.

    Raises:
        ConfigError: no flow has this name; the message names the nearest one.
    """
    check("flow", name, FLOWS)
    function: Callable[..., Any] = getattr(import_module(f"flows.{name}"), name)
    return function


def check(what: str, name: str, known: Iterable[str]) -> None:
    """Raises a ConfigError that quotes `name` and names the nearest one when it is not among `known`."""
    known = list(known)
    if name not in known:
        raise ConfigError(f"unknown {what} {name!r}{nearest(name, known)}; there are: {', '.join(known)}")


def nearest(name: str, known: Iterable[str]) -> str:
    """`: did you mean 'x'?`, or nothing when nothing is near."""
    close = get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f": did you mean {close[0]!r}?" if close else ""
