//! A device as its users have it: a GPU where there is one, and one in software otherwise.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use rillbox_gpu::{
    Binding, Buffer, Choice, Color, Device, Error, Filter, Gpu, Image, Matrix, Pass, Planes, PlanesLayout, Program,
    Range, Workspace, color,
};

const TIME: Duration = Duration::from_secs(30);

static GPU: LazyLock<Gpu> = LazyLock::new(|| Gpu::new(Choice::Any));

/// Another one than [`GPU`]'s, which stays open: a process that ends while a driver in software closes one may crash.
fn another(gpu: &Gpu) -> Arc<Device> {
    let device = gpu.open().unwrap();
    std::mem::forget(device.clone());
    device
}

fn device() -> Arc<Device> {
    GPU.open().unwrap()
}

fn workspace() -> Workspace {
    Workspace::new(&device()).unwrap()
}

fn program(wgsl: &str) -> Program {
    device().compile(wgsl).unwrap_or_else(|error| panic!("{error}"))
}

/// Bytes that look random, and are always the same.
fn noise(count: usize, seed: u32) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2_654_435_761).max(1);
    let step = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 11) as u8
    };
    std::iter::repeat_with(step).take(count).collect()
}

fn read(workspace: &mut Workspace, image: &Image) -> Vec<u8> {
    let bytes = workspace.read_image(image).unwrap();
    workspace.submit().unwrap();
    bytes.wait(TIME).unwrap().0
}

fn read_words(workspace: &mut Workspace, buffer: &Buffer) -> Vec<u32> {
    let bytes = workspace.read_buffer(buffer).unwrap();
    workspace.submit().unwrap();
    let bytes = bytes.wait(TIME).unwrap().0;
    bytes.as_chunks().0.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect()
}

fn furthest(one: &[u8], two: &[u8]) -> u8 {
    assert_eq!(one.len(), two.len());
    one.iter().zip(two).map(|(one, two)| one.abs_diff(*two)).max().unwrap_or(0)
}

fn colors() -> impl Iterator<Item = Color> {
    [Matrix::Bt601, Matrix::Bt709, Matrix::Bt2020]
        .into_iter()
        .flat_map(|matrix| [Range::Limited, Range::Full].map(|range| Color { matrix, range }))
}

/// Sides that are no multiples of what a kernel works on at a time, too.
const SIZES: [(u32, u32); 5] = [(2, 2), (8, 4), (10, 6), (130, 34), (322, 182)];

/// Catches kernels that differ from their twins, rows and columns in the wrong place, and edges that are left out.
#[test]
fn planes_become_pixels_as_on_the_cpu() {
    let mut workspace = workspace();
    for (width, height) in SIZES {
        let bytes = noise(width as usize * height as usize * 3 / 2, width);
        let (luma, chroma) = bytes.split_at((width * height) as usize);
        let (cb, cr) = chroma.split_at(chroma.len() / 2);
        let half = width as usize / 2;
        let planes = Planes { width, height, planes: [(luma, width as usize), (cb, half), (cr, half)] };
        for color in colors() {
            let image = workspace.upload(&planes, color).unwrap();
            assert_eq!(image.size(), (width, height));
            let shown = read(&mut workspace, &image);
            let difference = furthest(&shown, &color::yuv_to_rgba(&planes, color));
            assert!(difference <= 1, "{width}×{height}, {color:?}: {difference}");
        }
    }
}

/// Catches the same on the way down.
#[test]
fn pixels_become_planes_as_on_the_cpu() {
    let mut workspace = workspace();
    for (width, height) in SIZES {
        let pixels = noise(width as usize * height as usize * 4, height);
        let image = workspace.pixels(width, height, &pixels).unwrap();
        let layout = PlanesLayout::new(width, height);
        for color in colors() {
            let download = workspace.download(&image, color).unwrap();
            workspace.submit().unwrap();
            let expected = color::rgba_to_yuv(&pixels, width, height, color);
            let expected = layout.split(&expected);
            let ((), usage) = download
                .wait(TIME, |planes| {
                    let sizes = [(width, height), (width / 2, height / 2), (width / 2, height / 2)];
                    let both = planes.planes.into_iter().zip(expected.planes);
                    for (((shown, stride), (expected, _)), (width, height)) in both.zip(sizes) {
                        for row in 0..height as usize {
                            let row = row * stride..row * stride + width as usize;
                            let difference = furthest(&shown[row.clone()], &expected[row]);
                            assert!(difference <= 1, "{width}×{height}, {color:?}: {difference}");
                        }
                    }
                })
                .unwrap();
            assert_eq!(usage[Pass::Color].passes, 1);
        }
    }
}

