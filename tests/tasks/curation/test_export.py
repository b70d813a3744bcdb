"""WebDataset shards: complete, bounded, the same each time, and kept by a run that goes on."""

import hashlib
import io
import json
import tarfile

import pytest
from PIL import Image

from storage import layout
from storage.decoding.pictures import decode
from storage.root import Storage
from storage.tables.tables import Tables
from tasks.curation import export
from tasks.curation.export import ExportConfig
from tasks.progress import silent
from tests.tasks.small_story import FILM, HEIGHT, OTHER, SECONDS, WIDTH, small_story, two_stories

SMALL = ExportConfig(shard_mb=0.03)


def exported(storage, config=SMALL):
    rel = export.run(config, storage, silent)
    return rel.removesuffix("/index.json"), json.loads(storage.read_bytes(rel))


def members(storage, folder, shard):
    with tarfile.open(fileobj=io.BytesIO(storage.read_bytes(f"{folder}/{shard['name']}"))) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar}


def test_every_keyframe_is_in_one_shard_of_its_split(storage):
    snapshot = two_stories(storage)
    folder, index = exported(storage)
    assert index["samples"] == {"train": SECONDS, "test": SECONDS}
    assert len(index["shards"]) > 2
    for split, film in (("train", FILM), ("test", OTHER)):
        names = []
        for shard in (one for one in index["shards"] if one["split"] == split):
            data = storage.read_bytes(f"{folder}/{shard['name']}")
            assert len(data) == shard["bytes"] <= 30_000
            assert hashlib.sha256(data).hexdigest() == shard["sha256"]
            mine = list(members(storage, folder, shard))
            assert (mine[0].split(".")[0], mine[-1].split(".")[0]) == (shard["first"], shard["last"])
            assert len(mine) == 2 * shard["samples"]
            names += mine
        assert names == [f"{film}-{second:06d}.{end}" for second in range(SECONDS) for end in ("webp", "json")]
    everything = {name: data for shard in index["shards"] for name, data in members(storage, folder, shard).items()}
    pictures = Tables(storage).read("keyframes", snapshot.work["keyframes"], ["row_id", "image"]).to_pylist()
    assert all(everything[f"{row['row_id']}.webp"] == row["image"] for row in pictures)
    said = json.loads(everything[f"{OTHER}-000001.json"])
    assert (said["split"], said["second"], said["shot"], said["caption"]) == ("test", 1, 0, "A block.")
    assert said["film"] | {"title": "small story", "licence": "none", "year": 0} == said["film"]
    (person,), (face,) = said["persons"], said["faces"]
    assert person["caption"] == "A person in blue."
    assert person["box"] == face["box"] == [0.1, 0.2, 0.4, 0.7]
    assert face["rejected"] == ""
    assert said["script"]["plots"] == ["Shot 0 goes on."]
    assert json.loads(everything[f"{OTHER}-000002.json"])["persons"] == []


def test_halves_of_a_film_go_to_their_splits(storage):
    small_story(storage)
    _, index = exported(storage, ExportConfig())
    assert [(one["split"], one["samples"], one["first"][-6:]) for one in index["shards"]] == [
        ("train", 6, "000000"),
        ("test", 6, "000006"),
    ]


def test_what_is_finished_is_kept_and_the_rest_is_the_same_as_undisturbed(storage, tmp_path):
    two_stories(storage)
    folder, index = exported(storage)
    bytes_of = {name: storage.read_bytes(f"{folder}/{name}") for name in storage.list(folder)}
    victims = [one["name"] for one in index["shards"]][1:]
    storage.delete(f"{folder}/index.json")
    storage.delete(f"{folder}/{victims[0].replace('.tar', '.json')}")  # killed before it was said to be whole
    for name in victims[1:]:
        storage.delete(f"{folder}/{name}")
        storage.delete(f"{folder}/{name.replace('.tar', '.json')}")
    kept = tmp_path / "out" / folder / index["shards"][0]["name"]
    before = kept.stat().st_mtime_ns
    assert exported(storage) == (folder, index)
    assert kept.stat().st_mtime_ns == before
    assert {name: storage.read_bytes(f"{folder}/{name}") for name in storage.list(folder)} == bytes_of
    other = Storage(str(tmp_path / "other"))
    two_stories(other)
    assert exported(other) == (folder, index)
    assert [rel for rel in storage.record.paths() if not (rel.startswith("tables/") or layout.is_place(rel))] == []


def test_a_keyframe_that_is_larger_than_a_shard_has_one_alone(storage):
    small_story(storage)
    _, index = exported(storage, ExportConfig(shard_mb=0.001))
    assert [one["samples"] for one in index["shards"]] == [1] * SECONDS


def test_the_package_webdataset_reads_it(storage):
    wds = pytest.importorskip("webdataset")
    two_stories(storage)
    folder, index = exported(storage)
    urls = [f"{storage.uri}/{folder}/{one['name']}" for one in index["shards"] if one["split"] == "test"]
    samples = list(wds.WebDataset(urls, shardshuffle=False).to_tuple("__key__", "webp;jpg", "json"))
    assert [key for key, _, _ in samples] == [f"{OTHER}-{second:06d}" for second in range(SECONDS)]
    for key, image, said in samples:
        assert decode(image).shape == (HEIGHT, WIDTH, 3)
        assert json.loads(said)["row_id"] == key
        assert Image.open(io.BytesIO(image)).format == "WEBP"
