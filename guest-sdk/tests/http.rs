//! Requests against the responder of the test harness.

use rillbox_sdk::http::{Method, Pending, Request, Response};
use rillbox_sdk::serde_json::json;
use rillbox_sdk::testing::{Harness, Picture};
use rillbox_sdk::{Error, NoParams, PixelFormat, Processor, Result, VideoFrame, VideoOutcome, data};

/// Sends one request, and publishes what becomes of it.
#[derive(Default)]
struct Asks {
    pending: Option<Pending>,
}

impl Processor for Asks {
    type Params = NoParams;
    const CAPABILITIES: &'static [&'static str] = &["http:api.example.com"];

    fn start(&mut self, _: NoParams) -> Result<()> {
        self.pending = Some(Request::post("http://api.example.com/x?y", vec![1, 2]).header("x-a", "b").send()?);
        Ok(())
    }

    fn process_video(&mut self, _: &mut VideoFrame) -> Result<VideoOutcome> {
        if let Some(answer) = self.pending.as_mut().and_then(Pending::poll) {
            data::publish(&answer.and_then(Response::ok)?.body)?;
        }
        Ok(VideoOutcome::Unchanged)
    }
}

fn frames(asks: &mut Harness<Asks>, count: usize) -> Vec<Result<VideoOutcome>> {
    (0..count).map(|_| asks.video(Picture::solid(PixelFormat::I420, 16, 16, [0; 3])).result).collect()
}

#[test]
fn an_answer_comes_after_its_delay_and_once() {
    let mut asks = Harness::<Asks>::new(json!({})).unwrap();
    frames(&mut asks, 5);
    assert!(asks.published().is_empty(), "nobody answered");
    asks.answer_http(2, |request| {
        assert_eq!((request.method, request.url.as_str()), (Method::Post, "http://api.example.com/x?y"));
        assert_eq!(request.headers, [("x-a".to_owned(), "b".to_owned())]);
        Ok(Response { status: 200, body: request.body.clone(), ..Response::default() })
    });
    frames(&mut asks, 2);
    assert!(asks.published().is_empty());
    frames(&mut asks, 3);
    assert_eq!(asks.published(), [json!([1, 2])]);
}

#[test]
fn failures_and_statuses_are_errors_of_their_frame() {
    for (answer, word) in [(Ok(503), "503"), (Err("unreachable"), "unreachable")] {
        let mut asks = Harness::<Asks>::new(json!({})).unwrap();
        asks.answer_http(0, move |_| match answer {
            Ok(status) => Ok(Response { status, ..Response::default() }),
            Err(why) => Err(Error::msg(why)),
        });
        let results = frames(&mut asks, 2);
        assert!(results[0].as_ref().unwrap_err().to_string().contains(word));
        assert!(results[1].is_ok());
    }
}

#[test]
fn urls_that_lead_nowhere_and_processors_that_do_not_ask_are_refused() {
    #[derive(Default, Debug)]
    struct Silent;

    impl Processor for Silent {
        type Params = NoParams;

        fn start(&mut self, _: NoParams) -> Result<()> {
            Request::get("http://api.example.com/").send().map(drop)
        }
    }

    let refused = Harness::<Silent>::new(json!({})).err().unwrap();
    assert!(refused.to_string().contains("capability"), "{refused}");
    for url in ["", "api.example.com", "ftp://api.example.com/", "http:///x", "http://a/#b"] {
        assert!(Request::get(url).send().unwrap_err().to_string().contains("http[s]://"), "{url}");
    }
}
