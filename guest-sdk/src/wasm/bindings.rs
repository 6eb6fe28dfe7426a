//! Generated from the contract in `wit/`, and nothing else.
#![allow(missing_docs, unsafe_code, clippy::all, reason = "generated")]

wit_bindgen::generate!({
    path: "../wit",
    world: "live-processor",
    pub_export_macro: true,
    export_macro_name: "export_component",
    default_bindings_module: "rillbox_sdk::wasm::bindings",
});
