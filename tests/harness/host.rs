//! A host: the program `rillbox serve` on ports of its own, spoken to over REST and trickle.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use reqwest::{Method, StatusCode};
use rillbox_trickle::{ChannelUrl, Client, ClientConfig, Publisher, PublisherConfig, Start, Subscriber};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::channels::Channels;
use super::{PATIENCE, memory, program};

/// Pause between two questions to the host.
const POLL: Duration = Duration::from_millis(10);

/// A running host. Dropping it ends the process.
pub struct Host {
    child: Child,
    api: String,
    trickle: String,
    pub client: Client,
    http: reqwest::Client,
    token: Option<String>,
    log: Arc<Mutex<String>>,
    _data: Option<TempDir>,
}

impl Host {
    /// A host with an empty data directory.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// As [`Host::start`], with more flags.
    pub fn start_with(flags: &[&str]) -> Self {
        let data = TempDir::new().unwrap();
        let mut host = Self::start_in(data.path(), flags);
        host._data = Some(data);
        host
    }

    /// A host whose channels are on a server of their own.
    pub fn start_beside(channels: &Channels, flags: &[&str]) -> Self {
        Self::start_beside_with(channels, flags, &[])
    }

    /// As [`Host::start_beside`], whose allocator keeps nothing for later: how much that would be is chance, and looks like growth.
    pub fn start_thrifty(channels: &Channels, flags: &[&str]) -> Self {
        Self::start_beside_with(channels, flags, &[("MALLOC_CONF", "narenas:1,dirty_decay_ms:0,tcache:false")])
    }

    fn start_beside_with(channels: &Channels, flags: &[&str], variables: &[(&str, &str)]) -> Self {
        let data = TempDir::new().unwrap();
        let mut host = Self::spawn(data.path(), &[&["--no-trickle"], flags].concat(), variables);
        (host.trickle, host._data) = (channels.base(), Some(data));
        host
    }

    /// A host with a data directory that outlives it.
    pub fn start_in(data: &Path, flags: &[&str]) -> Self {
        Self::spawn(data, flags, &[])
    }

    /// As [`Host::start_with`], with everything in the log that can be.
    pub fn start_telling_all(flags: &[&str]) -> Self {
        let data = TempDir::new().unwrap();
        let mut host = Self::spawn(data.path(), flags, &[("RUST_LOG", "trace")]);
        host._data = Some(data);
        host
    }

    fn spawn(data: &Path, flags: &[&str], variables: &[(&str, &str)]) -> Self {
        let given = |flag| flags.contains(&flag);
        let trickle: &[&str] =
            if given("--no-trickle") || given("--trickle") { &[] } else { &["--trickle", "127.0.0.1:0"] };
        let listen: &[&str] = if given("--listen") { &[] } else { &["--listen", "127.0.0.1:0"] };
        let mut child = Command::new(program())
            .args(["serve", "--log-format", "json"])
            .args(listen)
            .args(trickle)
            .arg("--data-dir")
            .arg(data)
            .args(flags)
            .env("RUST_LOG", "info")
            .envs(variables.iter().copied())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let log = Arc::new(Mutex::new(String::new()));
        let kept = log.clone();
        let keep = move |line: &str| *kept.lock().unwrap() += &format!("{line}\n");
        let ready = loop {
            let line = lines.next().expect("the host ended before it was ready").unwrap();
            keep(&line);
            let Ok(line) = serde_json::from_str::<Value>(&line) else { panic!("the host says: {line}") };
            if line["message"] == "ready" {
                break line;
            }
        };
        // The host's log goes on to the test's own output.
        std::thread::spawn(move || {
            lines.map_while(Result::ok).for_each(|line| {
                keep(&line);
                println!("host: {line}");
            });
        });
        // Whatever it listens on is reached over loopback.
        let reached = |key: &str| ready[key].as_str().unwrap_or_default().replace("0.0.0.0", "127.0.0.1");
        let address = |key: &str| format!("http://{}", reached(key));
        Self {
            api: address("api"),
            trickle: address("trickle"),
            client: Client::new(ClientConfig::default()).unwrap(),
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            token: None,
            log,
            child,
            _data: None,
        }
    }

    /// What the host itself, and not a guest, said of panics: no lines of the log, which are JSON.
    pub fn panics(&self) -> Vec<String> {
        let own = |line: &&str| !line.starts_with('{') && line.contains("panicked");
        self.log().lines().filter(own).map(str::to_owned).collect()
    }

