"""Every block of Python in the README and the documentation runs, and prints what is said."""

import contextlib
import http.client
import io
import json
import re
import threading
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_iris

from skactprune import PrunedMLPClassifier, load, save
from skactprune.methods import METHODS

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))]
BLOCK = re.compile(r"```python\n(.*?)```(?:\n\n```text\n(.*?)```)?", re.DOTALL)
NUMBER = r"\d+\.\d+"


def with_code(pages):
    return [page for page in pages if BLOCK.search(page.read_text(encoding="utf-8"))]


def printed(code, namespace):
    """What a block prints; the blocks of a page share their names."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(code, "block", "exec"), namespace)
    return out.getvalue()


def written_anew(text):
    """A page with what its blocks print now."""
    namespace = {"__name__": "page"}

    def run(found):
        out = printed(found[1], namespace)
        return found[0] if found[2] is None else f"```python\n{found[1]}```\n\n```text\n{out}```"

    return BLOCK.sub(run, text)


@pytest.mark.parametrize(
    "page", with_code(PAGES), ids=lambda page: page.relative_to(ROOT).as_posix()
)
def test_blocks_print_what_the_page_says(page, tmp_path, monkeypatch):
    text = page.read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    # What a page registers is not known to other tests.
    monkeypatch.setattr(METHODS, "_members", {name: METHODS.look_up(name) for name in METHODS})
    found = written_anew(text)
    assert re.sub(NUMBER, "#", found) == re.sub(NUMBER, "#", text)
    # Accuracy may differ by some rows between processors and numbers of threads.
    numbers = [[float(number) for number in re.findall(NUMBER, said)] for said in (found, text)]
    assert numbers[0] == pytest.approx(numbers[1], abs=0.015)


def test_the_server_answers(tmp_path):
    X, y = load_iris(return_X_y=True)
    net = PrunedMLPClassifier((20,), max_iter=40, tol=0.1, random_state=0).fit(X, y)
    save(net.compact(), tmp_path / "model")
    script = (ROOT / "docs" / "deployment" / "server.py").read_text(encoding="utf-8")
    assert len(script.splitlines()) <= 50
    names = {"__name__": "server"}
    exec(compile(script, "server.py", "exec"), names)
    server = names["make_server"](load(tmp_path / "model"), 0)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        status, answer = posted(server.server_port, {"rows": X[:5].tolist()})
        assert status == 200 and answer["labels"] == net.predict(X[:5]).tolist()
        np.testing.assert_allclose(answer["probabilities"], net.predict_proba(X[:5]), atol=1e-6)
        status, answer = posted(server.server_port, {"rows": [[1.0, 2.0]]})
        assert status == 400 and "4 features" in answer["error"]
        assert posted(server.server_port, {"columns": []})[0] == 400
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def posted(port, content):
    """Status and answer of the server."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("POST", "/predict", json.dumps(content))
    response = connection.getresponse()
    answer = json.loads(response.read())
    connection.close()
    return response.status, answer


if __name__ == "__main__":
    for page in with_code(PAGES):
        page.write_text(written_anew(page.read_text(encoding="utf-8")), encoding="utf-8")
