//! Which scope each route needs: what its declaration says, `security(("token" = ["streams:control"]))`, or `security(())` for
//! routes that are open.

use std::collections::{BTreeMap, HashMap};

use axum::http::Method;
use serde_json::Value;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{OpenApi, PathItem, Ref, RefOr, Response, ResponseBuilder, content::ContentBuilder};

use crate::access::Scope;

/// What declarations call a token.
const SCHEME: &str = "token";

/// What a call needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Nothing.
    Nothing,
    /// A token with this scope.
    Scope(Scope),
    /// More than any token gives: the route declares nothing that is understood.
    Undeclared,
}

/// The needs of all routes.
pub struct Needs(BTreeMap<String, HashMap<Method, Need>>);

impl Needs {
    /// As the document declares them.
    pub fn of(document: &OpenApi) -> Self {
        let document = serde_json::to_value(document).unwrap_or_default();
        let paths = document["paths"].as_object().into_iter().flatten();
        Self(paths.map(|(path, item)| (path.clone(), of_path(item))).collect())
    }

    /// Of a request to a route, named by its pattern. Where there is no such route or method, whoever may look may hear so.
    pub fn of_request(&self, path: Option<&str>, method: &Method) -> Need {
        let Some(path) = path else { return Need::Scope(Scope::Read) };
        // A HEAD is answered by GET.
        let asked = if *method == Method::HEAD { Method::GET } else { method.clone() };
        match self.0.get(path) {
            None => Need::Undeclared,
            Some(methods) => methods.get(&asked).copied().unwrap_or(Need::Scope(Scope::Read)),
        }
    }
}

fn of_path(item: &Value) -> HashMap<Method, Need> {
    let operations = item.as_object().into_iter().flatten();
    let needs = operations.filter_map(|(method, operation)| {
        Some((method.to_uppercase().parse().ok()?, of_operation(&operation["security"])))
    });
    needs.collect()
}

fn of_operation(security: &Value) -> Need {
    let [requirement] = security.as_array().map_or(&[][..], Vec::as_slice) else { return Need::Undeclared };
    if requirement.as_object().is_some_and(serde_json::Map::is_empty) {
        return Need::Nothing;
    }
    match requirement[SCHEME].as_array().map(Vec::as_slice) {
        Some([Value::String(scope)]) => scope.parse().map_or(Need::Undeclared, Need::Scope),
        _ => Need::Undeclared,
    }
}

/// Tells in the document what a token is, and how a call without the right one, or with a body that cannot be read, is answered.
pub fn describe(document: &mut OpenApi) {
    let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(
        "On hosts that run with tokens, each call needs one with the scope that is named. Every scope includes `read`.",
    ));
    let components = document.components.get_or_insert_default();
    components.security_schemes.insert(SCHEME.to_owned(), SecurityScheme::Http(scheme.build()).into());
    for item in document.paths.paths.values_mut() {
        describe_answers(item);
    }
}

fn describe_answers(item: &mut PathItem) {
    let operations = [&mut item.get, &mut item.put, &mut item.post, &mut item.delete, &mut item.patch];
    for operation in operations.into_iter().flatten() {
        let security = serde_json::to_value(&operation.security).unwrap_or_default();
        if of_operation(&security) == Need::Nothing {
            continue;
        }
        let of_tokens = [
            ("401", "There is no token, or none that is known"),
            ("403", "The token lacks the scope, or the call comes from another site's page"),
        ];
        let of_bodies = [
            ("408", "The body took too long"),
            ("413", "The body is too large"),
            ("415", "The body is encoded"),
            ("503", "Too many large bodies are being read; try again"),
        ];
        let of_bodies = operation.request_body.is_some().then_some(of_bodies).into_iter().flatten();
        for (status, what) in of_tokens.into_iter().chain(of_bodies) {
            operation.responses.responses.entry(status.to_owned()).or_insert_with(|| problem(what));
        }
    }
}

fn problem(what: &str) -> RefOr<Response> {
    let body = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    ResponseBuilder::new().description(what).content("application/json", body).build().into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Catches a declaration that is taken for less than it says.
    #[test]
    fn what_is_not_understood_opens_nothing() {
        for (security, need) in [
            (json!([{}]), Need::Nothing),
            (json!([{ "token": ["read"] }]), Need::Scope(Scope::Read)),
            (json!([{ "token": ["processors:write"] }]), Need::Scope(Scope::ProcessorsWrite)),
            (json!(null), Need::Undeclared),
            (json!([]), Need::Undeclared),
            (json!([{ "token": [] }]), Need::Undeclared),
            (json!([{ "token": ["write"] }]), Need::Undeclared),
            (json!([{ "token": ["read", "streams:control"] }]), Need::Undeclared),
            (json!([{ "key": ["read"] }]), Need::Undeclared),
            (json!([{}, { "token": ["read"] }]), Need::Undeclared),
        ] {
            assert_eq!(of_operation(&security), need, "{security}");
        }
    }

    /// Catches a route whose declaration names no scope, and so answers nobody once there are tokens.
    #[test]
    fn every_route_declares_its_scope() {
        let (_, document) = super::super::declared().split_for_parts();
        let needs = Needs::of(&document);
        assert!(needs.0.len() > 20, "{}", needs.0.len());
        for (path, methods) in &needs.0 {
            for (method, need) in methods {
                let what = format!(
                    "{method} {path}: put `security((\"token\" = [\"SCOPE\"]))` into its utoipa::path, see api/scopes.rs"
                );
                assert_ne!(*need, Need::Undeclared, "{what}");
                let open = path.ends_with("/health") || path.ends_with("/docs");
                assert_eq!(*need == Need::Nothing, open, "{method} {path}");
                assert!(
                    open || *method == Method::GET || *need != Need::Scope(Scope::Read),
                    "{method} {path} changes things"
                );
            }
        }
        assert_eq!(needs.of_request(Some("/api/unknown"), &Method::GET), Need::Undeclared);
        assert_eq!(needs.of_request(Some("/api/health"), &Method::HEAD), Need::Nothing);
        assert_eq!(needs.of_request(Some("/api/health"), &Method::POST), Need::Scope(Scope::Read));
        assert_eq!(needs.of_request(None, &Method::GET), Need::Scope(Scope::Read));
    }
}
