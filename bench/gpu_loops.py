"""The loops that ours is compared with on a GPU: that of the thesis system, and that of DCGAN tutorials.

In: images in memory, a device. Out: a function that trains for some steps. Both are plain: sigmoid and BCELoss, NCHW,
float32 as PyTorch is by default, Adam without options, losses read back to Python in each step, which makes the CPU
wait for the GPU. Their data loaders read from memory, where the originals decode PNG files: that favours them.
"""

import shutil
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from chestgan_core.networks import dcgan

Steps = Callable[[int], None]
"""Trains for so many steps."""

LATENT = 100
# Of the final configuration of the thesis system.
THESIS_WIDTHS = {"generator_width": 64, "discriminator_width": 128}
THESIS_UPDATE_ABOVE = 0.1


def thesis_loop(images: Tensor, batch: int, device: torch.device, widths: dict[str, int]) -> Steps:
    """The training of the thesis system on a device of ours (it has no branch for CUDA): smoothed labels, one draw a
    batch; D's gradients are always computed, and D steps only where its loss is above 0.1.
    """
    size = images.shape[-1]
    generator = dcgan.Generator(LATENT, widths["generator_width"], size)
    discriminator = nn.Sequential(dcgan.Discriminator(widths["discriminator_width"], size), nn.Sigmoid())
    for network in (generator, discriminator):
        dcgan.initialize(network, seed=0)
        network.to(device)
    adam_g, adam_d = (
        torch.optim.Adam(network.parameters(), lr=1e-4, betas=(0.7, 0.999))
        for network in (generator, discriminator)
    )
    loss = nn.BCELoss()
    stream = _batches(DataLoader(TensorDataset(images), batch, shuffle=True, drop_last=True))

    def run(steps: int) -> None:
        for _ in range(steps):
            real = next(stream).to(device)
            smoothed = torch.empty(1).uniform_(0.85, 1.0).item(), torch.empty(1).uniform_(0.0, 0.15).item()
            ones, zeros = (torch.full((batch,), value, device=device) for value in smoothed)
            discriminator.zero_grad()
            on_real = discriminator(real)
            loss_real = loss(on_real, ones)
            loss_real.backward()
            fake = generator(torch.randn(batch, LATENT, device=device))
            on_fake = discriminator(fake.detach())
            loss_fake = loss(on_fake, zeros)
            loss_fake.backward()
            if (loss_real + loss_fake).item() > THESIS_UPDATE_ABOVE:
                adam_d.step()
            generator.zero_grad()
            on_updated = discriminator(fake)
            loss_g = loss(on_updated, ones)
            loss_g.backward()
            adam_g.step()
            _ = loss_g.item(), on_real.mean().item(), on_fake.mean().item(), on_updated.mean().item()

    return run


def tutorial_loop(images: Tensor, batch: int, device: torch.device, width: int, workers: int) -> Steps:
    """DCGAN as tutorials train it on CUDA: worker processes, pinned memory, copies that do not wait, .item() for the
    log. width: feature maps at half of the resolution. workers: 0 loads in this process.
    """
    size = images.shape[-1]
    generator = _tutorial_generator(width, size).to(device).apply(_draw)
    discriminator = _tutorial_discriminator(width, size).to(device).apply(_draw)
    adam_g, adam_d = (
        torch.optim.Adam(network.parameters(), lr=2e-4, betas=(0.5, 0.999))
        for network in (generator, discriminator)
    )
    loss = nn.BCELoss()
    stream = _batches(
        DataLoader(
            TensorDataset(images), batch, shuffle=True, drop_last=True, num_workers=workers,
            pin_memory=device.type == "cuda", persistent_workers=workers > 0,
        )
    )  # fmt: skip

    def run(steps: int) -> None:
        for _ in range(steps):
            real = next(stream).to(device, non_blocking=True)
            discriminator.zero_grad()
            label = torch.full((batch,), 1.0, device=device)
            on_real = discriminator(real).view(-1)
            loss_real = loss(on_real, label)
            loss_real.backward()
            fake = generator(torch.randn(batch, LATENT, 1, 1, device=device))
            label.fill_(0.0)
            on_fake = discriminator(fake.detach()).view(-1)
            loss_fake = loss(on_fake, label)
            loss_fake.backward()
            adam_d.step()
            generator.zero_grad()
            label.fill_(1.0)
            on_updated = discriminator(fake).view(-1)
            loss_g = loss(on_updated, label)
            loss_g.backward()
            adam_g.step()
            _ = (loss_real + loss_fake).item(), loss_g.item()
            _ = on_real.mean().item(), on_fake.mean().item(), on_updated.mean().item()

    return run


def loader_workers(images: Tensor, batch: int) -> int:
    """2, or 0 where batches on their way from workers would not fit into shared memory (64 MB in many containers)."""
    try:
        free = shutil.disk_usage("/dev/shm").free
    except OSError:
        return 0
    underway = 2 * 2 * batch * images[0].numel() * images.element_size()  # two workers, two batches each
    return 2 if free > 4 * underway else 0


def _batches(loader: "DataLoader[tuple[Tensor, ...]]") -> Iterator[Tensor]:
    while True:
        for (batch,) in loader:
            yield batch


def _levels(size: int) -> int:
    """How often 4 x 4 doubles until it is half of the resolution."""
    return size.bit_length() - 4


def _tutorial_generator(width: int, size: int) -> nn.Sequential:
    levels = _levels(size)
    layers: list[nn.Module] = []
    maps = width * 2**levels
    before, stride, padding = LATENT, 1, 0
    for _ in range(levels + 1):
        layers += [nn.ConvTranspose2d(before, maps, 4, stride, padding, bias=False), nn.BatchNorm2d(maps)]
        layers.append(nn.ReLU(inplace=True))
        before, maps, stride, padding = maps, maps // 2, 2, 1
    return nn.Sequential(*layers, nn.ConvTranspose2d(before, 1, 4, 2, 1, bias=False), nn.Tanh())


def _tutorial_discriminator(width: int, size: int) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Conv2d(1, width, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, inplace=True)]
    maps = width
    for _ in range(_levels(size)):
        layers += [nn.Conv2d(maps, 2 * maps, 4, 2, 1, bias=False), nn.BatchNorm2d(2 * maps)]
        layers.append(nn.LeakyReLU(0.2, inplace=True))
        maps *= 2
    return nn.Sequential(*layers, nn.Conv2d(maps, 1, 4, 1, 0, bias=False), nn.Sigmoid())


def _draw(layer: nn.Module) -> None:
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(layer.weight, 0.0, 0.02)
    elif isinstance(layer, nn.BatchNorm2d):
        nn.init.normal_(layer.weight, 1.0, 0.02)
        nn.init.zeros_(layer.bias)
