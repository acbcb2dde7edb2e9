"""What a measurement needs: processes that end with the runner, fresh databases, servers and load."""

import contextlib
import ctypes
import http.client
import json
import os
import platform
import re
import secrets
import shutil
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SECRET_KEY = secrets.token_urlsafe(50)
# The users who buy; every database has them.
USERS = 1_000
MOVIES = 20
SCREENS = 50
SEATS = 1_000
# The users with the old bookings of a full database.
PATRONS = 100_000
OLD_MOVIES = 100
# Ids of old objects start here, so that new shows can get lower ids.
OLD = 1_000_000
HOUR = 3_600_000_000


def say(text):
    print(text, file=sys.stderr, flush=True)


class Failure(Exception):
    """Why measuring can't go on."""


def machine():
    """Describes the machine we measure on."""
    cpu = next(
        (
            line.split(":")[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    kilobytes = int(Path("/proc/meminfo").read_text().split()[1])
    system = platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "memory_gb": round(kilobytes / 1024**2),
        "system": f"{system}, kernel {platform.release()}",
    }


# --- Processes ---

_libc = ctypes.CDLL(None, use_errno=True)
PR_SET_PDEATHSIG = 1


def _die_with_the_runner():
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def environment(**settings):
    """This process's environment, without variables that would configure the server, and with `settings`."""
    keep = {"PATH", "HOME", "LANG", "TMPDIR"}
    env = {name: value for name, value in os.environ.items() if name in keep}
    env |= {"MARQUEE_ENV_FILE": os.devnull, "SECRET_KEY": SECRET_KEY}
    # Each of the thousand users books more per minute than a real person.
    env["CHANGES_PER_USER_PER_MINUTE"] = "1000000"
    return env | {name: str(value) for name, value in settings.items()}


def spawn(command, **options):
    return subprocess.Popen(
        [str(part) for part in command], stdin=subprocess.DEVNULL, preexec_fn=_die_with_the_runner, **options
    )


def run(command, env=None):
    """Runs a command to its end; returns its standard output."""
    process = spawn(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        out, error = process.communicate()
    finally:
        stop(process)
    if process.returncode != 0:
        raise Failure(f"{Path(command[0]).name} {command[1]}: exit code {process.returncode}\n{out}{error}")
    return out


def stop(process, limit=60):
    """Sends SIGTERM, and SIGKILL if the process has not ended after `limit` seconds."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(limit)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def idle_seconds():
    """Idle time of all cores together, including waiting for the disk."""
    fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()
    return (int(fields[4]) + int(fields[5])) / os.sysconf("SC_CLK_TCK")


def memory_mb(pid):
    """Resident memory, current and peak."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = {name: int(kilobytes) / 1024 for name, kilobytes in re.findall(r"(VmRSS|VmHWM):\s+(\d+) kB", status)}
    return {"rss": round(found["VmRSS"], 1), "peak": round(found["VmHWM"], 1)}


def build():
    """Builds the release programs and returns their directory."""
    say("building")
    command = ["cargo", "build", "--release", "--workspace", "--bins", "--message-format=json-render-diagnostics"]
    built = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    if built.returncode != 0:
        raise Failure("cargo could not build the programs")
    messages = [json.loads(line) for line in built.stdout.splitlines()]
    return Path(next(message["executable"] for message in messages if message.get("executable"))).parent


# --- Databases ---


def sequence(count):
    """A table `n` of the numbers 0 to count - 1, for INSERT … SELECT on each engine."""
    return f"WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {count})"


class Database:
    """One database with movies, screens and users; shows and bookings are added as needed."""

    def __init__(self, engine, label, tools):
        self.engine, self.label, self.tools = engine, label, tools
        self.url = engine.url(label)

    def settings(self):
        return {"DATABASE_URL": self.url}

    def make(self):
        """Creates it from scratch."""
        self.engine.drop(self.label)
        self.engine.create(self.label)
        run([self.tools / "marquee", "migrate"], environment(**self.settings()))
        self.sql(
            f"INSERT INTO movies (id, title, duration_minutes) {sequence(MOVIES)}"
            " SELECT i + 1, 'Feature ' || (i + 1), 80 + i FROM n",
            f"INSERT INTO screens (id, name) {sequence(SCREENS)} SELECT i + 1, 'Screen ' || (i + 1) FROM n",
        )
        self.add_users(1, USERS)
        return self

    def add_users(self, first, count):
        # Nobody can log in with this password; the load generator makes its tokens from the server's key.
        self.sql(
            f"INSERT INTO users (id, username, username_key, email, password, date_joined) {sequence(count)}"
            f" SELECT {first} + i, 'user' || ({first} + i), 'user' || ({first} + i), '', '!', 0 FROM n"
        )

    def add_shows(self, count, seats=SEATS):
        """Adds future shows whose seats are all free."""
        first = self.sql(f"SELECT COALESCE(MAX(id), 0) + 1 FROM shows WHERE id < {OLD}")[0][0]
        start = int(time.time()) * 1_000_000 + 24 * 365 * HOUR
        self.sql(
            f"INSERT INTO shows (id, movie_id, screen_id, date_time, total_seats) {sequence(count)}"
            f" SELECT {first} + i, i % {MOVIES} + 1, i % {SCREENS} + 1, {start} + i * {HOUR}, {seats} FROM n"
        )
        return self

    def add_prices(self):
        """Sells all shows with prices: three ticket types for the seats of the only category."""
        statements = [
            "INSERT INTO price_cards (id, name, current_id) VALUES (1, 'Standard', 1)",
            "INSERT INTO card_versions (id, card_id, number, currency, created_at) VALUES (1, 1, 1, 'EUR', 1)",
            "UPDATE shows SET card_version_id = 1",
        ]
        for place, (code, amount, tax) in enumerate([("adult", 1_250, 82), ("child", 800, 52), ("student", 900, 59)]):
            statements += [
                "INSERT INTO card_types (version_id, place, code, name, sold_online, sold_at_counter, proof, tax_rate,"
                f" is_companion) VALUES (1, {place}, '{code}', '{code}', 1, 1, '', 700, 0)",
                "INSERT INTO prices (version_id, category, type_code, currency, amount, reported, tax_rate, tax)"
                f" VALUES (1, 'Standard', '{code}', 'EUR', {amount}, {amount}, 700, {tax})",
            ]
        self.sql(*statements)
        return self

    def bookings(self):
        return int(self.sql("SELECT COUNT(*) FROM bookings")[0][0])

    def fill(self, bookings):
        """Fills it with sold-out past shows, so that the server sees the same data as if it had sold them itself."""
        count = -(-bookings // SEATS)
        now = int(time.time()) * 1_000_000
        self.add_users(OLD, PATRONS)
        self.sql(
            f"INSERT INTO movies (id, title, duration_minutes) {sequence(OLD_MOVIES)}"
            f" SELECT {OLD} + i, 'Classic ' || i, 90 FROM n",
            f"INSERT INTO shows (id, movie_id, screen_id, date_time, total_seats, seats_taken, seat_version)"
            f" {sequence(count)} SELECT {OLD} + i, {OLD} + i % {OLD_MOVIES}, i % {SCREENS} + 1,"
            f" {now} - ({count} - i) * {HOUR}, {SEATS}, {SEATS}, {SEATS} FROM n",
        )
        step = 100
        for first in range(0, count, step):
            self.sql(
                f"INSERT INTO bookings (id, user_id, show_id, seat_number, status, created_at) {sequence(SEATS)}"
                f" SELECT (s.id - {OLD}) * {SEATS} + i + 1, {OLD} + ((s.id - {OLD}) * {SEATS} + i) * 7919 % {PATRONS},"
                f" s.id, i + 1, 'booked', s.date_time - {24 * HOUR} + i FROM shows s CROSS JOIN n"
                f" WHERE s.id >= {OLD + first} AND s.id < {OLD + min(first + step, count)} ORDER BY s.id, i"
            )
            if first % 500 == 0:
                say(f"    {first * SEATS:,} of {bookings:,} bookings are filled in")
        self.sql(f"UPDATE id_blocks SET next_id = {count * SEATS + 1} WHERE name = 'bookings'")
        self.check()
        return self

    def check(self):
        """Fails if the server's own check finds a problem."""
        run([self.tools / "marquee", "check"], environment(**self.settings()))

    def sql(self, *statements):
        """Runs each statement as a transaction of its own; returns the rows of the last."""
        return self.engine.sql(self.label, statements)

    def drop(self):
        self.engine.drop(self.label)


class Sqlite:
    name = "sqlite"
    pools = (1, 16, 32, 64)
    pid = None

    def __init__(self, directory):
        self.directory = directory

    def file(self, label):
        return self.directory / f"{label}.sqlite3"

    def url(self, label):
        return f"sqlite://{self.file(label)}"

    def create(self, label):
        self.directory.mkdir(parents=True, exist_ok=True)

    def drop(self, label):
        for suffix in ("", "-wal", "-shm"):
            Path(f"{self.file(label)}{suffix}").unlink(missing_ok=True)

    def exists(self, label):
        return self.file(label).exists()

    def sql(self, label, statements):
        with contextlib.closing(sqlite3.connect(self.file(label))) as connection:
            # This data can be created again; the server uses its own setting.
            connection.execute("PRAGMA synchronous = OFF")
            rows = []
            try:
                for statement in statements:
                    rows = connection.execute(statement).fetchall()
                    connection.commit()
            except sqlite3.Error as error:
                raise Failure(f"SQLite: {error}") from None
            return rows

    def settle(self, label):
        """Waits until everything is on the disk."""
        self.sql(label, ["PRAGMA wal_checkpoint(TRUNCATE)"])
        os.sync()

    def stop(self):
        pass


class Mysql:
    name = "mysql"
    pools = (16, 32, 64)
    # Full durability, and a buffer pool for all data; everything else is MySQL's default.
    options = ("--innodb-flush-log-at-trx-commit=1", "--sync-binlog=1", "--innodb-buffer-pool-size=2G")

    def __init__(self, directory, program):
        self.directory, self.program = directory, program
        self.process = self.client = None

    @property
    def pid(self):
        return self.process.pid

    def url(self, label):
        self.start()
        return f"mysql://root@127.0.0.1:{self.port}/bench_{label}"

    def start(self):
        if self.process:
            return
        data = self.directory / "data"
        log = self.directory / "error.log"
        common = [self.program, "--no-defaults", f"--log-error={log}"]
        common.append(f"--user={os.environ.get('USER', 'root') if os.getuid() else 'root'}")
        try:
            if not data.exists():
                say("  initialising a MySQL server")
                half = self.directory / "data.new"
                shutil.rmtree(half, ignore_errors=True)
                self.directory.mkdir(parents=True, exist_ok=True)
                run([*common, f"--datadir={half}", "--initialize-insecure"])
                half.rename(data)
            self.port = free_port()
            self.process = spawn(
                [
                    *common,
                    f"--datadir={data}",
                    f"--port={self.port}",
                    "--bind-address=127.0.0.1",
                    "--mysqlx=OFF",
                    f"--socket={self.directory / 's'}",
                    f"--pid-file={self.directory / 'pid'}",
                    "--server-id=1",
                    "--log-bin=binlog",
                    *self.options,
                ],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            began = time.monotonic()
            while self.client is None:
                if self.process.poll() is not None or time.monotonic() - began > 300:
                    raise Failure("the MySQL server does not start")
                with contextlib.suppress(OSError):
                    self.client = MysqlClient(self.port)
                    break
                time.sleep(0.05)
        except Failure as failure:
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-20:]) if log.exists() else ""
            raise Failure(f"{failure}\n{tail}") from None
        # For bulk loads, and to accept the same SQL as SQLite. Only for this client's session.
        for statement in (
            "SET SESSION sql_mode = CONCAT(@@sql_mode, ',PIPES_AS_CONCAT')",
            "SET SESSION cte_max_recursion_depth = 10000000",
            "SET SESSION sql_log_bin = 0, unique_checks = 0, foreign_key_checks = 0",
        ):
            self.client.query(statement)

    def exists(self, label):
        self.start()
        return bool(self.client.query(f"SHOW DATABASES LIKE 'bench\\_{label}'"))

    def create(self, label):
        self.start()
        self.client.query(f"CREATE DATABASE bench_{label}")

    def drop(self, label):
        self.start()
        self.client.query(f"DROP DATABASE IF EXISTS bench_{label}")
        # The logs of earlier measurements are no longer needed.
        self.client.query("FLUSH BINARY LOGS")
        self.client.query("PURGE BINARY LOGS BEFORE NOW()")

    def sql(self, label, statements):
        self.client.query(f"USE bench_{label}")
        rows = []
        for statement in statements:
            rows = self.client.query(statement)
        return rows

    def settle(self, label):
        """Waits until everything is on the disk."""
        self.client.query("SET GLOBAL innodb_max_dirty_pages_pct_lwm = 0, innodb_max_dirty_pages_pct = 0")
        dirty = "SHOW GLOBAL STATUS LIKE 'Innodb_buffer_pool_pages_dirty'"
        began = time.monotonic()
        while int(self.client.query(dirty)[0][1]) > 100 and time.monotonic() - began < 120:
            time.sleep(0.2)
        self.client.query("SET GLOBAL innodb_max_dirty_pages_pct = DEFAULT, innodb_max_dirty_pages_pct_lwm = DEFAULT")
        os.sync()

    def version(self):
        self.start()
        return self.client.query("SELECT VERSION()")[0][0]

    def stop(self):
        if self.process:
            stop(self.process)
            self.process = self.client = None


class MysqlClient:
    """As much of MySQL's protocol as a user without a password needs, since MySQL's client may not be installed."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=900)
        self.stream = self.socket.makefile("rb")
        self._read()  # the greeting
        long_password, protocol_41, transactions, secure, plugins = 0x1, 0x200, 0x2000, 0x8000, 0x80000
        capabilities = long_password | protocol_41 | transactions | secure | plugins
        utf8mb4 = 45
        hello = struct.pack("<IIB23x", capabilities, 1 << 24, utf8mb4)
        self._send(hello + b"root\0\0" + b"caching_sha2_password\0", 1)
        self._read()

    def _send(self, payload, number=0):
        self.socket.sendall(len(payload).to_bytes(3, "little") + bytes([number]) + payload)

    def _read(self):
        header = self.stream.read(4)
        if len(header) < 4:
            raise ConnectionError("MySQL closed the connection")
        packet = self.stream.read(int.from_bytes(header[:3], "little"))
        if packet[0] == 0xFF:
            raise Failure(f"MySQL: {packet[3:].decode(errors='replace')}")
        return packet

    def query(self, sql):
        """Returns the rows; numbers as int, other values as text or None."""
        self._send(b"\x03" + sql.encode())
        columns = self._read()[0]
        if columns == 0:
            return []
        for _ in range(columns + 1):  # the columns' descriptions and their end
            self._read()
        rows = []
        while not ((packet := self._read())[0] == 0xFE and len(packet) < 9):
            rows.append(self._values(packet))
        return rows

    @staticmethod
    def _values(packet):
        values, at = [], 0
        while at < len(packet):
            length, at = packet[at], at + 1
            if length == 0xFB:
                values.append(None)
                continue
            if length > 0xFB:
                size = {0xFC: 2, 0xFD: 3, 0xFE: 8}[length]
                length, at = int.from_bytes(packet[at : at + size], "little"), at + size
            text = packet[at : at + length].decode()
            values.append(int(text) if text.isdecimal() else text)
            at += length
        return values


# --- Servers ---


class Server:
    """A server under test, ready to answer."""

    def __init__(self, command, log, **settings):
        with open(log, "w") as output:
            self.process = spawn(command, env=environment(**settings), stdout=output, stderr=output)
        self.pid = self.process.pid
        began = time.monotonic()
        while not (found := re.search(r"istening on (http://\S+)", log.read_text(errors="replace"))):
            if self.process.poll() is not None or time.monotonic() - began > 60:
                stop(self.process)
                raise Failure(f"{command[0]} does not start:\n{log.read_text(errors='replace')}")
            time.sleep(0.005)
        self.url = found[1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        stop(self.process)


def answers(port, path):
    """Checks whether the server answers with a 200."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


# --- Load ---


class Load:
    """Runs the load generator and collects its figures."""

    def __init__(self, tools, work):
        self.tools, self.work = tools, work

    def __call__(self, scenario, server, *options, connections, span, who=None, engine=None):
        """Runs once against a server; `span` is the seconds of warm-up and of measuring.

        Also measures the CPU time of the server, of the engine's own process and of the load generator.
        """
        warmup, seconds = span
        who = who or ["--user-ids", f"1-{USERS}"]
        report = self.work / "report.json"
        report.unlink(missing_ok=True)
        command = [
            self.tools / "stampede",
            scenario,
            "--url",
            server.url,
            *who,
            *options,
            "--connections",
            connections,
            "--duration",
            seconds,
            "--warmup",
            warmup,
            "--json",
            report,
            "--quiet",
        ]
        os.sync()  # earlier writes must not reach the disk during the run
        with open(self.work / "stampede.log", "w+") as log:
            process = spawn(command, env=environment(), stdout=log, stderr=log)
            try:
                watched = {"server": server.pid, "database": engine and engine.pid, "load": process.pid}
                cores = self._watch(process, watched, warmup, seconds)
                code = process.wait()
            finally:
                stop(process)
            log.seek(0)
            text = log.read()
        if code not in (0, 4) or not report.exists():
            kept = self.work / "failed-report.json"
            if report.exists():
                report.replace(kept)
            raise Failure(f"stampede ended with {code} (its report, if any, is {kept}):\n{text[-3000:]}")
        found = json.loads(report.read_text())
        latency = found["latency_ms"]
        figures = {
            "per_second": round(found["per_second"], 1),
            "booked": round(found["outcomes"].get("201", 0) / max(found["measured_seconds"], 1e-9), 1),
            "seats": round(found["seats_per_second"], 1),
            "orders": round(found["orders_per_second"], 1),
            "outcomes": found["outcomes"],
            "refusals": found["refusals"],
            "sale": found["sale"],
            **{name: round(latency[name], 2) for name in ("p50", "p90", "p99", "p99_9", "max")},
            "cores": cores,
        }
        if server.pid:
            figures["memory_mb"] = memory_mb(server.pid)
        if found["referee"]:
            figures["referee"] = {name: found["referee"][name] for name in ("sold", "seats_sold", "violations_total")}
        if found["broken"]:
            figures["broken"] = found["broken"]
            say(f"    ended early: {found['broken']}")
        if code == 4:
            say(f"    not all was answered: {found['outcomes']}")
        return figures

    @staticmethod
    def _watch(process, watched, warmup, seconds):
        """How many cores each kept busy, and how many were idle, in the middle of the measured time."""

        def wait(moment):
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(moment - time.monotonic(), 0.001))

        def look():
            used = {name: cpu_seconds(pid) for name, pid in watched.items() if pid}
            return time.monotonic(), used | {"idle": idle_seconds()}

        began = time.monotonic()
        wait(began + warmup + seconds * 0.2)
        if process.poll() is not None:
            return {}
        start, before = look()
        wait(began + warmup + seconds * 0.9)
        if process.poll() is not None:
            return {}
        end, after = look()
        return {name: round((after[name] - before[name]) / (end - start), 2) for name in before}
