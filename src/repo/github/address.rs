//! Where GitHub answers: its REST root, its GraphQL endpoint, and the name under which people know it.

use url::Url;

/// The addresses of one GitHub.
#[derive(Debug, Clone)]
pub(super) struct Api {
    /// Ends with `/`.
    rest: Url,
    pub graphql: Url,
    /// The host, and the port if it is an unusual one, as people know it: `github.com`.
    pub shown: String,
}

impl Api {
    /// Takes `https://api.github.com` or, for GitHub Enterprise Server, `https://HOST/api/v3`.
    pub fn new(mut rest: Url) -> Result<Self, String> {
        if !matches!(rest.scheme(), "http" | "https") || !rest.has_host() {
            return Err("the address must begin with http:// or https:// and name a host".to_owned());
        }
        if !rest.username().is_empty() || rest.password().is_some() {
            return Err("the address must not hold a user or password".to_owned());
        }
        rest.set_query(None);
        rest.set_fragment(None);
        let path = rest.path().trim_end_matches('/').to_owned();
        rest.set_path(&format!("{path}/"));
        let mut graphql = rest.clone();
        // <https://docs.github.com/en/enterprise-server/graphql/guides/managing-enterprise-accounts>
        graphql.set_path(&format!("{}/graphql", path.strip_suffix("/v3").unwrap_or(&path)));
        let host = rest.host_str().unwrap_or_default();
        let port = rest.port().map(|port| format!(":{port}")).unwrap_or_default();
        let shown = format!("{}{port}", host.strip_prefix("api.").unwrap_or(host));
        Ok(Self { rest, graphql, shown })
    }

    /// The address below the REST root; every part is escaped.
    pub fn rest<'a>(&self, parts: impl IntoIterator<Item = &'a str>) -> Url {
        let mut url = self.rest.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(parts);
        }
        url
    }

    /// Whether a token may be sent there: the same scheme, host and port.
    pub fn is_ours(&self, url: &Url) -> bool {
        url.origin() == self.rest.origin()
    }

    /// The path below the REST root, still escaped.
    pub fn below<'a>(&self, url: &'a Url) -> Option<&'a str> {
        url.path().strip_prefix(self.rest.path())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn api(text: &str) -> Api {
        Api::new(text.parse().unwrap()).unwrap()
    }

    #[test]
    fn github_com_and_enterprise_servers_have_their_graphql_in_different_places() {
        for (rest, graphql, shown) in [
            ("https://api.github.com", "https://api.github.com/graphql", "github.com"),
            ("https://api.acme.ghe.com/", "https://api.acme.ghe.com/graphql", "acme.ghe.com"),
            ("https://git.acme.com/api/v3", "https://git.acme.com/api/graphql", "git.acme.com"),
            ("http://127.0.0.1:8080/api/v3/", "http://127.0.0.1:8080/api/graphql", "127.0.0.1:8080"),
        ] {
            let api = api(rest);

            assert_eq!((api.graphql.as_str(), api.shown.as_str()), (graphql, shown));
        }
    }

    #[test]
    fn a_part_of_a_path_cannot_leave_its_place() {
        let url = api("https://git.acme.com/api/v3").rest(["repos", "o", "n", "git", "ref", "a#b", "c/d?e%"]);

        assert_eq!(url.as_str(), "https://git.acme.com/api/v3/repos/o/n/git/ref/a%23b/c%2Fd%3Fe%25");
    }

    #[test]
    fn a_token_is_sent_to_one_origin_alone() {
        let api = api("https://api.github.com");

        assert!(api.is_ours(&"https://api.github.com/repositories/1".parse().unwrap()));
        for other in ["http://api.github.com/x", "https://github.com/x", "https://api.github.com:8443/x"] {
            assert!(!api.is_ours(&other.parse().unwrap()), "{other}");
        }
    }
}
