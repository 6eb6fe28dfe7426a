//! What the contract in `wit/` generates; nothing written by hand.

#![allow(missing_docs, clippy::pedantic)]

wasmtime::component::bindgen!({
    path: "../wit",
    world: "live-processor",
    imports: {
        // These wait for the GPU.
        "rillbox:processor/shader.[static]program.compile": async | trappable,
        "rillbox:processor/shader.[method]image.pixels": async | trappable,
        "rillbox:processor/shader.[method]buffer.tensor": async | trappable,
        default: trappable,
    },
    exports: { default: async },
    with: {
        "rillbox:processor/video.video-frame": crate::sandbox::imports::video::Frame,
        "rillbox:processor/audio.audio-frame": crate::sandbox::imports::audio::Frame,
        "rillbox:processor/tensor.tensor": crate::sandbox::imports::tensor::Held,
        "rillbox:processor/shader.image": crate::sandbox::imports::shader::HeldImage,
        "rillbox:processor/shader.buffer": crate::sandbox::imports::shader::HeldBuffer,
        "rillbox:processor/shader.program": rillbox_gpu::Program,
    },
});
