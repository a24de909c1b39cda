"""The programs to measure, each with a database of its own on one private PostgreSQL."""

from pathlib import Path

from services import Postgres, Server, free_port

HERE = Path(__file__).resolve().parent


class Side:
    """One program with its database."""

    def __init__(self, name, binary, database, folder):
        database.psql(f"CREATE DATABASE {name}")
        self.name, self.binary, self.database = name, binary, database
        self.url = database.url_of(name)
        port = free_port()
        command = [binary, "serve", "--bind", f"127.0.0.1:{port}", "--database-url", self.url]
        self.server = Server(command, folder / f"{name}.log", port)
        self.server.wait_for(lambda: self.server.call("GET", "/readyz")[0] == 200)

    def sql(self, text, **variables):
        return self.database.psql(text, self.name, **variables)

    def seed(self, name, **variables):
        self.sql((HERE / name).read_text(), **variables)

    def has_jobs(self):
        """Whether the program ends memberships in the background at all."""
        return self.sql("SELECT to_regclass('membership_jobs') IS NOT NULL") == "t"

    def wal(self):
        return int(self.sql("SELECT pg_current_wal_insert_lsn() - '0/0'"))


def sides(arguments, folder):
    database = Postgres(folder, "database")
    programs = [("ours", arguments.service), ("against", arguments.against)]
    return database, [Side(name, binary, database, folder) for name, binary in programs if binary]
