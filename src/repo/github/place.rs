//! Where a repository is, which changes when somebody renames it.

use url::Url;

use super::address::Api;

/// A repository's present place and names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// The parts of its path: `repos`, owner, name; after a rename `repositories`, id.
    pub path: Vec<String>,
    pub owner: String,
    pub name: String,
    /// `github.com/owner/name`, as errors and logs show it.
    pub shown: String,
}

impl Place {
    /// Where the settings say it is.
    pub fn new(api: &Api, owner: &str, name: &str) -> Self {
        Self {
            path: vec!["repos".to_owned(), owner.to_owned(), name.to_owned()],
            owner: owner.to_owned(),
            name: name.to_owned(),
            shown: format!("{}/{owner}/{name}", api.shown),
        }
    }

    /// Its path when something of it that was asked for has moved; `None` when that tells no new one.
    pub fn path_after(&self, api: &Api, asked: &Url, moved: &Url) -> Option<Vec<String>> {
        let here = api.rest(self.path.iter().map(String::as_str));
        let rest = asked.path().strip_prefix(here.path())?;
        let new = api.below(moved)?.strip_suffix(rest)?.trim_end_matches('/');
        let new: Vec<String> = new.split('/').map(str::to_owned).collect();
        (new.len() > 1 && new != self.path).then_some(new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_tells_the_new_place_of_everything() {
        let api = Api::new("https://git.acme.com/api/v3".parse().unwrap()).unwrap();
        let place = Place::new(&api, "acme", "old");
        let after = |asked: &str, moved: &str| {
            let url = |rest: &str| format!("https://git.acme.com/api/v3/{rest}").parse().unwrap();
            place.path_after(&api, &url(asked), &url(moved)).map(|parts| parts.join("/"))
        };

        assert_eq!(
            after("repos/acme/old/git/trees/1", "repositories/7/git/trees/1").as_deref(),
            Some("repositories/7")
        );
        assert_eq!(after("repos/acme/old", "repos/acme/new").as_deref(), Some("repos/acme/new"));
        assert_eq!(after("repos/acme/old/git/trees/1", "repositories/7/git/trees/2"), None);
        assert_eq!(after("repos/acme/old/git/trees/1", "repos/acme/old/git/trees/1"), None);
    }
}
