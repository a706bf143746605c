"""Convolutions whose gradient is differentiated once more, as R1, R2 and the gradient penalty of WGAN-GP do.

In: a block of code. Out: the same numbers, sooner. PyTorch finds the gradient of a weight in a second backward pass by
a convolution with a kernel as large as the feature map, and in grouped convolutions by one for each group: in a step of
r3, 512 of these. Here the gradient of the images is a transposed convolution of its own, whose backward pass has
kernels made for it (as in the convolutions of StyleGAN 3, Karras et al. 2021; written from the idea).
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn import functional
from torch.overrides import TorchFunctionMode


class TwiceDifferentiable(TorchFunctionMode):
    """`with TwiceDifferentiable(): logits = discriminator(images)`; for gradients by the images with create_graph=True,
    that a loss is made of. Gradients by weights are those of a last backward pass only, without create_graph.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Of all functions of PyTorch, convolutions are replaced."""
        if func is functional.conv2d:
            return _conv2d(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


def _conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] | str = 0,
    dilation: int | tuple[int, int] = 1,
    groups: int = 1,
) -> Tensor:
    if isinstance(padding, str):
        return functional.conv2d(input, weight, bias, stride, padding, dilation, groups)
    settings = _pair(stride), _pair(padding), _pair(dilation), groups
    out: Tensor = _Convolution.apply(input, weight, settings)
    return out if bias is None else out + bias[:, None, None]


class _Convolution(Function):
    """input (N, C, H, W), weight (M, C / groups, K, L), (stride, padding, dilation, groups) to (N, M, H', W')."""

    @staticmethod
    def forward(ctx: Any, input: Tensor, weight: Tensor, settings: tuple[Any, ...]) -> Tensor:
        ctx.save_for_backward(input, weight)
        ctx.settings = settings
        return functional.conv2d(input, weight, None, *settings)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        input, weight = ctx.saved_tensors
        stride, padding, dilation, groups = ctx.settings
        of_input = of_weight = None
        if ctx.needs_input_grad[0]:
            rest = [
                input.shape[2 + side]
                + 2 * padding[side]
                - 1
                - (gradient.shape[2 + side] - 1) * stride[side]
                - dilation[side] * (weight.shape[2 + side] - 1)
                for side in (0, 1)
            ]  # fmt: skip  (what the stride leaves over at the end of a side)
            of_input = functional.conv_transpose2d(
                gradient, weight, None, stride, padding, rest, groups, dilation
            )
        # With create_graph only the gradient by the images is asked for: the other would be thrown away.
        if ctx.needs_input_grad[1] and not torch.is_grad_enabled():
            mask = False, True, False
            of_weight = torch.ops.aten.convolution_backward(
                gradient, input, weight, None, stride, padding, dilation, False, (0, 0), groups, mask
            )[1]
        return of_input, of_weight, None


def _pair(number: int | tuple[int, int]) -> tuple[int, int]:
    return (number, number) if isinstance(number, int) else (number[0], number[1])
