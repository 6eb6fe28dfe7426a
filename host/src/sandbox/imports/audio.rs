//! `audio`: handles to samples.

use rillbox_media::{AudioFrame, Ticks};
use wasmtime::component::Resource;

use crate::sandbox::bindings::rillbox::processor::audio as wit;
use crate::sandbox::bindings::rillbox::processor::types::{Error, Timestamp};
use crate::sandbox::context::Guest;
use crate::sandbox::imports::CallError;
use crate::sandbox::imports::video::timestamp;

/// What a guest's handle of samples stands for.
pub struct Frame {
    pub samples: AudioFrame,
    /// Bytes counted against the guest.
    pub counted: usize,
    /// A retained frame cannot be changed.
    pub retained: bool,
}

impl Frame {
    fn bytes(samples: &AudioFrame) -> usize {
        samples.samples() * samples.channels.len() * size_of::<f32>()
    }
}

impl wit::Host for Guest {}

impl wit::HostAudioFrame for Guest {
    fn sample_rate(&mut self, frame: Resource<Frame>) -> wasmtime::Result<u32> {
        Ok(self.table.get(&frame)?.samples.rate)
    }

    fn channels(&mut self, frame: Resource<Frame>) -> wasmtime::Result<u32> {
        Ok(self.table.get(&frame)?.samples.channels.len() as u32)
    }

    fn layout(&mut self, frame: Resource<Frame>) -> wasmtime::Result<String> {
        Ok(self.table.get(&frame)?.samples.layout_name())
    }

    fn samples_per_channel(&mut self, frame: Resource<Frame>) -> wasmtime::Result<u32> {
        Ok(self.table.get(&frame)?.samples.samples() as u32)
    }

    fn timestamp(&mut self, frame: Resource<Frame>) -> wasmtime::Result<Timestamp> {
        Ok(timestamp(self.table.get(&frame)?.samples.pts))
    }

    fn samples(&mut self, frame: Resource<Frame>, order: wit::SampleOrder) -> wasmtime::Result<Vec<f32>> {
        let samples = &self.table.get(&frame)?.samples;
        Ok(match order {
            wit::SampleOrder::Planar => samples.channels.concat(),
            wit::SampleOrder::Interleaved => {
                let each = |at| samples.channels.iter().map(move |channel: &Vec<f32>| channel[at]);
                (0..samples.samples()).flat_map(each).collect()
            }
        })
    }

    fn replace_samples(
        &mut self,
        frame: Resource<Frame>,
        order: wit::SampleOrder,
        samples: Vec<f32>,
    ) -> Result<(), CallError> {
        let target = self.table.get_mut(&frame)?;
        if target.retained {
            return Err(CallError::invalid("a retained frame cannot be replaced"));
        }
        let bytes = samples.len() * size_of::<f32>();
        let channels = split(samples, order, target.samples.channels.len())?;
        // The guest may keep the frame, with whatever is in it.
        if !self.budget.reserve(bytes.saturating_sub(target.counted)) {
            return Err(no_memory(bytes).into());
        }
        self.budget.release(target.counted.saturating_sub(bytes));
        (target.counted, target.samples.channels) = (bytes, channels);
        Ok(())
    }

    fn derive(
        &mut self,
        frame: Resource<Frame>,
        timestamp: Timestamp,
        order: wit::SampleOrder,
        samples: Vec<f32>,
    ) -> Result<Resource<Frame>, CallError> {
        let like = &self.table.get(&frame)?.samples;
        let (rate, layout) = (like.rate, like.layout);
        let channels = split(samples, order, like.channels.len())?;
        let base = timestamp.time_base;
        let (Ok(numerator), Ok(denominator @ 1..)) = (i32::try_from(base.numerator), i32::try_from(base.denominator))
        else {
            return Err(CallError::invalid("the time base is not a fraction of 31-bit numbers"));
        };
        let pts = Ticks::from_units(timestamp.ticks, numerator, denominator);
        Ok(push(self, AudioFrame { pts, rate, layout, channels }, false)?)
    }

    fn retain(&mut self, frame: Resource<Frame>) -> Result<Resource<Frame>, CallError> {
        let samples = self.table.get(&frame)?.samples.clone();
        Ok(push(self, samples, true)?)
    }

    fn drop(&mut self, frame: Resource<Frame>) -> wasmtime::Result<()> {
        let frame = self.table.delete(frame)?;
        self.budget.release(frame.counted);
        Ok(())
    }
}

/// Makes a handle of samples, and counts their bytes.
pub fn push(guest: &mut Guest, samples: AudioFrame, retained: bool) -> Result<Resource<Frame>, Error> {
    let counted = Frame::bytes(&samples);
    if !guest.budget.reserve(counted) {
        return Err(no_memory(counted));
    }
    guest.table.push(Frame { samples, counted, retained }).map_err(|_| {
        guest.budget.release(counted);
        guest.no_handle()
    })
}

fn no_memory(bytes: usize) -> Error {
    Error::Limit(format!("{bytes} bytes of samples do not fit into the memory limit"))
}

fn split(samples: Vec<f32>, order: wit::SampleOrder, channels: usize) -> Result<Vec<Vec<f32>>, CallError> {
    if channels == 0 || !samples.len().is_multiple_of(channels) {
        let given = samples.len();
        return Err(CallError::invalid(format!("{given} samples are not a multiple of {channels} channels")));
    }
    let each = samples.len() / channels;
    let clean = |sample: &f32| if sample.is_finite() { *sample } else { 0.0 };
    Ok((0..channels)
        .map(|channel| match order {
            wit::SampleOrder::Planar => samples[channel * each..][..each].iter().map(clean).collect(),
            wit::SampleOrder::Interleaved => samples.iter().skip(channel).step_by(channels).map(clean).collect(),
        })
        .collect())
}
