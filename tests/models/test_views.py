"""How training pictures are cut, bucketed and dealt; what is looked at in the step equals what was kept before."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from models.training import rows_of_step
from models.training.buckets import Buckets
from models.training.views import FrozenModels, InMemory, Pixels, Views, cut
from models.vision import ClipConfig, build
from tests.models.tiny_sdxl import SIZE, vae

SIZES = [(64, 64), (48, 96), (96, 48)]


def shapes(count: int) -> list[tuple[int, int]]:
    random = np.random.default_rng(0)
    return [(int(height), int(width)) for height, width in random.integers(30, 200, (count, 2))]


def test_a_picture_goes_to_the_shape_nearest_its_own() -> None:
    buckets = Buckets([(100, 100), (50, 110), (300, 140), (90, 110)], SIZES)
    assert [buckets.size(row) for row in range(4)] == [(64, 64), (48, 96), (96, 48), (64, 64)]


@pytest.mark.parametrize(("batch", "world"), [(1, 1), (3, 1), (4, 2)])
def test_an_epoch_has_each_picture_and_batches_of_one_size(batch: int, world: int) -> None:
    buckets = Buckets(shapes(23), SIZES)
    of_size = Counter(buckets.bucket_F.tolist())
    per_epoch = sum(-(-count // batch) for count in of_size.values())
    dealt = [buckets.rows_of_step(batch, 5, place // world, place % world, world) for place in range(per_epoch)]
    assert all(len(rows) == batch and len({buckets.size(int(row)) for row in rows}) == 1 for rows in dealt)
    times = Counter(torch.cat(dealt).tolist())
    assert set(times) == set(range(23))
    assert sum(times.values()) - 23 == sum(-count % batch for count in of_size.values())


def test_some_pictures_come_bucket_by_bucket() -> None:
    buckets = Buckets([(64, 64), (64, 96), (64, 64), (64, 96), (64, 64)], [(64, 64), (64, 96)])
    some = buckets.batches(torch.tensor([4, 3, 2, 0]), 2)
    assert [rows.tolist() for rows in some] == [[4, 2], [0], [3]]
    assert [rows.tolist() for rows in Buckets([(1, 1)], [(64, 64)]).batches(torch.arange(3), 2)] == [[0, 1], [2]]


def test_dealing_depends_on_seed_and_step_alone() -> None:
    buckets, again = Buckets(shapes(40), SIZES), Buckets(shapes(40), SIZES)
    later = [again.rows_of_step(4, 1, step, 0, 1) for step in (30, 3, 11)]  # in whatever order it is asked
    for step, rows in zip((30, 3, 11), later, strict=True):
        assert torch.equal(buckets.rows_of_step(4, 1, step, 0, 1), rows)
    assert any(
        not torch.equal(buckets.rows_of_step(4, 2, step, 0, 1), rows)
        for step, rows in zip((30, 3, 11), later, strict=True)
    )


@pytest.mark.parametrize("shape", [(512, 896), (1080, 1920), (100, 300), (300, 100), (64, 64), (37, 53)])
@pytest.mark.parametrize("size", [(64, 64), (48, 96)])
def test_a_cut_covers_its_size_about_the_middle_and_says_where(shape: tuple[int, int], size: tuple[int, int]) -> None:
    """Pixels hold their own coordinates, so the cut's middle must be the picture's."""
    image = np.zeros((*shape, 3), np.uint8)
    image[..., 0] = np.linspace(0, 255, shape[0])[:, None]
    image[..., 1] = np.linspace(0, 255, shape[1])[None]
    pixels, (height, width, top, left, *target) = cut(image, size)
    assert pixels.shape == (*size, 3)
    assert ((height, width), tuple(target)) == (shape, size)
    assert min(top, left) == 0
    scale = max(size[0] / shape[0], size[1] / shape[1])
    assert (top, left) == tuple(
        max(0, round(side * scale) - wanted) // 2 for side, wanted in zip(shape, size, strict=True)
    )
    assert pixels[..., :2].reshape(-1, 2).mean(0) == pytest.approx([127.5, 127.5], abs=2)
    seen = [1 - 2 * top / (shape[0] * scale), 1 - 2 * left / (shape[1] * scale)]
    assert np.ptp(pixels[..., :2].reshape(-1, 2), axis=0) == pytest.approx([255 * share for share in seen], abs=8)


class Pictures:
    window = 1

    def __init__(self, images_B3HW: torch.Tensor) -> None:
        self.images = (images_B3HW * 255).round().byte().permute(0, 2, 3, 1).numpy()

    def __len__(self) -> int:
        return len(self.images)

    def read(self, row: int) -> np.ndarray:
        return self.images[row]


def test_what_is_watched_is_what_would_have_been_kept(sdxl: Path, clip: Path, pictures: torch.Tensor) -> None:
    source, encoder, codec = Pictures(pictures), build(ClipConfig(source=str(clip))), vae(sdxl)
    images = torch.from_numpy(source.images).permute(0, 3, 1, 2).float() / 255
    both = [images, images.flip(-1)]
    latents = (codec.encode(some) for some in both)
    features = (encoder(F.interpolate(some, (56, 56), mode="bilinear", antialias=True)) for some in both)
    kept = Views(InMemory(*latents, *features))
    watched = Views(Pixels(source, Buckets([SIZE], [SIZE])), FrozenModels(codec, encoder, (56, 56), [SIZE]))
    assert len(watched) == len(kept) == 5
    assert torch.equal(watched.rows_of_step(3, 1, 7, 0, 2), rows_of_step(5, 3, 1, 7, 0, 2))
    watched.source.window = 2
    assert torch.equal(watched.rows_of_step(3, 1, 8, 1, 2), rows_of_step(5, 3, 1, 8, 1, 2, window=2))
    rows, mirrored = torch.tensor([4, 0, 2]), torch.tensor([0, 1, 1])
    drawn = watched.draw(rows, mirrored)
    assert watched.grid(drawn) == kept.grid(kept.draw(rows, mirrored)) == codec.grid
    seen, expected = (views.see(views.draw(rows, mirrored), torch.device("cpu")) for views in (watched, kept))
    torch.testing.assert_close(seen.latents_BCHW, expected.latents_BCHW, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(seen.features_BNC, expected.features_BNC, rtol=1e-4, atol=1e-4)
    assert seen.sizes_B6 is not None
    assert seen.sizes_B6.tolist() == [[*SIZE, 0, 0, *SIZE]] * 3
    assert not seen.latents_BCHW.requires_grad


def test_in_training_the_encoder_sees_what_it_will_see_later(sdxl: Path, clip: Path, pictures: torch.Tensor) -> None:
    encoder = build(ClipConfig(source=str(clip)))
    frozen = FrozenModels(vae(sdxl), encoder, (56, 56), [SIZE])
    watched = Views(Pixels(Pictures(pictures), Buckets([SIZE], [SIZE])), frozen)
    drawn = watched.draw(torch.arange(3), torch.zeros(3).long())
    later = watched.see(drawn, torch.device("cpu"))
    with torch.autocast("cpu", torch.bfloat16):
        trained = watched.see(drawn, torch.device("cpu"))
    assert trained.features_BNC is not None
    assert later.features_BNC is not None
    assert torch.equal(trained.features_BNC, later.features_BNC)
    assert torch.equal(trained.latents_BCHW, later.latents_BCHW)


def test_bad_input_is_quoted() -> None:
    with pytest.raises(ValueError, match="got 2 and 0"):
        Buckets([], SIZES[:2])


def test_without_an_image_encoder_features_are_patches_of_the_latents_drawn() -> None:
    latents = torch.randn(2, 5, 6, 4, 8)
    kept = Views(InMemory(*latents), patch=2)
    assert kept.features_shape == (8, 24)
    drawn = kept.draw(torch.tensor([3, 1]), torch.tensor([0, 1]))
    assert drawn.features_BNC is not None
    first = drawn.features_BNC[1, 0].reshape(6, 2, 2)  # the patch in the upper left corner of a mirrored picture
    assert torch.equal(first, latents[1, 1, :, :2, :2])
    with pytest.raises(ValueError, match=r"4x8 does not divide .*vision.patch=3"):
        Views(InMemory(*latents), patch=3).draw(torch.tensor([0]), torch.tensor([0]))
