"""The API's verbs over plain HTTP: what clients' libraries rely on and kubectl does not show."""

from __future__ import annotations

import json
import threading

import pytest
import yaml

POD = {"metadata": {"name": "p", "labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}


@pytest.fixture
def maps(namespace):
    return f"/api/v1/namespaces/{namespace}/configmaps"


@pytest.fixture
def pods(namespace):
    return f"/api/v1/namespaces/{namespace}/pods"


def made(plane, path, *names, **fields):
    return [plane.json("POST", path, {"metadata": {"name": name, **fields}}) for name in names]


def version(obj):
    return obj["metadata"]["resourceVersion"]


# --- writes -----------------------------------------------------------------------------------------------------------


def test_names_are_generated(plane, maps):
    names = {plane.json("POST", maps, {"metadata": {"generateName": "x-"}})["metadata"]["name"] for _ in range(20)}
    assert len(names) == 20
    assert all(name.startswith("x-") and len(name) == 7 for name in names)


def test_an_update_of_an_old_version_is_a_conflict(plane, maps):
    [first] = made(plane, maps, "a")
    plane.json("PUT", f"{maps}/a", {**first, "data": {"x": "1"}})
    refused = plane.refused("PUT", f"{maps}/a", {**first, "data": {"x": "2"}})
    assert (refused["code"], refused["reason"]) == (409, "Conflict")
    assert "the object has been modified" in refused["message"]
    without = {"metadata": {"name": "a"}, "data": {"x": "3"}}
    assert plane.json("PUT", f"{maps}/a", without)["data"] == {"x": "3"}


def test_a_hundred_increments_lose_none(plane, maps):
    plane.json("POST", maps, {"metadata": {"name": "n"}, "data": {"n": "0"}})

    def increment():
        while True:
            found = plane.json("GET", f"{maps}/n")
            found["data"]["n"] = str(int(found["data"]["n"]) + 1)
            if plane.call("PUT", f"{maps}/n", found)[0] == 200:
                return

    threads = [threading.Thread(target=increment) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert plane.json("GET", f"{maps}/n")["data"]["n"] == "40"


def test_writes_that_change_nothing_keep_the_version(plane, maps):
    [first] = made(plane, maps, "a")
    assert version(plane.json("PUT", f"{maps}/a", first)) == version(first)
    patch = {"Content-Type": "application/merge-patch+json"}
    assert version(plane.json("PATCH", f"{maps}/a", {"metadata": {"labels": {}}}, headers=patch)) == version(first)
    apply = {"Content-Type": "application/apply-patch+yaml"}
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "b"}, "data": {"x": "y"}}
    applied = plane.json("PATCH", f"{maps}/b?fieldManager=me", config, headers=apply)
    assert version(plane.json("PATCH", f"{maps}/b?fieldManager=me", config, headers=apply)) == version(applied)


def test_dry_runs_change_nothing(plane, maps):
    assert plane.json("POST", f"{maps}?dryRun=All", {"metadata": {"name": "d"}})["metadata"]["uid"]
    assert plane.refused("GET", f"{maps}/d")["code"] == 404
    made(plane, maps, "a")
    plane.json("PUT", f"{maps}/a?dryRun=All", {"metadata": {"name": "a"}, "data": {"x": "1"}})
    plane.json("DELETE", f"{maps}/a?dryRun=All")
    assert "data" not in plane.json("GET", f"{maps}/a")
    assert plane.refused("POST", f"{maps}?dryRun=Some", {"metadata": {"name": "d"}})["code"] == 422


def test_what_a_client_may_not_say(plane, maps, namespace):
    assert plane.refused("POST", maps, {"metadata": {"name": "a", "namespace": "other"}})["code"] == 400
    assert plane.refused("POST", maps, {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "a"}})["code"] == 400
    assert plane.refused("POST", maps, {"metadata": {"name": "a", "resourceVersion": "1"}})["code"] == 400
    assert plane.refused("POST", maps, {"metadata": {"name": "A_b"}})["code"] == 422
    assert plane.refused("POST", maps, {"metadata": {}})["code"] == 422
    assert plane.refused("POST", maps, b"{")["code"] == 400
    assert plane.refused("POST", maps, b"[]")["code"] == 400
    assert plane.refused("POST", maps, b'{"metadata":{"name":"a","labels":{"a":1}}}')["code"] == 400
    assert plane.refused("POST", maps, b"x", headers={"Content-Type": "text/html"})["code"] == 415
    assert (
        plane.refused("POST", f"/api/v1/namespaces/{namespace}-none/configmaps", {"metadata": {"name": "a"}})["code"]
        == 404
    )
    made(plane, maps, "a")
    assert plane.refused("POST", maps, {"metadata": {"name": "a"}})["reason"] == "AlreadyExists"
    assert plane.refused("PUT", f"{maps}/a", {"metadata": {"name": "b"}})["code"] == 400
    assert plane.refused("PUT", f"{maps}/none", {"metadata": {"name": "none"}})["code"] == 404
    assert plane.refused("GET", "/api/v1/nothing")["code"] == 404
    assert plane.refused("PATCH", maps, {})["code"] == 405


