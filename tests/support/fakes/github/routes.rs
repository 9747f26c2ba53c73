//! What can be asked: every route by name, its method and path, and the permission that it needs.

use super::access::{Level, Permission};

macro_rules! routes {
    ($($name:ident $method:literal $path:literal $permission:ident $level:ident;)*) => {
        /// A request by what it is for. Of GraphQL, every mutation is a route of its own.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Route {
            $($name,)*
            /// A GraphQL document that is no mutation known here.
            Query,
            UpdateRefs,
            CreateRef,
            CreateCommitOnBranch,
        }

        const ROUTES: &[(Route, &str, &str, Permission, Level)] = &[
            $((Route::$name, $method, $path, Permission::$permission, Level::$level),)*
        ];
    };
}

// `{name}` is one segment, `{name..}` the rest of the path.
routes! {
    GetRateLimit "GET" "rate_limit" Nothing Read;
    GetApp "GET" "app" App Read;
    ListInstallations "GET" "app/installations" App Read;
    GetInstallation "GET" "app/installations/{id}" App Read;
    CreateToken "POST" "app/installations/{id}/access_tokens" App Read;
    GetRepositoryInstallation "GET" "repos/{owner}/{repo}/installation" App Read;
    GetUser "GET" "user" Nothing Read;
    GetRepository "GET" "repos/{owner}/{repo}" Metadata Read;
    GetRef "GET" "repos/{owner}/{repo}/git/ref/{ref..}" Contents Read;
    MatchingRefs "GET" "repos/{owner}/{repo}/git/matching-refs/{ref..}" Contents Read;
    PostRef "POST" "repos/{owner}/{repo}/git/refs" Contents Write;
    PatchRef "PATCH" "repos/{owner}/{repo}/git/refs/{ref..}" Contents Write;
    DeleteRef "DELETE" "repos/{owner}/{repo}/git/refs/{ref..}" Contents Write;
    GetGitCommit "GET" "repos/{owner}/{repo}/git/commits/{sha}" Contents Read;
    PostGitCommit "POST" "repos/{owner}/{repo}/git/commits" Contents Write;
    GetTree "GET" "repos/{owner}/{repo}/git/trees/{sha}" Contents Read;
    PostTree "POST" "repos/{owner}/{repo}/git/trees" Contents Write;
    GetBlob "GET" "repos/{owner}/{repo}/git/blobs/{sha}" Contents Read;
    PostBlob "POST" "repos/{owner}/{repo}/git/blobs" Contents Write;
    GetContents "GET" "repos/{owner}/{repo}/contents/{path..}" Contents Read;
    PutContents "PUT" "repos/{owner}/{repo}/contents/{path..}" Contents Write;
    DeleteContents "DELETE" "repos/{owner}/{repo}/contents/{path..}" Contents Write;
    ListCommits "GET" "repos/{owner}/{repo}/commits" Contents Read;
    GetCombinedStatus "GET" "repos/{owner}/{repo}/commits/{ref}/status" Statuses Read;
    ListStatuses "GET" "repos/{owner}/{repo}/commits/{ref}/statuses" Statuses Read;
    GetCommit "GET" "repos/{owner}/{repo}/commits/{ref..}" Contents Read;
    PostStatus "POST" "repos/{owner}/{repo}/statuses/{sha}" Statuses Write;
    Compare "GET" "repos/{owner}/{repo}/compare/{basehead..}" Contents Read;
    ListBranches "GET" "repos/{owner}/{repo}/branches" Contents Read;
    GetProtection "GET" "repos/{owner}/{repo}/branches/{branch}/protection" Administration Read;
    GetBranch "GET" "repos/{owner}/{repo}/branches/{branch..}" Contents Read;
    GetBranchRules "GET" "repos/{owner}/{repo}/rules/branches/{branch..}" Metadata Read;
    GetRuleset "GET" "repos/{owner}/{repo}/rulesets/{id}" Metadata Read;
    ListPulls "GET" "repos/{owner}/{repo}/pulls" PullRequests Read;
    PostPull "POST" "repos/{owner}/{repo}/pulls" PullRequests Write;
    GetPull "GET" "repos/{owner}/{repo}/pulls/{number}" PullRequests Read;
    PatchPull "PATCH" "repos/{owner}/{repo}/pulls/{number}" PullRequests Write;
    ListPullCommits "GET" "repos/{owner}/{repo}/pulls/{number}/commits" PullRequests Read;
    MergePull "PUT" "repos/{owner}/{repo}/pulls/{number}/merge" Contents Write;
    ListHooks "GET" "repos/{owner}/{repo}/hooks" Webhooks Read;
    PostHook "POST" "repos/{owner}/{repo}/hooks" Webhooks Write;
    GetHook "GET" "repos/{owner}/{repo}/hooks/{id}" Webhooks Read;
    PatchHook "PATCH" "repos/{owner}/{repo}/hooks/{id}" Webhooks Write;
    DeleteHook "DELETE" "repos/{owner}/{repo}/hooks/{id}" Webhooks Write;
    PingHook "POST" "repos/{owner}/{repo}/hooks/{id}/pings" Webhooks Read;
    ListDeliveries "GET" "repos/{owner}/{repo}/hooks/{id}/deliveries" Webhooks Read;
    GetDelivery "GET" "repos/{owner}/{repo}/hooks/{id}/deliveries/{delivery}" Webhooks Read;
    Redeliver "POST" "repos/{owner}/{repo}/hooks/{id}/deliveries/{delivery}/attempts" Webhooks Write;
}

