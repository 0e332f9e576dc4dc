"""host.remove: trees that others delete or nest at the same time."""

import os
import threading

from sampan.host.remove import remove_tree


def test_two_may_delete_the_same_tree(tmp_path):
    for _ in range(20):
        top = tmp_path / "top"
        for number in range(30):
            (top / f"d{number}/e/f").mkdir(parents=True)
            (top / f"d{number}/e/file").write_text("x")
        errors = []

        def delete(path=str(top), errors=errors):
            try:
                remove_tree(path)
            except OSError as error:
                errors.append(error)

        threads = [threading.Thread(target=delete) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == []
        assert not os.path.exists(top)