def test_finalizers_hold_an_object(plane, maps):
    made(plane, maps, "a", finalizers=["example.org/wait"])
    marked = plane.json("DELETE", f"{maps}/a")
    assert marked["metadata"]["deletionTimestamp"]
    refused = plane.refused("PATCH", f"{maps}/a", {"metadata": {"finalizers": ["example.org/wait", "example.org/more"]}},
                            headers={"Content-Type": "application/merge-patch+json"})  # fmt: skip
    assert "no new finalizers can be added if the object is being deleted" in refused["message"]
    plane.json(
        "PATCH",
        f"{maps}/a",
        {"metadata": {"finalizers": None}},
        headers={"Content-Type": "application/merge-patch+json"},
    )
    assert plane.refused("GET", f"{maps}/a")["code"] == 404


def test_preconditions_of_a_deletion(plane, maps):
    [first] = made(plane, maps, "a")
    refused = plane.refused("DELETE", f"{maps}/a", {"preconditions": {"uid": "other"}})
    assert (refused["code"], "Precondition failed" in refused["message"]) == (409, True)
    gone = plane.json("DELETE", f"{maps}/a", {"preconditions": {"uid": first["metadata"]["uid"]}})
    assert (gone["kind"], gone["status"], gone["details"]["uid"]) == ("Status", "Success", first["metadata"]["uid"])


def test_a_pod_is_deleted_gracefully_once_it_has_a_node(plane, pods):
    plane.json("POST", pods, POD)
    assert plane.json("DELETE", f"{pods}/p")["kind"] == "Pod"
    assert plane.refused("GET", f"{pods}/p")["code"] == 404
    plane.json("POST", pods, POD)
    binding = {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": "p"},
        "target": {"kind": "Node", "name": "n"},
    }
    assert plane.json("POST", f"{pods}/p/binding", binding)["status"] == "Success"
    bound = plane.json("GET", f"{pods}/p")
    assert bound["spec"]["nodeName"] == "n"
    assert bound["status"]["conditions"][0]["type"] == "PodScheduled"
    assert plane.refused("POST", f"{pods}/p/binding", binding)["code"] == 409
    marked = plane.json("DELETE", f"{pods}/p")
    assert marked["metadata"]["deletionGracePeriodSeconds"] == 30
    plane.json("DELETE", f"{pods}/p", {"gracePeriodSeconds": 0})
    assert plane.refused("GET", f"{pods}/p")["code"] == 404


def test_a_status_and_the_rest_are_written_apart(plane, pods):
    created = plane.json("POST", pods, {**POD, "status": {"phase": "Running"}})
    assert created["status"]["phase"] == "Pending"
    created["status"]["phase"] = "Running"
    created["spec"]["containers"][0]["image"] = "other"
    plane.json("PUT", f"{pods}/p/status", created)
    found = plane.json("GET", f"{pods}/p")
    assert (found["status"]["phase"], found["spec"]["containers"][0]["image"]) == ("Running", "i")
    found["status"]["phase"] = "Failed"
    found["spec"]["containers"][0]["image"] = "new"
    plane.json("PUT", f"{pods}/p", found)
    found = plane.json("GET", f"{pods}/p")
    assert (found["status"]["phase"], found["spec"]["containers"][0]["image"]) == ("Running", "new")
    found["spec"]["restartPolicy"] = "Never"
    assert "pod updates may not change fields other than" in plane.refused("PUT", f"{pods}/p", found)["message"]


