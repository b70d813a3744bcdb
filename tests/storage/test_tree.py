"""Links that lead in a ring: each real folder is met once, in every layout of films and of images."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from storage import tree
from storage.films.inputs import each_once, found
from storage.images import images
from storage.root import Storage
from tests.storage.films.test_condensed_movies import CLIPS
from tests.storage.images.test_images import picture
from tests.storage.placed import put_all


@pytest.fixture
def ring(tmp_path: Path) -> Path:
    """A film behind folders that lead to themselves, to those above them, to each other and to a sibling."""
    top = tmp_path / "films"
    put_all(top, {"2019/Sv-BxH3SVS8.mp4": b"film", "2019/deep/.hidden/b.mp4": b"hidden"})
    for link, target in (
        ("2019/again", "."),
        ("2019/up", ".."),
        ("2019/deep/two", "../.."),
        ("a-twin", "2019"),
        ("loop", "loop"),
    ):
        (top / link).symlink_to(target)
    return top


@pytest.mark.parametrize("pattern", ["", "**/*.mp4", "**", "*/**/*.mp4", "**/**/*.mp4", "2019/**/Sv*"])
def test_a_film_in_a_ring_of_links_is_found_once_by_folder_and_by_pattern(ring: Path, pattern: str) -> None:
    (film,) = (one for one in each_once(found(str(ring / pattern)))[0] if one.source.endswith(".mp4"))
    assert Path(film.source).resolve() == ring / "2019" / "Sv-BxH3SVS8.mp4"


def test_a_film_has_the_path_without_links_where_there_is_one(ring: Path) -> None:
    assert [str(path.relative_to(ring)) for path in tree.visible(ring)] == ["loop", "2019/Sv-BxH3SVS8.mp4"]


def test_a_linked_folder_is_searched(tmp_path: Path, ring: Path) -> None:
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "one").symlink_to(ring / "2019" / "deep")
    (film,) = (one for one in found(str(tmp_path / "links")) if one.source.endswith(".mp4"))
    assert Path(film.source).resolve() == ring / "2019" / "Sv-BxH3SVS8.mp4"


def test_condensed_movies_in_a_ring_are_found_once(ring: Path) -> None:
    put_all(ring, {"metadata/clips.csv": CLIPS.encode()})
    (film,) = (one for one in found(str(ring)) if one.source.endswith(".mp4"))
    assert film.source == str(ring / "2019" / "Sv-BxH3SVS8.mp4")


@pytest.mark.parametrize("kind", [images.FolderConfig, images.OpenImagesConfig, images.Objects365Config])
def test_an_image_in_a_ring_of_links_is_found_once(ring: Path, kind: type) -> None:
    patches = b'{"images": [{"file_name": "images/v1/deep/aa.png", "height": 20, "width": 40}]}'
    put_all(
        ring,
        {
            "2019/deep/aa.png": picture(1),
            "image_ids_and_rotation.csv": b"ImageID,Subset,License,Rotation,Author\naa,train,x,0.0,Ren\xe9\n",
            "zhiyuan_objv2_train.json": patches,
        },
    )
    assert images.index([kind(root=str(ring))])["name"].to_pylist() == ["2019/deep/aa.png"]


def test_a_storage_lists_a_ring_once_and_a_folder_that_is_gone_as_empty(ring: Path) -> None:
    (ring / "2019" / "gone").symlink_to("nowhere")
    assert Storage(str(ring)).walk("") == ["2019/Sv-BxH3SVS8.mp4", "2019/deep/.hidden/b.mp4", "2019/gone", "loop"]
    assert Storage(str(ring)).walk("2020") == Storage(str(ring)).list("2020") == []


@pytest.mark.parametrize("given", ["", "**/*.mp4", "2019/*/*.mp4", "2019/deep/*.mp4", "Condensed Movies"])
def test_a_folder_that_may_not_be_listed_is_told(ring: Path, monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    def closed(real: Callable[[str], object]) -> Callable[[str], object]:
        def listed(path: str) -> object:
            if Path(path).name == "deep":
                raise PermissionError(13, "Permission denied", str(path))
            return real(path)

        return listed

    for name in ("scandir", "listdir"):
        monkeypatch.setattr(os, name, closed(getattr(os, name)))
    if given == "Condensed Movies":
        put_all(ring, {"metadata/clips.csv": CLIPS.encode()})
        given = ""
    rejects = {one.source: one for one in found(str(ring / given))}
    assert rejects[str(ring / "2019" / "deep")].reason == "unreadable"
    assert (str(ring / "2019" / "Sv-BxH3SVS8.mp4") in rejects) == (given in ("", "**/*.mp4"))
