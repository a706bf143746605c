"""A file appears whole or not at all, whoever writes it and whatever stops them."""

import threading
from pathlib import Path

import pytest

from chestgan_core.local.files import replacing


def test_the_new_content_is_there_at_the_end_and_the_old_one_until_then(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with replacing(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_that_fails_leaves_the_old_content_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError), replacing(path) as temporary:
        temporary.write_text("half\ud800", encoding="utf-8")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_of_two_writers_at_once_one_wins_whole(tmp_path: Path) -> None:
    path, together = tmp_path / "file", threading.Barrier(2)
    contents = {letter * 100_000 for letter in "ab"}

    def write(content: str) -> None:
        with replacing(path) as temporary:
            temporary.write_text(content[:50_000])
            together.wait()
            temporary.write_text(content)

    threads = [threading.Thread(target=write, args=(content,)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_text() in contents
    assert list(tmp_path.iterdir()) == [path]
