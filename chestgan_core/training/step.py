"""One step of a training: some batches for the discriminator, then one for the generator; the same for all losses.

In: a TrainingState and the slices, on one device or read from a file for it. Out: the state, changed. Nothing here
waits for the device: sums of losses stay on it until a row of the history reads them.
"""

import math
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from itertools import repeat

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from chestgan_core.config.experiment import Experiment
from chestgan_core.config.training_plan import CrossEntropy, Relativistic, Wasserstein
from chestgan_core.networks.conditioning import Condition, tumour_maps
from chestgan_core.networks.registry import part_weights, parts
from chestgan_core.training.augmentation import augment
from chestgan_core.training.checkpoint import TrainingState
from chestgan_core.training.conditions import SliceConditions
from chestgan_core.training.distributed import World
from chestgan_core.training.double_backward import TwiceDifferentiable
from chestgan_core.training.ema import update_ema
from chestgan_core.training.feed import Shown, draw_batch
from chestgan_core.training.losses import gradient_penalty, squared_gradient_norm
from chestgan_core.training.schedule import cosine

# Two maps, of so many pixels a side, are those of different tumours where they differ by this fraction of the larger.
MISMATCH, MISMATCH_SIDE = 0.8, 16


def step_period(experiment: Experiment) -> int:
    """Steps after which the same is computed again: penalties, and what judges on frozen features, are due every so
    many.
    """
    loss, projection = experiment.training.loss, experiment.network.projection
    penalties = loss.penalty_every if isinstance(loss, Relativistic) and any(loss.gamma) else 1
    return math.lcm(penalties, 1 if projection is None else projection.heads_every)


def step(
    state: TrainingState, images: Shown, conditions: SliceConditions, world: World, fraction: float
) -> None:
    """Draw batches of the slices and train both networks on them.

    images: (N, 1, R, R) float32 in [-1, 1], on the device or as a feed; conditions: what networks are told of them.
    fraction: of the plan that is done, 0 to 1, for the schedules.
    """
    plan, tumour = state.experiment.training, state.experiment.conditions.tumour
    batch = plan.batch_size // world.size
    _set_rates(state, fraction)
    for _ in range(plan.critic_steps):
        chosen, real = draw_batch(images, state.sampler, batch, state.random)
        condition = conditions.at(chosen, images.shape[-1])
        fake = _generated(state, batch, condition)
        mismatched = round(tumour.mismatched * batch) if tumour else 0
        shown = _with_mismatched(real, fake.detach(), condition, mismatched)
        _train_discriminator(state, real, shown, condition, mismatched, world, fraction)
        state.images_seen += batch * world.size
    _train_generator(state, real, fake, condition, world)
    state.steps += 1
    state.all_steps += 1
    seen = batch * world.size * plan.critic_steps
    update_ema(state.ema, state.generator, seen, state.images_seen, plan.ema_images)


def _generated(state: TrainingState, count: int, condition: Condition) -> Tensor:
    shape = (count, state.experiment.network.latent_dim)
    z = torch.randn(shape, generator=state.random, device=state.device)
    with _autocast(state):
        images: Tensor = state.generator(z, condition)
    return images.float()


def _with_mismatched(real: Tensor, fake: Tensor, condition: Condition, count: int) -> Tensor:
    """The generated images, of which the first `count` are replaced by real slices that show other tumours than asked,
    where there are such: so the discriminator learns early that the tumour must be where the map says.
    """
    if not count or condition.boxes is None or condition.annotated is None:
        return fake
    # Each with the slice after it; a slice of the batch, as choosing by index is slower.
    others = slice(1, count + 1)
    maps = tumour_maps(condition, MISMATCH_SIDE).flatten(1)
    own, theirs = maps[:count], maps[others]
    apart = (own - theirs).abs().sum(dim=1) > MISMATCH * torch.maximum(own.sum(dim=1), theirs.sum(dim=1))
    known = condition.annotated[:count] & condition.annotated[others]
    replaced = (apart & known)[:, None, None, None]
    return torch.cat([torch.where(replaced, real[others], fake[:count]), fake[count:]])


def _train_discriminator(
    state: TrainingState,
    real: Tensor,
    fake: Tensor,
    condition: Condition,
    mismatched: int,
    world: World,
    fraction: float,
) -> None:
    """mismatched: so many of the generated images, the first, may be real slices with other tumours than asked."""
    loss = state.experiment.training.loss
    weight = _r1_r2_weight(state, fraction)
    if weight:
        real, fake = real.requires_grad_(), fake.requires_grad_()
    of_real, of_fake = _logits(state, real, fake, condition, mismatched, full_precision=bool(weight))
    weights = part_weights(state.discriminator, state.all_steps)
    adversarial = _weighted(weights, map(state.loss.discriminator, of_real, of_fake, repeat(state.random)))
    penalty = torch.zeros((), device=state.device)
    if weight:
        r1, r2 = squared_gradient_norm(real, of_real[0]), squared_gradient_norm(fake, of_fake[0])
        penalty = weight * (r1 + r2)
    elif isinstance(loss, Wasserstein) and loss.gradient_penalty:
        penalty = loss.gradient_penalty * gradient_penalty(
            real, fake, lambda images: state.discriminator(images, condition), state.random
        )
    if isinstance(loss, CrossEntropy) and loss.update_above:
        # What a gradient scaler uses to skip a step on the device: the CPU does not wait to know whether it did.
        skipped = world.mean(adversarial.detach().clone()) <= loss.update_above
        state.optimizer_d.found_inf = skipped.float()  # type: ignore[attr-defined]
    _update(state, state.discriminator, state.optimizer_d, adversarial + penalty, world)
    if isinstance(loss, Wasserstein) and loss.clip:
        clipped = [one.data for one in state.discriminator.parameters()]
        torch._foreach_clamp_min_(clipped, -loss.clip)
        torch._foreach_clamp_max_(clipped, loss.clip)
    outputs = [
        _weighted(weights, (_mean_output(state, part) for part in side)) for side in (of_real, of_fake)
    ]
    totals = [adversarial, penalty, *outputs]
    state.totals_d += torch.stack([number.detach().float() for number in totals])


