"""Networks look at pictures, shard by shard in a pool of Ray actors; what they see is kept, so it is done once.

A shard's vectors depend on its pictures and the network alone, so it doesn't matter how many actors share the work, or
whether there are any. A network that was added later looks alone at what others have seen.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from functools import cache, partial
from itertools import islice
from pathlib import Path

import numpy as np
from safetensors.numpy import load, save

from models.errors import ModelError
from models.face import DlibConfig
from models.metrics.keyframes import Keyframes
from models.metrics.networks import (
    OF_VIDEOS,
    PLAIN,
    CameraMetricsConfig,
    KeyframeMetricsConfig,
    Module,
    Network,
    SoundMetricsConfig,
    Vectors,
    encoder,
)
from models.metrics.speech import Recogniser
from models.vision import EfficientNetLite0Config
from models.weights.checkpoint import CheckpointConfig
from models.weights.packaged import MODELS
from storage.errors import ConfigError, FilmError
from storage.fingerprint import fingerprint
from storage.remote import fetched
from storage.results import motion, soundtrack
from storage.root import Storage
from tasks.cluster import ClusterConfig
from tasks.evaluation.report import Model
from tasks.evaluation.shards import Shard
from tasks.made import Made, Step
from tasks.made import Work as ShardWork
from tasks.pool import answers
from tasks.prefetch import ahead
from tasks.progress import Progress
from tasks.stage import StageError

STAGE = "evaluate"
_REVISION = 3  # of the vectors that are kept
_TOGETHER = 32  # pictures that are in memory at a time; networks take them in batches that this is a multiple of


class Looks:
    """What networks saw of some shards.

    Attributes:
        models: module -> the network that looked; those of identity are numbered.
        gone: module -> why it could not.
        broken: shard -> why it can't be looked at.
    """

    def __init__(self, config: KeyframeMetricsConfig, storage: Storage, modules: Sequence[Module] = PLAIN) -> None:
        self.config, self.storage = config, storage
        self.keys: dict[Module, str] = {}
        self.models: dict[str, Model] = {}
        self.gone: dict[str, str] = {}
        self.broken: dict[str, str] = {}
        for module in modules:
            if not (networks := config.networks(module)):
                continue
            try:
                self.keys[module] = fingerprint("vectors", _REVISION, module, *networks)
                self.models |= _models(module, networks)
            except ModelError as error:
                self.gone[module] = str(error)

    def place(self, shard: Shard, module: Module) -> str:
        """Where the vectors of a shard are in the storage."""
        return f"evaluations/vectors/{fingerprint(self.keys[module], shard.id)}.safetensors"

    def missing(self, shards: Sequence[Shard]) -> dict[str, dict[Module, str]]:
        """Shard -> module -> where its vectors are to be."""
        there = {f"evaluations/vectors/{name}" for name in self.storage.list("evaluations/vectors")}
        wanted = {
            shard.id: {
                module: self.place(shard, module) for module in self.keys if module not in OF_VIDEOS or shard.video
            }
            for shard in shards
        }
        lacks = {one: {m: place for m, place in places.items() if place not in there} for one, places in wanted.items()}
        return {one: places for one, places in lacks.items() if places}

    def keyframes(self, shards: Sequence[Shard]) -> list[Keyframes]:
        """The keyframes of each story, whose vectors are read when they are asked for.

        Raises:
            StageError: for a shard that can't be looked at.
        """
        stories: dict[str, list[Shard]] = {}
        for shard in shards:
            if said := self.broken.get(shard.id):
                raise StageError(f"{STAGE} stopped at story {shard.story!r}: {said}")
            stories.setdefault(shard.story, []).append(shard)
        return [self._story(story, some) for story, some in stories.items()]

    def count(self, shard: Shard) -> int:
        """Pictures of a shard that were looked at; 0 where there is no network."""
        module = next((one for one in self.keys if one not in OF_VIDEOS), None)
        if not module:
            return 0
        return len(load(self.storage.read_bytes(self.place(shard, module)))[self.config.of_pictures(module)])

    def _story(self, story: str, shards: Sequence[Shard]) -> Keyframes:
        def vectors(module: Module) -> Vectors:
            some = [shard for shard in shards if module not in OF_VIDEOS or shard.video]
            if not some:
                return {}
            parts = [load(self.storage.read_bytes(self.place(shard, module))) for shard in some]
            return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

        count = sum(map(self.count, shards))
        return Keyframes(story, [f"{story}/{number}" for number in range(1, count + 1)], vectors)


def _models(module: Module, networks: Sequence[Network]) -> dict[str, Model]:
    if module == "identity":  # the first network is that of faces
        return {f"identity.{place}": _model(one) for place, one in enumerate(networks[1:])}
    (network,) = networks
    return {} if isinstance(network, SoundMetricsConfig | CameraMetricsConfig) else {module: _model(network)}


def _model(network: Network) -> Model:
    match network:
        case CheckpointConfig():
            return Model(id=network.source, revision=network.revision, licence=network.origin.licence)
        case DlibConfig() | EfficientNetLite0Config():
            packaged = MODELS["dlib-face" if network.kind == "dlib" else "efficientnet-lite0"]
            return Model(id=network.kind, revision=network.revision, licence=packaged.licence)
        case _:
            raise AssertionError(f"{network} is no network with weights")


def look(
    config: KeyframeMetricsConfig,
    shards: Sequence[Shard],
    storage: Storage,
    cluster: ClusterConfig,
    progress: Progress,
    modules: Sequence[Module] = PLAIN,
) -> Looks:
    """Lets all networks whose weights are there look at all pictures; starts no Ray when that was done before.

    A shard with a file that can't be read, or that ends its worker again and again, is `broken`.

    Raises:
        StageError: for weights that can't be read.
        StorageError: when the storage cannot be read or written.
    """
    looks = Looks(config, storage, modules)
    missing = looks.missing(shards)
    by_id = {shard.id: shard for shard in shards}
    done, total = len(by_id) - len(missing), len(by_id)
    progress(STAGE, done, total)
    if missing:
        keys = {one: fingerprint(one, sorted(places)) for one, places in missing.items()}
        make = partial(looking, config, {one: by_id[one] for one in missing}, missing, storage)
        with closing(answers(storage, keys, make, cluster.model_pool, cluster)) as arriving:
            for answer in arriving:
                if answer.failure:
                    raise StageError(f"{STAGE} stopped at story {by_id[answer.film_id].story!r}: {answer.failure}")
                if answer.reject:
                    looks.broken[answer.film_id] = answer.reject.detail
                if answer.final:
                    done += 1
                    progress(STAGE, done, total)
    return looks


def looking(
    config: KeyframeMetricsConfig,
    shards: Mapping[str, Shard],
    places: Mapping[str, Mapping[Module, str]],
    storage: Storage,
) -> ShardWork:
    """What an actor does: keeps the vectors of a shard at their places.

    The work raises FilmError for a file that can't be read.
    """
    network = cache(partial(encoder, config))
    recogniser = cache(partial(Recogniser, config.speech))

    def work(shard_id: str) -> Iterator[Step | Made]:
        try:
            yield from looked(shard_id)
        except ConfigError as error:
            raise FilmError("unreadable", str(error)) from error

    def watched(module: Module, file: Path) -> Vectors:
        match module:
            case "sound":
                return soundtrack.heard(file)
            case "speech":
                letters = recogniser().hear(soundtrack.samples(file)).encode()
                return {"words": np.frombuffer(letters + b"\n", np.uint8).astype(np.float32)}
            case _:
                return {"moves": motion.camera_motion(file)[None]}

    def looked(shard_id: str) -> Iterator[Step | Made]:
        shard = shards[shard_id]
        made: dict[Module, list[Vectors]] = {module: [] for module in places[shard_id] if module not in OF_VIDEOS}
        pictures, seen = shard.pictures(storage), 0
        for some in ahead(iter(lambda: list(islice(pictures, _TOGETHER)), [])) if made else ():
            images, plots = [image for image, _ in some], [plot for _, plot in some]
            for module, parts in made.items():
                parts.append(network(module)(images, plots))
            seen += len(images)
            yield Step(seen, seen)
        if of_video := [module for module in places[shard_id] if module in OF_VIDEOS]:
            with fetched(shard.video) as file:
                made |= {module: [watched(module, file)] for module in of_video}
        for module, parts in made.items():
            arrays = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
            if module != "sound" and not all(np.isfinite(rows).all() for rows in arrays.values()):
                raise FilmError("unreadable", f"the network of {module} answers with numbers that are not finite")
            storage.write_bytes(places[shard_id][module], save(arrays))
        yield Made({})

    return work
