//! What the host has, in memory: processors by name and version, and which version a bare name stands for.

use std::collections::{BTreeMap, HashSet};
use std::ops::Deref;
use std::sync::Arc;

use semver::Version;

use super::{DeleteError, Manifest, NotFound};

/// A processor that is not deleted while this is held.
#[derive(Clone, Debug)]
pub struct Lease {
    manifest: Arc<Manifest>,
    /// One reference for the index, and one for each lease.
    holders: Arc<()>,
}

impl Deref for Lease {
    type Target = Manifest;

    fn deref(&self) -> &Manifest {
        &self.manifest
    }
}

/// All versions of a name.
#[derive(Clone, Debug)]
pub struct Versions {
    /// What the bare name stands for.
    pub current: Version,
    /// What was chosen; the newest counts where nothing was.
    pub default: Option<Version>,
    /// From the oldest to the newest.
    pub all: Vec<Arc<Manifest>>,
}

/// Processors by name.
#[derive(Default)]
pub struct Index(BTreeMap<String, Entry>);

#[derive(Default)]
struct Entry {
    versions: BTreeMap<Version, Lease>,
    default: Option<Version>,
}

impl Entry {
    /// The chosen version; else the newest release; else, where there are only pre-releases, the newest of these.
    fn current(&self) -> Option<&Lease> {
        let chosen = self.default.as_ref().and_then(|version| self.versions.get(version));
        let release = || self.versions.values().rfind(|lease| lease.version.pre.is_empty());
        chosen.or_else(release).or_else(|| self.versions.values().next_back())
    }

    fn manifests(&self) -> impl Iterator<Item = Arc<Manifest>> {
        self.versions.values().map(|lease| lease.manifest.clone())
    }
}

impl Index {
    /// Adds a processor.
    pub fn insert(&mut self, manifest: Manifest) -> Arc<Manifest> {
        let manifest = Arc::new(manifest);
        let lease = Lease { manifest: manifest.clone(), holders: Arc::default() };
        let entry = self.0.entry(manifest.name.clone()).or_default();
        entry.versions.insert(manifest.version.clone(), lease);
        manifest
    }

    /// The processor of `NAME@VERSION`, or the current one of `NAME`.
    pub fn get(&self, reference: &str) -> Result<&Lease, NotFound> {
        let found = match reference.split_once('@') {
            None => self.0.get(reference).and_then(Entry::current),
            Some((name, version)) => {
                Version::parse(version).ok().and_then(|version| self.0.get(name)?.versions.get(&version))
            }
        };
        found.ok_or_else(|| NotFound(reference.to_owned()))
    }

    /// As [`Index::get`], to look at.
    pub fn find(&self, reference: &str) -> Result<Arc<Manifest>, NotFound> {
        self.get(reference).map(|lease| lease.manifest.clone())
    }

    /// All processors, by name and version.
    pub fn list(&self) -> Vec<Arc<Manifest>> {
        self.0.values().flat_map(Entry::manifests).collect()
    }

    /// How many versions there are, of all names.
    pub fn count(&self) -> usize {
        self.0.values().map(|entry| entry.versions.len()).sum()
    }

    /// All versions of a name.
    pub fn versions(&self, name: &str) -> Result<Versions, NotFound> {
        let entry = self.0.get(name).ok_or_else(|| NotFound(name.to_owned()))?;
        let current = entry.current().ok_or_else(|| NotFound(name.to_owned()))?.version.clone();
        Ok(Versions { current, default: entry.default.clone(), all: entry.manifests().collect() })
    }

    /// Takes a processor out, which no stream uses, and says whether it was the chosen default one.
    pub fn take(&mut self, reference: &str) -> Result<(Manifest, bool), DeleteError> {
        let lease = self.get(reference)?;
        if Arc::strong_count(&lease.holders) > 1 {
            return Err(DeleteError::InUse(lease.id()));
        }
        let manifest = Manifest::clone(lease);
        let mut chosen = false;
        if let Some(entry) = self.0.get_mut(&manifest.name) {
            entry.versions.remove(&manifest.version);
            chosen = entry.default.take_if(|default| *default == manifest.version).is_some();
            if entry.versions.is_empty() {
                self.0.remove(&manifest.name);
            }
        }
        Ok((manifest, chosen))
    }

