"""A document as Markdown: every block is there, and text of others is text."""

import markdown as renderer

from chestgan_core.documents.blocks import (
    Bullets,
    Code,
    Document,
    Facts,
    Figure,
    Notice,
    Pair,
    Paragraph,
    Section,
    Table,
    Tile,
    Tiles,
)
from chestgan_core.documents.front_matter import front_matter, without_front_matter
from chestgan_core.documents.markdown_page import as_markdown

PNG, OTHER = b"\x89PNG one", b"\x89PNG two"
BAD = "<b>x</b> | `y` # z\n- [a](http://b)"
DOCUMENT = Document(
    title=f"Title {BAD}",
    lead=f"Lead {BAD}",
    summary=(
        Notice("care", "One line", (BAD,)),
        Notice("bad", "Two lines", ("a", "b")),
        Figure(PNG, "Samples", "c"),
    ),
    sections=(
        Section("Empty", ()),
        Section(
            "All",
            (
                Paragraph(BAD),
                Bullets((BAD, "second")),
                Facts((("name", BAD),)),
                Tiles((Tile("KID", "1", BAD),)),
                Table(("a", "b"), (("1", BAD),), (1, 1)),
                Pair((Figure(OTHER, "Left", "l"), Figure(PNG, "Right", "r"))),
                Code(f"echo ```` {BAD}", "bash"),
            ),
        ),
    ),
)


def test_every_block_is_on_the_page_and_obeys_nobody() -> None:
    page = as_markdown(DOCUMENT, {PNG: "samples.png"})
    html = renderer.markdown(page, extensions=["tables", "fenced_code"])
    for made in (
        "<h1>Title",
        "<h2>All</h2>",
        "<strong>One line.</strong>",
        '<img alt="Samples" src="samples.png"',
    ):
        assert made in html
    assert html.count("<table>") == 3
    assert html.count("<li>") == 4
    # What is in the code is in no other place: a fence of its own length holds it.
    assert '<code class="language-bash">echo ```` &lt;b&gt;x' in html
    assert "<b>" not in html
    assert 'href="http://b"' not in html
    assert html.count("<h1>") + html.count("<h2>") == 2
    assert "Empty" not in page


def test_a_figure_without_a_file_beside_the_page_is_left_out() -> None:
    page = as_markdown(DOCUMENT, {PNG: "samples.png"})
    assert "Left" not in page
    assert "![Right](samples.png)" in page


def test_fields_above_a_page_are_yaml_that_no_value_can_end_and_go_away_for_people() -> None:
    block = front_matter({"license": "x\n---\nlicense: mit", "tags": ["a: b", "- c"]})
    assert without_front_matter(f"{block}# Page\n") == "# Page\n"
    assert without_front_matter("# Page\n---\nx\n---\n") == "# Page\n---\nx\n---\n"
    assert block.splitlines().count("---") == 2
