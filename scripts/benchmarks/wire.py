"""HTTP/1.1 on an event loop, for many connections at little cost: requests with a body of any kind, and replies that
have a length or come in chunks, as the host's are."""

import asyncio
from contextlib import closing


class Connection(asyncio.Protocol):
    """Carries one request after the other."""

    def __init__(self):
        self._transport, self._reply, self._address = None, None, None

    @classmethod
    async def open(cls, address):
        """Connects to HOST:PORT."""
        host, _, port = address.rpartition(":")
        _, connection = await asyncio.get_running_loop().create_connection(cls, host, int(port))
        connection._address = address
        return connection

    def request(self, method, path, headers=None, body=None, on_body=None):
        """Sends a request; gives a future of its `Reply`. Without a `body`, one in chunks may follow."""
        headers = {"Host": self._address} | (headers or {})
        if body is not None:
            headers["Content-Length"] = str(len(body))
        head = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        self._reply = Reply(on_body)
        self._transport.write("\r\n".join(head).encode() + (body or b""))
        return self._reply.whole

    def chunk(self, piece):
        """Sends a piece of a body in chunks; an empty one ends it."""
        self._transport.write(b"%x\r\n%b\r\n" % (len(piece), piece))

    def close(self):
        """Whoever still waits for a reply is cancelled."""
        if self._reply:
            self._reply.whole.cancel()
        self._transport.abort()

    def connection_made(self, transport):
        self._transport = transport

    def data_received(self, data):
        try:
            self._reply.feed(data)
        except ValueError as error:
            self._reply.fail(error)

    def connection_lost(self, error):
        if self._reply:
            self._reply.fail(error or ConnectionResetError("the server hung up before its reply was whole"))


class Reply:
    """A reply, taken in as it comes: `whole` is done when its last byte is here.

    The body of a success goes to `on_body`, where there is one; any other is kept.
    """

    def __init__(self, on_body=None):
        self.status, self.headers, self.body = None, {}, bytearray()
        self.whole = asyncio.get_running_loop().create_future()
        self._on_body = on_body
        # What has not been looked at, what looks at it next, and the bytes left of the body or chunk.
        self._held, self._step, self._left = b"", self._head, 0

    def feed(self, data):
        """Takes bytes in any pieces; body bytes go on at once."""
        self._held = self._held + data if self._held else data
        while self._step():
            pass

    def fail(self, error):
        """The rest will not come."""
        if not self.whole.done():
            self.whole.set_exception(error)

    def _line(self, end):
        line, found, rest = self._held.partition(end)
        if not found:
            return None
        self._held = rest
        return line

    def _head(self):
        head = self._line(b"\r\n\r\n")
        if head is None:
            return False
        first, *lines = head.decode("latin-1").split("\r\n")
        self.status = int(first.split(" ", 2)[1])
        if self.status != 200 or not self._on_body:
            self._on_body = self.body.extend
        fields = (line.partition(":") for line in lines)
        self.headers = {name.lower(): value.strip() for name, _, value in fields}
        if self.headers.get("transfer-encoding", "").lower() == "chunked":
            self._step = self._size
            return True
        self._left = int(self.headers.get("content-length", 0))
        self._step = self._rest
        return True

    def _rest(self):
        self._take()
        return self._end() if self._left == 0 else False

    def _size(self):
        line = self._line(b"\r\n")
        if line is None:
            return False
        self._left = int(line.partition(b";")[0], 16)
        self._step = self._chunk if self._left else self._trailer
        return True

    def _chunk(self):
        self._take()
        if self._left:
            return False
        self._step = self._gap
        return True

    def _gap(self):
        if self._line(b"\r\n") is None:
            return False
        self._step = self._size
        return True

    def _trailer(self):
        line = self._line(b"\r\n")
        if line is None:
            return False
        return self._end() if line == b"" else True

    def _take(self):
        piece = self._held[: self._left]
        if piece:
            self._held = self._held[len(piece) :]
            self._left -= len(piece)
            self._on_body(piece)

    def _end(self):
        if not self.whole.done():
            self.whole.set_result(self)
        return False


async def call(address, method, path, body=None, headers=None):
    """One request on a connection of its own; the reply must be a success."""
    with closing(await Connection.open(address)) as connection:
        reply = await connection.request(method, path, headers, b"" if body is None else body)
    if reply.status >= 300:
        raise RuntimeError(f"{method} {path}: {reply.status} {reply.body.decode(errors='replace')}")
    return reply
