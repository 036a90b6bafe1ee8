"""Uploads in the four encodings of the clients, downloads by signature and by delivery URL, ranges."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from replicate_server.domain.ids import FileId
from replicate_server.domain.records import StoredFile
from replicate_server.ports.store import Consequences

pytestmark = pytest.mark.anyio

Call = Callable[..., Awaitable[httpx.Response]]
CONTENT = bytes(range(256)) * 40
NOT_FOUND = {"detail": "File not found", "status": 404}


async def upload(call: Call, content: bytes = CONTENT, **options: Any) -> httpx.Response:
    return await call("POST", "/v1/files", files={"content": ("a.png", content, "image/png")}, **options)


async def deliver(world: Any, name: str, content_type: str, content: bytes = CONTENT) -> str:
    """Store an output file and return its path."""

    async def chunks() -> Any:
        yield content

    written = await world.blobs.write("outputs/p/1", chunks(), size_bytes_max=10**6)
    prediction = world.prediction()
    file = StoredFile(
        FileId("f" * 48), world.account.id, name, content_type, written.size_bytes, written.sha256, written.md5, written.key,
        world.clock.now(), prediction_id=prediction.id, delivery_token="d" * 43,
    )  # fmt: skip
    await world.store.create_prediction(prediction, Consequences(files=[file]))
    return f"/delivery/{'d' * 43}/{name}"


async def test_an_upload_answers_everything_the_clients_need(call: Call) -> None:
    answer = await upload(call)
    assert answer.status_code == 201
    file = answer.json()
    assert len(file["id"]) == 48
    assert file == {
        "id": file["id"],
        "name": "a.png",
        "content_type": "image/png",
        "size": len(CONTENT),
        "etag": hashlib.md5(CONTENT).hexdigest(),
        "checksums": {"sha256": hashlib.sha256(CONTENT).hexdigest(), "md5": hashlib.md5(CONTENT).hexdigest()},
        "metadata": {},
        "created_at": "2024-08-22T12:26:51.079000Z",
        "expires_at": "2024-08-23T12:26:51.079000Z",
        "urls": {"get": f"http://testserver/v1/files/{file['id']}"},
    }


ENCODINGS: dict[str, dict[str, Any]] = {
    "text field": {"files": {"content": ("a", b"x")}, "data": {"metadata": json.dumps({"k": "v"})}},
    "file part": {
        "files": {"content": ("a", b"x"), "metadata": ("blob", json.dumps({"k": "v"}), "application/json")},
    },
    "bracket fields": {
        "files": {"content": ("upload", b"x")},
        "data": {"metadata[k]": "v", "filename": "a", "type": "text/plain"},
    },
    "content first": {
        "files": [("content", ("a", b"x")), ("metadata", (None, json.dumps({"k": "v"}))), ("filename", (None, "a"))],
    },
}


@pytest.mark.parametrize("encoding", ENCODINGS)
async def test_metadata_arrives_in_every_encoding(call: Call, encoding: str) -> None:
    answer = await call("POST", "/v1/files", **ENCODINGS[encoding])
    assert answer.status_code == 201
    assert answer.json()["metadata"] == {"k": "v"}
    assert answer.json()["name"] == "a"


async def test_an_empty_file_is_a_file(call: Call) -> None:
    answer = await upload(call, b"")
    assert (answer.status_code, answer.json()["size"]) == (201, 0)


async def test_a_part_without_type_is_octets(call: Call) -> None:
    answer = await call("POST", "/v1/files", files={"content": ("noext", b"x", None)})
    assert answer.json()["content_type"] == "application/octet-stream"


async def test_a_file_over_the_limit_is_refused_and_leaves_nothing(call: Call) -> None:
    answer = await upload(call, b"x" * 1_000_001)
    assert answer.status_code == 413
    assert answer.json()["detail"] == "Files must be under 1000000 bytes"
    assert (await call("GET", "/v1/files")).json()["results"] == []


@pytest.mark.parametrize(
    "options",
    [
        {"content": b"x"},
        {"json": {}},
        {"files": {"other": ("a", b"x")}},
        {"content": b"--b\r\nbroken", "headers": {"Content-Type": "multipart/form-data; boundary=b"}},
        {"content": b"nonsense", "headers": {"Content-Type": "multipart/form-data; boundary=b"}},
        {
            "content": b'--b\r\nContent-Disposition: form-data; name="content"\r\n\r\nhalf',
            "headers": {"Content-Type": "multipart/form-data; boundary=b"},
        },
    ],
)
async def test_a_request_that_is_no_upload_is_a_bad_request(call: Call, options: dict[str, Any]) -> None:
    answer = await call("POST", "/v1/files", **options)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("fields", [{"filename": "x" * 256}, {"type": "a\nb"}, {"metadata": "[1]"}, {"metadata": "{"}])
async def test_bad_facts_are_invalid(call: Call, fields: dict[str, str]) -> None:
    answer = await call("POST", "/v1/files", files={"content": ("a", b"x")}, data=fields)
    assert answer.status_code == 422
    assert answer.json()["invalid_fields"][0]["field"] in fields


async def test_files_are_listed_newest_first_and_deleted(call: Call, world: Any) -> None:
    first = (await upload(call)).json()["id"]
    world.clock.advance(seconds=1)
    second = (await upload(call)).json()["id"]
    assert [file["id"] for file in (await call("GET", "/v1/files")).json()["results"]] == [second, first]
    answer = await call("DELETE", f"/v1/files/{first}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert (await call("GET", f"/v1/files/{first}")).json() == NOT_FOUND
    assert (await call("DELETE", f"/v1/files/{first}")).status_code == 404


async def test_another_accounts_file_is_not_found(call: Call) -> None:
    file_id = (await upload(call)).json()["id"]
    other = "r8_second_account_of_the_tests"
    assert (await call("GET", f"/v1/files/{file_id}", token=other)).json() == NOT_FOUND
    assert (await call("DELETE", f"/v1/files/{file_id}", token=other)).status_code == 404
    assert (await call("GET", "/v1/files", token=other)).json()["results"] == []
    assert (await call("GET", f"/v1/files/{file_id}")).status_code == 200


async def test_an_expired_file_is_gone(call: Call, world: Any) -> None:
    file_id = (await upload(call)).json()["id"]
    world.clock.advance(days=1)
    assert (await call("GET", f"/v1/files/{file_id}")).status_code == 404
    assert (await call("GET", "/v1/files")).json()["results"] == []


async def test_a_signed_link_downloads_without_a_token(call: Call, world: Any) -> None:
    file_id = (await upload(call)).json()["id"]
    file = await world.services.files.get(world.account, file_id)
    query = await world.services.files.sign_download(world.account, file, expires_at=world.clock.now() + timedelta(minutes=5))
    path = f"/v1/files/{file_id}/download"
    answer = await call("GET", path, params=query, token=None)
    assert answer.content == CONTENT
    assert answer.headers["content-type"] == "application/octet-stream"
    for change in ({"owner": "bob"}, {"expiry": "9999999999"}, {"signature": "AAAA"}, {"expiry": "x"}):
        assert (await call("GET", path, params={**query, **change}, token=None)).json() == NOT_FOUND
    world.clock.advance(minutes=6)
    assert (await call("GET", path, params=query, token=None)).status_code == 404


async def test_the_owner_downloads_an_upload_with_a_token(call: Call) -> None:
    path = f"/v1/files/{(await upload(call)).json()['id']}/download"
    assert (await call("GET", path)).content == CONTENT
    assert (await call("GET", path, token="r8_second_account_of_the_tests")).json() == NOT_FOUND
    assert (await call("GET", path, token=None)).status_code == 401


async def test_an_output_is_delivered_with_type_length_and_etag(call: Call, world: Any) -> None:
    answer = await call("GET", await deliver(world, "out.png", "image/png"), token=None)
    assert (answer.status_code, answer.content) == (200, CONTENT)
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["content-length"] == str(len(CONTENT))
    assert answer.headers["etag"] == f'"{hashlib.md5(CONTENT).hexdigest()}"'
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("header", "status", "expected"),
    [
        ("bytes=0-9", 206, CONTENT[:10]),
        ("bytes=100-", 206, CONTENT[100:]),
        ("bytes=-7", 206, CONTENT[-7:]),
        ("bytes=10000-99999", 206, CONTENT[10000:]),
        ("bytes=0-0,5-6", 200, CONTENT),
        ("bytes=9-3", 200, CONTENT),
        ("lines=1-2", 200, CONTENT),
        ("bytes=99999-", 416, b""),
        ("bytes=-0", 416, b""),
    ],
)
async def test_one_range_is_served(call: Call, world: Any, header: str, status: int, expected: bytes) -> None:
    path = await deliver(world, "out.png", "image/png")
    answer = await call("GET", path, token=None, headers={"Range": header})
    assert (answer.status_code, answer.content) == (status, expected)
    assert answer.headers["content-length"] == str(len(expected))


async def test_head_and_conditional_requests_send_no_bytes(call: Call, world: Any) -> None:
    path = await deliver(world, "out.png", "image/png")
    head = await call("HEAD", path, token=None)
    assert (head.status_code, head.headers["content-length"], head.content) == (200, str(len(CONTENT)), b"")
    unchanged = await call("GET", path, token=None, headers={"If-None-Match": head.headers["etag"]})
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    stale = await call("GET", path, token=None, headers={"Range": "bytes=0-1", "If-Range": '"other"'})
    assert stale.status_code == 200


@pytest.mark.parametrize(
    "content_type", ["text/html", "image/svg+xml", "text/xml", "application/xhtml+xml", "TEXT/HTML; charset=x"]
)
async def test_active_content_cannot_run_in_our_origin(call: Call, world: Any, content_type: str) -> None:
    answer = await call("GET", await deliver(world, "out.svg", content_type), token=None)
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["content-security-policy"].startswith("sandbox")


async def test_a_wrong_delivery_url_finds_nothing(call: Call, world: Any) -> None:
    path = await deliver(world, "out.png", "image/png")
    assert (await call("GET", path.replace("out", "other"), token=None)).json() == NOT_FOUND
    assert (await call("GET", path.replace("ddd", "eee"), token=None)).status_code == 404
    await world.blobs.delete("outputs/p/1")
    assert (await call("GET", path, token=None)).status_code == 404


async def test_an_output_is_no_upload(call: Call, world: Any) -> None:
    await deliver(world, "out.png", "image/png")
    assert (await call("GET", f"/v1/files/{'f' * 48}")).status_code == 404


@pytest.mark.parametrize(
    ("sent", "kept"), [("a%22b.txt", 'a"b.txt'), ("50%25 off.txt", "50%25 off.txt"), ("a%0D%0AX-Evil: 1.txt", "a__X-Evil: 1.txt")]
)
async def test_an_escaped_file_name_is_read_back_safely(call: Call, sent: str, kept: str) -> None:
    body = f'--x\r\nContent-Disposition: form-data; name="content"; filename="{sent}"\r\n\r\nhello\r\n--x--\r\n'
    answer = await call("POST", "/v1/files", content=body, headers={"Content-Type": "multipart/form-data; boundary=x"})
    assert answer.json()["name"] == kept


async def test_a_boundary_beyond_the_limit_is_a_bad_request(call: Call) -> None:
    headers = {"Content-Type": f"multipart/form-data; boundary={'x' * 5_000}"}
    assert (await call("POST", "/v1/files", content=b"--x", headers=headers)).status_code == 400


async def test_metadata_nested_without_end_is_invalid_and_keeps_no_bytes(
    call: Call, world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    deleted: list[str] = []

    async def delete(key: str) -> None:
        deleted.append(key)

    monkeypatch.setattr(world.blobs, "delete", delete)
    metadata = '{"a":' + "[" * 100_000 + "]" * 100_000 + "}"
    answer = await upload(call, data={"metadata": metadata})
    assert (answer.status_code, answer.json()["invalid_fields"][0]["field"]) == (422, "metadata")
    assert len(deleted) == 1
