//! `audio`: frames as the host's resources.

use super::types;
use crate::wasm::bindings::rillbox::processor::audio as wire;
use crate::{Refusal, SampleOrder, Timestamp};

pub(crate) use wire::AudioFrame as Handle;

pub(crate) fn sample_rate(frame: &Handle) -> u32 {
    frame.sample_rate()
}

pub(crate) fn channels(frame: &Handle) -> u32 {
    frame.channels()
}

pub(crate) fn layout(frame: &Handle) -> String {
    frame.layout()
}

pub(crate) fn samples_per_channel(frame: &Handle) -> u32 {
    frame.samples_per_channel()
}

pub(crate) fn timestamp(frame: &Handle) -> Timestamp {
    types::timestamp(frame.timestamp())
}

pub(crate) fn samples(frame: &Handle, order: SampleOrder) -> Vec<f32> {
    frame.samples(wire_order(order))
}

pub(crate) fn replace_samples(frame: &Handle, order: SampleOrder, samples: &[f32]) -> Result<(), Refusal> {
    frame.replace_samples(wire_order(order), samples).map_err(types::refusal)
}

pub(crate) fn derive(
    frame: &Handle,
    timestamp: Timestamp,
    order: SampleOrder,
    samples: &[f32],
) -> Result<Handle, Refusal> {
    frame.derive(types::wire_timestamp(timestamp), wire_order(order), samples).map_err(types::refusal)
}

pub(crate) fn retain(frame: &Handle) -> Result<Handle, Refusal> {
    frame.retain().map_err(types::refusal)
}

fn wire_order(order: SampleOrder) -> wire::SampleOrder {
    match order {
        SampleOrder::Planar => wire::SampleOrder::Planar,
        SampleOrder::Interleaved => wire::SampleOrder::Interleaved,
    }
}
