"""An engine without processes: instances are scripted by what a test says, and everything happens when it is told to.

It obeys the engine port: calls to the observer come from the event loop, never from inside a call of the scheduler, and never
concurrently. Where the scheduler breaks the port's rules, it raises `PortMisused`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cog.worker.protocol import Done, Log, Metric, Output, OutputFile

from replicate_server.domain.ids import InstanceId, PredictionId, VersionId
from replicate_server.domain.records import Package
from replicate_server.ports.engine import InstanceObserver, InstanceSpec, PackageBroken, Resources, Work

ANY_VERSION = VersionId("*")


class PortMisused(Exception):
    """The scheduler did what the engine port forbids."""


@dataclass(slots=True)
class FakeModel:
    """How instances of a version behave. A test may change it between predictions."""

    slots: int = 1
    setup_error: str | None = None
    """Set: setup fails with this."""
    setup_log: str = ""
    is_setup_held: bool = False
    """Setup ends only when `FakeEngine.finish_setup` is called."""
    is_held: bool = False
    """Predictions end only when `FakeEngine.finish` is called; otherwise they answer with their input at once."""
    answer: Callable[[Mapping[str, Any]], Any] = dict
    """Makes the output of a prediction that is not held."""
    yields: Sequence[Any] | None = None
    """Set: a prediction that is not held yields these, one message each, instead of returning."""
    logs: Sequence[str] = ()
    obeys_cancel: bool = True
    """Canceled code ends at once; otherwise it goes on until it is finished or its instance ended."""
    predict_seconds: float = 0.001


class FakeInstance:
    """A scripted `Instance`."""

    def __init__(self, engine: FakeEngine, spec: InstanceSpec, observer: InstanceObserver, model: FakeModel) -> None:
        self._engine = engine
        self._observer = observer
        self.spec = spec
        self.model = model
        self.running: dict[PredictionId, Work] = {}
        self.is_gone = False
        self.is_ready = False

    @property
    def id(self) -> InstanceId:
        """See the port."""
        return self.spec.instance_id

    def predict(self, work: Work) -> None:
        """See the port."""
        if not self.is_ready or self.is_gone or len(self.running) >= self.model.slots:
            raise PortMisused(f"instance {self.id} has no slot for prediction {work.prediction_id}")
        self.running[work.prediction_id] = work
        self._engine.started(work)
        if not self.model.is_held:
            self._later(lambda: self._play(work))

    def cancel(self, prediction_id: PredictionId) -> None:
        """See the port."""
        self._engine.canceled(prediction_id)
        if self.model.obeys_cancel:
            self._later(lambda: self.finish(prediction_id, status="canceled"))

    def discard_files(self, prediction_id: PredictionId) -> None:
        """See the port."""
        self._engine.discarded.append(prediction_id)

    async def stop(self) -> None:
        """See the port."""
        self.exit("stopped")

    # --- the script ---------------------------------------------------------------------------------------------------

    def _later(self, act: Callable[[], None]) -> None:
        asyncio.get_running_loop().call_soon(act)

    def set_up(self) -> None:
        """End setup as the model says."""
        if self.is_gone:
            return
        if self.model.setup_log:
            self._observer.setup_logged(self.id, self.model.setup_log)
        if self.model.setup_error is not None:
            self._observer.setup_failed(self.id, self.model.setup_error)
            self.exit("exit code 1")
            return
        self.is_ready = True
        self._observer.ready(self.id, self.model.slots)

    def _play(self, work: Work) -> None:
        for text in self.model.logs:
            self.log(work.prediction_id, text)
        if self.model.yields is None:
            self.finish(work.prediction_id, output=self.model.answer(work.input))
            return
        for index, value in enumerate(self.model.yields):
            self.send_output(work.prediction_id, index, value)
        self.finish(work.prediction_id, is_iterator=True)

    def log(self, prediction_id: PredictionId, text: str) -> None:
        """Write log text."""
        if prediction_id in self.running:
            self._observer.logged(self.id, Log(text, prediction_id))

    def send_output(self, prediction_id: PredictionId, index: int, value: Any, files: Sequence[OutputFile] = ()) -> None:
        """Yield a value."""
        if prediction_id in self.running:
            self._observer.output(self.id, Output(prediction_id, index, value, list(files)))

    def record_metric(self, prediction_id: PredictionId, name: str, value: Any, mode: str = "replace") -> None:
        """Record a metric."""
        if prediction_id in self.running:
            self._observer.metric(self.id, Metric(prediction_id, name, value, mode))

    def finish(self, prediction_id: PredictionId, *, status: str = "succeeded", **fields: Any) -> None:
        """End a prediction; ``fields`` are those of `Done`."""
        if self.running.pop(prediction_id, None) is not None:
            fields.setdefault("predict_seconds", self.model.predict_seconds)
            self._observer.done(self.id, Done(prediction_id, status, **fields))

    def exit(self, reason: str) -> None:
        """End the instance; what it ran gets no ``done``."""
        if not self.is_gone:
            self.is_gone = True
            self.running.clear()
            self._engine.gone(self)
            self._observer.exited(self.id, reason)


class FakeEngine:
    """A scripted `Engine`. ``models`` says how versions behave; `ANY_VERSION` is for those not named."""

    def __init__(
        self,
        models: Mapping[VersionId, FakeModel] | None = None,
        *,
        capacity: Resources | None = None,
        schema: Mapping[str, Any] | None = None,
    ) -> None:
        self.models = dict(models or {})
        self.models.setdefault(ANY_VERSION, FakeModel())
        self._capacity = capacity or Resources(cpu_slots=4, memory_bytes=64 * 1024**3, gpus=0)
        self._schema = schema or {}
        self._news = asyncio.Event()
        self.instances: dict[InstanceId, FakeInstance] = {}
        """Those that are not gone."""
        self.starts: list[VersionId] = []
        """Every instance start, by version."""
        self.runs: list[PredictionId] = []
        """Every start of a prediction's code, in order: one entry for each attempt."""
        self.works: dict[PredictionId, Work] = {}
        """The last work of each prediction."""
        self.cancels: list[PredictionId] = []
        self.discarded: list[PredictionId] = []

    # --- the port -----------------------------------------------------------------------------------------------------

    def capacity(self) -> Resources:
        """See the port."""
        return self._capacity

    async def lock_requirements(self, requirements: str, *, python_version: str, log: Callable[[str], None]) -> str:
        """See the port. Nothing is resolved."""
        log(f"nothing to resolve for Python {python_version}\n")
        return requirements

    async def describe(self, package: Package, source_dir: str, *, log: Callable[[str], None]) -> Mapping[str, Any]:
        """See the port. Answers with the document it was given."""
        if not self._schema:
            raise PackageBroken(f"no document was given for {package.runner}")
        log(f"described {package.runner} in {source_dir}\n")
        return self._schema

    async def start_instance(self, spec: InstanceSpec, observer: InstanceObserver) -> FakeInstance:
        """See the port."""
        held = [instance.spec.resources for instance in self.instances.values()]
        if sum(one.cpu_slots for one in held) + spec.resources.cpu_slots > self._capacity.cpu_slots + 1e-9:
            raise PortMisused("there is no room for another instance")
        model = self.models.get(spec.version.id, self.models[ANY_VERSION])
        instance = FakeInstance(self, spec, observer, model)
        self.instances[instance.id] = instance
        self.starts.append(spec.version.id)
        if not model.is_setup_held:
            asyncio.get_running_loop().call_soon(instance.set_up)
        return instance

    async def close(self) -> None:
        """See the port."""
        for instance in list(self.instances.values()):
            instance.exit("stopped")

    # --- what tests say and see ---------------------------------------------------------------------------------------

    def started(self, work: Work) -> None:
        """An instance took a prediction."""
        self.runs.append(work.prediction_id)
        self.works[work.prediction_id] = work
        self._changed()

    def canceled(self, prediction_id: PredictionId) -> None:
        """An instance was asked to cancel."""
        self.cancels.append(prediction_id)
        self._changed()

    def _changed(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()

    def gone(self, instance: FakeInstance) -> None:
        """An instance ended."""
        self.instances.pop(instance.id, None)

    def instance_of(self, prediction_id: PredictionId) -> FakeInstance | None:
        """The instance that runs a prediction now."""
        for instance in self.instances.values():
            if prediction_id in instance.running:
                return instance
        return None

    async def until_running(self, prediction_id: PredictionId) -> FakeInstance:
        """Wait until a prediction's code runs; returns where."""
        while (instance := self.instance_of(prediction_id)) is None:
            await self._news.wait()
        return instance

    async def until_canceled(self, prediction_id: PredictionId) -> None:
        """Wait until an instance was asked to cancel a prediction."""
        while prediction_id not in self.cancels:
            await self._news.wait()

    async def until_runs(self, count: int) -> None:
        """Wait until so many predictions were started in all."""
        while len(self.runs) < count:
            await self._news.wait()

    async def finish(self, prediction_id: PredictionId, *, status: str = "succeeded", **fields: Any) -> None:
        """Wait until a prediction's code runs, then end it."""
        (await self.until_running(prediction_id)).finish(prediction_id, status=status, **fields)
