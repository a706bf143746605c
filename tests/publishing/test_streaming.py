"""A set that is read while a network is trained on it, from its store and from a folder."""

import multiprocessing
import pickle
from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader

from chestgan_core.config.experiment import Experiment
from chestgan_core.errors import BadInput, DamagedObject, NotInStore
from chestgan_core.publishing import open_set, stream_set
from chestgan_core.publishing.reader.labels import read_labels
from chestgan_core.publishing.reader.set_folder import SetFolder, read_set_folder
from chestgan_core.publishing.reader.stream import stream_images
from chestgan_core.publishing.reader.tars import members
from chestgan_core.publishing.transfer.uploading import publish_set
from chestgan_core.publishing.versions.withdrawal import withdraw_set
from chestgan_core.publishing.writing import image_tars
from chestgan_core.publishing.writing.set_writer import write_set
from chestgan_core.store.store import Store
from chestgan_core.training.weights import LoadedGenerator


@pytest.fixture
def six_tars(
    generator: LoadedGenerator,
    experiment: Experiment,
    provenance: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> SetFolder:
    """23 images in six tars, the last with three."""
    monkeypatch.setattr(image_tars, "IMAGES_PER_TAR", 4)
    return write_set(generator, experiment, 23, 100, tmp_path / "set", provenance)


def read_range(folder: Path, name: str, start: int, count: int) -> bytes:
    return (folder / name).read_bytes()[start : start + count]


def numbers(images: SetFolder, **options: object) -> list[int]:
    stream = stream_images(images, lambda *place: read_range(images.path, *place), **options)  # type: ignore[arg-type]
    return [label["index"] for _, label in stream]


def test_a_stream_gives_the_same_items_as_the_fetched_set(
    six_tars: SetFolder, store_of_the_environment: Store
) -> None:
    published = publish_set(store_of_the_environment, six_tars)
    fetched = open_set(six_tars.path)
    streamed = list(stream_set(published.uri))
    assert len(streamed) == 23
    for k, (image, label) in enumerate(streamed):
        assert torch.equal(image, fetched[k][0])
        assert label == fetched[k][1]
    assert stream_set(published.uri).facts == fetched.facts


def test_a_shuffled_stream_has_each_image_once_in_an_order_that_the_seed_decides(six_tars: SetFolder) -> None:
    first, again = (numbers(six_tars, shuffle_buffer=8, seed=1) for _ in range(2))
    assert sorted(first) == list(range(23))
    assert first == again != list(range(23))
    assert numbers(six_tars, shuffle_buffer=8, seed=2) != first
    assert numbers(six_tars) == list(range(23))


@pytest.mark.parametrize("readers", [2, 3, 5, 6, 7, 40])
def test_readers_divide_the_images_among_them(readers: int, six_tars: SetFolder) -> None:
    shares = [numbers(six_tars, shuffle_buffer=5, seed=3, share=(at, readers)) for at in range(readers)]
    assert sorted(k for share in shares for k in share) == list(range(23))


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_workers_of_a_data_loader_divide_a_stream_and_read_a_set(start: str, six_tars: SetFolder) -> None:
    context = multiprocessing.get_context(start)
    for images in (stream_set(six_tars.path, shuffle_buffer=4), open_set(six_tars.path)):
        loader: DataLoader[object] = DataLoader(
            images, batch_size=4, num_workers=2, multiprocessing_context=context
        )
        seen = [int(k) for _, labels in loader for k in labels["index"]]
        assert sorted(seen) == list(range(23))


def test_processes_of_a_training_divide_a_stream(six_tars: SetFolder) -> None:
    seen = [[label["index"] for _, label in stream_set(six_tars.path, rank=(rank, 2))] for rank in range(2)]
    assert sorted(k for share in seen for k in share) == list(range(23))
    assert len(set(map(len, seen))) == 2  # 12 and 11: whole tars


def test_another_epoch_has_another_order(six_tars: SetFolder) -> None:
    images = stream_set(six_tars.path, shuffle_buffer=8)
    orders = []
    for epoch in (0, 1, 0):
        images.set_epoch(epoch)
        orders.append([label["index"] for _, label in images])
    assert orders[0] == orders[2] != orders[1]


def brighter(image: torch.Tensor) -> torch.Tensor:
    return image + 1


def seed_of(label: dict[str, object]) -> object:
    return label["seed"]


def test_transforms_apply_and_pickle_in_both_kinds_of_sets(six_tars: SetFolder) -> None:
    plain = open_set(six_tars.path)[0][0]
    for opened in (
        open_set(six_tars.path, transform=brighter, target_transform=seed_of),
        stream_set(six_tars.path, transform=brighter, target_transform=seed_of),
    ):
        image, target = next(iter(pickle.loads(pickle.dumps(opened))))
        assert torch.equal(image, plain + 1)
        assert target == 100


def test_a_fetched_set_is_a_sequence_that_ends(six_tars: SetFolder) -> None:
    images = open_set(six_tars.path)
    assert len(list(images)) == 23  # type: ignore[call-overload]
    assert [label["index"] for _, label in images[20:]] == [20, 21, 22]


@pytest.mark.parametrize("name", ["000008.png", "000008.json", "000011.png", "000011.json"])
def test_a_flipped_bit_ends_a_stream_before_the_image_is_given(name: str, six_tars: SetFolder) -> None:
    tar = six_tars.path / "images-0002.tar"
    data = bytearray(tar.read_bytes())
    place = {member.name: member.offset + member.bytes // 2 for member in members(tar)}[name]
    data[place] ^= 1
    tar.write_bytes(data)
    seen: list[str] = []
    with pytest.raises(DamagedObject, match=r"images-0002\.tar"):
        seen.extend(
            label["sha256"]
            for _, label in stream_images(six_tars, lambda *at: read_range(six_tars.path, *at))
        )
    assert seen == [row["sha256"] for row in read_labels(six_tars)][: len(seen)]
    assert len(seen) < 12


def test_what_is_behind_the_last_image_of_a_tar_is_checked_too(six_tars: SetFolder) -> None:
    """The images are right and so are their labels; only the sha256 of the whole tells that bytes were changed."""
    tar = six_tars.path / "images-0001.tar"
    data = bytearray(tar.read_bytes())
    data[100:107], data[148:156] = b"0000600", b" " * 8  # the mode of the first file
    data[148:156] = f"{sum(data[:512]):06o}\0 ".encode()
    tar.write_bytes(data)
    with pytest.raises(DamagedObject, match="is not the file that the manifest lists"):
        numbers(read_set_folder(six_tars.path))


def test_a_stream_refuses_what_a_fetch_refuses(
    six_tars: SetFolder, store_of_the_environment: Store, tmp_path: Path
) -> None:
    published = publish_set(store_of_the_environment, six_tars)
    with pytest.raises(NotInStore, match="did you mean tiny"):
        stream_set(published.uri.replace("/tiny/", "/tinny/").removesuffix(f"/{published.version}"))
    withdraw_set(store_of_the_environment, "tiny", published.version, "a test")
    with pytest.raises(Exception, match="was withdrawn"):
        stream_set(published.uri)
    with pytest.raises(BadInput, match="neither a folder nor"):
        stream_set(tmp_path / "nothing")
