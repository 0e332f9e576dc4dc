"""The twin without a host."""

import pytest

from conformance.network import NetworkDriverSuite
from sampan.network.memory import MemoryNetworkDriver


class TestMemoryNetworkDriver(NetworkDriverSuite):
    @pytest.fixture
    def driver(self):
        return MemoryNetworkDriver(bip="172.30.0.1/16")

    @pytest.fixture
    def again(self):
        return lambda: MemoryNetworkDriver(bip="172.30.0.1/16")
