"""A network in memory that is slow, loses, stalls, breaks and is cut off as seeds draw it, in the time of a `SimLoop`.

A connection is a pair of streams of messages, in order. What happens to each message is drawn from the randomness of
its link, so that one seed gives the same again and faults of one link do not move those of another.
"""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final, Literal, TypeAlias

import anyio
import anyio.lowlevel
import attrs
from anyio.abc import ObjectStream

from market_data_pipeline.contracts.budget import SECOND_NS
from market_data_pipeline.testing.simloop import SimLoop

Handler: TypeAlias = Callable[["SimStream"], Awaitable[None]]
"""Serves one connection."""

_RESET: Final = object()
_END: Final = object()


@attrs.frozen(kw_only=True)
class LinkFaults:
    """How a link is. Shares are of 1, drawn for each message on its own, and for `refuse` for each connection."""

    delay_sec: tuple[float, float] = (0.01, 0.018)
    """The least and the most that each way takes. Messages of one direction do not overtake each other."""
    refuse: float = 0.0
    """Connections that are refused."""
    loss: float = 0.0
    """Messages that do not arrive, though later ones do."""
    stall: float = 0.0
    """Messages that do not arrive, nor does anything later in that direction: the sender is not told."""
    reset: float = 0.0
    """Messages in whose place both ends find the connection broken."""


class SimNet:
    """The links of one simulation, each to one host.

    Args:
        loop: The simulation.
        seed: Of all that is drawn.
    """

    def __init__(self, loop: SimLoop, *, seed: int = 0) -> None:
        self._loop = loop
        self._seed = seed
        self._links: dict[str, SimLink] = {}

    def link(self, host: str) -> SimLink:
        """Return the link to a host, the same each time; a new one has no faults."""
        if host not in self._links:
            chance = random.Random(f"{self._seed}/{host}")  # noqa: S311 (a test's, no secret)
            self._links[host] = SimLink(self._loop, host, chance)
        return self._links[host]


class SimLink:
    """The way to one host and back.

    Attributes:
        faults: How it is; may be set to others at any time.
        happened: How often each fault was, by name and way, such as "reset out" and "stall back", "refuse" and "cut".
    """

    def __init__(self, loop: SimLoop, host: str, chance: random.Random) -> None:
        self.faults: LinkFaults = LinkFaults()
        self.happened: Counter[str] = Counter()
        self._loop = loop
        self._host = host
        self._chance = chance
        self._is_cut = False
        self._accept: Callable[[SimStream], object] | None = None
        self._streams: dict[SimStream, None] = {}  # a set has no order that a second run shares

    async def connect(self) -> SimStream:
        """Return a new connection, after one way there and one back; while the link is cut there is no answer.

        Raises:
            ConnectionRefusedError: Nobody serves, or so it was drawn.
        """
        await self._travel()
        accept = self._accept
        if accept is None or self._chance.random() < self.faults.refuse:
            self.happened["refuse"] += 1
            await self._travel()
            raise ConnectionRefusedError(f"{self._host} refuses the connection")
        out, back = (_Way(self._loop, self._fault, self._delay, name) for name in ("out", "back"))
        near, far = SimStream(back, out), SimStream(out, back)
        out.other, back.other = back, out
        self._streams = {stream: None for stream in self._streams if not stream.is_over} | {near: None, far: None}
        accept(far)
        try:
            await self._travel()
        except BaseException:
            near.abort()
            raise
        return near

    async def request(self, message: Any) -> Any:
        """Ask by a connection of its own; whoever is cancelled closes it.

        Returns:
            The answer. If it is an exception, that is raised here.

        Raises:
            ConnectionRefusedError: Nobody serves, or so it was drawn.
            ConnectionResetError: The connection breaks.
        """
        try:
            async with await self.connect() as stream:
                await stream.send(message)
                answer = await stream.receive()
        except (anyio.BrokenResourceError, anyio.EndOfStream) as error:
            raise ConnectionResetError(f"{self._host} has closed the connection") from error
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def serve(self, handler: Handler) -> None:
        """Be the host: run the handler with each connection, in a task of its own, until this is cancelled.

        A connection is closed when its handler returns, or when it finds that the other end has gone.
        """
        async with anyio.create_task_group() as tasks:
            self._accept = lambda stream: tasks.start_soon(_handle, handler, stream)
            try:
                await anyio.sleep_forever()
            finally:
                self._accept = None

    async def serve_requests(self, answer: Callable[[Any], Awaitable[Any]]) -> None:
        """Be the host: answer what `request` asks, until this is cancelled.

        What the function returns or raises is the answer; it is cancelled when the host learns that nobody waits.
        """
        await self.serve(partial(_answer, answer))

    def cut(self) -> None:
        """Cut the link: from now on nothing arrives, and nobody is told. Its connections never recover."""
        self.happened["cut"] += 1
        self._is_cut = True
        for stream in self._streams:
            stream.silence()

    def heal(self) -> None:
        """Let new connections through again."""
        self._is_cut = False

    def _fault(self, way: str) -> str:
        """Draw what happens to a message that goes that way; "": nothing."""
        drawn = self._chance.random()
        for name in ("loss", "stall", "reset"):
            drawn -= getattr(self.faults, name)
            if drawn < 0:
                self.happened[f"{name} {way}"] += 1
                return name
        return ""

    def _delay(self) -> int:
        return round(self._chance.uniform(*self.faults.delay_sec) * SECOND_NS)

    async def _travel(self) -> None:
        await self._loop.sleep_until(self._loop.monotonic_ns() + self._delay())
        if self._is_cut:
            await anyio.sleep_forever()


