"""One step of a training: some batches for the discriminator, then one for the generator; the same for all losses.

In: a TrainingState and the slices, all on one device. Out: the state, changed. Nothing here waits for the device:
sums of losses stay on it until somebody reads them.
"""

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from chestgan_core.config.training_plan import CrossEntropy, Relativistic, Wasserstein
from chestgan_core.training.augmentation import augment
from chestgan_core.training.checkpoint import TrainingState
from chestgan_core.training.distributed import Team
from chestgan_core.training.ema import follow
from chestgan_core.training.losses import gradient_penalty, squared_slope
from chestgan_core.training.schedule import cosine


def step(state: TrainingState, images: Tensor, classes: Tensor | None, team: Team, share: float) -> None:
    """images: (N, 1, R, R) float32 in [-1, 1]; classes: (N,) int64 or None. share: of the plan, for the schedules."""
    told = state.experiment.training
    batch = told.batch_size // team.size
    _set_rates(state, share)
    for _ in range(told.critic_steps):
        chosen = state.draw(batch, state.random)
        real, of = images[chosen], None if classes is None else classes[chosen]
        fake = _generated(state, batch, of)
        _teach_discriminator(state, real, fake.detach(), of, team, share)
        state.images_seen += batch * team.size
    _teach_generator(state, real, fake, of, team)
    state.steps += 1
    state.all_steps += 1
    seen = batch * team.size * told.critic_steps
    follow(state.average, state.generator, seen, state.images_seen, told.ema_images)


def _generated(state: TrainingState, count: int, classes: Tensor | None) -> Tensor:
    shape = (count, state.experiment.network.latent_dim)
    z = torch.randn(shape, generator=state.random, device=state.device)
    with _autocast(state):
        images: Tensor = state.generator(z, classes)
    return images.float()


def _teach_discriminator(
    state: TrainingState, real: Tensor, fake: Tensor, classes: Tensor | None, team: Team, share: float
) -> None:
    loss = state.experiment.training.loss
    weight = _slope_weight(state, share)
    if weight:
        real, fake = real.requires_grad_(), fake.requires_grad_()
    real_logits, fake_logits = _scored(state, real, fake, classes, full_precision=bool(weight))
    adversarial = state.loss.discriminator(real_logits, fake_logits, state.random)
    penalty = torch.zeros((), device=state.device)
    if weight:
        penalty = weight * (squared_slope(real, real_logits) + squared_slope(fake, fake_logits))
    elif isinstance(loss, Wasserstein) and loss.gradient_penalty:
        penalty = loss.gradient_penalty * gradient_penalty(
            real, fake, lambda images: state.discriminator(images, classes), state.random
        )
    if isinstance(loss, CrossEntropy) and loss.update_above:
        # What a gradient scaler uses to pass over a step: nothing on this side needs to know whether it did.
        passed_over = team.mean(adversarial.detach().clone()) <= loss.update_above
        state.optimizer_d.found_inf = passed_over.float()  # type: ignore[attr-defined]
    _update(state, state.discriminator, state.optimizer_d, adversarial + penalty, team)
    if isinstance(loss, Wasserstein) and loss.clip:
        weights = [weight.data for weight in state.discriminator.parameters()]
        torch._foreach_clamp_min_(weights, -loss.clip)
        torch._foreach_clamp_max_(weights, loss.clip)
    told = [adversarial, penalty, _read(state, real_logits), _read(state, fake_logits)]
    state.totals_d += torch.stack([number.detach().float() for number in told])


def _teach_generator(
    state: TrainingState, real: Tensor, fake: Tensor, classes: Tensor | None, team: Team
) -> None:
    # The gradient passes through the discriminator without computing that of its weights.
    state.discriminator.requires_grad_(False)
    real_logits = None
    if state.loss.needs_real:
        with torch.no_grad(), _autocast(state):
            real_logits = state.discriminator(_seen(state, real.detach()), classes).float()
    with _autocast(state):
        fake_logits = state.discriminator(_seen(state, fake), classes)
    loss = state.loss.generator(real_logits, fake_logits.float(), state.random)
    _update(state, state.generator, state.optimizer_g, loss, team)
    state.discriminator.requires_grad_(True)
    state.total_g += loss.detach()


def _scored(
    state: TrainingState, real: Tensor, fake: Tensor, classes: Tensor | None, full_precision: bool
) -> tuple[Tensor, Tensor]:
    """Logits of both. Batch normalization must not mix real and generated images, so these go apart; other
    discriminators take them together, which keeps a device busier.
    """
    seen_real, seen_fake = _seen(state, real), _seen(state, fake)
    with _autocast(state, full_precision):
        if state.mixes_batches:
            return state.discriminator(seen_real, classes).float(), state.discriminator(
                seen_fake, classes
            ).float()
        both = None if classes is None else torch.cat([classes, classes])
        logits: Tensor = state.discriminator(torch.cat([seen_real, seen_fake]), both).float()
    return logits[: len(real)], logits[len(real) :]


def _seen(state: TrainingState, images: Tensor) -> Tensor:
    """Images as the discriminator sees them: augmented, and with instance noise (Sonderby et al. 2017, arXiv
    1610.04490), which fades, or the generator would learn the grain as well.
    """
    told = state.experiment.training
    images = augment(images, told.augmentation, state.random)
    if not told.instance_noise:
        return images
    half_life = told.instance_noise_half_life
    fade = 0.5 ** (state.images_seen / half_life) if half_life else 1.0
    noise = torch.randn(images.shape, generator=state.random, device=state.device)
    return images + told.instance_noise * fade * noise


def _slope_weight(state: TrainingState, share: float) -> float:
    """The weight of R1 and R2 in this step; 0 where none is due. A penalty that is due every k steps counts k times."""
    loss = state.experiment.training.loss
    if not isinstance(loss, Relativistic) or state.all_steps % loss.penalty_every:
        return 0.0
    first, last = loss.gamma
    return cosine(first, last, share) / 2 * loss.penalty_every


def _set_rates(state: TrainingState, share: float) -> None:
    told = state.experiment.training.optimizer
    factor = cosine(1.0, None if told.final_lr is None else told.final_lr / told.lr, share)
    for optimizer, rate in (
        (state.optimizer_g, told.lr),
        (state.optimizer_d, told.discriminator_lr or told.lr),
    ):
        for group in optimizer.param_groups:
            group["lr"] = rate * factor
            if "betas" in group:
                group["betas"] = (told.beta1, cosine(told.beta2, told.final_beta2, share))


def _update(state: TrainingState, network: nn.Module, optimizer: Optimizer, loss: Tensor, team: Team) -> None:
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    team.average_gradients(network)
    if most := state.experiment.training.max_grad_norm:
        nn.utils.clip_grad_norm_(network.parameters(), most)
    optimizer.step()


def _read(state: TrainingState, logits: Tensor) -> Tensor:
    return logits.sigmoid().mean() if state.loss.as_probability else logits.mean()


def _autocast(state: TrainingState, full_precision: bool = False) -> torch.autocast:
    enabled = state.half_precision and not full_precision
    return torch.autocast(state.device.type, torch.bfloat16, enabled=enabled)
