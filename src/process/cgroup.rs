//! /proc/TID/cgroup → path, systemd unit and container id.
//!
//! The unit is the innermost path component that is a unit name (systemd
//! mangles nothing else into one); the container id is 64 hexadecimal digits
//! as Docker, containerd, CRI-O and Podman put them into a component.

/// Where a process belongs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cgroup {
    /// The path of the unified hierarchy, else of name=systemd.
    pub path: Option<Vec<u8>>,
    /// systemd unit: below a user's own manager, which may call its units
    /// anything, the manager's.
    pub unit: Option<Vec<u8>>,
    /// Unit of a user's own manager.
    pub user_unit: Option<Vec<u8>>,
    /// Container id.
    pub container: Option<String>,
}

const UNITS: [&[u8]; 2] = [b".service", b".scope"];
const SLICE: &[u8] = b".slice";
const CONTAINER_ID: usize = 64;

/// Parses the file.
pub(super) fn parse(text: &[u8]) -> Cgroup {
    let lines = || text.split(|byte| *byte == b'\n');
    let unified = lines().find_map(|line| line.strip_prefix(b"0::"));
    let Some(path) = unified.filter(|path| *path != b"/").or_else(|| lines().find_map(named)).or(unified)
    else {
        return Cgroup::default();
    };
    let components = || path.rsplit(|byte| *byte == b'/');
    let ends = |component: &&[u8], with: &[&[u8]]| with.iter().any(|end| component.ends_with(end));
    let unit = components().find(|c| ends(c, &UNITS)).or_else(|| components().find(|c| ends(c, &[SLICE])));
    let is_manager = |c: &&[u8]| c.starts_with(b"user@") && c.ends_with(b".service");
    let manager = path.split(|byte| *byte == b'/').find(is_manager);
    Cgroup {
        path: Some(path.to_vec()),
        unit: manager.or(unit).map(<[u8]>::to_vec),
        user_unit: unit.filter(|unit| manager.is_some_and(|manager| manager != *unit)).map(<[u8]>::to_vec),
        container: components().find_map(container),
    }
}

/// The path of a line like `1:name=systemd:/path`.
fn named(line: &[u8]) -> Option<&[u8]> {
    let mut parts = line.splitn(3, |byte| *byte == b':');
    (parts.nth(1)? == b"name=systemd").then(|| parts.next())?
}

fn container(component: &[u8]) -> Option<String> {
    let mut runs = component.rsplit(|byte| !byte.is_ascii_hexdigit());
    let id = runs.find(|run| run.len() == CONTAINER_ID)?;
    String::from_utf8(id.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_and_containers_are_found_in_both_hierarchies() {
        let id = "c0ffee".repeat(11);
        let id = &id[..64];
        let cgroup = parse(format!("0::/system.slice/docker-{id}.scope\n").as_bytes());
        assert_eq!(cgroup.container.as_deref(), Some(id));
        assert_eq!(cgroup.unit.as_deref(), Some(format!("docker-{id}.scope").as_bytes()));
        let cgroup = parse(b"5:cpu:/\n1:name=systemd:/system.slice/a@b.service\n0::/\n");
        assert_eq!(cgroup.unit.as_deref(), Some(&b"a@b.service"[..]));
        assert_eq!(parse(b"0::/\n").unit, None);
    }

    #[test]
    fn a_user_cannot_name_a_unit_of_the_system() {
        let cgroup = parse(b"0::/user.slice/user-1000.slice/user@1000.service/app.slice/sshd.service\n");
        assert_eq!(cgroup.unit.as_deref(), Some(&b"user@1000.service"[..]));
        assert_eq!(cgroup.user_unit.as_deref(), Some(&b"sshd.service"[..]));
        assert_eq!(parse(b""), Cgroup::default());
    }
}
