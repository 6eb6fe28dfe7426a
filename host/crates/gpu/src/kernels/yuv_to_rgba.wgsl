// Planes to pixels. One invocation makes 2 × 2 of them, which share a sample of each chroma.

@group(0) @binding(1) var<storage, read> planes: array<u32>;
@group(0) @binding(2) var pixels: texture_storage_2d<rgba8unorm, write>;

@compute @workgroup_size(32, 8)
fn yuv_to_rgba(@builtin(global_invocation_id) id: vec3<u32>) {
    let size = params.size;
    let left = id.x * 2u;
    let top = id.y * 2u;
    if left >= size.width || top >= size.height {
        return;
    }
    let c = params.coefficients;
    let chroma = id.y * (size.stride / 2u) + id.x / 4u;
    let chroma_shift = (id.x % 4u) * 8u;
    let blue = (f32(extractBits(planes[size.cb + chroma], chroma_shift, 8u)) - 128.0) / c.scale.y;
    let red = (f32(extractBits(planes[size.cr + chroma], chroma_shift, 8u)) - 128.0) / c.scale.y;
    let tint = vec3(c.rgb.x * red, -c.rgb.y * blue - c.rgb.z * red, c.rgb.w * blue);
    for (var row = 0u; row < 2u; row++) {
        let luma = planes[(top + row) * size.stride + id.x / 2u] >> ((id.x % 2u) * 16u);
        for (var column = 0u; column < 2u; column++) {
            let level = (f32(extractBits(luma, column * 8u, 8u)) - c.luma.w) / c.scale.x;
            textureStore(pixels, vec2(left + column, top + row), vec4((level + tint) / 255.0, 1.0));
        }
    }
}
