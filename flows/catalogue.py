"""The flows and the recipes by name, without importing any of them, so that `list` and `--help` answer at once."""

from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from importlib import import_module
from typing import Any, NamedTuple

from storage.errors import ConfigError


class Flow(NamedTuple):
    """A flow: its module in this folder, what it does, and what it makes, also before that when it isn't given."""

    module: str
    about: str
    makes: tuple[str, ...] = ()


_PARTS = {
    "snapshot": ("detector", "face", "captioner", "writer", "sentence"),
    "autoencoder": ("frozen", "first", "autoencoder"),
    "decoder": ("frozen", "decoder"),
    "autoregressive": ("frozen", "autoregressive", "autoregressive_fit"),
    "movies": ("frozen", "render", "movie", "script"),
    "stories": ("sentence", "face", "frozen", "render", "movie", "sound", "stories"),
    "figures": ("frozen", "face", "render", "evaluate"),
}
"""What is made -> the fields of the recipe that decide on it."""

_MODELS = ("snapshot", "autoencoder", "decoder", "autoregressive")

FLOWS: dict[str, Flow] = {
    "build_dataset": Flow(
        "curation",
        "films -> keyframes, characters, captions, scripts, faces, features, and a snapshot of them",
        ("snapshot",),
    ),
    "train_autoencoder": Flow(
        "training",
        "snapshot -> codec and diffusion autoencoder (stages 1 and 2) -> two tokens a keyframe",
        ("snapshot", "autoencoder"),
    ),
    "train_decoder": Flow(
        "training",
        "snapshot and autoencoder -> ID-preserving decoder (stage 3)",
        ("snapshot", "autoencoder", "decoder"),
    ),
    "train_autoregressive": Flow(
        "training",
        "snapshot and tokens -> autoregressive model of keyframe tokens",
        ("snapshot", "autoencoder", "autoregressive"),
    ),
    "render_movies": Flow(
        "movies", "models and snapshot -> keyframes, movie.mp4 and storyboard.html", (*_MODELS, "movies", "figures")
    ),
    "render_stories": Flow("stories", "stories in a folder -> their movies, each once", ("stories",)),
    "evaluate": Flow("movies", "models and keyframes -> metrics.json", (*_MODELS, "figures")),
    "studio": Flow(
        "studio",
        "films in, a movie out: curation, the three trainings, render_movies and evaluate",
        (*_MODELS, "movies", "figures"),
    ),
    "data_card": Flow(
        "curation", "snapshot -> data_card.html: counts, distributions, pictures, licences, rejects, known biases"
    ),
    "export_webdataset": Flow("curation", "snapshot -> WebDataset shards for other trainers"),
}
"""Name of the flow, which is also its function in its module -> what there is to know before it is imported."""

RECIPES: dict[str, str] = {
    "smoke": "a minute: a short drawn film and tiny models of the real classes, for tests",
    "laptop": "minutes on two CPU cores, no GPU, nothing downloaded: the default",
    "world": "hours on one CPU core: the models of many drawn films from which the embedded weights come",
    "gpu": "minutes on one GPU: the laptop's backends, a decoder from scratch at 448x256 and then 896x512",
    "paper": "the paper's checkpoints, sizes, schedules and data: weeks on several GPUs",
}
"""Name of the recipe, which is also its function in flows.settings.recipes -> what it is for."""


def flow(name: str) -> Callable[..., Any]:
    """The Prefect flow of that name.

    Raises:
        ConfigError: no flow has this name; the message names the nearest one.
    """
    check("flow", name, FLOWS)
    function: Callable[..., Any] = getattr(import_module(f"flows.{FLOWS[name].module}"), name)
    return function


def needs(flow: str, given: Mapping[str, object] | None = None) -> frozenset[str]:
    """The fields of the recipe that a flow uses; only these are checked before it begins.

    Args:
        given: what exists already, by the names of References (snapshot, autoencoder, ...); "" means it does not.
    """
    made = (what for what in FLOWS[flow].makes if not (given or {}).get(what))
    return frozenset(part for what in made for part in _PARTS[what])


def check(what: str, name: str, known: Iterable[str]) -> None:
    """Raises a ConfigError that quotes `name` and names the nearest one when it is not among `known`."""
    known = list(known)
    if name not in known:
        raise ConfigError(f"unknown {what} {name!r}{nearest(name, known)}; there are: {', '.join(known)}")


def nearest(name: str, known: Iterable[str]) -> str:
    """`: did you mean 'x'?`, or nothing when nothing is near."""
    close = get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f": did you mean {close[0]!r}?" if close else ""
