//! The address of a remote, parsed once.

use std::fmt;
use std::str::FromStr;

use url::Url;

/// An address that `git` fetches from and pushes to: https, http, ssh, `user@host:path`, `file://` or an absolute path.
///
/// Holds no secret: an address with a password or token inside is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote {
    text: String,
    transport: Transport,
}

/// How a remote is spoken to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Transport {
    /// `scope` is scheme, host and port: the only place that a token is given to.
    Http {
        scope: String,
        tls: bool,
    },
    Ssh,
    Local,
}

/// Why a text is not the address of a remote. Never shows the text, which may hold a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not the address of a Git remote: {0}")]
pub struct BadRemote(&'static str);

impl Remote {
    /// The address as text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub(super) fn transport(&self) -> &Transport {
        &self.transport
    }
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Remote {
    type Err = BadRemote;

    fn from_str(text: &str) -> Result<Self, BadRemote> {
        if text.is_empty() || text.chars().any(|c| c.is_control() || c == ' ' && text.contains("://")) {
            return Err(BadRemote("it is empty, or has a space or control character"));
        }
        let transport = if text.contains("://") {
            of_url(text)?
        } else if text.starts_with('/') {
            Transport::Local
        } else {
            of_scp_form(text)?
        };
        Ok(Self { text: text.to_owned(), transport })
    }
}

fn of_url(text: &str) -> Result<Transport, BadRemote> {
    let url = Url::parse(text).map_err(|_| BadRemote("it is not a URL"))?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err(BadRemote("it has a `?` or `#` part, where secrets hide"));
    }
    if url.password().is_some() {
        return Err(BadRemote("it has a password inside; give it as the repository's credentials"));
    }
    match url.scheme() {
        scheme @ ("https" | "http") => {
            if !url.username().is_empty() {
                return Err(BadRemote("it has a user or token inside; give it as the repository's credentials"));
            }
            let host = url.host_str().ok_or(BadRemote("it has no host"))?;
            let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
            Ok(Transport::Http { scope: format!("{scheme}://{host}{port}"), tls: scheme == "https" })
        }
        "ssh" => match url.host_str() {
            Some(host) if !host.is_empty() && !host.starts_with('-') => Ok(Transport::Ssh),
            Some(_) | None => Err(BadRemote("it has no usable host")),
        },
        "file" if url.host_str().is_none_or(str::is_empty) => Ok(Transport::Local),
        "file" => Err(BadRemote("a file URL has three slashes: file:///path")),
        _ => Err(BadRemote("its scheme is none of https, http, ssh, file")),
    }
}

/// `user@host:path`, which Git takes for ssh when no slash stands before the colon.
fn of_scp_form(text: &str) -> Result<Transport, BadRemote> {
    let (place, path) = text.split_once(':').ok_or(BadRemote("a local path must be absolute"))?;
    let host = place.rsplit('@').next().unwrap_or_default();
    // `ext::command` would run the command; a host or user that begins with `-` would be an option of ssh.
    if path.starts_with(':') || place.contains('/') {
        return Err(BadRemote("it is neither a URL, nor user@host:path, nor an absolute path"));
    }
    if host.is_empty() || path.is_empty() || host.starts_with('-') || place.starts_with('-') {
        return Err(BadRemote("it has no usable host or path"));
    }
    Ok(Transport::Ssh)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_that_git_reads_is_taken() {
        for good in [
            "https://github.com/acme/fabric.git",
            "http://127.0.0.1:8080/fabric.git",
            "ssh://git@example.com:2222/fabric.git",
            "git@github.com:acme/fabric.git",
            "example.com:fabric",
            "/srv/git/fabric with spaces.git",
            "file:///srv/git/fabric.git",
        ] {
            assert_eq!(good.parse::<Remote>().map(|remote| remote.to_string()).as_deref(), Ok(good));
        }
    }

    #[test]
    fn a_secret_in_the_address_is_refused_and_not_shown() {
        for bad in [
            "https://bot:hunter2@example.com/f.git",
            "https://hunter2@example.com/f.git",
            "ssh://git:hunter2@example.com/f.git",
            "https://example.com/f.git?private_token=hunter2",
            "https://example.com/f.git#hunter2",
        ] {
            let error = bad.parse::<Remote>().expect_err(bad);

            assert!(!format!("{error} {error:?}").contains("hunter2"));
        }
    }

    #[test]
    fn what_would_run_a_command_or_be_an_option_is_refused() {
        for bad in [
            "ext::sh -c id",
            "-oProxyCommand=id:x",
            "git@-oProxyCommand=id:x",
            "ssh://-oProxyCommand=id/x",
            "a/b:c",
            "srv",
        ] {
            assert!(bad.parse::<Remote>().is_err(), "{bad} was taken");
        }
    }

    #[test]
    fn a_token_goes_to_one_host_and_port() {
        let remote: Remote = "https://example.com:8443/a/b.git".parse().unwrap();

        assert_eq!(remote.transport(), &Transport::Http { scope: "https://example.com:8443".to_owned(), tls: true });
    }
}
