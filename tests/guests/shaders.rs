//! Asks the host for shaders, images and buffers that cannot be, that are too many, too large, or take too long, and says
//! what came of it.

use rillbox_sdk::shader::{Binding, Buffer, Image, Shader, Uniform};
use rillbox_sdk::tensor::{ElementType, Tensor};
use rillbox_sdk::{Error, Processor, Refusal, Result, VideoFrame, VideoOutcome};

#[derive(Clone, Copy, Default, PartialEq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
enum What {
    /// What does not fit: shaders, bindings, sizes.
    #[default]
    Misuse,
    /// Texts that take a compiler's stack, memory or time.
    Reading,
    /// Handles, until there are no more.
    Handles,
    /// Programs, until there is no room for more.
    Programs,
    /// Memory, until there is no more.
    Memory,
    /// Loops that nothing in the shader ends, in every invocation.
    Endless,
    /// Shaders that are all different.
    Compile,
    /// As much as fits, given back with each frame.
    Churn,
    /// Nothing wrong: the picture, inverted.
    Invert,
}

#[derive(Default, serde::Deserialize, schemars::JsonSchema)]
#[serde(default)]
struct Params {
    what: What,
}

#[derive(Default)]
struct Shaders {
    what: What,
    has_asked: bool,
    images: Vec<Image>,
    programs: Vec<Shader>,
    buffers: Vec<Buffer>,
}

const INVERT: &str = "
@group(0) @binding(0) var source: texture_2d<f32>;
@group(0) @binding(1) var shown: texture_storage_2d<rgba8unorm, write>;
@compute @workgroup_size(8, 8)
fn invert(@builtin(global_invocation_id) id: vec3<u32>) {
    textureStore(shown, id.xy, 1.0 - textureLoad(source, id.xy, 0));
}";

const ENDLESS: &str = "
@group(0) @binding(0) var<storage, read_write> words: array<u32>;
@compute @workgroup_size(64)
fn endless(@builtin(global_invocation_id) id: vec3<u32>) {
    loop { words[id.x] = words[id.x] * 3u + 1u; }
}";

impl Processor for Shaders {
    type Params = Params;

    /// Compiles what frames are to run, which finds it where it was compiled before.
    fn load(&mut self) -> Result<()> {
        for wgsl in [INVERT, ENDLESS] {
            Shader::new(wgsl)?;
        }
        Ok(())
    }

    fn start(&mut self, params: Params) -> Result<()> {
        self.what = params.what;
        Ok(())
    }

    fn process_video(&mut self, frame: &mut VideoFrame) -> Result<VideoOutcome> {
        match self.what {
            What::Misuse | What::Reading if std::mem::replace(&mut self.has_asked, true) => {}
            What::Misuse => misuse(frame)?,
            What::Reading => reading()?,
            What::Handles => loop {
                match Buffer::zeros(4) {
                    Ok(buffer) => self.buffers.push(buffer),
                    Err(Refusal::Limit(_)) => {
                        return Err(Error::msg(format!("kept {} handles", self.buffers.len())));
                    }
                    Err(other) => return Err(other.into()),
                }
            },
            What::Programs => loop {
                match Shader::new(INVERT) {
                    Ok(program) => self.programs.push(program),
                    Err(Refusal::Limit(_)) => {
                        return Err(Error::msg(format!("kept {} programs", self.programs.len())));
                    }
                    Err(other) => return Err(other.into()),
                }
            },
            What::Memory => {
                let kept = self.keep()?;
                return Err(Error::msg(format!("kept {kept} MiB")));
            }
            What::Endless => {
                let words = Buffer::zeros(4 << 14)?;
                let endless = Shader::new(ENDLESS)?;
                endless.dispatch(&[(0, Binding::Buffer(&words))], [256, 1, 1])?;
                let image = frame.image()?;
                frame.replace_image(&image)?;
                return Ok(VideoOutcome::Replaced);
            }
            What::Compile => {
                for n in 0.. {
                    Shader::new(&format!("@compute @workgroup_size(1) fn f() {{ let x = {n}; }}"))?;
                }
            }
            What::Churn => {
                self.images.clear();
                for _ in 0..40 {
                    self.images.push(Image::zeros(512, 512)?);
                }
            }
            What::Invert => {
                let invert = Shader::new(INVERT)?;
                let source = frame.image()?;
                let shown = Image::zeros(source.width(), source.height())?;
                let bindings = [(0, Binding::Image(&source)), (1, Binding::Image(&shown))];
                invert.dispatch(&bindings, shown.workgroups(8, 8))?;
                frame.replace_image(&shown)?;
                return Ok(VideoOutcome::Replaced);
            }
        }
        Ok(VideoOutcome::Unchanged)
    }
}

impl Shaders {
    /// Keeps images of a MiB until there is no room for another; how many they are.
    fn keep(&mut self) -> Result<usize> {
        loop {
            match Image::zeros(512, 512) {
                Ok(image) => self.images.push(image),
                Err(Refusal::Limit(_)) => return Ok(self.images.len()),
                Err(other) => return Err(other.into()),
            }
        }
    }
}

