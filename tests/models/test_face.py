"""Faces: MTCNN against its original, embeddings, clustering and the bank."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drawn.film import draw_frames
from models.face import ClusteringConfig, DlibConfig, Face, FarlConfig, MtcnnFinderConfig, QualityConfig, build
from models.face.bank import FaceBank, agreement, medoid
from models.face.cluster import chinese_whispers, distances
from models.face.mtcnn import FaceFinder
from models.face.quality import reasons, sharpness, turn


@pytest.fixture(scope="module")
def embedder():
    return build(DlibConfig())


def picture(seed=0, height=256, width=448):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_a_drawn_face_is_found_where_it_was_found_by_the_original():
    original = pytest.importorskip("facenet_pytorch").MTCNN(keep_all=True, min_face_size=32, thresholds=[0.6, 0.7, 0.9])
    (frame,) = draw_frames(3, [36.0], size=(896, 512))
    (face,) = FaceFinder(MtcnnFinderConfig()).find([frame])[0]
    (box_4,), _, (landmarks_52,) = original.detect(frame, landmarks=True)
    np.testing.assert_allclose(np.array(face.box) * [896, 512, 896, 512], box_4.astype(float), atol=6)
    np.testing.assert_allclose(face.landmarks_52 * [896, 512], landmarks_52.astype(float), atol=6)


def test_a_picture_without_faces_has_none(embedder):
    assert embedder.faces([np.zeros((256, 448, 3), np.uint8)]) == [[]]


def test_embeddings_keep_the_order_and_do_not_depend_on_company(embedder):
    image = picture()
    faces = [Face((0.1, 0.1, 0.3, 0.5), 1.0), Face((0.5, 0.2, 0.8, 0.9), 0.9)]
    both = embedder.embed(image, faces)
    assert [face.box for face in both] == [face.box for face in faces]
    assert both[1].embedding.shape == (128,)
    alone = embedder.embed(image, faces[1:])[0]
    np.testing.assert_allclose(alone.embedding, both[1].embedding, atol=1e-5)


def test_a_face_at_the_border_is_embedded(embedder):
    landmarks = np.array([[-0.05, 0.2], [0.05, 0.2], [0.0, 0.3], [-0.04, 0.4], [0.04, 0.4]], np.float32)
    (face,) = embedder.embed(picture(), [Face((0.0, 0.1, 0.1, 0.5), 1.0, landmarks)])
    assert np.isfinite(face.embedding).all()


def test_pictures_of_another_kind_are_refused():
    with pytest.raises(ValueError, match=r"uint8 \[height, width, 3\], got float64 \[8, 8\]"):
        FaceFinder(MtcnnFinderConfig()).find([np.zeros((8, 8))])


EUCLIDEAN = DlibConfig().clustering
COSINE = ClusteringConfig(metric="cosine", threshold=0.25)


def crowd(sizes, seed=0):
    """Embeddings in tight groups far from each other, in a shuffled order, and the group of each."""
    draw = np.random.default_rng(seed)
    truth = np.repeat(np.arange(len(sizes)), sizes)
    draw.shuffle(truth)
    centres = np.eye(len(sizes), 128, dtype=np.float32)
    noise = draw.normal(0, 0.01, (len(truth), 128)).astype(np.float32)
    return centres[truth] + noise, truth


def test_clusters_are_numbered_by_size_and_loners_are_minus_one():
    embeddings, truth = crowd([3, 7, 1, 5])
    labels = chinese_whispers(embeddings, EUCLIDEAN)
    assert [int(labels[truth == group][0]) for group in range(4)] == [2, 0, -1, 1]
    assert all(len(set(labels[truth == group])) == 1 for group in range(4))


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(2, 6), min_size=1, max_size=6), st.integers(0, 100))
def test_clusters_do_not_depend_on_the_seed_when_people_differ(sizes, seed):
    embeddings, truth = crowd(sizes, seed)
    labels = chinese_whispers(embeddings, EUCLIDEAN, seed)
    assert len(set(labels)) == len(sizes)
    assert all(len(set(labels[truth == group])) == 1 for group in range(len(sizes)))


def test_clustering_of_nothing_and_of_broken_numbers():
    assert chinese_whispers(np.zeros((0, 128), np.float32), EUCLIDEAN).shape == (0,)
    with pytest.raises(ValueError, match="NaN"):
        chinese_whispers(np.full((2, 128), np.nan, np.float32), EUCLIDEAN)


def with_all_distances_at_once(embeddings, threshold, seed=0):
    """Chinese whispers on one N x N matrix, as short as it can be written."""
    points = embeddings.astype(np.float64)
    weights = np.maximum(0, threshold - np.linalg.norm(points[:, None] - points[None], axis=2))
    np.fill_diagonal(weights, 0)
    labels, draw = np.arange(len(points)), np.random.default_rng(seed)
    for _ in range(50):
        before = labels.copy()
        for i in draw.permutation(len(points)):
            if weights[i].any():
                labels[i] = np.bincount(labels, weights=weights[i]).argmax()
        if (labels == before).all():
            break
    return labels


def test_blocks_give_what_one_large_matrix_gives(monkeypatch):
    monkeypatch.setattr("models.face.cluster.BLOCK", 7)
    draw = np.random.default_rng(1)
    embeddings = (draw.normal(size=(5, 16))[draw.integers(0, 5, 90)] * 0.12 + draw.normal(size=(90, 16)) * 0.07).astype(
        np.float32
    )
    mine = chinese_whispers(embeddings, EUCLIDEAN)
    theirs = with_all_distances_at_once(embeddings, 0.5)
    pairs = {(a, b) for a, b in zip(mine.tolist(), theirs.tolist(), strict=True) if a >= 0}
    assert len({a for a, _ in pairs}) == len({b for _, b in pairs}) == len(pairs) > 1


def test_memory_does_not_grow_with_the_square_of_the_faces():
    embeddings, _ = crowd([40] * 100)
    tracemalloc.start()
    chinese_whispers(embeddings, EUCLIDEAN)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < len(embeddings) ** 2 * 8 / 3


def test_the_metric_is_the_backends():
    assert (DlibConfig().clustering.metric, FarlConfig().clustering.metric) == ("euclidean", "cosine")
    embeddings, truth = crowd([5, 4])
    longer = embeddings * np.linspace(1, 9, len(embeddings), dtype=np.float32)[:, None]
    labels = chinese_whispers(longer, COSINE)  # the length says nothing about who it is
    assert [set(labels[truth == group]) for group in range(2)] == [{0}, {1}]
    assert set(chinese_whispers(longer, EUCLIDEAN)) != {0, 1}
    apart = distances(np.eye(2, dtype=np.float32) * 5, np.array([[2, 2]], np.float32), COSINE)
    np.testing.assert_allclose(apart, 1 - np.sqrt(0.5), atol=1e-6)


def test_those_at_the_two_ends_of_a_chain_are_two_characters():
    draw = np.random.default_rng(0)
    ends = [np.linspace(0, 1, 8) * 0.2 + place for place in (0.0, 1.35)]
    chain = np.concatenate([*ends, [0.2 + 0.45, 0.2 + 0.9]])[:, None] + draw.normal(0, 1e-4, (18, 1))
    embeddings = np.concatenate([chain, np.zeros((18, 3))], axis=1).astype(np.float32)
    assert len({int(label) for label in chinese_whispers(embeddings, EUCLIDEAN)}) > 1


def frontal(x=0.5, nose=0.0, height=0.4):
    """A face of `height` in a square picture, its nose shifted in distances of the eyes."""
    offsets = np.array([[-0.15, -0.1], [0.15, -0.1], [0.3 * nose, 0.05], [-0.1, 0.2], [0.1, 0.2]], np.float32)
    box = (x - height / 2, 0.5 - height / 2, x + height / 2, 0.5 + height / 2)
    return Face(box, 1.0, np.array([x, 0.5], np.float32) + offsets * np.float32(height))


def test_each_reason_to_stay_out_of_the_bank():
    sharp = picture(height=400, width=400)
    config = QualityConfig()
    assert reasons(sharp, [frontal()], config) == [""]
    assert reasons(sharp, [frontal(height=0.07)], config) == ["small"]
    assert reasons(sharp, [frontal(nose=0.9)], config) == ["turned"]
    smooth = np.linspace(0, 255, 400)[None, :, None].repeat(400, 0).repeat(3, 2).astype(np.uint8)
    assert reasons(smooth, [frontal()], config) == ["blurred"]
    assert reasons(smooth, [frontal()], config.model_copy(update={"least_sharpness": 0})) == [""]


def test_the_five_largest_good_faces_of_a_frame_enter_the_bank():
    sharp = picture(height=400, width=400)
    sizes = (0.5, 0.45, 0.4, 0.35, 0.3, 0.25, 0.05)
    faces = [frontal(height=size, nose=0.9 if size == 0.45 else 0) for size in sizes]
    assert reasons(sharp, faces, QualityConfig()) == ["", "turned", "", "", "", "", "small"]
    faces = [frontal(height=size) for size in sizes]
    assert reasons(sharp, faces, QualityConfig()) == [""] * 5 + ["beyond_five", "small"]


def test_sharpness_falls_with_blur_and_turn_grows_with_the_nose():
    import cv2

    coarse = picture(height=40, width=40).repeat(10, 0).repeat(10, 1)
    levels = [sharpness(cv2.GaussianBlur(coarse, (0, 0), sigma), frontal()) for sigma in (1, 4, 10)]
    assert levels == sorted(levels, reverse=True)
    assert levels[0] > 2 * levels[-1]
    assert [round(turn(frontal(nose=nose), 1.0), 3) for nose in (0, 0.25, -0.5)] == [0, 0.25, 0.5]
    assert turn(Face((0, 0, 1, 1), 1.0), 1.0) == 0


def bank():
    rows = ["a-000001", "a-000002", "a-000003", "a-000004", "a-000004"]
    return FaceBank([f"{row}-f{i}" for i, row in enumerate(rows)], rows, [0, 0, 0, 1, -1], np.eye(5, dtype=np.float32))


def test_the_most_typical_face_lies_in_the_middle_and_in_another_frame():
    faces = np.array([[0.0], [1.0], [2.5], [9.0]], dtype=np.float32)
    assert medoid(faces) == 1
    some = FaceBank([f"f{i}" for i in range(4)], ["a", "b", "c", "d"], [0, 0, 0, 0], faces)
    assert some.typical(0, "elsewhere") == 1
    assert some.typical(0, "b") == 2  # of 0, 2.5 and 9
    assert some.others(0, "b") == [0, 2, 3]
    assert bank().typical(1, "a-000004") is None
    assert bank().typical(-1, "a-000001") is bank().typical(7, "a-000001") is None


def test_only_faces_with_a_character_and_a_truth_can_agree():
    assert sorted(agreement(bank().characters, ["tom", "tom", "ann", "ann", "ann"])) == [False, True, True, True]
    assert agreement(bank().characters, [None] * 5) == []


def test_a_bank_refuses_what_does_not_belong_together():
    with pytest.raises(ValueError, match=r"\(2, 1, 1, 1\)"):
        FaceBank(["x", "y"], ["a"], [0], np.zeros((1, 128), np.float32))
    with pytest.raises(ValueError, match="'x' more than once"):
        FaceBank(["x", "x"], ["a", "b"], [0, 0], np.zeros((2, 128), np.float32))


def test_faces_of_other_frames_to_choose_from_take_no_copies():
    """A main character of a whole film is seen in thousands of keyframes, each of which may choose among all."""
    count = 2000
    embeddings = np.random.default_rng(0).normal(size=(count, 128)).astype(np.float32)
    row_ids = [f"f-{place // 2:06d}" for place in range(count)]
    bank = FaceBank([f"{row}-{n % 2}" for n, row in enumerate(row_ids)], row_ids, [0] * count, embeddings)
    tracemalloc.start()
    choices = [bank.choices(0, row_id) for row_id in row_ids]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < embeddings.nbytes
    for row in (0, 1, 998, 1999):
        others = bank.others(0, row_ids[row])
        assert len(choices[row]) == len(others) == count - 2
        assert np.array_equal(np.array(choices[row]), embeddings[others])
        assert np.array_equal(choices[row][-1], embeddings[others[-1]])
    with pytest.raises(IndexError):
        choices[0][count - 2]
    assert len(bank.choices(-1, "f-000000")) == len(bank.choices(7, "f-000000")) == 0


def test_the_most_typical_of_many_faces_is_that_of_all_distances_at_once():
    faces = np.random.default_rng(3).normal(size=(1100, 16)).astype(np.float32)
    apart = np.sqrt(((faces[:, None].astype(np.float64) - faces) ** 2).sum(-1)).sum(1)
    assert medoid(faces) == int(apart.argmin())
