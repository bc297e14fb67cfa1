"""Names of a package that are imported on first use."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from types import ModuleType
from typing import Any


def lazy(
    package: str, names: Mapping[str, Sequence[str]], load: Callable[[str], ModuleType] = import_module
) -> Callable[[str], Any]:
    """Return the `__getattr__` of a package.

    Args:
        package: Its name.
        names: What each of its modules has, by the module's name in the package.
        load: Imports a module by its full name.
    """
    home = {name: module for module, several in names.items() for name in several}

    def find(name: str) -> Any:
        if name not in home:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(load(f"{package}.{home[name]}"), name)

    return find
