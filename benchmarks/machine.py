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
    """Processor, libraries and versions, a dict for JSON.

    To be called with the threads limited as in the measurements.
    """
    pools = {
        f"{pool['internal_api']} {pool.get('version') or ''}".strip(): {
            "threads": pool["num_threads"],
            "kernels": pool.get("architecture"),
        }
        for pool in threadpool_info()
    }
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "system": platform.system(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in PACKAGES}
        | {"skactprune": skactprune.__version__},
        "torch kernels": torch.backends.cpu.get_cpu_capability(),
        "torch threads": torch.get_num_threads(),
        "pools": pools,
    }


def _processor():
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")),
        platform.machine(),
    )
