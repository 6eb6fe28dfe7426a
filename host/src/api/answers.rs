//! Answers that several routes have in common, as the OpenAPI document tells of them.

use std::collections::BTreeMap;

use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{IntoResponses, ToSchema};

use super::error::Problem;

type Answers = BTreeMap<String, RefOr<Response>>;

/// Why a stream is not started.
pub struct NotStarted;

impl IntoResponses for NotStarted {
    fn responses() -> Answers {
        problems([
            (400, "Body, URL, params or id"),
            (403, "A URL that is not allowed, or a host that was not granted"),
            (404, "There is no such processor"),
            (409, "The id runs, or another stream writes to one of its channels"),
            (413, "The body is too large"),
            (422, "The processor did not start"),
            (503, "As many streams as allowed run, or too much is compiled"),
        ])
    }
}

/// Why a stream's params are not changed, but for what is wrong with the request.
pub struct NotUpdated;

impl IntoResponses for NotUpdated {
    fn responses() -> Answers {
        problems([
            (404, "There is no such stream"),
            (409, "It has ended"),
            (413, "The body is too large"),
            (422, "The processor refused"),
        ])
    }
}

fn problems<const N: usize>(answers: [(u16, &str); N]) -> Answers {
    let answer = |(status, description): (u16, &str)| {
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(Problem::name()))).build();
        let response = ResponseBuilder::new().description(description).content("application/json", content).build();
        (status.to_string(), response.into())
    };
    answers.into_iter().map(answer).collect()
}
