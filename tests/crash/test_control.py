"""The control process killed under load: every acknowledged change is there, no counter lost a step, watches go on."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading

from kube import control_plane


def test_kills_under_load(tmp_path):
    with control_plane(tmp_path / "plane") as plane:
        path = "/api/v1/namespaces/default/configmaps"
        plane.json("POST", path, {"metadata": {"name": "counter"}, "data": {"n": "0"}})
        acknowledged, made, stop = [0], [], threading.Event()
        lock = threading.Lock()

        def increment():
            while not stop.is_set():
                with contextlib.suppress(OSError, http.client.HTTPException, json.JSONDecodeError, KeyError):
                    code, raw = plane.call("GET", f"{path}/counter")
                    if code != 200:
                        continue
                    found = json.loads(raw)
                    found["data"]["n"] = str(int(found["data"]["n"]) + 1)
                    if plane.call("PUT", f"{path}/counter", found)[0] == 200:
                        with lock:
                            acknowledged[0] += 1

        def create(worker):
            number = 0
            while not stop.is_set():
                name = f"w{worker}-{number}"
                number += 1
                with contextlib.suppress(OSError, http.client.HTTPException):
                    if plane.call("POST", path, {"metadata": {"name": name}})[0] == 201:
                        made.append(name)

        threads = [threading.Thread(target=increment) for _ in range(2)]
        threads += [threading.Thread(target=create, args=(worker,)) for worker in range(2)]
        for thread in threads:
            thread.start()
        for _ in range(4):
            stop.wait(0.4)
            plane.restart()
        stop.set()
        for thread in threads:
            thread.join()
        counter = int(plane.json("GET", f"{path}/counter")["data"]["n"])
        # a write whose answer was cut off may have taken place: at most one for each writer and kill
        assert acknowledged[0] <= counter <= acknowledged[0] + 8
        names = {item["metadata"]["name"] for item in plane.json("GET", path)["items"]}
        assert set(made) <= names
        assert len(made) > 20


def test_a_watch_goes_on_over_a_kill(tmp_path):
    with control_plane(tmp_path / "plane") as plane:
        path = "/api/v1/namespaces/default/configmaps"
        first = plane.json("POST", path, {"metadata": {"name": "a"}})["metadata"]["resourceVersion"]
        plane.json("POST", path, {"metadata": {"name": "b"}})
        plane.restart()
        plane.json("POST", path, {"metadata": {"name": "c"}})
        code, raw = plane.call("GET", f"{path}?watch=1&resourceVersion={first}&timeoutSeconds=1")
        assert code == 200
        names = [json.loads(line)["object"]["metadata"]["name"] for line in raw.splitlines()]
        assert [name for name in names if name in "abc"] == ["b", "c"]
