// Planes to pixels. One invocation makes 8 × 2 of them: what four samples of chroma, one word, stand for.

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
@group(0) @binding(1) var<storage, read> planes: array<u32>;
@group(0) @binding(2) var pixels: texture_storage_2d<rgba8unorm, write>;

@compute @workgroup_size(8, 8)
fn yuv_to_rgba(@builtin(global_invocation_id) id: vec3<u32>) {
    let size = params.size;
    let left = id.x * 8u;
    let top = id.y * 2u;
    if left >= size.width || top >= size.height {
        return;
    }
    let chroma = id.y * (size.stride / 2u) + id.x;
    let cb = planes[size.cb + chroma];
    let cr = planes[size.cr + chroma];
    let c = params.coefficients;
    for (var row = 0u; row < 2u; row++) {
        let start = (top + row) * size.stride + id.x * 2u;
        for (var column = 0u; column < 8u; column++) {
            let luma = extractBits(planes[start + column / 4u], (column % 4u) * 8u, 8u);
            let shift = (column / 2u) * 8u;
            let level = (f32(luma) - c.luma.w) / c.scale.x;
            let blue = (f32(extractBits(cb, shift, 8u)) - 128.0) / c.scale.y;
            let red = (f32(extractBits(cr, shift, 8u)) - 128.0) / c.scale.y;
            let pixel = vec3(level + c.rgb.x * red, level - c.rgb.y * blue - c.rgb.z * red, level + c.rgb.w * blue);
            // What is beyond the picture is not written.
            textureStore(pixels, vec2(left + column, top + row), vec4(pixel / 255.0, 1.0));
        }
    }
}
