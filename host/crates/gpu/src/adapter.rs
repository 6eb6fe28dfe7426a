//! Which of the devices that Vulkan knows was chosen.

use wgpu::DeviceType;

use crate::choice::Choice;
use crate::error::Error;

/// Whether the system has anything that could be a GPU: to ask Vulkan costs time and memory, most of all where it has one in
/// software.
fn might_have_one() -> bool {
    let is_one = |entry: &std::fs::DirEntry, prefix: &str| entry.file_name().to_string_lossy().starts_with(prefix);
    let has = |directory: &str, prefix: &str| {
        std::fs::read_dir(directory).is_ok_and(|entries| entries.flatten().any(|entry| is_one(&entry, prefix)))
    };
    !cfg!(target_os = "linux") || has("/dev/dri", "render") || has("/dev", "nvidia") || has("/dev", "dxg")
}

/// Finds the device that was chosen.
pub(crate) fn adapter(choice: Choice) -> Result<wgpu::Adapter, Error> {
    let none = |why: String| Err(Error::Unsupported(why));
    if choice == Choice::Cpu {
        return none("this host works without a GPU (--device cpu)".to_owned());
    }
    if choice == Choice::Auto && !might_have_one() {
        return none("there is no GPU on this host (--device gpu:N takes one in software, too)".to_owned());
    }
    let descriptor = wgpu::InstanceDescriptor {
        backends: wgpu::Backends::VULKAN,
        flags: wgpu::InstanceFlags::empty(),
        ..wgpu::InstanceDescriptor::new_without_display_handle()
    };
    let instance = wgpu::Instance::new(descriptor);
    let mut adapters = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::VULKAN));
    let kind = |adapter: &wgpu::Adapter| adapter.get_info().device_type;
    let names: Vec<_> = adapters.iter().map(|adapter| adapter.get_info().name).collect();
    let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    let best = |adapters: &[wgpu::Adapter]| {
        [DeviceType::DiscreteGpu, DeviceType::IntegratedGpu, DeviceType::VirtualGpu]
            .into_iter()
            .find_map(|wanted| adapters.iter().position(|adapter| kind(adapter) == wanted))
    };
    let place = match choice {
        Choice::Gpu(place) => Some(place),
        Choice::Any => best(&adapters).or(Some(0)),
        _ => best(&adapters),
    };
    match place {
        Some(place) if place < adapters.len() => Ok(adapters.swap_remove(place)),
        Some(place) => none(format!("there is no GPU {place} (--device); Vulkan knows: {names}")),
        None => none(format!(
            "there is no GPU on this host; Vulkan knows: {names} (--device gpu:N takes one in software, too)"
        )),
    }
}
