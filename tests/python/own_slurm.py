"""A Slurm of one node on the loopback, for as long as a test wants it: slurmctld, slurmd and munged as
processes of this user, with folders, ports, a socket and a key of their own. Nothing of a Slurm that the
machine may have is touched."""

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from conftest import ROOT

# `scripts/setup --slurm` unpacks Debian's packages there.
UNPACKED = ROOT / "build" / "slurm" / "root" / "usr"
LIBRARIES = UNPACKED / "lib" / "x86_64-linux-gnu"
PLUGINS = LIBRARIES / "slurm-wlm"
START_S = 30.0
STOP_S = 15.0


def why_not() -> str:
    """Why there can be no Slurm here; empty where there can."""
    if not (ROOT / "build" / "slurm" / "complete").exists():
        return "build/slurm is not there; scripts/setup --slurm unpacks it, which needs apt"
    return ""


class OwnSlurm:
    """One that is up; `environment` is for what is to find it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = os.environ | {"PATH": os.pathsep.join((str(folder / "bin"), os.environ["PATH"]))}
        self._daemons: list[subprocess.Popen[bytes]] = []
        for name in ("bin", "state", "spool"):
            (folder / name).mkdir()
        # Of what finds this Slurm, the commands alone: the plug-in hands no SLURM_CONF on to `srun` in a job.
        for command in (UNPACKED / "bin").iterdir():
            script = folder / "bin" / command.name
            script.write_text(f'#!/bin/sh\n{self._setting()} exec {command} "$@"\n')
            script.chmod(0o755)
        key = folder / "key"
        key.touch(0o400)
        key.chmod(0o600)
        key.write_bytes(secrets.token_bytes(1024))
        (folder / "slurm.conf").write_text(_configuration(folder))

    def start(self) -> None:
        at = self.folder
        sbin = UNPACKED / "sbin"
        self._start(
            "munge", sbin / "munged", "--foreground", "--force", f"--key-file={at}/key",
            f"--socket={at}/munge.socket", f"--pid-file={at}/munge.pid", f"--seed-file={at}/munge.seed",
        )  # fmt: skip
        self._wait(lambda: (at / "munge.socket").exists(), "munged has no socket")
        self._start("slurmctld", sbin / "slurmctld-wlm", "-D")
        self._start("slurmd", sbin / "slurmd-wlm", "-D", "-d", sbin / "slurmstepd-wlm")
        self._wait(lambda: self.ask("sinfo", "-h", "-o", "%T").strip() == "idle", "the node is not idle")

    def stop(self) -> None:
        """Whatever runs is ended; the daemons go in the order in which they need one another."""
        self.ask("scancel", "--state=PENDING", f"--user={_user()}")
        self.ask("scancel", "--signal=KILL", "--full", f"--user={_user()}")
        with contextlib.suppress(AssertionError):
            self._wait(lambda: not self.ask("squeue", "-h"), "jobs do not end", STOP_S)
        for daemon in reversed(self._daemons):
            daemon.terminate()
            try:
                daemon.wait(STOP_S)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()

    def ask(self, *command: str) -> str:
        """What a command of Slurm's prints; nothing where it fails."""
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, check=False, timeout=60
        )
        return done.stdout if done.returncode == 0 else ""

    def states(self) -> list[str]:
        """Of all jobs that it has had."""
        return self.ask("squeue", "-h", "--states=all", "-o", "%T").split()

    def _setting(self) -> str:
        return f"SLURM_CONF={self.folder}/slurm.conf LD_LIBRARY_PATH={LIBRARIES}:{PLUGINS}"

    def _start(self, name: str, *command: str | Path) -> None:
        log = (self.folder / f"{name}.log").open("wb")
        # Ends with these tests, however they end.
        words = ["setpriv", "--pdeathsig", "TERM", "env", *self._setting().split(), *map(str, command)]
        self._daemons.append(
            subprocess.Popen(words, env=self.environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        )

    def _wait(self, holds, what: str, seconds: float = START_S) -> None:
        end = time.monotonic() + seconds
        while not holds():
            dead = [d.args for d in self._daemons if d.poll() is not None]
            if dead or time.monotonic() > end:
                logs = "\n".join(f"{p.name}:\n{p.read_text()[-2000:]}" for p in self.folder.glob("*.log"))
                raise AssertionError(f"{what}; ended: {dead}\n{logs}")
            time.sleep(0.05)


@contextlib.contextmanager
def own_slurm() -> Iterator[OwnSlurm]:
    """Up inside the block; after it neither processes nor files are left."""
    folder = Path(tempfile.mkdtemp(prefix="kvr-slurm-", dir="/tmp"))  # short: a socket's path has 107 letters
    slurm = OwnSlurm(folder)
    try:
        slurm.start()
        yield slurm
    finally:
        slurm.stop()
        shutil.rmtree(folder)


def _user() -> str:
    return subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def _configuration(folder: Path) -> str:
    """A node of two cores, whatever the machine has, so that two jobs run at once."""
    host = socket.gethostname().split(".")[0]
    controller, node = _free_ports(2)
    return f"""
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={node}
SlurmUser={_user()}
SlurmdUser={_user()}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
PluginDir={PLUGINS}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=1
MpiDefault=none
KillWait=2
ReturnToService=2
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 RealMemory=8000 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


if __name__ == "__main__":
    # A shell in it, to look around.
    with own_slurm() as own:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        subprocess.run([os.environ.get("SHELL", "/bin/sh")], env=own.environment, check=False)
