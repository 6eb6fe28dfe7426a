//! Numbers laid out as a shader reads them.

use super::Binding;

/// The bytes of a uniform: its members one by one, in the order of the struct that the shader declares. Each is put
/// where WGSL has it, and the whole is as long as the struct.
///
/// ```
/// use rillbox_sdk::shader::Uniform;
///
/// // struct Params { turn: mat3x3<f32>, center: vec2<f32>, tint: vec3<f32>, gain: f32 }
/// let params = Uniform::new()
///     .mat3x3f([[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
///     .vec2f([0.5, 0.5])
///     .vec3f([1.1, 1.0, 0.9])
///     .f32(1.5);
/// assert_eq!(params.bytes().len(), 80);
/// ```
///
/// What is declared without a struct is bound in the same way, as one member; but a `vec3` has 12 bytes there, the
/// first of these 16.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[must_use]
pub struct Uniform {
    /// The members, with zeros between them and after the last.
    bytes: Vec<u8>,
    /// Where the last member ends.
    end: usize,
    /// The largest of the members' alignments, in bytes.
    alignment: usize,
}

impl Uniform {
    /// With nothing in it.
    pub fn new() -> Self {
        Self::default()
    }

    /// And an `f32`.
    pub fn f32(self, value: f32) -> Self {
        self.member(4, value.to_le_bytes())
    }

    /// And a `u32`.
    pub fn u32(self, value: u32) -> Self {
        self.member(4, value.to_le_bytes())
    }

    /// And an `i32`.
    pub fn i32(self, value: i32) -> Self {
        self.member(4, value.to_le_bytes())
    }

    /// And a `mat3x3<f32>`, by its columns.
    pub fn mat3x3f(self, columns: [[f32; 3]; 3]) -> Self {
        self.array_vec4f(&columns.map(|[x, y, z]| [x, y, z, 0.0]))
    }

    /// And a `mat4x4<f32>`, by its columns.
    pub fn mat4x4f(self, columns: [[f32; 4]; 4]) -> Self {
        self.array_vec4f(&columns)
    }

    /// And an `array<vec4<f32>, N>`, of as many as these.
    pub fn array_vec4f(self, elements: &[[f32; 4]]) -> Self {
        self.member(16, elements.iter().flatten().flat_map(|value| value.to_le_bytes()))
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// To be bound.
    pub fn binding(&self) -> Binding<'_> {
        Binding::Uniform(&self.bytes)
    }

    /// And a member that begins at a multiple of `alignment` bytes.
    fn member(mut self, alignment: usize, bytes: impl IntoIterator<Item = u8>) -> Self {
        self.bytes.resize(self.end.next_multiple_of(alignment), 0);
        self.bytes.extend(bytes);
        self.end = self.bytes.len();
        // The whole is a multiple of its own alignment, and ends here unless another member follows.
        self.alignment = self.alignment.max(alignment);
        self.bytes.resize(self.end.next_multiple_of(self.alignment), 0);
        self
    }
}

macro_rules! vectors {
    ($($name:ident $scalar:ident $count:literal $alignment:literal;)*) => {
        impl Uniform {$(
            #[doc = concat!("And a `vec", $count, "<", stringify!($scalar), ">`.")]
            pub fn $name(self, value: [$scalar; $count]) -> Self {
                self.member($alignment, value.into_iter().flat_map($scalar::to_le_bytes))
            }
        )*}
    };
}

vectors! {
    vec2f f32 2 8;
    vec2i i32 2 8;
    vec2u u32 2 8;
    vec3f f32 3 16;
    vec3i i32 3 16;
    vec3u u32 3 16;
    vec4f f32 4 16;
    vec4i i32 4 16;
    vec4u u32 4 16;
}
