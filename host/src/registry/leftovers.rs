//! What a host that was killed leaves in a local store, and its removal before anything is read.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::Path;

/// Removes staged files and, in `processors`, what has no manifest: it never became a processor, or has ceased to be one.
pub fn sweep(store: &Path, processors: &str, defaults: &str, manifest: &str) -> io::Result<()> {
    remove_staged(&store.join(defaults))?;
    for entry in fs::read_dir(store.join(processors))? {
        let path = entry?.path();
        if path.file_name().is_some_and(is_id) && path.is_dir() {
            if let Err(error) = remove_staged(&path) {
                tracing::warn!(path = %path.display(), %error, "cannot be cleaned");
            }
            if !path.join(manifest).exists() {
                remove_folder(&path);
            }
        }
    }
    Ok(())
}

/// `NAME@VERSION`; other names are not ours.
fn is_id(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| name.contains('@'))
}

/// The store writes `FILE#NUMBER` first.
fn remove_staged(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let number = path.file_name().and_then(OsStr::to_str).and_then(|name| name.split_once('#'));
        if number.is_some_and(|(_, number)| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())) {
            tracing::info!(path = %path.display(), "left half-written; removed");
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

/// Removes components, and the folder if there is nothing else in it.
fn remove_folder(folder: &Path) {
    let components = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    for path in components.filter(|path| path.extension().is_some_and(|end| end == "wasm")) {
        // What stays keeps the folder too, and that is told.
        let _ = fs::remove_file(path);
    }
    match fs::remove_dir(folder) {
        Ok(()) => tracing::info!(path = %folder.display(), "no whole processor; removed"),
        Err(error) => tracing::warn!(path = %folder.display(), %error, "no processor; ignored"),
    }
}
