//! Every operation on tensors that has a name of its own in the SDK, beside what it is defined as. Tests run it on this machine, and a
//! guest in the host, so that neither of the SDK's two ways to an operation leads to another one.

use rillbox_sdk::tensor::{Convolution, ElementType, Pad, Resize, Tensor, Window};

/// Operations that give something else, with what they give.
pub fn wrong() -> Vec<String> {
    let mut wrong = Vec::new();
    let mut check = |name: &str, tensor: Tensor, expected: &[f32]| match tensor.values() {
        Ok(given) if is_near(&given, expected) => {}
        given => wrong.push(format!("{name}: {given:?} instead of {expected:?}")),
    };
    functions(&mut check);
    steps(&mut check);
    pairs(&mut check);
    comparisons(&mut check);
    reductions(&mut check);
    norms(&mut check);
    moves(&mut check);
    planes(&mut check);
    wrong
}

type Check<'a> = dyn FnMut(&str, Tensor, &[f32]) + 'a;

fn is_near(given: &[f32], expected: &[f32]) -> bool {
    let near = |(given, expected): (&f32, &f32)| (given - expected).abs() <= 1e-4 * expected.abs().max(1.0);
    given.len() == expected.len() && given.iter().zip(expected).all(near)
}

/// What is smooth.
fn functions(check: &mut Check<'_>) {
    const AT: [f32; 3] = [0.25, 0.5, 0.75];
    let x = Tensor::of(&[3], &AT);
    let mut each = |name: &str, tensor: Tensor, of: fn(f32) -> f32| check(name, tensor, &AT.map(of));
    each("reciprocal", x.reciprocal(), f32::recip);
    each("exp", x.exp(), f32::exp);
    each("log", x.log(), f32::ln);
    each("sqrt", x.sqrt(), f32::sqrt);
    each("sin", x.sin(), f32::sin);
    each("cos", x.cos(), f32::cos);
    each("tan", x.tan(), f32::tan);
    each("asin", x.asin(), f32::asin);
    each("acos", x.acos(), f32::acos);
    each("atan", x.atan(), f32::atan);
    each("sinh", x.sinh(), f32::sinh);
    each("cosh", x.cosh(), f32::cosh);
    each("tanh", x.tanh(), f32::tanh);
    each("sigmoid", x.sigmoid(), |x| 1.0 / (1.0 + (-x).exp()));
    each("softplus", x.softplus(), |x| (1.0 + x.exp()).ln());
    each("silu", x.silu(), |x| x / (1.0 + (-x).exp()));
    // By tables of the error function and of the normal distribution.
    check("erf", x.erf(), &[0.276_326, 0.520_5, 0.711_156]);
    check("gelu", x.gelu(), &[0.149_677, 0.345_731, 0.580_03]);
}

/// What has corners.
fn steps(check: &mut Check<'_>) {
    let x = Tensor::of(&[4], &[-3.5, -0.5, 2.5, 4.0]);
    check("neg", -&x, &[3.5, 0.5, -2.5, -4.0]);
    check("neg of a result", -(&x * 2_f32), &[7.0, 1.0, -5.0, -8.0]);
    check("sum of results", &x * &x + -&x * 1.0, &[15.75, 0.75, 3.75, 12.0]);
    check("abs", x.abs(), &[3.5, 0.5, 2.5, 4.0]);
    check("sign", x.sign(), &[-1.0, -1.0, 1.0, 1.0]);
    check("floor", x.floor(), &[-4.0, -1.0, 2.0, 4.0]);
    check("ceil", x.ceil(), &[-3.0, 0.0, 3.0, 4.0]);
    check("round", x.round(), &[-4.0, 0.0, 2.0, 4.0]);
    check("relu", x.relu(), &[0.0, 0.0, 2.5, 4.0]);
    check("hard_sigmoid", x.hard_sigmoid(), &[0.0, 0.416_667, 0.916_667, 1.0]);
    check("hard_swish", x.hard_swish(), &[0.0, -0.208_333, 2.291_667, 4.0]);
    check("clamp", x.clamp(-1.0, 3.0), &[-1.0, -0.5, 2.5, 3.0]);
    check("is_nan", Tensor::of(&[2], &[f32::NAN, 1.0]).is_nan(), &[1.0, 0.0]);
}

