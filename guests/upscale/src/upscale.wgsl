// Twice the size. Each pixel is a weighted mean of four by four of the source (Catmull–Rom's cubic, a = −0.5, as in
// Keys, "Cubic convolution interpolation for digital image processing", 1981), and sharpened by what it differs from the
// linear mean of two by two.

@group(0) @binding(0) var source: texture_2d<f32>;
@group(0) @binding(1) var smooth_between: sampler;
@group(0) @binding(2) var shown: texture_storage_2d<rgba8unorm, write>;
@group(0) @binding(3) var<uniform> sharpness: f32;

fn weights(t: f32) -> vec4<f32> {
    let t2 = t * t;
    let t3 = t2 * t;
    return vec4(
        -0.5 * t + t2 - 0.5 * t3,
        1.0 - 2.5 * t2 + 1.5 * t3,
        0.5 * t + 2.0 * t2 - 1.5 * t3,
        -0.5 * t2 + 0.5 * t3,
    );
}

@compute @workgroup_size(16, 16)
fn upscale(@builtin(global_invocation_id) id: vec3<u32>) {
    let size = vec2<i32>(textureDimensions(source));
    let place = vec2<i32>(id.xy);
    if any(place >= 2 * size) {
        return;
    }
    // Pixels are squares with their values in the middle.
    let at = (vec2<f32>(place) + 0.5) / 2.0 - 0.5;
    let first = vec2<i32>(floor(at)) - 1;
    let across = weights(fract(at.x));
    let down = weights(fract(at.y));
    var cubic = vec3(0.0);
    for (var y = 0; y < 4; y++) {
        for (var x = 0; x < 4; x++) {
            let near = clamp(first + vec2(x, y), vec2(0), size - 1);
            cubic += across[x] * down[y] * textureLoad(source, near, 0).rgb;
        }
    }
    let linear = textureSampleLevel(source, smooth_between, (at + 0.5) / vec2<f32>(size), 0.0).rgb;
    textureStore(shown, place, vec4(cubic + (cubic - linear) * sharpness, 1.0));
}
