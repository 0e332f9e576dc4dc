"""Server-side apply: who owns what, what goes, and where managers disagree."""

import copy

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sampan.kube import object as objects
from sampan.kube.apply import apply, update
from sampan.kube.apply import fields as sets
from sampan.kube.apply.managed import MOST_UPDATERS, read
from sampan.kube.schema import builtin
from sampan.kube.status import ApiError

NODE = builtin.definition("io.k8s.api.apps.v1.Deployment")


def config(replicas=None, containers=("a",), image="1", labels=None, **spec):
    """Empty maps and lists are left out, as a typed client leaves them out."""
    found = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "d", **({"labels": labels} if labels else {})},
        "spec": {"template": {"spec": {"containers": [{"name": name, "image": image} for name in containers]}}, **spec},
    }
    if replicas is not None:
        found["spec"]["replicas"] = replicas
    return found


def applied(live, wanted, manager="me", now="T1", **options):
    return apply(NODE, live, wanted, manager, now, api_version="apps/v1", **options)


def updated(live, new, manager="editor", now="T2"):
    new = copy.deepcopy(new)
    update(NODE, live, new, manager, now, api_version="apps/v1")
    return msgspec.json.decode(msgspec.json.encode(new))


def owners(obj):
    return {manager.name: sets.paths(owned.fields) for manager, owned in read(obj).items()}


def images(obj):
    return {item["name"]: item["image"] for item in obj["spec"]["template"]["spec"]["containers"]}


def test_what_is_applied_is_owned():
    live = applied(None, config(3))
    assert owners(live)["me"] == [
        ".spec.replicas",
        '.spec.template.spec.containers[name="a"]',
        '.spec.template.spec.containers[name="a"].image',
        '.spec.template.spec.containers[name="a"].name',
    ]


def test_the_same_again_changes_nothing():
    live = applied(None, config(3))
    assert applied(live, config(3), now="T9") == live


def test_what_is_left_out_goes():
    live = applied(None, config(3, containers=("a", "b")))
    assert list(images(applied(live, config(3, containers=("b",))))) == ["b"]
    assert "replicas" not in applied(live, config())["spec"]


def test_what_another_one_owns_too_stays():
    live = applied(applied(None, config(3)), config(3), manager="other")
    assert applied(live, config())["spec"]["replicas"] == 3
    left = applied(applied(live, config()), config(), manager="other")
    assert "replicas" not in left["spec"]


def test_what_others_wrote_is_a_conflict_until_it_is_forced():
    live = applied(None, config(3))
    changed = updated(live, {**live, "spec": {**live["spec"], "replicas": 5}})
    with pytest.raises(ApiError) as refused:
        applied(changed, config(4))
    assert refused.value.code == 409
    assert (
        str(refused.value) == 'Apply failed with 1 conflict: conflict with "editor" using apps/v1 at T2: .spec.replicas'
    )
    assert refused.value.details["causes"] == [
        {
            "reason": "FieldManagerConflict",
            "message": 'conflict with "editor" using apps/v1 at T2',
            "field": ".spec.replicas",
        }
    ]
    forced = applied(changed, config(4), force=True)
    assert forced["spec"]["replicas"] == 4
    assert "editor" not in owners(forced)


def test_the_same_value_is_no_conflict():
    live = applied(None, config(3))
    assert applied(live, config(3), manager="other")["spec"]["replicas"] == 3


def test_items_of_others_are_left_alone():
    live = applied(None, config(containers=("a",)))
    live = applied(live, config(containers=("b",), image="2"), manager="other")
    assert images(live) == {"a": "1", "b": "2"}
    live = applied(live, config(containers=("a",), image="3"))
    assert images(live) == {"a": "3", "b": "2"}


def test_kubectls_own_annotation_is_no_conflict_for_it():
    text = '{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"d"},"spec":{"replicas":3}}'
    live = config(3)
    live["metadata"]["annotations"] = {"kubectl.kubernetes.io/last-applied-configuration": text}
    live = updated(None, live, manager="kubectl-client-side-apply")
    assert applied(live, config(4), manager="kubectl")["spec"]["replicas"] == 4
    with pytest.raises(ApiError):
        applied(live, config(4), manager="somebody")


