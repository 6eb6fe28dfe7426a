//! Digests, in hexadecimal.

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

/// SHA-256 of some bytes, 64 digits.
pub fn sha256(bytes: &[u8]) -> String {
    HEXLOWER.encode(&Sha256::digest(bytes))
}

/// Whether a text can be such a digest. What comes from disk becomes a part of paths.
pub fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}
