//! The house in order: what rooms may import, how large files are, and what each must have.

use std::fs;
use std::path::{Path, PathBuf};

use crate::harness::root;

/// Lines of a file at most.
const MAX_LINES: usize = 800;

/// Rooms of the host, and which of them, and of the crates, each may import.
const ROOMS: [(&str, &[&str]); 8] = [
    ("access", &[]),
    ("egress", &[]),
    ("registry", &["egress"]),
    ("sandbox", &["egress", "registry", "rillbox_media", "rillbox_compute", "rillbox_gpu"]),
    ("session", &["egress", "registry", "sandbox", "rillbox_media", "rillbox_trickle"]),
    ("clip", &["session", "rillbox_media", "rillbox_trickle"]),
    ("api", &["session", "registry", "telemetry", "access", "rillbox_trickle"]),
    ("telemetry", &[]),
];

/// Every name that a room could import.
const IMPORTABLE: [&str; 14] = [
    "access",
    "egress",
    "registry",
    "sandbox",
    "session",
    "clip",
    "api",
    "cli",
    "telemetry",
    "serve",
    "rillbox_media",
    "rillbox_trickle",
    "rillbox_compute",
    "rillbox_gpu",
];

pub fn files(directory: &Path, end: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            found.extend(files(&path, end));
        } else if name.ends_with(end) {
            found.push(path);
        }
    }
    found
}

fn name(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().display().to_string()
}

/// Catches an import against the table of rooms.
#[test]
fn rooms_import_only_what_they_may() {
    for (room, allowed) in ROOMS {
        for path in files(&root().join("host/src").join(room), ".rs") {
            let text = fs::read_to_string(&path).unwrap();
            for other in IMPORTABLE.iter().filter(|other| **other != room && !allowed.contains(other)) {
                let import =
                    if other.starts_with("rillbox_") { format!("{other}::") } else { format!("crate::{other}") };
                assert!(!text.contains(&import), "{} imports {other}; {room} may not", name(&path));
            }
        }
    }
    // Its own name, and that of what it has twins of.
    for (library, names) in [("trickle", 1), ("media", 1), ("compute", 1), ("gpu", 2)] {
        let manifest = fs::read_to_string(root().join("host/crates").join(library).join("Cargo.toml")).unwrap();
        assert_eq!(manifest.matches("rillbox-").count(), names, "{library} depends on a crate of ours");
    }
}

/// Catches files that hold more than one idea, and modules that do not say what they are.
#[test]
fn files_are_short_and_say_what_they_are() {
    for path in files(root(), ".rs") {
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.lines().count() <= MAX_LINES, "{} has more than {MAX_LINES} lines", name(&path));
        assert!(text.starts_with("//!"), "{} has no header", name(&path));
    }
}

/// Catches `unsafe` outside the rooms that are meant for it.
#[test]
fn unsafe_stays_where_it_belongs() {
    let meant = [
        "host/crates/media/",
        "host/crates/compute/src/subnormal.rs",
        "host/crates/gpu/src/module.rs",
        "host/src/allocator.rs",
        "host/src/sandbox/engine.rs",
        "host/src/sandbox/imports/pixels.rs",
        // An allocator that looks at what it is asked for.
        "host/src/sandbox/tests/copies.rs",
        "tests/tidy.rs",
    ];
    for path in files(root(), ".rs") {
        let (text, name) = (fs::read_to_string(&path).unwrap(), name(&path));
        let used = text
            .lines()
            .any(|line| line.contains("unsafe {") || line.contains("unsafe impl") || line.contains("unsafe fn"));
        assert!(!used || meant.iter().any(|meant| name.starts_with(meant)), "{name} has `unsafe`");
    }
}

/// Catches a test that nobody runs.
#[test]
fn no_test_is_ignored() {
    // In two parts, so that this file has none itself.
    let mark = ["#[", "ignore"].concat();
    for path in files(root(), ".rs") {
        let text = fs::read_to_string(&path).unwrap();
        assert!(!text.contains(&mark), "{} has a test that is ignored", name(&path));
    }
}

