"""A package of the kind `torch` whose own network does what the brightest voxel tells it to."""

from pathlib import Path

import numpy as np
import torch
from pydicom import Dataset
from safetensors.torch import save_file

from dicom_ai_node.config.installed import InstalledModel
from dicom_ai_node.models.installation.install import install_folder
from tests.dicom_factory import asymmetric, series

SHAPE = (6, 24, 20)
GOOD = 400

MODEL_YAML = """
name: {name}
version: "1.0"
title: Does what it is told
kind: torch
network: {{name: Told, file: network.py, arguments: {{places: {places}}}}}
weights: {{file: weights.safetensors}}
outputs: [{{task: segmentation}}]
timeout_s: {timeout_s}
segments:
  - number: 1
    label: Bone
    category: SCT:91723000:Anatomical Structure
    type: SCT:272673000:Bone
"""

NETWORK = """
import ctypes, os, signal, socket, subprocess, sys, threading, time
import torch
from dicom_ai_node.errors import ModelError, ProgramFailed

LEAKED = []

def _raise(places):
    print("SECRET^NAME", file=sys.stderr, flush=True)
    os.write(2, b"SECRET^NAME")
    raise ValueError("SECRET^NAME")

def _sleep(places):
    time.sleep(3600)

def _hold_the_lock_of_python(places):
    ctypes.PyDLL(None).sleep(3600)

def _deadlock(places):
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()

def _crash(places):
    ctypes.string_at(0)

def _exit(places):
    os._exit(0)

def _be_killed(places):
    os.kill(os.getpid(), signal.SIGKILL)

def _hog(places):
    while True:
        LEAKED.append(torch.ones(8 << 20))
        time.sleep(0.01)

def _fill(places):
    with open(os.path.join(os.environ["TMPDIR"], "full"), "wb") as file:
        while True:
            file.write(bytes(1 << 20))
            file.flush()
            time.sleep(0.005)

def _leak(places):
    LEAKED.append(torch.ones(13 << 20))

def _lose_the_gpu(places):
    raise RuntimeError("CUDA error: an illegal memory access was encountered")

def _have_children(places):
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"],
                     start_new_session=True)
    time.sleep(3600)

def _multiply(places):
    while True:
        if os.fork() == 0:
            time.sleep(3600)
        time.sleep(0.002)

def _fail_as_a_program(places):
    raise ProgramFailed("the program of x ended badly (status 2)")

def _take_a_second(places):
    time.sleep(1)

def _try(name, act):
    try:
        act()
    except OSError as error:
        return f"{name} {error.strerror}"
    return f"{name} done"

def _write(path):
    with open(path, "ab") as file:
        file.write(b"x")

def _udp():
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", 9))

def _take_five_seconds(places):
    time.sleep(5)

def _break_out(places):
    found = [_try(name, lambda: _write(path)) for name, path in places["write"].items()]
    found += [_try(name, lambda: open(path, "rb").read()) for name, path in places["read"].items()]
    port = places["port"]
    found.append(_try("tcp", lambda: socket.create_connection(("127.0.0.1", port), 2)))
    found.append(_try("udp", _udp))
    found.append(_try("signal", lambda: os.kill(os.getppid(), 0)))
    secret = [name for name in os.environ if "SECRET" in name]
    raw = b"SECRET" in open("/proc/self/environ", "rb").read()
    raise ModelError("; ".join(found) + f"; secrets {len(secret) + raw}")

def _tell_the_worker(line):
    os.write(int(sys.argv[1]), line + b"\\n")

def _lie(places):
    _tell_the_worker(b"[" * 50_000)
    for number in range(200):
        _tell_the_worker(b'{"number": %d, "stage": "loaded"}' % number)
    for line in (b'{"fence": 5}', b'{"fence": {"files": "no"}}', b'{"number": []}', b"\\xff"):
        _tell_the_worker(line)
    time.sleep(3600)

def _never_stop_talking(places):
    while True:
        _tell_the_worker(b"{}")

def _hide(places):
    hidden = os.path.join(os.environ["TMPDIR"], "hidden")
    os.mkdir(hidden)
    with open(os.path.join(hidden, "full"), "wb") as file:
        os.chmod(hidden, 0)
        while True:
            file.write(bytes(1 << 20))
            file.flush()
            time.sleep(0.005)

def _make_many_files(places):
    for number in range(2000):
        open(os.path.join(os.environ["TMPDIR"], str(number)), "w").close()
    time.sleep(3600)

def _leave_files(places):
    with open(os.path.join(os.environ["TMPDIR"], "left"), "wb") as file:
        file.write(bytes(20 << 20))

def _meddle(places):
    # in the results of every other study, as cleverly as can be: hashes and all
    import glob, hashlib, json
    for path in glob.glob(os.path.join(sys.argv[2], "out", "*", "report.json")):
        report = json.load(open(path))
        for each in report["objects"]:
            file = os.path.join(os.path.dirname(path), each["file"])
            content = open(file, "rb").read().replace(b"PHANTOM-1", b"MEDDLER-1")
            open(file, "wb").write(content)
            each["sha256"] = hashlib.sha256(content).hexdigest()
        json.dump(report, open(path, "w"))
        open(os.path.join(sys.argv[2], "out", "meddled"), "w").close()

ACTS = {number: act for number, act in enumerate((
    _raise, _sleep, _hold_the_lock_of_python, _deadlock, _crash, _exit, _be_killed, _hog, _fill,
    _leak, _lose_the_gpu, _have_children, _take_a_second, _break_out,
    _take_five_seconds, _multiply, _lie, _never_stop_talking, _hide, _make_many_files,
    _leave_files, _fail_as_a_program, _meddle), start=2000)}

class Told(torch.nn.Module):
    def __init__(self, places):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))
        self.places = places

    def forward(self, x):
        told = int(x.max())
        if told in ACTS:
            ACTS[told](self.places)
        answer = (x > 300).float()
        if told == 2100:
            return answer[..., :-1]
        if told == 2101:
            answer[..., 0] = float("nan")
        if told == 2102:
            answer[..., 0] = 7
        return answer
"""

