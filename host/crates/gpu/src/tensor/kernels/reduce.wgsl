// Many elements that become one. The axes of the result come first, then those that are reduced.
//
// `numbers[0]`: elements that become one, their axes, in how many parts, and what a sum is divided by. `numbers[1].x`: 1 for
// floating point.

// As `codes.rs` numbers `Reduction`.
const SUM = 0u;
const MAX = 2u;
const MIN = 3u;
const PROD = 4u;

fn at_axes(index: u32, first: u32, last: u32) -> u32 {
    var rest = index;
    var at = 0u;
    for (var axis = first; axis < last; axis++) {
        let along = params.axis[axis];
        at += (rest % along.x) * along.y;
        rest /= along.x;
    }
    return at;
}

fn source(base: u32, index: u32) -> u32 {
    return a[base + at_axes(index, params.axes, params.axes + params.numbers[0].y)];
}

fn is_float() -> bool {
    return params.numbers[1].x == 1u;
}

fn folded(x: u32, y: u32) -> u32 {
    if is_float() {
        let p = float(x);
        let q = float(y);
        switch params.operation {
            case MAX: { return bitcast<u32>(most(p, q)); }
            case MIN: { return bitcast<u32>(least(p, q)); }
            case PROD: { return bitcast<u32>(p * q); }
            default: { return bitcast<u32>(p + q); }
        }
    }
    let p = whole(x);
    let q = whole(y);
    switch params.operation {
        case MAX: { return bitcast<u32>(max(p, q)); }
        case MIN: { return bitcast<u32>(min(p, q)); }
        case PROD: { return bitcast<u32>(p * q); }
        default: { return bitcast<u32>(p + q); }
    }
}

fn finished(word: u32) -> u32 {
    if is_float() {
        return of_float(float(word) / float(params.numbers[0].w));
    }
    return word;
}

@compute @workgroup_size(256)
fn reduce_each(own: Invocation) {
    let index = number_of(own);
    if index >= params.count {
        return;
    }
    let base = at_axes(index, 0u, params.axes);
    var sum = source(base, 0u);
    for (var at = 1u; at < params.numbers[0].x; at++) {
        sum = folded(sum, source(base, at));
    }
    result[index] = finished(sum);
}

var<workgroup> partials: array<u32, 256>;
var<workgroup> where_at: array<u32, 256>;

// A workgroup for each part of each result.
@compute @workgroup_size(256)
fn reduce_together(own: Invocation) {
    let index = group_of(own);
    let local = own.local;
    let length = params.numbers[0].x;
    let parts = params.numbers[0].z;
    // Workgroups beyond the last do as it does, and write nothing.
    let mine = min(index, params.count - 1u);
    let base = at_axes(mine / parts, 0u, params.axes);
    let part = mine % parts;
    let first = part * 256u + local;
    // Invocations that have an element.
    let busy = min(256u, length - part * 256u);
    var sum = source(base, min(first, length - 1u));
    for (var at = first + parts * 256u; at < length; at += parts * 256u) {
        sum = folded(sum, source(base, at));
    }
    partials[local] = sum;
    workgroupBarrier();
    for (var half = 128u; half > 0u; half /= 2u) {
        if local < half && local + half < busy {
            partials[local] = folded(partials[local], partials[local + half]);
        }
        workgroupBarrier();
    }
    if local == 0u && index < params.count {
        result[index] = finished(partials[0]);
    }
}

// Whether an element at a place is to be taken before another.
fn comes_before(x: u32, x_at: u32, y: u32, y_at: u32) -> bool {
    var less: bool;
    var equal: bool;
    if is_float() {
        less = float(x) < float(y);
        equal = float(x) == float(y);
    } else {
        less = whole(x) < whole(y);
        equal = x == y;
    }
    if equal {
        return x_at < y_at;
    }
    return less == (params.operation == MIN);
}

@compute @workgroup_size(256)
fn arg_each(own: Invocation) {
    let index = number_of(own);
    if index >= params.count {
        return;
    }
    let base = at_axes(index, 0u, params.axes);
    var best = source(base, 0u);
    var best_at = 0u;
    for (var at = 1u; at < params.numbers[0].x; at++) {
        let next = source(base, at);
        if comes_before(next, at, best, best_at) {
            best = next;
            best_at = at;
        }
    }
    result[index] = best_at;
}

@compute @workgroup_size(256)
fn arg_together(own: Invocation) {
    let index = group_of(own);
    let local = own.local;
    let length = params.numbers[0].x;
    let base = at_axes(min(index, params.count - 1u), 0u, params.axes);
    let first = min(local, length - 1u);
    var best = source(base, first);
    var best_at = first;
    for (var at = local + 256u; at < length; at += 256u) {
        let next = source(base, at);
        if comes_before(next, at, best, best_at) {
            best = next;
            best_at = at;
        }
    }
    partials[local] = best;
    where_at[local] = best_at;
    workgroupBarrier();
    for (var half = 128u; half > 0u; half /= 2u) {
        if local < half {
            let other = local + half;
            if comes_before(partials[other], where_at[other], partials[local], where_at[local]) {
                partials[local] = partials[other];
                where_at[local] = where_at[other];
            }
        }
        workgroupBarrier();
    }
    if local == 0u && index < params.count {
        result[index] = where_at[0];
    }
}

// exp(x − max) over its sum along one axis, which is the last of the axes. A result is a whole row.
@compute @workgroup_size(256)
fn softmax_each(own: Invocation) {
    let index = number_of(own);
    if index >= params.count {
        return;
    }
    let base = at_axes(index, 0u, params.axes);
    let step = params.axis[params.axes].y;
    let length = params.numbers[0].x;
    var most = float(a[base]);
    for (var at = 1u; at < length; at++) {
        most = max(most, float(a[base + at * step]));
    }
    var sum = 0.0;
    for (var at = 0u; at < length; at++) {
        sum += exp(float(a[base + at * step]) - most);
    }
    for (var at = 0u; at < length; at++) {
        result[base + at * step] = of_float(exp(float(a[base + at * step]) - most) / sum);
    }
}

var<workgroup> floats: array<f32, 256>;

@compute @workgroup_size(256)
fn softmax_together(own: Invocation) {
    let index = group_of(own);
    let local = own.local;
    let base = at_axes(min(index, params.count - 1u), 0u, params.axes);
    let step = params.axis[params.axes].y;
    let length = params.numbers[0].x;
    var most = float(a[base + min(local, length - 1u) * step]);
    for (var at = local + 256u; at < length; at += 256u) {
        most = max(most, float(a[base + at * step]));
    }
    floats[local] = most;
    workgroupBarrier();
    for (var half = 128u; half > 0u; half /= 2u) {
        if local < half {
            floats[local] = max(floats[local], floats[local + half]);
        }
        workgroupBarrier();
    }
    most = floats[0];
    workgroupBarrier();
    var sum = 0.0;
    for (var at = local; at < length; at += 256u) {
        sum += exp(float(a[base + at * step]) - most);
    }
    floats[local] = sum;
    workgroupBarrier();
    for (var half = 128u; half > 0u; half /= 2u) {
        if local < half {
            floats[local] += floats[local + half];
        }
        workgroupBarrier();
    }
    sum = floats[0];
    if index >= params.count {
        return;
    }
    for (var at = local; at < length; at += 256u) {
        result[base + at * step] = of_float(exp(float(a[base + at * step]) - most) / sum);
    }
}
