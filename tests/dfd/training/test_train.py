"""Training: it learns, goes on where it stopped, is the same with more processes, and refuses in one line what it cannot do."""

import json
import math
import os
import socket
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.utils.data import Subset

from taichi_bokeh.dfd.layers.base import DefocusLayer, RenderedDefocus
from taichi_bokeh.dfd.layers.planes import CompositionalPlanes
from taichi_bokeh.dfd.layers.registry import layer_named
from taichi_bokeh.dfd.losses import Objective, to_gamma
from taichi_bokeh.dfd.observation import collate
from taichi_bokeh.dfd.training.checkpoint import load_weights
from taichi_bokeh.dfd.training.distributed import _meet_on_the_loopback, one_gpu_a_process
from taichi_bokeh.dfd.training.log import TrainLog, TrainStep
from taichi_bokeh.dfd.training.losses import plane_loss
from taichi_bokeh.dfd.training.network import DepthUNet
from taichi_bokeh.dfd.training.settings import TrainSettings, Work
from taichi_bokeh.dfd.training.train import train, validation_rmse
from taichi_bokeh.models import Scatter, SubAperture
from tests.dfd.pairs import Pairs, Tiny, make_pair, tiny

SETTINGS = TrainSettings(steps=7, batch=2, crop_px=24, learning_rate=1e-2, border_px=4)
DATA = Pairs()


class StopTraining(Exception):
    """Something from outside."""


def stop_after(step: int):
    def on_step(report: TrainStep) -> None:
        if report.step == step:
            raise StopTraining

    return on_step


def assert_equal_weights(network: torch.nn.Module, expected: torch.nn.Module) -> None:
    for name, value in network.state_dict().items():
        assert torch.equal(value, expected.state_dict()[name]), name


class Counting(DefocusLayer):
    """A layer with a state: every call blurs a little less."""

    title = "counting"

    def __init__(self) -> None:
        super().__init__()
        self.calls = torch.nn.Buffer(torch.zeros((), dtype=torch.int64))

    def forward(self, all_in_focus, disparity, lens):
        self.calls += 1
        return RenderedDefocus(SubAperture(1))(all_in_focus, disparity * (1 - 0.01 * int(self.calls)), lens)


def test_a_network_learns_from_depth():
    torch.manual_seed(0)
    network = DepthUNet(planes=6, channels=(8, 12))
    before = validation_rmse(network, DATA, SETTINGS)
    settings = TrainSettings(steps=30, batch=2, crop_px=None, learning_rate=1e-2)
    losses = train(settings, network, DATA)
    assert len(losses) == 30
    assert validation_rmse(network, DATA, SETTINGS) < 0.7 * before
    assert sum(losses[-5:]) < 0.9 * sum(losses[:5])


@pytest.mark.parametrize("count", [pytest.param(1, id="pair"), pytest.param(2, id="stack", marks=pytest.mark.slow)])
def test_a_network_learns_by_blurring_again(count):
    data = Pairs(4, count=count, has_depth=False)
    torch.manual_seed(0)
    network = DepthUNet(planes=6, channels=(8, 12))
    before = validation_rmse(network, Pairs(4, count=count), SETTINGS)
    settings = TrainSettings(steps=20, batch=2, crop_px=None, learning_rate=1e-2, border_px=4)
    losses = train(settings, network, data, RenderedDefocus(Scatter()))
    assert sum(losses[-5:]) < 0.85 * sum(losses[:5])
    assert validation_rmse(network, Pairs(4, count=count), SETTINGS) < 0.9 * before


def test_a_network_learns_by_the_composite_of_its_planes():
    torch.manual_seed(0)
    network = DepthUNet(planes=6, channels=(8, 12))
    before = validation_rmse(network, Pairs(4), SETTINGS)
    objective = Objective.named("l1+tv")
    settings = TrainSettings(steps=20, batch=2, crop_px=None, learning_rate=1e-2, border_px=4, objective=objective)
    losses = train(settings, network, Pairs(4, has_depth=False), CompositionalPlanes())
    assert sum(losses[-5:]) < 0.85 * sum(losses[:5])
    assert validation_rmse(network, Pairs(4), SETTINGS) < 0.9 * before


