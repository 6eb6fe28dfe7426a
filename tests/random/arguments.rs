//! What imports are called with at random: values of each type that the contract has, most of which can be meant.

use rand::RngExt;
use rand::rngs::SmallRng;
use wit_parser::{Handle, Type, TypeDefKind, TypeId};

use crate::contract::CONTRACT;

/// Handles of each resource are kept at so many places, from here on.
const KEPT: u32 = 2;
const HANDLES: u32 = 1_600;

/// Elements of lists are written from here on.
const ELEMENTS: u32 = 100_000;

/// Texts that mean something: where they are, and how long.
const TEXTS: [(u32, &str); 3] = [
    (110_000, "{\\22a\\22:1}"),
    (
        110_100,
        "@group(0) @binding(0) var<storage, read_write> w: array<u32>; \
         @compute @workgroup_size(1) fn f() { loop { w[0] = w[0] + 1u; } }",
    ),
    (
        110_400,
        "@group(0) @binding(0) var a: texture_2d<f32>; @group(0) @binding(1) var b: sampler; \
         @compute @workgroup_size(64) fn f() { _ = textureSampleLevel(a, b, vec2(0.5), 0.0); }",
    ),
];

/// The texts, as a module has them.
pub fn data() -> String {
    TEXTS.iter().map(|(at, text)| format!("(data (i32.const {at}) \"{text}\")")).collect()
}

/// Arguments of one call, while they are made up.
pub struct Arguments<'a> {
    pub random: &'a mut SmallRng,
    /// The resource of which the export's first local is a handle.
    pub lent: Option<u32>,
    /// Statements that come first: they write the elements of lists.
    pub before: String,
    /// Handles without which there is no call.
    pub needed: Vec<String>,
    end: u32,
}

impl<'a> Arguments<'a> {
    pub fn new(random: &'a mut SmallRng, lent: Option<u32>) -> Self {
        Self { random, lent, before: String::new(), needed: Vec::new(), end: ELEMENTS }
    }

    /// A value as expressions, one for each parameter that it takes.
    pub fn of(&mut self, value: &Type) -> Vec<String> {
        match value {
            Type::U64 | Type::S64 => vec![format!("(i64.const {})", self.random.random_range(-3..90_000))],
            Type::F32 => vec![format!("(f32.const {})", self.decimal())],
            Type::F64 => vec![format!("(f64.const {})", self.decimal())],
            Type::String => self.text(),
            Type::Id(id) => self.of_kind(*id),
            _ => vec![self.small()],
        }
    }

    fn of_kind(&mut self, id: TypeId) -> Vec<String> {
        match CONTRACT.kind(id).1 {
            TypeDefKind::Type(other) => self.of(other),
            TypeDefKind::Record(record) => record.fields.iter().flat_map(|field| self.of(&field.ty)).collect(),
            TypeDefKind::Tuple(tuple) => tuple.types.iter().flat_map(|part| self.of(part)).collect(),
            TypeDefKind::Handle(Handle::Own(resource) | Handle::Borrow(resource)) => {
                vec![self.held(CONTRACT.resource(*resource))]
            }
            TypeDefKind::Enum(names) => vec![constant(self.name_of(names.cases.len()))],
            TypeDefKind::Option(some) => [vec![constant(self.name_of(2))], self.of(some)].concat(),
            TypeDefKind::List(element) => self.list(element),
            other => panic!("the contract has parameters that are {}, which nothing here makes", other.as_str()),
        }
    }

    /// Statements that write a value where it is part of a list.
    fn write(&mut self, value: &Type, at: u32) {
        let stored = match value {
            Type::Bool | Type::U8 | Type::S8 => "i32.store8",
            Type::U16 | Type::S16 => "i32.store16",
            Type::U64 | Type::S64 => "i64.store",
            Type::F32 => "f32.store",
            Type::F64 => "f64.store",
            Type::Id(id) => return self.write_kind(*id, at),
            _ => "i32.store",
        };
        for (value, at) in self.of(value).into_iter().zip((at..).step_by(4)) {
            self.before += &format!("({stored} (i32.const {at}) {value})");
        }
    }

