//! Loops that end: a GPU does not stop them.
//!
//! Each invocation has a number of rounds, which all its loops share; the host sets it with each dispatch. A
//! loop that has none left ends as by `break`. Loops in which invocations wait for each other share rounds of their
//! own: all invocations of a workgroup go through these together, and so leave them together.

use wgpu::naga;

use naga::{
    AddressSpace, BinaryOperator, Block, Expression, Function, GlobalVariable, Handle, Literal, Module, Range,
    ResourceBinding, Scalar, Span, Statement, Type, TypeInner,
};

/// Where the shader reads how many rounds it has.
pub(crate) const GROUP: u32 = 1;

/// The two counters, `var<private>`.
#[derive(Clone, Copy)]
struct Counters {
    alone: Handle<GlobalVariable>,
    together: Handle<GlobalVariable>,
}

/// Gives every loop an end. Whether there are any.
pub(crate) fn bound_loops(module: &mut Module) -> bool {
    let inner = TypeInner::Scalar(Scalar::U32);
    let word = module.types.insert(Type { name: None, inner }, Span::UNDEFINED);
    let mut variable = |name: &str, space, binding| {
        let variable = GlobalVariable {
            name: Some(name.to_owned()),
            space,
            binding,
            ty: word,
            init: None,
            memory_decorations: naga::MemoryDecorations::empty(),
        };
        module.global_variables.append(variable, Span::UNDEFINED)
    };
    let counters = Counters {
        alone: variable("rillbox_rounds", AddressSpace::Private, None),
        together: variable("rillbox_rounds_together", AddressSpace::Private, None),
    };
    let binding = ResourceBinding { group: GROUP, binding: 0 };
    let given = variable("rillbox_rounds_given", AddressSpace::Uniform, Some(binding));
    // naga lists functions after those that they call.
    let mut waiting = Vec::with_capacity(module.functions.len());
    for (_, function) in module.functions.iter() {
        let waits = waits(&function.body, &waiting);
        waiting.push(waits);
    }
    let bounds = Bounds { counters, waiting };
    let mut any = false;
    for (_, function) in module.functions.iter_mut() {
        any |= bounds.function(function);
    }
    for entry in &mut module.entry_points {
        any |= bounds.function(&mut entry.function);
        let mut code = Code::new(&mut entry.function.expressions);
        let given = code.load(given);
        code.store(counters.alone, given);
        code.store(counters.together, given);
        let begin = code.block;
        entry.function.body.splice(0..0, begin);
    }
    any
}

struct Bounds {
    counters: Counters,
    /// Of each function, whether invocations wait for each other in it.
    waiting: Vec<bool>,
}

impl Bounds {
    fn function(&self, function: &mut Function) -> bool {
        let mut body = std::mem::take(&mut function.body);
        let any = self.block(&mut body, function);
        function.body = body;
        any
    }

    fn block(&self, block: &mut Block, function: &mut Function) -> bool {
        let mut any = false;
        for statement in block.iter_mut() {
            any |= match statement {
                Statement::Block(block) => self.block(block, function),
                Statement::If { accept, reject, .. } => self.block(accept, function) | self.block(reject, function),
                Statement::Switch { cases, .. } => {
                    cases.iter_mut().fold(false, |any, case| self.block(&mut case.body, function) | any)
                }
                Statement::Loop { body, continuing, .. } => {
                    let together = waits(body, &self.waiting) || waits(continuing, &self.waiting);
                    self.block(body, function);
                    self.block(continuing, function);
                    let counter = if together { self.counters.together } else { self.counters.alone };
                    body.splice(0..0, round(function, counter));
                    true
                }
                _ => false,
            };
        }
        any
    }
}

/// Whether invocations wait for each other here, or in a function that is called.
fn waits(block: &Block, waiting: &[bool]) -> bool {
    block.iter().any(|statement| match statement {
        Statement::ControlBarrier(_) | Statement::WorkGroupUniformLoad { .. } => true,
        Statement::Call { function, .. } => waiting.get(function.index()).is_none_or(|waits| *waits),
        Statement::Block(block) => waits(block, waiting),
        Statement::If { accept, reject, .. } => waits(accept, waiting) || waits(reject, waiting),
        Statement::Switch { cases, .. } => cases.iter().any(|case| waits(&case.body, waiting)),
        Statement::Loop { body, continuing, .. } => waits(body, waiting) || waits(continuing, waiting),
        _ => false,
    })
}

/// `if rounds == 0 { break; } rounds -= 1;`
fn round(function: &mut Function, counter: Handle<GlobalVariable>) -> Block {
    let mut code = Code::new(&mut function.expressions);
    let left = code.load(counter);
    let (zero, one) = (code.literal(0), code.literal(1));
    let none_left = code.emit(Expression::Binary { op: BinaryOperator::Equal, left, right: zero });
    let accept = Block::from_vec(vec![Statement::Break]);
    code.push(Statement::If { condition: none_left, accept, reject: Block::new() });
    let fewer = code.emit(Expression::Binary { op: BinaryOperator::Subtract, left, right: one });
    code.store(counter, fewer);
    code.block
}

/// Code in the making.
struct Code<'a> {
    expressions: &'a mut naga::Arena<Expression>,
    block: Block,
}

impl<'a> Code<'a> {
    fn new(expressions: &'a mut naga::Arena<Expression>) -> Self {
        Self { expressions, block: Block::new() }
    }

    fn push(&mut self, statement: Statement) {
        self.block.push(statement, Span::UNDEFINED);
    }

    fn literal(&mut self, value: u32) -> Handle<Expression> {
        self.expressions.append(Expression::Literal(Literal::U32(value)), Span::UNDEFINED)
    }

    fn emit(&mut self, expression: Expression) -> Handle<Expression> {
        let made = self.expressions.append(expression, Span::UNDEFINED);
        self.push(Statement::Emit(Range::new_from_bounds(made, made)));
        made
    }

    fn load(&mut self, variable: Handle<GlobalVariable>) -> Handle<Expression> {
        let pointer = self.expressions.append(Expression::GlobalVariable(variable), Span::UNDEFINED);
        self.emit(Expression::Load { pointer })
    }

    fn store(&mut self, variable: Handle<GlobalVariable>, value: Handle<Expression>) {
        let pointer = self.expressions.append(Expression::GlobalVariable(variable), Span::UNDEFINED);
        self.push(Statement::Store { pointer, value });
    }
}