def test_the_composite_takes_the_probabilities_and_not_the_disparity():
    """Half far and half near is no plane in the middle: the loss of the first step says which of the two was blurred."""

    class Undecided(Tiny):
        def disparities(self, seen):
            return seen.focus.new_tensor([0.0, 1.0])

        def probabilities(self, seen):
            half = super().forward(seen) * 0 + 0.5
            return torch.cat([half, half], 1)

        def forward(self, seen):
            return super().forward(seen) * 0 + 0.5

    settings = TrainSettings(steps=1, batch=1, crop_px=None, flips=False, border_px=4)
    sample = Pairs(1)[0]
    seen, _ = collate([sample])
    half = torch.full((1, 2, 32, 32), 0.5)
    picture = CompositionalPlanes.composite(seen.all_in_focus, half, seen.lens(0), torch.tensor([0.0, 1.0]))
    inside = (..., slice(4, -4), slice(4, -4))
    expected = (to_gamma(picture[inside]) - to_gamma(seen.blurred[:, 0][inside])).abs().mean()
    assert train(settings, Undecided(), Pairs(1), CompositionalPlanes()) == pytest.approx([float(expected)], rel=1e-5)
    middle = CompositionalPlanes()(seen.all_in_focus, torch.full((1, 1, 32, 32), 0.5), seen.lens(0))
    assert float((middle - picture).abs().max()) > 0.01


def test_the_loss_of_planes_has_the_right_gradient():
    seen, _ = collate([make_pair(number, size=16, count=2) for number in range(2)])
    names = ("all_in_focus", "blurred", "blur", "focus")
    seen = replace(seen, **{name: getattr(seen, name).double() for name in names})
    planes = torch.linspace(0, 1, 3, dtype=torch.float64)
    settings = TrainSettings(crop_px=None, border_px=2, objective=Objective(gradient=0.3, edge_weight=0.0, levels=1))
    logits = torch.randn(2, 3, 16, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: plane_loss(x.softmax(1), planes, seen, settings), logits, fast_mode=True)


@pytest.mark.parametrize(
    ("layer", "network"),
    [(None, Tiny), (Counting, Tiny), (CompositionalPlanes, lambda: DepthUNet(planes=4, channels=(4, 8)))],
    ids=["supervised", "reblur", "planes"],
)
def test_a_training_goes_on_bit_for_bit(tmp_path, layer, network):
    def make():
        return layer and layer()

    def fresh(seed=0):
        torch.manual_seed(seed)
        return network()

    whole, parts = fresh(), fresh()
    expected = train(SETTINGS, whole, DATA, make())
    work = Work(checkpoint_every=2)
    with pytest.raises(StopTraining):
        train(SETTINGS, parts, DATA, make(), folder=tmp_path / "run", work=work, on_step=stop_after(5))
    assert len(torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)["state"]["losses"]) == 5  # and not 4
    parts = fresh(seed=4)  # with other weights, which the checkpoint replaces
    assert train(SETTINGS, parts, DATA, make(), folder=tmp_path / "run", resume=True, work=work) == expected
    assert_equal_weights(parts, whole)
    # What is finished stays as it is.
    assert train(SETTINGS, parts, DATA, make(), folder=tmp_path / "run", resume=True) == expected
    assert_equal_weights(parts, whole)


def test_the_caller_s_random_numbers_are_left_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    train(SETTINGS, tiny(), DATA)
    assert torch.equal(torch.rand(3), expected)


def test_readers_in_other_processes_change_nothing():
    short = TrainSettings(steps=2, batch=2, crop_px=24, border_px=4)
    assert train(short, tiny(), DATA, work=Work(workers=1)) == train(short, tiny(), DATA)


def test_the_seed_and_the_order_matter():
    losses = train(SETTINGS, tiny(), DATA)
    assert losses == train(SETTINGS, tiny(), DATA)
    assert losses != train(TrainSettings(steps=7, batch=2, crop_px=24, learning_rate=1e-2, seed=1), tiny(), DATA)


_TWO_PROCESSES = """
import faulthandler, sys, torch
faulthandler.dump_traceback_later(240, exit=True)  # where it waits, if it does; torchrun then ends the other process
from taichi_bokeh.dfd.layers.registry import layer_named
from taichi_bokeh.dfd.training.distributed import one_gpu_a_process
from taichi_bokeh.dfd.training.train import train
from taichi_bokeh.dfd.training.settings import TrainSettings, Work
from tests.dfd.pairs import Pairs
from tests.dfd.training.test_train import plain

one_gpu_a_process()
settings = TrainSettings(steps=4, batch=4, crop_px=24, learning_rate=1e-2, border_px=4)
network = plain()
layer = layer_named(sys.argv[2]) if sys.argv[2:] else None
train(settings, network, Pairs(), layer, folder=sys.argv[1], work=Work(validation=Pairs(1)))
torch.save(network.state_dict(), sys.argv[1] + "/" + __import__("os").environ["RANK"] + ".pt")
"""