const INVERT: &str = "
@group(0) @binding(0) var source: texture_2d<f32>;
@group(0) @binding(1) var to: texture_storage_2d<rgba8unorm, write>;
@group(0) @binding(2) var<uniform> amount: vec4<f32>;

@compute @workgroup_size(8, 8)
fn invert(@builtin(global_invocation_id) id: vec3<u32>) {
    let pixel = textureLoad(source, id.xy, 0);
    textureStore(to, id.xy, vec4(mix(pixel.rgb, 1.0 - pixel.rgb, amount.rgb), pixel.a));
}";

fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// Catches images, uniforms and passes that are mixed up, and uniforms of one dispatch that another sees.
#[test]
fn programs_work_on_images_one_after_the_other() {
    let mut workspace = workspace();
    let (width, height) = (100, 60);
    let pixels = noise((width * height * 4) as usize, 7);
    let first = workspace.pixels(width, height, &pixels).unwrap();
    let [second, third] = [0, 1].map(|_| workspace.image(width, height).unwrap());
    let invert = program(INVERT);
    let groups = [width.div_ceil(8), height.div_ceil(8), 1];
    let (all, red) = (floats(&[1.0, 1.0, 1.0, 0.0]), floats(&[1.0, 0.0, 0.0, 0.0]));
    for (from, to, amount) in [(&first, &second, &all), (&second, &third, &red)] {
        let bindings = [(0, Binding::Image(from)), (1, Binding::Image(to)), (2, Binding::Uniform(amount))];
        workspace.dispatch(&invert, &bindings, groups).unwrap();
    }
    let expected: Vec<u8> = pixels.as_chunks().0.iter().flat_map(|[r, g, b, a]| [*r, 255 - g, 255 - b, *a]).collect();
    assert!(furthest(&read(&mut workspace, &third), &expected) <= 1);
}

/// Catches samplers that do not interpolate, or read beyond the edge.
#[test]
fn samplers_read_between_pixels() {
    let mut workspace = workspace();
    let pixels = [[0, 0, 0, 255], [200, 100, 40, 255]].concat();
    let image = workspace.pixels(2, 1, &pixels).unwrap();
    let read_at = program(
        "@group(0) @binding(0) var source: texture_2d<f32>;
        @group(0) @binding(1) var how: sampler;
        @group(0) @binding(2) var<storage, read_write> to: array<f32>;
        @compute @workgroup_size(1) fn read_at() {
            let places = array(-1.0, 0.25, 0.5, 0.75, 3.0);
            for (var i = 0; i < 5; i++) {
                to[i] = textureSampleLevel(source, how, vec2(places[i], 0.5), 0.0).r * 255.0;
            }
        }",
    );
    for (filter, between) in [(Filter::Linear, 100.0), (Filter::Nearest, 200.0)] {
        let to = workspace.buffer(20).unwrap();
        let bindings = [(0, Binding::Image(&image)), (1, Binding::Sampler(filter)), (2, Binding::Buffer(&to))];
        workspace.dispatch(&read_at, &bindings, [1, 1, 1]).unwrap();
        let values: Vec<_> = read_words(&mut workspace, &to).into_iter().map(f32::from_bits).collect();
        for (value, expected) in values.iter().zip([0.0, 0.0, between, 200.0, 200.0]) {
            assert!((value - expected).abs() < 2.0, "{filter:?}: {values:?}");
        }
    }
}

/// Catches barriers that do not hold, and buffers that are not what they were made of.
#[test]
fn workgroups_add_up_what_a_buffer_holds() {
    let mut workspace = workspace();
    let numbers: Vec<u32> = (0..4096).collect();
    let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    let from = workspace.bytes(&bytes).unwrap();
    let to = workspace.buffer(16 * 4).unwrap();
    let sum = program(
        "@group(0) @binding(3) var<storage, read> numbers: array<u32>;
        @group(0) @binding(7) var<storage, read_write> sums: array<u32>;
        var<workgroup> part: array<u32, 256>;
        @compute @workgroup_size(256)
        fn sum(@builtin(local_invocation_index) at: u32, @builtin(workgroup_id) group: vec3<u32>) {
            part[at] = numbers[group.x * 256u + at];
            workgroupBarrier();
            for (var half = 128u; half > 0u; half /= 2u) {
                if at < half { part[at] += part[at + half]; }
                workgroupBarrier();
            }
            if at == 0u { sums[group.x] = part[0]; }
        }",
    );
    let bindings = [(3, Binding::Buffer(&from)), (7, Binding::Buffer(&to))];
    workspace.dispatch(&sum, &bindings, [16, 1, 1]).unwrap();
    let expected: Vec<u32> = numbers.chunks(256).map(|part| part.iter().sum()).collect();
    assert_eq!(read_words(&mut workspace, &to), expected);
}

