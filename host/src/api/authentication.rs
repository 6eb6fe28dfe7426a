//! Who calls: a bearer token with the scope that the route needs; without tokens, nobody but this machine's own programs.

use std::sync::Arc;

use axum::body::HttpBody;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tracing::Instrument;

use super::error::ApiError;
use super::loopback;
use super::scopes::{Need, Needs};
use crate::access::{Entry, Gate, Scope, TokenFile};

/// What a caller without a token, or with a wrong one, is told to send.
const MISSING: HeaderValue = HeaderValue::from_static(r#"Bearer realm="rillbox""#);
const INVALID: HeaderValue = HeaderValue::from_static(r#"Bearer realm="rillbox", error="invalid_token""#);

/// What decides over a call.
pub struct Authenticator {
    pub gate: Gate,
    pub needs: Needs,
}

/// Lets a call in, or says what it lacks.
pub async fn admit(State(authenticator): State<Arc<Authenticator>>, request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let caller = match (&authenticator.gate, authenticator.needs.of_request(path, request.method())) {
        (_, Need::Undeclared) => Err(undeclared(path)),
        (Gate::Anyone, _) => Ok(None),
        (Gate::Loopback, _) => loopback::check(&request).map(|()| None),
        (Gate::Tokens(_), Need::Nothing) => Ok(None),
        (Gate::Tokens(tokens), Need::Scope(scope)) => caller(&tokens.get(), request.headers(), scope).map(Some),
    };
    match caller {
        Ok(None) => next.run(request).await,
        // Whose call it was, in what the call leaves in the log.
        Ok(Some(token)) => next.run(request).instrument(tracing::info_span!("call", token)).await,
        Err(error) => refuse(&request, error),
    }
}

/// The name of the token that was presented, if it has the scope.
fn caller(tokens: &TokenFile, headers: &HeaderMap, scope: Scope) -> Result<String, ApiError> {
    let Entry { name, scopes, .. } = find(tokens, headers)?;
    if scopes.allow(scope) {
        return Ok(name.clone());
    }
    let challenge = format!(r#"Bearer realm="rillbox", error="insufficient_scope", scope="{scope}""#);
    let error = ApiError::forbidden(format!("the token {name} has the scopes {scopes}; this call needs {scope}"));
    Err(error.with_challenge(HeaderValue::try_from(challenge).unwrap_or(INVALID)))
}

fn find<'a>(tokens: &'a TokenFile, headers: &HeaderMap) -> Result<&'a Entry, ApiError> {
    let unauthorized = |message: &str, challenge| Err(ApiError::unauthorized(message).with_challenge(challenge));
    let mut presented = headers.get_all(header::AUTHORIZATION).iter();
    let (header, None) = (presented.next(), presented.next()) else {
        return unauthorized("the header Authorization is there twice", INVALID);
    };
    let Some(header) = header else {
        return unauthorized("this host wants a token; send the header Authorization: Bearer TOKEN", MISSING);
    };
    let Some(token) = header.to_str().ok().and_then(bearer) else {
        return unauthorized("the header Authorization is not of the form Bearer TOKEN", INVALID);
    };
    match tokens.find(token) {
        Some(entry) => Ok(entry),
        None => unauthorized("the token is not known here; it may have been revoked", INVALID),
    }
}

/// The token of a header of the form `Bearer TOKEN`.
fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    let token = token.trim_matches(' ');
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() && !token.contains(' ')).then_some(token)
}

/// A route of ours that forgot to say what it needs must not be open.
fn undeclared(path: Option<&str>) -> ApiError {
    tracing::error!(path, "the route declares no scope");
    ApiError::internal("this route declares no scope, so it takes no calls")
}

fn refuse(request: &Request, error: ApiError) -> Response {
    let mut response = error.into_response();
    if !request.body().is_end_stream() {
        // What nobody reads of the body would be taken for the next request.
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::bearer;

    /// Catches headers that are read as something that they are not.
    #[test]
    fn a_header_is_bearer_and_one_token() {
        assert_eq!(bearer("Bearer abc"), Some("abc"));
        assert_eq!(bearer("bEARER  abc "), Some("abc"));
        for wrong in ["", "Bearer", "Bearer ", "abc", "Basic abc", "Bearer a b", "Bearerabc", " Bearer abc"] {
            assert_eq!(bearer(wrong), None, "{wrong:?}");
        }
    }
}
