"""OciRuntime with the real crun and runc."""

import pytest

from conformance.runtime import RuntimeSuite
from host.runtime_fixtures import RUNTIMES, needs_runtime, rootfs, world  # noqa: F401 - fixtures

pytestmark = needs_runtime


@pytest.mark.parametrize("name", RUNTIMES)
class TestOciRuntime(RuntimeSuite):
    @pytest.fixture
    async def runtime(self, world, name):  # noqa: F811
        runtime = world.make(default_runtime=name)
        await runtime.prepare()
        return runtime

    @pytest.fixture
    def rootfs(self, rootfs):  # noqa: F811
        return rootfs
