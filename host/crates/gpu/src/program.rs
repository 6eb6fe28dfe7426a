//! Compiled shaders.

use std::collections::VecDeque;
use std::num::NonZeroU64;
use std::sync::Arc;

use wgpu::{BindGroupLayoutEntry, BindingType, BufferBindingType, ShaderStages};

use crate::device::Device;
use crate::error::Error;
use crate::fuel;
use crate::limits;
use crate::source::{Access, Kind, Source};

/// A compute shader that was checked and compiled. A clone is one more reference.
#[derive(Clone, Debug)]
pub struct Program(pub(crate) Arc<Compiled>);

impl Program {
    /// Invocations of a workgroup, along each axis.
    pub fn workgroup(&self) -> [u32; 3] {
        self.0.workgroup
    }

    /// What it asks to be bound, by number.
    pub fn bindings(&self) -> &[(u32, Kind)] {
        &self.0.bindings
    }
}

#[derive(Debug)]
pub(crate) struct Compiled {
    pub pipeline: wgpu::ComputePipeline,
    pub layout: wgpu::BindGroupLayout,
    /// Of the rounds that its loops may take.
    pub rounds_layout: wgpu::BindGroupLayout,
    pub workgroup: [u32; 3],
    pub bindings: Vec<(u32, Kind)>,
    pub has_loops: bool,
    /// Steps of straight code, in rounds.
    pub weight: u64,
}

impl Compiled {
    pub fn new(device: &Device, source: Source) -> Result<Self, Error> {
        let Source { mut module, entry, workgroup, bindings, steps } = source;
        let weight = steps.div_ceil(limits::ROUND).max(1);
        let has_loops = fuel::bound_loops(&mut module);
        let wgpu = &device.device;
        device.tried(|| {
            let source = wgpu::ShaderSource::Naga(std::borrow::Cow::Owned(module));
            let module = wgpu.create_shader_module(wgpu::ShaderModuleDescriptor { label: None, source });
            let entries: Vec<_> = bindings.iter().map(|(number, kind)| entry_of(*number, *kind)).collect();
            let layout = |entries: &[BindGroupLayoutEntry]| {
                wgpu.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: None, entries })
            };
            let (layout, rounds_layout) = (layout(&entries), layout(&[entry_of(0, Kind::Uniform(4))]));
            let pipeline_layout = wgpu.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
                label: None,
                bind_group_layouts: &[Some(&layout), Some(&rounds_layout)],
                immediate_size: 0,
            });
            let pipeline = wgpu.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: None,
                layout: Some(&pipeline_layout),
                module: &module,
                entry_point: Some(&entry),
                compilation_options: wgpu::PipelineCompilationOptions::default(),
                cache: None,
            });
            Self { pipeline, layout, rounds_layout, workgroup, bindings, has_loops, weight }
        })
    }
}

fn entry_of(binding: u32, kind: Kind) -> BindGroupLayoutEntry {
    let buffer = |ty, bytes: u32| BindingType::Buffer {
        ty,
        has_dynamic_offset: false,
        min_binding_size: NonZeroU64::new(u64::from(bytes)),
    };
    let view_dimension = wgpu::TextureViewDimension::D2;
    let ty = match kind {
        Kind::Image(Access::Read) => BindingType::Texture {
            sample_type: wgpu::TextureSampleType::Float { filterable: true },
            view_dimension,
            multisampled: false,
        },
        Kind::Image(Access::Write) => BindingType::StorageTexture {
            access: wgpu::StorageTextureAccess::WriteOnly,
            format: wgpu::TextureFormat::Rgba8Unorm,
            view_dimension,
        },
        Kind::Buffer(access, bytes) => buffer(BufferBindingType::Storage { read_only: access == Access::Read }, bytes),
        Kind::Uniform(bytes) => buffer(BufferBindingType::Uniform, bytes),
        Kind::Sampler => BindingType::Sampler(wgpu::SamplerBindingType::Filtering),
    };
    BindGroupLayoutEntry { binding, visibility: ShaderStages::COMPUTE, ty, count: None }
}

/// Programs by their text, the last ones.
#[derive(Debug, Default)]
pub(crate) struct Programs(VecDeque<(String, Arc<Compiled>)>);

/// So many are kept.
const KEPT: usize = 64;

impl Programs {
    pub fn get(&mut self, wgsl: &str) -> Option<Arc<Compiled>> {
        let place = self.0.iter().position(|(text, _)| text == wgsl)?;
        let found = self.0.remove(place)?;
        let compiled = found.1.clone();
        self.0.push_back(found);
        Some(compiled)
    }

    /// Keeps a program. If another was kept for the same text meanwhile, it takes its place.
    pub fn keep(&mut self, wgsl: &str, compiled: Arc<Compiled>) {
        self.0.retain(|(text, _)| text != wgsl);
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back((wgsl.to_owned(), compiled));
    }
}
