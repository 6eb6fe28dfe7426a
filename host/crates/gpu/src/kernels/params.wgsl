// What both kernels are told.

struct Size {
    width: u32,
    height: u32,
    // Words from one row of luma to the next; a row of chroma has half of them.
    stride: u32,
    // Where Cb and Cr begin, in words.
    cb: u32,
    cr: u32,
}

struct Coefficients {
    luma: vec4<f32>,
    rgb: vec4<f32>,
    scale: vec4<f32>,
}

struct Params {
    coefficients: Coefficients,
    size: Size,
}

@group(0) @binding(0) var<uniform> params: Params;
