//! TLS of our own listener.

use std::path::PathBuf;

use super::declared::{Group, Text};
use super::section::Section;

pub(super) const TLS: Group = Group::single(
    "tls",
    "TLS of the listener, where no proxy ends it; the files are read again when they change.",
    &[&CERTIFICATE_FILE, &KEY_FILE],
);
const CERTIFICATE_FILE: Text =
    Text::required("certificate_file", "file", "PEM: the certificate, and those between it and the authority.");
const KEY_FILE: Text = Text::required("key_file", "file", "PEM: the certificate's private key.");

/// The files of a certificate, read again when they change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// PEM: the certificate, and those between it and the authority.
    pub certificate_file: PathBuf,
    /// PEM.
    pub key_file: PathBuf,
}

pub(super) fn tls(root: &Section<'_>) -> Option<Tls> {
    let section = root.get(TLS.name)?.section(&TLS)?;
    let file = |declared: &Text| {
        let setting = section.require(declared.name, "Name both files: certificate_file and key_file.")?;
        setting.readable_file()
    };
    let (certificate_file, key_file) = (file(&CERTIFICATE_FILE), file(&KEY_FILE));
    Some(Tls { certificate_file: certificate_file?, key_file: key_file? })
}
