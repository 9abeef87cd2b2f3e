"""No secret is in a message, a log, a manifest or an archive; every secret arrives as it is."""

import json
from base64 import b64decode
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from databases.engines.base import DumpRequest
from jobs.errors import BackupError
from tests.contracts.engines import RecordingGuard
from tests.databases.engines.http_service.services import dumped, engine_for
from tests.servers.records import Handler, RecordsServer, sample

TOKEN, KEY, PASSWORD = "canary-token", "canary-key", "canary-p:ss"


@pytest.mark.parametrize("options", [{"auth": "bearer", "token": TOKEN}, {"auth": "basic", "username": "me"}])
def test_no_secret_is_in_what_is_kept(records_service: RecordsServer, options: dict[str, Any]) -> None:
    sample(records_service, 50)
    if options["auth"] == "basic":
        options = {**options, "password": PASSWORD}
        records_service.basic = ("me", PASSWORD)
    else:
        records_service.token = TOKEN
    guard = RecordingGuard()
    url = f"{records_service.url}/cursor/{{collection}}?key={KEY}"
    found = dumped(records_service, "cursor", DumpRequest(guard=guard), url=url, headers={"X-Key": KEY}, **options)
    assert records_service.asked[0].headers["x-key"] == KEY
    assert records_service.asked[0].query["key"] == KEY
    assert guard.lines
    assert "canary" not in json.dumps(found.manifest) + "".join(guard.lines) + found.data.decode()


@pytest.mark.parametrize("number", [301, 400, 401, 403, 404, 500])
def test_a_service_that_repeats_what_it_was_sent_reveals_nothing(records_service: RecordsServer, number: int) -> None:
    def repeats(handler: Handler) -> bool:
        said = dict(handler.headers.items())
        handler.send_json({**said, "path": handler.path}, number, {"Location": f"http://elsewhere{handler.path}"})
        return True

    records_service.script.extend([repeats] * 20)
    password = 'canary \\ "quoted"'
    given: list[dict[str, Any]] = [
        {"auth": "bearer", "token": TOKEN},
        {"auth": "basic", "username": "me", "password": password},
    ]
    for options in given:
        engine = engine_for(
            records_service, **options, url=f"{records_service.url}/x?key={KEY}", headers={"X-Key": "canary, too"}
        )
        report = engine.check()
        with pytest.raises(BackupError) as raised:
            dumped(records_service, **options, url=f"{records_service.url}/x?key={KEY}")
        told = f"{report} {raised.value!s} {raised.value.args}"
        assert "canary" not in told
        sent = records_service.asked[-1].headers["authorization"].partition(" ")[2]
        assert sent not in told


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    password=st.text(
        st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from("'\":\\ @/%é😀"), min_size=1, max_size=200
    )
)
def test_any_password_arrives(records_service: RecordsServer, password: str) -> None:
    records_service.basic = ("me", password)
    records_service.fill("users", [{"id": 1}])
    assert engine_for(records_service, auth="basic", username="me", password=password).check().ok
    sent = records_service.asked[-1].headers["authorization"].removeprefix("Basic ")
    assert b64decode(sent).decode() == f"me:{password}"
