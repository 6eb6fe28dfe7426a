// Pixels to planes. One invocation reads 8 × 2 of them and writes whole words: two of luma in each row, one of Cb, one of Cr.

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
@group(0) @binding(1) var pixels: texture_2d<f32>;
@group(0) @binding(2) var<storage, read_write> planes: array<u32>;

fn pack(samples: vec4<f32>) -> u32 {
    let bytes = vec4<u32>(clamp(round(samples), vec4(0.0), vec4(255.0)));
    return bytes.x | (bytes.y << 8u) | (bytes.z << 16u) | (bytes.w << 24u);
}

// A pixel as bytes are; columns beyond the picture repeat its last one.
fn pixel(x: u32, y: u32) -> vec3<f32> {
    return round(textureLoad(pixels, vec2(min(x, params.size.width - 1u), y), 0).rgb * 255.0);
}

@compute @workgroup_size(8, 8)
fn rgba_to_yuv(@builtin(global_invocation_id) id: vec3<u32>) {
    let size = params.size;
    let left = id.x * 8u;
    let top = id.y * 2u;
    if left >= size.width || top >= size.height {
        return;
    }
    let c = params.coefficients;
    let weights = c.luma.xyz;
    var cb: vec4<f32>;
    var cr: vec4<f32>;
    for (var half = 0u; half < 2u; half++) {
        var above: vec4<f32>;
        var below: vec4<f32>;
        for (var pair = 0u; pair < 2u; pair++) {
            let x = left + half * 4u + pair * 2u;
            let corners = array(pixel(x, top), pixel(x + 1u, top), pixel(x, top + 1u), pixel(x + 1u, top + 1u));
            above[pair * 2u] = dot(weights, corners[0]);
            above[pair * 2u + 1u] = dot(weights, corners[1]);
            below[pair * 2u] = dot(weights, corners[2]);
            below[pair * 2u + 1u] = dot(weights, corners[3]);
            let mean = (corners[0] + corners[1] + corners[2] + corners[3]) / 4.0;
            let level = dot(weights, mean);
            cb[half * 2u + pair] = 128.0 + (mean.b - level) * c.scale.z * c.scale.y;
            cr[half * 2u + pair] = 128.0 + (mean.r - level) * c.scale.w * c.scale.y;
        }
        let word = id.x * 2u + half;
        planes[top * size.stride + word] = pack(c.luma.w + above * c.scale.x);
        planes[(top + 1u) * size.stride + word] = pack(c.luma.w + below * c.scale.x);
    }
    let chroma = id.y * (size.stride / 2u) + id.x;
    planes[size.cb + chroma] = pack(cb);
    planes[size.cr + chroma] = pack(cr);
}
