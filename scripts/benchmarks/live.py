"""One live stream through a host, measured from outside.

Segments go to the trickle server in real time over plain HTTP, and what the host publishes is read back as it comes.
While the stream runs only wall times are noted; bytes are looked into afterwards, so that measuring takes little of the
machine. CPU time and memory are the whole host's, with the trickle server that is in it.
"""

import http.client
import json
import threading
import time
from bisect import bisect_left
from collections import Counter

from . import mpegts, processes
from .goals import against

# Pieces a second, where a segment's bytes are spread evenly over its time.
_PIECES = 50

# Ticks from one Opus packet to the next.
_OPUS_STEP = 1800

LATENCY_GOALS = {"p50": "<= 35", "p95": "<= 60", "max": "<= 250"}


def evenly(segment, start, end):
    """Bytes at a constant rate, as over a line that is just fast enough: several small frames may share a piece."""
    step = max(1, len(segment) // round(_PIECES * (end - start)) // mpegts.PACKET) * mpegts.PACKET
    return [(start + (end - start) * at / len(segment), segment[at : at + step]) for at in range(0, len(segment), step)]


def frame_by_frame(segment, start, _end):
    """Each PES packet whole at its decoding time, as from an encoder beside the server."""
    packets = mpegts.pes_packets(segment)
    first = _video_times(segment)[0]
    sent, due, pieces = 0, start, []
    for pes in packets:
        due = max(due, start + pes.dts / mpegts.TICKS_PER_SECOND - first)
        pieces.append((due, segment[sent : pes.end]))
        sent = pes.end
    return pieces


class Stream:
    """A stream of `segments` through `processor`; `run` plays it once."""

    def __init__(self, host, name, processor, params, segments, pacing, latency_goals=LATENCY_GOALS):
        self.host, self.name, self.latency_goals = host, name, latency_goals
        self.start_body = json.dumps({
            "subscribe_url": f"http://{host.trickle}/{name}-in",
            "publish_url": f"http://{host.trickle}/{name}-out",
            "gateway_request_id": name,
            "processor": processor,
            "params": params,
        })
        self.schedule, self.video_s = _schedule(segments, pacing)
        self.sent, self.received, self.failures = [], [], []

    def run(self):
        """Plays the stream and gives its report."""
        for channel in (f"{self.name}-in", f"{self.name}-out"):
            self._trickle("POST", f"/{channel}", {"Expect-Content": "video/mp2t"})
        own_cpu, cpu = time.process_time(), processes.cpu_seconds(self.host.pid)
        publisher = threading.Thread(target=self._guard, args=(self._publish,), daemon=True)
        subscriber = threading.Thread(target=self._guard, args=(self._subscribe,), daemon=True)
        subscriber.start()
        publisher.start()
        # The first segment is under way when the host is told of the stream, as it is behind a gateway.
        time.sleep(0.05)
        called = time.monotonic()
        self.host.request("POST", "/api/stream/start", self.start_body)
        answered = time.monotonic()
        publisher.join(self.video_s + 60)
        subscriber.join(15)
        if subscriber.is_alive():
            self.failures.append("the output did not end within 15 s of the input")
        cpu = processes.cpu_seconds(self.host.pid) - cpu
        own_cpu = time.process_time() - own_cpu
        status = self.host.status_when(self.name, lambda status: status["state"] in ("ENDED", "ERROR"))
        if status["state"] != "ENDED":
            self.failures.append(f"the stream is {status['state']}: {status.get('reason')}")
        return self._report(called, answered, cpu, own_cpu, status)

    def _guard(self, work):
        try:
            work()
        except Exception as error:  # whatever it was, the report must tell it
            self.failures.append(f"{work.__name__.strip('_')}: {error!r}")

    def _trickle(self, method, path, headers=None):
        connection = http.client.HTTPConnection(self.host.trickle, timeout=60)
        try:
            connection.request(method, path, headers=headers or {})
            response = connection.getresponse()
            response.read()
        finally:
            connection.close()
        if response.status != 200:
            raise RuntimeError(f"{method} {path}: {response.status}")

    def _publish(self):
        began = time.monotonic()
        for seq, pieces in enumerate(self.schedule):
            connection = http.client.HTTPConnection(self.host.trickle, timeout=60)
            try:
                headers = {"Content-Type": "video/mp2t", "Transfer-Encoding": "chunked"}
                body = self._paced(began, pieces)
                connection.request("POST", f"/{self.name}-in/{seq}", body, headers, encode_chunked=True)
                response = connection.getresponse()
                response.read()
            finally:
                connection.close()
            if response.status != 200:
                self.failures.append(f"segment {seq} was answered with {response.status}")
        # Segments that nobody has asked for are lost with their channel.
        self.host.status_when(self.name, lambda status: status["input"]["segments"] >= len(self.schedule))
        self._trickle("DELETE", f"/{self.name}-in")

    def _paced(self, began, pieces):
        for due, piece in pieces:
            wait = began + due - time.monotonic()
            if wait > 0:
                time.sleep(wait)
            self.sent.append((time.monotonic(), piece))
            yield piece

    def _subscribe(self):
        seq = 0
        while True:
            connection = http.client.HTTPConnection(self.host.trickle, timeout=60)
            try:
                connection.request("GET", f"/{self.name}-out/{seq}")
                response = connection.getresponse()
                if response.getheader("Lp-Trickle-Closed") or response.status == 404:
                    return
                if response.status != 200:
                    raise RuntimeError(f"GET of segment {seq}: {response.status}")
                while piece := response.read1(65536):
                    self.received.append((time.monotonic(), piece))
                seq = int(response.getheader("Lp-Trickle-Seq")) + 1
            finally:
                connection.close()

    def _report(self, called, answered, cpu, own_cpu, status):
        sent, received = _timed(self.sent), _timed(self.received)
        video_in, video_out = _times(_of("video", sent)), _times(_of("video", received))
        counted = Counter(pes.pts for pes, _ in _of("video", received))
        now, peak = processes.memory_mb(self.host.pid)
        first_in = min(video_in.values(), default=called)
        first_out = self.received[0][0] if self.received else None
        return {
            "cpu_s_per_video_s": against(round(cpu / self.video_s, 4), "<= 0.12"),
            "latency_ms": _latency(video_in, video_out, self.latency_goals),
            "frames": {
                "in": len(video_in),
                "out": sum(counted.values()),
                "lost": against(len(video_in.keys() - video_out.keys()), "== 0"),
                "doubled": against(sum(times - 1 for times in counted.values()), "== 0"),
                "with_a_pts_of_their_own": against(len(video_out.keys() - video_in.keys()), "== 0"),
            },
            "audio": _audio(sent, received),
            "peak_rss_mb": against(round(peak, 1), "<= 80"),
            "rss_after_mb": round(now, 1),
            "start_s": round(answered - called, 4),
            "first_frame_in_s": round(first_in - called, 3),
            "first_bytes_out_s": against(None if first_out is None else round(first_out - called, 3), "<= 1.1"),
            "host_says": _host_says(status),
            "failures": self.failures,
            "video_s": round(self.video_s, 2),
            "measuring_cpu_s_per_video_s": round(own_cpu / self.video_s, 4),
        }


def _schedule(segments, pacing):
    """Pieces of each segment with the time at which each is due, and the length of it all."""
    times = [_video_times(segment) for segment in segments]
    begin, last = times[0][0], times[-1]
    # The last frame lasts as long as the one before it.
    starts = [segment[0] - begin for segment in times] + [2 * last[-1] - last[-2] - begin]
    return [pacing(segment, *span) for segment, span in zip(segments, zip(starts, starts[1:]))], starts[-1]


def _video_times(segment):
    """The decoding times of a segment's frames, in seconds."""
    return [pes.dts / mpegts.TICKS_PER_SECOND for pes in mpegts.pes_packets(segment) if pes.kind == "video"]


def _of(kind, timed):
    return [(pes, at) for pes, at in timed if pes.kind == kind and pes.pts is not None]


def _timed(pieces):
    """Every PES packet with the time of the piece that holds its last byte."""
    ends, size = [], 0
    for _, piece in pieces:
        size += len(piece)
        ends.append(size)
    data = b"".join(piece for _, piece in pieces)
    return [(pes, pieces[bisect_left(ends, pes.end)][0]) for pes in mpegts.pes_packets(data)]


def _times(timed):
    """When each PTS came, for the first time where it came more than once."""
    return {pes.pts: at for pes, at in reversed(timed)}


def _audio(sent, received):
    """Seconds between the first and the last PES packet of sound, and steps of the output that are not Opus' 20 ms."""

    def times(timed):
        return [pes.pts for pes, _ in _of("audio", timed)]

    def span(times):
        return round((times[-1] - times[0]) % mpegts.WRAP / mpegts.TICKS_PER_SECOND, 3) if times else 0

    before, after = times(sent), times(received)
    steps = ((second - first) % mpegts.WRAP for first, second in zip(after, after[1:]))
    return {
        "in_s": span(before),
        "out_s": span(after),
        "uneven_steps": sum(abs(step - _OPUS_STEP) > 1 for step in steps),
    }


def _latency(video_in, video_out, goals):
    """From the last byte of a frame sent to the last byte of it received, for every frame that came."""
    values = sorted((video_out[pts] - video_in[pts]) * 1e3 for pts in video_out.keys() & video_in.keys())
    report = {"min": 0.0, "p50": 0.5, "p95": 0.95, "max": 1.0}
    for name, part in report.items():
        value = round(values[int(part * (len(values) - 1))], 1) if values else None
        report[name] = against(value, goals[name]) if name in goals else value
    return report


def _host_says(status):
    """What the host counted itself; its latency is from bytes received to bytes encoded."""
    return {
        "state": status["state"],
        "reason": status.get("reason"),
        "latency_ms": status["latency_ms"],
        "guest_ms": status["guest"]["time_ms"],
        "guest_memory_mb": round(status["guest"]["memory_bytes"] / 2**20, 1),
        "frames_dropped": status["frames_dropped"],
        "frames_out_of_order": status["output"]["frames_out_of_order"],
        "bad_packets": status["input"]["bad_packets"],
        "bad_units": status["input"]["bad_units"],
        "errors": sum(status["errors"].values()),
        "segments_missed": status["input"]["segments_missed"],
        "segments_skipped": status["output"]["segments_skipped"],
        "retries": status["output"]["retries"],
    }


def no_worse(first, second):
    """A second stream on the same host beside the first; the margins are what the machine's noise does to equals.

    Growth of memory has no goal of its own: the allocator keeps what streams give back, up to a level that the goal for
    the peak bounds.
    """

    def ratio(figure):
        one, other = figure(first)["value"], figure(second)["value"]
        return round(other / one, 3) if one and other else None

    return {
        "cpu_ratio": against(ratio(lambda report: report["cpu_s_per_video_s"]), "<= 1.15"),
        "latency_p50_ratio": against(ratio(lambda report: report["latency_ms"]["p50"]), "<= 1.25"),
        "latency_p95_ratio": against(ratio(lambda report: report["latency_ms"]["p95"]), "<= 1.25"),
        "rss_growth_mb": round(second["rss_after_mb"] - first["rss_after_mb"], 1),
    }