    /// Offers bytes as a processor, however long the answer takes.
    pub async fn offer(&self, name: &str, bytes: Vec<u8>) -> (StatusCode, Value) {
        let response = self.answer_to_offer(name, bytes).await;
        (response.status(), response.json().await.unwrap())
    }

    /// As [`Host::offer`], with the answer whole.
    pub async fn answer_to_offer(&self, name: &str, bytes: Vec<u8>) -> reqwest::Response {
        let url = format!("{}/api/processors?name={name}", self.api);
        let response = timeout(5 * PATIENCE, self.http.post(url).body(bytes).send());
        response.await.expect("an answer at last").unwrap()
    }

    /// Sends a request as it is; gives the status and the body as JSON, or as text where it is none.
    pub async fn send(&self, method: Method, path: &str, body: impl Into<reqwest::Body>) -> (StatusCode, Value) {
        self.send_for(None, method, path, body).await
    }

    /// Presents a token from now on.
    pub fn present(&mut self, token: &str) {
        self.token = Some(token.to_owned());
    }

    /// What the host has logged.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// A request with the token that is presented, if there is one.
    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.api));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// Sends a request; gives the answer whole.
    pub async fn answer(&self, method: Method, path: &str, body: impl Into<reqwest::Body>) -> reqwest::Response {
        self.answer_with(method, path, &[], body).await
    }

    /// As [`Host::answer`], with more headers.
    pub async fn answer_with(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<reqwest::Body>,
    ) -> reqwest::Response {
        let request = self.request(method, path).body(body);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        timeout(PATIENCE, request.send()).await.expect("an answer in time").unwrap()
    }

    /// As [`Host::send`], with the header `X-Stream-Id`.
    pub async fn send_for(
        &self,
        stream: Option<&str>,
        method: Method,
        path: &str,
        body: impl Into<reqwest::Body>,
    ) -> (StatusCode, Value) {
        let mut request = self.request(method, path).body(body);
        if let Some(stream) = stream {
            request = request.header("X-Stream-Id", stream);
        }
        let response = timeout(PATIENCE, request.send()).await.expect("an answer in time").unwrap();
        let status = response.status();
        let text = response.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    /// As [`Host::send`] to a host that may be killed meanwhile: `None` if no whole answer came.
    pub async fn try_send(&self, method: Method, path: &str, body: Vec<u8>) -> Option<(StatusCode, Value)> {
        let request = self.http.request(method, format!("{}{path}", self.api)).body(body);
        let response =
            timeout(PATIENCE, request.send()).await.expect("an answer, or a broken connection, in time").ok()?;
        let status = response.status();
        Some((status, serde_json::from_slice(&response.bytes().await.ok()?).ok()?))
    }

    pub async fn get(&self, path: &str) -> (StatusCode, Value) {
        self.send(Method::GET, path, "").await
    }

    pub async fn post(&self, path: &str, body: Value) -> (StatusCode, Value) {
        self.send(Method::POST, path, body.to_string()).await
    }

    /// Bytes of a path.
    pub async fn fetch(&self, path: &str) -> Bytes {
        self.request(Method::GET, path).send().await.unwrap().bytes().await.unwrap()
    }

    /// Uploads a component under a name; it must be taken.
    pub async fn upload(&self, name: &str, component: &Path) -> Value {
        let bytes = std::fs::read(component).unwrap();
        let (status, answer) = self.send(Method::POST, &format!("/api/processors?name={name}"), bytes).await;
        assert_eq!(status, StatusCode::CREATED, "{answer}");
        answer
    }

    /// Starts a stream from `{id}-in` to `{id}-out`, which are there as a gateway's are; it must be taken.
    pub async fn start_stream(&self, id: &str, processor: &str, params: Value) {
        let (status, answer) = self.offer_stream(id, processor, params).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
    }

    /// As [`Host::start_stream`], for one that need not be taken.
    pub async fn offer_stream(&self, id: &str, processor: &str, params: Value) -> (StatusCode, Value) {
        for end in ["in", "out"] {
            rillbox_trickle::create(&self.client, &self.channel(&format!("{id}-{end}")), "video/MP2T").await.unwrap();
        }
        self.post("/api/stream/start", self.start_body(id, processor, params)).await
    }

    pub fn start_body(&self, id: &str, processor: &str, params: Value) -> Value {
        json!({
            "subscribe_url": format!("{}/{id}-in", self.trickle),
            "publish_url": format!("{}/{id}-out", self.trickle),
            "gateway_request_id": id,
            "processor": processor,
            "params": params,
        })
    }

    pub async fn status(&self, id: &str) -> Value {
        let (status, answer) = self.get(&format!("/api/streams/{id}")).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        answer
    }

    /// Asks for a stream's status until it is as wanted.
    pub async fn status_when(&self, id: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        let asked = timeout(PATIENCE, async {
            loop {
                last = self.status(id).await;
                if wanted(&last) {
                    return;
                }
                tokio::time::sleep(POLL).await;
            }
        })
        .await;
        assert!(asked.is_ok(), "the stream never came to it; its last status: {last}");
        last
    }

    /// Where the REST surface is, as `host:port`.
    pub fn api_address(&self) -> &str {
        self.api.trim_start_matches("http://")
    }

    pub fn channel(&self, name: &str) -> ChannelUrl {
        format!("{}/{name}", self.trickle).parse().unwrap()
    }

    /// Everything that comes out of a stream, until its channel ends.
    pub fn record(&self, id: &str) -> JoinHandle<Vec<Vec<u8>>> {
        self.record_channel(&format!("{id}-out"))
    }

    /// All segments of a channel from its first one on, until it ends. Makes the channel where it is not there yet.
    pub fn record_channel(&self, name: &str) -> JoinHandle<Vec<Vec<u8>>> {
        let (client, url) = (self.client.clone(), self.channel(name));
        tokio::spawn(async move {
            rillbox_trickle::create(&client, &url, "video/MP2T").await.unwrap();
            let mut subscriber = Subscriber::new(client, url, Start::Seq(0));
            let mut segments = Vec::new();
            loop {
                match subscriber.next().await {
                    Ok(mut segment) => {
                        assert_eq!(segment.skipped(), 0, "the recorder is too slow");
                        let mut bytes = Vec::new();
                        while let Some(chunk) = segment.chunk().await.expect("a whole segment") {
                            bytes.extend_from_slice(&chunk);
                        }
                        segments.push(bytes);
                    }
                    Err(error) if error.is_terminal() => return segments,
                    Err(error) => panic!("{error}"),
                }
            }
        })
    }

    /// Waits until a stream is over.
    pub async fn ended(&self, id: &str) -> Value {
        self.status_when(id, |status| status["state"] == "ENDED" || status["state"] == "ERROR").await
    }

    /// What publishes to a stream.
    pub fn publisher(&self, id: &str) -> Publisher {
        Publisher::new(self.client.clone(), self.channel(&format!("{id}-in")), PublisherConfig::default())
    }

    /// Publishes segments to a stream as fast as it reads them, and leaves the last one open.
    pub async fn feed(&self, publisher: &mut Publisher, id: &str, segments: &[Vec<u8>]) {
        for segment in segments {
            let before = self.status(id).await["input"]["segments"].as_u64().unwrap();
            publisher.begin();
            for chunk in segment.chunks(10 * 188) {
                publisher.write(Bytes::copy_from_slice(chunk)).await.unwrap();
            }
            if !segment.is_empty() {
                self.status_when(id, |status| status["input"]["segments"].as_u64().unwrap() > before).await;
            }
        }
    }

    /// Publishes segments of 25 pictures to a stream in real time, picture by picture as far as their bytes are even, until there
    /// are no more or `enough` says so after one of them; gives how many.
    pub async fn feed_live(&self, publisher: &mut Publisher, segments: &[Vec<u8>], enough: impl Fn() -> bool) -> usize {
        let mut tick = tokio::time::interval(Duration::from_millis(40));
        for (count, segment) in segments.iter().enumerate() {
            if enough() {
                return count;
            }
            publisher.begin();
            for piece in segment.chunks(segment.len().div_ceil(25)) {
                tick.tick().await;
                publisher.write(Bytes::copy_from_slice(piece)).await.unwrap();
            }
        }
        segments.len()
    }

    /// Runs segments of 25 pictures through a stream in real time, from its start to its end, until there are no more or its status
    /// is `enough` after one of them; gives how many went in, what came out and the last status.
    pub async fn run_live(
        &self,
        id: &str,
        processor: &str,
        params: Value,
        segments: &[Vec<u8>],
        enough: impl FnMut(&Value) -> bool,
    ) -> (usize, Vec<Vec<u8>>, Value) {
        self.start_stream(id, processor, params).await;
        self.play_live(id, segments, enough).await
    }

    /// As [`Host::run_live`], for a stream that has been started.
    pub async fn play_live(
        &self,
        id: &str,
        segments: &[Vec<u8>],
        mut enough: impl FnMut(&Value) -> bool,
    ) -> (usize, Vec<Vec<u8>>, Value) {
        let recorded = self.record(id);
        let mut publisher = self.publisher(id);
        let mut count = 0;
        for segment in segments {
            self.feed_live(&mut publisher, std::slice::from_ref(segment), || false).await;
            count += 1;
            if enough(&self.status(id).await) {
                break;
            }
        }
        publisher.close().await.unwrap();
        let status = self.ended(id).await;
        let received = timeout(PATIENCE, recorded).await.expect("the output's channel ends").unwrap();
        (count, received, status)
    }

    /// Changes a stream's processor.
    pub async fn change(&self, id: &str, body: Value) -> (StatusCode, Value) {
        self.post(&format!("/api/streams/{id}/processor"), body).await
    }

    /// Runs segments through a stream from its start to its end; gives what came out and the last status.
    pub async fn run(&self, id: &str, processor: &str, params: Value, segments: &[Vec<u8>]) -> (Vec<Vec<u8>>, Value) {
        self.start_stream(id, processor, params).await;
        self.play(id, segments).await
    }

    /// As [`Host::run`], for a stream that has been started.
    pub async fn play(&self, id: &str, segments: &[Vec<u8>]) -> (Vec<Vec<u8>>, Value) {
        let recorded = self.record(id);
        let mut publisher = self.publisher(id);
        self.feed(&mut publisher, id, segments).await;
        publisher.close().await.unwrap();
        let status = self.ended(id).await;
        let segments = timeout(PATIENCE, recorded).await.expect("the output's channel ends").unwrap();
        (segments, status)
    }

    /// Waits until no task owns an instance of a processor or makes one.
    pub async fn guests_are_gone(&self) {
        self.guest_tasks_when(|tasks| tasks == 0).await;
    }

    /// Waits until as many tasks as wanted own an instance of a processor or make one; how many they are then.
    pub async fn guest_tasks_when(&self, wanted: impl Fn(u64) -> bool) -> u64 {
        let counted = timeout(PATIENCE, async {
            loop {
                let metrics = String::from_utf8(self.fetch("/api/metrics").await.to_vec()).unwrap();
                let tasks = metrics.lines().find_map(|line| line.strip_prefix("rillbox_guest_tasks ")?.parse().ok());
                match tasks {
                    Some(tasks) if wanted(tasks) => return tasks,
                    _ => tokio::time::sleep(POLL).await,
                }
            }
        });
        counted.await.expect("guests' tasks are never as many as wanted")
    }

    /// The process' id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Threads (`task`) or descriptors (`fd`) of the process.
    pub fn used(&self, what: &str) -> usize {
        std::fs::read_dir(format!("/proc/{}/{what}", self.pid())).unwrap().count()
    }

    /// Threads and descriptors of the process, once they are no more than these.
    pub async fn settled(&self, threads: usize, descriptors: usize) -> (usize, usize) {
        let mut used = (0, 0);
        // An idle thread of the blocking pool stays for ten seconds.
        let settling = async {
            loop {
                used = (self.used("task"), self.used("fd"));
                if used.0 <= threads && used.1 <= descriptors {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let settled = timeout(PATIENCE / 2, settling).await;
        assert!(settled.is_ok(), "{used:?} threads and descriptors do not become {:?}", (threads, descriptors));
        used
    }

    /// Processor time of all threads of that name.
    pub fn ran(&self, name: &str) -> Duration {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.pid())).unwrap();
        // A thread may end meanwhile.
        let stats = threads.filter_map(|thread| std::fs::read_to_string(thread.unwrap().path().join("stat")).ok());
        let ticks: u64 = stats
            .filter_map(|stat| {
                let (before, after) = stat.rsplit_once(')')?;
                let times = after.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok());
                before.ends_with(&format!("({name}")).then(|| times.sum::<u64>())
            })
            .sum();
        // Linux counts hundredths of a second for programs.
        Duration::from_millis(10 * ticks)
    }

    /// Resident memory of the process, in bytes.
    pub fn memory(&self) -> u64 {
        memory(self.pid(), "VmRSS")
    }

    /// The most that [`Host::memory`] ever was.
    pub fn peak_memory(&self) -> u64 {
        memory(self.pid(), "VmHWM")
    }

    /// Ends the process as an operator does, and waits for it.
    pub fn terminate(&mut self) -> std::process::ExitStatus {
        let signalled = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(signalled.success());
        self.child.wait().unwrap()
    }
}

impl Host {
    /// Ends the process as `kill -9` does.
    pub fn kill(&self) {
        let signalled = Command::new("kill").args(["-KILL", &self.child.id().to_string()]).status().unwrap();
        assert!(signalled.success());
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
