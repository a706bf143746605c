"""YAML that people write: values as both versions of YAML mean them; all else is refused with its line, and soon."""

import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from chestgan_core.config.dataset import load_dataset
from chestgan_core.config.experiment import load_experiment
from chestgan_core.config.yaml_models import read_fields
from chestgan_core.config.yaml_text import BadYaml, plain_value, read_yaml, write_yaml
from chestgan_core.errors import BadExperiment, BadInput

LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "\n".join(
    f"{name}: &{name} [{', '.join(['*' + before] * 10)}]"
    for before, name in zip("abcdefg", "bcdefgh", strict=True)
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("-3", -3),
        ("0", 0),
        ("0x1F", 31),
        ("0.5", 0.5),
        ("1e-4", 1e-4),
        ("1.5e+3", 1500.0),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("a word", "a word"),
        ("1.2.840.10008", "1.2.840.10008"),
        ("A0001", "A0001"),
        ("no lung", "no lung"),
        ("'010'", "010"),
        ('"yes"', "yes"),
        ("!!str 1:30", "1:30"),
        ("|\n  010", "010"),
        ("2024-01", "2024-01"),
        ("=", "="),
    ],
)
def test_a_word_is_what_both_versions_of_yaml_make_of_it(text: str, value: object) -> None:
    read = read_yaml(f"a: {text}").values
    assert read == {"a": value}
    assert type(read["a"]) is type(value)


@pytest.mark.parametrize(
    "text",
    [
        "yes", "No", "ON", "off", "010", "-07", "00", "0_1", "1_000", "0.1_5", "1:30", "12:30:45", "190:20:30.15",
        "0o17", "0b11", "0x_1F", "-0x1F", ".inf", "-.Inf", ".NaN", "1e999", "2024-01-01", "2024-1-1 10:00:00",
        "2024-01-01T10:00:00Z", "09", "01.5", "9" * 200,
    ],
)  # fmt: skip
@pytest.mark.parametrize("form", ["first: 1\n{}: 2", "first: 1\nb: {}", "first: 1\nb: [1, {}]"])
def test_a_word_with_two_meanings_is_refused_with_its_line(text: str, form: str) -> None:
    with pytest.raises(BadYaml, match=r"^line 2: ") as error:
        read_yaml(form.format(text))
    assert "quote it" in error.value.remedy or "write a number" in error.value.remedy
    assert len(str(error.value)) < 200


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        (LAUGHS, "more than 50,000 values"),
        ("a: &a [*a]", r"\*a stands for nothing before it"),
        ("a: *b", r"\*b stands for nothing"),
        ("[" * 100_000, "nested more than 40 deep"),
        ("- " * 100_000, "nested more than 40 deep"),
        ("{a: " * 50_000, "nested more than 40 deep"),
        ("? " * 50_000, "not a word"),
        ("a: 1\nb: 2\na: 3", "line 3: a is a duplicate of line 1"),
        ("a: {b: 1, b: 1}", "b is a duplicate"),
        ("a: !!python/object/apply:os.system [ls]", "has the tag"),
        ("a: !!binary aGVsbG8=", "has the tag"),
        ("a: !!set {b, c}", "has the tag"),
        ("a: !!timestamp 2024-01-01", "has the tag"),
        ("a: 1\n---\nb: 2", "line 2: begins another document"),
        ("[a, b]: 1", "not a word"),
        ("~: 1", "without a name"),
        ("<<: 3", "none"),
        ("a: [1", "is not YAML"),
        ("\ta: 1", "is not YAML"),
        ("a: \x00", "does not allow"),
        ("a: '" + "x" * 1_100_000 + "'", "more than 1,048,576 characters"),
        ("- 1\n" * 60_000, "more than 50,000 values"),
    ],
)
def test_what_cannot_or_must_not_be_read_is_refused_in_one_line(text: str, cause: str) -> None:
    with pytest.raises(BadYaml, match=cause) as error:
        read_yaml(text)
    assert "\n" not in str(error.value)


def test_aliases_and_merged_sections_keep_their_lines() -> None:
    document = read_yaml("base: &base {x: 1, y: [1, 2]}\nown:\n  <<: *base\n  x: 3\nagain: *base")
    assert document.values["own"] == {"x": 3, "y": [1, 2]}
    assert document.values["again"] == {"x": 1, "y": [1, 2]}
    assert document.lines["own", "x"] == 4
    assert document.lines["own", "y", 1] == 1
    assert document.lines["again",] == 5


def test_many_merged_fields_take_no_longer_than_many_fields() -> None:
    many = ", ".join(f"f{number}: 1" for number in range(12_000))
    document = read_yaml(f"a: &a {{{many}}}\nb: {{<<: *a, f0: 2}}\nc: {{<<: [*a]}}")
    assert document.values["b"] == {**document.values["a"], "f0": 2}
    assert document.values["c"] == document.values["a"]
    assert (document.lines["b", "f0"], document.lines["b", "f1"], document.lines["c", "f7"]) == (2, 1, 1)


def test_the_first_of_several_merged_sections_counts() -> None:
    values = read_yaml("a: {<<: [{x: 1}, {x: 2, y: 2}], z: 3}").values
    assert values == {"a": {"z": 3, "x": 1, "y": 2}}


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["C"]), max_size=12)
    | st.from_regex(r"\A[0-9xobeE_:.+~YyNnOo<=-]{1,10}\Z"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abN01:_.~", max_size=5), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


@given(PLAIN)
def test_what_is_written_is_read_as_the_same(value: Any) -> None:
    assert read_yaml(write_yaml({"key": value})).values == {"key": value}


@given(st.text("0123456789abxoeE_:.+-~TZyesonf<= ", max_size=8))
def test_a_word_that_is_accepted_means_the_same_to_the_library_of_yaml_1_1(text: str) -> None:
    word = text.strip(" ")
    if not word or word[0] in "-:.+=~<" or ": " in word or word.endswith(":"):
        return
    try:
        value = plain_value(word)
    except BadYaml:
        return
    other = yaml.safe_load(f"[{word}]")[0]
    assert value == other or (isinstance(value, float) and other == word)


@pytest.mark.parametrize("make", ["pipe", "folder", "broken link", "not UTF-8", "UTF-16", "empty"])
def test_a_file_that_is_not_one_is_refused_and_not_waited_for(tmp_path: Path, make: str) -> None:
    path = tmp_path / "ours.yaml"
    match make:
        case "pipe":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case "broken link":
            path.symlink_to("nowhere")
        case "not UTF-8":
            path.write_bytes(b"title: \xff\xfe")
        case "UTF-16":
            path.write_text("title: ours", encoding="utf-16")
        case "empty":
            path.write_bytes(b"")
    with pytest.raises(BadInput, match=r"ours\.yaml"):
        load_dataset(path)
    with pytest.raises(BadExperiment, match=r"ours\.yaml"):
        load_experiment(path)


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "ours.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\r\nb: [x,\r\n  y]\r\n")
    fields = read_fields(path, "datasets", BadInput)
    assert fields.values == {"a": 1, "b": ["x", "y"]}
    assert fields.lines["b",] == 2


def test_a_bad_word_in_an_experiment_is_named_with_file_line_and_remedy(tmp_path: Path) -> None:
    path = tmp_path / "ours.yaml"
    path.write_text("dataset: phantom\ntraining:\n  minutes: 1:30\n")
    with pytest.raises(
        BadExperiment, match=r'ours\.yaml: line 3: 1:30 is .*; write the number, or quote it: "1:30"'
    ):
        load_experiment(path)
