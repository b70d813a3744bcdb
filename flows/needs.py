"""Which parts of a recipe a flow uses: those alone are checked before it begins."""

from collections.abc import Mapping

_PARTS = {
    "snapshot": ("detector", "face", "captioner", "writer", "sentence"),
    "autoencoder": ("frozen", "first", "autoencoder"),
    "decoder": ("frozen", "decoder"),
    "autoregressive": ("frozen", "autoregressive", "autoregressive_fit"),
    "movies": ("frozen", "render", "movie", "script"),
    "figures": ("frozen", "face", "render", "evaluate"),
}
"""What is made -> the fields of the recipe that decide on it."""

_MADE = {
    "build_dataset": ("snapshot",),
    "train_autoencoder": ("snapshot", "autoencoder"),
    "train_decoder": ("snapshot", "autoencoder", "decoder"),
    "train_autoregressive": ("snapshot", "autoencoder", "autoregressive"),
    "render_movies": tuple(_PARTS),
    "evaluate": ("snapshot", "autoencoder", "decoder", "autoregressive", "figures"),
    "studio": tuple(_PARTS),
    "data_card": (),
    "export_webdataset": (),
}
"""Flow -> what it makes, and what it makes before that when it isn't given."""


def needs(flow: str, given: Mapping[str, str] | None = None) -> frozenset[str]:
    """Fields of the recipe.

    Args:
        given: what is there already, by the names that flows give it (snapshot, autoencoder, ...); "" is not.
    """
    made = (what for what in _MADE[flow] if not (given or {}).get(what))
    return frozenset(part for what in made for part in _PARTS[what])
