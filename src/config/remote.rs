//! Addresses: of repositories, in every form that git takes, and of HTTP servers.

use std::fmt;
use std::net::IpAddr;

use url::Url;

use super::section::Refusal;

/// The address of a repository, without a password in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteUrl {
    text: String,
    transport: Transport,
    identity: String,
}

/// How git reaches a repository; decides which credentials apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// http:// and https://: user and token, proxy, CA file.
    Http,
    /// ssh:// and `user@host:path`: key and known hosts.
    Ssh,
    /// A path on this machine.
    Local,
}

impl RemoteUrl {
    /// The address as git takes it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// How git reaches it.
    pub fn transport(&self) -> Transport {
        self.transport
    }

    /// `host/path` in lower case without user, scheme, usual port and `.git`: equal for two spellings of one repository.
    ///
    /// A push webhook's `clone_url` and `ssh_url` have the same one.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// Reads an address: http(s), ssh, `user@host:path`, file:// or an absolute path.
    pub(super) fn read(text: &str) -> Result<Self, Refusal> {
        // In an address a blank is written `%20`; in a path it stands as it is.
        let is_path = text.starts_with('/');
        if text.chars().any(|c| c.is_control() || (c.is_whitespace() && !is_path)) {
            return Err(Refusal::new("holds a blank or a control character", EXAMPLES));
        }
        if is_path {
            return Ok(Self::local(text, text));
        }
        if text.contains("://") { Self::from_url(text) } else { Self::from_scp(text) }
    }

    fn local(text: &str, path: &str) -> Self {
        let identity = path.trim_end_matches('/').trim_end_matches(".git").trim_end_matches('/').to_owned();
        Self { text: text.to_owned(), transport: Transport::Local, identity }
    }

    fn from_url(text: &str) -> Result<Self, Refusal> {
        let url = Url::parse(text).map_err(|error| Refusal::new(format!("is not an address: {error}"), EXAMPLES))?;
        let (transport, usual_port) = match url.scheme() {
            "https" => (Transport::Http, 443),
            "http" => (Transport::Http, 80),
            "ssh" => (Transport::Ssh, 22),
            "file" => return Ok(Self::local(text, url.path())),
            other => return Err(Refusal::new(format!("`{other}` is not a way that git takes here"), EXAMPLES)),
        };
        if url.password().is_some() {
            return Err(credentials());
        }
        if transport == Transport::Http && !url.username().is_empty() {
            return Err(Refusal::new("holds a user", "Take it out of the address and put it into `user`."));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(Refusal::new("holds a query or a fragment", EXAMPLES));
        }
        let port = url.port().filter(|port| *port != usual_port).map(|port| format!(":{port}")).unwrap_or_default();
        let host = format!("{}{port}", url.host_str().unwrap_or_default());
        Self::remote(text, transport, &host, url.path())
    }

    /// `user@host:path`, as git and ssh write it.
    fn from_scp(text: &str) -> Result<Self, Refusal> {
        let (login, path) =
            text.split_once(':').ok_or_else(|| Refusal::new("is neither an address nor an absolute path", EXAMPLES))?;
        let host = login.rsplit('@').next().unwrap_or(login);
        // An address that starts with a dash would reach ssh as an option.
        if login.starts_with('-') || host.starts_with('-') {
            return Err(Refusal::new("starts with a dash", EXAMPLES));
        }
        Self::remote(text, Transport::Ssh, host, path)
    }

    fn remote(text: &str, transport: Transport, host: &str, path: &str) -> Result<Self, Refusal> {
        let path = path.trim_matches('/').trim_end_matches(".git").trim_end_matches('/');
        if host.is_empty() || path.is_empty() {
            return Err(Refusal::new("has no host or no path", EXAMPLES));
        }
        let identity = format!("{host}/{path}").to_lowercase();
        Ok(Self { text: text.to_owned(), transport, identity })
    }
}

impl fmt::Display for RemoteUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

const EXAMPLES: &str = "Write such as https://git.example.com/team/fabric.git, git@git.example.com:team/fabric.git or /srv/git/fabric.git.";

fn credentials() -> Refusal {
    Refusal::new(
        "holds a password, which would reach logs and process lists",
        "Take it out of the address and use the setting for it (`token_file`).",
    )
}

/// The address of an HTTP server: http or https, no credentials, no query.
pub(super) fn http(text: &str) -> Result<Url, Refusal> {
    const EXAMPLE: &str = "Write such as https://netbox.example.com.";
    let url = Url::parse(text).map_err(|error| Refusal::new(format!("is not an address: {error}"), EXAMPLE))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(Refusal::new(format!("`{}` is not http or https", url.scheme()), EXAMPLE));
    }
    if url.password().is_some() || !url.username().is_empty() {
        return Err(credentials());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(Refusal::new("holds a query or a fragment", EXAMPLE));
    }
    Ok(url)
}

/// Whether what is sent there can be read on the way.
pub(super) fn is_plain_and_far(url: &Url) -> bool {
    url.scheme() == "http" && is_far(url)
}

/// Whether it is another machine.
pub(super) fn is_far(url: &Url) -> bool {
    let near = match url.host() {
        Some(url::Host::Domain(name)) => {
            // Only http and https addresses have their numbers told from names.
            name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
        }
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    !near
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(text: &str) -> String {
        RemoteUrl::read(text).ok().unwrap().identity().to_owned()
    }

    #[test]
    fn every_spelling_of_a_repository_has_one_identity() {
        let expected = "git.example.com/team/fabric";

        for text in [
            "https://git.example.com/team/fabric.git",
            "https://GIT.example.com:443/Team/fabric/",
            "ssh://git@git.example.com/team/fabric.git",
            "git@git.example.com:team/fabric.git",
        ] {
            assert_eq!(identity(text), expected, "{text}");
        }
    }

    #[test]
    fn another_port_is_another_server() {
        assert_ne!(
            identity("https://git.example.com:8443/team/fabric"),
            identity("https://git.example.com/team/fabric")
        );
    }

    #[test]
    fn an_address_that_git_could_take_for_an_option_is_refused() {
        for text in ["--upload-pack=touch:x", "-oProxyCommand=x:y", "a@-oProxyCommand=x:y", "ext::sh -c x", "../up"] {
            assert!(RemoteUrl::read(text).is_err(), "{text} was taken");
        }
    }

    #[test]
    fn a_password_in_an_address_is_refused_and_not_repeated() {
        for text in ["https://a:hunter2@git.example.com/x", "ssh://a:hunter2@git.example.com/x"] {
            let refusal = RemoteUrl::read(text).err().unwrap();

            assert!(!refusal.message.contains("hunter2") && !refusal.remedy.contains("hunter2"));
        }
    }
}
