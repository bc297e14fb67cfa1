"""What the code of the core and of the plugins must not contain, read from its syntax tree."""

import ast
from pathlib import Path
from textwrap import dedent

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted([*ROOT.glob("src/**/*.py"), *ROOT.glob("plugins/*/src/**/*.py")])

CLOCK = {
    *(f"time.{name}" for name in ("time", "monotonic", "perf_counter", "process_time", "sleep", "localtime", "gmtime")),
    *(f"time.{name}_ns" for name in ("time", "monotonic", "perf_counter", "process_time")),
    *(f"datetime.datetime.{name}" for name in ("now", "utcnow", "today")),
    "datetime.date.today",
}
RANDOM = {"os.urandom", "uuid.uuid1", "uuid.uuid4"}
SEEDED = {"random.Random", "numpy.random.Generator", "numpy.random.Philox", "numpy.random.PCG64"}
CODE = {"pickle", "cPickle", "marshal", "shelve", "dill", "cloudpickle"}
TASKS = {"asyncio.create_task", "asyncio.ensure_future"}
SCOPES = {"CancelScope", "move_on_after", "move_on_at", "fail_after", "fail_at", "timeout", "timeout_at"}
GROUPS = {"create_task_group", "TaskGroup", "open_nursery"}

KIT = "src/market_data_pipeline/testing/conformance"
ALLOWED = {
    ("src/market_data_pipeline/clock.py", "clock", "time.time_ns"): "the injected clock itself",
    ("src/market_data_pipeline/clock.py", "clock", "time.monotonic_ns"): "the injected clock itself",
    ("src/market_data_pipeline/plugins/host.py", "clock", "time.perf_counter_ns"): "the default of the injected timer",
    ("src/market_data_pipeline/orchestration/sync.py", "cancel", "answer.cancel"): "a future of a thread, no task",
    ("src/market_data_pipeline/plugins/events.py", "cancel", "call.cancel"): "a future of a thread, no task",
    ("src/market_data_pipeline/pacing/dispatcher.py", "cancel", "waiter.alarm.cancel"): "a timer of the loop, no task",
    ("src/market_data_pipeline/pacing/dispatcher.py", "cancel", "self._timer.cancel"): "a timer of the loop, no task",
    ("src/market_data_pipeline/source/guard.py", "create_task", "asyncio.create_task"): "foreign code that may hang",
    ("src/market_data_pipeline/source/guard.py", "cancel", "task.cancel"): "a scope would make what ignores it spin",
    (f"{KIT}/lifecycle.py", "create_task", "asyncio.create_task"): "a consumer that is cancelled natively, on purpose",
    (f"{KIT}/lifecycle.py", "cancel", "task.cancel"): "the same",
    (f"{KIT}/lifecycle.py", "cancel", "reader.cancel"): "foreign code that may hang",
    (f"{KIT}/running.py", "create_task", "asyncio.create_task"): "foreign code that may hang",
    (f"{KIT}/running.py", "cancel", "task.cancel"): "foreign code that may hang",
    (f"{KIT}/steps.py", "clock", "time.perf_counter_ns"): "the default of the injected timer",
    (f"{KIT}/steps.py", "create_task", "loop.create_task"): "the task whose steps are timed",
    ("src/market_data_pipeline/runners/supervisor.py", "create_task", "asyncio.create_task"): "the supervisor",
}
"""File, rule and what stands there, with the reason."""


def dotted(node):
    """Return "self._scope" for such an expression, or "" for any that is no chain of names."""
    if isinstance(node, ast.Name):
        return node.id
    head = dotted(node.value) if isinstance(node, ast.Attribute) else ""
    return f"{head}.{node.attr}" if head else ""


