import pytest

from sampan.base.errors import InvalidArgument, NotFound
from sampan.engine.filters import match_event, select_containers, select_networks, select_volumes
from sampan.engine.port import Filters
from sampan.model.container import Container, ContainerSpec, ContainerState, Phase, PublishedPort
from sampan.model.event import Event
from sampan.model.network import Network
from sampan.model.volume import Volume


def container(name, at, phase=Phase.RUNNING, labels=None, **state):
    spec = ContainerSpec(image="busybox", image_id=f"sha256:{name}", labels=labels or {})
    return Container(id=name * 8, name=name, created_at_ns=at, spec=spec, state=ContainerState(phase=phase, **state))


ALL = [
    container(
        "aa",
        1,
        labels={"tier": "web"},
        ports=(PublishedPort(container_port=80, protocol="tcp", host_ip="", host_port=8080),),
    ),
    container("bb", 2, Phase.EXITED, exit_code=3),
    container("cc", 3, Phase.CREATED),
]


def select(show_all=False, **terms):
    def lookup(name):
        for found in ALL:
            if found.name == name:
                return found
        raise NotFound(name)

    chosen = select_containers(
        ALL,
        Filters(terms={key.replace("_", "-"): value for key, value in terms.items()}),
        show_all=show_all,
        image_ids=lambda term: {f"sha256:{term}"},
        lookup=lookup,
        health=lambda _: "none",
    )
    return [found.name for found in chosen]


def test_only_running_ones_unless_all_and_newest_first():
    assert select() == ["aa"]
    assert select(show_all=True) == ["cc", "bb", "aa"]


@pytest.mark.parametrize(
    ("terms", "names"),
    [
        ({"status": ("exited",)}, ["bb"]),
        ({"status": ("created", "exited")}, ["cc", "bb"]),
        ({"exited": ("3",)}, ["bb"]),
        ({"exited": ("0",)}, []),
        ({"name": ("^/a",)}, ["aa"]),
        ({"id": ("aaaa",)}, ["aa"]),
        ({"label": ("tier=web",)}, ["aa"]),
        ({"label": ("tier=db",)}, []),
        ({"since": ("aa",)}, ["cc", "bb"]),
        ({"before": ("bb",)}, ["aa"]),
        ({"ancestor": ("aa",)}, ["aa"]),
        ({"publish": ("8000-8100/tcp",)}, ["aa"]),
        ({"publish": ("8080/udp",)}, []),
        ({"health": ("none",)}, ["aa"]),
    ],
)
def test_container_filters(terms, names):
    assert select(**terms) == names


@pytest.mark.parametrize(
    "terms", [{"nope": ("x",)}, {"status": ("asleep",)}, {"exited": ("x",)}, {"publish": ("http",)}]
)
def test_unknown_filters_are_refused(terms):
    with pytest.raises(InvalidArgument):
        select(**terms)


def test_networks_and_volumes():
    networks = [Network(id="1", name="bridge", builtin=True), Network(id="2", name="shop", labels={"a": "b"})]
    assert [n.name for n in select_networks(networks, Filters(terms={"type": ("custom",)}), set())] == ["shop"]
    assert [n.name for n in select_networks(networks, Filters(terms={"dangling": ("true",)}), {"2"})] == []
    volumes = [Volume(name="db"), Volume(name="tmp")]
    assert [v.name for v in select_volumes(volumes, Filters(terms={"dangling": ("true",)}), {"db"})] == ["tmp"]


def test_events_match_by_type_action_object_and_label():
    event = Event(
        kind="container",
        action="exec_create: sh",
        id="abc",
        attributes={"name": "web", "image": "busybox", "tier": "x"},
    )

    def matches(**terms):
        return match_event(event, Filters(terms=terms))

    assert matches()
    assert matches(event=("exec_create",))
    assert not matches(event=("die",))
    assert matches(container=("web",))
    assert matches(container=("ab",))
    assert not matches(container=("db",))
    assert matches(image=("busybox",))
    assert matches(label=("tier=x",))
    assert not matches(type=("network",))
