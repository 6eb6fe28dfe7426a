//! `token`: makes, lists and revokes tokens.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::access::{Scope, Scopes, Token, TokenFile};

#[derive(Debug, Subcommand)]
pub enum Tokens {
    /// Make a token: prints it, this once, and keeps its hash.
    Create(Create),
    /// List the tokens: name and scopes.
    List(List),
    /// Revoke a token. A host that runs takes it no more within two seconds.
    Revoke(Revoke),
}

/// Where tokens are kept.
#[derive(Debug, Args)]
struct Kept {
    /// File of tokens.
    #[arg(long, value_name = "FILE", default_value = "rillbox-tokens")]
    file: PathBuf,
}

#[derive(Debug, Args)]
pub struct Create {
    /// What the token may do: `read`, `streams:control` or `processors:write`; may be repeated. The latter two include `read`.
    #[arg(long = "scope", value_name = "SCOPE", required = true)]
    scopes: Vec<Scope>,
    /// What to call it; letters, digits, '.', '-' and '_'.
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    kept: Kept,
}

#[derive(Debug, Args)]
pub struct List {
    #[command(flatten)]
    kept: Kept,
}

#[derive(Debug, Args)]
pub struct Revoke {
    /// The token's name.
    name: String,
    #[command(flatten)]
    kept: Kept,
}

impl Tokens {
    pub fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Create(Create { scopes, name, kept }) => {
                let token = Token::generate()?;
                let scopes = Scopes::new(scopes).ok_or_else(|| anyhow::anyhow!("--scope is missing"))?;
                let entry = TokenFile::add(&kept.file, name, scopes, &token)?;
                // The token alone on standard output, for scripts.
                println!("{}", token.reveal());
                let file = kept.file.display();
                eprintln!(
                    "{} ({}) is in {file}, as a hash: the token itself is shown this once",
                    entry.name, entry.scopes
                );
            }
            Self::List(List { kept }) => {
                for entry in TokenFile::read(&kept.file)?.entries() {
                    println!("{} {}", entry.name, entry.scopes);
                }
            }
            Self::Revoke(Revoke { name, kept }) => {
                let entry = TokenFile::revoke(&kept.file, &name)?;
                eprintln!("{} ({}) is revoked", entry.name, entry.scopes);
            }
        }
        Ok(())
    }
}