    fn write_kind(&mut self, id: TypeId, at: u32) {
        let sizes = &CONTRACT.sizes;
        match CONTRACT.kind(id).1 {
            TypeDefKind::Type(other) => self.write(other, at),
            TypeDefKind::Tuple(tuple) => {
                for (offset, part) in sizes.field_offsets(&tuple.types) {
                    self.write(part, at + offset.size_wasm32() as u32);
                }
            }
            TypeDefKind::Variant(variant) => {
                let case = self.name_of(variant.cases.len());
                self.before += &format!("(i32.store8 (i32.const {at}) {})", constant(case));
                let offset = sizes.payload_offset(variant.tag(), variant.cases.iter().map(|case| case.ty.as_ref()));
                if let Some(payload) = variant.cases.get(case as usize).and_then(|case| case.ty) {
                    self.write(&payload, at + offset.size_wasm32() as u32);
                }
            }
            _ => {
                for (value, at) in self.of_kind(id).into_iter().zip((at..).step_by(4)) {
                    self.before += &format!("(i32.store (i32.const {at}) {value})");
                }
            }
        }
    }

    fn list(&mut self, element: &Type) -> Vec<String> {
        if *element == Type::U8 || self.random.random_range(0..8) == 0 {
            return vec![self.place(), self.length()];
        }
        let (count, size) = (self.random.random_range(0..5), CONTRACT.sizes.size(element).size_wasm32() as u32);
        let at = self.end.next_multiple_of(8);
        self.end = at + count * size;
        (0..count).for_each(|each| self.write(element, at + each * size));
        vec![constant(at as i32), constant(count as i32)]
    }

    fn text(&mut self) -> Vec<String> {
        let known = self.random.random_range(0..TEXTS.len() + 1);
        match TEXTS.get(known) {
            // Escapes of the text's own are two letters and a stroke for one.
            Some((at, text)) => {
                vec![constant(*at as i32), constant((text.len() - 2 * text.matches('\\').count()) as i32)]
            }
            None => vec![self.place(), self.length()],
        }
    }

    /// A handle: what is lent, or one that was kept, or none.
    fn held(&mut self, resource: u32) -> String {
        if self.random.random_range(0..40) == 0 {
            return self.number();
        }
        if self.lent == Some(resource) && self.random.random_range(0..4) > 0 {
            return "(local.get 0)".to_owned();
        }
        let kept = format!("(i32.load {})", self.kept(resource));
        self.needed.push(kept.clone());
        kept
    }

    /// A place where a handle of a resource is kept.
    pub fn kept(&mut self, resource: u32) -> String {
        constant((HANDLES + (resource * KEPT + self.random.random_range(0..KEPT)) * 4) as i32)
    }

    /// One of so many names, or the number after the last.
    fn name_of(&mut self, names: usize) -> i32 {
        if self.random.random_range(0..60) == 0 { names as i32 } else { self.random.random_range(0..names as i32) }
    }

    /// Any number, and more often one at a border.
    pub fn number(&mut self) -> String {
        const BORDERS: [i32; 10] = [0, 1, 2, 3, -1, i32::MAX, i32::MIN, 65_535, 65_536, 1_000_000];
        constant(match self.random.random_range(0..4) {
            0 => self.random.random(),
            _ => BORDERS[self.random.random_range(0..BORDERS.len())],
        })
    }

    /// Mostly what a side, a step or an axis may be.
    fn small(&mut self) -> String {
        match self.random.random_range(0..12) {
            0 => self.number(),
            1..4 => constant(self.random.random_range(0..32) * 2),
            _ => constant(self.random.random_range(-1..6)),
        }
    }

    fn decimal(&mut self) -> &'static str {
        const DECIMALS: [&str; 12] =
            ["0", "-0", "1", "-1", "0.5", "1e-3", "-7.25", "255", "1e30", "inf", "-inf", "nan"];
        DECIMALS[self.random.random_range(0..DECIMALS.len())]
    }

    /// Mostly a place in memory that is not in use.
    pub fn place(&mut self) -> String {
        if self.random.random_range(0..16) == 0 {
            return self.number();
        }
        constant(self.random.random_range(150..6_000) * 16)
    }

    /// Mostly a length that fits.
    pub fn length(&mut self) -> String {
        match self.random.random_range(0..12) {
            0 => self.number(),
            1 => constant(64 * 36 * 4),
            _ => constant(self.random.random_range(0..100)),
        }
    }
}

fn constant(value: i32) -> String {
    format!("(i32.const {value})")
}
