//! Estimates of what takes longer than others of its kind.

use std::time::Duration;

use super::*;
use crate::{Allowance, Cost, Unlimited};

/// What a live picture's operations are admitted within.
const FRAME: Duration = Duration::from_millis(40);

/// Takes note of what an operation would take, and lets it go no further than what holds the largest part of that.
#[derive(Default)]
struct Noted(Duration);

impl Allowance for Noted {
    fn admit(&mut self, cost: Cost) -> Result<(), Error> {
        self.0 += cost.time;
        if cost.bytes == 0 { Ok(()) } else { Err(Error::Limit("noted".to_owned())) }
    }
}

fn time(operation: impl Fn(&mut Noted) -> Result<Tensor, Error>) -> Duration {
    let mut noted = Noted::default();
    assert!(matches!(operation(&mut noted), Err(Error::Limit(_))));
    noted.0
}

fn full(element: ElementType, shape: &[usize], value: f64) -> Tensor {
    Tensor::full(element, shape, value, &mut Unlimited).unwrap()
}

fn is_between(time: Duration, least: u64, most: u64) {
    assert!(time >= Duration::from_millis(least) && time <= Duration::from_millis(most), "{time:?}");
}

/// Catches quotients of so many bits that each remainder takes many rounds, as if they took one.
#[test]
fn remainders_of_numbers_far_apart_take_longer() {
    let others = Tensor::of_elements(&[3], vec![0.0, f32::NAN, f32::INFINITY]);
    let of = |x: f64, y: f64| {
        let [left, right] = [x, y].map(|value| {
            let values = full(ElementType::F32, &[1 << 16], value);
            Tensor::concat(&[&others, &values], 0, &mut Unlimited).unwrap()
        });
        time(|a| left.binary(Binary::Modulo, &right, a))
    };
    let usual = of(0.7, 0.3);
    assert_eq!(usual, of(-1e6, 0.1));
    assert_eq!(usual, of(0.0, 1.0));
    assert!(of(3.3e38, 1.2e-38) >= 8 * usual);
    assert!(of(-3.3e38, 1e-45) > of(3.3e38, -1.2e-38));
}

/// Catches windows whose results are taken for nothing, and what usual ones were refused for.
#[test]
fn results_of_windows_take_their_time() {
    let picture = full(ElementType::F32, &[1, 3, 1_080, 1_920], 0.5);
    let of = |size: [usize; 2], stride: [usize; 2]| {
        let window = Window { size, stride, padding: [0, 0] };
        time(|a| picture.pool2d(Pooling::Max, window, a))
    };
    is_between(of([1, 1], [1, 1]), 20, 40);
    for (size, stride) in [([2, 2], [2, 2]), ([3, 3], [2, 2]), ([31, 31], [31, 31]), ([1_080, 1_920], [1, 1])] {
        is_between(of(size, stride), 5, 40);
    }
    // Columns that are in no window are gone through as well.
    let row = full(ElementType::F32, &[1, 1, 1, 1 << 22], 0.5);
    let window = Window { size: [1, 1], stride: [1, 1 << 15], padding: [0, 0] };
    is_between(time(|a| row.pool2d(Pooling::Max, window, a)), 4, 8);
}

/// Catches half precision whose elements become others, and back, in no time.
#[test]
fn half_precision_takes_longer() {
    let pairs = [ElementType::F32, ElementType::F16].map(|element| {
        let picture = full(element, &[1, 3, 1_080, 1_920], 0.5);
        let (row, square) = (full(element, &[1, 2_048], 0.5), full(element, &[2_048, 2_048], 0.5));
        let window = Window { size: [1, 1], stride: [64, 64], padding: [0, 0] };
        let count = picture.len() as u64;
        [
            (time(|a| picture.pool2d(Pooling::Average, window, a)), count),
            (time(|a| picture.resize(8, 8, ResizeMethod::Bilinear, a)), count),
            (time(|a| row.matmul(&square, a)), square.len() as u64),
            (time(|a| picture.reduce(Reduction::Sum, &[], false, a)), count),
        ]
    });
    for ((full, count), (half, _)) in pairs[0].iter().zip(&pairs[1]) {
        assert!(*half >= *full + Duration::from_nanos(*count), "{full:?}, {half:?}");
        assert!(*half <= FRAME, "{half:?}");
    }
}