/// Catches a guest without tests of its own, or one that never runs in the host.
#[test]
fn every_guest_is_tested() {
    let tests: String =
        files(&root().join("tests"), ".rs").iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    for entry in fs::read_dir(root().join("guests")).unwrap() {
        let path = entry.unwrap().path();
        let Ok(manifest) = fs::read_to_string(path.join("Cargo.toml")) else { continue };
        let guest = path.file_name().unwrap().to_string_lossy().into_owned();
        let own: String = files(&path, ".rs").iter().map(|path| fs::read_to_string(path).unwrap()).collect();
        assert!(own.contains("#[test]"), "{guest} has no native test");
        // What is no component is a library of those that are.
        let run = !manifest.contains("cdylib") || tests.contains(&format!("guest(\"{guest}\")"));
        assert!(run, "{guest} is not run by a test of the whole");
    }
    for path in files(&root().join("tests/guests"), ".rs") {
        let guest = path.file_stem().unwrap().to_string_lossy().into_owned();
        assert!(guest == "lib" || tests.contains(&format!("\"{guest}\"")), "the hostile guest {guest} is never run");
    }
}

/// Catches a promise without its line, and one that is held by a test that is not there.
#[test]
fn promises_name_tests_that_exist() {
    let text = fs::read_to_string(root().join("SECURITY.md")).unwrap();
    for number in 1..=13 {
        let start = format!("| G{number} | ");
        let rows: Vec<&str> = text.lines().filter(|line| line.starts_with(&start)).collect();
        assert_eq!(rows.len(), 1, "lines for G{number}");
        assert!(rows[0].trim_start_matches(&start).contains(". |"), "G{number} is no sentence: {}", rows[0]);
    }
    let named: Vec<(&str, &str)> =
        text.split('`').skip(1).step_by(2).filter_map(|code| code.split_once(".rs::")).collect();
    assert!(named.len() > 10, "{named:?}");
    for (file, test) in named {
        let code = fs::read_to_string(root().join(format!("{file}.rs"))).expect(file);
        let declared =
            code.lines().position(|line| line.trim_start_matches("async ").starts_with(&format!("fn {test}(")));
        let line = declared.unwrap_or_else(|| panic!("{file}.rs has no {test}"));
        assert!(code.lines().nth(line - 1).unwrap().contains("test"), "{test} is no test");
    }
}

/// Catches events of the host's own that the SDK's tests let a processor emit. The two share no crate that could hold the list.
#[test]
fn the_sdk_knows_the_hosts_own_events_and_params() {
    let list = |name: &str, file: &str| {
        let code = fs::read_to_string(root().join(file)).unwrap();
        let (_, rest) = code.split_once(&format!("const {name}: ")).unwrap();
        rest.split_once("];").unwrap().0.to_owned()
    };
    for (name, sdk, host) in [
        ("RESERVED", "guest-sdk/src/testing/stream.rs", "host/src/sandbox/imports/data.rs"),
        ("HOST_KEYS", "guest-sdk/src/testing/params.rs", "host/src/registry/params.rs"),
    ] {
        assert_eq!(list(name, sdk), list(name, host));
    }
}

/// The headings of a document as the ends of links to them.
fn anchors(text: &str) -> Vec<String> {
    let mut in_code = false;
    let mut found = Vec::new();
    for line in text.lines() {
        in_code ^= line.starts_with("```");
        let Some(heading) = line.strip_prefix('#').filter(|_| !in_code) else { continue };
        let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-');
        let heading = heading.trim_start_matches('#').trim();
        found.push(heading.chars().filter(kept).map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect());
    }
    found
}

/// Catches a link that leads nowhere.
#[test]
fn links_lead_to_what_is_there() {
    let mut links = 0;
    for path in files(root(), ".md") {
        let text = fs::read_to_string(&path).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link) {
            if link.starts_with("http") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            assert!(target.exists(), "{} links to {link}", name(&path));
            let is_there =
                anchor.is_empty() || anchors(&fs::read_to_string(&target).unwrap()).contains(&anchor.to_owned());
            assert!(is_there, "{} links to {link}, which has no such heading", name(&path));
            links += 1;
        }
    }
    assert!(links > 30, "{links} links were found");
}
