// Windows over planes, and planes of another size. `numbers[0]`: rows and columns of the source, and of the result.

fn element(plane: u32, row: i32, column: i32) -> f32 {
    let size = vec2<i32>(params.numbers[0].xy);
    let at = clamp(vec2(row, column), vec2(0), size - 1);
    return float(a[(i32(plane) * size.x + at.x) * size.y + at.y]);
}

// As `codes.rs` numbers `Pooling`: the other is the mean.
const MAX = 0u;

// `numbers[1]`: size and strides; `[2].xy`: padding, which does not count.
@compute @workgroup_size(256)
fn pool2d(own: Invocation) {
    let index = number_of(own);
    if index >= params.count {
        return;
    }
    let size = vec2<i32>(params.numbers[0].xy);
    let x = index % params.numbers[0].w;
    let y = (index / params.numbers[0].w) % params.numbers[0].z;
    let plane = index / (params.numbers[0].z * params.numbers[0].w);
    let corner = vec2<i32>(vec2(y, x) * params.numbers[1].zw) - vec2<i32>(params.numbers[2].xy);
    let first = max(corner, vec2(0));
    let last = min(corner + vec2<i32>(params.numbers[1].xy), size);
    var most = element(plane, first.x, first.y);
    var sum = 0.0;
    for (var row = first.x; row < last.x; row++) {
        for (var column = first.y; column < last.y; column++) {
            let value = element(plane, row, column);
            most = max(most, value);
            sum += value;
        }
    }
    let area = last - first;
    result[index] = of_float(select(sum / f32(area.x * area.y), most, params.operation == MAX));
}

// Weights of four neighbours of a place between the second and the third, with a = −0.75.
fn cubic(t: f32) -> vec4<f32> {
    let d = vec4(1.0 + t, t, 1.0 - t, 2.0 - t);
    let near = ((1.25 * d - 2.25) * d) * d + 1.0;
    let far = ((-0.75 * d + 3.75) * d - 6.0) * d + 3.0;
    return vec4(far.x, near.y, near.z, far.w);
}

// As `codes.rs` numbers `ResizeMethod`: the third is of four by four.
const NEAREST = 0u;
const BILINEAR = 1u;

@compute @workgroup_size(256)
fn resize(own: Invocation) {
    let index = number_of(own);
    if index >= params.count {
        return;
    }
    let before = params.numbers[0].xy;
    let after = params.numbers[0].zw;
    let place = vec2((index / after.y) % after.x, index % after.y);
    let plane = index / (after.x * after.y);
    if params.operation == NEAREST {
        let at = vec2<i32>(place * before / after);
        result[index] = of_float(element(plane, at.x, at.y));
        return;
    }
    let between = (vec2<f32>(place) + 0.5) * vec2<f32>(before) / vec2<f32>(after) - 0.5;
    let corner = vec2<i32>(floor(between));
    let share = between - floor(between);
    var sum = 0.0;
    if params.operation == BILINEAR {
        let rows = vec2(1.0 - share.x, share.x);
        for (var row = 0; row < 2; row++) {
            let left = element(plane, corner.x + row, corner.y);
            sum += rows[row] * mix(left, element(plane, corner.x + row, corner.y + 1), share.y);
        }
    } else {
        let rows = cubic(share.x);
        let columns = cubic(share.y);
        for (var row = 0; row < 4; row++) {
            for (var column = 0; column < 4; column++) {
                sum += rows[row] * columns[column] * element(plane, corner.x + row - 1, corner.y + column - 1);
            }
        }
    }
    result[index] = of_float(sum);
}