    /// Makes a version the one that the bare name stands for, or with `None` the newest.
    pub fn choose(&mut self, name: &str, version: Option<Version>) -> Result<(), NotFound> {
        let entry = self.0.get_mut(name).ok_or_else(|| NotFound(name.to_owned()))?;
        if let Some(version) = version.as_ref().filter(|version| !entry.versions.contains_key(version)) {
            return Err(NotFound(format!("{name}@{version}")));
        }
        entry.default = version;
        Ok(())
    }

    /// Digests of all components.
    pub fn components(&self) -> HashSet<String> {
        self.0.values().flat_map(Entry::manifests).map(|manifest| manifest.sha256.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::schema_text::SchemaText;
    use super::super::{Isolation, PixelFormatName};
    use super::*;

    fn manifest(version: &str) -> Manifest {
        Manifest {
            name: "green".to_owned(),
            version: version.parse().unwrap(),
            sha256: "0".repeat(64),
            size: 0,
            params_schema: SchemaText::of(&serde_json::json!({})),
            video: true,
            audio: false,
            pixel_format: PixelFormatName::I420,
            isolation: Isolation::Shared,
            capabilities: Vec::new(),
        }
    }

    fn index(versions: &[&str]) -> Index {
        let mut index = Index::default();
        for version in versions {
            index.insert(manifest(version));
        }
        index
    }

    /// Catches versions that are ordered as text, and pre-releases that streams get without asking.
    #[test]
    fn a_bare_name_is_the_newest_release() {
        for (versions, newest) in [
            (&["1.10.0", "1.9.0", "0.99.0"][..], "1.10.0"),
            (&["1.0.0", "2.0.0-rc.1"], "1.0.0"),
            (&["2.0.0-rc.1", "2.0.0-rc.2", "2.0.0-beta"], "2.0.0-rc.2"),
            (&["1.0.0", "1.0.0+build.5"], "1.0.0+build.5"),
        ] {
            assert_eq!(index(versions).get("green").unwrap().version.to_string(), newest, "{versions:?}");
        }
    }

    /// Catches a choice that is lost, kept beyond its version, or made of what is not there.
    #[test]
    fn a_chosen_version_is_the_current_one_until_it_is_gone() {
        let mut index = index(&["1.0.0", "2.0.0", "3.0.0-rc.1"]);
        let current = |index: &Index| index.versions("green").unwrap().current.to_string();
        index.choose("green", Some(Version::new(1, 0, 0))).unwrap();
        index.insert(manifest("4.0.0"));
        assert_eq!(current(&index), "1.0.0");
        assert!(index.choose("green", Some(Version::new(9, 0, 0))).is_err());
        assert!(index.take("green").unwrap().1, "the bare name is the chosen one");
        index.insert(manifest("1.0.0"));
        assert_eq!(current(&index), "4.0.0");
        index.choose("green", Some("3.0.0-rc.1".parse().unwrap())).unwrap();
        assert_eq!(current(&index), "3.0.0-rc.1");
        index.choose("green", None).unwrap();
        assert_eq!(current(&index), "4.0.0");
    }

    /// Catches a processor that is deleted under a stream, or held by somebody who only looked.
    #[test]
    fn what_is_leased_is_not_taken_out() {
        let mut index = index(&["1.0.0"]);
        let lease = index.get("green").unwrap().clone();
        let (_looked, _listed) = (index.find("green").unwrap(), index.list());
        assert!(matches!(index.take("green"), Err(DeleteError::InUse(_))));
        drop(lease);
        assert!(index.take("green").is_ok());
        assert!(index.get("green").is_err());
    }
}