/// Runs one invocation that writes to a buffer, and gives what is in it.
fn run(wgsl: &str, words: usize) -> Vec<u32> {
    let mut workspace = workspace();
    let out = workspace.buffer(words * 4).unwrap();
    let program = program(wgsl);
    workspace.dispatch(&program, &[(0, Binding::Buffer(&out))], [1, 1, 1]).unwrap();
    read_words(&mut workspace, &out)
}

const OUT: &str = "@group(0) @binding(0) var<storage, read_write> out: array<u32>;\n";

/// Catches loops that nothing ends: a GPU would be lost over each of these. There are so many invocations that each has fewer rounds than
/// a device in software, where tests run, lets any loop have.
#[test]
fn every_loop_ends() {
    let mut workspace = workspace();
    let endless = [
        ("loop", "loop { out[0]++; }"),
        ("while", "while true { out[0]++; }"),
        ("for", "for (var i = 0u; i < 4294967295u; i += 0u) { out[0]++; }"),
        ("nested", "loop { loop { out[0]++; } }"),
        ("continuing", "loop { out[0]++; continuing { loop { out[1]++; } } }"),
        ("in a switch", "switch out[2] { case 0u: { loop { out[0]++; } } default: {} }"),
        ("in a branch", "if out[2] == 0u { loop { out[0]++; } }"),
        ("with a barrier", "loop { workgroupBarrier(); out[0]++; }"),
        ("in a function", "spin();"),
        ("with a result", "out[1] = until();"),
    ];
    for (name, code) in endless {
        let wgsl = format!(
            "{OUT}
            fn spin() {{ loop {{ out[0]++; }} }}
            fn until() -> u32 {{ loop {{ out[0]++; if out[0] == 0u {{ break; }} }} return out[0]; }}
            @compute @workgroup_size(1) fn main(@builtin(workgroup_id) id: vec3<u32>) {{
                if id.x + id.y > 0u {{ return; }}
                {code} out[3] = 1234u;
            }}"
        );
        workspace.begin(TIME);
        let (program, made) = (program(&wgsl), workspace.buffer(16).unwrap());
        workspace.dispatch(&program, &[(0, Binding::Buffer(&made))], [30_000, 4, 1]).unwrap();
        let out = read_words(&mut workspace, &made);
        assert_eq!(out[3], 1234, "{name}: what follows is done");
        let rounds = out[0].max(out[1]);
        assert!((100..=20_000).contains(&rounds), "{name}: {out:?}");
    }
}

/// Catches rounds that are counted for each loop, or not given anew to each dispatch.
#[test]
fn loops_share_an_invocations_rounds() {
    let code = "for (var i = 0u; i < 1000u; i++) { out[0]++; } loop { out[1]++; }";
    let out = run(&format!("{OUT}@compute @workgroup_size(1) fn main() {{ {code} }}"), 2);
    // The first one takes a round more, to find that it is over.
    assert_eq!(out, [1_000, 65_535 - 1_001]);
}

/// Catches a picture's worth of loops that may take as long as it likes, and one that may take too little for a filter.
#[test]
fn many_invocations_have_fewer_rounds_each() {
    let mut workspace = workspace();
    let count = program(
        "@group(0) @binding(0) var<storage, read_write> out: array<u32>;
        @compute @workgroup_size(256) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
            if id.x > 0u { return; }
            loop { out[0]++; }
        }",
    );
    let mut rounds = Vec::new();
    for groups in [[8100, 1, 1], [8100, 1, 1], [60_000, 4, 1]] {
        let out = workspace.buffer(4).unwrap();
        workspace.dispatch(&count, &[(0, Binding::Buffer(&out))], groups).unwrap();
        rounds.extend(read_words(&mut workspace, &out));
    }
    assert!(rounds[0] > 1_000 && rounds[1] < rounds[0] && rounds[2] < 200, "{rounds:?}");
    let out = workspace.buffer(4).unwrap();
    let few = [(0, Binding::Buffer(&out))];
    for _ in 3..64 {
        workspace.dispatch(&count, &few, [1, 1, 1]).unwrap();
    }
    let refused = workspace.dispatch(&count, &few, [1, 1, 1]).unwrap_err();
    assert!(matches!(&refused, Error::Limit(why) if why.contains("64 dispatches")), "{refused}");
    workspace.begin(TIME);
    workspace.dispatch(&count, &few, [1, 1, 1]).unwrap();
}

