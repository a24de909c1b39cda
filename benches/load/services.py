"""What is measured and what it runs on: a private PostgreSQL, the service, its peer. All of it
listens on 127.0.0.1 and ends with this program."""

import contextlib
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

HERE = Path(__file__).resolve().parent
START_TIMEOUT = 60


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def run(command, **options):
    return subprocess.run([str(part) for part in command], check=True, text=True, capture_output=True, **options).stdout


class Process:
    """A program that runs until it is ended."""

    def __init__(self, command, log, **options):
        with open(log, "ab") as out:
            self.child = subprocess.Popen(
                [str(part) for part in command], stdin=subprocess.DEVNULL, stdout=out, stderr=out, **options)
        self.log = log

    @property
    def pid(self):
        return self.child.pid

    def wait_for(self, ready, pause=0.05):
        deadline = time.monotonic() + START_TIMEOUT
        while not ready():
            if self.child.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{self.child.args[0]} does not come up; see {self.log}")
            time.sleep(pause)

    def end(self, how=signal.SIGTERM):
        if self.child.poll() is None:
            self.child.send_signal(how)
            try:
                self.child.wait(20)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()


class Server(Process):
    """The service or its peer."""

    def __init__(self, command, log, port):
        super().__init__(command, log)
        self.port = port

    def call(self, method, path, body=None, headers=None):
        """Status, headers and body of an answer; status 0 where there is none."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", method=method, data=body and body.encode(), headers=headers or {})
        if body:
            request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read()
        except OSError:
            return 0, {}, b""

    def get(self, path):
        status, _, body = self.call("GET", path)
        if status != 200:
            raise SystemExit(f"GET {path}: {status} {body[:200]!r}; see {self.log}")
        return json.loads(body)


class PostSink:
    """Accepts whatever is posted to it, and hands its header fields and body to `take`."""

    def __init__(self, take):
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                take(self.headers, self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def end(self):
        self.server.shutdown()


class Collector(PostSink):
    """Takes traces and forgets them: what a real collector does with them is no cost of the service."""

    def __init__(self):
        super().__init__(self.take)
        self.url += "/v1/traces"
        self.batches, self.bytes = 0, 0

    def take(self, _, body):
        self.batches += 1
        self.bytes += len(body)


# The load comes from one address, which would be told to slow down.
UNLIMITED = ["--rate-limit-reads", "0", "--rate-limit-writes", "0"]


def service(binary, url, folder, name, *more):
    port = free_port()
    command = [binary, "serve", "--bind", f"127.0.0.1:{port}", "--database-url", url, "--shutdown-delay", "0s",
               *UNLIMITED, *more]
    server = Server(command, folder / f"{name}.log", port)
    server.wait_for(lambda: server.call("GET", "/readyz")[0] == 200)
    return server


def peer(binary, url, folder, name):
    port = free_port()
    server = Server([binary, url, port], folder / f"{name}.log", port)
    server.wait_for(lambda: server.call("GET", "/v1/circles?limit=1")[0] == 200)
    return server


def postgres_programs():
    """The newest installed folder of PostgreSQL's programs."""
    if initdb := shutil.which("initdb"):
        return Path(initdb).resolve().parent
    folders = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    if not folders:
        raise SystemExit("install PostgreSQL 15 or later (tests/run does)")
    return max(folders, key=lambda folder: float(folder.parent.name))


class Postgres(Process):
    """A server of our own. It keeps its promises (fsync is on), as in production."""

    def __init__(self, folder, name, more_settings=(), copy_of=None):
        """With `copy_of`, a standby of another server."""
        programs = postgres_programs()
        data = folder / name
        data.mkdir()
        # PostgreSQL refuses to run as root.
        drop = []
        if os.getuid() == 0:
            folder.chmod(0o711)
            shutil.chown(data, "postgres")
            drop = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]
        if copy_of:
            run([*drop, programs / "pg_basebackup", "-h", "127.0.0.1", "-p", copy_of.port, "-U", "bench", "-D", data / "db",
                 "--write-recovery-conf", "--checkpoint=fast"], cwd=data)
        else:
            run([*drop, programs / "initdb", "--username=bench", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8",
                 "-D", data / "db"], cwd=data)
        self.port = free_port()
        self.url = self.url_of("postgres")
        settings = ["listen_addresses=127.0.0.1", "unix_socket_directories=", "shared_buffers=1GB",
                    "max_wal_size=2GB", "max_connections=200", *more_settings]
        options = [word for setting in settings for word in ("-c", setting)]
        super().__init__([*drop, programs / "postgres", "-D", data / "db", "-p", self.port, *options],
                         folder / f"{name}.log", cwd=data)
        self.psql_program = shutil.which("psql", path=str(programs)) or "psql"
        self.wait_for(lambda: self.try_psql("SELECT 1"))

    def url_of(self, database):
        return f"postgres://bench@127.0.0.1:{self.port}/{database}"

    def psql(self, text, database="postgres", **variables):
        """What SQL prints in a database."""
        given = [word for name, value in variables.items() for word in ("-v", f"{name}={value}")]
        command = [self.psql_program, "-XAtq", self.url_of(database), "-v", "ON_ERROR_STOP=1", *given]
        return run(command, input=text).strip()

    def try_psql(self, text):
        with contextlib.suppress(subprocess.CalledProcessError):
            return self.psql(text)

    def end(self, how=signal.SIGINT):
        super().end(how)


def seed_postgres(database, circles):
    database.psql((HERE / "seed.sql").read_text(), circles=circles)


def seed_sqlite(database, path):
    """The rows of the PostgreSQL database, into a SQLite file with the schema in it."""
    def stored(value):
        if isinstance(value, (dict, list)):
            return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
        return value

    with contextlib.closing(sqlite3.connect(path)) as file, file:
        # Circles come last: by then no trigger finds any to touch.
        for table in ("providers", "models", "agents", "members", "circles"):
            lines = database.psql(f"SET timezone = 'UTC'; SELECT row_to_json(t) FROM {table} t ORDER BY id").split("\n")
            rows = [json.loads(line) for line in lines if line]
            names = list(rows[0])
            places = ", ".join("?" * len(names))
            file.executemany(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({places})",
                             [[stored(row[name]) for name in names] for row in rows])
