//! Guests' programs: whether they may run with what they are given, and how they are recorded.

use bytemuck::bytes_of;
use wgpu::{BindGroupEntry, BindingResource};

use super::Workspace;
use super::objects::{Buffer, Image};
use super::recording::ALIGNMENT;
use crate::error::Error;
use crate::limits;
use crate::program::Program;
use crate::source::{Access, Kind};
use crate::usage::Pass;

/// How a sampler reads between pixels. Beyond an image's edge it reads the edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// The nearest pixel.
    Nearest,
    /// A weighted mean of four.
    Linear,
}

/// What is bound to a number of a program.
#[derive(Clone, Copy, Debug)]
pub enum Binding<'a> {
    /// For `texture_2d<f32>` and `texture_storage_2d<rgba8unorm, write>`.
    Image(&'a Image),
    /// For `var<storage>`.
    Buffer(&'a Buffer),
    /// For `var<uniform>`.
    Uniform(&'a [u8]),
    /// For `sampler`.
    Sampler(Filter),
}

impl Workspace {
    /// Runs a program, in `groups` workgroups along each axis.
    pub fn dispatch(
        &mut self,
        program: &Program,
        bindings: &[(u32, Binding<'_>)],
        groups: [u32; 3],
    ) -> Result<(), Error> {
        let compiled = program.0.clone();
        self.check_dispatch(program, groups)?;
        check_bindings(program, bindings)?;
        let uniforms: usize = bindings
            .iter()
            .map(|(_, binding)| if let Binding::Uniform(bytes) = binding { bytes.len() + ALIGNMENT } else { 0 })
            .sum();
        self.reserve(uniforms + ALIGNMENT)?;
        let invocations = invocations(compiled.workgroup, groups);
        // Each invocation goes through all of the shader once.
        let once = invocations.saturating_mul(compiled.weight);
        let left = self.rounds.checked_sub(once);
        let left = left.ok_or_else(|| Error::Limit("more straight code than a frame may have".to_owned()))?;
        let rounds = if compiled.has_loops { left / 8 / once } else { 0 }.min(limits::ROUNDS_EACH);
        let rounds_at = self.uniform(bytes_of(&[rounds as u32, 0, 0, 0]));
        let places: Vec<_> = bindings
            .iter()
            .map(|(_, binding)| if let Binding::Uniform(bytes) = binding { self.uniform(bytes) } else { 0 })
            .collect();
        let device = self.device.clone();
        device.tried(|| {
            let entries: Vec<_> = bindings
                .iter()
                .zip(&places)
                .map(|((number, binding), place)| BindGroupEntry {
                    binding: *number,
                    resource: match binding {
                        Binding::Image(image) => BindingResource::TextureView(&image.view),
                        Binding::Buffer(buffer) => BindingResource::Buffer(words(buffer)),
                        Binding::Uniform(bytes) => self.uniform_at(*place, bytes.len()),
                        Binding::Sampler(filter) => BindingResource::Sampler(&device.samplers[*filter as usize]),
                    },
                })
                .collect();
            let group = |layout, entries: &[BindGroupEntry<'_>]| {
                device.device.create_bind_group(&wgpu::BindGroupDescriptor { label: None, layout, entries })
            };
            let bound = group(&compiled.layout, &entries);
            let rounds = BindGroupEntry { binding: 0, resource: self.uniform_at(rounds_at, 16) };
            let rounds = group(&compiled.rounds_layout, &[rounds]);
            let mut pass = self.pass(Pass::Program);
            pass.set_pipeline(&compiled.pipeline);
            pass.set_bind_group(0, &bound, &[]);
            pass.set_bind_group(1, &rounds, &[]);
            pass.dispatch_workgroups(groups[0], groups[1], groups[2]);
        })?;
        self.dispatches -= 1;
        // Loops in which invocations wait for each other have as many of their own.
        self.rounds = left.saturating_sub(2 * rounds * once);
        Ok(())
    }

    fn check_dispatch(&self, program: &Program, groups: [u32; 3]) -> Result<(), Error> {
        let most = self.device.device.limits().max_compute_workgroups_per_dimension;
        if !groups.iter().all(|count| (1..=most).contains(count)) {
            return Err(Error::Invalid(format!("{groups:?} workgroups: from 1 to {most} along each axis")));
        }
        let invocations = invocations(program.workgroup(), groups);
        if invocations > limits::INVOCATIONS {
            return Err(Error::Limit(format!("{invocations} invocations: {} at most", limits::INVOCATIONS)));
        }
        if self.dispatches == 0 {
            return Err(Error::Limit(format!("no more than {} dispatches a frame", limits::DISPATCHES)));
        }
        Ok(())
    }
}

/// As many words as were asked for, so that a shader can ask how many there are.
fn words(buffer: &Buffer) -> wgpu::BufferBinding<'_> {
    let size = wgpu::BufferSize::new(buffer.bytes.next_multiple_of(4) as u64);
    wgpu::BufferBinding { buffer: &buffer.buffer, offset: 0, size }
}

fn invocations(workgroup: [u32; 3], groups: [u32; 3]) -> u64 {
    workgroup.into_iter().chain(groups).map(u64::from).product()
}

/// Whether each number has what it asks for, and nothing is written that is bound twice.
fn check_bindings(program: &Program, bindings: &[(u32, Binding<'_>)]) -> Result<(), Error> {
    let asked = program.bindings();
    if let Some((number, _)) = bindings.iter().find(|(number, _)| !asked.iter().any(|(asked, _)| asked == number)) {
        return Err(Error::Invalid(format!("the shader has no binding {number}")));
    }
    let mut used: Vec<(*const (), Access)> = Vec::new();
    for (number, kind) in asked {
        let mut given = bindings.iter().filter(|(given, _)| given == number).map(|(_, binding)| binding);
        let (Some(binding), None) = (given.next(), given.next()) else {
            return Err(Error::Invalid(format!("binding {number} is to be given once")));
        };
        let fits = match (kind, binding) {
            (Kind::Image(access), Binding::Image(image)) => {
                used.push((std::ptr::from_ref(*image).cast(), *access));
                Ok(())
            }
            (Kind::Buffer(access, bytes), Binding::Buffer(buffer)) => {
                used.push((std::ptr::from_ref(*buffer).cast(), *access));
                enough(buffer.bytes(), *bytes)
            }
            (Kind::Uniform(bytes), Binding::Uniform(given)) => match given.len() {
                given if given == *bytes as usize => Ok(()),
                given => Err(format!("takes {bytes} bytes, not {given}")),
            },
            (Kind::Sampler, Binding::Sampler(_)) => Ok(()),
            (Kind::Image(_), _) => Err("takes an image".to_owned()),
            (Kind::Buffer(..), _) => Err("takes a buffer".to_owned()),
            (Kind::Uniform(_), _) => Err("takes a uniform".to_owned()),
            (Kind::Sampler, _) => Err("takes a sampler".to_owned()),
        };
        fits.map_err(|why| Error::Invalid(format!("binding {number} {why}")))?;
    }
    let shared = |(place, access): &(*const (), Access)| {
        *access == Access::Write && used.iter().filter(|(other, _)| other == place).count() > 1
    };
    if used.iter().any(shared) {
        return Err(Error::Invalid("what is written can be bound to one number only".to_owned()));
    }
    Ok(())
}

fn enough(given: usize, needed: u32) -> Result<(), String> {
    if given >= needed as usize { Ok(()) } else { Err(format!("takes {needed} bytes or more, not {given}")) }
}
