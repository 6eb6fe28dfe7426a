//! `http`: requests that the test answers.

use crate::http::{Request, Response};
use crate::testing::stream::{self, Responder};
use crate::{Error, Result};

/// A request that the test has not answered yet.
pub(crate) struct Exchange {
    request: Request,
    /// How often it was asked after.
    polls: u32,
}

impl Exchange {
    pub(crate) fn begin(request: Request) -> Result<Self> {
        let (_, authority, _) = request.parts()?;
        if !stream::current(|stream| stream.asks_for_http) {
            return Err(Error::msg(format!("{authority}: the processor does not ask for the capability `http`")));
        }
        Ok(Self { request, polls: 0 })
    }

    pub(crate) fn poll(&mut self) -> Option<Result<Response>> {
        // Out of the stream while it answers, since it may log.
        let Responder { delay, mut answer } = stream::current(|stream| stream.responder.take())?;
        self.polls += 1;
        let answered = (self.polls > delay).then(|| answer(&self.request));
        stream::current(|stream| stream.responder = Some(Responder { delay, answer }));
        answered
    }
}