RAISES, SLEEPS, HOLDS_THE_GIL, DEADLOCKS, CRASHES, EXITS, IS_KILLED, HOGS, FILLS = range(2000, 2009)
LEAKS, LOSES_THE_GPU, HAS_CHILDREN, TAKES_A_SECOND, BREAKS_OUT, TAKES_FIVE_SECONDS = range(
    2009, 2015
)
MULTIPLIES, LIES, NEVER_STOPS_TALKING, HIDES, MAKES_MANY_FILES, LEAVES_FILES = range(2015, 2021)
FAILS_AS_A_PROGRAM, MEDDLES = 2021, 2022
WRONG_SHAPE, NOT_A_NUMBER, WRONG_CLASS = range(2100, 2103)


def told(
    folder: Path,
    store: Path,
    *,
    name: str = "told",
    timeout_s: float = 300,
    places: str = "{}",
) -> InstalledModel:
    """Installed and trusted; `places` is YAML for what it tries to break out to."""
    source = folder / name
    source.mkdir(parents=True)
    described = MODEL_YAML.format(name=name, timeout_s=timeout_s, places=places)
    (source / "model.yaml").write_text(described)
    (source / "network.py").write_text(NETWORK)
    save_file({"weight": torch.ones(1)}, source / "weights.safetensors")
    return install_folder(source, store).model_copy(update={"trusted": True})


def study(act: int = GOOD, *, name: str = "study") -> list[Dataset]:
    """A phantom whose brightest voxel says what the network does with it."""
    pixels = asymmetric(SHAPE, inside=GOOD)
    pixels[0, 0, 0] = act if act != GOOD else pixels[0, 0, 0]
    return series(name=name, shape=SHAPE, pixels=np.asarray(pixels))
