//! Commands: how kernels are recorded, and how all that was recorded goes to the device.

use std::sync::atomic::Ordering;

use bytemuck::bytes_of;
use wgpu::{BindGroupEntry, BindingResource, BufferUsages};

use super::Workspace;
use super::objects::locked;
use crate::color::{ColorParams, Kernel};
use crate::download::{TIMED, TIMES, Transfer};
use crate::error::Error;
use crate::limits;
use crate::submission::Submission;
use crate::usage::Pass;

/// Workgroups along three axes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grid(pub [u32; 3]);

impl Grid {
    /// As many of 256 invocations as this many need.
    pub fn of(count: usize) -> Self {
        Self::of_groups(count.div_ceil(256))
    }

    /// This many, or a few more, on two axes.
    pub fn of_groups(count: usize) -> Self {
        // The first axis holds fewer than there can be.
        const ROW: usize = 32_768;
        Self([count.min(ROW) as u32, count.div_ceil(ROW) as u32, 1])
    }
}

/// When passes begin and end, by the device's clock.
#[derive(Debug)]
pub(super) struct Times {
    queries: wgpu::QuerySet,
    resolved: wgpu::Buffer,
}

impl Times {
    pub fn new(device: &wgpu::Device) -> Self {
        let queries = device.create_query_set(&wgpu::QuerySetDescriptor {
            label: None,
            ty: wgpu::QueryType::Timestamp,
            count: 2 * TIMED as u32,
        });
        let resolved = device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: TIMES,
            usage: BufferUsages::QUERY_RESOLVE | BufferUsages::COPY_SRC,
            mapped_at_creation: false,
        });
        Self { queries, resolved }
    }
}

/// Bytes of uniforms that go with one submission: those of as many operations on tensors as a frame may have, and more.
pub(super) const UNIFORMS: usize = 512 << 10;

/// Where a uniform may begin: WebGPU's own limit.
pub(super) const ALIGNMENT: usize = 256;

impl Workspace {
    /// Sends to the device what was recorded. Where it does not take it, it takes nothing more of this frame, and whatever the user has
    /// there may not be what it should be.
    pub fn submit(&mut self) -> Result<(), Error> {
        let sent = self.send_recorded();
        if let Err(error) = &sent {
            self.refused.get_or_insert_with(|| error.clone());
        }
        sent
    }

    fn send_recorded(&mut self) -> Result<(), Error> {
        let (encoder, uniforms) = (self.encoder.take(), std::mem::take(&mut self.uniforms));
        let (passes, mut transfers) = (std::mem::take(&mut self.passes), std::mem::take(&mut self.transfers));
        let stagings = std::mem::take(&mut *locked(&self.stagings));
        let bytes = std::mem::take(&mut self.made);
        if let Err(error) = self.check() {
            transfers.iter().for_each(|transfer| transfer.failed(&error));
            return Err(error);
        }
        let Some(mut encoder) = encoder else { return Ok(()) };
        // Whoever records faster than the device works is told so.
        if self.owner.running.load(Ordering::Relaxed) >= limits::RUNNING {
            let is_late = self.device.submitter.is_held_by(self.owner.id);
            transfers.iter().for_each(|transfer| transfer.failed(&Error::Busy));
            return Err(if is_late { Error::Late } else { Error::Busy });
        }
        self.sweep();
        if transfers.is_empty() {
            // Of nothing but times.
            let record = Transfer::new(&self.device, self.owner.id, 0)?;
            self.left.leave(record.clone());
            transfers.push(record);
        }
        transfers.iter().for_each(|transfer| transfer.send(self.time));
        let timed = passes.len().min(TIMED) as u32;
        if let Some(times) = &self.times
            && timed > 0
        {
            encoder.resolve_query_set(&times.queries, 0..2 * timed, &times.resolved, 0);
            for transfer in &transfers {
                let bytes = u64::from(timed) * 16;
                encoder.copy_buffer_to_buffer(&times.resolved, 0, transfer.buffer(), transfer.times_at(), bytes);
            }
        }
        self.device.submitter.submit(Submission {
            owner: self.owner.clone(),
            bytes,
            encoder,
            uniforms,
            uniform_buffer: self.uniform_buffer.clone(),
            stagings,
            transfers,
            passes,
        })
    }

