"""Three instances, and a PostgreSQL with a synchronous standby: what was answered is on both."""

import signal
import subprocess
from pathlib import Path

import machine
from services import UNLIMITED, Postgres, Server, free_port, run

HERE = Path(__file__).resolve().parent
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
            return machine.memory(self.server.pid)[0]
        except (OSError, TypeError):
            return 0


class Cluster:
    def __init__(self, folder, binary):
        self.binary = binary
        self.primary = Postgres(folder, "primary", ["synchronous_standby_names=*"])
        self.standby = Postgres(folder, "standby", copy_of=self.primary)
        self.primary.psql(f"CREATE DATABASE {DATABASE}")
        hosts = ",".join(f"127.0.0.1:{one.port}" for one in (self.primary, self.standby))
        self.url = f"postgres://bench@{hosts}/{DATABASE}?target_session_attrs=read-write"
        command = [binary, "serve", "--database-url", self.url, "--log", "warn", *UNLIMITED,
                   "--webhook-allow-http", "--webhook-allow-address", "127.0.0.0/8"]
        self.instances = [Instance(f"instance-{number}", command, folder) for number in range(1, INSTANCES + 1)]
        self.sql((HERE / "seed.sql").read_text(), old=OLD_ENTRIES)

    def ports(self):
        return [one.port for one in self.instances]

    def sql(self, text, **variables):
        return self.primary.psql(text, DATABASE, **variables)

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
