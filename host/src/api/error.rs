//! Errors as answers: a status, and `{"status":"error","message":…}`.

use axum::Json;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::registry::{ChooseError, DeleteError, NotFound, UploadError};
use crate::session::{ChangeRejected, StartRejected, UnknownStream, UpdateRejected};

/// An answer that says what is wrong and what to do.
#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    message: String,
    /// How a caller could make itself known.
    challenge: Option<HeaderValue>,
}

/// Why nothing was done.
#[derive(Serialize, ToSchema)]
pub struct Problem {
    /// `error`.
    status: &'static str,
    /// What is wrong, and what to do.
    message: String,
}

impl ApiError {
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), challenge: None }
    }

    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    pub fn unauthorized(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, message)
    }

    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, message)
    }

    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    pub fn method_not_allowed() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "this route does not take that method; see the header Allow")
    }

    pub fn too_slow(message: impl Into<String>) -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, message)
    }

    pub fn too_large(message: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, message)
    }

    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, message)
    }

    pub fn busy(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, message)
    }

    /// With the header `WWW-Authenticate`.
    pub fn with_challenge(self, challenge: HeaderValue) -> Self {
        Self { challenge: Some(challenge), ..self }
    }

    /// Whether the caller sent too much.
    pub fn is_too_large(&self) -> bool {
        self.status == StatusCode::PAYLOAD_TOO_LARGE
    }

    /// The status, the headers that go with it, and what is wrong.
    pub fn into_parts(self) -> (StatusCode, HeaderMap, String) {
        let mut headers = HeaderMap::new();
        if matches!(self.status, StatusCode::PAYLOAD_TOO_LARGE | StatusCode::REQUEST_TIMEOUT) {
            // What was not read of the body would be taken for the next request.
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        if let Some(challenge) = self.challenge {
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
        }
        (self.status, headers, self.message)
    }

    fn of(status: StatusCode, error: &dyn std::error::Error) -> Self {
        if status.is_server_error() {
            tracing::error!(%error, "request failed");
        }
        Self::new(status, error.to_string())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, headers, message) = self.into_parts();
        (status, headers, Json(Problem { status: "error", message })).into_response()
    }
}

impl From<StartRejected> for ApiError {
    fn from(error: StartRejected) -> Self {
        let status = match &error {
            StartRejected::Busy(_) | StartRejected::OutputTaken { .. } | StartRejected::Stopped => StatusCode::CONFLICT,
            StartRejected::Full(_) | StartRejected::Compiling => StatusCode::SERVICE_UNAVAILABLE,
            StartRejected::NotGranted(_) | StartRejected::Url { .. } => StatusCode::FORBIDDEN,
            StartRejected::Id | StartRejected::NoProcessor | StartRejected::Params(_) => StatusCode::BAD_REQUEST,
            StartRejected::Unknown(_) => StatusCode::NOT_FOUND,
            StartRejected::Processor { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            StartRejected::Schema { .. } | StartRejected::Code(_) | StartRejected::Load(_) => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
        };
        Self::of(status, &error)
    }
}

impl From<UnknownStream> for ApiError {
    fn from(error: UnknownStream) -> Self {
        let status = match error {
            UnknownStream::Id(_) => StatusCode::NOT_FOUND,
            UnknownStream::None | UnknownStream::Several(_) => StatusCode::BAD_REQUEST,
        };
        Self::of(status, &error)
    }
}

impl From<ChangeRejected> for ApiError {
    fn from(error: ChangeRejected) -> Self {
        match error {
            ChangeRejected::Stream(error) => error.into(),
            // The stream goes on as it was: the conflict is with what it runs.
            ChangeRejected::Start(error @ StartRejected::Processor { .. }) => Self::of(StatusCode::CONFLICT, &error),
            ChangeRejected::Start(error) => error.into(),
            ChangeRejected::Kept { .. }
            | ChangeRejected::Tried { .. }
            | ChangeRejected::Busy
            | ChangeRejected::Ended => Self::of(StatusCode::CONFLICT, &error),
        }
    }
}

impl From<UpdateRejected> for ApiError {
    fn from(error: UpdateRejected) -> Self {
        let status = match error {
            UpdateRejected::Params(_) => StatusCode::BAD_REQUEST,
            UpdateRejected::Processor(_) => StatusCode::UNPROCESSABLE_ENTITY,
            UpdateRejected::Ended => StatusCode::CONFLICT,
        };
        Self::of(status, &error)
    }
}

impl From<UploadError> for ApiError {
    fn from(error: UploadError) -> Self {
        let status = match error {
            UploadError::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            UploadError::Refused(_) => StatusCode::UNPROCESSABLE_ENTITY,
            UploadError::Exists(_) => StatusCode::CONFLICT,
            UploadError::Full(_) => StatusCode::INSUFFICIENT_STORAGE,
            UploadError::Busy => StatusCode::SERVICE_UNAVAILABLE,
            UploadError::Compile(_) | UploadError::Storage(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::of(status, &error)
    }
}

impl From<NotFound> for ApiError {
    fn from(error: NotFound) -> Self {
        Self::of(StatusCode::NOT_FOUND, &error)
    }
}

impl From<DeleteError> for ApiError {
    fn from(error: DeleteError) -> Self {
        let status = match error {
            DeleteError::NotFound(_) => StatusCode::NOT_FOUND,
            DeleteError::InUse(_) => StatusCode::CONFLICT,
            DeleteError::Storage(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::of(status, &error)
    }
}

impl From<ChooseError> for ApiError {
    fn from(error: ChooseError) -> Self {
        let status = match error {
            ChooseError::NotFound(_) => StatusCode::NOT_FOUND,
            ChooseError::Storage(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::of(status, &error)
    }
}
