// What is done to each element, to each pair, and to three.

// Abramowitz and Stegun, 7.1.26: within 1.5e-7.
fn erf(x: f32) -> f32 {
    let t = 1.0 / (1.0 + 0.3275911 * abs(x));
    let polynomial =
        t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
    return sign(x) * (1.0 - polynomial * exp(-x * x));
}

fn sigmoid(x: f32) -> f32 {
    return 1.0 / (1.0 + exp(-x));
}

fn hard_sigmoid(x: f32) -> f32 {
    return clamp(x / 6.0 + 0.5, 0.0, 1.0);
}

const IS_NAN = 27u;

// What is done to whole numbers is numbered from here on.
const WHOLE = 100u;

// As `codes.rs` numbers `Unary`.
fn unary_float(x: f32) -> f32 {
    switch params.operation {
        case 0u: { return -x; }
        case 1u: { return abs(x); }
        case 2u: { return sign(x); }
        case 3u: { return 1.0 / x; }
        case 4u: { return exp(x); }
        case 5u: { return log(x); }
        case 6u: { return sqrt(x); }
        case 7u: { return sin(x); }
        case 8u: { return cos(x); }
        case 9u: { return tan(x); }
        case 10u: { return asin(x); }
        case 11u: { return acos(x); }
        case 12u: { return atan(x); }
        case 13u: { return sinh(x); }
        case 14u: { return cosh(x); }
        case 15u: { return floor(x); }
        case 16u: { return ceil(x); }
        case 17u: { return round(x); }
        case 18u: { return erf(x); }
        case 19u: { return most(x, 0.0); }
        case 20u: { return sigmoid(x); }
        // Drivers may divide two infinities.
        case 21u: { return tanh(clamp(x, -20.0, 20.0)); }
        case 22u: { return max(x, 0.0) + log(1.0 + exp(-abs(x))); }
        case 23u: { return 0.5 * x * (1.0 + erf(x * 0.70710678)); }
        case 24u: { return x * sigmoid(x); }
        case 25u: { return hard_sigmoid(x); }
        case 26u: { return x * hard_sigmoid(x); }
        default: { return x; }
    }
}

fn unary_whole(x: i32) -> i32 {
    switch params.operation {
        case WHOLE: { return -x; }
        case WHOLE + 1u: { return abs(x); }
        case WHOLE + 2u: { return sign(x); }
        // Not.
        default: { return 1 - x; }
    }
}

@compute @workgroup_size(256)
fn unary(own: Invocation) {
    let index = number_of(own);
    if index >= params.count {
        return;
    }
    let word = a[index];
    if params.operation == IS_NAN {
        result[index] = u32(is_nan(word));
    } else if params.operation >= WHOLE {
        result[index] = of_whole(unary_whole(whole(word)));
    } else {
        result[index] = of_float(unary_float(float(word)));
    }
}

// Of negative numbers there are whole powers alone; of others NaN, which the kernel is told, as WGSL has no such constant.
fn power(x: f32, y: f32) -> f32 {
    if y == 0.0 {
        return 1.0;
    }
    let odd = floor(y) == y && abs(y % 2.0) == 1.0;
    let size = select(pow(abs(x), y), select(0.0, 1.0 / abs(x), y < 0.0), x == 0.0);
    if x < 0.0 && floor(y) != y {
        return bitcast<f32>(params.numbers[1].y);
    }
    return select(size, -size, x < 0.0 && odd);
}

// Of `Binary`, as `codes.rs` numbers it: the first and the last that compare.
const EQUAL = 8u;
const GREATER_EQUAL = 13u;

// As `codes.rs` numbers `Binary`; comparisons are elsewhere.
fn binary_float(x: f32, y: f32) -> f32 {
    switch params.operation {
        case 0u: { return x + y; }
        case 1u: { return x - y; }
        case 2u: { return x * y; }
        case 3u: { return x / y; }
        case 4u: { return x - y * trunc(x / y); }
        case 5u: { return power(x, y); }
        case 6u: { return least(x, y); }
        default: { return most(x, y); }
    }
}

fn binary_whole(x: i32, y: i32) -> i32 {
    switch params.operation {
        case 0u: { return x + y; }
        case 1u: { return x - y; }
        case 2u: { return x * y; }
        case 3u: { return x / y; }
        case 4u: {
            let rest = x % y;
            return select(rest, rest + y, rest != 0 && (rest < 0) != (y < 0));
        }
        case 6u: { return min(x, y); }
        case 7u: { return max(x, y); }
        case 14u: { return x & y; }
        case 15u: { return x | y; }
        default: { return x ^ y; }
    }
}

