//! What opens a remote, and how it gets to `git`: by environment only.

use std::ffi::OsString;
use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};

use super::remote::{Remote, Transport};
use crate::domain::cause::with_causes;
use crate::domain::secret::SecretSource;
use crate::repo::Error;

/// What opens a remote.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// A public or local repository; for ssh, the agent or the user's own key.
    None,
    /// User and token (or password) for http and https. GitHub wants the user `x-access-token`.
    Token { user: String, token: SecretSource },
    /// A private key file for ssh, and the file of the host keys that are trusted.
    SshKey { file: PathBuf, known_hosts: PathBuf },
}

/// Variables and settings of one `git` call that may speak to the remote. Nothing of it stands in argv.
#[derive(Default)]
pub(super) struct Opened {
    pub environment: Vec<(&'static str, OsString)>,
    pub config: Vec<(String, String)>,
    /// What must not stand in any text that leaves this module.
    pub secrets: Vec<SecretString>,
}

/// The variables that carry a token to the credential helper below.
const USER: &str = "FGD_GIT_USERNAME";
const PASSWORD: &str = "FGD_GIT_PASSWORD";
/// Answers Git's question for credentials from the environment. Git asks it only for the host it is configured for,
/// so a redirect to another host gets nothing; an askpass program would be asked for every host.
const HELPER: &str =
    r#"!f() { test "$1" = get && printf 'username=%s\npassword=%s\n' "$FGD_GIT_USERNAME" "$FGD_GIT_PASSWORD"; }; f"#;

impl Credentials {
    /// Fails when these credentials cannot serve the remote at all.
    pub(super) fn check(&self, remote: &Remote) -> Result<(), Error> {
        match (self, remote.transport()) {
            (Self::None, _) | (Self::Token { .. }, Transport::Http { .. }) | (Self::SshKey { .. }, Transport::Ssh) => {
                Ok(())
            }
            (Self::Token { .. }, Transport::Ssh | Transport::Local) => {
                Err(local(format!("a token serves http and https, not {remote}")))
            }
            (Self::SshKey { .. }, Transport::Http { .. } | Transport::Local) => {
                Err(local(format!("an ssh key serves ssh, not {remote}")))
            }
        }
    }

    /// Reads the secret, as it is now, into the form that `git` takes.
    pub(super) fn open(&self, remote: &Remote) -> Result<Opened, Error> {
        let mut opened = Opened::default();
        match (self, remote.transport()) {
            (Self::Token { user, token }, Transport::Http { scope, .. }) => {
                let token = token.read().map_err(|unusable| local(with_causes(&unusable)))?;
                if user.contains(['\n', '\r', '\0']) {
                    return Err(local("the user has more than one line".to_owned()));
                }
                opened.environment.push((USER, user.into()));
                opened.environment.push((PASSWORD, token.expose_secret().into()));
                opened.config.push((format!("credential.{scope}.helper"), HELPER.to_owned()));
                opened.secrets.push(token);
            }
            (Self::SshKey { file, known_hosts }, Transport::Ssh) => {
                // ssh splits the value of this option at spaces, unless it has double quotes of its own.
                let known_hosts = format!("UserKnownHostsFile=\"{}\"", known_hosts.display());
                let ssh = format!(
                    "ssh -F none -o BatchMode=yes -o StrictHostKeyChecking=yes -o IdentitiesOnly=yes -i {} -o {}",
                    quoted(&file.display().to_string()),
                    quoted(&known_hosts)
                );
                opened.environment.push(("GIT_SSH_COMMAND", ssh.into()));
            }
            (Self::None, Transport::Ssh) => {
                opened.environment.push(("GIT_SSH_COMMAND", "ssh -o BatchMode=yes".into()));
            }
            (Self::None | Self::Token { .. } | Self::SshKey { .. }, _) => {}
        }
        Ok(opened)
    }
}

/// `GIT_SSH_COMMAND` is read by a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn local(detail: String) -> Error {
    Error::Local { doing: "reading the repository's credentials", detail }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_credential_shows_its_secret() {
        let credentials =
            Credentials::Token { user: "bot".to_owned(), token: SecretSource::Text(SecretString::from("hunter2")) };

        assert!(!format!("{credentials:?}").contains("hunter2"));
    }

    #[test]
    fn credentials_of_the_wrong_kind_are_refused() {
        let token = Credentials::Token { user: String::new(), token: SecretSource::Text(SecretString::from("t")) };
        let key = Credentials::SshKey { file: "/k".into(), known_hosts: "/h".into() };

        assert!(token.check(&"git@example.com:f".parse().unwrap()).is_err());
        assert!(key.check(&"https://example.com/f".parse().unwrap()).is_err());
    }

    #[test]
    fn a_key_path_with_a_quote_stays_one_word() {
        assert_eq!(quoted("/a'b c"), r"'/a'\''b c'");
    }
}
