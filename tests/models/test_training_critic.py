"""The critic of stage 3: who learns what from its loss, and where it looks."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from models.training.critic import SIDE, WINDOWS, Critic, adversarial_loss, cut, windows_of


@pytest.fixture
def critic() -> Critic:
    torch.manual_seed(0)
    return Critic(face_width=5, channels=(4, 6)).double()  # exact enough to see what cancels


def judged(critic: Critic, weight: float) -> tuple[Tensor, list[Tensor]]:
    """The gradients of drawn windows and of the critic."""
    random = torch.Generator().manual_seed(1)
    originals, drawn = torch.rand(2, 2 * WINDOWS, 3, SIDE, SIDE, generator=random, dtype=torch.float64)
    faces_NG = torch.randn(2 * WINDOWS, 5, generator=random, dtype=torch.float64)
    drawn.requires_grad_()
    loss, _ = adversarial_loss(critic, originals, drawn, faces_NG, weight)
    first, *others = torch.autograd.grad(loss, [drawn, *critic.parameters()])
    return first, others


def test_the_critic_learns_nothing_from_the_decoders_loss(critic: Critic) -> None:
    for without, with_it in zip(judged(critic, 0.0)[1], judged(critic, 3.0)[1], strict=True):
        torch.testing.assert_close(without, with_it, rtol=1e-6, atol=1e-12)
    assert any(gradient.any() for gradient in judged(critic, 0.0)[1])


def test_drawn_windows_learn_only_from_the_decoders_loss(critic: Critic) -> None:
    once, twice = judged(critic, 1.0)[0], judged(critic, 2.0)[0]
    assert not judged(critic, 0.0)[0].any()
    torch.testing.assert_close(twice, 2 * once)


def test_a_step_against_the_gradient_convinces_the_critic(critic: Critic) -> None:
    windows_N3YX, faces_NG = torch.rand(WINDOWS, 3, SIDE, SIDE).double(), torch.randn(WINDOWS, 5).double()
    windows_N3YX.requires_grad_()
    loss, terms = adversarial_loss(critic, windows_N3YX.detach(), windows_N3YX, faces_NG, 1.0)
    (slope,) = torch.autograd.grad(loss, windows_N3YX)
    better = F.softplus(-critic(windows_N3YX - 10 * slope, faces_NG)[0]).mean()
    assert better < terms["unconvinced"]


def test_the_first_window_shows_the_face_and_the_others_stay_in_the_picture() -> None:
    boxes = [np.array([[0.5, 0.25, 0.75, 0.75]], np.float32), np.zeros((0, 4), np.float32)]
    faces = [np.full((1, 5), 2.0, np.float32), np.zeros((0, 5), np.float32)]
    windows = windows_of(boxes, faces, (100, 200), torch.Generator().manual_seed(0))
    torch.testing.assert_close(windows.boxes_N4[0], torch.tensor([0.625, 0.5, 0.1875, 0.375]))
    assert windows.faces_NG.any(1).tolist() == [True] + [False] * (2 * WINDOWS - 1)
    others_N4 = windows.boxes_N4[1:]
    assert (others_N4[:, :2] - others_N4[:, 2:] >= -1e-6).all()
    assert (others_N4[:, :2] + others_N4[:, 2:] <= 1 + 1e-6).all()


def test_faces_that_were_cut_off_have_no_window() -> None:
    boxes, faces = [np.array([[-0.25, 0.25, 0.25, 0.75]], np.float32)], [np.ones((1, 5), np.float32)]
    assert not windows_of(boxes, faces, (100, 200), torch.Generator().manual_seed(0)).faces_NG.any()


def test_a_window_of_a_whole_picture_is_the_picture() -> None:
    pictures_B3YX = torch.rand(2, 3, SIDE, SIDE)
    whole_N4 = torch.full((2 * WINDOWS, 4), 0.5)
    torch.testing.assert_close(cut(pictures_B3YX, whole_N4), pictures_B3YX.repeat_interleave(WINDOWS, 0))
