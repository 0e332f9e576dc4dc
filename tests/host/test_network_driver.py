"""LinuxNetworkDriver on a real kernel, in a network namespace of the test's own."""

from conformance.network import NetworkDriverSuite
from host.network_fixtures import again, driver, needs_root, world  # noqa: F401 - fixtures

pytestmark = needs_root


class TestLinuxNetworkDriver(NetworkDriverSuite):
    pass
