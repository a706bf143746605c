"""What sensors ask of the webserver: which experiments it knows, and to reload the code location.

In: $CHESTGAN_UI_ADDRESS, at which this process reaches the webserver (`http://127.0.0.1:3000`); `make dev` sets it.
Out: requests of its GraphQL API, the same that the button "Reload" in the UI sends. The webserver has the code server
reloaded wherever that runs: in a process of its own, in another container, in another pod.
"""

import json
import os
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit

from chestgan_core.errors import BadInput, ChestganError

VARIABLE = "CHESTGAN_UI_ADDRESS"
TIMEOUT = 45.0  # seconds; a tick may take 60, and a code location loads in 5 to 20
REMEDY = f"check that it runs, and {VARIABLE}"

_EXPERIMENTS = '{ assetNodes(assetKeys: [{path: ["generator_checkpoint"]}]) { partitionKeys } }'
_RELOAD = """mutation($name: String!) { reloadRepositoryLocation(repositoryLocationName: $name) {
  __typename
  ... on WorkspaceLocationEntry { locationOrLoadError { __typename ... on PythonError { message } } }
  ... on PythonError { message } ... on UnauthorizedError { message }
  ... on ReloadNotSupported { message } ... on RepositoryLocationNotFound { message } } }"""


class WebserverFailed(ChestganError):
    """The webserver does not answer, or refuses what it is asked for."""


@dataclass(frozen=True)
class Webserver:
    """address: without a slash at its end."""

    address: str

    @classmethod
    def from_environment(cls) -> Self | None:
        """None where $CHESTGAN_UI_ADDRESS is not set. Raises BadInput: it is no address."""
        address = os.environ.get(VARIABLE, "").strip().rstrip("/")
        if not address:
            return None
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise BadInput(VARIABLE, "is not the address of a webserver", "for example http://127.0.0.1:3000")
        return cls(address)

    def experiments(self) -> set[str]:
        """The experiments of which it has a partition; empty where it could not load the code. Raises
        WebserverFailed.
        """
        nodes = self._ask(_EXPERIMENTS).get("assetNodes")
        return {str(key) for node in nodes or [] for key in node.get("partitionKeys") or []}

    def reload(self, location: str) -> None:
        """Reload a code location, and wait for it. Raises WebserverFailed: it could not, or its code does not load."""
        answer = self._ask(_RELOAD, name=location).get("reloadRepositoryLocation") or {}
        failed = answer if "message" in answer else answer.get("locationOrLoadError") or {}
        if failed.get("message"):
            # One line; a stack trace of code that does not load is in the log of the code server.
            cause = str(failed["message"]).strip().splitlines()[0]
            raise WebserverFailed(self.address, f"did not reload {location}: {cause}", REMEDY)

    def _ask(self, query: str, **variables: str) -> dict[str, Any]:
        import urllib.error
        import urllib.request

        # A proxy to the internet does not lead to a service of one's own.
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        body = json.dumps({"query": query, "variables": variables}).encode()
        # The name by which this machine calls itself: that of a container is none that the UI's guard knows.
        headers = {"Content-Type": "application/json", "Host": "localhost"}
        request = urllib.request.Request(f"{self.address}/graphql", body, headers)  # noqa: S310 see from_environment
        try:
            with direct.open(request, timeout=TIMEOUT) as answer:
                said = json.load(answer)
            return dict(said["data"])
        except urllib.error.HTTPError as error:
            raise WebserverFailed(self.address, f"answered {error.code}", REMEDY) from error
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise WebserverFailed(
                self.address, f"does not answer as a webserver ({type(error).__name__})", REMEDY
            ) from error
