"""What a benchmark prints beside its figures: the machine, the versions, and the table for people."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

_CPUINFO = Path("/proc/cpuinfo")


def machine() -> dict[str, str | int]:
    """Return the processor, the cores this process may use, the system and the Python that run here."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return {
        "processor": _processor(),
        "cores": cores,
        "system": f"{platform.system()} {platform.machine()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
    }


def versions(names: Iterable[str]) -> dict[str, str]:
    """Return the installed version of each distribution; those that are not installed are left out."""
    found = {}
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def table(figures: Mapping[str, Any]) -> str:
    """Return the figures as aligned lines, nested names joined with a dot."""
    lines = list(_lines(figures, ""))
    width = max((len(name) for name, _ in lines), default=0)
    return "".join(f"{name:<{width}}  {text}\n" for name, text in lines)


def _lines(figures: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    for name, value in figures.items():
        if isinstance(value, dict) and "median" in value:
            yield prefix + name, f"{value['median']:<10g} ± {value['spread']:g}"
        elif isinstance(value, dict):
            yield from _lines(value, f"{prefix}{name}.")
        else:
            yield prefix + name, f"{value:g}" if isinstance(value, float) else str(value)


def _processor() -> str:
    try:
        lines = _CPUINFO.read_text().splitlines()
    except OSError:  # not a Linux: what the platform says will do
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or "unknown"
