"""Every route of the portal, and addresses and rows to attack it with.

In: the routers that the application includes. Out: Route, with its methods, parameters and the fields of its form. A
route that is added tomorrow is attacked tomorrow.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi.routing import APIRoute
from sqlalchemy import inspect, select

from chestgan_portal.app import ROUTERS
from chestgan_portal.database.tables import Table
from tests.portal.clients import Portal

# What no browser asks for.
MACHINES = ("/health", "/ready", "/notify", "/api/")
# Columns that a look at a page may change: when somebody was here last.
_SEEN = {("logins", "seen_at")}


@dataclass(frozen=True)
class Route:
    """One method of one path. parameters: of the path. fields: of the form."""

    method: str
    path: str
    parameters: tuple[str, ...]
    fields: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def of_browsers(self) -> bool:
        return not self.path.startswith(MACHINES)

    def address(self, given: Mapping[str, str]) -> str:
        """The path with values in place of its parameters."""

        def value(found: re.Match[str]) -> str:
            return given.get(found[1], "1")

        return re.sub(r"\{(\w+)(?::\w+)?\}", value, self.path)


def every_route() -> list[Route]:
    return sorted(_routes(), key=lambda route: (route.path, route.method))


def _routes() -> Iterator[Route]:
    for router in ROUTERS:
        for route in router.routes:
            assert isinstance(route, APIRoute), f"{route} is not looked at here"
            fields = tuple(one.alias for one in route.dependant.body_params)
            names = tuple(one.alias for one in route.dependant.path_params)
            for method in sorted(route.methods):
                yield Route(method, route.path, names, fields)


def rows(portal: Portal, without: set[tuple[str, str]] = _SEEN) -> dict[str, str]:
    """Table -> a hash of all its rows."""
    found = {}
    with portal.session() as db:
        for name in inspect(portal.engine).get_table_names():
            if (table := Table.metadata.tables.get(name)) is None:
                continue
            columns = [column for column in table.columns if (name, column.name) not in without]
            everything: list[Any] = sorted(repr(tuple(row)) for row in db.execute(select(*columns)))
            found[name] = hashlib.sha256("\n".join(everything).encode()).hexdigest()
    return found


def queries() -> list[tuple[str, str]]:
    """Path and name of every parameter of a query; of paths without parameters."""
    found = []
    for router in ROUTERS:
        for route in router.routes:
            if isinstance(route, APIRoute) and "GET" in route.methods and not route.dependant.path_params:
                found += [(route.path, one.alias) for one in route.dependant.query_params]
                found.append((route.path, "said"))
    return found
