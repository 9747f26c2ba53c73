//! Secrets, written in place or in a file that is read at every use.

use secrecy::{ExposeSecret, SecretString};

use crate::domain::secret::{SecretError, SecretSource};

use super::declared::{Each, Group, Secret, Standard, Text};
use super::section::{Section, Setting};

/// A secret of the settings that was read once, to check it and to compare it with others.
#[derive(Clone)]
pub(super) struct Found<'a> {
    pub setting: Setting<'a>,
    pub source: SecretSource,
    pub now: SecretString,
}

pub(super) const WEBHOOK_SECRET: Secret = Secret {
    text: "webhook_secret",
    file: "webhook_secret_file",
    standard: Standard::Unset,
    about: "Signs this server's webhooks; without any, deliveries are refused and changes wait for the next comparison.",
};
pub(super) const WEBHOOK_SECRETS: Group = Group {
    name: "webhook_secrets",
    each: Each::Secrets,
    about: "Several at once, while one is being replaced.",
    settings: &[&SECRET_FILE],
};
const SECRET_FILE: Text = Text::required("file", "path", "A file that holds the secret.");

/// A secret that may stand in place or in a file, but not in both.
pub(super) fn one<'a>(section: &Section<'a>, names: &Secret) -> Option<Found<'a>> {
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

/// Whether it stands there in one of its forms.
pub(super) fn is_written(section: &Section<'_>, names: &Secret) -> bool {
    section.get(names.text).is_some() || section.get(names.file).is_some()
}

/// As `one`, with a problem when neither is there.
pub(super) fn required<'a>(section: &Section<'a>, names: &Secret, remedy: &str) -> Option<Found<'a>> {
    if !is_written(section, names) {
        section.missing(names.text, format!("is missing, and so is `{}`", names.file), remedy);
        return None;
    }
    one(section, names)
}

/// Every webhook secret of a section: `webhook_secret`, `webhook_secret_file`, and the list `webhook_secrets`, whose
/// items are texts or `{file: path}`. All are valid at once, so that one can be replaced without a gap.
pub(super) fn webhook_secrets<'a>(section: &Section<'a>) -> Vec<Found<'a>> {
    let single = one(section, &WEBHOOK_SECRET);
    let list = section.get(WEBHOOK_SECRETS.name).map(|list| list.items()).unwrap_or_default();
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
    let section = setting.section(&WEBHOOK_SECRETS)?;
    let file = section.require(SECRET_FILE.name, "Name the file that holds the secret.")?;
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