/// Of two.
fn pairs(check: &mut Check<'_>) {
    let (a, b) = (Tensor::of(&[4], &[7.0, -7.0, 2.0, 3.0]), Tensor::of(&[4], &[2.0, 2.0, 5.0, 3.0]));
    check("add", &a + &b, &[9.0, -5.0, 7.0, 6.0]);
    check("sub", &a - &b, &[5.0, -9.0, -3.0, 0.0]);
    check("mul", &a * &b, &[14.0, -14.0, 10.0, 9.0]);
    check("div", &a / &b, &[3.5, -3.5, 0.4, 1.0]);
    check("modulo", a.modulo(&b), &[1.0, -1.0, 2.0, 0.0]);
    check("pow", a.pow(&b), &[49.0, 49.0, 32.0, 27.0]);
    check("min", a.min(&b), &[2.0, -7.0, 2.0, 3.0]);
    check("max", a.max(&b), &[7.0, 2.0, 5.0, 3.0]);
    check("sub of a number", &a - 1.0, &[6.0, -8.0, 1.0, 2.0]);
    check("pow of a number", a.pow(2.0), &[49.0, 49.0, 4.0, 9.0]);
    check("add to a number", 1.0 + &a, &[8.0, -6.0, 3.0, 4.0]);
    check("sub from a number", 1.0 - &a, &[-6.0, 8.0, -1.0, -2.0]);
    check("mul of a number", 2.0 * &a, &[14.0, -14.0, 4.0, 6.0]);
    check("div of a number", 42.0 / &a, &[6.0, -6.0, 21.0, 14.0]);
    check("numbers and results", (1.0 + a.clone() * 2.0) / b.clone() - 1.0, &[6.5, -7.5, 0.0, 4.0 / 3.0]);
    let whole = Tensor::of_whole(&[2], &[7, -7]);
    check("div of a whole number", 22.0 / &whole, &[3.0, -3.0]);
    check("modulo of whole numbers", whole.modulo(4.0), &[3.0, 1.0]);
    check("blend", a.blend(&b, 0.5), &[4.5, -2.5, 3.5, 3.0]);
    check("blend_by", a.blend_by(&b, &Tensor::of(&[4], &[0.0, 1.0, 0.5, 0.2])), &[7.0, 2.0, 3.5, 3.0]);
}

/// What is true or false.
fn comparisons(check: &mut Check<'_>) {
    let (a, b) = (Tensor::of(&[3], &[1.0, 2.0, 3.0]), Tensor::of(&[3], &[2.0, 2.0, 2.0]));
    check("equal", a.equal(&b), &[0.0, 1.0, 0.0]);
    check("not_equal", a.not_equal(&b), &[1.0, 0.0, 1.0]);
    check("less", a.less(&b), &[1.0, 0.0, 0.0]);
    check("less_equal", a.less_equal(&b), &[1.0, 1.0, 0.0]);
    check("greater", a.greater(&b), &[0.0, 0.0, 1.0]);
    check("greater_equal", a.greater_equal(&b), &[0.0, 1.0, 1.0]);
    let bits = |of: &[i32]| Tensor::of_whole(&[4], of).cast(ElementType::Boolean);
    let (x, y) = (bits(&[0, 0, 1, 1]), bits(&[0, 1, 0, 1]));
    check("and", x.and(&y), &[0.0, 0.0, 0.0, 1.0]);
    check("or", x.or(&y), &[0.0, 1.0, 1.0, 1.0]);
    check("xor", x.xor(&y), &[0.0, 1.0, 1.0, 0.0]);
    check("not", !&x, &[1.0, 1.0, 0.0, 0.0]);
    check(
        "choose",
        x.choose(&Tensor::full(ElementType::F32, &[1], 5.0), &Tensor::of(&[4], &[1.0; 4])),
        &[1.0, 1.0, 5.0, 5.0],
    );
}

/// Many that become one.
fn reductions(check: &mut Check<'_>) {
    let x = Tensor::of(&[2, 3], &[1.0, 9.0, 3.0, 4.0, 2.0, 2.0]);
    check("sum", x.sum(&[1], false), &[13.0, 8.0]);
    check("mean", x.mean(&[0], false), &[2.5, 5.5, 2.5]);
    check("largest", x.largest(&[1], false), &[9.0, 4.0]);
    check("smallest", x.smallest(&[1], false), &[1.0, 2.0]);
    check("product", x.product(&[1], false), &[27.0, 16.0]);
    check("argmax", x.argmax(1, false), &[1.0, 0.0]);
    check("argmin", x.argmin(1, false), &[0.0, 1.0]);
    check("softmax", Tensor::of(&[2], &[0.0, 3_f32.ln()]).softmax(0), &[0.25, 0.75]);
    let (row, kernel) = (Tensor::of(&[1, 1, 1, 2], &[1.0, 2.0]), Tensor::of(&[1, 1, 1, 2], &[10.0, 1.0]));
    let apart = Convolution { stride: (1, 2), ..Convolution::default() };
    check("conv2d", row.conv2d(&kernel, None, Convolution::default()), &[12.0]);
    check("conv2d_transposed", row.conv2d_transposed(&kernel, None, apart, (0, 0)), &[10.0, 1.0, 20.0, 2.0]);
}

