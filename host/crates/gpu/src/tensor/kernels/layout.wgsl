// Elements that move, and stay what they are.

// From one place to another: axes have the steps of both, and `numbers[0]` where they begin.
@compute @workgroup_size(256)
fn copy(own: Invocation) {
    let index = number_of(own);
    if index >= params.count {
        return;
    }
    let at = places(index);
    result[params.numbers[0].y + at.y] = a[params.numbers[0].x + at.x];
}

// Beyond the edges is what `numbers[0].x` is, the picture mirrored, or what the edge is.
const CONSTANT = 0u;
const REFLECT = 1u;
const EDGE = 2u;

// Of each axis: its length, how many are before the source's, how long that is, and its step.
@compute @workgroup_size(256)
fn pad(own: Invocation) {
    let index = number_of(own);
    if index >= params.count {
        return;
    }
    var rest = index;
    var origin = 0u;
    var inside = true;
    for (var axis = 0u; axis < params.axes; axis++) {
        let along = params.axis[axis];
        let place = i32(rest % along.x) - i32(along.y);
        let last = i32(along.z) - 1;
        rest /= along.x;
        inside &= place >= 0 && place <= last;
        var at = clamp(place, 0, last);
        if params.operation == REFLECT {
            at = select(abs(place), 2 * last - place, place > last);
        }
        origin += u32(at) * along.w;
    }
    if params.operation == CONSTANT && !inside {
        result[index] = params.numbers[0].x;
    } else {
        result[index] = a[origin];
    }
}

// `numbers[0]`: entries there are, elements of each, and how many are named. One below 0 counts from the end.
@compute @workgroup_size(256)
fn gather(own: Invocation) {
    let index = number_of(own);
    if index >= params.count {
        return;
    }
    let length = i32(params.numbers[0].x);
    let each = params.numbers[0].y;
    let named = params.numbers[0].z;
    let block = index / (each * named);
    let entry = whole(b[(index / each) % named]);
    let place = u32(select(entry, entry + length, entry < 0));
    result[index] = a[(block * u32(length) + place) * each + index % each];
}

// Three channels by a matrix: `numbers[0]` to `[2]` are a row and its offset each, `numbers[3].x` is how far apart channels are.
@compute @workgroup_size(256)
fn color_matrix(own: Invocation) {
    let index = number_of(own);
    if index >= params.count {
        return;
    }
    let apart = params.numbers[3].x;
    let at = (index / apart) * 3u * apart + index % apart;
    let channels = vec4(float(a[at]), float(a[at + apart]), float(a[at + 2u * apart]), 1.0);
    for (var channel = 0u; channel < 3u; channel++) {
        let row = bitcast<vec4<f32>>(params.numbers[channel]);
        result[at + channel * apart] = of_float(dot(row, channels));
    }
}
