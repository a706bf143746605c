"""A webhook receiver on loopback: records requests, and answers with given statuses."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from tests.standins.posts import PostServer


@dataclass
class Receiver(PostServer):
    """requests: headers and body of each request. statuses: answers to the next requests; 200 when they are used up."""

    requests: list[tuple[Mapping[str, str], bytes]] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)

    def __enter__(self) -> Self:
        super().__enter__()
        self.url += "/hook?token=hidden"
        return self

    def answer(self, headers: Mapping[str, str], body: bytes) -> tuple[int, Mapping[str, str], bytes]:
        self.requests.append((headers, body))
        return (
            self.statuses.pop(0) if self.statuses else 200,
            {"Location": "http://127.0.0.1:9/elsewhere"},
            b"",
        )