def test_a_collection_is_deleted_by_selector(plane, maps):
    made(plane, maps, "a", "b", labels={"x": "1"})
    made(plane, maps, "c")
    gone = plane.json("DELETE", f"{maps}?labelSelector=x%3D1")
    assert [item["metadata"]["name"] for item in gone["items"]] == ["a", "b"]
    left = [item["metadata"]["name"] for item in plane.json("GET", maps)["items"]]
    assert left == ["c", "kube-root-ca.crt"]


# --- reads ------------------------------------------------------------------------------------------------------------


def test_pages_are_one_snapshot(plane, maps):
    made(plane, maps, *(f"m-{number:02}" for number in range(25)))
    page = plane.json("GET", f"{maps}?limit=10")
    assert page["metadata"]["remainingItemCount"] == 16  # one of them is the namespace's own
    seen, first = [item["metadata"]["name"] for item in page["items"]], page["metadata"]["resourceVersion"]
    plane.json("DELETE", f"{maps}/m-20")
    made(plane, maps, "m-22a")
    while token := page["metadata"].get("continue"):
        page = plane.json("GET", f"{maps}?limit=10&continue={token}")
        assert page["metadata"]["resourceVersion"] == first
        seen += [item["metadata"]["name"] for item in page["items"]]
    assert [name for name in seen if name.startswith("m-")] == [f"m-{number:02}" for number in range(25)]
    assert plane.refused("GET", f"{maps}?limit=10&continue=nonsense")["code"] == 400


def test_reads_at_versions(plane, maps):
    [first] = made(plane, maps, "a")
    plane.json("PUT", f"{maps}/a", {"metadata": {"name": "a"}, "data": {"x": "1"}})
    made(plane, maps, "b")
    exact = plane.json("GET", f"{maps}?resourceVersion={version(first)}&resourceVersionMatch=Exact")
    assert [
        (item["metadata"]["name"], item.get("data")) for item in exact["items"] if item["metadata"]["name"] in "ab"
    ] == [("a", None)]
    newer = plane.json("GET", f"{maps}?resourceVersion={version(first)}&resourceVersionMatch=NotOlderThan")
    assert len(newer["items"]) == 3
    assert plane.json("GET", f"{maps}?resourceVersion=0")["items"]
    future = plane.refused("GET", f"{maps}?resourceVersion=99999999&resourceVersionMatch=NotOlderThan")
    assert (future["code"], future["reason"]) == (504, "Timeout")
    assert plane.refused("GET", f"{maps}?resourceVersionMatch=Exact")["code"] == 422
    assert plane.refused("GET", f"{maps}?resourceVersion=x")["code"] == 422


def test_selectors(plane, maps, pods):
    made(plane, maps, "a", labels={"x": "1"})
    made(plane, maps, "b", labels={"x": "2"})

    def names(query):
        return [item["metadata"]["name"] for item in plane.json("GET", f"{maps}?{query}")["items"]]

    assert names("labelSelector=x%3D1") == ["a"]
    assert names("labelSelector=x+in+(1,2)") == ["a", "b"]
    assert names("labelSelector=x!%3D1") == ["b", "kube-root-ca.crt"]
    assert names("labelSelector=!x") == ["kube-root-ca.crt"]
    assert names("fieldSelector=metadata.name%3Db") == ["b"]
    assert names("fieldSelector=metadata.name!%3Db&labelSelector=x") == ["a"]
    plane.json("POST", pods, POD)
    assert len(plane.json("GET", f"{pods}?fieldSelector=status.phase%3DPending,spec.nodeName%3D")["items"]) == 1
    assert plane.refused("GET", f"{maps}?labelSelector=x%3D%3D%3D")["code"] == 400
    assert "field label not supported: spec.x" in plane.refused("GET", f"{maps}?fieldSelector=spec.x%3D1")["message"]


def test_tables_and_metadata_alone(plane, maps):
    made(plane, maps, "a")
    accept = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
    table = plane.json("GET", maps, headers=accept)
    assert table["kind"] == "Table"
    assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "Data", "Age"]
    assert table["rows"][0]["cells"][:2] == ["a", "0"] or table["rows"][0]["cells"][:2] == ["a", 0]
    assert table["rows"][0]["object"]["kind"] == "PartialObjectMetadata"
    whole = plane.json("GET", f"{maps}?includeObject=Object", headers=accept)
    assert whole["rows"][0]["object"]["kind"] == "ConfigMap"
    accept = {"Accept": "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"}
    partial = plane.json("GET", maps, headers=accept)
    assert partial["kind"] == "PartialObjectMetadataList"
    assert set(partial["items"][0]) == {"kind", "apiVersion", "metadata"}


