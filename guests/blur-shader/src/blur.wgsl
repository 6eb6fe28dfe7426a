// A Gaussian blur along one axis: twice, once along each, it is one over both.

struct Params {
    // One step along the axis.
    step: vec2<i32>,
    radius: i32,
    // The standard deviation, in pixels.
    sigma: f32,
}

@group(0) @binding(0) var source: texture_2d<f32>;
@group(0) @binding(1) var shown: texture_storage_2d<rgba8unorm, write>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(16, 16)
fn blur(@builtin(global_invocation_id) id: vec3<u32>) {
    let size = vec2<i32>(textureDimensions(source));
    let place = vec2<i32>(id.xy);
    if any(place >= size) {
        return;
    }
    var sum = vec3(0.0);
    var weights = 0.0;
    for (var i = -params.radius; i <= params.radius; i++) {
        let distance = f32(i) / params.sigma;
        let weight = exp(-0.5 * distance * distance);
        // Beyond the edge is the edge.
        let at = clamp(place + i * params.step, vec2(0), size - 1);
        sum += weight * textureLoad(source, at, 0).rgb;
        weights += weight;
    }
    textureStore(shown, place, vec4(sum / weights, 1.0));
}
