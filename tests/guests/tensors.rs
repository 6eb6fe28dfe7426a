//! Asks the host for tensors that cannot be, that are too many, too large, or take too long, and says what came of it.

use rillbox_sdk::tensor::{Convolution, ElementType, Pad, Picture, Resize, Tensor, Window};
use rillbox_sdk::{Error, Processor, Refusal, Result, VideoFrame, VideoOutcome};

#[path = "../../guest-sdk/tests/operations/mod.rs"]
mod operations;

#[derive(Clone, Copy, Default, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
enum What {
    /// What does not fit: shapes, types of elements, arguments.
    #[default]
    Misuse,
    /// Every operation once, each of which must give what its name says.
    All,
    /// Handles, until there are no more.
    Handles,
    /// Memory, until there is no more.
    Memory,
    /// Tensors of the picture, until there is no more memory.
    Pictures,
    /// Operations that would take seconds.
    Long,
    /// Operations that take a moment each, without end.
    Endless,
    /// As much as fits, given back with each frame.
    Churn,
}

#[derive(Default, serde::Deserialize, schemars::JsonSchema)]
#[serde(default)]
struct Params {
    what: What,
}

#[derive(Default)]
struct Tensors {
    what: What,
    kept: Vec<Tensor>,
}

const SIDE: u32 = 1 << 11;

impl Processor for Tensors {
    type Params = Params;

    fn start(&mut self, params: Params) -> Result<()> {
        self.what = params.what;
        Ok(())
    }

    fn process_video(&mut self, frame: &mut VideoFrame) -> Result<VideoOutcome> {
        match self.what {
            What::Misuse => misuse(frame)?,
            What::All => match operations::wrong() {
                wrong if wrong.is_empty() => {}
                wrong => return Err(Error::msg(wrong.join("; "))),
            },
            What::Handles => {
                let count = self.keep(|| Tensor::full(ElementType::U8, &[1], 1.0), 1_000_000)?;
                return Err(Error::msg(format!("kept {count} handles")));
            }
            What::Memory => {
                let count = self.keep(|| Tensor::full(ElementType::U8, &[1 << 20], 1.0), 1_000_000)?;
                return Err(Error::msg(format!("kept {count} MiB")));
            }
            What::Pictures => {
                let picture = || frame.tensor(&Picture::rgb());
                let count = self.keep(picture, 1_000_000)?;
                return Err(Error::msg(format!("kept {count} pictures")));
            }
            What::Long => long()?,
            What::Endless => {
                let mut tensor = frame.tensor(&Picture::rgb());
                loop {
                    // What is refused as there is not time enough left does not end it either.
                    let next = tensor.sin();
                    if next.shape().is_ok() {
                        tensor = next;
                    }
                }
            }
            What::Churn => {
                self.kept.clear();
                self.keep(|| Tensor::full(ElementType::F32, &[1 << 18], 1.0), 40)?;
            }
        }
        Ok(VideoOutcome::Unchanged)
    }
}

impl Tensors {
    /// Keeps tensors until there is no room for another, or there are so many; how many they are.
    fn keep(&mut self, make: impl Fn() -> Tensor, most: usize) -> Result<usize> {
        while self.kept.len() < most {
            let tensor = make();
            match tensor.shape() {
                Ok(_) => self.kept.push(tensor),
                Err(Refusal::Limit(_)) => break,
                Err(other) => return Err(other.into()),
            }
        }
        Ok(self.kept.len())
    }
}

