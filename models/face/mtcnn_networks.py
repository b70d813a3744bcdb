"""The three networks of MTCNN (Zhang et al. 2016); layers are named as in facenet-pytorch's weights.

Shapes: N candidates, C channels, H and W pixels. `box` answers are corrections in units of the candidate's size.
"""

from einops import rearrange
from torch import Tensor, nn


def _pool(size: int) -> nn.MaxPool2d:
    return nn.MaxPool2d(size, 2, ceil_mode=True)


class ProposalNet(nn.Module):
    """Fully convolutional: a 12x12 field that moves by 2 pixels over the whole picture."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.prelu1, self.pool1 = nn.Conv2d(3, 10, 3), nn.PReLU(10), _pool(2)
        self.conv2, self.prelu2 = nn.Conv2d(10, 16, 3), nn.PReLU(16)
        self.conv3, self.prelu3 = nn.Conv2d(16, 32, 3), nn.PReLU(32)
        self.conv4_1, self.conv4_2 = nn.Conv2d(32, 2, 1), nn.Conv2d(32, 4, 1)

    def forward(self, pictures_NCHW: Tensor) -> tuple[Tensor, Tensor]:
        """-> probability of a face [N, h, w], box [N, 4, h, w]."""
        x = self.pool1(self.prelu1(self.conv1(pictures_NCHW)))
        x = self.prelu3(self.conv3(self.prelu2(self.conv2(x))))
        return self.conv4_1(x).softmax(1)[:, 1], self.conv4_2(x)


class RefineNet(nn.Module):
    """Judges 24x24 candidates."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.prelu1, self.pool1 = nn.Conv2d(3, 28, 3), nn.PReLU(28), _pool(3)
        self.conv2, self.prelu2, self.pool2 = nn.Conv2d(28, 48, 3), nn.PReLU(48), _pool(3)
        self.conv3, self.prelu3 = nn.Conv2d(48, 64, 2), nn.PReLU(64)
        self.dense4, self.prelu4 = nn.Linear(576, 128), nn.PReLU(128)
        self.dense5_1, self.dense5_2 = nn.Linear(128, 2), nn.Linear(128, 4)

    def forward(self, crops_NCHW: Tensor) -> tuple[Tensor, Tensor]:
        """crops [N, 3, 24, 24] -> probability of a face [N], box [N, 4]."""
        x = self.pool1(self.prelu1(self.conv1(crops_NCHW)))
        x = self.pool2(self.prelu2(self.conv2(x)))
        x = self.prelu3(self.conv3(x))
        x = self.prelu4(self.dense4(rearrange(x, "n c h w -> n (w h c)")))
        return self.dense5_1(x).softmax(1)[:, 1], self.dense5_2(x)


class OutputNet(nn.Module):
    """Judges 48x48 candidates and finds five landmarks."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.prelu1, self.pool1 = nn.Conv2d(3, 32, 3), nn.PReLU(32), _pool(3)
        self.conv2, self.prelu2, self.pool2 = nn.Conv2d(32, 64, 3), nn.PReLU(64), _pool(3)
        self.conv3, self.prelu3, self.pool3 = nn.Conv2d(64, 64, 3), nn.PReLU(64), _pool(2)
        self.conv4, self.prelu4 = nn.Conv2d(64, 128, 2), nn.PReLU(128)
        self.dense5, self.prelu5 = nn.Linear(1152, 256), nn.PReLU(256)
        self.dense6_1, self.dense6_2, self.dense6_3 = nn.Linear(256, 2), nn.Linear(256, 4), nn.Linear(256, 10)

    def forward(self, crops_NCHW: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """crops [N, 3, 48, 48] -> probability of a face [N], box [N, 4], landmarks [N, 5, 2] as fractions."""
        x = self.pool1(self.prelu1(self.conv1(crops_NCHW)))
        x = self.pool2(self.prelu2(self.conv2(x)))
        x = self.pool3(self.prelu3(self.conv3(x)))
        x = self.prelu4(self.conv4(x))
        x = self.prelu5(self.dense5(rearrange(x, "n c h w -> n (w h c)")))
        landmarks_N52 = rearrange(self.dense6_3(x), "n (xy five) -> n five xy", xy=2)
        return self.dense6_1(x).softmax(1)[:, 1], self.dense6_2(x), landmarks_N52


class Mtcnn(nn.Module):
    """The three networks under the names that the converted weights carry."""

    def __init__(self) -> None:
        super().__init__()
        self.pnet, self.rnet, self.onet = ProposalNet(), RefineNet(), OutputNet()
