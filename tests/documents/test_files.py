"""The files of a document: Markdown that others read as meant, with every picture beside it."""

import re
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token
from PIL import Image

from chestgan_core.documents.blocks import Document, Facts, Figure, Pair, Paragraph, Section, Table
from chestgan_core.documents.files import document_files, write_files
from chestgan_core.documents.markdown_page import as_markdown
from chestgan_core.imaging.pictures import png_of

COMMON_MARK = MarkdownIt("commonmark").enable("table")


def png(grey: int) -> bytes:
    return png_of(Image.new("L", (8, 8), grey))


def cells(tokens: list[Token]) -> list[list[str]]:
    """The text of each cell, by line of a table."""
    lines: list[list[str]] = []
    inside = False
    for token in tokens:
        if token.type == "tr_open":
            lines.append([])
        inside = token.type in ("th_open", "td_open") or (inside and token.type == "inline")
        if inside and token.type == "inline":
            assert {child.type for child in token.children or []} <= {"text", "text_special"}, token.content
            lines[-1].append("".join(child.content for child in token.children or []))
    return lines


# What breaks tables: pipes, backticks, HTML, escapes, and structures at the start of a line.
hostile = st.text(st.sampled_from("|`<>\\*_[]()!#&-+=~ 1.a\n\té:"), max_size=20)


@given(st.lists(st.tuples(hostile, hostile), min_size=1, max_size=4), hostile)
@settings(max_examples=200, deadline=None)
def test_no_name_breaks_a_cell(rows: list[tuple[str, str]], head: str) -> None:
    page = as_markdown(Document("T", "L", (), (Section("S", (Table(("name", head), tuple(rows), (1, 1)),)),)))
    found = cells(COMMON_MARK.parse(page))
    meant = [("name", head), *rows]
    assert [len(line) for line in found] == [2] * len(meant)
    for line, texts in zip(found, meant, strict=True):
        assert [" ".join(cell.split()) for cell in line] == [" ".join(text.split()) for text in texts]


@given(hostile)
@settings(max_examples=100, deadline=None)
def test_no_text_makes_html_a_link_or_a_heading(text: str) -> None:
    document = Document(
        f"T {text}", text, (), (Section(f"S {text}", (Paragraph(text), Facts(((text, text),)))),)
    )
    tokens = COMMON_MARK.parse(as_markdown(document))
    inside = [child.type for token in tokens for child in token.children or []]
    assert not {"html_inline", "link_open", "image", "code_inline"} & set(inside)
    assert "html_block" not in [token.type for token in tokens]
    assert sum(token.type == "heading_open" for token in tokens) == 2


def test_every_picture_of_the_markdown_page_lies_beside_it(tmp_path: Path) -> None:
    document = Document(
        "Report", "",
        (Figure(png(0), "Samples", "those beside it"), Figure(png(1), "Curves: <b>losses</b>", "no file yet")),
        (Section("S", (Pair((Figure(png(2), "Curves: <b>losses</b>", "same title"), Figure(png(0), "Again", ""))),)),),
    )  # fmt: skip
    beside = {"figures/samples.png": png(0)}
    files = document_files(document, "report", beside)
    assert list(files) == [
        "report.html", "report.pdf", "report.md", "figures/page-curves-b-losses-b.png",
        "figures/page-curves-b-losses-b-2.png",
    ]  # fmt: skip
    written = write_files(tmp_path, beside | files)
    linked = re.findall(r"^!\[.*\]\((.*)\)$", (tmp_path / "report.md").read_text(), re.MULTILINE)
    assert [(tmp_path / name).read_bytes() for name in linked] == [png(0), png(1), png(2), png(0)]
    assert written["report.md"] == tmp_path / "report.md"
    assert document_files(document, "report", beside) == files  # equal documents, equal bytes
    # Pictures of an earlier page are taken as they are.
    assert set(document_files(document, "report", {**beside, **files})) == {
        "report.html",
        "report.pdf",
        "report.md",
    }
