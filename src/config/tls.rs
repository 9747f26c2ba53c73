//! TLS of our own listener.

use std::path::PathBuf;

use super::section::Section;

/// The files of a certificate, read again when they change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// PEM: the certificate, and those between it and the authority.
    pub certificate_file: PathBuf,
    /// PEM.
    pub key_file: PathBuf,
}

pub(super) fn tls(root: &Section<'_>) -> Option<Tls> {
    let section = root.get("tls")?.section()?;
    let file = |name: &'static str| {
        let setting = section.require(name, "Name both files: certificate_file and key_file.")?;
        setting.readable_file()
    };
    let (certificate_file, key_file) = (file("certificate_file"), file("key_file"));
    section.close();
    Some(Tls { certificate_file: certificate_file?, key_file: key_file? })
}
