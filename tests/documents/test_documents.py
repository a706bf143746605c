"""Documents: what the page and the PDF show, that both open without a network, and that the bytes do not depend on when
or where they were written.
"""

import hashlib
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pypdf
import pytest
from PIL import Image

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
from chestgan_core.documents.html import as_html
from chestgan_core.documents.pdf import as_pdf

ROOT = Path(__file__).parent.parent.parent


def png(width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    Image.linear_gradient("L").resize((width, height)).save(buffer, "PNG")
    return buffer.getvalue()


def everything(rows: int = 3) -> Document:
    """One of each block."""
    figure = Figure(png(60, 40), "A gradient", "From black to white.", 0.5)
    return Document(
        title="Łódź & <b>Kraków</b>",
        lead="By Bińkowski, 5 ± 1.",
        summary=(
            Notice("bad", "Refused", ("coverage is too low.", "KID is too high.")),
            Tiles((Tile("KID", "12.3", "floor 9"), Tile("coverage", "40%"))),
            figure,
        ),
        sections=(
            Section(
                "Words",
                (
                    Paragraph("A <script>alert(1)</script>."),
                    Bullets(("one thing", "another")),
                    Code("chestgan sets list"),
                ),
            ),
            Section("Nothing", ()),
            Section(
                "Numbers",
                (Table(("name", "value"), tuple((f"row {n}", str(n)) for n in range(rows)), (1, 1)),),
            ),
            Section("Facts", (Facts((("sha256", "ab" * 32),)), Pair((figure, figure)))),
        ),
    )


def pages_of(pdf: bytes) -> list[str]:
    return [page.extract_text() for page in pypdf.PdfReader(io.BytesIO(pdf)).pages]


def test_the_page_refers_to_nothing_outside_of_itself_and_runs_nothing() -> None:
    page = as_html(everything())
    assert set(re.findall(r"(?:src|href)=.{16}|url\(.{16}|@import", page)) <= {'src="data:image/png;'}
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_the_pdf_says_what_the_page_says() -> None:
    document = everything()
    page, text = as_html(document), " ".join(" ".join(pages_of(as_pdf(document))).split())
    for said in (
        "coverage is too low.",
        "floor 9",
        "another",
        "chestgan sets list",
        "row 2",
        "A gradient",
        "From black to white.",
    ):
        assert said in page
        assert said in text
    assert "Łódź & <b>Kraków</b>" in text
    assert "By Bińkowski, 5 ± 1." in text
    assert "<script>alert(1)</script>" in text


def test_a_section_without_blocks_is_left_out() -> None:
    assert "Nothing" not in as_html(everything())
    assert "Nothing" not in " ".join(pages_of(as_pdf(everything())))


def test_the_summary_has_the_first_page_for_itself_and_pages_are_numbered() -> None:
    pages = pages_of(as_pdf(everything()))
    assert "Refused" in pages[0]
    assert "one thing" not in pages[0]
    assert [f"page {n} of {len(pages)}" in text for n, text in enumerate(pages, 1)] == [True] * len(pages)


def test_a_long_table_continues_on_the_next_page_under_its_head_and_loses_no_row() -> None:
    pages = pages_of(as_pdf(everything(rows=120)))
    assert len(pages) > 3
    having = [text for text in pages if "row " in text]
    assert all("value" in text for text in having)
    found = re.findall(r"row (\d+)", " ".join(having))
    assert [int(number) for number in found] == list(range(120))


def test_a_name_that_is_too_long_for_its_column_is_broken_after_a_dash() -> None:
    table = Table(("experiment-of-the-thesis-system", *"abcdefg"), (("1",) * 8,), (1,) * 8)
    (_, page) = pages_of(as_pdf(Document("t", "l", (), (Section("s", (table,)),))))
    lines = page.splitlines()
    assert "".join(lines[lines.index("experiment-") :][:4]) == "experiment-of-the-thesis-system"


@pytest.mark.parametrize("lines", range(30, 48, 3))
def test_a_heading_stays_with_the_pictures_under_it(lines: int) -> None:
    figure = Figure(png(60, 40), "A gradient", "From black to white.")
    above = Section("Above", tuple(Paragraph(f"line {n}") for n in range(lines)))
    pages = pages_of(as_pdf(Document("t", "l", (), (above, Section("Pictures", (Pair((figure, figure)),))))))
    (having,) = (text for text in pages if "Pictures" in text)
    assert "From black to white." in having


def test_a_picture_higher_than_a_page_is_made_to_fit() -> None:
    document = Document("t", "l", (Figure(png(50, 900), "High", "Higher than wide."),), ())
    assert len(pages_of(as_pdf(document))) == 1


def test_fonts_are_in_the_file() -> None:
    fonts = [
        font["/DescendantFonts"][0]["/FontDescriptor"]
        if "/DescendantFonts" in font
        else font["/FontDescriptor"]
        for page in pypdf.PdfReader(io.BytesIO(as_pdf(everything()))).pages
        for font in (one.get_object() for one in page["/Resources"]["/Font"].values())
        if font["/BaseFont"] != "/Helvetica"  # reportlab names it in every file; nothing is set in it
    ]
    assert fonts
    assert all("/FontFile2" in font for font in fonts)


def test_sections_are_bookmarks() -> None:
    outline = pypdf.PdfReader(io.BytesIO(as_pdf(everything()))).outline
    assert [entry.title for entry in outline] == ["Words", "Numbers", "Facts"]


def test_the_same_document_has_the_same_bytes_in_another_process_and_at_another_time() -> None:
    code = (
        "import hashlib\n"
        "from tests.documents.test_documents import as_pdf, everything\n"
        "print(hashlib.sha256(as_pdf(everything())).hexdigest())\n"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo"}
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == hashlib.sha256(as_pdf(everything())).hexdigest()


def test_a_table_with_a_short_row_is_a_mistake_of_whoever_wrote_it() -> None:
    with pytest.raises(ValueError, match="2 columns"):
        Table(("a", "b"), (("1",),), (1, 1))
