"""The layer around the webserver of Dagster: whose requests it lets through. test_webserver.py tries it for real."""

import asyncio
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from chestgan_assets.web.forms import wrong_form
from chestgan_assets.web.server import guarded
from chestgan_web import peer
from chestgan_web.guard import Guard, Message, Receive, Scope, Send
from chestgan_web.peer import is_own_account

JSON = {"content-type": "application/json"}
HERE = ("127.0.0.1", 3000)


async def _app(scope: Scope, receive: Receive, send: Send) -> None:
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"x-frame-options", b"SAMEORIGIN")]}
    )
    await send({"type": "http.response.body", "body": b"inside"})


def request(
    method: str = "GET",
    path: str = "/",
    query: str = "",
    headers: dict[str, str] | list[tuple[str, str]] | None = None,
    guard: Guard | None = None,
    server: tuple[str, int] = HERE,
    kind: str = "http",
) -> list[dict[str, Any]]:
    """What the guard answers; Host is that of the server unless headers have another."""
    given = list(headers.items()) if isinstance(headers, dict) else headers or []
    if not any(name.lower() == "host" for name, _ in given):
        given = [("host", f"{server[0]}:{server[1]}"), *given]
    scope = {
        "type": kind,
        "scheme": "ws" if kind == "websocket" else "http",
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in given if value is not None],
        "client": ("127.0.0.1", 40_000),
        "server": server,
    }
    sent: list[dict[str, Any]] = []

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.append(dict(message))

    asyncio.run((guard or Guard(_app, setting="CHESTGAN_UI_HOSTS", refuses=wrong_form))(scope, receive, send))
    return sent


def status(*args: Any, **options: Any) -> int:
    return int(request(*args, **options)[0]["status"])


@pytest.mark.parametrize(
    "host", ["127.0.0.1:3000", "localhost:3000", "localhost", "[::1]:8000", "LOCALHOST:1"]
)
def test_names_of_this_machine_reach_it_at_any_port(host: str) -> None:
    """The port is that of a tunnel, too: ssh -L 8000:127.0.0.1:3000."""
    assert status(headers={"host": host}) == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example", "evil.example:3000", "127.0.0.1.evil.example", "localhost.evil.example:3000", "10.0.0.9:3000",
        "127.0.0.1@evil.example", "evil.example/127.0.0.1", "localhost:3000:1", "", "localhost:port", "0.0.0.0:3000",
        "127.0.0.2", "[::1", "localhost, evil.example",
    ],
)  # fmt: skip
def test_every_other_host_is_refused(host: str) -> None:
    for kind in ("http", "websocket"):
        answer = request(headers={"host": host}, kind=kind)[0]
        assert answer.get("status", answer.get("code")) in (403, 1008)


def test_two_hosts_or_none_are_refused() -> None:
    assert status(headers=[("host", "localhost"), ("host", "evil.example")]) == 403
    assert status(headers=[("host", None)]) == 403  # type: ignore[list-item]  # no such header


def test_a_host_that_is_configured_and_the_address_of_the_server_are_ours() -> None:
    guard = guarded(_app, {"CHESTGAN_UI_HOSTS": "chest.example, other.example"})
    assert status(headers={"host": "chest.example"}, guard=guard) == 200
    assert status(headers={"host": "third.example"}, guard=guard) == 403
    # What a probe of Kubernetes sends to the pod's address.
    assert status(headers={"host": "10.1.2.3:3000"}, server=("10.1.2.3", 3000)) == 200


def test_a_page_behind_a_proxy_is_the_same_origin() -> None:
    """TLS ends at the proxy: the scheme of the page is https, that of the request http."""
    guard = Guard(_app, ["chest.example"], setting="CHESTGAN_UI_HOSTS", refuses=wrong_form)
    headers = {
        "host": "chest.example",
        "origin": "https://chest.example",
        "sec-fetch-site": "same-origin",
        **JSON,
    }
    assert status("POST", "/graphql", headers=headers, guard=guard) == 200
    assert (
        status(
            "POST",
            "/graphql",
            headers=headers | {"host": "10.1.2.3:3000"},
            server=("10.1.2.3", 3000),
            guard=guard,
        )
        == 200
    )
    assert (
        status("POST", "/graphql", headers=headers | {"origin": "https://evil.example"}, guard=guard) == 403
    )


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example", "https://127.0.0.1:3000", "http://127.0.0.1:3001", "http://localhost:3000", "null", "",
        "http://127.0.0.1:3000.evil.example", "http://127.0.0.1:3000@evil.example", "file://", "http://127.0.0.1",
        "chrome-extension://abc", "http://127.0.0.1:3000/",
    ],
)  # fmt: skip
def test_pages_of_another_origin_neither_ask_nor_change_anything(origin: str) -> None:
    """Another port is another origin: other programs of this machine have pages, too."""
    for path in ("/graphql", "/report_asset_materialization/raw_dicom", "/"):
        assert status("POST", path, headers={"origin": origin, **JSON}) == 403
        assert status("GET", path, headers={"origin": origin}) == 403
    socket_answer = request(path="/graphql", headers={"origin": origin}, kind="websocket")
    assert [message["type"] for message in socket_answer] == ["websocket.close"]