/// Catches a buffer that a shader takes for longer than it is.
#[test]
fn a_shader_finds_as_many_words_as_there_are() {
    let mut workspace = workspace();
    let count = program(
        "@group(0) @binding(0) var<storage, read_write> out: array<u32>;
        @group(0) @binding(1) var<storage> words: array<u32>;
        @compute @workgroup_size(1) fn main() { out[0] = arrayLength(&words); }",
    );
    for words in [1, 2, 3, 5, 64] {
        let (out, given) = (workspace.buffer(4).unwrap(), workspace.buffer(4 * words).unwrap());
        workspace.dispatch(&count, &[(0, Binding::Buffer(&out)), (1, Binding::Buffer(&given))], [1, 1, 1]).unwrap();
        assert_eq!(read_words(&mut workspace, &out), [words as u32]);
    }
}

/// Catches memory of others that a shader can reach.
#[test]
fn nothing_beyond_a_buffer_or_an_image_is_reached() {
    let mut workspace = workspace();
    let canary = workspace.bytes(&[0xAB; 4096]).unwrap();
    let out = workspace.buffer(16).unwrap();
    let image = workspace.pixels(2, 2, &[9; 16]).unwrap();
    let reach = program(
        "@group(0) @binding(0) var<storage, read_write> out: array<u32>;
        @group(0) @binding(1) var source: texture_2d<f32>;
        @group(0) @binding(2) var<uniform> far: vec4<u32>;
        @compute @workgroup_size(1) fn main() {
            for (var i = 0u; i < 1000u; i++) { out[far.x + i * 1000u] = 1u; out[far.y - i] = 1u; }
            out[1] = u32(textureLoad(source, vec2(far.xx), 0).r * 255.0);
            out[2] = out[far.x];
        }",
    );
    let far: Vec<u8> = [1_000_000_u32, u32::MAX, 0, 0].iter().flat_map(|word| word.to_le_bytes()).collect();
    let bindings = [(0, Binding::Buffer(&out)), (1, Binding::Image(&image)), (2, Binding::Uniform(&far))];
    workspace.dispatch(&reach, &bindings, [1, 1, 1]).unwrap();
    let words = read_words(&mut workspace, &out);
    assert!(words.iter().all(|word| *word <= 1), "{words:?}");
    assert!(read_words(&mut workspace, &canary).iter().all(|word| *word == 0xABAB_ABAB));
}

/// Catches what one user left and the next one sees.
#[test]
fn what_is_made_is_zero() {
    for round in 0..20 {
        let mut workspace = workspace();
        let image = workspace.image(256, 256).unwrap();
        let buffer = workspace.buffer(1 << 18).unwrap();
        assert!(read(&mut workspace, &image).iter().all(|byte| *byte == 0), "round {round}");
        assert!(read_words(&mut workspace, &buffer).iter().all(|word| *word == 0), "round {round}");
        drop((image, buffer));
        let secret = [0xC5; 256 * 256 * 4];
        let image = workspace.pixels(256, 256, &secret).unwrap();
        let buffer = workspace.bytes(&secret).unwrap();
        workspace.submit().unwrap();
        workspace.recycle(image);
        drop(buffer);
        let zero = workspace.image(256, 256).unwrap();
        assert!(read(&mut workspace, &zero).iter().all(|byte| *byte == 0), "round {round}: a spare one");
    }
}

/// Catches memory that is freed for its owner, and not on the device, where recorded commands still need it.
#[test]
fn what_a_frame_makes_is_bounded() {
    let mut workspace = workspace();
    let color = Color { matrix: Matrix::Bt709, range: Range::Limited };
    let made = (0..).take_while(|_| workspace.image(2048, 2048).is_ok()).count();
    assert_eq!(made, 16, "images of 16 MiB");
    assert!(matches!(workspace.buffer(1), Err(Error::Limit(_))));
    workspace.begin(TIME);
    let large: Vec<_> = (0..15).map(|_| workspace.image(2048, 2048).unwrap()).collect();
    let small = (0..).take_while(|_| workspace.buffer(4).is_ok()).count();
    assert_eq!(small, 4_096, "what the host keeps of each counts, too");
    drop(large);
    workspace.begin(TIME);
    let image = workspace.image(512, 512).unwrap();
    let recorded = (0..).take_while(|_| workspace.download(&image, color).is_ok()).count();
    assert!((500..800).contains(&recorded), "{recorded}");
    workspace.submit().unwrap();
    workspace.begin(TIME);
    let image = workspace.image(64, 64).unwrap();
    assert_eq!(read(&mut workspace, &image).len(), 64 * 64 * 4);
}

