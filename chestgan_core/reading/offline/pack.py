"""A study as one HTML file for one reader: it opens without a server and without a network.

In: a frozen study. Out: the file, with the pictures inside under random names, and its sealed key in the store. The
file holds neither truth nor key; it sends nothing (its content security policy forbids it), and gives the answers as a
file.
"""

import base64
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path

import jinja2
from markupsafe import Markup

from chestgan_core.errors import BadInput, nearest
from chestgan_core.reading.images.frozen_study import FrozenStudy, require_published
from chestgan_core.reading.offline.sealed_key import SealedKey, new_key, store_key
from chestgan_core.reading.offline.words import LANGUAGES, WORDS, choices
from chestgan_core.store.store import Store

_FOLDER = Path(__file__).parent
MAX_PICTURE_BYTES = 400_000_000  # in one file: browsers open larger ones slowly, or not at all


@dataclass(frozen=True)
class Pack:
    """One reader's file. name: of the file. seal: sha256 of its key, as it is in the file."""

    reader: str
    name: str
    seal: str
    html: str = field(repr=False)


def make_pack(store: Store, study: FrozenStudy, language: str | None = None) -> Pack:
    """The file for one more reader, whose key is kept in the store. Each call makes another reader.

    Args:
        store: Where the key goes.
        study: From `freeze_study` or `open_study`.
        language: In which the page begins, "en" or "es"; None: as the reader's browser asks. Readers can switch.

    Returns:
        The page, and the sha256 of its key.

    Raises:
        BadInput: An unknown language, or pictures too large for one file.
        SetWithdrawn: The set of the study was withdrawn.
        StoreError: The store refused, or did not answer.
    """
    if language is not None and language not in LANGUAGES:
        raise BadInput(
            f"language {language}", "is not spoken by the offline file", nearest(language, LANGUAGES)
        )
    require_published(store, study.design)
    key = new_key(study)
    size = len(key.shown) * study.picture_bytes
    if size > MAX_PICTURE_BYTES:
        raise BadInput(
            f"study {study.design.name}",
            f"its {len(key.shown)} images are {size / 1e6:,.0f} MB, too many for one file",
            "make a study of fewer images, or read it in the portal",
        )
    html = _page(study, key, language)
    store_key(store, key)
    return Pack(key.reader, f"{study.design.name}-{key.reader}.html", key.seal, html)


def _page(study: FrozenStudy, key: SealedKey, language: str | None) -> str:
    design = study.design
    data = {
        "study": key.study,
        "version": key.version,
        "reader": key.reader,
        "seal": key.seal,
        "language": language,
        "words": WORDS,
        "ask": {
            "verdict": design.ask_verdict,
            "tumour": design.ask_tumour,
            "zoom": design.zoom,
            "window": design.window,
        },
        "warm_up": len(study.warm_up),
        "images": [
            {"id": shown.id, "png": base64.b64encode(study.picture(shown.item)).decode()}
            for shown in key.shown
        ],
    }
    style, script = ((_FOLDER / f"page.{kind}").read_text(encoding="utf-8") for kind in ("css", "js"))
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER), autoescape=True, undefined=jinja2.StrictUndefined
    )
    return environment.get_template("page.html.j2").render(
        language=language or "en",
        languages=LANGUAGES,
        choices=choices,
        title=design.title,
        study=key.study,
        version=key.version,
        reader=key.reader,
        seal=key.seal,
        style=Markup(style),  # noqa: S704 (a file of ours)
        script=Markup(script),  # noqa: S704 (a file of ours)
        style_hash=_hash(style),
        script_hash=_hash(script),
        data=Markup(_in_script(data)),  # noqa: S704 (escaped for a script element)
    )


def _in_script(data: object) -> str:
    """JSON that cannot end the script element it stands in."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
