"""The tutorial that makes a provider, followed to the letter in an empty folder, with the vendor that it has."""

import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = [pytest.mark.isolation, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "tutorial" / "your-first-provider.md").read_text(encoding="utf-8")
PORT = "7007"
MOST_LINES = 150


def fences():
    """Language, title and text of each fence, in order."""
    return re.findall(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', PAGE, re.MULTILINE | re.DOTALL)


def free_port():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return str(server.getsockname()[1])


class Reader:
    """Does what the page says."""

    def __init__(self, folder, port):
        self.folder, self.port = folder, port
        self.environ = os.environ | {"PIP_CONSTRAINT": str(ROOT / "constraints.txt")}
        self.printed = []
        self.vendor = None

    def save(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace(PORT, self.port), encoding="utf-8")

    def type(self, line):
        if line.endswith("vendor.py"):
            self.vendor = subprocess.Popen([sys.executable, "vendor.py"], cwd=self.folder)
            self.wait_for_vendor()
        elif line.startswith("export "):
            name, _, value = line.removeprefix("export ").partition("=")
            self.environ[name] = value
        else:
            done = subprocess.run(
                line.replace("CLONE", str(ROOT)),
                shell=True,
                cwd=self.folder,
                env=self.environ,
                capture_output=True,
                encoding="utf-8",
                check=False,
            )
            assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
            self.printed.append(done.stdout)

    def wait_for_vendor(self):
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with socket.socket() as client:
                if client.connect_ex(("127.0.0.1", int(self.port))) == 0:
                    return
        raise AssertionError("the vendor does not listen")


@pytest.fixture
def reader(tmp_path):
    reader = Reader(tmp_path, free_port())
    yield reader
    if reader.vendor is not None:
        reader.vendor.terminate()
        reader.vendor.wait(10)


def test_who_follows_the_page_gets_what_it_shows(reader):
    for language, title, text in fences():
        if title:
            reader.save(title, text)
        elif language == "sh":
            for line in text.splitlines():
                reader.type(line)
        else:
            assert text in reader.printed
    assert any(re.search(r"^\d+ passed", printed, re.MULTILINE) for printed in reader.printed)


def test_the_provider_is_short():
    own = [text for _, title, text in fences() if title.startswith("src/")]
    assert len(own) == 4
    assert sum(text.count("\n") for text in own) <= MOST_LINES
