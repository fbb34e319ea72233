"""What the measurements were made on; no names, addresses or paths."""

import os
import platform
from importlib.metadata import version
from pathlib import Path

import torch
from threadpoolctl import threadpool_info

import skactprune

PACKAGES = ("numpy", "scipy", "scikit-learn", "torch", "skorch", "onnxruntime")


def facts():
    """Processor, libraries and versions for JSON, with the threads limited as in measurements."""
    pools = {
        f"{pool['internal_api']} {pool.get('version') or ''}".strip(): {
            "threads": pool["num_threads"],
            "kernels": pool.get("architecture"),
        }
        for pool in threadpool_info()
    }
    versions = {name: version(name) for name in PACKAGES}
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "system": platform.system(),
        "python": platform.python_version(),
        "versions": versions | {"skactprune": skactprune.__version__},
        "torch kernels": torch.backends.cpu.get_cpu_capability(),
        "torch threads": torch.get_num_threads(),
        "pools": pools,
    }


def _processor():
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
