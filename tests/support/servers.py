"""Real servers on the loopback address to read from: HTTP, S3 and PostgreSQL."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from pwd import getpwnam
from threading import Thread
from typing import Any

from tests.support.requirements import require

PASSWORD = "correct-horse"


@dataclass
class WebServer:
    """Serves what is put into `files`, with ranges as any server does.

    Attributes:
        files: path → content and headers; gone: 404.
        requests: method and path of each request so far.
    """

    url: str
    files: dict[str, tuple[bytes, dict[str, str]]] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)

    def put(self, name: str, content: str, **headers: str) -> None:
        """Headers by name, with underscores for dashes."""
        self.files[f"/{name}"] = (content.encode(), {key.replace("_", "-"): value for key, value in headers.items()})

    def reads(self) -> int:
        """How often content was asked for since the last call."""
        count = sum(method == "GET" for method, _ in self.requests)
        self.requests.clear()
        return count


@contextmanager
def web_server() -> Iterator[WebServer]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer(with_content=True)

        def do_HEAD(self) -> None:
            self._answer(with_content=False)

        def _answer(self, with_content: bool) -> None:
            web.requests.append((self.command, self.path))
            content, headers = web.files.get(self.path, (b"", {}))
            status = int(headers.get("Status", 200 if self.path in web.files else 404))
            wanted = self.headers.get("Range")
            if wanted and status == 200:
                first, last = wanted.removeprefix("bytes=").split("-")
                total, status = len(content), 206
                content = content[int(first) : int(last) + 1]
                headers = {**headers, "Content-Range": f"bytes {first}-{last}/{total}"}
            self.send_response(status)
            for key, value in {"Accept-Ranges": "bytes", **headers, "Content-Length": str(len(content))}.items():
                self.send_header(key, value)
            self.end_headers()
            if with_content:
                self.wfile.write(content)

        def log_message(self, format: str, *arguments: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    web = WebServer(f"http://127.0.0.1:{server.server_port}")
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield web
    finally:
        server.shutdown()
        server.server_close()


@dataclass(frozen=True)
class Store:
    """An S3 server with one bucket, `lake`."""

    url: str
    client: Any

    def put(self, key: str, content: str | bytes) -> None:
        self.client.put_object(Bucket="lake", Key=key, Body=content)

    @contextmanager
    def asking_for_credentials(self) -> Iterator[None]:
        """As long as this lasts, no key is known to the server."""
        self._known_until("0")
        try:
            yield
        finally:
            self._known_until("inf")

    def _known_until(self, count: str) -> None:
        import requests

        requests.post(f"{self.url}/moto-api/reset-auth", data=count, timeout=10)


@contextmanager
def store() -> Iterator[Store]:
    import logging

    import boto3
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    client = boto3.client(
        "s3", endpoint_url=url, region_name="us-east-1", aws_access_key_id="KEY", aws_secret_access_key=PASSWORD
    )
    client.create_bucket(Bucket="lake")
    try:
        yield Store(url, client)
    finally:
        server.stop()


@dataclass(frozen=True)
class Postgres:
    """A PostgreSQL server. `owner` may do all, `reader` what it is granted."""

    port: int
    psql: Path

    def dsn(self, user: str = "owner", password: str = PASSWORD) -> str:
        return f"postgresql://{user}:{password}@127.0.0.1:{self.port}/postgres"

    def run(self, sql: str) -> None:
        self.ask(sql)

    def ask(self, sql: str, user: str = "owner") -> list[str]:
        """The lines that come of it, values parted by |. Raises CalledProcessError with what the server says."""
        command = [self.psql, self.dsn(user), "-qXAt", "-v", "ON_ERROR_STOP=1", "-c", sql]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()


@contextmanager
def postgres() -> Iterator[Postgres]:
    """A server of its own for as long as it is used. Skips the test where PostgreSQL is not installed."""
    binaries = require(_postgres_binaries(), "PostgreSQL (Debian, Ubuntu: apt-get install postgresql)")
    # PostgreSQL refuses to run as root.
    unprivileged: dict[str, Any] = {"user": "nobody", "group": getpwnam("nobody").pw_gid, "extra_groups": []}
    user = unprivileged if os.geteuid() == 0 else {}
    folder = Path(tempfile.mkdtemp(prefix="tenure-postgres-"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    try:
        (folder / "password").write_text(PASSWORD)
        if user:
            shutil.chown(folder, "nobody")
            shutil.chown(folder / "password", "nobody")
        data = folder / "data"
        settings = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories= -c fsync=off"

        def run(program: str, *arguments: str | Path) -> None:
            subprocess.run(
                [binaries / program, "-D", data, *arguments], check=True, cwd=folder, stdout=subprocess.DEVNULL, **user
            )

        run(
            "initdb", "--no-sync", "--encoding=UTF8", "--locale=C", "--username=owner",
            "--auth=scram-sha-256", f"--pwfile={folder / 'password'}",
        )  # fmt: skip
        run("pg_ctl", "start", "--wait", "--log", folder / "log", "--options", settings)
        try:
            server = Postgres(port, binaries / "psql")
            server.run(f"create role reader login password '{PASSWORD}'")
            yield server
        finally:
            run("pg_ctl", "stop", "--mode", "immediate")
    finally:
        shutil.rmtree(folder)


def _postgres_binaries() -> Path | None:
    """Folder of PostgreSQL's programs; Debian keeps the server's off the PATH."""
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return next((folder for folder in reversed(folders) if (folder / "initdb").is_file()), None)