    pub(super) fn kernel(
        &mut self,
        kernel: &Kernel,
        params: ColorParams,
        resources: [BindingResource<'_>; 2],
    ) -> Result<(), Error> {
        let (columns, rows) = params.groups(kernel.columns);
        let entries = (1..).zip(resources);
        let grid = Grid([columns, rows, 1]);
        self.record(Pass::Color, &kernel.pipeline, &kernel.layout, bytes_of(&params), entries, grid)
    }

    /// Records a kernel of ours, with what it is told bound to 0.
    pub(crate) fn record<'a>(
        &mut self,
        pass: Pass,
        pipeline: &wgpu::ComputePipeline,
        layout: &wgpu::BindGroupLayout,
        params: &[u8],
        resources: impl Iterator<Item = (u32, BindingResource<'a>)>,
        Grid(groups): Grid,
    ) -> Result<(), Error> {
        self.reserve(ALIGNMENT)?;
        let place = self.uniform(params);
        let device = self.device.clone();
        device.tried(|| {
            let params = BindGroupEntry { binding: 0, resource: self.uniform_at(place, params.len()) };
            let others = resources.map(|(binding, resource)| BindGroupEntry { binding, resource });
            let entries: Vec<_> = std::iter::once(params).chain(others).collect();
            let descriptor = wgpu::BindGroupDescriptor { label: None, layout, entries: &entries };
            let group = device.device.create_bind_group(&descriptor);
            let mut pass = self.pass(pass);
            pass.set_pipeline(pipeline);
            pass.set_bind_group(0, &group, &[]);
            pass.dispatch_workgroups(groups[0], groups[1], groups[2]);
        })
    }

    pub(super) fn encoder(&mut self) -> &mut wgpu::CommandEncoder {
        self.encoder.get_or_insert_with(|| {
            self.device.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default())
        })
    }

    pub(super) fn pass(&mut self, kind: Pass) -> wgpu::ComputePass<'_> {
        let place = self.passes.len() as u32;
        self.passes.push(kind);
        let device = &self.device.device;
        let encoder = self
            .encoder
            .get_or_insert_with(|| device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default()));
        let timestamp_writes = match &self.times {
            Some(times) if (place as usize) < TIMED => Some(wgpu::ComputePassTimestampWrites {
                query_set: &times.queries,
                beginning_of_pass_write_index: Some(2 * place),
                end_of_pass_write_index: Some(2 * place + 1),
            }),
            _ => None,
        };
        encoder.begin_compute_pass(&wgpu::ComputePassDescriptor { label: None, timestamp_writes })
    }

    /// Makes room for uniforms.
    pub(super) fn reserve(&mut self, bytes: usize) -> Result<(), Error> {
        self.check()?;
        if self.uniforms.len() + bytes > UNIFORMS {
            // All of 16 uniforms of the largest size may be more than there is room for.
            if bytes > UNIFORMS {
                return Err(Error::Limit(format!("{bytes} bytes of uniforms: {UNIFORMS} at most")));
            }
            self.submit()?;
        }
        Ok(())
    }

    /// Where a uniform lies.
    pub(super) fn uniform(&mut self, bytes: &[u8]) -> u64 {
        let place = self.uniforms.len();
        self.uniforms.extend_from_slice(bytes);
        let end = self.uniforms.len().next_multiple_of(ALIGNMENT);
        self.uniforms.resize(end, 0);
        place as u64
    }

    pub(super) fn uniform_at(&self, offset: u64, bytes: usize) -> BindingResource<'_> {
        let size = wgpu::BufferSize::new(bytes as u64);
        BindingResource::Buffer(wgpu::BufferBinding { buffer: &self.uniform_buffer, offset, size })
    }
}
