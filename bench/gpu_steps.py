"""Training steps of ours on a GPU, in several ways to compute them, and how their speed is measured.

In: experiments, a device, seconds. Out: rows of a table: images/s (median and spread of stretches that are taken in
turns), the share of the matrix rate that was measured in the same process, peak memory, seconds until the first
stretch. A contender that fails is a row with its reason.
"""

import gc
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from bench.gpu_loops import Steps
from chestgan_core.config.conditions import Conditions
from chestgan_core.config.experiment import Experiment
from chestgan_core.config.training_plan import Relativistic
from chestgan_core.training.checkpoint import TrainingState
from chestgan_core.training.conditions import NO_CONDITIONS
from chestgan_core.training.distributed import World
from chestgan_core.training.sampling import IndexSampler
from chestgan_core.training.step import step, step_period

WAYS = {
    "float32": "float32, NCHW",
    "tf32": "TF32, NCHW",
    "tf32-last": "TF32, channels last",
    "bf16-nchw": "bfloat16, NCHW",
    "bf16": "bfloat16, channels last (what trainings do)",
    "graph": "bfloat16, channels last, CUDA graph",
    "compile": "bfloat16, channels last, torch.compile",
}
WARM_UP = 3  # steps: kernels are chosen, memory is taken
_FLOPS: dict[tuple[str, int, int], float] = {}


@dataclass
class Contender:
    """One row. start: makes what trains, on the device. together: steps that are always done together, as a CUDA graph
    may hold several. precision: of float32 products (set_precision), "" as PyTorch is by default. flops: returns those
    of one step; None: they are counted in a step of it.
    """

    name: str
    batch: int
    start: Callable[[], Steps]
    precision: str = ""
    together: int = 1
    flops: Callable[[], float] | None = None
    failure: str = ""
    warm_up_s: float = 0.0
    peak_bytes: int = 0
    steps: int = 1
    flops_per_step: float = 0.0
    rates: list[float] = field(default_factory=list)
    run: Steps | None = None

    def row(self, size: int, matrix_rate: float) -> dict[str, Any]:
        """What is printed of it. matrix_rate: FLOP/s of a bfloat16 product."""
        row: dict[str, Any] = {"size": size, "name": self.name, "batch": self.batch, "failure": self.failure}
        if not self.failure and not self.rates:
            row["failure"] = "not reached, the time was over"
        if self.rates:
            rate = statistics.median(self.rates)
            row |= {"rate": rate, "low": min(self.rates), "high": max(self.rates), "n": len(self.rates)}
            row["share"] = self.flops_per_step * rate / self.batch / matrix_rate if matrix_rate else 0.0
        row |= {"warm_up_s": self.warm_up_s, "peak_bytes": self.peak_bytes}
        return row


def measure(
    contenders: Sequence[Contender], device: torch.device, deadline: float, stretch_s: float, stretches: int
) -> None:
    """Fill in the contenders: start all (at most two thirds of the time), then stretches of `stretch_s` in turns until
    time.monotonic() is `deadline`, at most so many of each.
    """
    begun = time.monotonic()
    for contender in contenders:
        if time.monotonic() > begun + (deadline - begun) * 2 / 3:
            break
        _start(contender, device, stretch_s)
    for _ in range(stretches):
        for contender in contenders:
            if contender.run is None:
                continue
            # The first stretch of each counts even where little time is left.
            if time.monotonic() > deadline and all(some.rates for some in contenders if some.run):
                return
            try:
                seconds = _timed(contender, contender.steps, device)
            except (RuntimeError, MemoryError) as error:
                _fail(contender, error)
                continue
            contender.rates.append(contender.steps * contender.batch / seconds)


def matrix_rate(device: torch.device, size: int) -> float:
    """FLOP/s of a bfloat16 product of two (size, size) matrices: the median of five stretches."""
    left, right = (torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2))
    repeats = 20 if device.type == "cuda" else 2
    rates = []
    for stretch in range(6):
        wait(device)
        started = time.perf_counter()
        for _ in range(repeats):
            torch.mm(left, right)
        wait(device)
        if stretch:  # the first one warms up
            rates.append(repeats * 2 * size**3 / (time.perf_counter() - started))
    return statistics.median(rates)


def ours(experiment: Experiment, images: Tensor, way: str, device: torch.device) -> Contender:
    """A contender. images: (N, 1, R, R) on the device, from which batches are drawn."""
    network = experiment.network
    widths = f"widths {network.generator_width} and {network.discriminator_width}"
    plan = experiment.training
    repeat = step_period(experiment)

    def state() -> TrainingState:
        precision = "fp32" if way in ("float32", "tf32", "tf32-last") else "bf16"
        chosen = experiment.model_copy(update={"training": plan.model_copy(update={"precision": precision})})
        made = TrainingState(chosen, device, IndexSampler(len(images), None, device))
        if way in ("float32", "tf32", "bf16-nchw"):
            for part in (made.generator, made.discriminator, made.ema):
                part.to(memory_format=torch.contiguous_format)
        return made

    def placed() -> Tensor:
        last = way not in ("float32", "tf32", "bf16-nchw")
        return images.contiguous(memory_format=torch.channels_last if last else torch.contiguous_format)

    def start() -> Steps:
        made, shown = state(), placed()

        def one() -> None:
            step(made, shown, NO_CONDITIONS, World(), 0.0)

        if way == "graph":
            return _captured(made, one, repeat)
        if way == "compile":
            _compile(made)

        def run(steps: int) -> None:
            for _ in range(steps):
                one()

        return run

    def flops() -> float:
        """The same in all ways to compute a step."""
        key = (experiment.name, experiment.resolution, plan.batch_size)
        if key not in _FLOPS:
            made, shown = state(), placed()

            def steps() -> None:
                for _ in range(repeat):
                    step(made, shown, NO_CONDITIONS, World(), 0.0)

            _FLOPS[key] = _counted(steps) / repeat
        return _FLOPS[key]

    title = f"{network.family} ({widths}): {WAYS[way]}"
    precision = {"float32": "ieee", "tf32": "tf32", "tf32-last": "tf32"}.get(way, "")
    together = repeat if way == "graph" else 1
    return Contender(title, plan.batch_size, start, precision, together, flops)


