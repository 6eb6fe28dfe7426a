// What every kernel of tensors is told, and where its operands are. An element is one word, whatever its type: floating point as
// f32, everything else as i32.

struct Params {
    // Invocations that have something to do: as a rule, elements of the result.
    count: u32,
    // What is done, as the kernel numbers it.
    operation: u32,
    // What a result becomes: 0 stays, 1 is rounded to half precision, 2 is a byte that wraps around.
    rounding: u32,
    // How many of the axes below there are, at least 1.
    axes: u32,
    // The innermost first: its length, and what the kernel takes from one place on it to the next.
    axis: array<vec4<u32>, 8>,
    // Whatever else the kernel takes.
    numbers: array<vec4<u32>, 4>,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<u32>;
@group(0) @binding(2) var<storage, read> b: array<u32>;
@group(0) @binding(3) var<storage, read> c: array<u32>;
@group(0) @binding(4) var<storage, read_write> result: array<u32>;

// One invocation of a grid of two axes, 256 a workgroup.
struct Invocation {
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
}

fn group_of(own: Invocation) -> u32 {
    return own.group.y * own.groups.x + own.group.x;
}

fn number_of(own: Invocation) -> u32 {
    return group_of(own) * 256u + own.local;
}

// Where the operands of a place in the result are.
fn places(index: u32) -> vec3<u32> {
    var rest = index;
    var at = vec3(0u);
    for (var axis = 0u; axis + 1u < params.axes; axis++) {
        let along = params.axis[axis];
        at += (rest % along.x) * along.yzw;
        rest /= along.x;
    }
    return at + rest * params.axis[params.axes - 1u].yzw;
}

// As close to the number as half precision comes.
fn halved(value: f32) -> f32 {
    return unpack2x16float(pack2x16float(vec2(value, 0.0))).x;
}

fn float(word: u32) -> f32 {
    return bitcast<f32>(word);
}

fn is_nan(word: u32) -> bool {
    return (word & 0x7fffffffu) > 0x7f800000u;
}

// The smaller of two, or NaN where there is one: drivers may leave that out of `min` and of comparisons, and not of
// bits.
fn least(x: f32, y: f32) -> f32 {
    if is_nan(bitcast<u32>(x)) {
        return x;
    }
    return select(min(x, y), y, is_nan(bitcast<u32>(y)));
}

fn most(x: f32, y: f32) -> f32 {
    if is_nan(bitcast<u32>(x)) {
        return x;
    }
    return select(max(x, y), y, is_nan(bitcast<u32>(y)));
}

fn whole(word: u32) -> i32 {
    return bitcast<i32>(word);
}

fn of_float(value: f32) -> u32 {
    if params.rounding == 1u {
        return bitcast<u32>(halved(value));
    }
    return bitcast<u32>(value);
}

fn of_whole(value: i32) -> u32 {
    if params.rounding == 2u {
        return bitcast<u32>(value) & 0xffu;
    }
    return bitcast<u32>(value);
}
