//! What the contract offers to processors, as it is in `wit/`: whatever it offers is called.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use wit_parser::abi::{AbiVariant, WasmType};
use wit_parser::{Function, InterfaceId, Resolve, SizeAlign, Type, TypeDefKind, TypeId, TypeOwner, WorldItem};

use crate::harness::text::contract;

pub static CONTRACT: LazyLock<Contract> = LazyLock::new(Contract::read);

/// Imports, and the types that they speak of.
pub struct Contract {
    pub resolve: Resolve,
    pub sizes: SizeAlign,
    /// Those that have functions, in the order of the world.
    pub interfaces: Vec<Vec<Import>>,
    /// Every kind of handle, with its number.
    pub resources: BTreeMap<TypeId, u32>,
}

/// A function of the host's.
pub struct Import {
    interface: String,
    pub function: Function,
}

impl Contract {
    fn read() -> Self {
        let (resolve, world) = contract();
        let mut sizes = SizeAlign::default();
        sizes.fill(&resolve);
        let imported = resolve.worlds[world].imports.values().filter_map(|item| match item {
            WorldItem::Interface { id, .. } => Some(*id),
            _ => None,
        });
        let functions = |id: InterfaceId| -> Vec<Import> {
            let functions = resolve.interfaces[id].functions.values();
            functions.map(|function| Import { interface: name(&resolve, id), function: function.clone() }).collect()
        };
        let interfaces = imported.map(functions).filter(|functions| !functions.is_empty()).collect();
        let is_resource = |kind: &TypeDefKind| matches!(kind, TypeDefKind::Resource);
        let resources = resolve.types.iter().filter(|(_, known)| is_resource(&known.kind)).map(|(id, _)| id);
        let resources = resources.zip(0..).collect();
        Self { resolve, sizes, interfaces, resources }
    }

    /// What a type is, by whatever name it is known.
    pub fn kind(&self, mut id: TypeId) -> (TypeId, &TypeDefKind) {
        while let TypeDefKind::Type(Type::Id(other)) = &self.resolve.types[id].kind {
            id = *other;
        }
        (id, &self.resolve.types[id].kind)
    }

    /// The resource of a handle.
    pub fn resource(&self, handle: TypeId) -> u32 {
        self.resources[&self.kind(handle).0]
    }

    /// The import that gives a handle of a resource back, as text that calls it `called`.
    pub fn import_of_drop(&self, resource: TypeId, called: &str) -> String {
        let known = &self.resolve.types[resource];
        let TypeOwner::Interface(interface) = known.owner else { panic!("a resource of no interface") };
        let (interface, known) = (name(&self.resolve, interface), known.name.as_deref().unwrap());
        format!("(import \"{interface}\" \"[resource-drop]{known}\" (func {called} (param i32)))")
    }
}

impl Import {
    /// As text; it is called `$` and its own name.
    pub fn text(&self) -> String {
        let signature = CONTRACT.resolve.wasm_signature(AbiVariant::GuestImport, &self.function);
        assert!(!signature.indirect_params, "{}: more parameters than a call has", self.function.name);
        let list = |what: &str, types: &[WasmType]| {
            let types: String = types.iter().map(|of| format!(" {}", text(*of))).collect();
            format!("({what}{types})")
        };
        let (name, interface) = (&self.function.name, &self.interface);
        let (params, results) = (list("param", &signature.params), list("result", &signature.results));
        format!("(import \"{interface}\" \"{name}\" (func ${} {params} {results}))", self.id())
    }

    /// A name that texts can have.
    pub fn id(&self) -> String {
        self.function.name.replace(['[', ']'], "!")
    }

    /// Whether a result goes to where the last argument says, rather than being none or one number.
    pub fn returns_through_memory(&self) -> bool {
        CONTRACT.resolve.wasm_signature(AbiVariant::GuestImport, &self.function).retptr
    }

    /// Whether there is a number as the result.
    pub fn returns_number(&self) -> bool {
        !CONTRACT.resolve.wasm_signature(AbiVariant::GuestImport, &self.function).results.is_empty()
    }
}

fn name(resolve: &Resolve, interface: InterfaceId) -> String {
    resolve.id_of(interface).expect("interfaces have names")
}

fn text(of: WasmType) -> &'static str {
    match of {
        WasmType::I64 | WasmType::PointerOrI64 => "i64",
        WasmType::F32 => "f32",
        WasmType::F64 => "f64",
        WasmType::I32 | WasmType::Pointer | WasmType::Length => "i32",
    }
}
