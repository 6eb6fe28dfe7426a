"""Warms a picture's colors: red up, blue down. The pixels stay in the host; what is worked out here is three numbers."""

import json
import struct

from wit_world import exports
from wit_world.exports.processor import Description, Isolation, Media, VideoOutcome
from wit_world.imports.tensor import BinaryOperation, ChannelOrder, Channels, ElementType, PictureLayout, Tensor
from wit_world.imports.video import PixelFormat

SCHEMA = {
    "type": "object",
    "properties": {"warmth": {"type": "number", "minimum": 0, "maximum": 1, "default": 0.5}},
    "additionalProperties": False,
}

# (rows, columns, 3), red, green and blue from 0 to 1.
RGB = PictureLayout(
    channels=Channels.RGB,
    order=ChannelOrder.HWC,
    batch=False,
    element=ElementType.FLOAT32,
    scale=[1 / 255],
    offset=[],
)

# What is kept between calls is kept here: each call has an object of its own.
gains = None


class Processor(exports.Processor):
    def describe(self):
        return Description(
            name="warm",
            version="0.1.0",
            params_schema=json.dumps(SCHEMA),
            media=Media.VIDEO,
            pixel_format=PixelFormat.RGB8,
            isolation=Isolation.SHARED,
            capabilities=[],
        )

    def load(self):
        pass

    def start(self, params):
        self.update_params(params)

    def update_params(self, params):
        warmth = json.loads(params).get("warmth", SCHEMA["properties"]["warmth"]["default"])
        global gains
        gains = Tensor.from_bytes(ElementType.FLOAT32, [3], struct.pack("<3f", 1 + warmth / 2, 1, 1 - warmth / 2))

    def stop(self):
        pass

    def process_video(self, frame):
        # Handles are given back at the end of `with`, not whenever the collector comes by.
        with Tensor.from_frame(frame, RGB) as picture:
            with picture.binary(BinaryOperation.MUL, gains) as warm:
                warm.replace_frame(frame, RGB)
        return VideoOutcome.REPLACED

    def process_audio(self, frame):
        return [frame]