/// Catches convolutions that the backend does row by row, or tile by tile, whose rows are short: nothing stops one that has begun.
#[test]
fn convolutions_in_short_rows_take_longer() {
    let of = |input: [usize; 4], kernel: [usize; 4]| {
        let [input, kernel] = [input, kernel].map(|shape| full(ElementType::F32, &shape, 0.5));
        let (by, none) = (Convolution::default(), [0, 0]);
        [time(|a| input.conv2d(&kernel, None, by, a)), time(|a| input.conv2d_transposed(&kernel, None, by, none, a))]
    };
    let [narrow, wide] = [of([1, 1, 17_000, 1], [1, 1, 1_000, 1]), of([1, 1, 1, 17_000], [1, 1, 1, 1_000])];
    assert!(narrow[0] > 10 * wide[0] && narrow[1] > 2 * wide[1], "{narrow:?}, {wide:?}");
    let [few, many] = [of([1, 1, 4, 4], [1, 1, 3, 3]), of([1, 1, 1_025, 1_024], [1, 1, 1, 1])];
    assert!(few.iter().all(|time| *time < Duration::from_millis(1)), "{few:?}");
    assert!(many.iter().all(|time| *time <= FRAME), "{many:?}");
    // One place at a time: its columns are more than a tile.
    let (input, kernel) =
        (full(ElementType::F32, &[4, 1, 4, 4], 0.5), full(ElementType::F32, &[1, 1, 1_025, 1_024], 0.5));
    let tiled = time(|a| input.conv2d_transposed(&kernel, None, Convolution::default(), [0, 0], a));
    is_between(tiled, 700, 1_500);
}

/// Catches elements that take no longer although each is another's neighbour for two or three only.
#[test]
fn short_runs_take_longer() {
    let of = |element, left: &[usize], right: &[usize]| {
        let [left, right] = [left, right].map(|shape| full(element, shape, 0.5));
        let mask = right.binary_scalar(Binary::Less, 0.9, &mut Unlimited).unwrap();
        [
            time(|a| left.binary(Binary::Add, &right, a)),
            time(|a| mask.choose(&left, &left, a)),
            time(|a| left.blend(&left, &right, a)),
        ]
    };
    for element in [ElementType::F32, ElementType::F16] {
        let masked = of(element, &[1_000_000, 3], &[1_000_000, 1]);
        let whole = of(element, &[1_000_000, 3], &[1_000_000, 3]);
        for (masked, whole) in masked.iter().zip(whole) {
            assert!(*masked >= whole + Duration::from_millis(8), "{masked:?}, {whole:?}");
        }
        // Three channels that are the same for all pixels go with them as one run.
        assert!(of(element, &[1_000_000, 3], &[3])[0] <= whole[0]);
    }
    let far = full(ElementType::F32, &[1_000, 2, 1_000, 2], 0.5);
    let [near, apart] = [[2, 3], [1, 3]].map(|axes| time(|a| far.reduce(Reduction::Sum, &axes, false, a)));
    assert!(apart >= 2 * near, "{near:?}, {apart:?}");
}

/// Catches a divisor that counts as 0 and makes the estimate one of years.
#[test]
fn divisors_that_count_as_zero_are_no_reason_to_refuse() {
    let of = |divisor: f32| {
        let [left, right] = [1.0, divisor].map(|value| full(ElementType::F32, &[1 << 16], value.into()));
        crate::without_subnormals(|| time(|a| left.binary(Binary::Modulo, &right, a)))
    };
    assert!(of(1e-40) <= 8 * of(0.3), "{:?}", of(1e-40));
}

/// Catches products whose operands and results are so large that reading and writing them is all there is to do.
#[test]
fn thin_products_take_what_their_memory_takes() {
    let of = |m: usize, k: usize, n: usize| {
        let [left, right] = [[m, k], [k, n]].map(|shape| full(ElementType::F32, &shape, 0.5));
        time(|a| left.matmul(&right, a))
    };
    is_between(of(4_096, 1, 4_096), 33, 60);
    is_between(of(1, 2_048, 2_048), 4, 10);
    is_between(of(2_048, 2_048, 1), 4, 10);
    is_between(of(2_000_000, 3, 3), 12, 40);
    is_between(of(512, 512, 512), 8, 10);
}

/// Catches factors that are made as long as a row, which may be all there is, before anybody has said that there is room.
#[test]
fn factors_of_a_norm_have_their_memory() {
    struct Bytes(u64);

    impl Allowance for Bytes {
        fn admit(&mut self, cost: Cost) -> Result<(), Error> {
            self.0 = cost.bytes;
            Err(Error::Limit("noted".to_owned()))
        }
    }

    let (input, one, mut asked) =
        (full(ElementType::F32, &[1 << 10], 0.5), full(ElementType::F32, &[1], 1.0), Bytes(0));
    assert!(input.layer_norm(0, &one, None, 1e-5, &mut asked).is_err());
    // The result, both factors, and what they are made with.
    let bytes_of_one = input.bytes().len() as u64;
    assert!(asked.0 >= 4 * bytes_of_one, "{} bytes", asked.0);
}
