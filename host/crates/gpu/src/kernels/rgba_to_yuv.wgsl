// Pixels to planes. One invocation reads 4 × 2 of them, and writes a word of luma in each row; two make a word of each chroma.

@group(0) @binding(1) var pixels: texture_2d<f32>;
@group(0) @binding(2) var<storage, read_write> planes: array<u32>;

// Two samples of Cb, and two of Cr, of each invocation.
var<workgroup> chroma: array<vec2<u32>, 256>;

fn pack(samples: vec4<f32>) -> u32 {
    let bytes = vec4<u32>(clamp(round(samples), vec4(0.0), vec4(255.0)));
    return bytes.x | (bytes.y << 8u) | (bytes.z << 16u) | (bytes.w << 24u);
}

// A pixel as bytes are; what is beyond the picture repeats its last one.
fn pixel(x: u32, y: u32) -> vec3<f32> {
    let last = vec2(params.size.width, params.size.height) - 1u;
    return round(textureLoad(pixels, min(vec2(x, y), last), 0).rgb * 255.0);
}

@compute @workgroup_size(32, 8)
fn rgba_to_yuv(@builtin(global_invocation_id) id: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let size = params.size;
    let left = id.x * 4u;
    let top = id.y * 2u;
    // Rows of the buffer are padded to whole words of chroma.
    let inside = id.x < size.stride && top < size.height;
    let c = params.coefficients;
    let weights = c.luma.xyz;
    var above: vec4<f32>;
    var below: vec4<f32>;
    var differences: vec4<f32>;
    for (var pair = 0u; pair < 2u; pair++) {
        let x = left + pair * 2u;
        let corners = array(pixel(x, top), pixel(x + 1u, top), pixel(x, top + 1u), pixel(x + 1u, top + 1u));
        above[pair * 2u] = dot(weights, corners[0]);
        above[pair * 2u + 1u] = dot(weights, corners[1]);
        below[pair * 2u] = dot(weights, corners[2]);
        below[pair * 2u + 1u] = dot(weights, corners[3]);
        let mean = (corners[0] + corners[1] + corners[2] + corners[3]) / 4.0;
        let level = dot(weights, mean);
        differences[pair] = 128.0 + (mean.b - level) * c.scale.z * c.scale.y;
        differences[2u + pair] = 128.0 + (mean.r - level) * c.scale.w * c.scale.y;
    }
    if inside {
        planes[top * size.stride + id.x] = pack(c.luma.w + above * c.scale.x);
        planes[(top + 1u) * size.stride + id.x] = pack(c.luma.w + below * c.scale.x);
    }
    let packed = pack(differences);
    chroma[local] = vec2(packed & 0xffffu, packed >> 16u);
    workgroupBarrier();
    if inside && id.x % 2u == 0u {
        let word = chroma[local] | (chroma[local + 1u] << vec2(16u));
        let at = id.y * (size.stride / 2u) + id.x / 2u;
        planes[size.cb + at] = word.x;
        planes[size.cr + at] = word.y;
    }
}
