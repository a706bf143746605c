"""Pages from templates, and the way back after a form.

In: the name of a template and what it shows. Out: a response. Every template knows `visitor` (who asks, and the token
of the forms), `language`, `languages`, `theme`, `here` (the address of the page, for forms that lead back to it),
`settings`, `said` (a sentence after a form), `_`, `ngettext`, and the filters of pages/formats.py. All is escaped.
"""

from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from fastapi import Request
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, RedirectResponse, Response

from chestgan_portal.pages.formats import FILTERS
from chestgan_portal.pages.languages import LANGUAGES, _, language, ngettext
from chestgan_portal.pages.said import SAID
from chestgan_portal.pages.themes import chosen_theme
from chestgan_portal.security.visitors import Visitor, set_cookie

TEMPLATES = Path(__file__).parent.parent / "templates"

environment = Environment(
    loader=FileSystemLoader(TEMPLATES),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    extensions=["jinja2.ext.i18n"],
)
environment.install_gettext_callables(_, ngettext, newstyle=True)  # type: ignore[attr-defined]
environment.filters.update(FILTERS)
_NOBODY = Visitor(None, "")
_BACK = 400  # characters
_OF_ADDRESS = ":/%#?=@[]!$&'()*+,;"  # what stays as it is


def render(request: Request, template: str, status: int = 200, **shown: Any) -> Response:
    """A page, or a part of one for htmx."""
    visitor = getattr(request.state, "visitor", _NOBODY)
    said = SAID.get(request.query_params.get("said", ""), "")
    text = environment.get_template(template).render(
        request=request,
        visitor=visitor,
        settings=request.app.state.settings,
        language=language.get(),
        languages=LANGUAGES,
        theme=chosen_theme(request),
        here=_here(request),
        said=_(said) if said else "",
        **shown,
    )
    response = HTMLResponse(text, status)
    if value := getattr(request.state, "new_visitor", None):
        set_cookie(request, response, "visitor", value, None)
    return response


def _here(request: Request) -> str:
    """Without the sentence that was said already, and without what is too long for the field `back`."""
    query = urlencode([(name, value) for name, value in request.query_params.multi_items() if name != "said"])
    path = f"{request.url.path}?{query}" if query else request.url.path
    return path if len(path) <= _BACK else request.url.path


def go_to(request: Request, path: str, said: str = "") -> Response:
    """After a form: the browser opens `path`, which says the sentence `said` (a key of SAID). htmx follows too."""
    if said:
        path += ("&" if "?" in path else "?") + f"said={said}"
    if request.headers.get("hx-request") == "true":
        # As RedirectResponse does it: a header holds ASCII alone, and a line break would be another header.
        return Response(status_code=204, headers={"hx-redirect": quote(path, safe=_OF_ADDRESS)})
    return RedirectResponse(path, 303)


def local_path(path: str, default: str = "/") -> str:
    """A path of this server, from what a browser sent; anything else, such as //other.host, is the default."""
    parts = urlsplit(path)
    plain = (
        path.startswith("/")
        and not path.startswith(("//", "/\\"))
        and path.isprintable()
        and "\\" not in path
    )
    return path if plain and not parts.scheme and not parts.netloc else default
