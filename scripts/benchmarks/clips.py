"""What is measured on: made from the committed clip, with the ffmpeg command line."""

import glob
import os

from . import processes

FPS = 25

_QUIET = ["ffmpeg", "-hide_banner", "-loglevel", "error", "-nostdin", "-y"]

# The clip's sound is not as long as its pictures, so where it starts anew only encoding makes the sound even.
_OWN_PICTURES = ["-c:v", "copy", "-af", "aresample=async=1", "-c:a", "aac", "-b:a", "384k"]

# What the host does by default, without a processor: square centre crop, the same scaler, the same encoders' settings.
_SAME_AS_HOST = [
    *["-vf", "crop=ih:ih,scale=512:512:flags=bilinear,format=yuv420p"],
    *["-c:v", "libx264", "-preset", "superfast", "-tune", "zerolatency", "-bf", "0", "-crf", "23", "-g", "25"],
    *["-c:a", "libopus", "-b:a", "96k", "-compression_level", "5", "-f", "mpegts"],
]


class Clips:
    """Clips in a directory; each is made when it is first asked for."""

    def __init__(self, source, directory):
        self.source, self.directory = source, directory

    def looped(self):
        """The clip's own pictures, four times over: about 21 s."""
        path = os.path.join(self.directory, "looped.mp4")
        if not os.path.exists(path):
            processes.run([*_QUIET, "-stream_loop", "3", "-i", self.source, *_OWN_PICTURES, path])
        return path

    def zerolatency(self, seconds):
        """One-second segments without B-frames, at exactly 25 frames/s, with AAC stereo."""
        timing = ["-vf", f"setpts=N/{FPS}/TB", "-r", str(FPS), "-frames:v", str(seconds * FPS)]
        keys = ["-g", str(FPS), "-keyint_min", str(FPS), "-sc_threshold", "0"]
        video = ["-c:v", "libx264", "-preset", "veryfast", "-tune", "zerolatency", *keys]
        audio = ["-c:a", "aac", "-b:a", "128k", "-ac", "2", "-t", str(seconds)]
        return self._segments("zerolatency", ["-stream_loop", "-1"], [*timing, *video, *audio])

    def small(self):
        """A file with a second of 160x90: what is done to it costs next to nothing besides its processor."""
        path = os.path.join(self.directory, "small.ts")
        if not os.path.exists(path):
            video = ["-vf", f"scale=160:90,setpts=N/{FPS}/TB", "-r", str(FPS), "-frames:v", str(FPS)]
            codecs = ["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-c:a", "aac", "-t", "1"]
            processes.run([*_QUIET, "-i", self.source, *video, *codecs, "-f", "mpegts", path])
        return path

    def b_frames(self, seconds):
        """Segments of the clip's own pictures, cut at its key frames: two B-frames, 5.1 sound."""
        return self._segments("b-frames", ["-stream_loop", "-1"], [*_OWN_PICTURES, "-t", str(seconds)])

    def _segments(self, name, before, after):
        directory = os.path.join(self.directory, name)
        if not os.path.isdir(directory):
            os.mkdir(directory)
            cut = ["-f", "segment", "-segment_time", "1", "-segment_time_delta", "0.02", "-segment_format", "mpegts"]
            pattern = os.path.join(directory, "%03d.ts")
            processes.run([*_QUIET, *before, "-i", self.source, *after, *cut, pattern])
        segments = []
        for path in sorted(glob.glob(os.path.join(directory, "*.ts"))):
            with open(path, "rb") as file:
                segments.append(file.read())
        return segments

    def transcoded_by_ffmpeg(self, seconds, threads=()):
        """What the ffmpeg command line needs for the work of a stream without its effect, as fast as it goes.

        `threads` are options that hold for the decoders and for the encoders.
        """
        path = os.path.join(self.directory, "reference-input.ts")
        if not os.path.exists(path):
            with open(path, "wb") as file:
                file.writelines(self.zerolatency(seconds))
        output = os.path.join(self.directory, "reference-output.ts")
        return processes.run([*_QUIET, *threads, "-i", path, *_SAME_AS_HOST, *threads, output])

    @staticmethod
    def reference_command():
        """The command, for the record."""
        return " ".join(["ffmpeg -i INPUT", *_SAME_AS_HOST, "OUTPUT"])
