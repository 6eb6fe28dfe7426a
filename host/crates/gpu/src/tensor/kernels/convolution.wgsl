// Sums over a kernel. `a` is (n, c, h, w); `b` is (o, c/groups, kh, kw), or (c, o/groups, kh, kw) transposed; `c` is a bias of (o).
//
// `numbers[0]`: c, h, w, o; `[1]`: rows, columns, kh, kw; `[2]`: strides and padding; `[3]`: dilations, groups, and whether
// there is a bias.

fn bias(channel: u32) -> f32 {
    if params.numbers[3].w == 1u {
        return float(c[channel]);
    }
    return 0.0;
}

// What there is at a place, and 0 beyond the edges.
fn element(plane: u32, row: i32, column: i32) -> f32 {
    let size = vec2<i32>(params.numbers[0].yz);
    if row < 0 || column < 0 || row >= size.x || column >= size.y {
        return 0.0;
    }
    return float(a[(i32(plane) * size.x + row) * size.y + column]);
}

@compute @workgroup_size(256)
fn conv2d(own: Invocation) {
    let index = number_of(own);
    if index >= params.count {
        return;
    }
    let outs = params.numbers[0].w;
    let size = params.numbers[1];
    let inner = params.numbers[0].x / params.numbers[3].z;
    let x = index % size.y;
    let y = (index / size.y) % size.x;
    let out = (index / (size.x * size.y)) % outs;
    let picture = index / (size.x * size.y * outs);
    let plane = picture * params.numbers[0].x + out / (outs / params.numbers[3].z) * inner;
    let top = i32(y * params.numbers[2].x) - i32(params.numbers[2].z);
    let left = i32(x * params.numbers[2].y) - i32(params.numbers[2].w);
    var sum = bias(out);
    var tap = out * inner * size.z * size.w;
    for (var channel = 0u; channel < inner; channel++) {
        for (var row = 0u; row < size.z; row++) {
            for (var column = 0u; column < size.w; column++) {
                let at = vec2(top + i32(row * params.numbers[3].x), left + i32(column * params.numbers[3].y));
                sum += float(b[tap]) * element(plane + channel, at.x, at.y);
                tap++;
            }
        }
    }
    result[index] = of_float(sum);
}

const TILE = 64u;
const DEPTH = 16u;

// Four channels, and four places, at a time.
var<workgroup> kernels: array<array<vec4<f32>, 16>, DEPTH>;
var<workgroup> patches: array<array<vec4<f32>, 16>, DEPTH>;

// As a product of matrices, of kernels with the patches that they see, in tiles of 64 channels × 64 places.
@compute @workgroup_size(16, 16)
fn conv2d_tiled(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_id) place: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let groups = params.numbers[3].z;
    let size = params.numbers[1];
    let inner = params.numbers[0].x / groups;
    let outs = params.numbers[0].w / groups;
    let positions = size.x * size.y;
    let taps = inner * size.z * size.w;
    let picture = group.z / groups;
    let part_of = group.z % groups;
    let top = group.y * TILE;
    let first = group.x * TILE;
    // Each invocation fetches patches of one place.
    let position = first + local % TILE;
    let corner = vec2<i32>(vec2(position / size.y, position % size.y) * params.numbers[2].xy)
        - vec2<i32>(params.numbers[2].zw);
    let plane = picture * params.numbers[0].x + part_of * inner;
    var sums: array<vec4<f32>, 4>;
    for (var step = 0u; step < taps; step += DEPTH) {
        for (var part = 0u; part < 4u; part++) {
            let own = part * 256u + local;
            let out = top + own / DEPTH;
            let k = step + own % DEPTH;
            var value = 0.0;
            if out < outs && k < taps {
                value = float(b[(part_of * outs + out) * taps + k]);
            }
            kernels[own % DEPTH][own / DEPTH / 4u][own / DEPTH % 4u] = value;
            let tap = step + own / TILE;
            value = 0.0;
            if position < positions && tap < taps {
                let window = size.z * size.w;
                let within = tap % window;
                let at = corner + vec2<i32>(vec2(within / size.w, within % size.w) * params.numbers[3].xy);
                value = element(plane + tap / window, at.x, at.y);
            }
            patches[own / TILE][own % TILE / 4u][own % 4u] = value;
        }
        workgroupBarrier();
        for (var k = 0u; k < DEPTH; k++) {
            let down = kernels[k][place.y];
            let across = patches[k][place.x];
            sums[0] += down.x * across;
            sums[1] += down.y * across;
            sums[2] += down.z * across;
            sums[3] += down.w * across;
        }
        workgroupBarrier();
    }
    for (var row = 0u; row < 4u; row++) {
        for (var column = 0u; column < 4u; column++) {
            let own = top + place.y * 4u + row;
            let at = first + place.x * 4u + column;
            if own < outs && at < positions {
                let out = part_of * outs + own;
                result[(picture * params.numbers[0].w + out) * positions + at] =
                    of_float(sums[row][column] + bias(out));
            }
        }
    }
}

@compute @workgroup_size(256)
fn conv2d_transposed(own: Invocation) {
    let index = number_of(own);
    if index >= params.count {
        return;
    }
    let outs = params.numbers[0].w / params.numbers[3].z;
    let inner = params.numbers[0].x / params.numbers[3].z;
    let size = params.numbers[1];
    let stride = vec2<i32>(params.numbers[2].xy);
    let x = index % size.y;
    let y = (index / size.y) % size.x;
    let out = (index / (size.x * size.y)) % params.numbers[0].w;
    let picture = index / (size.x * size.y * params.numbers[0].w);
    let first = out / outs * inner;
    var sum = bias(out);
    for (var row = 0u; row < size.z; row++) {
        for (var column = 0u; column < size.w; column++) {
            // What lands here by this tap comes from a place that strides reach.
            let origin = vec2<i32>(vec2(y, x) + params.numbers[2].zw) - vec2<i32>(vec2(row, column) * params.numbers[3].xy);
            if origin.x < 0 || origin.y < 0 || origin.x % stride.x != 0 || origin.y % stride.y != 0 {
                continue;
            }
            for (var channel = first; channel < first + inner; channel++) {
                let tap = ((channel * outs + out % outs) * size.z + row) * size.w + column;
                let plane = picture * params.numbers[0].x + channel;
                sum += float(b[tap]) * element(plane, origin.x / stride.x, origin.y / stride.y);
            }
        }
    }
    result[index] = of_float(sum);
}
