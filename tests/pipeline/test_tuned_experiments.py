"""A finding of a study becomes a partition by itself: decisions on a small server, the reload on the real one."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import dagster as dg
import psutil
import pytest

from chestgan_assets.automation import tuned_experiments as room
from chestgan_assets.automation.tuned_experiments import MAX_RELOADS, NONE, tuned_experiments_sensor
from chestgan_assets.automation.webserver import VARIABLE, Webserver, WebserverFailed
from chestgan_assets.resources import StoreResource
from chestgan_core.config.experiment import Experiment, load_experiment
from chestgan_core.errors import BadInput
from chestgan_core.store import keys
from chestgan_core.store.embedded import EmbeddedStore
from chestgan_core.store.store import Store
from chestgan_core.tuning.tuned import publish_tuned
from tests.pipeline.dev_server import Dev
from tests.pipeline.test_tuned_steps import found


class Ui:
    """Answers GraphQL as a webserver does. loads: what a reload makes known. refuses: a message, for every reload."""

    def __init__(self) -> None:
        self.known: set[str] = {"demo"}
        self.loads: set[str] = set()
        self.refuses, self.status, self.body = "", 200, b""
        self.reloads: list[str] = []
        ui = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                answer = ui.body or json.dumps({"data": ui.answer(asked)}).encode()
                assert self.headers["Host"] == "localhost"  # the guard of the real one lets no other through
                self.send_response(ui.status)
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *args: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"

    def answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        if "mutation" not in asked["query"]:
            return {"assetNodes": [{"partitionKeys": sorted(self.known)}]}
        if self.refuses:
            return {"reloadRepositoryLocation": {"__typename": "UnauthorizedError", "message": self.refuses}}
        self.reloads.append(asked["variables"]["name"])
        self.known |= self.loads
        loaded = {"__typename": "RepositoryLocation"}
        return {
            "reloadRepositoryLocation": {
                "__typename": "WorkspaceLocationEntry",
                "locationOrLoadError": loaded,
            }
        }


@pytest.fixture
def ui(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ui]:
    running = Ui()
    threading.Thread(target=running.server.serve_forever, daemon=True).start()
    monkeypatch.setenv(VARIABLE, running.address)
    yield running
    running.server.shutdown()
    running.server.server_close()


class Ticks:
    """Ticks of the sensor, with their cursor."""

    def __init__(self, store: Store, instance: dg.DagsterInstance, patch: pytest.MonkeyPatch) -> None:
        self.store, self.instance, self.patch = store, instance, patch
        self.cursor: str | None = None

    def loaded(self, *experiments: Experiment) -> None:
        """What this code server has loaded."""
        self.patch.setattr(room, "EXPERIMENT_DATASETS", {one.name: one.dataset for one in experiments})

    def __call__(self) -> str:
        context = dg.build_sensor_context(
            self.instance, cursor=self.cursor, resources={"store": StoreResource(uri=self.store.uri())}
        )
        result = tuned_experiments_sensor(context)
        assert isinstance(result, dg.SensorResult)
        assert not result.run_requests
        self.cursor = result.cursor
        return str(result.skip_reason.skip_message) if result.skip_reason else ""


@pytest.fixture
def tick(
    store: Store, embedded: EmbeddedStore, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> Iterator[Ticks]:
    for name, value in {**embedded.environment, "CHESTGAN_HOME": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    with dg.DagsterInstance.ephemeral() as instance:
        yield Ticks(store, instance, monkeypatch)


def test_a_finding_that_is_not_loaded_is_reloaded_once(tick: Ticks, ui: Ui) -> None:
    assert tick() == NONE
    one = found("small-tuned")
    publish_tuned(tick.store, one)
    tick.loaded()
    ui.loads = {"small-tuned"}
    assert tick() == "small-tuned: was not loaded; the code location has been reloaded"
    tick.loaded(one)
    assert tick() == "1 experiment: is loaded"
    assert ui.reloads == ["chestgan"]


def test_the_webserver_is_reloaded_even_where_this_code_server_has_it_already(tick: Ticks, ui: Ui) -> None:
    one = found("small-tuned")
    publish_tuned(tick.store, one)
    tick.loaded(one)
    ui.loads = {"small-tuned"}
    tick()
    tick()
    assert ui.reloads == ["chestgan"]


def test_another_finding_of_the_same_name_is_fetched_and_reloaded_only_for_another_dataset(
    tick: Ticks, ui: Ui
) -> None:
    tick.loaded(found("small-tuned"))
    ui.known = {"small-tuned"}
    publish_tuned(tick.store, found("small-tuned", fields={"seed": 1}))
    assert tick() == "1 experiment: is loaded"
    assert load_experiment("small-tuned").seed == 1  # a step reads the file
    publish_tuned(tick.store, found("small-tuned", fields={"dataset": "phantom"}))
    tick()
    assert ui.reloads == ["chestgan"]


def test_what_no_reload_loads_is_not_reloaded_for_ever(tick: Ticks, ui: Ui) -> None:
    publish_tuned(tick.store, found("small-tuned"))
    tick.loaded()
    said = [tick() for _ in range(MAX_RELOADS + 3)]
    assert len(ui.reloads) == MAX_RELOADS
    assert said[-1].endswith("is not loaded after 3 reloads; the check configuration_loads says why")
    publish_tuned(tick.store, found("other-tuned"))  # another state
    tick()
    assert len(ui.reloads) == MAX_RELOADS + 1


def test_what_this_version_cannot_use_causes_no_reload(tick: Ticks, ui: Ui) -> None:
    tick.store.update_pointer(keys.tuned_experiments(), {"old-tuned": "dataset: folder\n"})
    assert tick().startswith("old-tuned: cannot be used: was not written by a study")
    assert not ui.reloads


def test_without_an_address_the_tick_says_what_to_do(
    tick: Ticks, ui: Ui, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VARIABLE)
    publish_tuned(tick.store, found("small-tuned"))
    tick.loaded()
    assert tick() == f"small-tuned: is not loaded yet: reload the code location, or set {VARIABLE}"


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ({"refuses": "you may not\nTraceback"}, "did not reload chestgan: you may not;"),
        ({"status": 403}, "answered 403"),
        ({"body": b"<html>"}, "does not answer as a webserver (JSONDecodeError)"),
        ({"body": b"[]"}, "does not answer as a webserver (TypeError)"),
    ],
)
def test_a_webserver_that_does_not_do_it_is_named_in_one_line(
    tick: Ticks, ui: Ui, state: dict[str, Any], said: str
) -> None:
    publish_tuned(tick.store, found("small-tuned"))
    tick.loaded()
    vars(ui).update(state)
    line = tick()
    assert ui.address in line
    assert said in line
    assert "\n" not in line
    assert not ui.reloads


def test_a_webserver_that_is_down_is_asked_again(tick: Ticks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "http://127.0.0.1:9")
    publish_tuned(tick.store, found("small-tuned"))
    tick.loaded()
    for _ in range(MAX_RELOADS + 2):
        assert "does not answer as a webserver" in tick()


@pytest.mark.parametrize("address", ["127.0.0.1:3000", "ftp://here", "http://"])
def test_what_is_no_address_is_refused(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, address)
    with pytest.raises(BadInput, match=VARIABLE):
        Webserver.from_environment()


@pytest.mark.slow
def test_the_real_webserver_has_the_partition_after_the_tick(
    dev: Dev, pipeline_environment: dict[str, str]
) -> None:
    running = psutil.Process(dev.process.pid).children(recursive=True)
    variables = next(
        found
        for found in (process.environ() for process in running if process.is_running())
        if "AWS_ENDPOINT_URL_S3" in found or "AWS_ENDPOINT_URL" in found
    )
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            if name.startswith(("AWS_", "CHESTGAN_")):
                patch.setenv(name, value)
        one = found("tiny-tuned", fields={"dataset": "phantom"})
        publish_tuned(Store.open(), one)
    webserver = Webserver(dev.address)
    assert "tiny" in webserver.experiments()
    assert "tiny-tuned" not in webserver.experiments()
    dev.turn_on("tuned_experiments_sensor")
    deadline = time.monotonic() + 240
    while "tiny-tuned" not in webserver.experiments():
        assert time.monotonic() < deadline, dev.ticks("tuned_experiments_sensor")
        time.sleep(1)
    with pytest.raises(WebserverFailed, match="did not reload nowhere"):
        webserver.reload("nowhere")
