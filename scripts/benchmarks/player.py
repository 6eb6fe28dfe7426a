"""One stream through a host in real time, seen from outside: segments go to its trickle server over plain HTTP, and
what the host publishes is read back as it comes.

While it plays only times and counts are noted, and the output is kept in a file; bytes are looked into afterwards. So
dozens of streams can be played by one process that takes little of the machine it measures.
"""

import asyncio
import os
import time
from array import array
from bisect import bisect_left
from contextlib import closing

from . import mpegts
from .gateway import Gateway, over

# Seconds by which input is ahead of the start call, as it is behind a gateway.
_HEAD_START = 0.05

# Seconds that each step of a stream's end may take.
_PATIENCE = 15

# Seconds from one look at whether a stream is over to the next: hosts forget those that are.
_WATCH = 1


class Player:
    """Plays `feed` through a stream that is started with `start`; `play` does it once."""

    def __init__(self, host, name, start, feed, directory):
        self.name, self.feed = name, feed
        self._gateway, self._output = Gateway(host, name, start), os.path.join(directory, f"{name}.output.ts")
        # When each piece was sent; when each was received, and the size of the output with it.
        self._sent, self._received, self._sizes, self._size = array("d"), array("d"), array("q"), 0
        # Segments that were sent.
        self._segments = 0
        # When the first piece was sent, the start call made, and answered.
        self.began = self.called = self.answered = None
        self.status, self.failures, self._enough = None, [], False

    async def play(self):
        """Plays the feed to its end; what goes wrong is told by `failures`, and leaves no `status`."""
        try:
            async with asyncio.timeout(self.feed.seconds + 60):
                await self._play()
        except* Exception as errors:  # whatever it was, the report must tell it
            self.failures += [str(error) or repr(error) for error in errors.exceptions]
        if self.status and self.status["state"] != "ENDED":
            self.failures.append(f"the stream is {self.status['state']}: {self.status.get('reason')}")

    def enough(self):
        """The feed ends with the segment that is being sent."""
        self._enough = True

    async def _play(self):
        await self._gateway.create_channels()
        with open(self._output, "wb", buffering=1 << 20) as output:
            async with asyncio.TaskGroup() as tasks:
                reader = tasks.create_task(self._gateway.read(lambda at, piece: self._note(output, at, piece)))
                publisher = tasks.create_task(self._publish())
                await asyncio.sleep(_HEAD_START)
                self.called = time.monotonic()
                await self._gateway.start()
                self.answered = time.monotonic()
                ended = tasks.create_task(self._gateway.status_when(over, _WATCH))
                await publisher
                await self._end(reader, ended)

    async def _publish(self):
        # Two connections in turn: a segment is begun before the last one is answered.
        with closing(await self._gateway.publisher()) as even, closing(await self._gateway.publisher()) as odd:
            self.began, last = time.monotonic(), None
            for seq in range(self.feed.count):
                if self._enough:
                    break
                self._segments = seq + 1
                connection = odd if seq % 2 else even
                answer = self._gateway.publish(connection, seq)
                for due, piece in self.feed.pieces(seq):
                    await asyncio.sleep(max(0, self.began + due - time.monotonic()))
                    self._sent.append(time.monotonic())
                    connection.chunk(piece)
                connection.chunk(b"")
                if last:
                    self._check(await last)
                last = answer
            self._check(await last)

    def _check(self, reply):
        if reply.status != 200:
            self.failures.append(f"a segment was answered with {reply.status} {reply.body.decode(errors='replace')}")

    async def _end(self, reader, ended):
        # One that has missed a segment is measured all the same: frames that are lost are in its report.
        read = self._gateway.status_when(lambda status: status["input"]["segments"] >= self._segments)
        try:
            await _in_time("all input is read", read)
        except RuntimeError as error:
            self.failures.append(str(error))
        await self._gateway.close_input()
        await _in_time("the output ends", reader)
        self.status = await _in_time("the stream is over", ended)

    def _note(self, output, at, piece):
        output.write(piece)
        self._size += len(piece)
        self._received.append(at)
        self._sizes.append(self._size)

    def sent(self):
        """The PES packets that were sent, each with the time of its last byte."""
        return [(pes, self._sent[piece]) for pes, piece in self.feed.packets() if piece < len(self._sent)]

    def received(self):
        """The PES packets that came back, each with the time of its last byte."""
        with open(self._output, "rb") as file:
            packets = mpegts.pes_packets(file.read())
        return [(pes, self._received[bisect_left(self._sizes, pes.end)]) for pes in packets if pes.pts is not None]

    def first_byte(self):
        """When output began, if it did."""
        return self._received[0] if self._received else None

    def late(self):
        """By how many seconds each piece was sent too late: how well this process kept up."""
        return [sent - self.began - due for sent, due in zip(self._sent, self.feed.dues())]


async def _in_time(what, wanted):
    try:
        return await asyncio.wait_for(wanted, _PATIENCE)
    except TimeoutError:
        raise RuntimeError(f"waited {_PATIENCE} s in vain until {what}") from None
