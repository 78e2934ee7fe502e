"""Several processes that train one network, as ``torchrun`` starts them: gloo on the CPU, nccl on CUDA.

Taichi drives one GPU a process, cuda:0, so that each process must see its own GPU only; see `one_gpu_a_process`.
"""

import os
import socket
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import Tensor, distributed

_VARIABLES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
_TIMEOUT = timedelta(minutes=10)  # the others wait while the first validates


@dataclass(frozen=True)
class Processes:
    """This process among those that train together.

    Attributes:
        rank: its number, from 0; that one writes the files.
        count: how many there are.
    """

    rank: int = 0
    count: int = 1

    def mean(self, values: Tensor) -> Tensor:
        """The mean over the processes of the values that each gives, [...].

        Raises:
            ChildProcessError: another process has ended, or has not come here for ten minutes.
        """
        if self.count == 1:
            return values
        total = values.detach().clone()
        with self._naming():
            distributed.all_reduce(total)
        return total / self.count

    def wait(self) -> None:
        """Go on when all have come here.

        Raises:
            ChildProcessError: another process has ended, or has not come here for ten minutes.
        """
        if self.count > 1:
            with self._naming():
                distributed.barrier()

    @contextmanager
    def _naming(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            reason = str(error).splitlines()[0]
            raise ChildProcessError(f"process {self.rank} of {self.count} waited for the others in vain ({reason})") from None


@contextmanager
def processes(device: torch.device) -> Iterator[Processes]:
    """Join the processes that ``torchrun`` started, or those of the caller's group; without either there is one process.

    A group that is joined here is left again.

    Args:
        device: that the network is on.

    Raises:
        ValueError: the process sees several GPUs, or the variables of ``torchrun`` are incomplete.
        OSError: the port for meeting the others is taken, or they cannot be reached.
        ChildProcessError: another process has ended before all had met.
    """
    joined = _join(device)
    try:
        if distributed.is_available() and distributed.is_initialized():
            among = Processes(distributed.get_rank(), distributed.get_world_size())
            among.wait()  # a process that ended before the others had met it would break their meeting
            yield among
        else:
            yield Processes()
    finally:
        if joined:
            distributed.destroy_process_group()


def one_gpu_a_process(environment: MutableMapping[str, str] | None = None) -> None:
    """Let a process of ``torchrun`` see that GPU only which is its own among those of the machine; call it before CUDA is used.

    It sets CUDA_VISIBLE_DEVICES to the LOCAL_RANK-th of the GPUs that are visible. Without LOCAL_RANK it does nothing.

    Args:
        environment: the variables; by default those of this process.

    Raises:
        ValueError: there are fewer visible GPUs than processes on the machine.
    """
    variables = os.environ if environment is None else environment
    rank = variables.get("LOCAL_RANK")
    if rank is None:
        return
    visible = variables.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        variables["CUDA_VISIBLE_DEVICES"] = rank
        return
    devices = [name for name in visible.split(",") if name]
    if not devices:  # "" hides all of them, to train on the CPU
        return
    if int(rank) >= len(devices):
        raise ValueError(f"CUDA_VISIBLE_DEVICES is {visible!r}; expected a GPU for each process of the machine, this is {rank}")
    variables["CUDA_VISIBLE_DEVICES"] = devices[int(rank)]


def _join(device: torch.device) -> bool:
    if not distributed.is_available() or distributed.is_initialized() or "WORLD_SIZE" not in os.environ:
        return False
    missing = [name for name in _VARIABLES if name not in os.environ]
    if missing:
        raise ValueError(f"WORLD_SIZE is set but {', '.join(missing)} is not; start the processes with torchrun")
    is_cuda = device.type == "cuda"
    if is_cuda and int(os.environ["WORLD_SIZE"]) > 1 and torch.cuda.device_count() > 1:
        raise ValueError(
            f"this process sees {torch.cuda.device_count()} GPUs; expected its own only, by CUDA_VISIBLE_DEVICES: call "
            "one_gpu_a_process before CUDA is used"
        )
    if not is_cuda:
        _meet_on_the_loopback()
    where = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
    try:
        distributed.init_process_group("nccl" if is_cuda else "gloo", timeout=_TIMEOUT)
    except RuntimeError as error:  # the port is taken, the store is not there, or another process ended meanwhile
        reason = str(error).splitlines()[0]
        raise OSError(
            f"the processes cannot meet at {where} ({reason}); if the port is taken, choose another, or torchrun --standalone"
        ) from None
    return True


def _meet_on_the_loopback() -> None:
    """Where all processes are on this machine; gloo would look up the machine's own name, and that may take any time."""
    if os.environ.get("LOCAL_WORLD_SIZE") == os.environ["WORLD_SIZE"]:
        names = {name for _, name in socket.if_nameindex()} & {"lo", "lo0"}
        if names:
            os.environ.setdefault("GLOO_SOCKET_IFNAME", names.pop())
