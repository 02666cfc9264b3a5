"""The network: its size, its two outputs, its names."""

import pytest
import torch

from dicom_ai_node.models.built_in.linknet import LinkNet3d


@pytest.fixture
def network() -> LinkNet3d:
    torch.manual_seed(7)
    return LinkNet3d().eval()


def test_it_has_the_published_number_of_parameters(network: LinkNet3d) -> None:
    assert sum(parameter.numel() for parameter in network.parameters()) == 2_126_258


def test_logits_have_two_channels_in_the_size_of_the_input(network: LinkNet3d) -> None:
    with torch.inference_mode():
        assert network(torch.rand(1, 1, 64, 32, 96)).shape == (1, 2, 64, 32, 96)


def test_foreground_is_where_softmax_exceeds_a_half(network: LinkNet3d) -> None:
    x = torch.rand(1, 1, 64, 32, 96)
    with torch.inference_mode():
        probability = network(x).softmax(1)[:, 1]
        foreground = network.foreground(x)
    assert foreground.shape == (1, 64, 32, 96)
    clear = (probability - 0.5).abs() > 1e-5  # a tie may fall on either side
    assert clear.float().mean() > 0.99
    assert 0.05 < foreground.float().mean() < 0.95
    assert torch.equal(foreground[clear], (probability > 0.5)[clear])
