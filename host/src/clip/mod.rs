//! Files at either end of a channel, and of the pipeline itself: `publish` plays one into a channel, `record` writes one from
//! it, `run` puts one through a processor.
//!
//! Each ends cleanly when its token is cancelled: a publisher closes its channel, a recorder keeps what it has, a run writes what is
//! under way.

mod publish;
mod record;
mod run;

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

pub use publish::{PublishOptions, PublishSummary, publish};
pub use record::{RecordOptions, RecordSummary, record};
pub use run::{RunOptions, RunSummary, run};

/// A bar over `length` of media, or a spinner where it is not known; on standard error, hidden where that is no terminal.
fn progress(length: Option<Duration>) -> ProgressBar {
    let (bar, template) = match length {
        Some(length) => (ProgressBar::new(millis(length)), "{elapsed_precise} {bar:40} {percent:>3} % {msg}"),
        None => (ProgressBar::new_spinner(), "{elapsed_precise} {spinner} {msg}"),
    };
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// Whole milliseconds, the unit of the bar.
fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use rillbox_media::{Input, InputConfig, Media, SegmentMode};
    use rillbox_trickle::{ChannelUrl, Client, ClientConfig, Server, ServerConfig, Start};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::sync::watch;
    use tokio_util::sync::{CancellationToken, DropGuard};

    use super::*;

    /// 132 frames in six segments of a second, 5.3 s.
    const FIXTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/bbb-720p25-idr1s.mp4");

    /// A server on loopback, which ends with its guard, and the address of a channel there.
    async fn serve(config: ServerConfig) -> (ChannelUrl, DropGuard) {
        let stop = CancellationToken::new();
        let server = Server::bind(([127, 0, 0, 1], 0).into(), config).await.unwrap();
        let url = format!("http://{}/clip", server.local_addr());
        tokio::spawn(server.run(stop.clone()));
        (url.parse().unwrap(), stop.drop_guard())
    }

    fn client() -> Client {
        Client::new(ClientConfig::default()).unwrap()
    }

    fn publishing(url: &ChannelUrl) -> PublishOptions {
        PublishOptions {
            file: PathBuf::from(FIXTURE),
            url: url.clone(),
            client: client(),
            realtime: true,
            loops: 1,
            mode: SegmentMode::Auto,
            stop: CancellationToken::new(),
        }
    }

    fn recording(url: &ChannelUrl, directory: &tempfile::TempDir) -> RecordOptions {
        RecordOptions {
            url: url.clone(),
            client: client(),
            file: directory.path().join("clip.ts"),
            start: Start::Current,
            wait: Duration::from_secs(10),
            stop: CancellationToken::new(),
        }
    }

    /// Names in a directory.
    fn list(directory: &tempfile::TempDir) -> Vec<String> {
        let entries = std::fs::read_dir(directory.path()).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_published_in_real_time_is_recorded_whole() {
        let (url, _server) = serve(ServerConfig::default()).await;
        let directory = tempfile::tempdir().unwrap();
        let options = recording(&url, &directory);
        let file = options.file.clone();
        let started = std::time::Instant::now();
        let (published, recorded) = tokio::join!(publish(publishing(&url)), record(options));
        let (published, recorded) = (published.unwrap(), recorded.unwrap());
        assert!(started.elapsed() > Duration::from_secs(5), "took {:?}", started.elapsed());
        assert!(published.copied && !published.stopped && !recorded.stopped);
        assert_eq!((published.segments, published.skipped), (6, 0));
        assert_eq!((recorded.segments, recorded.skipped), (6, 0));
        assert_eq!(recorded.bytes, published.bytes);
        assert_eq!(list(&directory), ["clip.ts"]);
        let mut frames = 0;
        let mut count = |media| frames += u32::from(matches!(media, Media::Video(_)));
        let mut input = Input::new(InputConfig::default());
        input.push(&std::fs::read(file).unwrap(), &mut count);
        input.finish(&mut count);
        assert_eq!(frames, 132);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn without_real_time_the_server_sets_the_pace_and_no_segment_is_lost() {
        let (url, _server) = serve(ServerConfig::default()).await;
        let published = publish(PublishOptions { realtime: false, loops: 5, ..publishing(&url) }).await.unwrap();
        assert_eq!((published.segments, published.skipped), (30, 0));
        assert!(published.played > Duration::from_secs(26));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn stopping_keeps_what_was_recorded_and_closes_the_channel() {
        let (url, _server) = serve(ServerConfig::default()).await;
        let directory = tempfile::tempdir().unwrap();
        let (publisher, recorder) = (publishing(&url), recording(&url, &directory));
        let (stop_publisher, stop_recorder) = (publisher.stop.clone(), recorder.stop.clone());
        let publishing = tokio::spawn(publish(PublishOptions { loops: 0, ..publisher }));
        let part = directory.path().join("clip.ts.part");
        let stopping = async {
            while std::fs::metadata(&part).map_or(0, |metadata| metadata.len()) < 100_000 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            stop_recorder.cancel();
        };
        let (recorded, ()) = tokio::join!(record(recorder), stopping);
        let recorded = recorded.unwrap();
        assert!(recorded.stopped && recorded.bytes >= 100_000);
        assert_eq!(list(&directory), ["clip.ts"]);
        stop_publisher.cancel();
        assert!(publishing.await.unwrap().unwrap().stopped);
        let again = RecordOptions { wait: Duration::ZERO, ..recording(&url, &directory) };
        assert!(record(again).await.unwrap_err().root_cause().to_string().contains("no such channel"));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_channel_that_never_comes_leaves_no_file() {
        let (url, _server) = serve(ServerConfig::default()).await;
        let directory = tempfile::tempdir().unwrap();
        let error = record(RecordOptions { wait: Duration::from_millis(300), ..recording(&url, &directory) }).await;
        assert!(format!("{:#}", error.unwrap_err()).contains("no such channel"));
        assert!(list(&directory).is_empty());
    }

    /// A server that first refuses so many requests for the newest segment, then has segments 0 to 2, each its number, and is
    /// over; and its count of refusals.
    async fn serve_late(refusals: u32) -> (ChannelUrl, watch::Receiver<u32>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/clip", listener.local_addr().unwrap());
        let (refused, count) = watch::channel(0);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = vec![0; 4096];
                let Ok(length @ 1..) = stream.read(&mut head).await else { continue };
                let head = String::from_utf8_lossy(&head[..length]).into_owned();
                let index = head.split(' ').nth(1).unwrap().rsplit('/').next().unwrap();
                let answer = if *refused.borrow() < refusals {
                    refused.send_modify(|count| *count += u32::from(index != "next"));
                    "404 no\r\nContent-Length: 0".to_owned()
                } else {
                    match index {
                        "next" | "-2" => {
                            "200 OK\r\nLp-Trickle-Latest: 3\r\nLp-Trickle-Seq: 2\r\nContent-Length: 1".to_owned()
                        }
                        "0" | "1" | "2" => format!("200 OK\r\nLp-Trickle-Seq: {index}\r\nContent-Length: 1"),
                        _ => "200 OK\r\nLp-Trickle-Closed: terminated\r\nContent-Length: 0".to_owned(),
                    }
                };
                let body = if answer.ends_with('1') { &index[..1] } else { "" };
                let answer = format!("HTTP/1.1 {answer}\r\nConnection: close\r\n\r\n{body}");
                // A reader that has gone has had enough.
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        (url.parse().unwrap(), count)
    }

    /// Catches a recorder that asks again and again at a fixed pace, and one that gives up before its time.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_recorder_asks_again_with_growing_pauses() {
        let (url, refused) = serve_late(u32::MAX).await;
        let directory = tempfile::tempdir().unwrap();
        let started = std::time::Instant::now();
        let wait = Duration::from_secs(4);
        let error = record(RecordOptions { wait, ..recording(&url, &directory) }).await.unwrap_err();
        assert!(format!("{error:#}").contains("tried for 4 s: no such channel"), "{error:#}");
        assert!(started.elapsed() >= wait, "{:?}", started.elapsed());
        let asked = *refused.borrow();
        // Pauses of 250 ms would make 17; such that grow make 6 to 8.
        assert!((2..=9).contains(&asked), "asked {asked} times");
    }

    /// Catches a recorder that misses the first segments of a channel because they came while it paused.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_channel_that_comes_while_a_recorder_waits_is_recorded_from_its_first_segment() {
        let (url, _) = serve_late(2).await;
        let directory = tempfile::tempdir().unwrap();
        let options = recording(&url, &directory);
        let file = options.file.clone();
        let recorded = record(options).await.unwrap();
        assert_eq!((recorded.segments, recorded.skipped), (3, 0));
        assert_eq!(std::fs::read(file).unwrap(), b"012");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn servers_that_create_nothing_or_are_not_there_are_told_apart() {
        let (url, server) = serve(ServerConfig { autocreate: false, ..ServerConfig::default() }).await;
        let error = publish(publishing(&url)).await.unwrap_err();
        assert!(format!("{error:#}").contains("no such channel"), "{error:#}");
        drop(server);
        let nowhere: ChannelUrl = "http://127.0.0.1:9/clip".parse().unwrap();
        let error = publish(publishing(&nowhere)).await.unwrap_err();
        assert!(format!("{error:#}").contains("cannot reach the server"), "{error:#}");
    }
}
