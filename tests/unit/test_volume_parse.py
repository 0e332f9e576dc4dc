from sampan.volume.parse import MountOptions, mount_options, server_address


def test_no_options_are_a_plain_directory():
    assert mount_options({}) is None


def test_words_become_flags_and_the_rest_stays_data():
    assert mount_options({"type": "tmpfs", "device": "tmpfs", "o": "size=1m,nosuid,ro,uid=7,rw"}) == MountOptions(
        "tmpfs", "tmpfs", 0x2, "size=1m,uid=7"
    )


def test_bind():
    options = mount_options({"type": "none", "device": "/srv", "o": "bind,ro"})
    assert options.bind
    assert options.flags == 0x1001


def test_server_address():
    assert server_address("vers=4,addr=nas.lan,rw") == "nas.lan"
    assert server_address("vers=4") == ""
