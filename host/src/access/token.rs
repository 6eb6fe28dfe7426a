//! Tokens, and the digests that are kept of them.

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq};

use super::AccessError;

/// What every token begins with, so that people and scanners of code know one when they see it.
const PREFIX: &str = "rillbox_";

/// Random bytes of a token.
const RANDOM: usize = 32;

/// A secret that opens calls. It has no `Debug` and no `Display`, lest it gets into a log.
pub struct Token(String);

impl Token {
    /// A new one, of 256 random bits.
    ///
    /// # Errors
    /// [`AccessError::Random`].
    pub fn generate() -> Result<Self, AccessError> {
        let mut random = [0; RANDOM];
        getrandom::fill(&mut random).map_err(|error| AccessError::Random(error.to_string()))?;
        Ok(Self(format!("{PREFIX}{}", BASE64URL_NOPAD.encode(&random))))
    }

    /// The secret itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What is kept of it.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.0)
    }
}

/// SHA-256 of a token. A slow hash with salt would add nothing: 256 random bits can neither be guessed nor be in a table.
#[derive(Clone, Debug)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Of what a caller presents.
    pub fn of(text: &str) -> Self {
        Self(Sha256::digest(text).into())
    }

    /// Out of 64 hexadecimal digits, small letters.
    pub fn from_hex(text: &str) -> Option<Self> {
        HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok().map(Self)
    }

    /// 64 hexadecimal digits.
    pub fn to_hex(&self) -> String {
        HEXLOWER.encode(&self.0)
    }

    /// Whether both are the same, in a time that does not tell how much of them is.
    pub fn matches(&self, other: &Self) -> Choice {
        self.0.ct_eq(&other.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches tokens that repeat or are short, and digests that tell two of them alike.
    #[test]
    fn tokens_are_long_and_each_another() {
        let (one, other) = (Token::generate().unwrap(), Token::generate().unwrap());
        assert_eq!(one.reveal().len(), PREFIX.len() + 43);
        assert!(bool::from(one.digest().matches(&Digest::of(one.reveal()))));
        assert!(!bool::from(one.digest().matches(&other.digest())));
        let hex = one.digest().to_hex();
        assert_eq!(Digest::from_hex(&hex).unwrap().to_hex(), hex);
        for wrong in ["", "00", &hex[1..], &hex.to_uppercase(), &format!("{hex}00")] {
            assert!(Digest::from_hex(wrong).is_none() || wrong == hex, "{wrong}");
        }
    }

    /// Catches a digest that other tools would not make: it is plain SHA-256 of the text.
    #[test]
    fn a_digest_is_plain_sha_256() {
        let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Digest::of("abc").to_hex(), known);
    }
}