def test_answers_in_yaml(plane, maps):
    wanted = {"Accept": "application/yaml"}
    odd = {"a": "true", "b": "2026-01-02", "c": "1\n2\n", "d": "ü: #x"}
    made = plane.json("POST", maps, {"metadata": {"name": "a"}, "data": odd})
    code, headers, raw = plane.exchange("GET", f"{maps}/a", headers=wanted)
    assert (code, headers["Content-Type"]) == (200, "application/yaml")
    assert yaml.safe_load(raw.replace(b"creationTimestamp: ", b"ignored: "))["data"] == odd
    sent = {**wanted, "Content-Type": "application/yaml"}
    code, _, raw = plane.exchange("PUT", f"{maps}/a", raw, headers=sent)
    assert code == 200
    assert plane.json("GET", f"{maps}/a") == made  # what was read can be sent back
    listed = plane.exchange("GET", maps, headers=wanted)[2]
    assert b"kind: ConfigMapList" in listed
    assert plane.exchange("GET", f"{maps}?watch=1", headers=wanted)[0] == 406


def test_events_have_two_faces(plane, namespace):
    event = {
        "metadata": {"name": "e"}, "reason": "R", "message": "M", "type": "Warning",
        "involvedObject": {"kind": "Pod", "namespace": namespace, "name": "p"},
    }  # fmt: skip
    plane.json("POST", f"/api/v1/namespaces/{namespace}/events", event)
    other = plane.json("GET", f"/apis/events.k8s.io/v1/namespaces/{namespace}/events/e")
    assert (other["note"], other["regarding"]["name"], other["apiVersion"]) == ("M", "p", "events.k8s.io/v1")
    found = plane.json("GET", f"/api/v1/namespaces/{namespace}/events?fieldSelector=involvedObject.name%3Dp")
    assert len(found["items"]) == 1


# --- watches ----------------------------------------------------------------------------------------------------------


def events(plane, path, query):
    """Watch for a second; return (type, name, version) of each event."""
    code, raw = plane.call("GET", f"{path}?watch=1&timeoutSeconds=1&{query}")
    assert code == 200
    found = [json.loads(line) for line in raw.splitlines()]
    return [(event["type"], event["object"]["metadata"].get("name", ""), event) for event in found]


def shown(found):
    return [(kind, name) for kind, name, _ in found if name != "kube-root-ca.crt"]


def test_a_watch_begins_where_it_is_told(plane, maps):
    [first, _] = made(plane, maps, "a", "b")
    plane.json("PUT", f"{maps}/a", {"metadata": {"name": "a"}, "data": {"x": "1"}})
    plane.json("DELETE", f"{maps}/b")
    found = events(plane, maps, f"resourceVersion={version(first)}")
    assert shown(found) == [("ADDED", "b"), ("MODIFIED", "a"), ("DELETED", "b")]
    versions = [int(version(event["object"])) for _, _, event in found]
    assert versions == sorted(versions)
    assert shown(events(plane, maps, "")) == [("ADDED", "a")]
    assert shown(events(plane, maps, f"resourceVersion={versions[-1]}")) == []


def test_selectors_turn_changes_into_comings_and_goings(plane, maps):
    [first] = made(plane, maps, "a", labels={"x": "1"})
    merge = {"Content-Type": "application/merge-patch+json"}
    plane.json("PATCH", f"{maps}/a", {"metadata": {"labels": {"x": "2"}}}, headers=merge)
    plane.json("PATCH", f"{maps}/a", {"data": {"k": "v"}}, headers=merge)
    plane.json("PATCH", f"{maps}/a", {"metadata": {"labels": {"x": "1"}}}, headers=merge)
    plane.json("DELETE", f"{maps}/a")
    found = events(plane, maps, f"resourceVersion={int(version(first)) - 1}&labelSelector=x%3D1")
    assert shown(found) == [("ADDED", "a"), ("DELETED", "a"), ("ADDED", "a"), ("DELETED", "a")]
    assert found[1][2]["object"]["metadata"]["labels"] == {"x": "1"}
    only = events(plane, maps, f"resourceVersion={int(version(first)) - 1}&fieldSelector=metadata.name%3Da")
    assert len(shown(only)) == 5


