"""What every Volumes does. Subclasses give a `volumes` fixture."""

import pytest

from sampan.base.errors import InvalidArgument, Unsupported
from sampan.model.volume import Volume
from sampan.volume.port import Volumes


class VolumesSuite:
    def test_place_fills_in_the_mountpoint_and_does_nothing(self, volumes: Volumes):
        placed = volumes.place(Volume(name="data"))
        assert placed.mountpoint.endswith("/volumes/data/_data")

    async def test_create_and_remove_may_be_repeated(self, volumes: Volumes):
        placed = volumes.place(Volume(name="data"))
        await volumes.create(placed)
        await volumes.create(placed)
        assert await volumes.survey() == ("data",)
        await volumes.remove(placed)
        await volumes.remove(placed)
        assert await volumes.survey() == ()

    async def test_mount_gives_the_mountpoint_and_may_be_repeated(self, volumes: Volumes):
        placed = volumes.place(Volume(name="data"))
        await volumes.create(placed)
        assert await volumes.mount(placed) == await volumes.mount(placed) == placed.mountpoint
        await volumes.unmount(placed)
        await volumes.unmount(placed)

    async def test_a_new_volume_is_empty(self, volumes: Volumes):
        placed = volumes.place(Volume(name="data"))
        await volumes.create(placed)
        assert await volumes.size_bytes(placed) == 0

    @pytest.mark.parametrize("name", ["a", "", ".x", "../x", "a/b", "-x", "a b", "a\n", "ä1", "x" * 300])
    def test_bad_names_are_refused(self, volumes: Volumes, name):
        with pytest.raises(InvalidArgument):
            volumes.place(Volume(name=name))

    @pytest.mark.parametrize("name", ["ab", "0_", "A.b-c_d", "x" * 255])
    def test_good_names(self, volumes: Volumes, name):
        assert volumes.place(Volume(name=name)).name == name

    @pytest.mark.parametrize(
        ("options", "text"),
        [
            ({"typ": "tmpfs"}, 'invalid option: "typ"'),
            ({"type": "tmpfs"}, 'missing required option: "device"'),
            ({"device": "tmpfs"}, 'missing required option: "type"'),
            ({"o": "ro"}, 'missing required option: "device"'),
        ],
    )
    def test_bad_options_are_refused(self, volumes: Volumes, options, text):
        with pytest.raises(InvalidArgument, match=text):
            volumes.place(Volume(name="data", options=options))

    def test_a_size_is_refused(self, volumes: Volumes):
        with pytest.raises(Unsupported, match="quota"):
            volumes.place(Volume(name="data", options={"size": "1G"}))