/// What is made even.
fn norms(check: &mut Check<'_>) {
    let of = |values: &[f32]| Tensor::of(&[values.len() as u32], values);
    let x = Tensor::of(&[1, 2, 1, 2], &[1.0, 3.0, 3.0, 7.0]);
    let batch = x.batch_norm(&of(&[2.0, 1.0]), &of(&[0.0, 1.0]), &of(&[0.0, 1.0]), &of(&[1.0, 4.0]), 1e-9);
    check("batch_norm", batch, &[2.0, 6.0, 2.0, 4.0]);
    let (one, none) = (of(&[1.0, 1.0]), of(&[0.0, 0.0]));
    check("group_norm", x.group_norm(2, &one, &none, 1e-9), &[-1.0, 1.0, -1.0, 1.0]);
    check("layer_norm", x.layer_norm(3, &one, Some(&none), 1e-9), &[-1.0, 1.0, -1.0, 1.0]);
}

/// Elements that stay what they are, and products of matrices.
fn moves(check: &mut Check<'_>) {
    let x = Tensor::of(&[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let turned = x.transpose(&[1, 0]);
    check("matmul", x.matmul(&turned), &[14.0, 32.0, 32.0, 77.0]);
    check("transpose", turned, &[1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
    check("slice", x.slice(&[(0, 2, 1), (0, 3, 2)]), &[1.0, 3.0, 4.0, 6.0]);
    check("reshape", x.reshape(&[3, -1]).sum(&[1], false), &[3.0, 7.0, 11.0]);
    let row = Tensor::of(&[1, 3], &[7.0, 8.0, 9.0]);
    check("concat", Tensor::concat(&[x.clone(), row], 0), &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]);
    check("gather", x.gather(1, &Tensor::of_whole(&[2], &[2, -3])), &[3.0, 1.0, 6.0, 4.0]);
    let pad = |mode| x.slice(&[(0, 1, 1), (0, 3, 1)]).pad(&[(0, 0), (1, 2)], mode);
    check("pad with a constant", pad(Pad::Constant(9.0)), &[9.0, 1.0, 2.0, 3.0, 9.0, 9.0]);
    check("pad by reflection", pad(Pad::Reflect), &[2.0, 1.0, 2.0, 3.0, 2.0, 1.0]);
    check("pad with the edge", pad(Pad::Edge), &[1.0, 1.0, 2.0, 3.0, 3.0, 3.0]);
    let swapped = [0.0, 0.0, 1.0, 0.0, 0.5, 0.0, 1.0, 0.0, 0.0];
    let pixel = Tensor::of(&[3], &[1.0, 2.0, 3.0]);
    check("color_matrix", pixel.color_matrix(0, &swapped, &[0.0, 10.0, 0.0]), &[3.0, 11.0, 1.0]);
}

/// Of pictures.
fn planes(check: &mut Check<'_>) {
    let x = Tensor::of(&[1, 1, 2, 2], &[1.0, 2.0, 3.0, 10.0]);
    let all = Window { size: (2, 2), stride: (1, 1), padding: (0, 0) };
    check("max_pool2d", x.max_pool2d(all), &[10.0]);
    check("average_pool2d", x.average_pool2d(all), &[4.0]);
    let row = Tensor::of(&[1, 1, 1, 2], &[0.0, 10.0]);
    check("resize to the nearest", row.resize(1, 4, Resize::Nearest), &[0.0, 0.0, 10.0, 10.0]);
    check("resize in between two", row.resize(1, 4, Resize::Bilinear), &[0.0, 2.5, 7.5, 10.0]);
    // Keys' cubic with a of −0.75: a little beyond the edge's own on the outer side.
    check(
        "resize in between four",
        row.resize(1, 4, Resize::Bicubic),
        &[-1.054_687_5, 2.265_625, 7.734_375, 11.054_687_5],
    );
}
