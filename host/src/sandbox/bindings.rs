//! What the contract in `wit/` generates; nothing written by hand.

#![allow(missing_docs, clippy::pedantic)]

wasmtime::component::bindgen!({
    path: "../wit",
    world: "live-processor",
    imports: { default: trappable },
    exports: { default: async },
    with: {
        "rillbox:processor/video.video-frame": crate::sandbox::imports::video::Frame,
        "rillbox:processor/audio.audio-frame": crate::sandbox::imports::audio::Frame,
        "rillbox:processor/tensor.tensor": crate::sandbox::imports::tensor::Held,
    },
});
