import pytest

from conformance.volume import VolumesSuite
from sampan.model.volume import Volume
from sampan.volume.memory import MemoryVolumes


class TestMemoryVolumes(VolumesSuite):
    @pytest.fixture
    def volumes(self):
        return MemoryVolumes("/somewhere/volumes")

    async def test_copy_up_happens_once(self, volumes):
        placed = volumes.place(Volume(name="data"))
        await volumes.create(placed)
        await volumes.copy_up("/root1", "/data", placed)
        await volumes.copy_up("/root2", "/data", placed)
        assert volumes.contents == {"data": ("/root1", "/data")}
