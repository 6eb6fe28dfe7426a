"""A running `rillbox serve` on free loopback ports, spoken to over REST."""

import contextlib
import http.client
import json
import subprocess
import threading
import time
import urllib.parse

from . import processes


class Host:
    """Use as a context manager: the process ends with the block."""

    def __init__(self, binary, data_dir, cpu=None, flags=()):
        """On one CPU alone where `cpu` is its number."""
        command = [binary, "serve", "--listen", "127.0.0.1:0", "--trickle", "127.0.0.1:0"]
        if cpu is not None:
            command = ["taskset", "--cpu-list", str(cpu), *command]
        began = time.monotonic()
        self.process = processes.start(
            [*command, "--data-dir", data_dir, "--log-format", "json", *flags],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        self.pid, self.complaints = self.process.pid, []
        ready = self._until_ready()
        self.ready_s = time.monotonic() - began
        self.api, self.trickle = ready["api"], ready["trickle"]
        threading.Thread(target=self._read_log, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        processes.end(self.process)

    def _until_ready(self):
        for line in self.process.stderr:
            with contextlib.suppress(ValueError):
                entry = json.loads(line)
                if entry.get("message") == "ready":
                    return entry
        raise RuntimeError("the host ended before it was ready")

    def _read_log(self):
        for line in self.process.stderr:
            try:
                entry = json.loads(line)
            except ValueError:
                # Not a log line: a panic's message, most likely.
                self.complaints.append(line.decode(errors="replace").rstrip())
                continue
            if entry.get("level") in ("WARN", "ERROR"):
                self.complaints.append(json.dumps({key: entry[key] for key in entry if key != "timestamp"}))

    def panics(self):
        """The host's own; guests' are log lines."""
        return [line for line in self.complaints if not line.startswith("{") and "panicked" in line]

    def upload(self, name, component):
        """Uploads a component."""
        with open(component, "rb") as file:
            self.request("POST", f"/api/processors?name={urllib.parse.quote(name)}", file.read())

    def request(self, method, path, body=None):
        """A REST call; gives the answer's JSON."""
        connection = http.client.HTTPConnection(self.api, timeout=60)
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
            response = connection.getresponse()
            answer = response.read()
        finally:
            connection.close()
        if response.status >= 300:
            raise RuntimeError(f"{method} {path}: {response.status} {answer.decode(errors='replace')}")
        return json.loads(answer)

    def status(self, stream):
        """A stream's status."""
        return self.request("GET", f"/api/streams/{stream}")

    def status_when(self, stream, wanted, patience=10):
        """A stream's status as soon as it is as wanted, or as it is when patience ends."""
        deadline = time.monotonic() + patience
        while True:
            status = self.status(stream)
            if wanted(status) or time.monotonic() > deadline:
                return status
            time.sleep(0.05)
