"""A 2-D U-Net whose encoder is VGG11's: the network of `lung-cxr`.

U-Net (Ronneberger et al., arXiv 1505.04597) on the convolutions of VGG11 (Simonyan and Zisserman,
arXiv 1409.1556), as trained for cheXwhatsApp (MIT licence, Sahil Lathiya). Modules bear the names
that the published weights use, so that these load without a table of names.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional


class VggUNet(nn.Module):
    """(n, 1, rows, columns) to logits (n, 2, rows, columns); sizes divide by 32."""

    def __init__(self) -> None:
        super().__init__()
        self.init_conv = nn.Conv2d(1, 3, 1)
        self.conv1 = _conv3(3, 64)
        self.conv2 = _conv3(64, 128)
        self.conv3 = _conv3(128, 256)
        self.conv3s = _conv3(256, 256)
        self.conv4 = _conv3(256, 512)
        self.conv4s = _conv3(512, 512)
        self.conv5 = _conv3(512, 512)
        self.conv5s = _conv3(512, 512)
        self.center = _Block(512, 512, 256)
        self.dec5 = _Block(512 + 256, 512, 256)
        self.dec4 = _Block(512 + 256, 512, 128)
        self.dec3 = _Block(256 + 128, 256, 64)
        self.dec2 = _Block(128 + 64, 128, 32)
        self.dec1 = _Block(64 + 32, 64, 32)
        self.out = nn.Conv2d(32, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        enc1 = self._encode(self.init_conv(x).relu_(), self.conv1)
        enc2 = self._encode(_halved(enc1), self.conv2)
        enc3 = self._encode(_halved(enc2), self.conv3, self.conv3s)
        enc4 = self._encode(_halved(enc3), self.conv4, self.conv4s)
        enc5 = self._encode(_halved(enc4), self.conv5, self.conv5s)
        x = self.center(_halved(enc5))
        x = self.dec5(_joined(x, enc5))
        x = self.dec4(_joined(x, enc4))
        x = self.dec3(_joined(x, enc3))
        x = self.dec2(_joined(x, enc2))
        x = self.dec1(_joined(x, enc1))
        logits: Tensor = self.out(x)
        return logits

    @staticmethod
    def _encode(x: Tensor, *convolutions: nn.Module) -> Tensor:
        for convolution in convolutions:
            x = convolution(x).relu_()
        return x


class _Block(nn.Module):
    def __init__(self, in_channels: int, middle: int, out_channels: int) -> None:
        super().__init__()
        self.conv1 = _conv3(in_channels, middle)
        self.bn1 = nn.BatchNorm2d(middle)
        self.conv2 = _conv3(middle, out_channels)
        self.bn2 = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        x = self.bn1(self.conv1(x)).relu_()
        out: Tensor = self.bn2(self.conv2(x)).relu_()
        return out


def _conv3(in_channels: int, out_channels: int) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, 3, padding=1)


def _halved(x: Tensor) -> Tensor:
    return functional.max_pool2d(x, 2)


def _joined(deep: Tensor, skip: Tensor) -> Tensor:
    """To the skip's size by nearest neighbours, as in training."""
    return torch.cat([functional.interpolate(deep, size=skip.shape[-2:]), skip], 1)
