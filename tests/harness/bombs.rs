//! Components that are small to send and large to compile.

use wasm_encoder::{
    CodeSection, Component, ExportKind, ExportSection, Function, FunctionSection, Instruction, Module, ModuleSection,
    TypeSection, ValType,
};

/// Longest body of a function that a compiler must take, in bytes.
const LONGEST: usize = 7_000_000;

/// Blocks within each other, of three bytes each.
const DEPTH: usize = 1_000_000;

/// Values that a function, or a block, gives at most.
const VALUES: usize = 1_000;

/// As many functions as keep a compiler busy for minutes.
pub fn of_time() -> Vec<u8> {
    of_some_time(800)
}

/// So many functions, each of them one whose values live in many loops at once.
pub fn of_some_time(functions: u32) -> Vec<u8> {
    let (locals, loops) = (1_000, 2_700);
    let mut body = Vec::new();
    for place in 0..loops {
        let (to, from) = (1 + place % locals, 1 + place * 7_919 % locals);
        Instruction::Loop(wasm_encoder::BlockType::Empty).encode_into(&mut body);
        Instruction::LocalGet(from).encode_into(&mut body);
        Instruction::LocalGet(0).encode_into(&mut body);
        Instruction::I32Add.encode_into(&mut body);
        Instruction::LocalTee(to).encode_into(&mut body);
        Instruction::BrIf(0).encode_into(&mut body);
        Instruction::End.encode_into(&mut body);
    }
    component(functions, locals, &body)
}

/// One function, as long as one may be.
pub fn of_length() -> Vec<u8> {
    let mut step = Vec::new();
    for instruction in [
        Instruction::LocalGet(0),
        Instruction::LocalGet(0),
        Instruction::I32Mul,
        Instruction::LocalTee(0),
        Instruction::Drop,
    ] {
        instruction.encode_into(&mut step);
    }
    component(1, 0, &step.repeat(LONGEST / step.len()))
}

/// A million blocks within each other, each of which gives a thousand values: a compiler keeps them all from where they
/// begin, and needs no time to come to that.
pub fn of_memory() -> Vec<u8> {
    let mut open = Vec::new();
    Instruction::Block(wasm_encoder::BlockType::FunctionType(1)).encode_into(&mut open);
    let mut body = open.repeat(DEPTH);
    Instruction::Unreachable.encode_into(&mut body);
    body.extend(std::iter::repeat_n(0x0b, DEPTH));
    Instruction::LocalGet(0).encode_into(&mut body);
    Instruction::Return.encode_into(&mut body);
    component(1, 0, &body)
}

/// A million blocks within each other.
pub fn of_depth() -> Vec<u8> {
    let mut open = Vec::new();
    Instruction::Block(wasm_encoder::BlockType::Empty).encode_into(&mut open);
    let mut body = open.repeat(DEPTH);
    Instruction::LocalGet(0).encode_into(&mut body);
    Instruction::BrIf(0).encode_into(&mut body);
    body.extend(std::iter::repeat_n(0x0b, DEPTH));
    component(1, 0, &body)
}

/// A type that is a pair of a pair of a pair, and so on: 2^60 of the innermost.
pub fn of_types() -> Vec<u8> {
    let mut types = wasm_encoder::ComponentTypeSection::new();
    types.defined_type().tuple([wasm_encoder::PrimitiveValType::U32; 2].map(wasm_encoder::ComponentValType::Primitive));
    for place in 0..60 {
        types.defined_type().tuple([wasm_encoder::ComponentValType::Type(place); 2]);
    }
    let mut component = Component::new();
    component.section(&types);
    component.finish()
}

/// A component of one module, of so many functions with this body, whose first local is what they give.
fn component(functions: u32, locals: u32, body: &[u8]) -> Vec<u8> {
    let mut types = TypeSection::new();
    types.ty().function([ValType::I32], [ValType::I32]);
    types.ty().function([], [ValType::I32; VALUES]);
    let (mut declared, mut code) = (FunctionSection::new(), CodeSection::new());
    for _ in 0..functions {
        declared.function(0);
        let mut function = Function::new([(locals, ValType::I32)]);
        function.raw(body.iter().copied());
        function.instruction(&Instruction::LocalGet(0)).instruction(&Instruction::End);
        code.function(&function);
    }
    let mut exports = ExportSection::new();
    exports.export("f", ExportKind::Func, 0);
    let mut module = Module::new();
    module.section(&types).section(&declared).section(&exports).section(&code);
    let mut component = Component::new();
    component.section(&ModuleSection(&module));
    component.finish()
}

/// Instructions as bytes.
trait EncodeInto {
    fn encode_into(&self, bytes: &mut Vec<u8>);
}

impl EncodeInto for Instruction<'_> {
    fn encode_into(&self, bytes: &mut Vec<u8>) {
        wasm_encoder::Encode::encode(self, bytes);
    }
}
