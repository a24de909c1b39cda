"""Three instances, and a PostgreSQL with a synchronous standby: what was answered is on both."""

import re
import signal
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "load"))

from services import Postgres, Server, free_port, run  # noqa: E402 (the path comes first)

INSTANCES = 3
DATABASE = "soak"
OLD_ENTRIES = 100_000


class Instance:
    """One instance, at the same port each time it is started."""

    def __init__(self, name, command, folder):
        self.name, self.command, self.folder, self.port = name, command, folder, free_port()
        self.start()

    def start(self):
        command = [*self.command, "--bind", f"127.0.0.1:{self.port}"]
        self.server = Server(command, self.folder / f"{self.name}.log", self.port)
        self.server.wait_for(lambda: self.server.call("GET", "/readyz")[0] == 200)

    def restart(self, how=signal.SIGTERM):
        self.server.end(how)
        self.start()

    def resident_mib(self):
        """The resident memory; 0 while it is restarted."""
        try:
            status = Path(f"/proc/{self.server.pid}/status").read_text()
        except OSError:
            return 0
        found = re.search(r"^VmRSS:\s+(\d+)", status, re.M)
        return int(found[1]) // 1024 if found else 0


class Cluster:
    def __init__(self, folder, binary):
        self.binary = binary
        self.primary = Postgres(folder, "primary", ["synchronous_standby_names=*"])
        self.standby = Postgres(folder, "standby", copy_of=self.primary)
        self.primary.psql(f"CREATE DATABASE {DATABASE}")
        hosts = ",".join(f"127.0.0.1:{one.port}" for one in (self.primary, self.standby))
        self.url = f"postgres://bench@{hosts}/{DATABASE}?target_session_attrs=read-write"
        # The load comes from one address, which would be told to slow down.
        command = [binary, "serve", "--database-url", self.url, "--log", "warn", "--rate-limit-reads", "0",
                   "--rate-limit-writes", "0", "--webhook-allow-http", "--webhook-allow-address", "127.0.0.0/8"]
        names = [f"instance-{number}" for number in range(1, INSTANCES + 1)]
        self.instances = []
        for name in names:
            self.instances.append(Instance(name, command, folder))
        self.sql((HERE / "seed.sql").read_text(), old=OLD_ENTRIES)

    def ports(self):
        return [one.port for one in self.instances]

    def sql(self, text, **variables):
        given = [word for key, value in variables.items() for word in ("-v", f"{key}={value}")]
        url = self.primary.url.replace("/postgres", f"/{DATABASE}")
        return run([self.primary.psql_program, "-XAtq", url, "-v", "ON_ERROR_STOP=1", *given], input=text).strip()

    def sessions(self):
        """The sessions of all instances; 0 while the database fails over."""
        try:
            return int(self.sql(f"SELECT count(*) - 1 FROM pg_stat_activity WHERE datname = '{DATABASE}'"))
        except subprocess.CalledProcessError:
            return 0

    def prune(self):
        run([self.binary, "prune", "--keep-audit", "90d", "--yes", "--database-url", self.url])

    def fail_over(self):
        """The primary is gone at once, and the standby takes its place."""
        self.primary.end(signal.SIGKILL)
        self.primary = self.standby
        self.primary.psql("SELECT pg_promote()")

    def end(self):
        for one in self.instances:
            one.server.end()
        self.primary.end()
