//! Secrets, written in place or in a file that is read at every use.

use secrecy::{ExposeSecret, SecretString};

use crate::domain::secret::{SecretError, SecretSource};

use super::section::{Section, Setting};

/// A secret of the settings that was read once, to check it and to compare it with others.
#[derive(Clone)]
pub(super) struct Found<'a> {
    pub setting: Setting<'a>,
    pub source: SecretSource,
    pub now: SecretString,
}

/// The setting names of one secret: in place, and in a file.
pub(super) struct Names {
    pub text: &'static str,
    pub file: &'static str,
}

/// `token` and `token_file`.
pub(super) const TOKEN: Names = Names { text: "token", file: "token_file" };

/// A secret that may stand in place or in a file, but not in both.
pub(super) fn one<'a>(section: &Section<'a>, names: &Names) -> Option<Found<'a>> {
    let (text, file) = (section.get(names.text), section.get(names.file));
    if let (Some(text), Some(_)) = (&text, &file) {
        text.refuse(format!("stands beside `{}`", names.file), "Keep one of the two.");
    }
    match (text, file) {
        (Some(setting), _) => {
            let text = SecretString::from(setting.text()?);
            found(setting, SecretSource::Text(text))
        }
        (None, Some(setting)) => {
            let path = setting.path_buf()?;
            found(setting, SecretSource::File(path))
        }
        (None, None) => None,
    }
}

/// As `one`, with a problem when neither is there.
pub(super) fn required<'a>(section: &Section<'a>, names: &Names, remedy: &str) -> Option<Found<'a>> {
    if section.get(names.text).is_none() && section.get(names.file).is_none() {
        section.missing(names.text, format!("is missing, and so is `{}`", names.file), remedy);
        return None;
    }
    one(section, names)
}

/// Every webhook secret of a section: `webhook_secret`, `webhook_secret_file`, and the list `webhook_secrets`, whose
/// items are texts or `{file: path}`. All are valid at once, so that one can be replaced without a gap.
pub(super) fn webhook_secrets<'a>(section: &Section<'a>) -> Vec<Found<'a>> {
    let single = one(section, &Names { text: "webhook_secret", file: "webhook_secret_file" });
    let list = section.get("webhook_secrets").map(|list| list.items()).unwrap_or_default();
    let all: Vec<_> = single.into_iter().chain(list.into_iter().filter_map(item)).collect();
    for secret in all.iter().filter(|secret| secret.now.expose_secret().chars().count() < SHORT) {
        secret.setting.warn(
            format!("is shorter than {SHORT} characters and can be guessed from one delivery"),
            "Use a random one, such as `openssl rand -hex 32` prints.",
        );
    }
    all
}

/// Below this many characters somebody who saw one signed delivery can try all secrets.
const SHORT: usize = 16;

fn item<'a>(setting: Setting<'a>) -> Option<Found<'a>> {
    use super::tree::Value;
    if !matches!(setting.node.value, Value::Map(_)) {
        let text = SecretString::from(setting.text()?);
        return found(setting, SecretSource::Text(text));
    }
    let section = setting.section()?;
    let file = section.require("file", "Name the file that holds the secret.");
    section.close();
    let file = file?;
    let path = file.path_buf()?;
    found(file, SecretSource::File(path))
}

fn found(setting: Setting<'_>, source: SecretSource) -> Option<Found<'_>> {
    match source.read() {
        Ok(now) => Some(Found { setting, source, now }),
        Err(SecretError::Unreadable { path, source }) => {
            setting.refuse(
                format!("{} cannot be read: {source}", path.display()),
                "Name a file that the service's user may read.",
            );
            None
        }
        Err(SecretError::Unusable { fault, .. }) => {
            setting.refuse(format!("the secret {fault}"), "Give the secret on one line.");
            None
        }
    }
}