def plain() -> torch.nn.Module:
    """Without dropout, whose random numbers differ among processes."""
    torch.manual_seed(3)
    return DepthUNet(planes=4, channels=(4, 8))


@pytest.mark.slow
@pytest.mark.parametrize("layer", [pytest.param(None, id="supervised"), "planes"])
def test_two_processes_train_as_one_does(tmp_path, layer):
    script, folder = tmp_path / "script.py", tmp_path / "run"
    script.write_text(_TWO_PROCESSES)
    # By number and on the loopback, as looking up the machine's own name may take as long as it likes.
    alone = ["--standalone", "--local-addr", "127.0.0.1", "--nproc-per-node", "2"]
    command = [sys.executable, "-m", "torch.distributed.run", *alone, str(script), str(folder), *([layer] if layer else [])]
    environment = os.environ | {"PYTHONPATH": os.getcwd(), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    settings = TrainSettings(steps=4, batch=4, crop_px=24, learning_rate=1e-2, border_px=4)
    network = plain()
    losses = train(settings, network, Pairs(), layer and layer_named(layer))
    first, second = (torch.load(folder / f"{rank}.pt", weights_only=True) for rank in (0, 1))
    for name, value in network.state_dict().items():
        assert torch.equal(first[name], second[name])
        torch.testing.assert_close(first[name], value, rtol=1e-3, atol=1e-5)
    # The one process can go on from the checkpoint of the two, and has nothing left to do.
    resumed = train(settings, plain(), Pairs(), layer and layer_named(layer), folder=folder, resume=True)
    assert resumed == pytest.approx(losses, rel=1e-4)
    logged = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in logged] == [4]
    assert logged[0]["validation_rmse_px"] > 0


_ONE_OF_TWO_ENDS = """
import os, torch
from taichi_bokeh.dfd.training.distributed import processes
with processes(torch.device("cpu")) as among:
    if among.rank == 1:
        os._exit(0)  # and says nothing to the other
    try:
        among.mean(torch.ones(3))
    except ChildProcessError as error:
        print(error)
"""


@pytest.mark.slow
def test_a_process_whose_others_have_ended_says_so(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(_ONE_OF_TWO_ENDS)
    alone = ["--standalone", "--local-addr", "127.0.0.1", "--nproc-per-node", "2"]
    environment = os.environ | {"PYTHONPATH": os.getcwd(), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-m", "torch.distributed.run", *alone, str(script)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert "process 0 of 2 waited for the others in vain" in done.stdout, done.stderr


def test_processes_of_one_machine_meet_on_the_loopback(monkeypatch):
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "")
    monkeypatch.delenv("GLOO_SOCKET_IFNAME")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "1")
    _meet_on_the_loopback()
    assert "GLOO_SOCKET_IFNAME" not in os.environ
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    _meet_on_the_loopback()
    assert os.environ["GLOO_SOCKET_IFNAME"] in ("lo", "lo0")


def test_a_port_that_is_taken(monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for name, value in {"RANK": 0, "WORLD_SIZE": 1, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}.items():
            monkeypatch.setenv(name, str(value))
        with pytest.raises(OSError, match=f"the processes cannot meet at 127.0.0.1:{port} .*if the port is taken"):
            train(SETTINGS, tiny(), DATA)
    monkeypatch.delenv("RANK")
    with pytest.raises(ValueError, match="WORLD_SIZE is set but RANK is not; start the processes with torchrun"):
        train(SETTINGS, tiny(), DATA)


def test_a_batch_is_shared_out_evenly(monkeypatch):
    for name, value in {"RANK": 0, "WORLD_SIZE": 1, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": 0}.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 3)
    with pytest.raises(ValueError, match="batch is 2; expected a multiple of the number of processes, 3"):
        train(SETTINGS, tiny(), DATA)
    assert not torch.distributed.is_initialized()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, {}),
        ({"LOCAL_RANK": "2"}, {"CUDA_VISIBLE_DEVICES": "2"}),
        ({"LOCAL_RANK": "1", "CUDA_VISIBLE_DEVICES": "4,7"}, {"CUDA_VISIBLE_DEVICES": "7"}),
        ({"LOCAL_RANK": "1", "CUDA_VISIBLE_DEVICES": ""}, {}),
    ],
)
def test_each_process_sees_its_gpu(before, after):
    environment = dict(before)
    one_gpu_a_process(environment)
    assert environment == before | after