// Those of `Binary` from `Equal` on.
fn compared(less: bool, equal: bool, greater: bool) -> bool {
    switch params.operation {
        case EQUAL: { return equal; }
        case EQUAL + 1u: { return !equal; }
        case EQUAL + 2u: { return less; }
        case EQUAL + 3u: { return less || equal; }
        case EQUAL + 4u: { return greater; }
        default: { return greater || equal; }
    }
}

// Numbers are in `numbers[0]`: which operands are one, as bits; then each.
fn operand(place: u32, word: u32) -> u32 {
    return select(word, params.numbers[0][place + 1u], (params.numbers[0].x & (1u << place)) != 0u);
}

// `numbers[1]`: 1 for floating point; NaN.
@compute @workgroup_size(256)
fn binary(own: Invocation) {
    let index = number_of(own);
    if index >= params.count {
        return;
    }
    let at = places(index);
    let x = operand(0u, a[at.x]);
    let y = operand(1u, b[at.y]);
    let compares = params.operation >= EQUAL && params.operation <= GREATER_EQUAL;
    if params.numbers[1].x == 1u {
        let p = float(x);
        let q = float(y);
        if compares {
            result[index] = u32(compared((p < q), p == q, (p > q)));
        } else {
            result[index] = of_float(binary_float(p, q));
        }
    } else {
        let p = whole(x);
        let q = whole(y);
        if compares {
            result[index] = u32(compared((p < q), p == q, (p > q)));
        } else {
            result[index] = of_whole(binary_whole(p, q));
        }
    }
}

// One of two, as the first operand says.
@compute @workgroup_size(256)
fn choose(own: Invocation) {
    let index = number_of(own);
    if index >= params.count {
        return;
    }
    let at = places(index);
    let one = operand(1u, b[at.y]);
    let other = operand(2u, c[at.z]);
    result[index] = select(other, one, operand(0u, a[at.x]) != 0u);
}

// Between two, as far as the first operand says.
@compute @workgroup_size(256)
fn blend(own: Invocation) {
    let index = number_of(own);
    if index >= params.count {
        return;
    }
    let at = places(index);
    let one = float(operand(1u, b[at.y]));
    let other = float(operand(2u, c[at.z]));
    result[index] = of_float(one + (other - one) * float(operand(0u, a[at.x])));
}

// Towards 0, and held within what there is; what is no number is 0.
fn to_whole(word: u32, least: f32, most: f32) -> i32 {
    if is_nan(word) {
        return 0;
    }
    let value = float(word);
    if value >= most {
        return select(i32(most), 0x7fffffff, most > 2e9);
    }
    return i32(max(value, least));
}

const CLAMP_FLOATS = 0u;
const CLAMP_WHOLES = 1u;
const WHOLES_TO_FLOATS = 2u;
const FLOATS_TO_BYTES = 3u;
const FLOATS_TO_WHOLES = 4u;
const ROUND_FLOATS = 5u;
const WRAP_WHOLES = 6u;
const NOT_ZERO = 7u;

// `numbers[0]`: the least, the most, and 1 for floating point.
@compute @workgroup_size(256)
fn convert(own: Invocation) {
    let index = number_of(own);
    if index >= params.count {
        return;
    }
    let word = a[index];
    let low = params.numbers[0].x;
    let high = params.numbers[0].y;
    switch params.operation {
        case CLAMP_FLOATS: {
            let value = float(word);
            result[index] = select(select(word, high, value > float(high)), low, value < float(low));
        }
        case CLAMP_WHOLES: { result[index] = bitcast<u32>(clamp(whole(word), whole(low), whole(high))); }
        case WHOLES_TO_FLOATS: { result[index] = of_float(f32(whole(word))); }
        case FLOATS_TO_BYTES: { result[index] = bitcast<u32>(to_whole(word, 0.0, 255.0)); }
        case FLOATS_TO_WHOLES: { result[index] = bitcast<u32>(to_whole(word, -2147483648.0, 2147483648.0)); }
        case ROUND_FLOATS: { result[index] = of_float(float(word)); }
        case WRAP_WHOLES: { result[index] = of_whole(whole(word)); }
        // Both zeros of floating point are 0.
        case NOT_ZERO, default: {
            let sign = select(0u, 0x80000000u, params.numbers[0].z == 1u);
            result[index] = u32((word & ~sign) != 0u);
        }
    }
}
