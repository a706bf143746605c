"""The files of a set that describe it: README.md, card.html, croissant.json, provenance.json.

In: what is known of the set, and the files it has besides. Out: bytes by name. All four are made from the same
CardFacts, and the same facts give the same bytes.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chestgan_core.documents.front_matter import front_matter
from chestgan_core.documents.html import as_html
from chestgan_core.documents.markdown_page import as_markdown
from chestgan_core.publishing.reader.manifest import SetFacts
from chestgan_core.publishing.reader.set_folder import CARD, SAMPLES
from chestgan_core.publishing.writing import croissant, provenance
from chestgan_core.publishing.writing.card import card_document, summary_document
from chestgan_core.publishing.writing.hub_fields import hub_fields
from chestgan_core.publishing.writing.provenance import (
    AskedCounts,
    CardFacts,
    ListedFile,
    provenance_from,
    read_provenance,
)
from chestgan_core.publishing.writing.statements import statements_of

if TYPE_CHECKING:
    from chestgan_core.publishing.writing.contents import FileFacts

HTML = "card.html"
DOCUMENTS = (CARD, HTML, croissant.FILE, provenance.FILE)


def card_facts(
    facts: SetFacts,
    network: Mapping[str, Any],
    given: Mapping[str, Any],
    files: "Mapping[str, FileFacts]",
    asked: AskedCounts | None = None,
) -> CardFacts:
    """Everything that a card says.

    Args:
        facts: Of the set.
        network: The section of the experiment, plain data.
        given: The fields of Provenance as plain data; `source` and `source_licence` at least.
        files: Name -> size and sha256 of every file of the set but the four documents.
        asked: What the images were asked to show, where it was counted.

    Raises:
        KeyError: There is no `source` or no `source_licence`.
        DamagedObject: A field has the wrong type.
    """
    typed = provenance_from(given)
    listed = tuple(ListedFile(name, one.bytes, one.sha256) for name, one in sorted(files.items()))
    return CardFacts(facts, dict(network), typed, statements_of(facts, typed), listed, asked)


def set_documents(card: CardFacts, samples_png: bytes) -> dict[str, bytes]:
    """Name -> content of the four documents. samples_png: the picture of the first images, a file of the set."""
    document = card_document(card, samples_png)
    return {
        CARD: (front_matter(hub_fields(card)) + as_markdown(document, {samples_png: SAMPLES})).encode(),
        HTML: as_html(document).encode(),
        croissant.FILE: croissant.croissant_json(card),
        provenance.FILE: card.as_bytes(),
    }


def summary_of(folder: Path, version: str, address: str) -> str:
    """What the asset of a published set shows of its card, Markdown, from the provenance.json in its folder.

    Raises DamagedObject.
    """
    return as_markdown(summary_document(card_of(folder), version, address))


def card_of(folder: Path) -> CardFacts:
    """What the card of a set in a folder says, as data. Raises DamagedObject."""
    path = folder / provenance.FILE
    return read_provenance(path.read_bytes(), str(path))
