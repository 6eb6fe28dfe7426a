//! Sends a reduced picture to a service every so many frames, and blends its latest answer over every one. No frame waits for
//! the service: an answer shows from the frame on during which it has come.
//!
//! The service gets `POST URL?width=W&height=H` with W × H bytes of luma, and answers with as many.

mod reduced;

use rillbox_sdk::http::{Pending, Request, Response};
use rillbox_sdk::{Error, PixelFormat, Processor, Result, VideoFrame, VideoOutcome};
use schemars::JsonSchema;
use serde::Deserialize;

use reduced::Reduced;

/// What a user of the stream can set.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(default)]
struct Params {
    /// Where the service is; its host must be granted.
    #[schemars(regex(pattern = r"^https?://[^?#]+$"))]
    url: String,
    /// Every so many frames one is sent, unless an answer is still on its way.
    #[schemars(range(min = 1))]
    interval: u32,
    /// How much of the answer is shown: 0 nothing, 1 nothing else.
    #[schemars(range(min = 0.0, max = 1.0))]
    strength: f32,
}

impl Default for Params {
    fn default() -> Self {
        Self { url: "http://localhost:9000/".to_owned(), interval: 5, strength: 0.5 }
    }
}

#[derive(Default)]
struct RemoteApi {
    params: Params,
    frames: u32,
    /// A request on its way, and the size of its picture.
    pending: Option<(Pending, (usize, usize))>,
    latest: Option<Reduced>,
}

impl RemoteApi {
    /// Takes an answer that has come.
    fn receive(&mut self) -> Result<()> {
        let Some((pending, size)) = &mut self.pending else { return Ok(()) };
        let Some(answer) = pending.poll() else { return Ok(()) };
        let size = *size;
        self.pending = None;
        let body = answer.and_then(Response::ok)?.body;
        let length = body.len();
        let latest = Reduced::answered(body, size);
        self.latest = Some(latest.ok_or_else(|| {
            Error::msg(format!("the service answered {length} bytes for {} × {} samples", size.0, size.1))
        })?);
        Ok(())
    }

    /// Sends this picture if it is time for one.
    fn send(&mut self, luma: &[u8], width: usize) -> Result<()> {
        let due = self.frames.is_multiple_of(self.params.interval);
        self.frames = self.frames.wrapping_add(1);
        if !due || self.pending.is_some() {
            return Ok(());
        }
        let Reduced { width, height, luma } = Reduced::of(luma, width);
        let url = format!("{}?width={width}&height={height}", self.params.url);
        let request = Request::post(url, luma).header("content-type", "application/octet-stream");
        self.pending = Some((request.send()?, (width, height)));
        Ok(())
    }
}

impl Processor for RemoteApi {
    type Params = Params;
    const CAPABILITIES: &'static [&'static str] = &["http:{url}"];

    fn start(&mut self, params: Params) -> Result<()> {
        self.params = params;
        Ok(())
    }

    fn process_video(&mut self, frame: &mut VideoFrame) -> Result<VideoOutcome> {
        self.receive()?;
        let (width, height) = (frame.width(), frame.height());
        let mut data = frame.pixels(PixelFormat::I420)?;
        let (luma, _) = data.split_at_mut(PixelFormat::Gray8.bytes(width, height));
        self.send(luma, width as usize)?;
        let Some(latest) = &self.latest else { return Ok(VideoOutcome::Unchanged) };
        if (latest.width, latest.height) != Reduced::size(width as usize, height as usize) {
            return Ok(VideoOutcome::Unchanged);
        }
        latest.blend(luma, width as usize, self.params.strength);
        frame.replace_pixels(PixelFormat::I420, width, height, &data)?;
        Ok(VideoOutcome::Replaced)
    }
}

rillbox_sdk::export!(RemoteApi);

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use rillbox_sdk::serde_json::json;
    use rillbox_sdk::testing::{Harness, Picture};

    use super::*;

    fn gray(level: u8) -> Picture {
        Picture::solid(PixelFormat::I420, 64, 48, [level; 3])
    }

    /// A service that answers with the negative, after so many polls; counts what it was asked.
    fn negative(harness: &mut Harness<RemoteApi>, delay: u32) -> Rc<Cell<u32>> {
        let asked = Rc::<Cell<u32>>::default();
        let count = asked.clone();
        harness.answer_http(delay, move |request| {
            count.set(count.get() + 1);
            assert!(request.url.ends_with("?width=8&height=6"), "{}", request.url);
            let body = request.body.iter().map(|luma| 255 - luma).collect();
            Ok(Response { status: 200, body, ..Response::default() })
        });
        asked
    }

    #[test]
    fn no_frame_waits_and_the_latest_answer_is_blended_over_all_that_follow() {
        let params = json!({ "url": "http://api.example.com/", "interval": 4, "strength": 1.0 });
        let mut remote = Harness::<RemoteApi>::new(params).unwrap();
        let asked = negative(&mut remote, 1);
        let shown: Vec<_> = (0..8).map(|_| remote.video(gray(235)).picture.unwrap().pixel(9, 9)[0]).collect();
        assert_eq!(shown[0], shown[1], "an answer shows before it is there");
        assert!(shown[2..].iter().all(|&level| level < 60), "{shown:?}");
        remote.video(gray(235));
        remote.video(gray(235));
        assert_eq!(asked.get(), 2, "one request in four frames");
    }

    #[test]
    fn a_service_that_never_answers_gets_one_request() {
        let mut remote = Harness::<RemoteApi>::new(json!({ "interval": 1 })).unwrap();
        for _ in 0..20 {
            assert_eq!(remote.video(gray(90)).result.unwrap(), VideoOutcome::Unchanged);
        }
        let asked = negative(&mut remote, 0);
        remote.video(gray(90));
        assert_eq!(asked.get(), 1);
    }

    #[test]
    fn wrong_answers_are_errors_of_one_frame() {
        for (status, body, word) in [(500, vec![], "500"), (200, vec![1, 2, 3], "3 bytes")] {
            let mut remote = Harness::<RemoteApi>::new(json!({ "interval": 100 })).unwrap();
            remote.answer_http(0, move |_| Ok(Response { status, body: body.clone(), ..Response::default() }));
            assert!(remote.video(gray(90)).result.is_ok());
            assert!(remote.video(gray(90)).result.unwrap_err().to_string().contains(word));
            assert!(remote.video(gray(90)).result.is_ok());
        }
    }

    #[test]
    fn an_answer_for_another_size_is_not_shown() {
        let mut remote = Harness::<RemoteApi>::new(json!({ "interval": 100, "strength": 1.0 })).unwrap();
        negative(&mut remote, 0);
        remote.video(gray(235));
        let small = Picture::solid(PixelFormat::I420, 32, 24, [235; 3]);
        assert_eq!(remote.video(small.clone()).picture, Some(small));
    }

    #[test]
    fn params_are_checked() {
        for bad in [json!({ "interval": 0 }), json!({ "strength": 2.0 }), json!({ "url": 7 })] {
            assert!(Harness::<RemoteApi>::new(bad).is_err());
        }
    }
}
