"""Convolutions that are differentiated twice: the numbers of PyTorch's, with kernels that a GPU has."""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from chestgan_core.config.experiment import load_experiment
from chestgan_core.networks.registry import build_discriminator
from chestgan_core.training.double_backward import TwiceDifferentiable
from chestgan_core.training.losses import gradient_penalty, squared_gradient_norm


@pytest.mark.parametrize(
    "convolution",
    [
        nn.Conv2d(2, 3, 3, padding=1),
        nn.Conv2d(2, 3, 1, bias=False),
        nn.Conv2d(2, 4, 4, 2, 1),
        nn.Conv2d(2, 4, 3, 2, 1, groups=2),  # of 9 pixels none is left over, of 8 one
        nn.Conv2d(2, 2, 3, padding=2, dilation=2, groups=2),
        nn.Conv2d(2, 3, (3, 1), (1, 2), (1, 0)),
        nn.Conv2d(2, 3, 3, padding="same"),
    ],
    ids=str,
)
@pytest.mark.parametrize("size", [8, 9])
def test_penalty_and_gradients_are_those_of_pytorch(convolution: nn.Conv2d, size: int) -> None:
    network = nn.Sequential(convolution.double(), nn.Softplus())
    images = torch.randn(3, 2, size, size, dtype=torch.float64, generator=torch.Generator().manual_seed(0))

    def found(context: AbstractContextManager[Any]) -> list[Tensor]:
        shown = images.clone().requires_grad_()
        with context:
            logits = network(shown).sum(dim=(1, 2, 3))
        loss = logits.mean() + squared_gradient_norm(shown, logits)
        return [loss.detach(), *torch.autograd.grad(loss, [shown, *network.parameters()])]

    for ours, pytorchs in zip(found(TwiceDifferentiable()), found(nullcontext()), strict=True):
        torch.testing.assert_close(ours, pytorchs)


def test_the_gradient_penalty_of_a_critic_is_that_of_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    critic = nn.Sequential(nn.Conv2d(1, 4, 4, 2, 1), nn.Softplus(), nn.Conv2d(4, 1, 4)).double()
    drawn = torch.Generator().manual_seed(0)
    real, fake = torch.randn(2, 3, 1, 8, 8, dtype=torch.float64, generator=drawn).unbind()

    def found() -> Tensor:
        random = torch.Generator().manual_seed(1)
        return gradient_penalty(real, fake, lambda images: critic(images).flatten(), random)

    ours = torch.autograd.grad(found(), next(iter(critic.parameters())))
    monkeypatch.setattr("chestgan_core.training.losses.TwiceDifferentiable", nullcontext)
    torch.testing.assert_close(ours, torch.autograd.grad(found(), next(iter(critic.parameters()))))


def test_the_penalty_of_r3_has_no_convolution_for_each_group_and_no_kernel_of_a_whole_map() -> None:
    """PyTorch's own has 512 and 42 of them: r3 trained 85 images/s on an H200."""
    experiment = load_experiment("lung-r3-64")
    discriminator = build_discriminator(experiment)
    images = torch.zeros(2, 1, 64, 64, requires_grad=True)
    with _Called() as called:
        with TwiceDifferentiable():
            logits = discriminator(images)
        (logits.mean() + squared_gradient_norm(images, logits)).backward()
    layers = sum(isinstance(layer, nn.Conv2d) for layer in discriminator.modules())
    assert (
        called.counts["aten::convolution"] <= 3 * layers
    )  # forward, of the images, and backward through that
    assert called.largest_kernel == 4


class _Called(TorchDispatchMode):
    """How often operations are called; the largest side of a convolution's kernel."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()
        self.largest_kernel = 0

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        name: str = func.name()  # type: ignore[attr-defined]
        self.counts[name] += 1
        if name == "aten::convolution":
            self.largest_kernel = max(self.largest_kernel, args[1].shape[-1])
        return func(*args, **(kwargs or {}))
