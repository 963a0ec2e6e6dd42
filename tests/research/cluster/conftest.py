"""A cluster of three machines that are none: a head without processors and two nodes of one each,
all on the loopback."""

import os
import secrets
import shutil
import socket
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

# Before Ray is imported: nothing is reported, the loopback is taken for itself, and nobody else of
# this machine gets in.
os.environ.pop("RAY_ADDRESS", None)
os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex())
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"


def words_of(path: Path) -> bytes:
    """Read the command line of a process by its folder in /proc; none where it has ended."""
    with suppress(OSError):
        return (path / "cmdline").read_bytes()
    return b""


@dataclass
class Machines:
    """A running cluster."""

    its: Any
    address: str
    client: str  # for who is no machine of it

    def lose(self) -> None:
        """Take the newest node away, as if its power had gone."""
        node = max(self.its.worker_nodes, key=lambda one: one.node_id)
        self.its.remove_node(node, allow_graceful=False)

    def add(self, count: int) -> None:
        """Add nodes with one processor each."""
        for _ in range(count):
            self.its.add_node(
                wait=False, num_cpus=1, node_ip_address="127.0.0.1", include_dashboard=False
            )
        self.its.wait_for_nodes()

    def at_work(self) -> list[int]:
        """Return the processes that compute a block now."""
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            if words_of(path).startswith(b"ray::compute"):
                with suppress(OSError):
                    parent = (path / "stat").read_text().rpartition(")")[2].split()[1]
                    found += [int(path.name)] if int(parent) in self._raylets() else []
        return found

    def _raylets(self) -> set[int]:
        return {node.all_processes["raylet"][0].process.pid for node in self.its.list_all_nodes()}


@pytest.fixture(scope="module")
def machines() -> Iterator[Machines]:
    """Start the cluster, or skip without Ray; nothing of it stays."""
    pytest.importorskip("ray", reason="no cluster: Ray is not installed")
    from ray.cluster_utils import Cluster

    folder = tempfile.mkdtemp(prefix="wick-nodes-", dir="/tmp")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    head = {"num_cpus": 0, "node_ip_address": "127.0.0.1", "include_dashboard": False}
    head["ray_client_server_port"] = port
    with pytest.MonkeyPatch.context() as patched, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # It would make this the cluster that every process of the machine finds.
        patched.setattr("ray._private.utils.write_ray_address", lambda *_: None)
        # As docs/scaling.md says: else one in four of its client's servers hangs in a fork.
        patched.setenv("GRPC_ENABLE_FORK_SUPPORT", "0")
        cluster = Cluster(initialize_head=True, head_node_args={**head, "temp_dir": folder})
    found = Machines(cluster, cluster.address, f"ray://127.0.0.1:{port}")
    found.add(2)
    try:
        yield found
    finally:
        cluster.shutdown()
        shutil.rmtree(folder, ignore_errors=True)
