//! What the contract in `wit/` generates; nothing written by hand.

#![allow(missing_docs, clippy::pedantic)]

wasmtime::component::bindgen!({
    path: "../wit",
    world: "live-processor",
    imports: {
        // These wait for the GPU, or may have to; nothing waits for what is known of a tensor.
        "rillbox:processor/tensor.[method]tensor.element-type": trappable,
        "rillbox:processor/tensor.[method]tensor.shape": trappable,
        "rillbox:processor/tensor.[drop]tensor": trappable,
        "rillbox:processor/tensor": async | trappable,
        "rillbox:processor/shader.[static]buffer.from-tensor": async | trappable,
        "rillbox:processor/shader.[static]program.compile": async | trappable,
        "rillbox:processor/shader.[method]image.pixels": async | trappable,
        "rillbox:processor/shader.[method]buffer.tensor": async | trappable,
        default: trappable,
    },
    exports: { default: async },
    trappable_error_type: { "rillbox:processor/types.error" => crate::sandbox::imports::CallError },
    with: {
        "rillbox:processor/video.video-frame": crate::sandbox::imports::video::Frame,
        "rillbox:processor/audio.audio-frame": crate::sandbox::imports::audio::Frame,
        "rillbox:processor/tensor.tensor": crate::sandbox::imports::tensor::Held,
        "rillbox:processor/shader.image": crate::sandbox::imports::shader::HeldImage,
        "rillbox:processor/shader.buffer": crate::sandbox::imports::shader::HeldBuffer,
        "rillbox:processor/shader.program": rillbox_gpu::Program,
    },
});