def test_the_page_itself_asks_by_post_and_websocket() -> None:
    own = {"origin": "http://127.0.0.1:3000", "sec-fetch-site": "same-origin"}
    assert status("POST", "/graphql", headers=own | JSON) == 200
    assert request(path="/graphql", headers=own, kind="websocket")[0].get("status") == 200
    # A program that is no browser has neither header.
    assert (
        status("POST", "/graphql", headers=JSON | {"content-type": "application/json; charset=utf-8"}) == 200
    )


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_another_site_may_link_to_a_page_and_nothing_else(site: str) -> None:
    link = {"sec-fetch-site": site, "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    assert status("GET", "/runs/1", headers=link) == 200
    for other in (
        {"sec-fetch-dest": "iframe"},
        {"sec-fetch-dest": "image", "sec-fetch-mode": "no-cors"},
        {"sec-fetch-dest": "script", "sec-fetch-mode": "no-cors"},
        {"sec-fetch-dest": "object"},
    ):
        assert status("GET", "/runs/1", headers=link | other) == 403
    assert status("POST", "/graphql", headers=link | JSON) == 403
    assert request(path="/graphql", headers=link, kind="websocket")[0]["type"] == "websocket.close"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", ["/graphql", "/graphql/", "/prefix/graphql"])
def test_graphql_is_not_asked_by_get(method: str, path: str) -> None:
    for query in ("query=mutation%7Bx%7D", "query={version}", "x"):
        for accept in ("image/png", "text/html"):
            assert status(method, path, query, {"accept": accept}) == 405
    assert status(method, path, headers={"accept": "text/html"}) == 200  # the page for queries by hand


@pytest.mark.parametrize(
    "kind",
    [
        "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/graphql",
        "text/plain; application/json", "application/jsonp", "", None,
    ],
)  # fmt: skip
def test_forms_are_refused(kind: str | None) -> None:
    """What a page can send without asking first (CORS): the three kinds of forms, and nothing at all."""
    headers = {} if kind is None else {"content-type": kind}
    for path in ("/graphql", "/report_asset_check/raw_dicom", "/report_asset_observation/raw_dicom"):
        assert status("POST", path, "query=mutation%7Bx%7D", headers) == 415


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_other_methods_are_not_used(method: str) -> None:
    assert status(method, "/graphql", headers=JSON) == 405


def test_files_of_the_machine_are_not_read_as_notebooks() -> None:
    for path in ("/notebook", "/dagit/notebook", "/notebook/", "/prefix/notebook"):
        assert status("GET", path, "path=/etc/passwd&repoLocName=chestgan") == 404


@pytest.mark.parametrize("headers", [{}, {"host": "evil.example"}])
def test_every_answer_forbids_frames_and_guessing(headers: dict[str, str]) -> None:
    sent = request(headers=headers)[0]["headers"]
    named = {name.decode(): value.decode() for name, value in sent}
    assert named["content-security-policy"] == "frame-ancestors 'none'"
    assert named["x-content-type-options"] == "nosniff"
    assert "x-frame-options" in named
    assert "access-control-allow-origin" not in named


def test_only_dagster_webserver_is_not_guarded_by_forwarded_addresses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A program that says by a header that it comes from elsewhere is not believed."""
    from chestgan_assets.web import server

    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "127.0.0.1")
    monkeypatch.setitem(vars(server.cli), "cli", lambda **_: None)
    name = "create_app_from_workspace_process_context"
    monkeypatch.setitem(vars(server.cli), name, vars(server.cli)[name])
    server.main()
    assert os.environ["FORWARDED_ALLOW_IPS"] == ""
    monkeypatch.setitem(vars(server.cli), name, None)
    with pytest.raises(RuntimeError, match="cannot be guarded"):
        server.main()


CLIENT = """
import socket, sys, time
connection = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
print(connection.getsockname()[1], flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says whose a connection is")
def test_a_connection_belongs_to_the_account_of_its_process() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = listener.getsockname()
        with socket.create_connection(server) as client, listener.accept()[0]:
            assert is_own_account(client.getsockname(), server)
            # Another connection, or none.
            assert not is_own_account(("127.0.0.1", 1), server)
            assert not is_own_account(("10.0.0.1", client.getsockname()[1]), server)
            assert not is_own_account(None, server)
            assert not is_own_account(client.getsockname(), None)
            assert not is_own_account(("::1", 5), ("::1", 6))
            address = client.getsockname()
        # Closed by its process while the server still reads: it belongs to nobody any more.
        assert not is_own_account(address, server)


def test_where_the_system_does_not_say_whose_a_connection_is_every_account_comes_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peer, "TABLE", tmp_path / "none")
    assert is_own_account(("127.0.0.1", 1), HERE)


@pytest.mark.skipif(sys.platform != "linux" or os.getuid() != 0, reason="needs root, to be somebody else")
def test_connections_of_other_accounts_are_refused_and_those_of_root_are_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = listener.getsockname()
        for user in (65534, 0):
            with subprocess.Popen(
                ["/usr/bin/env", "python3", "-c", CLIENT, str(server[1])], user=user, group=user, extra_groups=[],
                cwd="/", stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            ) as process:  # fmt: skip
                assert process.stdout is not None
                port = int(process.stdout.readline())
                with listener.accept()[0]:
                    assert is_own_account(("127.0.0.1", port), server) is (user == 0)
                    guard = Guard(_app, setting="CHESTGAN_UI_HOSTS", own_account=True)
                    scope = {"client": ("127.0.0.1", port), "server": server, "type": "http", "headers": []}
                    refusal = guard.refusal(scope)
                    assert refusal is not None
                    assert ("another account" in refusal.text) is (user != 0)
                process.stdin.close()  # type: ignore[union-attr]