/// Each must be refused, whatever it does to who reads it.
fn reading() -> Result<()> {
    let nothing = "@compute @workgroup_size(1) fn f() {}";
    let doubled: String = (1..32).map(|n| format!("const a{n} = array(a{0}, a{0});", n - 1)).collect();
    let otherwise = "else if x == 1u { x = 2u; }".repeat(2_000);
    let texts = [
        ("operators", format!("const x = {}1; {nothing}", "~".repeat(60_000))),
        ("a value of 17 GB", format!("const x = ~array<u32, 4294967295u>(); {nothing}")),
        ("a value that doubles", format!("const a0 = 1u; {doubled} const b = ~a31; {nothing}")),
        ("branches", format!("@compute @workgroup_size(1) fn f() {{ var x = 0u; if x == 0u {{ }} {otherwise} }}")),
    ];
    for (name, wgsl) in texts {
        match Shader::new(&wgsl) {
            Err(Refusal::Invalid(_) | Refusal::Limit(_)) => {}
            other => return Err(Error::msg(format!("{name}: {:?}", other.err()))),
        }
    }
    Ok(())
}

/// Each must be refused as misuse, or do no harm, and a good one must work afterwards.
fn misuse(frame: &mut VideoFrame) -> Result<()> {
    let invert = Shader::new(INVERT)?;
    let source = frame.image()?;
    let (width, height) = (source.width(), source.height());
    let shown = Image::zeros(width, height)?;
    let odd = Image::zeros(3, 5)?;
    let words = Buffer::zeros(16)?;
    let uniform = Uniform::new().f32(1.0);
    let both = [(0, Binding::Image(&source)), (1, Binding::Image(&shown))];
    let groups = shown.workgroups(8, 8);
    let nothing = "@compute @workgroup_size(1) fn f() {}";
    let refused = |result: std::result::Result<(), Refusal>| result.err();
    let wrong = [
        ("no shader", refused(Shader::new("fn").map(drop))),
        ("no entry", refused(Shader::new("fn f() {}").map(drop))),
        ("a shader that is too long", refused(Shader::new(&format!("{nothing}//{}", "x".repeat(70_000))).map(drop))),
        ("a workgroup that is too large", refused(Shader::new("@compute @workgroup_size(512) fn f() {}").map(drop))),
        ("nothing bound", refused(invert.dispatch(&[], groups))),
        ("one bound twice", refused(invert.dispatch(&[both[0], both[1], both[1]], groups))),
        ("a number that is not there", refused(invert.dispatch(&[both[0], both[1], (9, uniform.binding())], groups))),
        ("a buffer as an image", refused(invert.dispatch(&[both[0], (1, Binding::Buffer(&words))], groups))),
        ("one image for both", refused(invert.dispatch(&[both[0], (1, Binding::Image(&source))], groups))),
        ("no workgroups", refused(invert.dispatch(&both, [0, 1, 1]))),
        ("all workgroups", refused(invert.dispatch(&both, [65_535; 3]))),
        ("no pixels", refused(Image::zeros(0, 4).map(drop))),
        ("10 GiB of pixels", refused(Image::zeros(50_000, 50_000).map(drop))),
        ("pixels that are too few", refused(Image::from_pixels(4, 4, &[0; 63]).map(drop))),
        ("no bytes", refused(Buffer::zeros(0).map(drop))),
        ("4 GiB", refused(Buffer::zeros(u32::MAX).map(drop))),
        ("a picture of odd sides", refused(frame.replace_image(&odd))),
        ("a tensor of more than there is", refused(words.tensor(ElementType::F32, &[5]).bytes().map(drop))),
        ("a buffer of no tensor", refused(Buffer::from_tensor(&Tensor::of(&[2], &[1.0])).map(drop))),
    ];
    for (name, refused) in wrong {
        match refused {
            Some(Refusal::Invalid(_) | Refusal::Limit(_)) => {}
            other => return Err(Error::msg(format!("{name}: {other:?}"))),
        }
    }
    match Shader::new("@compute @workgroup_size(1)\nfn f() {\n  let x = ;\n}") {
        Err(Refusal::Invalid(why)) if why.starts_with("line 3, column 11: ") => {}
        Err(other) => return Err(Error::msg(format!("no line: {other}"))),
        Ok(_) => return Err(Error::msg("what is no expression was taken")),
    }
    let beyond = Shader::new(
        "@group(0) @binding(0) var<storage, read_write> words: array<u32>;
        @compute @workgroup_size(1)
        fn f() { for (var i = 0u; i < 1000u; i++) { words[i * 1000000u] = 7u; } loop { words[1] = 5u; } }",
    )?;
    beyond.dispatch(&[(0, Binding::Buffer(&words))], [1, 1, 1])?;
    let values = words.tensor(ElementType::I32, &[4]).values()?;
    if values[1] != 5.0 {
        return Err(Error::msg(format!("after writes beyond the end: {values:?}")));
    }
    invert.dispatch(&both, groups)?;
    let (before, after) = (source.pixels()?, shown.pixels()?);
    if before.iter().zip(&after).any(|(before, after)| before.abs_diff(255 - after) > 1) {
        return Err(Error::msg("what is right afterwards is not done"));
    }
    Ok(())
}

rillbox_sdk::export!(Shaders);