/// A route and the variable parts of its path, decoded.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub route: Route,
    params: Vec<(&'static str, String)>,
}

impl Found {
    pub fn graphql(route: Route) -> Self {
        Self { route, params: Vec::new() }
    }

    pub fn param(&self, name: &str) -> &str {
        self.params.iter().find(|(key, _)| *key == name).map_or("", |(_, value)| value)
    }
}

impl Route {
    /// What a token needs.
    pub(super) fn needs(self) -> (Permission, Level) {
        match ROUTES.iter().find(|(route, ..)| *route == self) {
            Some((_, _, _, permission, level)) => (*permission, *level),
            None if self == Self::Query => (Permission::Nothing, Level::Read),
            None => (Permission::Contents, Level::Write),
        }
    }

    /// Whether it is meant to change something that people see. Objects alone count too, as GitHub counts them.
    pub fn writes(self) -> bool {
        match ROUTES.iter().find(|(route, ..)| *route == self) {
            Some((_, method, ..)) => *method != "GET" && !matches!(self, Self::CreateToken),
            None => self != Self::Query,
        }
    }
}

/// The route of a path below the REST root. A path of a route with another method is no route.
pub(super) fn find(method: &str, path: &str) -> Option<Found> {
    let raw: Vec<&str> = path.split('/').collect();
    let method = if method == "HEAD" { "GET" } else { method };
    ROUTES.iter().filter(|(_, of, ..)| *of == method).find_map(|(route, _, pattern, ..)| {
        let params = matches(pattern, &raw)?;
        Some(Found { route: *route, params })
    })
}

fn matches(pattern: &'static str, raw: &[&str]) -> Option<Vec<(&'static str, String)>> {
    let mut params = Vec::new();
    let mut at = 0;
    for part in pattern.split('/') {
        let name = part.strip_prefix('{').and_then(|part| part.strip_suffix('}'));
        match name {
            Some(name) if name.ends_with("..") => {
                let rest = raw.get(at..)?;
                let rest: Vec<String> = rest.iter().map(|segment| decode(segment)).collect();
                params.push((name.trim_end_matches('.'), rest.join("/")));
                return Some(params);
            }
            Some(name) => params.push((name, raw.get(at).filter(|segment| !segment.is_empty()).map(|s| decode(s))?)),
            None if raw.get(at) == Some(&part) => {}
            None => return None,
        }
        at += 1;
    }
    (at == raw.len()).then_some(params)
}

/// Undoes percent-encoding.
pub(super) fn decode(segment: &str) -> String {
    let bytes = segment.as_bytes();
    let mut decoded = Vec::new();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let pair = bytes.get(at + 1..at + 3).and_then(|pair| std::str::from_utf8(pair).ok());
        match pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()).filter(|_| *byte == b'%') {
            Some(code) => {
                decoded.push(code);
                at += 3;
            }
            None => {
                decoded.push(*byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}
