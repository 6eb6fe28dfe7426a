//! What a host has on its disk, and what it should have.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest, Sha256};

/// SHA-256 in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Every file under a data directory, by its path within.
pub fn files(data: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut folders = vec![data.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.strip_prefix(data).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    found
}

/// The files that a host with these processors has, once each of them has been compiled.
pub fn expected(data: &Path, manifests: &[Value]) -> BTreeSet<String> {
    let mut files = BTreeSet::from(["key".to_owned(), "lock".to_owned()]);
    for manifest in manifests {
        let [name, version, sha256] = ["name", "version", "sha256"].map(|key| manifest[key].as_str().unwrap());
        files.insert(format!("processors/{name}@{version}/manifest.json"));
        files.insert(format!("processors/{name}@{version}/{sha256}.wasm"));
        for end in ["cwasm", "seal"] {
            files.insert(within(data, &code(data, sha256, end)));
        }
    }
    files
}

/// The file with a component's code, or its seal. There is one.
pub fn code(data: &Path, sha256: &str, end: &str) -> PathBuf {
    let files = fs::read_dir(data.join("compiled")).unwrap().map(|entry| entry.unwrap().path());
    let mut files = files.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with(sha256));
    let found = files.find(|path| path.extension().is_some_and(|its| its == end));
    found.unwrap_or_else(|| panic!("there is no {sha256}…{end}"))
}

fn within(data: &Path, path: &Path) -> String {
    path.strip_prefix(data).unwrap().to_str().unwrap().to_owned()
}
