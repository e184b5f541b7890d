"""What the command may import, imported: for a process that others are forked from."""

from __future__ import annotations

import importlib
import pkgutil

import openai  # noqa: F401
import rich.progress
import rich.table  # noqa: F401
import scipy.stats  # noqa: F401

import supportbench

for module in pkgutil.walk_packages(supportbench.__path__, "supportbench."):
    if not module.name.startswith(("supportbench.server", "supportbench.__main__")):
        importlib.import_module(module.name)
for module in pkgutil.iter_modules():
    if module.name.startswith("supportbench_") and module.name != "supportbench_ray":  # ray does not like to be forked
        for part in pkgutil.walk_packages(importlib.import_module(module.name).__path__, f"{module.name}."):
            importlib.import_module(part.name)
