"""Text can be read, and controls can be seen, in both themes: the contrast of every pair of colours that is used.

The numbers are those of WCAG 2.2, level AA: 4.5 for text (1.4.3), 3 for the edges of controls (1.4.11).
"""

import re
from itertools import pairwise, product

import pytest

from chestgan_portal.app import STATIC

TEXT, CONTROL = 4.5, 3.0
Colours = dict[str, tuple[float, float, float]]
GROUNDS = ("paper", "panel")
FILM = {"film-ink": TEXT, "film-soft": TEXT, "film-mark": TEXT}


def rgb(code: str) -> tuple[float, float, float]:
    """#rrggbb, 0 to 1."""
    red, green, blue = (int(code[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return red, green, blue


def colours(theme: str) -> Colours:
    """The variables of colours.css, without those for people who ask for more contrast."""
    text = (STATIC / "colours.css").read_text().partition("@media")[0]
    found: Colours = {}
    for name, light, dark in re.findall(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\);", text):
        found[name] = rgb(light if theme == "light" else dark)
    found |= {name: rgb(code) for name, code in re.findall(r"--([\w-]+): (#\w{6});", text)}
    assert len(found) == text.count("  --"), "a colour is written in another way than this test reads"
    return found


def luminance(colour: tuple[float, float, float]) -> float:
    """Relative luminance (WCAG 2.2)."""
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: tuple[float, float, float], other: tuple[float, float, float]) -> float:
    """1 to 21."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_the_measure_knows_black_white_and_the_grey_of_the_standard() -> None:
    assert contrast(rgb("#000000"), rgb("#ffffff")) == pytest.approx(21)
    assert contrast(rgb("#767676"), rgb("#ffffff")) == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_can_be_read_on_every_ground(theme: str) -> None:
    found = colours(theme)
    for ink, ground in product(("ink", "soft", "accent", "good", "bad", "warn", "neutral"), GROUNDS):
        assert contrast(found[ink], found[ground]) >= TEXT, (ink, ground)
    assert contrast(found["on-accent"], found["accent"]) >= TEXT
    for name in ("good", "bad", "warn", "neutral", "accent"):
        assert contrast(found[name], found[f"{name}-soft"]) >= TEXT, name
    assert contrast(found["ink"], found["accent-soft"]) >= TEXT  # the row under the mouse
    assert contrast(found["soft"], found["accent-soft"]) >= TEXT
    for name, least in FILM.items():
        assert contrast(found[name], found["film"]) >= least, name
        assert contrast(found[name], found["film-line"]) >= TEXT, f"{name} on what is chosen"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_edges_of_controls_and_rings_of_focus_can_be_seen(theme: str) -> None:
    found = colours(theme)
    for name, ground in product(("edge", "accent", "bad"), GROUNDS):
        assert contrast(found[name], found[ground]) >= CONTROL, (name, ground)
    assert contrast(found["film-mark"], found["film"]) >= CONTROL


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_green_is_good_red_is_bad_and_what_was_not_judged_has_no_colour(theme: str) -> None:
    found = colours(theme)
    red, green, blue = found["good"]
    assert green > 1.2 * red
    assert green > 1.2 * blue
    red, green, blue = found["bad"]
    assert red > 1.2 * green
    assert red > 1.2 * blue
    for name in ("neutral", "neutral-soft", "soft", "ink"):
        assert max(found[name]) - min(found[name]) < 0.1, name


def test_those_who_cannot_tell_red_from_green_tell_verdicts_by_their_word() -> None:
    """A badge is never a colour alone: every one in a template has a text."""
    from chestgan_portal.pages.render import TEMPLATES

    for path in TEMPLATES.rglob("*.html"):
        for badge in re.findall(r'<span class="badge[^>]*>(.*?)</span>', path.read_text(), re.DOTALL):
            assert badge.strip(), path.name


def test_styles_name_colours_of_the_list_only() -> None:
    """Outside of colours.css there are variables, black under images, and grey levels of paper."""
    known = set(colours("light"))
    for path in STATIC.glob("*.css"):
        text = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.DOTALL)
        own = set(re.findall(r"(?<![\w-])--([\w-]+):", text))
        assert set(re.findall(r"var\(--([\w-]+)\)", text)) <= known | own | {
            "gap",
            "radius",
            "mono",
            "sans",
        }, path.name
        if path.name != "colours.css":
            codes = {code.lower() for code in re.findall(r"#[0-9a-fA-F]{3,8}\b", text)}
            greys = {code for code in codes if len(set(pairwise(code[1:]))) <= 1}
            assert codes <= greys, (path.name, codes - greys)
