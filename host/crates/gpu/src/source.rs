//! What a shader in WGSL declares, and whether it keeps to the limits.

use std::error::Error as _;
use std::fmt::Display;

use wgpu::naga;

use naga::valid::{Capabilities, FunctionInfo, ModuleInfo, ValidationFlags, Validator};
use naga::{
    AddressSpace, Block, Expression, Function, Handle, ImageClass, ImageDimension, Module, ScalarKind, ShaderStage,
    Statement, StorageAccess, StorageFormat, TypeInner,
};

use crate::error::Error;
use crate::limits;

/// What is bound at a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `texture_2d<f32>`, or `texture_storage_2d<rgba8unorm, write>`.
    Image(Access),
    /// `var<storage>`, of at least this many bytes.
    Buffer(Access, u32),
    /// `var<uniform>`, of this many bytes.
    Uniform(u32),
    /// `sampler`.
    Sampler,
}

/// What a shader does with what is bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// It reads.
    Read,
    /// It writes, and of buffers reads.
    Write,
}

/// A shader that keeps to the limits.
#[derive(Debug)]
pub(crate) struct Source {
    pub module: Module,
    pub entry: String,
    pub workgroup: [u32; 3],
    /// By number, in this order.
    pub bindings: Vec<(u32, Kind)>,
    /// Steps of straight code.
    pub steps: u64,
}

/// Says whether a shader is valid and keeps to the limits. naga takes as much stack and memory for it as the text makes it take:
/// what nobody trusts is for a process that may end over it, and once it has got through this for any that has more of both.
pub fn check(wgsl: &str) -> Result<(), Error> {
    Source::check(wgsl).map(drop)
}

impl Source {
    /// Reads and checks a shader.
    pub fn check(wgsl: &str) -> Result<Self, Error> {
        if wgsl.len() > limits::SOURCE {
            return Err(Error::Limit(format!("a shader of {} bytes: {} at most", wgsl.len(), limits::SOURCE)));
        }
        let module = naga::front::wgsl::parse_str(wgsl).map_err(|error| {
            let place = error.location(wgsl);
            invalid_at(place.map(|place| (place.line_number, place.line_position)), error.message())
        })?;
        let info =
            Validator::new(ValidationFlags::all(), Capabilities::empty()).validate(&module).map_err(|error| {
                let place = error.location(wgsl);
                invalid_at(place.map(|place| (place.line_number, place.line_position)), chain(error.as_inner()))
            })?;
        if !module.overrides.is_empty() {
            return invalid("`override` is not supported: use `const`, or a uniform");
        }
        let [entry] = &module.entry_points[..] else {
            return invalid(format!(
                "{} entry points: a shader has one `@compute` function",
                module.entry_points.len()
            ));
        };
        if entry.stage != ShaderStage::Compute {
            return invalid(format!("`{}` is no `@compute` function", entry.name));
        }
        let (name, workgroup) = (entry.name.clone(), entry.workgroup_size);
        let invocations = workgroup.iter().map(|side| u64::from(*side)).product::<u64>();
        if invocations > u64::from(limits::WORKGROUP) {
            return limit(format!("a workgroup of {invocations} invocations: {} at most", limits::WORKGROUP));
        }
        let bindings = bindings(&module)?;
        memory(&module, &info)?;
        let steps = steps(&module, &info)?;
        Ok(Self { module, entry: name, workgroup, bindings, steps })
    }
}

fn invalid<T>(why: impl Into<String>) -> Result<T, Error> {
    Err(Error::Invalid(why.into()))
}

fn limit<T>(why: String) -> Result<T, Error> {
    Err(Error::Limit(why))
}

fn invalid_at(place: Option<(u32, u32)>, why: impl Display) -> Error {
    Error::Invalid(match place {
        Some((line, column)) => format!("line {line}, column {column}: {why}"),
        None => why.to_string(),
    })
}

