//! `audio`: frames as sound in memory.

use std::cell::RefCell;

use crate::testing::Sound;
use crate::{Refusal, SampleOrder, Timestamp};

/// A frame: its samples as they are now.
pub(crate) struct Handle {
    sound: RefCell<Sound>,
    retained: bool,
}

impl Handle {
    pub(crate) fn new(sound: Sound) -> Self {
        Self { sound: RefCell::new(sound), retained: false }
    }

    pub(crate) fn into_sound(self) -> Sound {
        self.sound.into_inner()
    }
}

pub(crate) fn sample_rate(frame: &Handle) -> u32 {
    frame.sound.borrow().sample_rate
}

pub(crate) fn channels(frame: &Handle) -> u32 {
    frame.sound.borrow().channels
}

pub(crate) fn layout(frame: &Handle) -> String {
    match channels(frame) {
        1 => "mono".into(),
        2 => "stereo".into(),
        6 => "5.1".into(),
        8 => "7.1".into(),
        other => format!("{other} channels"),
    }
}

pub(crate) fn samples_per_channel(frame: &Handle) -> u32 {
    frame.sound.borrow().samples_per_channel() as u32
}

pub(crate) fn timestamp(frame: &Handle) -> Timestamp {
    frame.sound.borrow().timestamp
}

pub(crate) fn samples(frame: &Handle, order: SampleOrder) -> Vec<f32> {
    frame.sound.borrow().to(order)
}

pub(crate) fn replace_samples(frame: &Handle, order: SampleOrder, samples: &[f32]) -> Result<(), Refusal> {
    if frame.retained {
        return Err(Refusal::Invalid("a retained frame keeps its samples".into()));
    }
    let sound = with_samples(frame, order, samples)?;
    frame.sound.replace(sound);
    Ok(())
}

pub(crate) fn derive(
    frame: &Handle,
    timestamp: Timestamp,
    order: SampleOrder,
    samples: &[f32],
) -> Result<Handle, Refusal> {
    let base = timestamp.time_base;
    if base.denominator == 0 || [base.numerator, base.denominator].iter().any(|number| i32::try_from(*number).is_err())
    {
        return Err(Refusal::Invalid("the time base is not a fraction of 31-bit numbers".into()));
    }
    Ok(Handle::new(with_samples(frame, order, samples)?.at(timestamp)))
}

pub(crate) fn retain(frame: &Handle) -> Result<Handle, Refusal> {
    Ok(Handle { sound: frame.sound.clone(), retained: true })
}

fn with_samples(frame: &Handle, order: SampleOrder, samples: &[f32]) -> Result<Sound, Refusal> {
    let sound = frame.sound.borrow();
    sound
        .with_samples(order, samples)
        .ok_or_else(|| Refusal::Invalid(format!("{} samples for {} channels", samples.len(), sound.channels)))
}
