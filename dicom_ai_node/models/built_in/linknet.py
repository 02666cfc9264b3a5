"""A 3-D LinkNet: the network of both steps of `brain-mr`.

LinkNet (Chaurasia and Culurciello, arXiv 1707.03718) with a ResNet-18-like encoder, as trained for
deepbet (Fisch et al., Comput Biol Med 2024, arXiv 2308.07003). Modules bear the names that the
published weights use, so that these load without a table of names.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional


class LinkNet3d(nn.Module):
    """(n, 1, z, y, x) to logits (n, 2, z, y, x), background and foreground; sizes divide by 32."""

    def __init__(self) -> None:
        super().__init__()
        self.init = nn.Sequential(
            nn.Conv3d(1, 16, 7, stride=2, padding=3, bias=False),
            nn.InstanceNorm3d(16),
            nn.ReLU(inplace=True),
            nn.MaxPool3d(3, stride=2, padding=1),
        )
        self.down0 = _Down(16, 16, stride=1)
        self.down1 = _Down(16, 32, stride=2)
        self.down2 = _Down(32, 64, stride=2)
        self.down3 = _Down(64, 128, stride=2)
        self.up0 = _Up(128, 64, stride=2)
        self.up1 = _Up(64, 32, stride=2)
        self.up2 = _Up(32, 16, stride=2)
        self.up3 = _Up(16, 16, stride=1)
        self.tp_conv1 = nn.Sequential(
            nn.ConvTranspose3d(16, 8, 3, stride=2, padding=1, output_padding=1),
            nn.InstanceNorm3d(8),
            nn.ReLU(inplace=True),
        )
        self.conv = nn.Sequential(
            nn.Conv3d(8, 8, 3, padding=1), nn.InstanceNorm3d(8), nn.ReLU(inplace=True)
        )
        self.tp_conv2 = nn.ConvTranspose3d(8, 2, 2, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.tp_conv2(self._features(x))
        return logits

    def foreground(self, x: Tensor) -> Tensor:
        """(n, 1, z, y, x) to bool (n, z, y, x): where softmax gives the foreground more than ½.

        That is where its logit is the larger, so the last layer computes only the difference. Its
        stride is its kernel: each voxel becomes a block of 2³ by itself, as in a 1³ convolution to
        eight channels, and no full-size logits are made.
        """
        weight, bias = self.tp_conv2.weight, self.tp_conv2.get_parameter("bias")
        difference = (weight[:, 1] - weight[:, 0]).flatten(1).T[:, :, None, None, None]
        blocks = functional.conv3d(self._features(x), difference, (bias[1] - bias[0]).expand(8)) > 0
        n, _, depth, height, width = blocks.shape
        blocks = blocks.view(n, 2, 2, 2, depth, height, width).permute(0, 4, 1, 5, 2, 6, 3)
        return blocks.reshape(n, 2 * depth, 2 * height, 2 * width)

    def _features(self, x: Tensor) -> Tensor:
        start = self.init(x)
        skip0 = self.down0(start)
        skip1 = self.down1(skip0)
        skip2 = self.down2(skip1)
        x = self.up0(self.down3(skip2)).add_(skip2)
        x = self.up1(x).add_(skip1)
        x = self.up2(x).add_(skip0)
        x = self.up3(x).add_(start)
        features: Tensor = self.conv(self.tp_conv1(x))
        return features


class _Down(nn.Module):
    def __init__(self, in_channels: int, out_channels: int, *, stride: int) -> None:
        super().__init__()
        self.block1 = _Block(in_channels, out_channels, stride=stride)
        self.block2 = _Block(out_channels, out_channels, stride=1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.block2(self.block1(x))
        return out


class _Block(nn.Module):
    """A residual block; where it shrinks, so does its shortcut."""

    def __init__(self, in_channels: int, out_channels: int, *, stride: int) -> None:
        super().__init__()
        self.double_conv = nn.Sequential(
            nn.Conv3d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False),
            nn.InstanceNorm3d(out_channels),
            nn.ReLU(inplace=True),
            nn.Conv3d(out_channels, out_channels, 3, padding=1, bias=False),
            nn.InstanceNorm3d(out_channels),
        )
        self.downsample: nn.Module = nn.Identity()
        if stride != 1:
            self.downsample = nn.Sequential(
                nn.Conv3d(in_channels, out_channels, 1, stride=stride, bias=False),
                nn.InstanceNorm3d(out_channels),
            )

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu_(self.double_conv(x).add_(self.downsample(x)))


class _Up(nn.Module):
    """Through a quarter of the channels, which keeps the decoder cheap."""

    def __init__(self, in_channels: int, out_channels: int, *, stride: int) -> None:
        super().__init__()
        inner = in_channels // 4
        self.conv1 = _conv1(in_channels, inner)
        self.tp_conv = nn.Sequential(
            nn.ConvTranspose3d(
                inner, inner, 3, stride=stride, padding=1, output_padding=stride - 1, bias=False
            ),
            nn.InstanceNorm3d(inner),
            nn.ReLU(inplace=True),
        )
        self.conv2 = _conv1(inner, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv2(self.tp_conv(self.conv1(x)))
        return out


def _conv1(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv3d(in_channels, out_channels, 1, bias=False),
        nn.InstanceNorm3d(out_channels),
        nn.ReLU(inplace=True),
    )
