"""The environment of an attempt process: an allow-list, since secrets travel in variables."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from dicom_ai_node.durable_steps import VARIABLE

_NAMES = frozenset(
    {"PATH", "LANG", "LANGUAGE", "TZ", "LD_LIBRARY_PATH", "PYTHONHASHSEED", VARIABLE}
)
_PREFIXES = (
    *("LC_", "CUDA_", "NVIDIA_", "CUBLAS_", "CUDNN_", "NCCL_", "HIP_", "HSA_", "ROCR_"),
    *("OMP_", "KMP_", "MKL_", "OPENBLAS_", "GOMP_", "MALLOC_", "PYTORCH_", "OPENVINO_", "ORT_"),
)


def environment(device: str, *, parents: Mapping[str, str] = os.environ) -> dict[str, str]:
    """`device` is cpu or cuda:N, which becomes the only one that is to be seen."""
    made = {
        name: value
        for name, value in parents.items()
        if name in _NAMES or name.startswith(_PREFIXES)
    }
    made["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    made["PYTHONDONTWRITEBYTECODE"] = "1"
    if device == "cpu":
        made["CUDA_VISIBLE_DEVICES"] = ""
    else:
        made["CUDA_VISIBLE_DEVICES"] = _visible(device, parents.get("CUDA_VISIBLE_DEVICES"))
    return made


def cuda_devices(parents: Mapping[str, str] = os.environ, dev: Path = Path("/dev")) -> list[str]:
    """Those that are here and may be used, found without torch."""
    visible = parents.get("CUDA_VISIBLE_DEVICES")
    number = len(list(dev.glob("nvidia[0-9]*")))
    if visible is not None:
        number = min(number, len([each for each in visible.split(",") if each.strip()]))
    return [f"cuda:{index}" for index in range(number)]


def _visible(device: str, visible: str | None) -> str:
    """cuda:1 is the second of those that this process may see."""
    index = int(device.removeprefix("cuda:"))
    named = [each.strip() for each in (visible or "").split(",") if each.strip()]
    return named[index] if index < len(named) else str(index)


def scratch_variables(scratch: Path) -> dict[str, str]:
    """Temporary files, and the caches that libraries keep below HOME."""
    return dict.fromkeys(("HOME", "TMPDIR", "XDG_CACHE_HOME"), str(scratch))
