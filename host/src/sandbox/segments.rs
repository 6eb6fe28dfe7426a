//! Passive element segments: wasmtime has a copy of them in memory for each instance, which no limiter is asked about.

use wasmparser::{ElementItems, ElementKind, Parser, Payload};

/// Elements of all passive segments of a component at most. Each takes 16 bytes in every instance of its module, of which there may
/// be 64: 16 MiB. No compiler is known that makes more than a few.
pub const MAX_PASSIVE: u64 = 1 << 14;

/// How many elements the passive segments of a component have, those of all its modules. What cannot be read has none: it does not
/// compile either.
pub fn passive(component: &[u8]) -> u64 {
    Parser::new(0).parse_all(component).map_while(Result::ok).map(|payload| in_payload(&payload)).sum()
}

fn in_payload(payload: &Payload<'_>) -> u64 {
    let Payload::ElementSection(section) = payload else { return 0 };
    let passive = section.clone().into_iter().map_while(Result::ok).filter(|element| {
        // What is only declared is not kept.
        matches!(element.kind, ElementKind::Passive)
    });
    let count = |items: ElementItems<'_>| match items {
        ElementItems::Functions(functions) => functions.count(),
        ElementItems::Expressions(_, expressions) => expressions.count(),
    };
    passive.map(|element| u64::from(count(element.items))).sum()
}
