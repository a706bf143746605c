"""The forms of request that Dagster's UI uses; everything else is refused.

Dagster itself has no login and takes changes by GET: any web page could start runs through the browser of somebody who
may. Refused are GraphQL by GET (`<img src="…/graphql?query=mutation…">`), a POST that is not JSON (a form), and methods
and paths that the UI does not use.
"""

from chestgan_web.guard import Headers, Refusal, Scope

# Dagster reads a file that the request names, of the machine of the code server; there are no notebooks here.
_CLOSED = ("/notebook", "/dagit/notebook")


def wrong_form(scope: Scope, headers: Headers) -> Refusal | None:
    """Why the UI never sends such a request; None: it may."""
    path = scope["path"].rstrip("/")
    if path.endswith(_CLOSED):
        return Refusal(404, "there are no notebooks here")
    if scope["type"] == "websocket":
        return None
    if scope["method"] in ("GET", "HEAD"):
        if path.endswith("/graphql") and scope.get("query_string"):
            return Refusal(405, "GraphQL is asked by POST, with the query as JSON")
        return None
    if scope["method"] != "POST":
        return Refusal(405, "only GET, HEAD and POST are used here")
    kinds = headers.all(b"content-type")
    if len(kinds) != 1 or kinds[0].partition(";")[0].strip().lower() != "application/json":
        return Refusal(415, "a POST needs the header Content-Type: application/json")
    return None
