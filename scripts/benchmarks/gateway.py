"""A stream on a host as its gateway sees it: two channels of the trickle server, and a few REST calls."""

import asyncio
import json
import time
from contextlib import closing

from . import wire

_CREATED = {"Expect-Content": "video/mp2t"}
_CHUNKED = {"Content-Type": "video/mp2t", "Transfer-Encoding": "chunked"}

# Seconds from one look at a status to the next.
_POLL = 0.05


class Gateway:
    """The stream `name`, which `start`, the body of the start call, begins; URLs and id are put in."""

    def __init__(self, host, name, start):
        self.host, self.name = host, name
        self._start = json.dumps(start | {
            "subscribe_url": f"http://{host.trickle}/{name}-in",
            "publish_url": f"http://{host.trickle}/{name}-out",
            "gateway_request_id": name,
        }).encode()

    async def create_channels(self):
        """Creates input and output, so that either side may come first."""
        for end in ("in", "out"):
            await wire.call(self.host.trickle, "POST", f"/{self.name}-{end}", headers=_CREATED)

    async def start(self):
        """The start call."""
        await wire.call(self.host.api, "POST", "/api/stream/start", self._start, {"Content-Type": "application/json"})

    async def publisher(self):
        """A connection for `publish`."""
        return await wire.Connection.open(self.host.trickle)

    def publish(self, connection, seq):
        """Begins a segment, whose chunks may follow; gives a future of the reply."""
        return connection.request("POST", f"/{self.name}-in/{seq}", _CHUNKED)

    async def close_input(self):
        """Ends the stream. Segments that nobody has asked for are lost with their channel."""
        await wire.call(self.host.trickle, "DELETE", f"/{self.name}-in")

    async def read(self, on_body, on_segment=None):
        """Reads the output from its first segment until it is closed: `on_body` is given pieces with their times, and
        `on_segment` is called after each segment."""
        seq = 0
        with closing(await wire.Connection.open(self.host.trickle)) as connection:
            while True:
                reply = await connection.request(
                    "GET", f"/{self.name}-out/{seq}", on_body=lambda piece: on_body(time.monotonic(), piece)
                )
                if "lp-trickle-closed" in reply.headers or reply.status == 404:
                    return
                if reply.status != 200:
                    raise RuntimeError(f"GET of segment {seq} of {self.name}-out: {reply.status}")
                if on_segment:
                    on_segment()
                seq = int(reply.headers["lp-trickle-seq"]) + 1

    async def status_when(self, wanted, poll=_POLL):
        """The stream's status as soon as it is as wanted, or over."""
        while True:
            status = json.loads((await wire.call(self.host.api, "GET", f"/api/streams/{self.name}")).body)
            if wanted(status) or over(status):
                return status
            await asyncio.sleep(poll)


def over(status):
    """Whether a stream has ended."""
    return status["state"] in ("ENDED", "ERROR")