def test_more_processes_than_gpus():
    with pytest.raises(ValueError, match="CUDA_VISIBLE_DEVICES is '0'; expected a GPU for each process"):
        one_gpu_a_process({"LOCAL_RANK": "1", "CUDA_VISIBLE_DEVICES": "0"})


def test_the_log_has_every_step_once(tmp_path, monkeypatch):
    folder, work = tmp_path / "run", Work(checkpoint_every=3, log_every=1, validation=Subset(DATA, [0, 1]))
    write = TrainLog.write

    def killed(log, report):
        write(log, report)
        if report.step == 5:
            raise StopTraining

    with monkeypatch.context() as patch:
        patch.setattr(TrainLog, "write", killed)
        with pytest.raises(StopTraining):
            train(SETTINGS, tiny(), DATA, folder=folder, work=work)
    log = folder / "log.jsonl"
    log.write_text(log.read_text() + '{"step": 6, "lo')  # as a process leaves it that is killed
    reports = []
    network = tiny()
    losses = train(SETTINGS, network, DATA, folder=folder, resume=True, work=work, on_step=reports.append)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, 8))
    assert [line["loss"] for line in lines] == losses
    assert [line["step"] for line in lines if "validation_rmse_px" in line] == [3, 6, 7]
    assert [report.step for report in reports] == [4, 5, 6, 7]
    assert reports[-1].validation_rmse_px == validation_rmse(network, Subset(DATA, [0, 1]), SETTINGS)
    assert network.training


def test_events_for_tensorboard(tmp_path):
    pytest.importorskip("tensorboard")
    train(SETTINGS, tiny(), DATA, folder=tmp_path / "run", work=Work(tensorboard=True))
    assert len(list((tmp_path / "run" / "tensorboard").glob("events*"))) == 1


def test_tensorboard_that_is_not_there(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ValueError, match=r"tensorboard is not installed \(pip install 'taichi-bokeh\[train\]'\)"):
        train(SETTINGS, tiny(), DATA, folder=tmp_path / "run", work=Work(tensorboard=True))


def test_half_precision_is_for_the_network_only():
    seen = []

    class Watched(RenderedDefocus):
        def forward(self, all_in_focus: Tensor, disparity: Tensor, lens):
            seen.append(disparity.dtype)
            return super().forward(all_in_focus, disparity, lens)

    settings = TrainSettings(steps=2, batch=2, crop_px=24, border_px=4, precision="bfloat16")
    losses = train(settings, tiny(), DATA, Watched(SubAperture(1)))
    assert seen == [torch.float32] * 2
    whole = train(TrainSettings(steps=2, batch=2, crop_px=24, border_px=4), tiny(), DATA, Watched(SubAperture(1)))
    assert losses != whole
    assert losses == pytest.approx(whole, rel=0.05)


@pytest.mark.parametrize("schedule", ["one-cycle", "cosine"])
def test_rates_end_near_0(schedule):
    settings = TrainSettings(steps=100, learning_rate=0.5, schedule=schedule)
    rates = [settings.rate_at(step) for step in range(100)]
    top = 10 if schedule == "one-cycle" else 0
    assert rates[top] == max(rates) == pytest.approx(0.5)
    assert rates == sorted(rates[:top]) + sorted(rates[top:], reverse=True)
    assert 0 < rates[-1] < 1e-3


class Broken(Tiny):
    """Not a number from some step on."""

    def forward(self, seen):
        return super().forward(seen) * math.nan


@pytest.mark.parametrize("layer", [None, RenderedDefocus(SubAperture(1))], ids=["supervised", "reblur"])
def test_a_loss_that_is_no_number_names_the_samples(layer):
    with pytest.raises(ValueError, match=r"the loss of step 1 is nan; the samples were 00\d, 00\d"):
        train(SETTINGS, Broken(), DATA, layer)


def test_a_gradient_that_is_infinite_names_the_samples():
    class Steep(Tiny):
        def forward(self, seen):
            flat = super().forward(seen)
            return flat + (flat - flat.detach()).abs().sqrt()  # 0, with an infinite slope

    with pytest.raises(ValueError, match=r"the gradient of step 1 has the norm (nan|inf); the samples were"):
        train(SETTINGS, Steep(), DATA)


