//! The size of the image where no container engine runs: the root filesystem of the Dockerfile's last stage, put together
//! from the same Debian packages, beside the same base with what the other receivers need.
//!
//! Packages are unpacked, not installed: what their scripts would make is missing. Documentation, manuals and
//! translations are left out, as Debian's slim images do.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::peers;
use crate::service::binary;
use crate::stats::Spread;
use crate::support::process::Failure;
use crate::table::{Goal, Line, short};
use crate::world::scratch;

const DOCKERFILE: &str = include_str!("../../deploy/Dockerfile");
/// What every Debian has, and what debootstrap's smallest variant adds. Without the last apt would think of a system to be
/// converted, and take what converts it.
const BASE: [&str; 4] = ["?essential", "?priority(required)", "apt", "usr-is-merged"];
const NOT_IN_SLIM: [&str; 5] = ["doc", "man", "locale", "info", "lintian"];

/// The whole image, and what a receiver alone would need, beside the other receivers: they have no git and no Redis.
pub async fn run() -> Result<Vec<Line>, Failure> {
    let ours = installed_by_the_last_stage()?;
    let binary = binary()?;
    let base = root_of(&[], None)?;
    let packages = root_of(&ours, None)?;
    let size = root_of(&ours, Some(&binary))?;
    println!(
        "  {} MB: Debian {} MB, {} {} MB, fgd-sync {} MB",
        short(size),
        short(base),
        ours.join(" "),
        short(packages - base),
        short(size - packages),
    );
    let alone = root_of(&["ca-certificates"], Some(&binary))?;
    let mut lines = vec![Line {
        what: "image, as a root filesystem".to_owned(),
        measured: format!("{} MB", short(size)),
        beside: format!("Debian alone: {} MB", short(base)),
        ratio: Some(Spread::of([size / base])),
        goal: Goal::None,
    }];
    for peer in peers::in_images()? {
        let theirs = root_of(&["ca-certificates", peer.package], Some(&peer.code))?;
        println!("  {}: {} MB", peer.name, short(theirs));
        lines.push(Line {
            what: "the same without git, ssh and Redis".to_owned(),
            measured: format!("{} MB", short(alone)),
            beside: format!("Debian with {}: {} MB", peer.name, short(theirs)),
            ratio: Some(Spread::of([alone / theirs])),
            goal: Goal::None,
        });
    }
    Ok(lines)
}

/// The packages that the Dockerfile's last stage names.
fn installed_by_the_last_stage() -> Result<Vec<&'static str>, Failure> {
    let stage = DOCKERFILE.rsplit("\nFROM ").next().unwrap_or_default();
    let named = stage.split_once("--no-install-recommends").and_then(|(_, rest)| rest.split_once('\\'));
    let named = named.ok_or_else(|| Failure("deploy/Dockerfile installs nothing in its last stage".to_owned()))?;
    Ok(named.0.split_whitespace().collect())
}

/// The size of a Debian with these packages and a file or directory beside them, in MB.
fn root_of(packages: &[&str], added: Option<&Path>) -> Result<f64, Failure> {
    let home = scratch()?.join("image");
    let (archives, root) = (home.join("archives"), home.join("root"));
    for directory in [archives.join("partial"), home.join("none/partial")] {
        fs::create_dir_all(directory)?;
    }
    // As if nothing were installed yet.
    fs::write(home.join("status"), "")?;
    if root.exists() {
        fs::remove_dir_all(&root)?;
    }
    apt(&home, &archives, "--download-only", packages)?;
    // With an empty cache it names every file: 'address' name size digest.
    for line in apt(&home, &home.join("none"), "--print-uris", packages)?.lines() {
        let file = line.split_whitespace().nth(1).ok_or_else(|| Failure(format!("apt-get printed {line:?}")))?;
        said_by(Command::new("dpkg-deb").arg("--extract").arg(archives.join(file)).arg(&root))?;
    }
    for name in NOT_IN_SLIM {
        let directory = root.join("usr/share").join(name);
        if directory.exists() {
            fs::remove_dir_all(directory)?;
        }
    }
    let mut seen = BTreeSet::new();
    let mut bytes = size_of(&root, &mut seen)?;
    if let Some(added) = added {
        bytes += size_of(added, &mut seen)?;
    }
    fs::remove_dir_all(&root)?;
    Ok(bytes as f64 / 1e6)
}

/// Lets apt-get find what the packages need, for a system without any.
fn apt(home: &Path, archives: &Path, doing: &str, packages: &[&str]) -> Result<String, Failure> {
    let option = |name: &str, path: PathBuf| format!("{name}={}", path.display());
    let mut command = Command::new("apt-get");
    command.args(["-qq", "-y", "-o", "Debug::NoLocking=1"]);
    command.args(["-o", &option("Dir::State::status", home.join("status"))]);
    command.args(["-o", &option("Dir::Cache::archives", archives.to_owned())]);
    command.args([doing, "install", "--no-install-recommends"]).args(BASE).args(packages);
    said_by(&mut command)
}

fn said_by(command: &mut Command) -> Result<String, Failure> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| {
        Failure(format!("the image is put together from Debian's packages, and `{name}` cannot be run: {error}"))
    })?;
    if !output.status.success() {
        return Err(Failure(format!("`{name}` failed: {}", String::from_utf8_lossy(&output.stderr).trim())));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Bytes of all files at and below a path; one with several names counts once.
fn size_of(path: &Path, seen: &mut BTreeSet<(u64, u64)>) -> Result<u64, Failure> {
    let found = fs::symlink_metadata(path)?;
    if found.is_dir() {
        let mut all = 0;
        for entry in fs::read_dir(path)? {
            all += size_of(&entry?.path(), seen)?;
        }
        return Ok(all);
    }
    let is_new = seen.insert((found.dev(), found.ino()));
    Ok(if is_new { found.len() } else { 0 })
}