/// An error with what caused it.
fn chain(error: &naga::valid::ValidationError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// What a shader asks to be bound.
fn bindings(module: &Module) -> Result<Vec<(u32, Kind)>, Error> {
    let mut bindings = Vec::new();
    for (_, variable) in module.global_variables.iter() {
        let Some(place) = &variable.binding else { continue };
        let name = variable.name.as_deref().unwrap_or("a variable");
        if place.group != 0 {
            return invalid(format!("`{name}` is in group {}: all bindings are in `@group(0)`", place.group));
        }
        let inner = &module.types[variable.ty].inner;
        let bytes = size(module, inner)?;
        let kind = match (variable.space, inner) {
            (AddressSpace::Uniform, _) if bytes > limits::UNIFORM => {
                return limit(format!("`{name}` is a uniform of {bytes} bytes: {} at most", limits::UNIFORM));
            }
            (AddressSpace::Uniform, _) => Kind::Uniform(bytes),
            (AddressSpace::Storage { access }, _) => Kind::Buffer(access_to(access), bytes),
            (_, TypeInner::Image { dim: ImageDimension::D2, arrayed: false, class }) => match class {
                ImageClass::Sampled { kind: ScalarKind::Float, multi: false } => Kind::Image(Access::Read),
                ImageClass::Storage { format: StorageFormat::Rgba8Unorm, access }
                    if *access == StorageAccess::STORE =>
                {
                    Kind::Image(Access::Write)
                }
                _ => return unbindable(name),
            },
            (_, TypeInner::Sampler { comparison: false }) => Kind::Sampler,
            _ => return unbindable(name),
        };
        bindings.push((place.binding, kind));
    }
    if bindings.len() > limits::BINDINGS {
        return limit(format!("{} bindings: {} at most", bindings.len(), limits::BINDINGS));
    }
    bindings.sort_by_key(|(number, _)| *number);
    match bindings.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        Some(pair) => invalid(format!("binding {} is declared twice", pair[0].0)),
        None => Ok(bindings),
    }
}

fn unbindable<T>(name: &str) -> Result<T, Error> {
    invalid(format!(
        "`{name}` cannot be bound: an image is a `texture_2d<f32>` or a `texture_storage_2d<rgba8unorm, write>`; there \
         are `sampler`, `var<storage>` and `var<uniform>` besides"
    ))
}

fn access_to(access: StorageAccess) -> Access {
    if access.contains(StorageAccess::STORE) { Access::Write } else { Access::Read }
}

/// Bytes of a type; of what has no end, those of one element.
fn size(module: &Module, inner: &TypeInner) -> Result<u32, Error> {
    inner.try_size(module.to_ctx()).ok_or_else(|| Error::Limit("a type of more than 4 GiB".to_owned()))
}

/// What each workgroup and each invocation has to itself.
fn memory(module: &Module, info: &ModuleInfo) -> Result<(), Error> {
    let (mut shared, mut private) = (0_u64, 0_u64);
    for (_, variable) in module.global_variables.iter() {
        let bytes = u64::from(size(module, &module.types[variable.ty].inner)?);
        match variable.space {
            AddressSpace::WorkGroup => shared += bytes,
            AddressSpace::Private => private += bytes,
            _ => {}
        }
    }
    if shared > u64::from(limits::WORKGROUP_MEMORY) {
        return limit(format!("{shared} bytes of `var<workgroup>`: {} at most", limits::WORKGROUP_MEMORY));
    }
    let functions = module.functions.iter().map(|(handle, function)| (function, &info[handle]));
    let entries = module.entry_points.iter().enumerate().map(|(at, entry)| (&entry.function, info.get_entry_point(at)));
    for (function, info) in functions.chain(entries) {
        for (_, variable) in function.local_variables.iter() {
            private += u64::from(size(module, &module.types[variable.ty].inner)?);
        }
        for (handle, _) in function.expressions.iter() {
            value(module, info[handle].ty.inner_with(&module.types))?;
        }
    }
    for (_, expression) in module.global_expressions.iter() {
        if let Expression::Compose { ty, .. } | Expression::ZeroValue(ty) = expression {
            value(module, &module.types[*ty].inner)?;
        }
    }
    if private > u64::from(limits::PRIVATE_MEMORY) {
        return limit(format!("{private} bytes of variables in each invocation: {} at most", limits::PRIVATE_MEMORY));
    }
    Ok(())
}