fn refused(wgsl: &str) -> Error {
    device().compile(wgsl).unwrap_err()
}

/// Catches messages that do not say where.
#[test]
fn a_shader_that_does_not_validate_is_told_of_by_line_and_column() {
    let syntax = refused("@compute @workgroup_size(1)\nfn main() {\n    let x = ;\n}");
    assert!(matches!(&syntax, Error::Invalid(why) if why.starts_with("line 3, column 13: ")), "{syntax}");
    let types = refused("@compute @workgroup_size(1)\nfn main() {\n  var x: u32 = 1.5;\n}");
    assert!(matches!(&types, Error::Invalid(why) if why.starts_with("line 3, column ")), "{types}");
}

/// Catches shaders that take more than they may, each of its kind.
#[test]
fn what_a_shader_may_be_is_bounded() {
    let compute = "@compute @workgroup_size(1) fn main()";
    let deep = format!("{compute} {{ let x = {}1{}; }}", "(".repeat(5_000), ")".repeat(5_000));
    let blocks = format!("{compute} {{ {} {} }}", "{".repeat(5_000), "}".repeat(5_000));
    let long = format!("{compute} {{}} //{}", "x".repeat(70_000));
    let mut calls = "fn f0() { out[0]++; }".to_owned();
    for n in 1..40 {
        calls += &format!("fn f{n}() {{ f{0}(); f{0}(); }}", n - 1);
    }
    let bomb = format!("{OUT}{calls} {compute} {{ f39(); }}");
    let private = format!("{OUT}var<private> a: array<u32, 1000>; {compute} {{ out[0] = a[out[1]]; }}");
    let local = format!("{OUT}{compute} {{ var a: array<u32, 1000>; out[0] = a[out[1]]; }}");
    let value = format!("{OUT}{compute} {{ let a = array<u32, 100000000>(); out[0] = a[out[1]]; }}");
    let constant = format!("{OUT}const a = array<u32, 100000000>(); {compute} {{ out[0] = a[out[1]]; }}");
    let rows = "@group(0) @binding(1) var<storage> rows: array<array<vec4<f32>, 128>>;";
    let moves: String = (0..300).map(|n| format!("let r{n} = rows[{n}]; out[{n}] = u32(r{n}[out[0]].x);")).collect();
    let moved = format!("{OUT}{rows} {compute} {{ {moves} }}");
    let nested = format!("{OUT}{compute} {{ if out[0] == 0u {{}} {} }}", "else if out[0] == 1u {}".repeat(200));
    let shared = format!("var<workgroup> a: array<u32, 10000>; {compute} {{ a[0] = 1u; }}");
    let bindings: String = (0..17).map(|n| format!("@group(0) @binding({n}) var<storage> b{n}: array<u32>;")).collect();
    let group = format!("@group(1) @binding(0) var<storage> b: array<u32>; {compute} {{}}");
    let twice = "@group(0) @binding(0) var<storage> a: array<u32>; @group(0) @binding(0) var<storage> b: array<u32>;";
    let twice = format!("{twice} {compute} {{}}");
    let cube = format!("@group(0) @binding(0) var a: texture_cube<f32>; {compute} {{}}");
    let uniform = format!("@group(0) @binding(0) var<uniform> a: array<vec4<f32>, 2000>; {compute} {{}}");
    let cases = [
        ("deep expressions", deep),
        ("deep blocks", blocks),
        ("deep branches", nested),
        ("a long text", long),
        ("calls of calls", bomb),
        ("large private variables", private),
        ("large local variables", local),
        ("a large value", value),
        ("many large values", moved),
        ("a large constant", constant),
        ("large workgroup memory", shared),
        ("many bindings", format!("{bindings} {compute} {{}}")),
        ("another group", group),
        ("a number twice", twice),
        ("a cube", cube),
        ("a large uniform", uniform),
        ("a large workgroup", "@compute @workgroup_size(32, 32) fn main() {}".to_owned()),
        ("a fragment", "@fragment fn main() {}".to_owned()),
        ("two entries", "@compute @workgroup_size(1) fn a() {} @compute @workgroup_size(1) fn b() {}".to_owned()),
        ("none", "fn main() {}".to_owned()),
        ("nothing", String::new()),
        ("an override", "override n: u32; @compute @workgroup_size(1) fn main() {}".to_owned()),
        ("an override of a size", "override n = 1u; @compute @workgroup_size(n) fn main() {}".to_owned()),
        ("no text", "\u{0}\u{1}\u{fffd}".to_owned()),
    ];
    for (name, wgsl) in cases {
        let error = refused(&wgsl);
        assert!(matches!(error, Error::Invalid(_) | Error::Limit(_)), "{name}: {error}");
    }
}

