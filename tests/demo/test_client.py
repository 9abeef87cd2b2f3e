"""The demo's client says what the site said."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from demo.client import ApiError, Client

PROBLEM = {"title": "Bad", "status": 400, "detail": "No.", "errors": [{"field": "host", "message": "Too long."}]}


class Answers(BaseHTTPRequestHandler):
    """Gives a token to everybody, repeats the header it gets, and refuses one path."""

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        body = json.loads(self.rfile.read(length))
        if self.path == "/api/token":
            self._answer(200, {"access": f"token of {body['username']}"})
        elif self.path == "/refused":
            self._answer(400, PROBLEM)
        else:
            self._answer(202, {"authorization": self.headers["Authorization"], "body": body})

    def do_DELETE(self) -> None:
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _answer(self, status: int, body: object) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


@pytest.fixture
def url() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_it_logs_in_and_sends_its_token(url: str) -> None:
    answer = Client(url, "ada", "secret").post("/api/backups", {"database_id": "shop"})
    assert answer == {"authorization": "Bearer token of ada", "body": {"database_id": "shop"}}


def test_an_answer_without_a_body_is_fine(url: str) -> None:
    Client(url, "ada", "secret").delete("/api/backups/x")


def test_a_problem_becomes_words(url: str) -> None:
    with pytest.raises(ApiError, match=r"^POST /refused: 400 No\. host: Too long\.$"):
        Client(url, "ada", "secret").post("/refused")


def test_a_silent_site_is_named_as_such() -> None:
    with pytest.raises(ApiError, match="does not answer"):
        Client("http://127.0.0.1:1", "ada", "secret")
