"""Sets of images in the layouts that people have, written by hand; each image knows its set by its colour."""

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from storage.errors import ConfigError, StorageError
from storage.images import images
from tests.storage.placed import put_all


def picture(red: int, size: tuple[int, int] = (40, 20), kind: str = "PNG", **options) -> bytes:
    file = io.BytesIO()
    pixels = np.zeros((size[1], size[0], 3), np.uint8)
    pixels[..., 0] = red
    pixels[0, :, 1] = 250  # the upper edge is green
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


def reds(sets: list[images.ImagesConfig]) -> list[int]:
    found = images.Images(sets, images.index(sets))
    return [int(found.read(row)[10, 10, 0]) for row in range(len(found))]


def test_any_folder(tmp_path: Path) -> None:
    root = put_all(tmp_path, {"a/1.png": picture(1), "b/c/2.PNG": picture(2), "b/notes.txt": b"no image"})
    assert reds([images.FolderConfig(root=root)]) == [1, 2]


def test_webdataset_shards_are_read_in_place(tmp_path: Path) -> None:
    for shard in range(2):
        with tarfile.open(tmp_path / f"{shard:05d}.tar", "w") as tar:
            for place in range(3):
                for name, data in ((f"{place}.png", picture(10 * shard + place)), (f"{place}.json", b"{}")):
                    member = tarfile.TarInfo(name)
                    member.size = len(data)
                    tar.addfile(member, io.BytesIO(data))
    assert reds([images.WebDatasetConfig(root=str(tmp_path))]) == [0, 1, 2, 10, 11, 12]


@pytest.mark.parametrize("row", ["ID\naa\n", "ImageID,Rotation\naa,left\n", f"ImageID\n{'x' * 200_000}\n"])
def test_a_table_of_open_images_in_another_form_is_named_with_its_line(tmp_path: Path, row: str) -> None:
    put_all(tmp_path, {"aa.png": picture(1), "image_ids_and_rotation.csv": row.encode()})
    with pytest.raises(ConfigError, match=r"image_ids_and_rotation\.csv', line \d: not a row of that table"):
        images.index([images.OpenImagesConfig(root=str(tmp_path))])


def test_open_images_come_upright_with_their_licences(tmp_path: Path) -> None:
    table = (
        "ImageID,Subset,License,Rotation\naa,train,CC BY 2.0,90.0\nbb,train,CC BY 2.0,\ncc,test,x,0.0\ndd,train,x,0.0\n"
    )
    root = put_all(
        tmp_path,
        {
            "image_ids_and_rotation.csv": table.encode(),
            "train/aa.png": picture(1),
            "train/bb.png": picture(2),
            "test/cc.png": picture(3),
        },
    )
    sets = [images.OpenImagesConfig(root=root)]
    table = images.index(sets, with_shapes=True)
    assert table["licence"].to_pylist() == ["CC BY 2.0"] * 2
    assert list(zip(table["height"].to_pylist(), table["width"].to_pylist(), strict=True)) == [(40, 20), (20, 40)]
    turned = images.Images(sets, table).read(0)
    assert turned.shape == (40, 20, 3)
    assert (turned[:, 0, 1] == 250).all()  # counterclockwise: the upper edge is now the left one


def test_journeydb_goes_by_its_annotations(tmp_path: Path) -> None:
    lines = [{"img_path": "./000/x.png", "prompt": "p"}, {"img_path": "./001/gone.png", "prompt": "q"}]
    root = put_all(
        tmp_path,
        {
            "data/train/train_anno.jsonl": "\n".join(map(json.dumps, lines)).encode(),
            "data/train/imgs/000/x.png": picture(7),
            "data/train/imgs/000/not-named.png": picture(8),
        },
    )
    assert reds([images.JourneyDbConfig(root=root)]) == [7]


def test_objects365_finds_patches_wherever_they_lie_and_knows_sizes_without_reading(tmp_path: Path) -> None:
    said = [
        {"id": n, "file_name": f"images/v1/patch{n}/objects365_v1_{n:08d}.jpg", "height": 20, "width": 40}
        for n in range(3)
    ]
    root = put_all(
        tmp_path,
        {
            "zhiyuan_objv2_train.json": json.dumps({"images": said}).encode(),
            "train/patch0/objects365_v1_00000000.jpg": picture(90, kind="JPEG", quality=95),
            "train/patch2/objects365_v1_00000002.jpg": b"not an image",
        },
    )
    table = images.index([images.Objects365Config(root=root)], with_shapes=True)
    assert table["width"].to_pylist() == [40, 40]


def test_sets_stand_one_after_the_other(tmp_path: Path) -> None:
    roots = [put_all(tmp_path / name, {"x.png": picture(red)}) for name, red in (("one", 4), ("two", 5))]
    assert reds([images.FolderConfig(root=root) for root in roots]) == [4, 5]


def test_colours_and_orientation_of_what_people_have(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    clear = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    clear.save(tmp_path / "b.png")
    Image.new("L", (8, 8), 77).save(tmp_path / "c.png")
    put_all(tmp_path, {"a.jpg": picture(90, kind="JPEG", exif=exif)})
    sets = [images.FolderConfig(root=str(tmp_path))]
    found = images.Images(sets, images.index(sets))
    assert found.read(0).shape == (40, 20, 3)
    assert found.shape(0) == (40, 20)
    assert (found.read(1) == 255).all()
    assert (found.read(2) == 77).all()


def test_a_broken_image_gives_its_place_to_the_next_and_is_named(tmp_path: Path, caplog) -> None:
    root = put_all(tmp_path, {"a.png": picture(1), "b.png": picture(2)[:60], "c.png": picture(3)})
    sets = [images.FolderConfig(root=root)]
    assert reds(sets) == [1, 3, 3]
    assert "b.png" in caplog.text
    put_all(tmp_path / "worse", {"a.png": b""})
    worse = [images.FolderConfig(root=str(tmp_path / "worse"))]
    with pytest.raises(StorageError, match=r"a\.png"):
        images.Images(worse, images.index(worse)).read(0)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (images.FolderConfig, r"holds no images of kind=folder"),
        (images.WebDatasetConfig, r"holds no images of kind=webdataset"),
        (images.OpenImagesConfig, r"image_ids_and_rotation\.csv.*fetch it from storage\.googleapis"),
        (images.JourneyDbConfig, r"train_anno\.jsonl.*fetch it from JourneyDB"),
        (images.Objects365Config, r"zhiyuan_objv2_train\.json.*www\.objects365\.org"),
    ],
)
def test_what_is_missing_is_named(config, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        images.index([config(root=str(tmp_path))])


def test_a_program_that_is_called_a_picture_is_not_run(tmp_path: Path) -> None:
    """Pillow hands EPS to Ghostscript."""
    put_all(tmp_path, {"1.jpg": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 40 20\nshowpage\n", "2.png": picture(2)})
    sets = [images.FolderConfig(root=str(tmp_path))]
    assert reds(sets) == [2, 2]
    with pytest.raises(StorageError, match=r"1\.jpg"):
        images.index(sets, with_shapes=True)