/// No value is larger than what an invocation may have. What is pointed to is none.
fn value(module: &Module, inner: &TypeInner) -> Result<(), Error> {
    if is_pointer(inner) {
        return Ok(());
    }
    match size(module, inner)? {
        bytes if bytes > limits::PRIVATE_MEMORY => {
            limit(format!("a value of {bytes} bytes: {} at most", limits::PRIVATE_MEMORY))
        }
        _ => Ok(()),
    }
}

/// Straight code, with functions counted where they are called: they may not be nested so that a short text stands for
/// endless work. WGSL has no recursion, and naga lists functions after those that they call.
fn steps(module: &Module, info: &ModuleInfo) -> Result<u64, Error> {
    let entries = module.entry_points.iter().map(|entry| &entry.function);
    if module.functions.iter().map(|(_, function)| function).chain(entries).any(|f| depth(&f.body) > limits::DEPTH) {
        return limit(format!("blocks in blocks, `else if` counted as such: {} at most", limits::DEPTH));
    }
    let mut of = Vec::with_capacity(module.functions.len());
    for (handle, function) in module.functions.iter() {
        let steps = function_steps(module, function, &info[handle], &of)?;
        of.push(steps);
    }
    let mut most = 0;
    for (at, entry) in module.entry_points.iter().enumerate() {
        most = most.max(function_steps(module, &entry.function, info.get_entry_point(at), &of)?);
    }
    if most > limits::STEPS {
        return limit(format!("{most} steps, functions counted where they are called: {} at most", limits::STEPS));
    }
    Ok(most)
}

/// How deeply blocks are nested.
fn depth(block: &Block) -> usize {
    let inner = block.iter().map(|statement| match statement {
        Statement::Block(block) => depth(block),
        Statement::If { accept, reject, .. } => depth(accept).max(depth(reject)),
        Statement::Switch { cases, .. } => cases.iter().map(|case| depth(&case.body)).max().unwrap_or(0),
        Statement::Loop { body, continuing, .. } => depth(body).max(depth(continuing)),
        _ => 0,
    });
    1 + inner.max().unwrap_or(0)
}

fn function_steps(module: &Module, function: &Function, info: &FunctionInfo, of: &[u64]) -> Result<u64, Error> {
    let called = |handle: Handle<Function>| of.get(handle.index()).copied().unwrap_or(u64::MAX);
    let mut steps = block_steps(&function.body, &called);
    for (handle, _) in function.expressions.iter() {
        steps = steps.saturating_add(value_steps(module, info[handle].ty.inner_with(&module.types))?);
    }
    Ok(steps)
}

/// One for every four words of a value: a large one is moved piece by piece.
fn value_steps(module: &Module, inner: &TypeInner) -> Result<u64, Error> {
    if is_pointer(inner) {
        return Ok(1);
    }
    Ok(u64::from(size(module, inner)?.div_ceil(16)).max(1))
}

fn is_pointer(inner: &TypeInner) -> bool {
    matches!(inner, TypeInner::Pointer { .. } | TypeInner::ValuePointer { .. })
}

fn block_steps(block: &Block, called: &dyn Fn(Handle<Function>) -> u64) -> u64 {
    let steps = block.iter().map(|statement| match statement {
        Statement::Call { function, .. } => called(*function),
        Statement::Block(block) => block_steps(block, called),
        Statement::If { accept, reject, .. } => block_steps(accept, called).saturating_add(block_steps(reject, called)),
        Statement::Switch { cases, .. } => {
            cases.iter().fold(0, |sum: u64, case| sum.saturating_add(block_steps(&case.body, called)))
        }
        Statement::Loop { body, continuing, .. } => {
            block_steps(body, called).saturating_add(block_steps(continuing, called))
        }
        _ => 0,
    });
    steps.fold(block.len() as u64, u64::saturating_add)
}
