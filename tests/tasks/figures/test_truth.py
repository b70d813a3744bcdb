import numpy as np

from tasks.figures.truth import recall


def test_a_box_counts_for_one_point_only():
    truth = [np.array([[0.5, 0.5], [0.6, 0.5]])]
    assert recall(truth, [np.array([[0.4, 0.4, 0.7, 0.7]])]) == [True, False]
