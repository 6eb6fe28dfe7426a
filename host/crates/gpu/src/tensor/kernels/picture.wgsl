// Pictures as tensors, and tensors as pictures.
//
// `numbers[0]`: width, height, 1 for channels before rows, and for planes the words from one row to the next. `numbers[1]` and
// `[2]`: what a channel is multiplied by, and what is added. The operation is 1 for bytes.

@group(0) @binding(5) var pixels: texture_2d<f32>;
@group(0) @binding(6) var shown: texture_storage_2d<rgba8unorm, write>;

fn to_element(sample: f32, channel: u32) -> u32 {
    if params.operation == 1u {
        return u32(sample);
    }
    return of_float(sample * float(params.numbers[1][channel]) + float(params.numbers[2][channel]));
}

// 0 to 255, rounded.
fn to_sample(element: u32, channel: u32) -> u32 {
    if params.operation == 1u {
        return element;
    }
    let sample = float(element) * float(params.numbers[1][channel]) + float(params.numbers[2][channel]);
    return u32(clamp(sample + 0.5, 0.0, 255.0));
}

// Where a channel of a pixel is among the elements.
fn at(pixel: u32, channel: u32) -> u32 {
    if params.numbers[0].z == 1u {
        return channel * params.count + pixel;
    }
    return pixel * 3u + channel;
}

@compute @workgroup_size(256)
fn pixels_to_tensor(own: Invocation) {
    let index = number_of(own);
    if index >= params.count {
        return;
    }
    let width = params.numbers[0].x;
    let samples = round(textureLoad(pixels, vec2(index % width, index / width), 0).rgb * 255.0);
    for (var channel = 0u; channel < 3u; channel++) {
        result[at(index, channel)] = to_element(samples[channel], channel);
    }
}

@compute @workgroup_size(256)
fn tensor_to_pixels(own: Invocation) {
    let index = number_of(own);
    if index >= params.count {
        return;
    }
    let width = params.numbers[0].x;
    var samples = vec3(0.0);
    for (var channel = 0u; channel < 3u; channel++) {
        samples[channel] = f32(to_sample(a[at(index, channel)], channel));
    }
    textureStore(shown, vec2(index % width, index / width), vec4(samples / 255.0, 1.0));
}

@compute @workgroup_size(256)
fn luma_to_tensor(own: Invocation) {
    let index = number_of(own);
    if index >= params.count {
        return;
    }
    let width = params.numbers[0].x;
    let column = index % width;
    let word = a[(index / width) * params.numbers[0].w + column / 4u];
    result[index] = to_element(f32(extractBits(word, (column % 4u) * 8u, 8u)), 0u);
}

// An invocation writes a word: four samples of luma, or of gray chroma after the last of luma.
@compute @workgroup_size(256)
fn tensor_to_luma(own: Invocation) {
    let index = number_of(own);
    if index >= params.count {
        return;
    }
    let width = params.numbers[0].x;
    let words = params.numbers[0].w;
    let row = index / words;
    if row >= params.numbers[0].y {
        result[index] = 0x80808080u;
        return;
    }
    let left = (index % words) * 4u;
    var word = 0u;
    for (var column = 0u; column < 4u; column++) {
        // What is beyond the picture repeats its last sample.
        let source = row * width + min(left + column, width - 1u);
        word |= to_sample(a[source], 0u) << (column * 8u);
    }
    result[index] = word;
}
