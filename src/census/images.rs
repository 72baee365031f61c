//! Which image a container was made of, from its runtime's own state.
//!
//! A container's id means something on one host only; its image joins it with
//! the same program elsewhere. The files are the runtimes' (root's), not the
//! containers'; read as bounded bytes all the same.
//!
//! ```text
//! docker      /var/lib/docker/containers/ID/config.v2.json          Config.Image
//! containerd  /run/containerd/io.containerd.runtime.v2.task/NS/ID/config.json
//! CRI-O       /var/lib/containers/storage/overlay-containers/ID/userdata/config.json
//!             annotations io.kubernetes.cri.image-name, io.kubernetes.cri-o.ImageName
//! podman      /var/lib/containers/storage/overlay-containers/containers.json
//!             metadata (JSON in a string) image-name, of the entry of that id
//! ```

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::arguments::below;
use super::json::{elements, text_at};
use crate::limits;

const DOCKER: &str = "/var/lib/docker/containers";
const CONTAINERD: &str = "/run/containerd/io.containerd.runtime.v2.task";
const STORAGE: &str = "/var/lib/containers/storage/overlay-containers";
/// Namespaces of containerd: moby, k8s.io, default, and whatever a site adds.
const NAMESPACES: usize = 16;
/// Annotations that name the image, in a runtime specification.
const ANNOTATIONS: [&str; 3] =
    ["io.kubernetes.cri.image-name", "io.kubernetes.cri-o.ImageName", "io.kubernetes.cri-o.Image"];
/// The longest name of an image that is kept.
const NAME: usize = 512;

/// Images by container, each looked up once.
pub(super) struct Images<'a> {
    root: &'a Path,
    known: BTreeMap<String, Option<String>>,
    /// Containers that were not looked up: there were too many.
    pub(super) left_out: u64,
}

impl<'a> Images<'a> {
    pub(super) fn new(root: &'a Path) -> Images<'a> {
        Images { root, known: BTreeMap::new(), left_out: 0 }
    }

    /// The image of a container; its id is 64 hexadecimal digits.
    pub(super) fn of(&mut self, id: &str) -> Option<String> {
        if let Some(image) = self.known.get(id) {
            return image.clone();
        }
        if self.known.len() >= limits::CENSUS_CONTAINERS {
            self.left_out = self.left_out.saturating_add(1);
            return None;
        }
        let image = self.ask(id).filter(|image| !image.is_empty() && image.len() <= NAME);
        self.known.insert(id.to_owned(), image.clone());
        image
    }

    /// Container and image, of those that have one.
    pub(super) fn all(self) -> Vec<(String, String)> {
        self.known.into_iter().filter_map(|(id, image)| Some((id, image?))).collect()
    }

    fn ask(&self, id: &str) -> Option<String> {
        self.docker(id).or_else(|| self.containerd(id)).or_else(|| self.storage(id))
    }

    fn docker(&self, id: &str) -> Option<String> {
        let state = self.state(below(self.root, DOCKER).join(id).join("config.v2.json"))?;
        text_at(&state, &["Config", "Image"])
    }

    fn containerd(&self, id: &str) -> Option<String> {
        let entries = std::fs::read_dir(below(self.root, CONTAINERD)).ok()?;
        let mut places = entries.flatten().take(NAMESPACES).map(|entry| entry.path());
        places.find_map(|place| annotated(&self.state(place.join(id).join("config.json"))?))
    }

    fn storage(&self, id: &str) -> Option<String> {
        let storage = below(self.root, STORAGE);
        let specification = self.state(storage.join(id).join("userdata/config.json"));
        specification.and_then(|state| annotated(&state)).or_else(|| {
            let list = self.state(storage.join("containers.json"))?;
            let entry = elements(&list).find(|entry| text_at(entry, &["id"]).as_deref() == Some(id))?;
            text_at(text_at(entry, &["metadata"])?.as_bytes(), &["image-name"])
        })
    }

    fn state(&self, path: PathBuf) -> Option<Vec<u8>> {
        read(&path, limits::CONTAINER_STATE)
    }
}

fn annotated(state: &[u8]) -> Option<String> {
    ANNOTATIONS.iter().find_map(|name| text_at(state, &["annotations", name]))
}

/// A regular file of at most `most` bytes; a larger one, a link or anything
/// that blocks is none.
pub(super) fn read(path: &Path, most: usize) -> Option<Vec<u8>> {
    let flags = nix::fcntl::OFlag::O_NOFOLLOW | nix::fcntl::OFlag::O_NONBLOCK | nix::fcntl::OFlag::O_NOCTTY;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits()).open(path).ok()?;
    if !file.metadata().is_ok_and(|facts| facts.is_file()) {
        return None;
    }
    let mut bytes = Vec::new();
    let limit = u64::try_from(most).ok()?.checked_add(1)?;
    file.take(limit).read_to_end(&mut bytes).ok()?;
    (bytes.len() <= most).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(root: &Path, path: &str, text: &str) {
        let path = below(root, path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    #[test]
    fn the_image_is_found_in_the_state_of_every_runtime() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        let [docker, kubernetes, crio, podman] = ["a", "b", "c", "d"].map(|digit| digit.repeat(64));
        write(
            root,
            &format!("{DOCKER}/{docker}/config.v2.json"),
            r#"{"ID":"a","Config":{"Image":"nginx:1"}}"#,
        );
        write(
            root,
            &format!("{CONTAINERD}/k8s.io/{kubernetes}/config.json"),
            r#"{"annotations":{"io.kubernetes.cri.image-name":"registry.example/app:2"}}"#,
        );
        write(
            root,
            &format!("{STORAGE}/{crio}/userdata/config.json"),
            r#"{"annotations":{"io.kubernetes.cri-o.ImageName":"app:3"}}"#,
        );
        write(
            root,
            &format!("{STORAGE}/containers.json"),
            &format!(
                r#"[{{"id":"x","metadata":"{{}}"}},{{"id":"{podman}","metadata":"{{\"image-name\":\"app:4\"}}"}}]"#
            ),
        );
        let mut images = Images::new(root);
        assert_eq!(images.of(&docker).as_deref(), Some("nginx:1"));
        assert_eq!(images.of(&kubernetes).as_deref(), Some("registry.example/app:2"));
        assert_eq!(images.of(&crio).as_deref(), Some("app:3"));
        assert_eq!(images.of(&podman).as_deref(), Some("app:4"));
        assert_eq!(images.of(&"e".repeat(64)), None);
        assert_eq!(images.all().len(), 4);
    }

    #[test]
    fn a_state_that_is_too_large_or_no_file_is_none_and_asked_once() {
        let dir = tempfile::tempdir().unwrap();
        let id = "f".repeat(64);
        let path = format!("{DOCKER}/{id}/config.v2.json");
        write(dir.path(), &path, &format!("{}{{\"Config\"", " ".repeat(limits::CONTAINER_STATE)));
        let mut images = Images::new(dir.path());
        assert_eq!(images.of(&id), None);
        write(dir.path(), &path, r#"{"Config":{"Image":"later"}}"#);
        assert_eq!(images.of(&id), None);
        for n in 0..limits::CENSUS_CONTAINERS {
            images.of(&format!("{n:064x}"));
        }
        assert!(images.left_out > 0);
    }
}
