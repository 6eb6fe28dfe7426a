//! Who may call: tokens and their scopes, addresses, pages of other sites, and what must not be told.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::host::Host;
use crate::harness::{PATIENCE, guest, media, program};

const SCOPES: [&str; 3] = ["read", "streams:control", "processors:write"];

/// A file of tokens, and the program that keeps it.
pub struct Tokens {
    _directory: TempDir,
    pub path: PathBuf,
}

impl Tokens {
    pub fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("tokens");
        Self { _directory: directory, path }
    }

    pub fn file(&self) -> &str {
        self.path.to_str().unwrap()
    }

    /// Runs `rillbox token`.
    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(program()).arg("token").args(arguments).args(["--file", self.file()]).output().unwrap()
    }

    /// Makes a token; gives the secret.
    pub fn create(&self, name: &str, scopes: &[&str]) -> String {
        let scopes = scopes.iter().flat_map(|scope| ["--scope", *scope]);
        let output = self.run(&["create", "--name", name].into_iter().chain(scopes).collect::<Vec<_>>());
        assert!(output.status.success(), "{}", said(&output));
        let token = String::from_utf8(output.stdout).unwrap().trim_end().to_owned();
        assert!(!token.contains(char::is_whitespace), "{token}");
        token
    }

    fn revoke(&self, name: &str) {
        let output = self.run(&["revoke", name]);
        assert!(output.status.success(), "{}", said(&output));
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Runs `rillbox serve`, which must refuse; gives what it says.
pub fn refused(flags: &[&str]) -> String {
    let data = TempDir::new().unwrap();
    let alone: &[&str] = if flags.contains(&"--trickle") { &[] } else { &["--no-trickle"] };
    let output = Command::new(program())
        .args(["serve", "--data-dir", data.path().to_str().unwrap()])
        .args([alone, flags].concat())
        .output()
        .unwrap();
    let said = said(&output);
    assert!(!output.status.success() && !said.contains("panicked"), "{flags:?}: {said}");
    said
}

async fn with_token(host: &Host, token: Option<&str>, method: Method, path: &str) -> Response {
    let header = token.map(|token| format!("Bearer {token}"));
    let header: Vec<_> = header.iter().map(|header| ("Authorization", header.as_str())).collect();
    host.answer_with(method, path, &header, "").await
}

async fn code(host: &Host, token: &str, path: &str) -> u16 {
    with_token(host, Some(token), Method::GET, path).await.status().as_u16()
}

/// Asks with a token until the answer is this one; gives how long that took.
async fn until(host: &Host, token: &str, wanted: u16) -> Duration {
    let asked = Instant::now();
    while code(host, token, "/api/streams").await != wanted {
        assert!(asked.elapsed() < PATIENCE, "the answer never was {wanted}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    asked.elapsed()
}

/// Waits until the log has a text.
async fn until_logged(host: &Host, text: &str) {
    let asked = Instant::now();
    while !host.log().contains(text) {
        assert!(asked.elapsed() < PATIENCE, "the log never said {text:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// What a route must need: written down here once more, so that a wrong declaration shows.
fn needed(method: &str, path: &str) -> Option<&'static str> {
    let path = path.trim_start_matches("/api");
    match (method, path) {
        ("get", "/health" | "/docs") => None,
        ("get", _) => Some("read"),
        (_, path) if path.starts_with("/processors") => Some("processors:write"),
        (_, path) if path.starts_with("/stream") || path == "/live-video-to-video" => Some("streams:control"),
        _ => panic!("{method} {path} is new here: say what it needs"),
    }
}

/// Catches a route that is open to whom it should not be, or shut to whom it should be open, and a refusal that does not say
/// what is missing.
#[tokio::test(flavor = "multi_thread")]
async fn every_scope_opens_its_own_routes() {
    let tokens = Tokens::new();
    let held: BTreeMap<_, _> = SCOPES.map(|scope| (scope, tokens.create(&scope.replace(':', "-"), &[scope]))).into();
    let host = Host::start_with(&["--tokens", tokens.file(), "--processor", guest("green").to_str().unwrap()]);
    let document: Value =
        with_token(&host, Some(&held["read"]), Method::GET, "/api/openapi.json").await.json().await.unwrap();
    let mut calls = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        let concrete = path.replace("{id}", "nobody").replace("{name}", "nobody").replace("{version}", "1.0.0");
        for (method, operation) in item.as_object().unwrap() {
            let (needed, what) = (needed(method, path), format!("{method} {path}"));
            let declared = needed.map_or(json!([{}]), |scope| json!([{ "token": [scope] }]));
            assert_eq!(operation["security"], declared, "{what}");
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let nobody = with_token(&host, None, method.clone(), &concrete).await.status();
            assert_eq!(nobody == StatusCode::UNAUTHORIZED, needed.is_some(), "{what} without a token: {nobody}");
            for (scope, token) in &held {
                calls += 1;
                let answer = with_token(&host, Some(token), method.clone(), &concrete).await;
                let opens = needed.is_none_or(|needed| needed == "read" || needed == *scope);
                assert_ne!(answer.status(), StatusCode::UNAUTHORIZED, "{what} with {scope}");
                assert_eq!(answer.status() != StatusCode::FORBIDDEN, opens, "{what} with {scope}: {}", answer.status());
                if !opens {
                    let challenge = answer.headers()["www-authenticate"].to_str().unwrap().to_owned();
                    assert!(challenge.contains(&format!("scope=\"{}\"", needed.unwrap())), "{challenge}");
                    let body: Value = answer.json().await.unwrap();
                    assert!(body["message"].as_str().unwrap().contains(needed.unwrap()), "{body}");
                }
            }
        }
    }
    assert!(calls > 60, "{calls}");
}

/// Catches a header that opens the host although it presents no token that is known, and one that should and does not.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_known_token_is_401() {
    let tokens = Tokens::new();
    let token = tokens.create("one", &["processors:write"]);
    let host = Host::start_with(&["--tokens", tokens.file()]);
    let text = fs::read_to_string(&tokens.path).unwrap();
    let digest = text.split_whitespace().last().unwrap();
    let mut other = token.clone().into_bytes();
    *other.last_mut().unwrap() ^= 1;
    let other = String::from_utf8(other).unwrap();
    let short = &token[..token.len() - 1];
    let wrong: Vec<String> = ["", "Bearer", "Bearer ", "Bearer one", &token].map(str::to_owned).into();
    let forged = [&other, digest, short, &format!("{token}x"), &format!("{token} {token}"), &format!("\"{token}\"")];
    let forged = forged.map(|text| format!("Bearer {text}")).into_iter();
    let wrong: Vec<_> =
        wrong.into_iter().chain(forged).chain([format!("Basic {token}"), format!("Bearer,{token}")]).collect();
    let wrong = wrong.iter().map(|value| vec![("Authorization", value.as_str())]);
    let right = format!("Bearer {token}");
    let twice = vec![("Authorization", right.as_str()), ("Authorization", right.as_str())];
    for headers in wrong.chain([vec![], twice]) {
        for (method, path) in
            [(Method::GET, "/api/streams"), (Method::POST, "/api/processors"), (Method::GET, "/nothing")]
        {
            let answer = host.answer_with(method, path, &headers, "").await;
            assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{path}: {headers:?}");
            assert!(answer.headers()["www-authenticate"].to_str().unwrap().starts_with("Bearer "), "{headers:?}");
            assert_eq!(answer.json::<Value>().await.unwrap()["status"], "error", "{headers:?}");
        }
        assert_eq!(
            host.answer_with(Method::GET, "/health", &headers, "").await.status(),
            StatusCode::OK,
            "{headers:?}"
        );
    }
    let large =
        host.answer_with(Method::POST, "/api/processors", &[("Authorization", "Bearer x")], vec![0; 4 << 20]).await;
    assert_eq!(large.status(), StatusCode::UNAUTHORIZED);
    for scheme in ["Bearer", "bearer", "BEARER", "Bearer  "] {
        let header = format!("{scheme} {token}");
        let answer = host.answer_with(Method::GET, "/api/streams", &[("Authorization", &header)], "").await;
        assert_eq!(answer.status(), StatusCode::OK, "{header:?}");
    }
    assert_eq!(code(&host, &token, "/nothing").await, 404);
}

/// Catches a gateway's calls that do not get through with its token, and a stream that needs more than one.
#[tokio::test(flavor = "multi_thread")]
async fn one_token_runs_a_stream() {
    let tokens = Tokens::new();
    let token = tokens.create("gateway", &["streams:control"]);
    let mut host =
        Host::start_with(&["--tokens", tokens.file(), "--processor", guest("passthrough").to_str().unwrap()]);
    host.present(&token);
    let segments = media::small_segments("160x90", 2);
    let (out, status) = host.run("paid", "passthrough", json!({}), &segments).await;
    assert_eq!(status["state"], "ENDED", "{status}");
    assert_eq!(media::pts(&out.concat(), "v"), media::pts(&segments.concat(), "v"));
    assert!(host.log().contains(r#""token":"gateway""#), "the log does not say whose call it was");
}

/// Catches a revoked token that still opens the host, a new one that does not, and a file that was damaged while the host ran and
/// shuts everybody out.
#[tokio::test(flavor = "multi_thread")]
async fn tokens_change_while_the_host_runs() {
    let tokens = Tokens::new();
    let kept = tokens.create("kept", &["read"]);
    let host = Host::start_with(&["--tokens", tokens.file()]);
    assert_eq!(code(&host, &kept, "/api/streams").await, 200);
    let new = tokens.create("new", &["read", "streams:control"]);
    println!("a new token opens after {:?}", until(&host, &new, 200).await);
    tokens.revoke("new");
    println!("a revoked token is shut out after {:?}", until(&host, &new, 401).await);
    assert_eq!(code(&host, &kept, "/api/streams").await, 200);

    let whole = fs::read_to_string(&tokens.path).unwrap();
    fs::write(&tokens.path, format!("{whole}nonsense\n")).unwrap();
    until_logged(&host, "line 3").await;
    assert_eq!(code(&host, &kept, "/api/streams").await, 200);
    fs::set_permissions(&tokens.path, Permissions::from_mode(0o644)).unwrap();
    until_logged(&host, "mode 0644").await;
    assert_eq!(code(&host, &kept, "/api/streams").await, 200);
    fs::set_permissions(&tokens.path, Permissions::from_mode(0o600)).unwrap();
    fs::write(&tokens.path, "# nobody\n").unwrap();
    until(&host, &kept, 401).await;
}

/// Catches a secret that is kept, a file that others may use, or one that is half written or loses a token.
#[test]
fn token_files_are_private_and_whole() {
    let tokens = Tokens::new();
    let token = tokens.create("deploy", &["processors:write", "streams:control"]);
    assert_eq!(token.len(), "rillbox_".len() + 43, "{token}");
    let mode = || fs::metadata(&tokens.path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(), 0o600);
    assert!(!fs::read_to_string(&tokens.path).unwrap().contains(&token), "the file has the token itself");
    fs::set_permissions(&tokens.path, Permissions::from_mode(0o640)).unwrap();

    let creating: Vec<_> = (0..8)
        .map(|_| {
            let arguments = ["token", "create", "--scope", "read", "--file", tokens.file()];
            Command::new(program()).args(arguments).stdout(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for creating in creating {
        assert!(creating.wait_with_output().unwrap().status.success());
    }
    let list = String::from_utf8(tokens.run(&["list"]).stdout).unwrap();
    let mut names: Vec<_> = list.lines().map(|line| line.split(' ').next().unwrap()).collect();
    names.sort_unstable();
    let expected = ["deploy", "token-1", "token-2", "token-3", "token-4", "token-5", "token-6", "token-7", "token-8"];
    assert_eq!(names, expected, "{list}");
    assert!(list.contains("deploy streams:control,processors:write\n"), "{list}");
    assert_eq!(mode(), 0o640, "what a group may read, it may read on");
    tokens.revoke("token-3");
    assert!(!String::from_utf8(tokens.run(&["list"]).stdout).unwrap().contains("token-3"));
    assert_eq!(fs::read_dir(tokens.path.parent().unwrap()).unwrap().count(), 1, "something was left behind");

    for (arguments, word) in [
        (&["create", "--scope", "read", "--name", "deploy"][..], "already"),
        (&["create", "--scope", "everything"], "processors:write"),
        (&["create"], "--scope"),
        (&["create", "--scope", "read", "--name", "two words"], "no name"),
        (&["revoke", "token-3"], "no token token-3"),
    ] {
        let output = tokens.run(arguments);
        assert!(!output.status.success() && said(&output).contains(word), "{arguments:?}: {}", said(&output));
        assert!(output.stdout.is_empty(), "{arguments:?} printed a token");
    }
}

/// Catches a host that starts with a token file that others can use or that it does not understand, or that repeats what is
/// in it.
#[test]
fn a_bad_token_file_is_refused_by_name_and_line() {
    let tokens = Tokens::new();
    let token = tokens.create("one", &["read"]);
    let good = fs::read_to_string(&tokens.path).unwrap();
    let serve = || refused(&["--listen", "127.0.0.1:0", "--tokens", tokens.file()]);
    for mode in [0o644, 0o604, 0o606, 0o620, 0o660, 0o777] {
        fs::set_permissions(&tokens.path, Permissions::from_mode(mode)).unwrap();
        let said = serve();
        assert!(said.contains(&format!("mode {mode:04o}")) && said.contains("chmod 600"), "{said}");
        let output = tokens.run(&["create", "--scope", "read"]);
        assert!(!output.status.success() && self::said(&output).contains("chmod 600"), "{mode:o}");
    }
    fs::set_permissions(&tokens.path, Permissions::from_mode(0o600)).unwrap();
    let digest = "0".repeat(64);
    for line in [
        token.clone(),
        format!("{token} read"),
        format!("two read {token}"),
        format!("two read {}", digest.replace('0', "A")),
        format!("two {token} {digest}"),
        format!("two write {digest}"),
        format!("t/wo read {digest}"),
        format!("two read {digest} more"),
        format!("one read {digest}"),
    ] {
        fs::write(&tokens.path, format!("{good}\n{line}\n")).unwrap();
        let said = serve();
        assert!(said.contains("tokens, line 4: "), "{line}: {said}");
        assert!(!said.contains(&token), "the message repeats a secret: {said}");
    }
    fs::write(&tokens.path, vec![b'#'; 2 << 20]).unwrap();
    assert!(serve().contains("too large"));
    fs::write(&tokens.path, [0xff, 0xfe]).unwrap();
    assert!(serve().contains("UTF-8"));
    fs::remove_file(&tokens.path).unwrap();
    assert!(serve().contains(tokens.file()));
}

/// Catches a host that others reach and that asks for no token, unless its operator said so; and one that takes that for an
/// accident when he did.
#[tokio::test(flavor = "multi_thread")]
async fn without_tokens_the_host_stays_on_loopback() {
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let said = refused(&["--listen", address]);
        for word in [address, "rillbox token create --scope", "--tokens", "--insecure-allow-anyone"] {
            assert!(said.contains(word), "{word}: {said}");
        }
    }
    let said = refused(&["--trickle", "0.0.0.0:0"]);
    for word in ["trickle channels", "0.0.0.0:0", "--tokens", "--insecure-allow-anyone"] {
        assert!(said.contains(word), "{word}: {said}");
    }
    let tokens = Tokens::new();
    let token = tokens.create("one", &["read"]);
    let both = refused(&["--listen", "127.0.0.1:0", "--tokens", tokens.file(), "--insecure-allow-anyone"]);
    assert!(both.contains("cannot be used with"), "{both}");

    let host = Host::start_with(&["--listen", "0.0.0.0:0", "--tokens", tokens.file()]);
    assert_eq!(host.get("/api/streams").await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(code(&host, &token, "/api/streams").await, 200);
    assert!(host.log().contains("plain text"), "{}", host.log());
    let host = Host::start_with(&["--listen", "0.0.0.0:0", "--trickle", "0.0.0.0:0", "--insecure-allow-anyone"]);
    assert_eq!(host.get("/api/streams").await.0, StatusCode::OK);
    assert!(host.log().contains("--insecure-allow-anyone: whoever reaches"), "{}", host.log());
    assert!(host.log().contains("trickle asks for no token"), "{}", host.log());
    let host = Host::start();
    assert!(!host.log().contains("WARN"), "{}", host.log());
}

/// Catches a page in a browser on the host's machine that may call a host without tokens: from another origin, or under a name
/// that its owner made lead here.
#[tokio::test(flavor = "multi_thread")]
async fn pages_of_other_sites_may_not_call() {
    let tokens = Tokens::new();
    let token = format!("Bearer {}", tokens.create("one", &["read"]));
    let (open, anyone) = (Host::start(), Host::start_with(&["--insecure-allow-anyone"]));
    let guarded = Host::start_with(&["--tokens", tokens.file()]);
    let get = async |host: &Host, headers: &[(&str, &str)]| {
        host.answer_with(Method::GET, "/api/processors", headers, "").await.status().as_u16()
    };
    let own = format!("http://{}", open.api_address());
    for (headers, wanted) in [
        (&[("Origin", own.as_str())][..], 200),
        (&[("Host", "localhost:8000"), ("Origin", "http://localhost:8000")], 200),
        (&[("Host", "evil.example:8000")], 403),
        (&[("Host", "evil.example"), ("Origin", "http://evil.example")], 403),
        (&[("Origin", "http://evil.example")], 403),
        (&[("Origin", "http://localhost:3000")], 403),
        (&[("Origin", "null")], 403),
    ] {
        assert_eq!(get(&open, headers).await, wanted, "{headers:?}");
        assert_eq!(get(&anyone, headers).await, 200, "{headers:?}");
        assert_eq!(get(&guarded, headers).await, 401, "{headers:?}");
        assert_eq!(get(&guarded, &[headers, &[("Authorization", &token)]].concat()).await, 200, "{headers:?}");
    }
}

/// Catches a secret that gets into the log, or into what is told of a stream, at the most talkative level.
#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_told() {
    let tokens = Tokens::new();
    let right = tokens.create("operator", &["streams:control"]);
    let mut host =
        Host::start_telling_all(&["--tokens", tokens.file(), "--processor", guest("passthrough").to_str().unwrap()]);
    let mut answers = String::new();
    for header in ["Bearer SECRET1", "Basic SECRET2", "SECRET3", "Bearer SECRET4 SECRET5"] {
        let answer =
            host.answer_with(Method::GET, "/api/streams?token=SECRET6", &[("Authorization", header)], "").await;
        answers += &answer.text().await.unwrap();
    }
    host.present(&right);
    for key in ["subscribe_url", "publish_url", "control_url", "events_url", "data_url"] {
        for url in [
            "http://user:SECRET7@127.0.0.1:9/x",
            "http://SECRET8@127.0.0.1:9/x",
            "http://127.0.0.1:9/x?token=SECRET9",
            "https://127.0.0.1:9/x#SECRET10",
            "http://u:SECRET11@/x",
            "http://127.0.0.1:SECRET12/x",
        ] {
            let mut body = host.start_body("told", "passthrough", json!({}));
            body[key] = json!(url);
            let (code, answer) = host.post("/api/stream/start", body).await;
            assert_eq!(code, StatusCode::BAD_REQUEST, "{key} {url}: {answer}");
            answers += &answer.to_string();
        }
    }
    let (_, status) = host.run("told", "passthrough", json!({}), &media::small_segments("160x90", 1)).await;
    answers += &status.to_string();
    host.terminate();
    until_logged(&host, "stream ended").await;
    let log = host.log();
    assert!(log.contains("TRACE") && log.contains(r#""token":"operator""#), "too little was logged to tell");
    for (what, text) in [("the log", &log), ("an answer", &answers)] {
        assert!(
            !text.contains("SECRET"),
            "{what} tells a secret: {:?}",
            text.lines().find(|line| line.contains("SECRET"))
        );
        assert!(!text.contains(&right), "{what} tells the token");
        assert!(!text.to_lowercase().contains("authorization: bearer r"), "{what} tells the header");
    }
}
