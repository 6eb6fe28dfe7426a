//! Uniforms, as shaders read them: on a GPU, or in software.

use rillbox_sdk::shader::{Binding, Buffer, Shader, Uniform};
use rillbox_sdk::tensor::ElementType;

#[test]
fn scalars_lie_one_after_another() {
    let uniform = Uniform::new().f32(1.5).u32(u32::MAX).i32(-2);
    assert_eq!(uniform.bytes(), [1.5_f32.to_le_bytes(), [255; 4], (-2_i32).to_le_bytes()].concat());
}

/// Catches a member that is not where the shader looks for it.
#[test]
fn a_shader_reads_each_member_as_it_was_given() {
    const MEMBERS: &str = "a: f32, b: vec3<f32>, c: u32, d: vec2<f32>, e: i32, f: mat3x3<f32>, g: f32, h: vec2<i32>,
        i: array<vec4<f32>, 2>, j: vec2<u32>, k: vec3<i32>, l: f32, m: mat4x4<f32>, n: vec3<u32>, o: vec4<i32>,
        p: f32, q: vec4<u32>, r: vec4<f32>, s: vec2<f32>";
    let columns = |from: f32| [0.0, 3.0, 6.0].map(|column| [0.0, 1.0, 2.0].map(|row| from + column + row));
    let fours = |from: f32| [0.0, 4.0, 8.0, 12.0].map(|column| [0.0, 1.0, 2.0, 3.0].map(|row| from + column + row));
    let uniform = Uniform::new()
        .f32(0.0)
        .vec3f([1.0, 2.0, 3.0])
        .u32(4)
        .vec2f([5.0, 6.0])
        .i32(7)
        .mat3x3f(columns(8.0))
        .f32(17.0)
        .vec2i([18, 19])
        .array_vec4f(&fours(20.0)[..2])
        .vec2u([28, 29])
        .vec3i([30, 31, 32])
        .f32(33.0)
        .mat4x4f(fours(34.0))
        .vec3u([50, 51, 52])
        .vec4i([53, 54, 55, 56])
        .f32(57.0)
        .vec4u([58, 59, 60, 61])
        .vec4f([62.0, 63.0, 64.0, 65.0])
        .vec2f([66.0, 67.0]);
    let shader = Shader::new(&format!(
        "struct Params {{ {MEMBERS} }}
        @group(0) @binding(0) var<uniform> p: Params;
        @group(0) @binding(1) var<storage, read_write> read: array<vec4<f32>, 17>;
        @compute @workgroup_size(1)
        fn f() {{
            read = array(
                vec4(p.a, p.b), vec4(f32(p.c), p.d, f32(p.e)), vec4(p.f[0], p.f[1].x), vec4(p.f[1].yz, p.f[2].xy),
                vec4(p.f[2].z, p.g, vec2<f32>(p.h)), p.i[0], p.i[1], vec4(vec2<f32>(p.j), vec2<f32>(p.k.xy)),
                vec4(f32(p.k.z), p.l, p.m[0].xy), vec4(p.m[0].zw, p.m[1].xy), vec4(p.m[1].zw, p.m[2].xy),
                vec4(p.m[2].zw, p.m[3].xy), vec4(p.m[3].zw, vec2<f32>(p.n.xy)),
                vec4(f32(p.n.z), vec3<f32>(p.o.xyz)), vec4(f32(p.o.w), p.p, vec2<f32>(p.q.xy)),
                vec4(vec2<f32>(p.q.zw), p.r.xy), vec4(p.r.zw, p.s),
            );
        }}"
    ))
    .unwrap();
    let read = Buffer::zeros(68 * 4).unwrap();
    shader.dispatch(&[(0, uniform.binding()), (1, Binding::Buffer(&read))], [1; 3]).unwrap();
    let expected: Vec<f32> = (0_u8..68).map(f32::from).collect();
    assert_eq!(read.tensor(ElementType::F32, &[68]).values().unwrap(), expected);
}

/// Catches a size that is not the struct's: the host takes no other.
#[test]
fn a_uniform_is_as_long_as_the_struct() {
    let new = Uniform::new;
    for (members, uniform) in [
        ("a: f32", new().f32(0.0)),
        ("a: f32, b: u32, c: i32", new().f32(0.0).u32(0).i32(0)),
        ("a: vec2<f32>, b: f32", new().vec2f([0.0; 2]).f32(0.0)),
        ("a: vec3<f32>", new().vec3f([0.0; 3])),
        ("a: vec3<f32>, b: f32", new().vec3f([0.0; 3]).f32(0.0)),
        ("a: f32, b: vec3<f32>, c: vec2<f32>", new().f32(0.0).vec3f([0.0; 3]).vec2f([0.0; 2])),
        ("a: mat3x3<f32>", new().mat3x3f([[0.0; 3]; 3])),
        ("a: mat3x3<f32>, b: f32", new().mat3x3f([[0.0; 3]; 3]).f32(0.0)),
        ("a: array<vec4<f32>, 3>, b: u32", new().array_vec4f(&[[0.0; 4]; 3]).u32(0)),
    ] {
        let shader = Shader::new(&format!(
            "struct Params {{ {members} }}
            @group(0) @binding(0) var<uniform> p: Params;
            @compute @workgroup_size(1) fn f() {{ let q = p; }}"
        ));
        let taken = shader.and_then(|shader| shader.dispatch(&[(0, uniform.binding())], [1; 3]));
        assert_eq!(taken, Ok(()), "{members}");
    }
}
