"""Taichi's runtime in one process: started late, shared by threads, refused where it would hang."""

import subprocess
import sys
import threading

import pytest
import torch

import taichi_bokeh as tb
from taichi_bokeh import _runtime
from tests.scenes import leaves, random_layers


def script(code: str) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


RENDER = """
import torch, taichi_bokeh as tb
ones = torch.ones(1, 1, 1, 6, 7)
def picture():
    return tb.render(tb.Layers(torch.ones(1, 1, 3, 6, 7), ones, 0.5 * ones), tb.ThinLens(4.0, 0.1), "scatter")
"""


def test_rendering_does_not_import_the_compiler_of_torch():
    """It takes most of a second."""
    assert "False" in script(RENDER + "import sys; picture(); print('torch._dynamo' in sys.modules)")


def test_importing_starts_no_runtime_and_rendering_prints_nothing():
    out = script(
        "import taichi_bokeh; from taichi_bokeh._runtime import ti; "
        "print(ti.lang.impl.get_runtime().prog is None)" + RENDER + "\npicture()"
    )
    assert out.strip() == "True"


def test_threads_render_and_differentiate_at_the_same_time():
    layers = random_layers()
    inputs = leaves(layers)
    expected = torch.autograd.grad(tb.render(tb.Layers(*inputs), tb.ThinLens(6.0, 0.5), "scatter").sum(), inputs)
    failures: list[object] = []

    def work() -> None:
        try:
            for _ in range(4):
                mine = leaves(layers)
                tb.render(tb.Layers(*mine), tb.ThinLens(6.0, 0.5), "scatter").sum().backward()
                failures.extend(t for t, e in zip(mine, expected, strict=True) if not torch.equal(t.grad, e))
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_first_launch_may_come_from_any_thread():
    out = script(
        RENDER + "import threading\nt = threading.Thread(target=picture); t.start(); t.join()\nprint(float(picture().mean()))"
    )
    assert float(out) == pytest.approx(1, abs=1e-5)


def test_a_forked_child_is_told_so_instead_of_hanging():
    out = script(
        RENDER
        + """
import os, sys
picture()
pid = os.fork()
if pid == 0:
    try:
        picture()
    except RuntimeError as error:
        sys.stdout.write(str(error)); sys.stdout.flush()
    os._exit(0)
os.waitpid(pid, 0)
"""
    )
    assert "forked" in out
    assert "spawn" in out


FORKED = """
import os, signal, sys
pid = os.fork()
if pid == 0:
    signal.alarm(20)  # ends a child that hangs
    try:
        print(float(picture().mean()))
    except RuntimeError as error:
        print(error)
    sys.stdout.flush()
    os._exit(0)
os.waitpid(pid, 0)
"""


@pytest.mark.slow
def test_a_forked_child_is_told_so_where_the_user_started_taichi():
    assert "persistent_workers=True" in script("import taichi as ti; ti.init(ti.cpu, log_level=ti.ERROR)" + RENDER + FORKED)


@pytest.mark.slow
def test_a_child_that_is_forked_while_another_thread_launches_does_not_wait_for_it():
    hold = """
import threading
from taichi_bokeh import _runtime
held, done = threading.Event(), threading.Event()
def hold():
    with _runtime._lock:
        held.set()
        done.wait()
thread = threading.Thread(target=hold); thread.start(); held.wait()
"""
    out = script(RENDER + hold + FORKED + "done.set(); thread.join()")
    assert float(out.split()[-1]) == pytest.approx(1, abs=1e-5)


def test_a_runtime_that_the_user_started_is_used():
    settings = "arch=ti.cpu, default_fp=ti.f64, fast_math=False, log_level=ti.ERROR"
    out = script(f"import taichi as ti; ti.init({settings})" + RENDER + "\nprint(float(picture().mean()))")
    assert float(out.split()[-1]) == pytest.approx(1, abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("blur", "aperture"),
    [(15.0, ""), (60.0, ""), (60.0, "blades=6, roundness=0.0"), (20.0, "cat_eye=0.5")],
    ids=["gather", "rows", "rows of a hexagon", "direct"],
)
def test_thread_count_changes_no_bit(blur, aperture):
    code = f"""
import hashlib, torch
torch.manual_seed(0)
inputs = [torch.rand(1, 2, c, 70, 50).requires_grad_() for c in (3, 1, 1)]
blur = torch.tensor({blur}, requires_grad=True)
picture = tb.render(tb.Layers(*inputs), tb.ThinLens(blur, 0.5, tb.Aperture({aperture})), "scatter")
results = [picture, *torch.autograd.grad(picture.square().sum(), (*inputs, blur))]
print(hashlib.sha256(b"".join(t.detach().numpy().tobytes() for t in results)).hexdigest())
"""
    start = "import taichi as ti; ti.init(arch=ti.cpu, log_level=ti.ERROR, cpu_max_num_threads={})"
    hashes = [script(start.format(count) + RENDER + code).split()[-1] for count in (1, 2)]
    assert hashes[0] == hashes[1]


def test_a_runtime_for_another_device_is_an_error():
    out = script(
        RENDER
        + """
from taichi_bokeh._runtime import ti
picture()
ti.lang.impl.current_cfg().arch = ti.vulkan
try:
    picture()
except RuntimeError as error:
    print(error)
"""
    )
    assert "arch vulkan" in out
    assert "arch=ti.cpu" in out


def test_a_second_gpu_is_refused_by_name():
    with pytest.raises(RuntimeError, match="cuda:1"):
        _runtime._start(torch.device("cuda:1"))


@pytest.mark.slow
def test_no_kernel_reads_or_writes_out_of_range():
    """Taichi's debug mode checks every index."""
    script(
        "import taichi as ti; ti.init(arch=ti.cpu, debug=True, log_level=ti.ERROR)\n"
        "import torch, taichi_bokeh as tb\n"
        "from itertools import product\n"
        "for (model, profile), (h, w), blur in product([('scatter', 'disc'), ('scatter-official', None)], "
        "[(1, 1), (5, 19), (18, 3)], (0.0, 9.0)):\n"
        "    inputs = [torch.rand(1, 2, c, h, w).requires_grad_() for c in (3, 1, 1)]\n"
        "    lens = tb.ThinLens(blur, 0.5)\n"
        "    tb.render(tb.Layers(*inputs), lens, model=model, profile=profile).sum().backward()\n"
        "    tb.render(tb.Layers(*inputs), lens, model=model, profile=profile, max_radius=3).sum().backward()\n"
    )
    script(
        "import taichi as ti; ti.init(arch=ti.cpu, debug=True, log_level=ti.ERROR)\n"
        "import torch, taichi_bokeh as tb\n"
        "hexagon, lemon = tb.Aperture(blades=6, roundness=0.0), tb.Aperture(cat_eye=0.5)\n"
        "for (h, w), (aperture, algorithm) in [((1, 1), (tb.Aperture(), 'fast')), ((5, 70), (tb.Aperture(), 'fast')), "
        "((7, 3), (hexagon, 'fast')), ((3, 5), (lemon, 'exact'))]:\n"
        "    inputs = [torch.rand(1, 2, c, h, w).requires_grad_() for c in (3, 1, 1)]\n"
        "    inputs[2].data[..., 0, 0] = 0.5\n"
        "    lens = tb.ThinLens(20.0, 0.5, aperture)\n"
        "    tb.render(tb.Layers(*inputs), lens, 'scatter', algorithm=algorithm).sum().backward()\n"
    )