def unconditioned(experiment: Experiment, **changes: object) -> Experiment:
    """The experiment without conditions and classes, with other fields of training (batch_size, ...)."""
    plan = experiment.training.model_copy(update={"validation": None, **changes})
    return experiment.model_copy(update={"conditions": Conditions(), "classes": (), "training": plan})


def set_precision(precision: str) -> None:
    """How float32 products and convolutions are computed on CUDA: ieee, tf32, or "" for PyTorch's defaults.

    By the older of PyTorch's two interfaces, which changes what the newer one says as well; after a change by the newer
    one, what reads the older (torch.compile) raises.
    """
    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
    torch.backends.cudnn.allow_tf32 = precision != "ieee"


def wait(device: torch.device) -> None:
    """For what the device still computes."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _start(contender: Contender, device: torch.device, stretch_s: float) -> None:
    """Make it, warm it up, find out how many steps a stretch takes."""
    set_precision(contender.precision)
    started = time.monotonic()
    before = 0
    if device.type == "cuda":
        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
    try:
        contender.run = contender.start()
        contender.run(WARM_UP)
        wait(device)
        contender.warm_up_s = time.monotonic() - started
        if device.type == "cuda":
            contender.peak_bytes = torch.cuda.max_memory_allocated(device) - before
        seconds = _timed(contender, WARM_UP, device) / WARM_UP
        contender.steps = max(round(stretch_s / seconds / contender.together), 1) * contender.together
        count = contender.flops or partial(_counted, partial(contender.run, 1))
        contender.flops_per_step = count()
    except Exception as error:  # a compiler that is missing, a kernel that is not supported: a row says so
        _fail(contender, error)


def _timed(contender: Contender, steps: int, device: torch.device) -> float:
    """Seconds."""
    assert contender.run is not None
    set_precision(contender.precision)
    wait(device)
    started = time.perf_counter()
    contender.run(steps)
    wait(device)
    return time.perf_counter() - started


def _fail(contender: Contender, error: BaseException) -> None:
    contender.run, contender.rates = None, []
    if isinstance(error, torch.OutOfMemoryError):
        contender.failure = "does not fit into the device's memory beside the others"
        return
    first = next(iter(str(error).splitlines()), "") or type(error).__name__
    contender.failure = f"failed: {first[:120]}"


def _captured(state: TrainingState, one: Callable[[], None], repeat: int) -> Steps:
    """The step as a CUDA graph, which a single call launches. What Python computes in it is frozen: learning rates, and
    the weight of the average. repeat: steps in the graph, as not all of them compute the same.
    """
    if state.device.type != "cuda":
        raise RuntimeError("there are no CUDA graphs on this device")
    for optimizer in (state.optimizer_g, state.optimizer_d):
        for group in optimizer.param_groups:
            group["capturable"] = True
    # Warmed up on the stream of the capture: gradients are accumulated on the stream where a weight was first used.
    stream = torch.cuda.Stream(state.device)  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream(state.device))
    with torch.cuda.stream(stream):
        for _ in range(WARM_UP * repeat):
            one()
    torch.cuda.current_stream(state.device).wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    graph.register_generator_state(state.random)  # or a capture in which it draws numbers raises
    with torch.cuda.graph(graph, stream=stream):
        for _ in range(repeat):
            one()

    def run(steps: int) -> None:
        for _ in range(-(-steps // repeat)):
            graph.replay()
        # Named here so that they live as long as the graph, which reads and writes their memory.
        _ = state, one

    return run


def _compile(state: TrainingState) -> None:
    """Compile both networks in place; the discriminator not where R1 and R2 differentiate it twice, which
    torch.compile refuses. What a projected discriminator is made of is compiled, as its parts are called one by one.
    """
    state.generator.compile()
    loss = state.experiment.training.loss
    if isinstance(loss, Relativistic) and any(loss.gamma):
        return
    for part in _called(state.discriminator):
        part.compile()


def _called(discriminator: Any) -> Iterator[Any]:
    if not hasattr(discriminator, "parts"):
        yield discriminator
        return
    for child in discriminator.children():
        yield from child if isinstance(child, torch.nn.ModuleList) else [child]
    yield discriminator._frozen[0]


def _counted(run: Callable[[], None]) -> float:
    """Floating point operations of the products and convolutions in it."""
    with FlopCounterMode(display=False) as counter:
        run()
    return float(counter.get_total_flops())
