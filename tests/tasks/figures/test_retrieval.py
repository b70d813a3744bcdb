import numpy as np
import pytest

from tasks.figures import retrieval


def test_ranks_count_the_originals_that_lie_nearer():
    distances = np.array([[0.1, 0.2, 0.3], [0.1, 0.2, 0.3]], dtype=np.float32)
    assert retrieval.ranks(distances, np.array([0, 2])).tolist() == [0, 2]


def test_a_tie_counts_against_the_query():
    assert retrieval.ranks(np.zeros((1, 4), dtype=np.float32), np.array([0])).tolist() == [3]


def test_retrieval_by_squared_distance_finds_noisy_copies():
    rng = np.random.default_rng(0)
    originals = rng.random((6, 50), dtype=np.float32)
    noisy = originals[[4, 1]] + 0.01
    distances = retrieval.squared_distances(noisy, originals)
    assert distances[0, 4] == pytest.approx(1e-4, rel=1e-3)
    assert retrieval.ranks(distances, np.array([4, 1])).tolist() == [0, 0]
    assert retrieval.steps_to_nearest(distances, np.array([3, 1])).tolist() == [1, 0]


def test_bytes_are_compared_as_the_numbers_that_they_stand_for():
    queries, originals = (np.random.default_rng(n).integers(0, 256, (n, 30), np.uint8) for n in (3, 150))
    numbers = [each.astype(np.float32) / np.float32(255) for each in (queries, originals)]
    of_bytes, of_numbers = retrieval.squared_distances(queries, originals), retrieval.squared_distances(*numbers)
    np.testing.assert_allclose(of_bytes, of_numbers, rtol=1e-6)
    assert retrieval.squared_distances(queries, originals)[2, 149] == pytest.approx(
        np.square(numbers[0][2] - numbers[1][149]).mean(), rel=1e-6
    )
    assert retrieval.psnr(queries, queries[::-1])[1] == pytest.approx(100)


@pytest.mark.parametrize("values", [np.uint8, np.float32])
def test_retrieval_never_has_all_distances_in_memory(monkeypatch, values):
    random, seen, distances = np.random.default_rng(0), [], retrieval.squared_distances
    originals = random.integers(0, 256, (300, 40)).astype(values)
    originals[7] = originals[290]  # a tie, and a copy of what one query is of
    queries, own = originals[::2].copy(), np.arange(0, 300, 2)
    queries[:, :20] = random.integers(0, 256, (150, 20))
    ranks, steps = retrieval.ranks(whole := distances(queries, originals), own), retrieval.steps_to_nearest(whole, own)
    assert ranks[145] >= 1
    assert len(set(ranks.tolist())) > 3

    def noted(queries, originals):
        seen.append(made := distances(queries, originals))
        return made

    monkeypatch.setattr(retrieval, "squared_distances", noted)
    found_ranks, found_steps = retrieval.retrieved(queries, originals, own)
    assert max(len(rows) for rows in seen) <= 128
    assert np.array_equal(found_ranks, ranks)
    assert np.array_equal(found_steps, steps)
    assert [len(found) for found in retrieval.retrieved(queries[:0], originals, own[:0])] == [0, 0]


def test_psnr_of_a_known_error():
    zeros = np.zeros((1, 10), dtype=np.float32)
    assert retrieval.psnr(zeros + 0.1, zeros)[0] == pytest.approx(20, abs=1e-4)
    assert retrieval.psnr(zeros, zeros)[0] == pytest.approx(100)
