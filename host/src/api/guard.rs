//! What holds for every route: panics become 500, only those are let in who may, OPTIONS answers, and pages of other sites
//! change nothing.

use std::any::Any;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::{Method, StatusCode};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use tower_http::catch_panic::CatchPanicLayer;

use super::authentication::{Authenticator, admit};
use super::error::ApiError;

/// The routes, guarded.
pub fn guard(router: Router, authenticator: Authenticator) -> Router {
    let authenticator = from_fn_with_state(Arc::new(authenticator), admit);
    harden(router.layer(from_fn(same_site)).layer(from_fn(options)).layer(authenticator))
}

fn harden(router: Router) -> Router {
    router.layer(CatchPanicLayer::custom(panicked))
}

fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let message = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
    tracing::error!(message = message.unwrap_or("no message"), "a handler panicked");
    ApiError::internal("the host failed at this request; its log says how").into_response()
}

/// OPTIONS says in the header `Allow`, as 405 does, what a route takes.
async fn options(request: Request, next: Next) -> Response {
    let asked = request.method() == Method::OPTIONS;
    let response = next.run(request).await;
    match response.status() {
        StatusCode::METHOD_NOT_ALLOWED if asked => StatusCode::NO_CONTENT.into_response(),
        _ => response,
    }
}

/// A browser lets any page send simple requests to any host that it reaches, this one on loopback too, and says that it does.
async fn same_site(request: Request, next: Next) -> Response {
    let safe = request.method().is_safe();
    let foreign = request.headers().get("sec-fetch-site").is_some_and(|site| site == "cross-site");
    if foreign && !safe {
        return ApiError::forbidden("a page of another site may not change anything here").into_response();
    }
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::routing::get;
    use hyper::service::Service;
    use hyper_util::service::TowerToHyperService;

    use super::*;

    /// Catches a panic that takes the connection, and with it the answer, down.
    #[tokio::test]
    async fn a_panic_is_a_500() {
        let router = harden(Router::new().route("/", get(|| async { panic!("on purpose") as &str })));
        let answer = TowerToHyperService::new(router).call(Request::new(Body::empty())).await.unwrap();
        assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
    }
}