/// Each must be refused as misuse, and a good one must work afterwards.
fn misuse(frame: &mut VideoFrame) -> Result<()> {
    let ones = Tensor::full(ElementType::F32, &[2, 3], 1.0);
    let whole = ones.cast(ElementType::I32);
    let planes = frame.tensor(&Picture::rgb().planes());
    let layout = |picture: Picture| frame.tensor(&picture);
    let wrong = [
        ("no axes", Tensor::of(&[], &[1.0])),
        ("an axis of 0", Tensor::of(&[0], &[])),
        ("nine axes", Tensor::of(&[1; 9], &[1.0])),
        ("too few bytes", Tensor::of(&[3], &[1.0, 2.0])),
        ("a boolean of 2", Tensor::from_bytes(ElementType::Boolean, &[1], &[2])),
        ("shapes that do not broadcast", &ones + &Tensor::of(&[2], &[1.0, 2.0])),
        ("two types", &ones + &whole),
        ("half a whole number", &whole + 0.5),
        ("a divisor of 0", &whole / 0.0),
        ("a function of whole numbers", whole.exp()),
        ("a choice by numbers", ones.choose(&ones, &ones)),
        ("bounds the wrong way round", ones.clamp(1.0, 0.0)),
        ("an axis that is not there", ones.sum(&[2], false)),
        ("rows that are not as long as columns", ones.matmul(&ones)),
        ("a kernel of two axes", planes.conv2d(&ones, None, Convolution::default())),
        ("no stride", planes.conv2d(&planes, None, Convolution { stride: (0, 1), ..Convolution::default() })),
        (
            "a window larger than the picture",
            planes.max_pool2d(Window { size: (9_999, 1), stride: (1, 1), padding: (0, 0) }),
        ),
        ("no rows", planes.resize(0, 9, Resize::Bilinear)),
        ("widths of one axis", ones.pad(&[(1, 1)], Pad::Edge)),
        ("more mirrored than there is", ones.pad(&[(2, 0), (0, 0)], Pad::Reflect)),
        ("a slice beyond the end", ones.slice(&[(0, 3, 1), (0, 1, 1)])),
        ("another number of elements", ones.reshape(&[4])),
        ("an axis twice", ones.transpose(&[0, 0])),
        ("axes without number", ones.transpose(&[0; 1 << 16])),
        ("sizes without number", ones.reshape(&[1; 1 << 16])),
        ("spans without number", ones.slice(&[(0, 1, 1); 1 << 16])),
        ("a sum over axes without number", ones.sum(&[0; 1 << 16], false)),
        ("nothing in a row", Tensor::concat(&[], 0)),
        ("an index beyond the end", ones.gather(0, &Tensor::of_whole(&[1], &[2]))),
        ("an epsilon of 0", ones.layer_norm(0, &ones, None, 0.0)),
        ("six channels in four groups", ones.group_norm(4, &ones, &ones, 0.1)),
        ("two channels of colour", ones.color_matrix(0, &[0.0; 9], &[0.0; 3])),
        ("a picture of int32", layout(Picture { element: ElementType::I32, ..Picture::rgb() })),
        ("two scales for three channels", layout(Picture::rgb().scaled(&[1.0, 2.0], &[]))),
        ("a scale of 0", layout(Picture::rgb().scaled(&[0.0], &[]))),
        ("what was made of something wrong", ones.matmul(&ones).relu()),
    ];
    for (what, tensor) in wrong {
        match tensor.shape() {
            Err(Refusal::Invalid(_)) => {}
            other => return Err(Error::msg(format!("{what}: {other:?}"))),
        }
    }
    for (what, tensor) in
        [("not a picture", &ones), ("one of an odd side", &Tensor::full(ElementType::F32, &[3, 3, 3], 0.5))]
    {
        match frame.replace_tensor(tensor, &Picture::rgb()) {
            Err(Refusal::Invalid(_)) => {}
            other => return Err(Error::msg(format!("{what}: {other:?}"))),
        }
    }
    let sum = (&ones + &ones).sum(&[], false).values()?;
    if sum == [12.0] { Ok(()) } else { Err(Error::msg(format!("{sum:?} is not 12"))) }
}

/// Each would take seconds, or all memory: it must be refused before it begins.
fn long() -> Result<()> {
    let square = Tensor::full(ElementType::F16, &[SIDE, SIDE], 0.5);
    let planes = square.reshape(&[1, 1, SIDE as i32, SIDE as i32]);
    let kernel = Tensor::full(ElementType::F16, &[64, 1, 31, 31], 0.5);
    let small = Tensor::full(ElementType::F32, &[1 << 20, 1, 1], 0.5);
    let column = small.reshape(&[1, 1, -1, 1]);
    let thin = Tensor::full(ElementType::U8, &[1 << 23, 1], 1.0);
    let long = [
        ("a product of large matrices", square.matmul(&square)),
        ("a convolution with a large kernel", planes.conv2d(&kernel, None, Convolution::default())),
        (
            "a window of everything",
            planes.average_pool2d(Window { size: (1_000, 1_000), stride: (1, 1), padding: (0, 0) }),
        ),
        ("products of many small matrices", small.matmul(&small)),
        ("a plane between two sizes", column.resize(2, 1 << 15, Resize::Bilinear)),
        ("rows of one element side by side", Tensor::concat(&[thin.clone(), thin], 1)),
        ("one tensor more often than there are handles", Tensor::concat(&vec![column.clone(); 1_500], 0)),
        ("planes of one element", small.reshape(&[1, -1, 1, 1]).resize(1, 2, Resize::Bilinear)),
        ("a size beyond memory", planes.resize(1 << 20, 1 << 10, Resize::Nearest)),
        ("a table of everything against everything", square.reshape(&[-1, 1]).equal(square.reshape(&[1, -1]))),
        ("ten gigabytes", Tensor::full(ElementType::F32, &[1 << 20, 2_560], 1.0)),
    ];
    for (what, tensor) in long {
        match tensor.shape() {
            Err(Refusal::Limit(_)) => {}
            other => return Err(Error::msg(format!("{what}: {other:?}"))),
        }
    }
    Ok(())
}

rillbox_sdk::export!(Tensors as "tensors");