def test_a_streamed_list_ends_with_a_bookmark(plane, maps):
    made(plane, maps, "a", "b")
    query = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    found = events(plane, maps, query)
    kinds = [kind for kind, name, _ in found]
    assert kinds[:3] == ["ADDED"] * 3
    bookmark = found[3][2]
    assert bookmark["type"] == "BOOKMARK"
    assert bookmark["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    assert plane.refused("GET", f"{maps}?watch=1&sendInitialEvents=true")["code"] == 422


def test_watches_of_tables(plane, maps):
    made(plane, maps, "a")
    accept = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
    code, raw = plane.call("GET", f"{maps}?watch=1&timeoutSeconds=1", headers=accept)
    first, second = (json.loads(line)["object"] for line in raw.splitlines()[:2])
    assert code == 200
    assert first["kind"] == "Table"
    assert first["columnDefinitions"]
    assert not second["columnDefinitions"]


def test_a_version_that_was_not_made_yet(plane, maps):
    assert plane.refused("GET", f"{maps}?watch=1&resourceVersion=999999999")["code"] == 504


# --- services ---------------------------------------------------------------------------------------------------------


def test_services_get_addresses_and_ports(plane, namespace):
    path = f"/api/v1/namespaces/{namespace}/services"
    plain = plane.json("POST", path, {"metadata": {"name": "a"}, "spec": {"ports": [{"port": 80}]}})
    assert plain["spec"]["clusterIP"].startswith("10.")
    node = plane.json("POST", path, {"metadata": {"name": "b"}, "spec": {"type": "NodePort", "ports": [{"port": 80}]}})
    assert 30000 <= node["spec"]["ports"][0]["nodePort"] < 32768
    assert node["spec"]["clusterIP"] != plain["spec"]["clusterIP"]
    taken = {"metadata": {"name": "c"}, "spec": {"clusterIP": plain["spec"]["clusterIP"], "ports": [{"port": 80}]}}
    assert "provided IP is already allocated" in plane.refused("POST", path, taken)["message"]
    plane.json("DELETE", f"{path}/a")
    for _ in range(100):
        if plane.call("POST", path, taken)[0] == 201:
            break
    assert plane.json("GET", f"{path}/c")["spec"]["clusterIP"] == plain["spec"]["clusterIP"]
    headless = plane.json(
        "POST", path, {"metadata": {"name": "d"}, "spec": {"clusterIP": "None", "ports": [{"port": 80}]}}
    )
    assert headless["spec"]["clusterIPs"] == ["None"]


def test_a_service_changes_its_type(plane, namespace):
    """Clients send back what they have read; what the new type has not goes by itself."""
    path, merge = f"/api/v1/namespaces/{namespace}/services", {"Content-Type": "application/merge-patch+json"}
    made = plane.json("POST", path, {"metadata": {"name": "s"}, "spec": {"type": "NodePort", "ports": [{"port": 80}]}})
    inner = plane.json("PATCH", f"{path}/s", {"spec": {"type": "ClusterIP"}}, headers=merge)["spec"]
    assert "nodePort" not in inner["ports"][0]
    assert "externalTrafficPolicy" not in inner
    assert inner["clusterIP"] == made["spec"]["clusterIP"]
    refused = plane.refused("PATCH", f"{path}/s", {"spec": {"ports": [{"port": 80, "nodePort": 30001}]}}, headers=merge)
    assert "spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'" in refused["message"]
    plane.json("PATCH", f"{path}/s", {"spec": {"type": "ExternalName", "externalName": "a.b"}}, headers=merge)
    assert not {"clusterIP", "clusterIPs", "ipFamilies"} & set(plane.json("GET", f"{path}/s")["spec"])
    back = plane.json("PATCH", f"{path}/s", {"spec": {"type": "ClusterIP", "externalName": None}}, headers=merge)[
        "spec"
    ]
    assert back["clusterIP"] == back["clusterIPs"][0]


def test_what_balancers_ask_and_what_one_family_cannot(plane, namespace):
    path = f"/api/v1/namespaces/{namespace}/services"
    spec = {"type": "LoadBalancer", "externalTrafficPolicy": "Local", "ports": [{"port": 80}]}
    made = plane.json("POST", path, {"metadata": {"name": "a"}, "spec": spec})["spec"]
    assert 30000 <= made["healthCheckNodePort"] < 32768
    assert made["healthCheckNodePort"] != made["ports"][0]["nodePort"]
    merge = {"Content-Type": "application/merge-patch+json"}
    everywhere = plane.json("PATCH", f"{path}/a", {"spec": {"externalTrafficPolicy": "Cluster"}}, headers=merge)
    assert "healthCheckNodePort" not in everywhere["spec"]
    for asked, why in (
        ({"ipFamilyPolicy": "RequireDualStack"}, "this cluster is not configured for dual-stack services"),
        ({"ipFamilies": ["IPv6"]}, "not configured on this cluster"),
    ):
        body = {"metadata": {"name": "b"}, "spec": {"ports": [{"port": 80}], **asked}}
        assert why in plane.refused("POST", path, body)["message"]


def test_ephemeral_containers_come_and_stay(plane, pods):
    plane.json("POST", pods, POD)
    strategic = {"Content-Type": "application/strategic-merge-patch+json"}

    def patched(*containers):
        body = {"spec": {"ephemeralContainers": list(containers)}}
        return plane.call("PATCH", f"{pods}/p/ephemeralcontainers", body, headers=strategic)

    look = {"name": "look", "image": "i", "targetContainerName": "c"}
    for wrong, why in (
        ({**look, "ports": [{"containerPort": 80}]}, b"field not allowed for an ephemeral container"),
        ({**look, "targetContainerName": "none"}, b"targetContainerName: Not found"),
    ):
        code, raw = patched(wrong)
        assert (code, why in raw) == (422, True)
    assert patched(look)[0] == 200
    assert b"may not be changed" in patched({**look, "image": "other"})[1]
    assert b"may not be removed" in patched({"name": "look", "$patch": "delete"})[1]
    assert patched({"name": "more", "image": "i"})[0] == 200


def test_secrets_are_encrypted_at_rest(plane, namespace):
    marker = "a-marker-that-is-nowhere-else"
    plane.json(
        "POST", f"/api/v1/namespaces/{namespace}/secrets", {"metadata": {"name": "s"}, "stringData": {"k": marker}}
    )
    encoded = plane.json("GET", f"/api/v1/namespaces/{namespace}/secrets/s")["data"]["k"].encode()
    for path in plane.directory.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert marker.encode() not in content, path
            assert encoded not in content, path


def test_ends_of_lines_in_base64_are_not_kept(plane, namespace):
    path = f"/api/v1/namespaces/{namespace}/secrets"
    secret = {"metadata": {"name": "s"}, "data": {"a": "Zm9v\nYmFy\r\n"}}
    assert plane.json("POST", path, secret)["data"] == {"a": "Zm9vYmFy"}
    refused = plane.refused("POST", path, {"metadata": {"name": "t"}, "data": {"a": "Zm 9v"}})
    assert "data.a: illegal base64 data" in refused["message"]


def test_what_is_no_version_says_nothing_at_a_creation(plane, namespace):
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    made = plane.json("POST", path, {"metadata": {"name": "c", "resourceVersion": "v1"}})
    assert made["metadata"]["resourceVersion"].isdecimal()
    refused = plane.refused("POST", path, {"metadata": {"name": "d", "resourceVersion": "7"}})
    assert "resourceVersion should not be set on objects to be created" in refused["message"]


def test_the_text_of_a_refusal_is_as_kubernetes_writes_it(plane, namespace):
    """Python's clients print it, and their tests compare it."""
    _, raw = plane.call("GET", f"/api/v1/namespaces/{namespace}/configmaps/none")
    assert raw == (
        b'{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"configmaps \\"none\\" not found",'
        b'"reason":"NotFound","details":{"name":"none","kind":"configmaps"},"code":404}\n'
    )


def test_nodes_register_with_their_status(plane):
    node = {
        "metadata": {"name": "registered"},
        "status": {"capacity": {"cpu": "2"}, "nodeInfo": {"kernelVersion": "x"}},
    }
    made = plane.json("POST", "/api/v1/nodes", node)
    plane.json("DELETE", "/api/v1/nodes/registered")
    assert made["status"]["capacity"] == {"cpu": "2"}
    assert made["status"]["nodeInfo"]["kernelVersion"] == "x"
