//! The kernels, compiled.

use wgpu::{BindGroupLayoutEntry, BindingType, BufferBindingType, ShaderStages};

use crate::module::module_of_ours;

macro_rules! wgsl {
    ($file:literal) => {
        concat!(include_str!("kernels/params.wgsl"), include_str!(concat!("kernels/", $file, ".wgsl")))
    };
}

macro_rules! kernels {
    ($($file:literal: $($variant:ident = $name:literal),+;)+) => {
        /// A kernel, by its entry point.
        #[derive(Clone, Copy, Debug)]
        pub enum Name { $($($variant),+),+ }

        /// The files, and the kernels in each, in the order of [`Name`].
        const FILES: &[(&str, &[&str])] = &[$((wgsl!($file), &[$($name),+])),+];
    };
}

kernels! {
    "elementwise": Unary = "unary", Binary = "binary", Choose = "choose", Blend = "blend",
        Convert = "convert";
    "reduce": ReduceEach = "reduce_each", ReduceTogether = "reduce_together", ArgEach = "arg_each",
        ArgTogether = "arg_together", SoftmaxEach = "softmax_each", SoftmaxTogether = "softmax_together";
    "layout": Copy = "copy", Pad = "pad", Gather = "gather", ColorMatrix = "color_matrix";
    "matmul": Matmul = "matmul";
    "convolution": Conv2d = "conv2d", Conv2dTiled = "conv2d_tiled", Conv2dTransposed = "conv2d_transposed";
    "window": Pool2d = "pool2d", Resize = "resize";
    "picture": LumaToTensor = "luma_to_tensor", TensorToLuma = "tensor_to_luma";
}

/// The file that also has the kernels between images and tensors, whose layouts are their own.
const PICTURE: &str = wgsl!("picture");

/// All of them: made once for a device, which takes a moment on a GPU, and seconds in software.
#[derive(Debug)]
pub(crate) struct Kernels {
    pub layout: wgpu::BindGroupLayout,
    pipelines: Vec<wgpu::ComputePipeline>,
    /// Between images and tensors, with what they are given.
    pub pixels_to_tensor: (wgpu::ComputePipeline, wgpu::BindGroupLayout),
    pub tensor_to_pixels: (wgpu::ComputePipeline, wgpu::BindGroupLayout),
}

impl Kernels {
    pub fn new(device: &wgpu::Device) -> Self {
        let entry = |(binding, buffer)| BindGroupLayoutEntry {
            binding,
            visibility: ShaderStages::COMPUTE,
            ty: BindingType::Buffer { ty: buffer, has_dynamic_offset: false, min_binding_size: None },
            count: None,
        };
        let (read, write) =
            (BufferBindingType::Storage { read_only: true }, BufferBindingType::Storage { read_only: false });
        let entries = [(0, BufferBindingType::Uniform), (1, read), (2, read), (3, read), (4, write)].map(entry);
        let layout =
            device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: None, entries: &entries });
        let shared = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            bind_group_layouts: &[Some(&layout)],
            ..Default::default()
        });
        let pipeline = |module: &wgpu::ShaderModule, layout: Option<&wgpu::PipelineLayout>, name: &str| {
            device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(name),
                layout,
                module,
                entry_point: Some(name),
                compilation_options: wgpu::PipelineCompilationOptions::default(),
                cache: None,
            })
        };
        let pipelines = FILES.iter().flat_map(|(wgsl, names)| {
            let module = module_of_ours(device, wgsl);
            names.iter().map(|name| pipeline(&module, Some(&shared), name)).collect::<Vec<_>>()
        });
        let pipelines = pipelines.collect();
        let pictures = module_of_ours(device, PICTURE);
        let own = |name| {
            let pipeline = pipeline(&pictures, None, name);
            let layout = pipeline.get_bind_group_layout(0);
            (pipeline, layout)
        };
        let (pixels_to_tensor, tensor_to_pixels) = (own("pixels_to_tensor"), own("tensor_to_pixels"));
        Self { layout, pipelines, pixels_to_tensor, tensor_to_pixels }
    }

    pub fn pipeline(&self, name: Name) -> &wgpu::ComputePipeline {
        &self.pipelines[name as usize]
    }
}