def test_checkpoints_of_other_trainings(tmp_path):
    folder = tmp_path / "run"
    train(SETTINGS, tiny(), DATA, folder=folder)
    other = TrainSettings(steps=7, batch=2, crop_px=24, learning_rate=1e-2, border_px=4, objective=Objective(gradient=0.5))
    for arguments, message in (
        (
            (other, tiny(), DATA),
            r"another training.*: objective is Objective\(.*=0.01.* there, and Objective\(.*0.5.* here",
        ),
        ((SETTINGS, tiny(9), DATA), r"network is .*Tiny of the structure .* there, and "),
        (
            (SETTINGS, tiny(), DATA, RenderedDefocus(SubAperture(2))),
            r"layer is none, supervised there, and .*, model SubAperture\(cells=2, .* here",
        ),
        ((SETTINGS, tiny(), Pairs(5)), "samples is 6 there, and 5 here"),
    ):
        with pytest.raises(ValueError, match=message):
            train(*arguments, folder=folder, resume=True)
    with pytest.raises(FileExistsError, match="holds a training already; resume it, or give another folder"):
        train(SETTINGS, tiny(), DATA, folder=folder)
    (folder / "checkpoint.pt").write_bytes(b"no checkpoint")
    with pytest.raises(ValueError, match=r"checkpoint\.pt is damaged or no checkpoint of a training"):
        train(SETTINGS, tiny(), DATA, folder=folder, resume=True)
    with pytest.raises(FileNotFoundError, match="there is nothing to go on from"):
        train(SETTINGS, tiny(), DATA, folder=tmp_path / "elsewhere", resume=True)
    with pytest.raises(FileNotFoundError):
        train(SETTINGS, tiny(), DATA, folder=tmp_path / "no" / "such" / "folder")


def test_weights_of_a_checkpoint(tmp_path):
    network, other = tiny(), Tiny()
    train(SETTINGS, network, DATA, folder=tmp_path / "run")
    assert load_weights(tmp_path / "run", other) == 7
    assert_equal_weights(other, network)
    with pytest.raises(ValueError, match=r"is of a training of .*Tiny of .*, whose weights do not fit a DepthUNet"):
        load_weights(tmp_path / "run", plain())


class Flat(Tiny):
    def forward(self, seen):
        return super().forward(seen)[:, 0]


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"dataset": Pairs(0)}, ValueError, "dataset is empty; expected at least one sample"),
        ({"dataset": iter([])}, TypeError, "which has no length"),
        ({"dataset": Pairs(2, has_depth=False)}, ValueError, "a disparity is missing among the samples 00"),
        ({"dataset": Pairs(2, size=20)}, ValueError, r"crop_px is 24; expected at most the size of sample 00\d, 20×20 px"),
        ({"network": torch.nn.ReLU()}, ValueError, "network has no parameters"),
        ({"network": torch.relu}, TypeError, "network is of type"),
        ({"network": Flat()}, ValueError, r"network returned \[2, 24, 24\]; expected the disparity, \[2, 1, 24, 24\]"),
        (
            {"network": DepthUNet(), "layer": CompositionalPlanes(torch.tensor([0.0, 1.0]))},
            ValueError,
            "layer has planes of its own; expected none",
        ),
        ({"settings": TrainSettings(precision="float16")}, ValueError, "precision is 'float16' on cpu"),
        (
            {"settings": TrainSettings(crop_px=None, border_px=16), "layer": RenderedDefocus(SubAperture(1))},
            ValueError,
            "border_px is 16; expected less than half of the pictures' size, 32×32 px",
        ),
    ],
)
def test_what_cannot_be_trained(change, error, message):
    arguments = {"settings": SETTINGS, "network": tiny(), "dataset": DATA} | change
    with pytest.raises(error, match=message):
        train(**arguments)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"steps": 0}, ValueError, "steps is 0; expected at least 1"),
        ({"learning_rate": 0.0}, ValueError, "learning_rate is 0.0; expected more than 0"),
        ({"schedule": "linear"}, ValueError, "schedule is 'linear'; expected one of 'one-cycle', 'cosine'"),
        ({"precision": "half"}, ValueError, "precision is 'half'; expected one of"),
        ({"crop_px": 16}, ValueError, "crop_px is 16; expected more than the two borders of 8 px"),
        ({"objective": "l1+g"}, TypeError, "objective is of type str; expected an Objective"),
    ],
)
def test_settings_that_cannot_be(arguments, error, message):
    with pytest.raises(error, match=message):
        TrainSettings(**arguments)


def test_work_that_cannot_be():
    with pytest.raises(ValueError, match="checkpoint_every is 0"):
        Work(checkpoint_every=0)
    with pytest.raises(ValueError, match="validation is empty"):
        Work(validation=Pairs(0))