def _train_generator(
    state: TrainingState, real: Tensor, fake: Tensor, condition: Condition, world: World
) -> None:
    # The gradient passes through the discriminator without computing that of its weights.
    state.discriminator.requires_grad_(False)
    weights = part_weights(state.discriminator, state.all_steps)
    of_real: list[Tensor] | list[None] = [None] * len(weights)
    if state.loss.needs_real:
        with torch.no_grad(), _autocast(state):
            of_real = _parts(state, *_augmented(state, real.detach(), condition))
    with _autocast(state):
        of_fake = _parts(state, *_augmented(state, fake, condition))
    loss = _weighted(weights, map(state.loss.generator, of_real, of_fake, repeat(state.random)))
    _update(state, state.generator, state.optimizer_g, loss, world)
    state.discriminator.requires_grad_(True)
    state.total_g += loss.detach()


def _logits(
    state: TrainingState,
    real: Tensor,
    fake: Tensor,
    condition: Condition,
    mismatched: int,
    full_precision: bool,
) -> tuple[list[Tensor], list[Tensor]]:
    """D(x) and D(G(z)), of each part of D. Batch normalization must not mix real and generated images, so these are two
    batches; other discriminators take them as one, which keeps a device busier.
    """
    real, of_real = _augmented(state, real, condition)
    fake, of_fake = _augmented(state, fake, condition)
    # Full precision is that of penalties, whose gradient is differentiated once more.
    with _autocast(state, full_precision), TwiceDifferentiable() if full_precision else nullcontext():
        if state.has_batch_norm:
            return _parts(state, real, of_real), _parts(state, fake, of_fake)
        both = _parts(state, torch.cat([real, fake]), of_real.followed_by(of_fake), 2, mismatched)
    return [part[: len(part) // 2] for part in both], [part[len(part) // 2 :] for part in both]


def _parts(
    state: TrainingState, images: Tensor, condition: Condition, batches: int = 1, untold: int = 0
) -> list[Tensor]:
    """What the parts of D that are due in this step make of the images."""
    return parts(state.discriminator, images, condition, batches, untold, state.all_steps)


def _weighted(weights: Sequence[float], losses: Iterable[Tensor]) -> Tensor:
    """The sum over the parts of a discriminator, that are due, with their weights."""
    terms = [weight * loss for weight, loss in zip(weights, losses, strict=True)]
    return sum(terms[1:], start=terms[0])


def _augmented(state: TrainingState, images: Tensor, condition: Condition) -> tuple[Tensor, Condition]:
    """Images, and what they are asked to be, as the discriminator sees them: both augmented; the images with instance
    noise (Sonderby et al. 2017, arXiv 1610.04490), which fades, or the generator would learn the grain as well.
    """
    plan = state.experiment.training
    images, moves = augment(images, plan.augmentation, state.random)
    if moves is not None:
        condition = condition.moved(moves.right, moves.down, moves.hidden)
    if not plan.instance_noise:
        return images, condition
    half_life = plan.instance_noise_half_life
    fade = 0.5 ** (state.images_seen / half_life) if half_life else 1.0
    noise = torch.randn(images.shape, generator=state.random, device=state.device)
    return images + plan.instance_noise * fade * noise, condition


def _r1_r2_weight(state: TrainingState, fraction: float) -> float:
    """The weight of R1 and R2 in this step; 0 where none is due. A penalty that is due every k steps counts k times."""
    loss = state.experiment.training.loss
    if not isinstance(loss, Relativistic) or state.all_steps % loss.penalty_every:
        return 0.0
    first, last = loss.gamma
    return cosine(first, last, fraction) / 2 * loss.penalty_every


def _set_rates(state: TrainingState, fraction: float) -> None:
    settings = state.experiment.training.optimizer
    factor = cosine(1.0, None if settings.final_lr is None else settings.final_lr / settings.lr, fraction)
    for optimizer, lr in (
        (state.optimizer_g, settings.lr),
        (state.optimizer_d, settings.discriminator_lr or settings.lr),
    ):
        for group in optimizer.param_groups:
            group["lr"] = lr * factor * group.get("rate", 1.0)
            if "betas" in group:
                group["betas"] = (settings.beta1, cosine(settings.beta2, settings.final_beta2, fraction))


def _update(
    state: TrainingState, network: nn.Module, optimizer: Optimizer, loss: Tensor, world: World
) -> None:
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    world.average_gradients(network)
    if max_norm := state.experiment.training.max_grad_norm:
        nn.utils.clip_grad_norm_(network.parameters(), max_norm)
    optimizer.step()


def _mean_output(state: TrainingState, logits: Tensor) -> Tensor:
    """The mean of D as papers plot it: a probability where the loss makes it one, else the logit."""
    return logits.sigmoid().mean() if state.loss.as_probability else logits.mean()


def _autocast(state: TrainingState, full_precision: bool = False) -> torch.autocast:
    enabled = state.bf16 and not full_precision
    return torch.autocast(state.device.type, torch.bfloat16, enabled=enabled)