class _Way:
    """One direction of a connection."""

    other: _Way
    """The other direction."""

    def __init__(self, loop: SimLoop, fault: Callable[[str], str], delay: Callable[[], int], name: str) -> None:
        self._loop = loop
        self._fault = fault
        self._delay = delay
        self._name = name
        self._flying: deque[Any] = deque()
        self._due = 0  # when the last of what flies arrives
        self.arrived: deque[Any] = deque()
        self.state: Literal["open", "ended", "broken"] = "open"
        """What the receiver finds behind what has arrived."""
        self.is_heard: bool = True
        """Whether the receiver has not closed its end."""
        self.is_silent: bool = False
        """Nothing arrives any more."""
        self.changed: anyio.Event = anyio.Event()

    def post(self, item: Any, *, faults: bool = False) -> None:
        """Send something, behind all that was sent before."""
        fault = self._fault(self._name) if faults else ""
        if fault == "stall":
            self.is_silent = True
        if self.is_silent or fault == "loss":
            return
        self._flying.append(_RESET if fault == "reset" else item)
        self._due = max(self._due, self._loop.monotonic_ns() + self._delay())
        self._loop.call_at(self._due / 1e9, self._arrive)

    def silence(self) -> None:
        """Lose what is on its way, and all that is sent from now on."""
        self.is_silent = True
        self._flying.clear()

    def end(self, state: Literal["ended", "broken"]) -> None:
        """Let nothing come behind what has arrived; where it is broken, that is lost too."""
        self.state = state
        if state == "broken":
            self.silence()
            self.arrived.clear()
        self.wake()

    def wake(self) -> None:
        """Let who receives look again."""
        self.changed.set()
        self.changed = anyio.Event()

    def _arrive(self) -> None:
        """Take the first of what is on its way: which callback it was for does not matter."""
        if not self._flying:
            return  # it has fallen silent
        item = self._flying.popleft()
        if item is _END:
            self.end("ended")
        elif item is _RESET or not self.is_heard:
            self.end("broken")
            self.other.end("broken")
        else:
            self.arrived.append(item)
            self.wake()


class SimStream(ObjectStream[Any]):
    """One end of a connection: an anyio stream of messages, whatever these are. `SimLink.connect` makes it."""

    def __init__(self, inward: _Way, outward: _Way) -> None:
        self._inward = inward
        self._outward = outward
        self._finished = False

    @property
    def is_over(self) -> bool:
        """Whether it was closed or is broken."""
        return not self._inward.is_heard or self._inward.state == "broken"

    async def send(self, item: Any) -> None:
        """Send a message; there is no limit to what may be on its way.

        Raises:
            ClosedResourceError: This end was closed, or has said that it is done.
            BrokenResourceError: The connection is broken.
        """
        await anyio.lowlevel.checkpoint()
        if self._finished:
            raise anyio.ClosedResourceError
        if self._inward.state == "broken":
            raise anyio.BrokenResourceError
        self._outward.post(item, faults=True)

    async def receive(self) -> Any:
        """Return the next message; who is cancelled has taken none.

        Raises:
            ClosedResourceError: This end was closed.
            BrokenResourceError: The connection is broken.
            EndOfStream: The other end is done.
        """
        await anyio.lowlevel.checkpoint()
        way = self._inward
        while True:
            if not way.is_heard:
                raise anyio.ClosedResourceError
            if way.arrived:
                return way.arrived.popleft()
            if way.state != "open":
                raise anyio.EndOfStream if way.state == "ended" else anyio.BrokenResourceError
            await way.changed.wait()

    async def send_eof(self) -> None:
        """Say that this end is done: a half-close. It still receives."""
        self._finish()
        await anyio.lowlevel.checkpoint()

    async def aclose(self) -> None:
        """Close this end; what was sent before still arrives. Idempotent."""
        self._finish()
        self._leave()
        await anyio.lowlevel.checkpoint()

    def abort(self) -> None:
        """Break the connection, unless it is closed: the other end finds it broken when it learns of that."""
        if self._inward.is_heard:
            self._outward.post(_RESET)
            self._finished = True
            self._leave()

    def silence(self) -> None:
        """Let nothing arrive any more, in either direction; nobody is told."""
        self._inward.silence()
        self._outward.silence()

    def _finish(self) -> None:
        if not self._finished:
            self._finished = True
            self._outward.post(_END)

    def _leave(self) -> None:
        self._inward.is_heard = False
        self._inward.wake()


async def _handle(handler: Handler, stream: SimStream) -> None:
    """Serve one connection."""
    async with stream:
        try:
            await handler(stream)
        except (anyio.BrokenResourceError, anyio.EndOfStream):
            return  # the other end has gone


async def _answer(answer: Callable[[Any], Awaitable[Any]], stream: SimStream) -> None:
    """Answer one request."""
    message = await stream.receive()
    answers: list[Any] = []
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_watch, stream, tasks.cancel_scope)
        try:
            answers.append(await answer(message))
        except Exception as error:  # noqa: BLE001 (it is for whoever asked)
            answers.append(error)
        tasks.cancel_scope.cancel()
    for each in answers:
        await stream.send(each)


async def _watch(stream: SimStream, work: anyio.CancelScope) -> None:
    """Let nobody work on for who has gone."""
    try:
        await stream.receive()
    except (anyio.BrokenResourceError, anyio.EndOfStream):
        work.cancel()
