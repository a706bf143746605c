"""Text of others in Markdown: it is shown, and obeyed in nothing. Rendered by the library of the documentation site."""

import re
from pathlib import Path

import jinja2
import markdown as renderer
import pytest

from chestgan_core.documents.markdown import markdown, render_markdown
from chestgan_core.imaging.figures import figure_png, style

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=http://evil.example/x onerror=alert(1)>",
    "![picture](http://evil.example/pixel.png)",
    "[click here](javascript:alert(1))",
    "[click][1]\n\n[1]: http://evil.example",
    "a | b |\n| c | d",
    "line\n\n# heading\n\n- item\n\n    code",
    "`code` **bold** *slanted* ~~struck~~",
    "&lt;b&gt; &amp; \\*",
    "\\",
    "```\nfence\n```",
    "<http://evil.example>",
    "[^1] ![][x]",
]


def as_html(text: str) -> str:
    return renderer.markdown(text, extensions=["tables", "fenced_code", "footnotes"])


@pytest.mark.parametrize("text", HOSTILE)
def test_text_of_others_is_shown_as_it_is(text: str) -> None:
    html = as_html(f"Source: {markdown(text)}.")
    assert re.findall(r"<(\w+)", html) == ["p"]
    import html as entities

    shown = entities.unescape(re.sub(r"</?p>", "", html))
    assert shown.split() == f"Source: {text}.".split()


@pytest.mark.parametrize("text", HOSTILE)
def test_a_cell_of_a_table_stays_one_cell(text: str) -> None:
    html = as_html(f"| name | value |\n|---|---|\n| {markdown(text)} | 1 |")
    assert html.count("<tr>") == 2
    assert html.count("<td>") == 2
    assert not re.search(r"<(script|img|a|h1|li|code|strong|em)\b", html)


@pytest.mark.parametrize(
    "text", ["# heading", "- item", "1. item", "12) item", "+ item", "=====", "~~~ fence", "> quote"]
)
def test_text_that_begins_a_line_begins_nothing_else(text: str) -> None:
    html = as_html(f"- {markdown(text)}")
    assert not re.search(r"<(h\d|ol|ul><li><ul|code|pre|blockquote)", html.replace("\n", "")), html


def test_ordinary_names_stay_as_they_are_also_in_code() -> None:
    for name in (
        ", ",
        "lung-dcgan-64",
        "slice_tensors",
        "1.5 mm, B30f",
        "CC BY 4.0",
        "KID x 1000",
        "Größe 3 %",
    ):
        assert markdown(name) == name


def test_characters_that_act_on_a_terminal_are_written_out() -> None:
    assert "\x1b" not in markdown("\x1b[31mred")


def test_every_expression_of_a_template_is_escaped(tmp_path: Path) -> None:
    (tmp_path / "card.j2").write_text(
        "# {{ name }}\n{% for x in rows %}\n| {{ x }} | {{ n }} |\n{% endfor %}\n{{ d }}"
    )
    said = render_markdown(tmp_path / "card.j2", name="<b>", rows=["a|b", 2.5], n=7, d={"<k>": "[v](x)"})
    assert said.startswith("# &lt;b&gt;\n| a\\|b | 7 |\n| 2.5 | 7 |\n")
    assert "<" not in said
    assert "\\[v\\](x)" in said
    with pytest.raises(jinja2.UndefinedError):
        render_markdown(tmp_path / "card.j2", name="x")


def test_a_dollar_in_a_name_is_no_formula() -> None:
    from matplotlib.figure import Figure

    with style(8):
        figure = Figure(figsize=(1, 1))
        figure.suptitle(r"costs $\frac{ and $\unknown{x}$")
        assert figure_png(figure)


def test_a_logarithmic_scale_is_labelled_with_numbers(tmp_path: Path) -> None:
    """Powers of ten are formulas to matplotlib: where they are off, they would be shown as their source."""
    import torch
    from matplotlib import text

    from chestgan_core.evaluation.pages import charts
    from chestgan_core.imaging.windows import Window

    drawn: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        draw = text.Text.draw
        patch.setattr(
            text.Text, "draw", lambda self, *a, **k: (drawn.append(self.get_text()), draw(self, *a, **k))[1]
        )
        images = torch.rand(4, 1, 16, 16) * 2 - 1
        charts.value_histogram(
            {"real": images, "synthetic": images}, Window(-600, 1500), "real", tmp_path / "a.png"
        )
    assert any(re.fullmatch(r"0\.0*1|1e-\d+|0\.1|1", label) for label in drawn), drawn
    assert not [label for label in drawn if "$" in label]