/// Catches bindings that do not fit and are found by the driver, or by nobody.
#[test]
fn bindings_are_what_the_shader_declares() {
    let mut workspace = workspace();
    let program = program(INVERT);
    let [a, b] = [0, 1].map(|_| workspace.image(16, 16).unwrap());
    let buffer = workspace.buffer(64).unwrap();
    let amount = [0; 16];
    let image = |number, image| (number, Binding::Image(image));
    let uniform = (2, Binding::Uniform(&amount));
    let wrong: [(&str, &[(u32, Binding<'_>)]); 7] = [
        ("one too few", &[image(0, &a), image(1, &b)]),
        ("one too many", &[image(0, &a), image(1, &b), uniform, (3, Binding::Buffer(&buffer))]),
        ("one twice", &[image(0, &a), image(1, &b), image(1, &b), uniform]),
        ("a buffer for an image", &[(0, Binding::Buffer(&buffer)), image(1, &b), uniform]),
        ("a short uniform", &[image(0, &a), image(1, &b), (2, Binding::Uniform(&amount[..12]))]),
        ("what is written is read", &[image(0, &a), image(1, &a), uniform]),
        ("nothing", &[]),
    ];
    for (name, bindings) in wrong {
        let error = workspace.dispatch(&program, bindings, [2, 2, 1]).unwrap_err();
        assert!(matches!(error, Error::Invalid(_)), "{name}: {error}");
    }
    let right = [image(0, &a), image(1, &b), uniform];
    for groups in [[0, 1, 1], [65_536, 1, 1], [65_535, 65_535, 65_535]] {
        let error = workspace.dispatch(&program, &right, groups).unwrap_err();
        assert!(matches!(error, Error::Invalid(_) | Error::Limit(_)), "{groups:?}: {error}");
    }
    workspace.dispatch(&program, &right, [2, 2, 1]).unwrap();
    workspace.submit().unwrap();
    for (width, height) in [(0, 4), (4, 0), (1 << 20, 2)] {
        assert!(matches!(workspace.image(width, height), Err(Error::Invalid(_))), "{width}×{height}");
    }
    assert!(matches!(workspace.buffer(usize::MAX / 2), Err(Error::Invalid(_) | Error::Limit(_))));
    assert!(matches!(workspace.pixels(4, 4, &[0; 63]), Err(Error::Invalid(_))));
    let odd = workspace.image(3, 4).unwrap();
    let color = Color { matrix: Matrix::Bt709, range: Range::Limited };
    assert!(matches!(workspace.download(&odd, color), Err(Error::Invalid(_))));
}

/// Catches a host that goes down with its device, or keeps to one that is gone.
#[test]
fn a_device_that_is_gone_is_replaced() {
    let gpu = Gpu::new(Choice::Any);
    let device = another(&gpu);
    let mut workspace = Workspace::new(&device).unwrap();
    let image = workspace.image(64, 64).unwrap();
    let color = Color { matrix: Matrix::Bt709, range: Range::Limited };
    let under_way = workspace.download(&image, color).unwrap();
    workspace.submit().unwrap();
    let recorded = workspace.download(&image, color).unwrap();
    device.close();
    assert!(matches!(workspace.submit(), Err(Error::Lost(_))));
    assert!(under_way.wait(TIME, |_| ()).is_err());
    assert!(recorded.wait(TIME, |_| ()).is_err());
    assert!(matches!(workspace.image(64, 64), Err(Error::Lost(_))));
    assert!(matches!(device.compile(INVERT), Err(Error::Lost(_))));
    let next = another(&gpu);
    assert!(!Arc::ptr_eq(&device, &next));
    assert_eq!(gpu.reopened(), 1);
    let mut workspace = Workspace::new(&next).unwrap();
    let image = workspace.image(64, 64).unwrap();
    assert!(read(&mut workspace, &image).iter().all(|byte| *byte == 0));
}

const SLOW: &str = "
@group(0) @binding(0) var<storage, read_write> out: array<u32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    for (var i = 0u; i < 60000u; i++) { out[id.x] = out[id.x] * 3u + i; }
}";

/// Catches a wait that does not end, and a device that does not answer and is kept.
#[test]
fn what_is_late_is_told_of() {
    let gpu = Gpu::new(Choice::Any);
    let device = another(&gpu);
    let mut workspace = Workspace::new(&device).unwrap();
    let slow = device.compile(SLOW).unwrap();
    let out = workspace.buffer(4 * 65_536).unwrap();
    for _ in 0..4 {
        workspace.dispatch(&slow, &[(0, Binding::Buffer(&out))], [512, 1, 1]).unwrap();
    }
    let bytes = workspace.read_buffer(&out).unwrap();
    workspace.submit().unwrap();
    assert_eq!(bytes.wait(Duration::ZERO).unwrap_err(), Error::Late);
    let later = workspace.read_buffer(&out).unwrap();
    let ended = workspace.submit().and_then(|()| later.wait(Duration::from_secs(4)));
    match ended {
        Ok((bytes, _)) => assert!(bytes.iter().any(|byte| *byte > 0)),
        // In software it takes so long that it is taken for dead.
        Err(error) => assert!(matches!(error, Error::Lost(_) | Error::Late) && device.is_lost(), "{error}"),
    }
    assert!(!another(&gpu).is_lost());
}

/// Catches a device that is given up for the sake of one user that records faster than it works, a refusal that is forgotten
/// before the frame's end, and a user that begins anew and may leave as much again.
#[test]
fn whoever_leaves_too_much_unfinished_loses_it_alone() {
    let device = another(&Gpu::new(Choice::Any));
    let mut workspace = Workspace::of("one", &device).unwrap();
    let slow = device.compile(SLOW).unwrap();
    let out = workspace.buffer(4 * 4_096).unwrap();
    let left_unfinished = |workspace: &mut Workspace| {
        for frame in 0.. {
            workspace.begin(TIME);
            workspace.dispatch(&slow, &[(0, Binding::Buffer(&out))], [16, 1, 1]).unwrap();
            let read = workspace.read_buffer(&out).unwrap();
            if let Err(error) = workspace.submit() {
                assert_eq!(error, Error::Late, "there is no other whose fault it could be");
                assert_eq!(read.wait(TIME).unwrap_err(), Error::Busy);
                return frame;
            }
        }
        unreachable!()
    };
    assert!(left_unfinished(&mut workspace) >= 8);
    // What is done meanwhile makes room for as much.
    assert!(left_unfinished(&mut Workspace::of("one", &device).unwrap()) < 4);
    let refused = workspace.submit().unwrap_err();
    assert_eq!(refused, Error::Late);
    assert_eq!(workspace.submit().unwrap_err(), refused);
    assert_eq!(workspace.read_buffer(&out).unwrap_err(), refused);
    let mut other = Workspace::new(&device).unwrap();
    let image = other.image(8, 8).unwrap();
    assert!(read(&mut other, &image).iter().all(|byte| *byte == 0));
    assert!(!device.is_lost());
    workspace.begin(TIME);
    assert_eq!(read_words(&mut workspace, &out).len(), 4_096);
}

/// Settles until this many dispatches are counted; whether any was late.
fn settled(workspace: &mut Workspace, dispatches: u64) -> bool {
    let (mut counted, mut is_late, began) = (0, false, Instant::now());
    while counted < dispatches {
        let (usage, late) = workspace.settle();
        counted += usage[Pass::Program].passes;
        is_late |= late.is_some();
        assert!(began.elapsed() < TIME, "{counted} of {dispatches}");
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(counted, dispatches);
    is_late
}

/// Catches work without a result, or whose result nobody wants any more, that is neither counted nor late.
#[test]
fn what_nobody_waits_for_is_counted_and_timed() {
    let device = another(&Gpu::new(Choice::Any));
    let mut workspace = Workspace::new(&device).unwrap();
    let slow = device.compile(SLOW).unwrap();
    let out = workspace.buffer(4 * 4_096).unwrap();
    for (time, is_dropped) in [(TIME, false), (TIME, true), (Duration::ZERO, false), (Duration::ZERO, true)] {
        workspace.begin(time);
        workspace.dispatch(&slow, &[(0, Binding::Buffer(&out))], [2, 1, 1]).unwrap();
        if is_dropped {
            drop(workspace.read_buffer(&out).unwrap());
        }
        workspace.submit().unwrap();
        assert!(device.waiting() > 0);
        assert_eq!(settled(&mut workspace, 1), time < TIME, "{time:?} {is_dropped}");
        // Somebody may still watch over what was late.
        assert!(time < TIME || device.waiting() == 0);
    }
    // What was waited for is counted where that was.
    workspace.begin(Duration::ZERO);
    workspace.dispatch(&slow, &[(0, Binding::Buffer(&out))], [1, 1, 1]).unwrap();
    let read = workspace.read_buffer(&out).unwrap();
    workspace.submit().unwrap();
    assert_eq!(read.wait(TIME).unwrap().1[Pass::Program].passes, 1);
    assert_eq!(workspace.settle(), Default::default());
}

/// Catches a user that is blamed for waiting behind another.
#[test]
fn whoever_waits_for_others_is_not_late() {
    let device = another(&Gpu::new(Choice::Any));
    let [mut heavy, mut light] = [(); 2].map(|()| Workspace::new(&device).unwrap());
    let slow = device.compile(SLOW).unwrap();
    let short = device.compile(&format!("{OUT}@compute @workgroup_size(1) fn main() {{ out[0]++; }}")).unwrap();
    let [of_heavy, of_light] = [&mut heavy, &mut light].map(|workspace| workspace.buffer(4 * 4_096).unwrap());
    // In software, work that is done for the first time is compiled first, which is its own time.
    light.dispatch(&short, &[(0, Binding::Buffer(&of_light))], [1, 1, 1]).unwrap();
    light.submit().unwrap();
    settled(&mut light, 1);
    heavy.dispatch(&slow, &[(0, Binding::Buffer(&of_heavy))], [2, 1, 1]).unwrap();
    heavy.submit().unwrap();
    light.begin(Duration::from_millis(20));
    light.dispatch(&short, &[(0, Binding::Buffer(&of_light))], [1, 1, 1]).unwrap();
    light.submit().unwrap();
    assert!(!settled(&mut light, 1));
}

/// Catches memory that is given back before the device is done with it, and room that does not come back.
#[test]
fn what_is_dropped_counts_until_the_device_is_done() {
    let device = another(&Gpu::new(Choice::Any));
    let mut workspace = Workspace::new(&device).unwrap();
    let slow = device.compile(SLOW).unwrap();
    let out = workspace.buffer(4 * 4_096).unwrap();
    let groups = [if device.info().software { 16 } else { 16_384 }, 1, 1];
    workspace.dispatch(&slow, &[(0, Binding::Buffer(&out))], groups).unwrap();
    let large = |workspace: &mut Workspace| workspace.buffer(60 << 20).map(drop);
    for frame in 0..3 {
        workspace.begin(TIME);
        for _ in 0..4 {
            large(&mut workspace).unwrap_or_else(|error| panic!("{frame}: {error}"));
        }
        workspace.dispatch(&slow, &[(0, Binding::Buffer(&out))], groups).unwrap();
        workspace.submit().unwrap();
    }
    workspace.begin(TIME);
    let refused = (0..2).find_map(|_| large(&mut workspace).err());
    assert!(matches!(refused, Some(Error::Limit(_))), "{refused:?}");
    settled(&mut workspace, 4);
    workspace.begin(TIME);
    (0..4).for_each(|_| large(&mut workspace).unwrap());
}

/// Catches a frame of straight code without end: no loop says how long it takes.
#[test]
fn straight_code_counts_as_loops_do() {
    let mut workspace = workspace();
    let out = workspace.buffer(4).unwrap();
    let code = "out[0] = out[0] * 3u + 1u;".repeat(2_000);
    let long = program(&format!("{OUT}@compute @workgroup_size(256) fn main() {{ {code} }}"));
    let mut dispatch = || workspace.dispatch(&long, &[(0, Binding::Buffer(&out))], [65_535, 4, 1]);
    let refused = (0..64).find_map(|_| dispatch().err());
    assert!(matches!(refused, Some(Error::Limit(_))), "{refused:?}");
}

/// Catches `auto` that takes a device in software, and errors that do not say what there is.
#[test]
fn a_device_that_is_not_there_is_told_of() {
    for (choice, word) in [(Choice::Cpu, "--device"), (Choice::Gpu(99), "GPU 99")] {
        let error = Gpu::new(choice).open().unwrap_err();
        assert!(matches!(&error, Error::Unsupported(why) if why.contains(word)), "{error}");
    }
    match Gpu::new(Choice::Auto).open() {
        Ok(device) => assert!(!device.info().software),
        Err(error) => assert!(matches!(error, Error::Unsupported(_)), "{error}"),
    }
}