def test_what_the_schema_does_not_know():
    with pytest.raises(ApiError) as refused:
        applied(None, config(nonsense=1))
    assert ".spec.nonsense: field not declared in schema" in str(refused.value)
    keyless = config()
    keyless["spec"]["template"]["spec"]["containers"] = [{"image": "x"}]
    with pytest.raises(ApiError) as refused:
        applied(None, keyless)
    assert refused.value.code == 400


def test_updaters_are_folded_when_they_are_many():
    live = updated(None, config(0), manager="creator", now="T0")
    for number in range(MOST_UPDATERS + 5):
        new = {
            **live,
            "metadata": {**live["metadata"], "labels": {**live["metadata"].get("labels", {}), f"l{number}": "x"}},
        }
        live = updated(live, new, manager=f"m{number:02}", now=f"T{number + 1:02}")
    names = owners(live)
    assert len(names) == MOST_UPDATERS
    assert ".metadata.labels.l0" in names["ancient-changes"]


def test_an_update_takes_and_gives_up():
    live = updated(None, config(3), manager="creator")
    live = updated(live, {**live, "spec": {**live["spec"], "replicas": 4}}, manager="scaler")
    assert ".spec.replicas" not in owners(live)["creator"]
    assert owners(live)["scaler"] == [".spec.replicas"]
    without = {key: value for key, value in live["spec"].items() if key != "replicas"}
    live = updated(live, {**live, "spec": without}, manager="creator")
    assert "scaler" not in owners(live)


# --- laws -------------------------------------------------------------------------------------------------------------

configs = st.builds(
    config,
    replicas=st.none() | st.integers(0, 3),
    containers=st.lists(st.sampled_from("abc"), unique=True, min_size=1, max_size=3),
    image=st.sampled_from("12"),
    labels=st.dictionaries(st.sampled_from("xyz"), st.sampled_from("12"), max_size=2),
)
steps = st.lists(st.tuples(st.sampled_from(["one", "two"]), configs), min_size=1, max_size=5)


def leaves(obj):
    """Return what a configuration or an object says, as path -> value."""
    found = {("labels", key): value for key, value in (obj["metadata"].get("labels") or {}).items()}
    if "replicas" in obj.get("spec", {}):
        found["replicas"] = obj["spec"]["replicas"]
    for item in objects.at(obj, "spec", "template", "spec", "containers") or []:
        found |= {(item["name"], key): value for key, value in item.items()}
    return found


@settings(max_examples=80)
@given(steps)
def test_an_object_is_what_its_owners_want(history):
    """After any history of forced applies: a field has the last value said, and stays while one who said it still does."""
    live, said, owned = None, {}, {}
    for number, (manager, wanted) in enumerate(history):
        live = applied(live, copy.deepcopy(wanted), manager=manager, now=f"T{number}", force=True)
        assert applied(live, copy.deepcopy(wanted), manager=manager, now="later", force=True) == live
        for path, value in leaves(wanted).items():
            owned[path] = {manager} | (owned.get(path, set()) if said.get(path) == value else set())
            said[path] = value
        for path in said.keys() - leaves(wanted).keys():
            owned[path].discard(manager)
            if not owned[path]:
                del said[path], owned[path]
        assert leaves(live) == said


trees = st.recursive(
    st.just({}),
    lambda inner: st.dictionaries(st.sampled_from(["f:a", "f:b", "f:c"]), inner, min_size=1, max_size=3),
    max_leaves=6,
)
whole = st.dictionaries(st.sampled_from(["f:a", "f:b", "f:c"]), trees, max_size=3)


@given(whole, whole)
def test_laws_of_sets(first, second):
    def paths(fields):
        return set(sets.paths(fields))

    assert paths(sets.join(first, second)) == paths(first) | paths(second)
    assert paths(sets.difference(first, second)) == paths(first) - paths(second)
    assert paths(sets.intersection(first, second)) == paths(first) & paths(second)
