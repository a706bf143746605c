"""Which slices a batch is made of, and what the discriminator sees of them."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from chestgan_core.config.training_plan import Augmentation, Sampling
from chestgan_core.training.augmentation import augment
from chestgan_core.training.sampling import IndexSampler, sampling_weights

PATIENTS = ["large"] * 80 + ["small"] * 20
CPU = torch.device("cpu")


def random(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_a_patient_with_many_slices_counts_as_if_it_had_as_many_as_the_cap() -> None:
    weights = sampling_weights(PATIENTS, None, Sampling(max_slices_per_patient=20))
    assert weights is not None
    assert weights[:80].sum().item() == pytest.approx(0.5)
    assert sampling_weights(PATIENTS, None, Sampling()) is None


def test_balanced_classes_weigh_the_same_and_keep_the_cap() -> None:
    classes = torch.tensor([0] * 60 + [1] * 40)
    weights = sampling_weights(PATIENTS, classes, Sampling(balance="classes", max_slices_per_patient=40))
    assert weights is not None
    assert weights[:60].sum().item() == pytest.approx(0.5)
    drawn = IndexSampler(100, weights, CPU)(20_000, random())
    assert (classes[drawn] == 1).float().mean().item() == pytest.approx(0.5, abs=0.02)


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=30), st.integers(1, 5))
def test_every_slice_can_be_drawn_and_no_other(patients: list[str], cap: int) -> None:
    weights = sampling_weights(patients, None, Sampling(max_slices_per_patient=cap))
    drawn = IndexSampler(len(patients), weights, CPU)(2000, random())
    assert drawn.min() >= 0
    assert drawn.max() < len(patients)
    assert weights is None or (weights > 0).all()


def pictures() -> torch.Tensor:
    return torch.rand(64, 1, 32, 32, generator=random(1)) * 2 - 1


def test_a_shift_moves_whole_pixels_and_lets_air_in() -> None:
    only = Augmentation(translation=0.25, cutout=0, brightness=0, contrast=0)
    before, after = pictures(), augment(pictures(), only, random())[0]
    for one, other in zip(before[:, 0], after[:, 0], strict=True):
        found = [
            (dy, dx)
            for dy in range(-8, 9)
            for dx in range(-8, 9)
            if torch.equal(
                other[max(dy, 0) : 32 + min(dy, 0), max(dx, 0) : 32 + min(dx, 0)],
                one[max(-dy, 0) : 32 + min(-dy, 0), max(-dx, 0) : 32 + min(-dx, 0)],
            )
        ]
        assert len(found) == 1
        dy, dx = found[0]
        assert (other == -1).sum() >= 32 * 32 - (32 - abs(dy)) * (32 - abs(dx))


def test_a_square_is_blanked_and_nothing_else() -> None:
    only = Augmentation(translation=0, cutout=0.5, brightness=0, contrast=0)
    after, _ = augment(pictures(), only, random())
    changed = (after != pictures())[:, 0]
    assert (after[:, 0][changed] == 0).all()
    sizes = changed.sum(dim=(1, 2))
    assert sizes.max() <= 16 * 16
    assert (sizes >= 8 * 8).float().mean() > 0.9  # partly outside, at the edges


def test_brightness_and_contrast_change_little_and_each_image_in_its_own_way() -> None:
    only = Augmentation(translation=0, cutout=0, brightness=0.05, contrast=0.1)
    after, _ = augment(pictures(), only, random())
    shifts = (after - pictures()).mean(dim=(1, 2, 3))
    assert shifts.abs().max() <= 0.1 + 1e-6
    assert shifts.std() > 0.03
    assert (after - pictures()).abs().max() < 0.1 + 0.2


def test_it_is_differentiable_and_applies_with_its_probability() -> None:
    images = pictures().requires_grad_()
    augment(images, Augmentation(), random())[0].sum().backward()
    assert images.grad is not None
    assert images.grad.isfinite().all()
    half, source = Augmentation(probability=0.5), random()
    untouched = [torch.equal(augment(pictures(), half, source)[0], pictures()) for _ in range(200)]
    assert 70 < sum(untouched) < 130
    assert augment(images, None, random()) == (images, None)
