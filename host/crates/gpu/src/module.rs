//! Shaders of the host's own, as the device takes them.

/// A module of the host's own. What it reads and writes is held within buffers as with every other, but its loops are as they are:
/// a guard in each costs a product of matrices a good part of its time.
pub(crate) fn module_of_ours(device: &wgpu::Device, wgsl: &'static str) -> wgpu::ShaderModule {
    let source = wgpu::ShaderSource::Wgsl(wgsl.into());
    let checks = wgpu::ShaderRuntimeChecks { force_loop_bounding: false, ..wgpu::ShaderRuntimeChecks::checked() };
    // SAFETY: every loop of our kernels counts by a constant towards a number that does not change, and so ends.
    #[allow(unsafe_code)]
    unsafe {
        device.create_shader_module_trusted(wgpu::ShaderModuleDescriptor { label: None, source }, checks)
    }
}