def last(node):
    """Return the last name of a chain, of a call's function, or of an annotation such as `CancelScope | None`."""
    if isinstance(node, ast.Call):
        return last(node.func)
    if isinstance(node, ast.BinOp):
        return last(node.left)
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def own_yields(node):
    """Yield the yields below a node, those of functions defined inside left out."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Yield | ast.YieldFrom):
            yield child
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from own_yields(child)


class Finder(ast.NodeVisitor):
    """Collects (line, rule, what stands there)."""

    def __init__(self, tree):
        self.found = []
        self.imported = {}
        self.scopes, self.groups = set(), set()
        for node in ast.walk(tree):
            self.learn(node)
        self.visit(tree)

    def learn(self, node):
        """Remember what imported names stand for, and which names are cancel scopes and task groups."""
        if isinstance(node, ast.Import):
            self.imported |= {item.asname: item.name for item in node.names if item.asname}
        elif isinstance(node, ast.ImportFrom):
            self.imported |= {item.asname or item.name: f"{node.module}.{item.name}" for item in node.names}
        elif isinstance(node, ast.withitem) and node.optional_vars is not None:
            if last(node.context_expr) in SCOPES:
                self.scopes.add(dotted(node.optional_vars))
            elif last(node.context_expr) in GROUPS:
                self.groups.add(dotted(node.optional_vars))
        elif isinstance(node, ast.AnnAssign) and last(node.annotation) in SCOPES:
            self.scopes.add(dotted(node.target))
        elif isinstance(node, ast.arg) and node.annotation is not None and last(node.annotation) in SCOPES:
            self.scopes.add(node.arg)
        elif isinstance(node, ast.Assign) and last(node.value) in SCOPES:
            self.scopes |= {dotted(target) for target in node.targets}

    def full(self, node):
        """Return the dotted name of an expression with imports resolved."""
        head, dot, rest = dotted(node).partition(".")
        return f"{self.imported.get(head, head)}{dot}{rest}"

    def report(self, node, rule, what):
        self.found.append((node.lineno, rule, what))

    def visit_Import(self, node):
        for item in node.names:
            self.judge(node, item.name)

    def visit_ImportFrom(self, node):
        for item in node.names:
            self.judge(node, f"{node.module}.{item.name}")

    def visit_Attribute(self, node):
        if not self.judge(node, self.full(node)):
            self.generic_visit(node)

    def judge(self, node, name):
        """Report a name that is banned wherever it stands."""
        rule = ""
        if name in CLOCK:
            rule = "clock"
        elif name in RANDOM or (name.startswith(("random.", "secrets.", "numpy.random.")) and name not in SEEDED):
            rule = "random"
        elif name == "asyncio.wait_for":
            rule = "wait_for"
        elif name in TASKS:
            rule = "create_task"
        elif name.partition(".")[0] in CODE or name == "yaml.load":
            rule = "code"
        if rule:
            self.report(node, rule, name)
        return rule

    def visit_Call(self, node):
        function, name = node.func, last(node.func)
        if isinstance(function, ast.Name) and name in {"eval", "exec"}:
            self.report(node, "code", name)
        if any(word.arg == "allow_pickle" for word in node.keywords):
            self.report(node, "code", "allow_pickle")
        if isinstance(function, ast.Attribute):
            owner = dotted(function.value)
            if name == "cancel" and last(function.value) != "cancel_scope" and owner not in self.scopes:
                self.report(node, "cancel", f"{owner}.cancel")
            if name == "create_task" and self.full(function) not in TASKS and owner not in self.groups:
                self.report(node, "create_task", f"{owner}.create_task")
        self.generic_visit(node)

    def visit_AsyncFunctionDef(self, node):
        # A context manager may yield inside a scope; an async generator may not (PEP 789).
        if "asynccontextmanager" not in {last(decorator) for decorator in node.decorator_list}:
            self.check_yields(node)
        self.generic_visit(node)

    def check_yields(self, node):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
                continue
            if isinstance(child, ast.With | ast.AsyncWith) and any(map(self.is_scope, child.items)):
                for found in own_yields(child):
                    self.report(found, "yield", last(child.items[0].context_expr))
            else:
                self.check_yields(child)

    def is_scope(self, item):
        return last(item.context_expr) in SCOPES | GROUPS or dotted(item.context_expr) in self.scopes | self.groups


def find(text):
    return Finder(ast.parse(text)).found


def test_there_is_something_to_read():
    assert {path.name for path in FILES} > {"clock.py", "channel.py", "plugin.py"}


def test_the_code_keeps_the_rules():
    """G-1, G-2, API-12."""
    found = [
        (path.relative_to(ROOT).as_posix(), line, rule, what)
        for path in FILES
        for line, rule, what in find(path.read_text("utf-8"))
    ]
    assert [
        f"{path}:{line}: {rule}: {what}" for path, line, rule, what in found if (path, rule, what) not in ALLOWED
    ] == []
    assert {(path, rule, what) for path, _, rule, what in found} == ALLOWED.keys()


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("import time\ntime.time()", ["clock time.time"]),
        ("import time as t\nt.monotonic()", ["clock time.monotonic"]),
        ("from time import perf_counter as now\nnow()", ["clock time.perf_counter"]),
        ("import time\ndef f(timer=time.time_ns): ...", ["clock time.time_ns"]),
        ("import datetime\ndatetime.datetime.now(datetime.UTC)", ["clock datetime.datetime.now"]),
        ("from datetime import datetime, date\ndatetime.utcnow(); date.today()", ["clock datetime.datetime.utcnow"]),
        ("import time\ntime.sleep(1)", ["clock time.sleep"]),
        ("import random\nrandom.shuffle(x)", ["random random.shuffle"]),
        ("from random import choice", ["random random.choice"]),
        ("import numpy as np\nnp.random.default_rng()", ["random numpy.random.default_rng"]),
        ("import os\nos.urandom(8)", ["random os.urandom"]),
        ("import asyncio\nawait asyncio.wait_for(f(), 1)", ["wait_for asyncio.wait_for"]),
        ("from asyncio import wait_for", ["wait_for asyncio.wait_for"]),
        ("task.cancel()", ["cancel task.cancel"]),
        ("self._tasks[0].cancel()", ["cancel .cancel"]),
        ("import asyncio\nasyncio.current_task().cancel()", ["cancel .cancel"]),
        ("import asyncio\nasyncio.create_task(f())", ["create_task asyncio.create_task"]),
        ("import asyncio\nasyncio.ensure_future(f())", ["create_task asyncio.ensure_future"]),
        ("import asyncio\nasyncio.get_running_loop().create_task(f())", ["create_task .create_task"]),
        ("self.loop.create_task(f())", ["create_task self.loop.create_task"]),
        ("import pickle", ["code pickle"]),
        ("from marshal import loads", ["code marshal.loads"]),
        ("eval('1'); exec('1')", ["code eval", "code exec"]),
        ("import yaml\nyaml.load(x)", ["code yaml.load"]),
        ("import numpy as np\nnp.load(x, allow_pickle=True)", ["code allow_pickle"]),
    ],
)
def test_a_planted_violation_is_found(code, found):
    assert [f"{rule} {what}" for _, rule, what in find(code)][: len(found)] == found


@pytest.mark.parametrize(
    ("opening", "scope"),
    [
        ("async with anyio.create_task_group() as tasks:", "create_task_group"),
        ("async with asyncio.TaskGroup() as tasks:", "TaskGroup"),
        ("async with asyncio.timeout(1):", "timeout"),
        ("with anyio.CancelScope(shield=True):", "CancelScope"),
        ("with anyio.move_on_after(1) as scope:", "move_on_after"),
        ("with open(path), anyio.fail_after(1):", "open"),
    ],
)
@pytest.mark.parametrize(
    "body", ["yield 1", "for x in y:\n            yield x", "try:\n            yield\n        finally: ..."]
)
def test_a_planted_yield_inside_a_scope_is_found(opening, scope, body):
    """G-2."""
    code = f"async def rows():\n    if ready:\n        pass\n    {opening}\n        {body}\n"
    assert [(rule, what) for _, rule, what in find(code)] == [("yield", scope)]


def test_a_planted_yield_inside_a_kept_scope_is_found():
    """G-2."""
    code = "async def rows(self):\n    self._s = CancelScope()\n    with self._s:\n        yield 1\n"
    assert [(rule, what) for _, rule, what in find(code)] == [("yield", "_s")]


@pytest.mark.parametrize(
    "code",
    [
        "import random\ngenerator = random.Random(7)\ngenerator.shuffle(x)",
        "from datetime import datetime\ndatetime.fromisoformat(x)",
        "from time import struct_time",
        "with anyio.move_on_after(1) as scope:\n    scope.cancel()",
        "self._nap: anyio.CancelScope | None = None\nself._nap.cancel()",
        "self._scope = anyio.CancelScope()\nself._scope.cancel()",
        "tasks.cancel_scope.cancel()",
        "def stop(scope: anyio.CancelScope):\n    scope.cancel()",
        "async def f():\n    async with asyncio.TaskGroup() as tasks:\n        tasks.create_task(g())",
        "self.services.random.shuffle(x); self.clock.time_ns()",
        """
        async def rows():
            with anyio.CancelScope() as nap:
                await wait()
            yield 1
        """,
        """
        async def rows():
            async with aclosing(source) as stream:
                async for row in stream:
                    yield row
        """,
        """
        async def work():
            async with anyio.create_task_group() as tasks:
                def numbers():
                    yield 1
        """,
        """
        @asynccontextmanager
        async def opened():
            async with anyio.create_task_group() as tasks:
                yield tasks
        """,
    ],
)
def test_what_is_allowed_is_not_found(code):
    assert find(dedent(code)) == []
