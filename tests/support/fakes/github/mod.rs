//! A stand-in for GitHub: REST and GraphQL, stateful, strict, over real HTTP on 127.0.0.1.
//!
//! It answers under GHES's paths (`/api/v3`, `/api/graphql`) and under github.com's. Objects and refs live in a real
//! bare repository for each repository, made by real Git: every id is true, and people push to it by path. It behaves as
//! GitHub documents, and as was measured where it does not say. A request that no client should make, and a fault that
//! nobody ran into, fail the test when it is dropped; so does a repository that `git fsck` finds fault with.
//!
//! | file | is |
//! |---|---|
//! | `world` | repositories, tokens, clock: the state |
//! | `store` | objects and refs, by Git |
//! | `push` `rules` | how refs move, and what stands against it |
//! | `server` `admit` `answer` | the socket, the door, the way to the routes |
//! | `routes` `access` `body` `reply` | routes, permissions, shapes of bodies, answers |
//! | `refs` `git_data` `commits` `contents` `statuses` `pulls` `merge` | REST, by what it is about |
//! | `hooks` `deliveries` | webhooks, and pushes noticed, signed and sent |
//! | `apps` | Apps, their JWTs, installations and tokens |
//! | `graphql` | GraphQL |
//! | `faults` | what goes wrong |
//! | `record` | what is checked against GitHub's published descriptions |

mod access;
mod admit;
mod answer;
mod apps;
mod body;
mod commits;
mod contents;
mod deliveries;
mod faults;
mod git_data;
mod graphql;
mod hooks;
mod merge;
mod pulls;
mod push;
mod record;
mod refs;
mod reply;
mod routes;
mod rules;
mod server;
mod show;
mod statuses;
mod store;
mod world;

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

#[allow(unused_imports, reason = "each test binary uses a part of it")]
pub use self::{
    access::{Level, Permission, Token},
    apps::APP_KEY,
    deliveries::{Outcome, Parcel},
    faults::Fault,
    hooks::{ContentType, Hook},
    merge::Method,
    pulls::Pull,
    routes::Route,
    rules::Rule,
    statuses::Status,
    world::Served,
};
use access::Kind;
use apps::{App, Installation};
use world::World;

use crate::support::git_server::{Bare, Person};

/// A personal token that may do everything; its user is `fgd-sync`. Fake, as every secret here.
pub const TOKEN: &str = "github_pat_standin_0123456789abcdef";

/// A running stand-in; stops and checks itself when dropped.
pub struct GitHub {
    world: Arc<Mutex<World>>,
    origin: String,
    server: server::Running,
}

/// A repository on it, as its administrator and as a witness sees it.
pub struct Hosted<'a> {
    github: &'a GitHub,
    at: usize,
}

impl GitHub {
    /// With one token, and no repository.
    pub fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port on 127.0.0.1");
        let origin = format!("http://{}", listener.local_addr().expect("an address"));
        let world = Arc::new(Mutex::new(World::new(origin.clone())));
        let server = server::start(listener, Arc::clone(&world));
        let github = Self { world, origin, server };
        github.add_token(TOKEN, Token::of("fgd-sync"));
        github
    }

    fn world(&self) -> MutexGuard<'_, World> {
        server::lock(&self.world)
    }

    /// Scheme, host and port: the web address, and the REST root in github.com's form.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// REST's root, as on GitHub Enterprise Server.
    pub fn rest_url(&self) -> String {
        format!("{}/api/v3", self.origin)
    }

    pub fn graphql_url(&self) -> String {
        format!("{}/api/graphql", self.origin)
    }

    /// Makes a private, empty repository, whose default branch is to be `main`.
    pub fn create(&self, owner: &str, name: &str) -> Hosted<'_> {
        let at = self.world().add_repo(owner, name);
        Hosted { github: self, at }
    }

    /// A repository that was created before, by its present `owner/name`.
    pub fn hosted(&self, full_name: &str) -> Hosted<'_> {
        let at = self.world().repo_named(full_name).expect("a repository that was created");
        Hosted { github: self, at }
    }

    pub fn add_token(&self, secret: &str, token: Token) {
        self.world().tokens.insert(secret.to_owned(), token);
    }

    /// Makes an App, which signs its JWTs with `APP_KEY`; gives its id.
    pub fn add_app(&self, slug: &str) -> u64 {
        let mut world = self.world();
        let id = world.next_id();
        world.apps.push(App { id, client_id: format!("Iv23{slug}"), slug: slug.to_owned() });
        id
    }

    /// Puts an App on an account, for these of its repositories (`owner/name`; empty: all); gives the installation's id.
    pub fn install(&self, app: u64, account: &str, repos: &[&str], permissions: &[(Permission, Level)]) -> u64 {
        let mut world = self.world();
        let id = world.next_id();
        let repos = (!repos.is_empty()).then(|| repos.iter().map(|repo| (*repo).to_owned()).collect());
        let mut permissions: BTreeMap<Permission, Level> = permissions.iter().copied().collect();
        permissions.entry(Permission::Metadata).or_insert(Level::Read);
        let account = account.to_owned();
        world.installations.push(Installation { id, app, account, repos, permissions, suspended: false });
        id
    }

    /// From now on the installation gives no tokens, and those given are bad.
    pub fn suspend(&self, installation: u64) {
        let mut world = self.world();
        world
            .installations
            .iter_mut()
            .filter(|known| known.id == installation)
            .for_each(|known| known.suspended = true);
        world.tokens.retain(|_, token| !matches!(token.kind, Kind::Installation { id, .. } if id == installation));
    }

    /// How many tokens of installations were handed out.
    pub fn tokens_made(&self) -> usize {
        self.world().tokens.values().filter(|token| token.is_app()).count()
    }

    /// From now on every token of an installation is `Bad credentials`, as after a change of its permissions.
    pub fn revoke_installation_tokens(&self) {
        self.world().tokens.retain(|_, token| !token.is_app());
    }

    /// Sends what webhooks wait for, in order, and gives each answer's status; 0 when nobody answered.
    ///
    /// GitHub does not try again by itself.
    pub async fn deliver_all(&self) -> Vec<u16> {
        let posts = self.look().waiting();
        let mut codes = Vec::new();
        for post in posts {
            let (code, status) = deliveries::send(&post).await;
            let mut world = self.world();
            let at = world.now();
            if let Some(parcel) = world.parcels.iter_mut().find(|parcel| parcel.id == post.parcel) {
                parcel.outcome = Some(Outcome { code, status, at });
            }
            codes.push(code);
        }
        codes
    }

    /// What webhooks wait for ends as if nobody had answered; gives how many there were.
    pub fn lose_deliveries(&self) -> usize {
        let posts = self.look().waiting();
        let mut world = self.world();
        let at = world.now();
        for parcel in world.parcels.iter_mut().filter(|parcel| parcel.outcome.is_none()) {
            parcel.outcome = Some(Outcome { code: 0, status: "failed to connect to host".to_owned(), at });
        }
        posts.len()
    }

    /// All deliveries, sent or waiting, oldest first.
    pub fn deliveries(&self) -> Vec<Parcel> {
        self.look().parcels.clone()
    }

    /// The world, after a look for what people pushed.
    fn look(&self) -> MutexGuard<'_, World> {
        let mut world = self.world();
        for repo in 0..world.repos.len() {
            deliveries::notice(&mut world, repo, "a-person");
        }
        world
    }

    /// From now on the token is `Bad credentials`.
    pub fn revoke(&self, secret: &str) {
        self.world().tokens.remove(secret);
    }

    /// When the token ends, from now.
    pub fn expire_token(&self, secret: &str, after: Duration) {
        let mut world = self.world();
        let end = world.now() + after.as_secs().cast_signed();
        world.tokens.get_mut(secret).expect("a known token").expires = Some(end);
    }

    /// The next request to the route runs into the fault. Once; the oldest fault first.
    pub fn fault(&self, route: Route, fault: Fault) {
        self.world().faults.push_back((route, fault));
    }

    /// Something that somebody does right before the next such request is answered.
    pub fn before(&self, route: Route, act: impl FnOnce() + Send + 'static) {
        self.fault(route, Fault::before(act));
    }

    /// Puts the clock forward.
    pub fn advance(&self, time: Duration) {
        self.world().ahead += time;
    }

    /// From now on every connection is cut, until it is up again.
    pub fn set_down(&self, down: bool) {
        self.world().down = down;
    }

    /// From now on every answer comes this much later.
    pub fn set_latency(&self, time: Duration) {
        self.world().latency = time;
    }

    /// Entries that a recursive tree shows before it is truncated.
    pub fn set_tree_limit(&self, entries: usize) {
        self.world().limits.tree = entries;
    }

    /// Inline contents of one tree above which the request times out.
    pub fn set_inline_limit(&self, entries: usize) {
        self.world().limits.inline = entries;
    }

    /// Content-creating requests in a minute above which the secondary limit refuses.
    pub fn limit_creating(&self, in_a_minute: usize) {
        self.world().limits.creating = Some(in_a_minute);
    }

    /// Every request so far, in order of arrival.
    pub fn served(&self) -> Vec<Served> {
        let world = self.world();
        world.served[world.forgotten..].to_vec()
    }

    /// How many requests came to the route, faults included.
    pub fn count(&self, route: Route) -> usize {
        self.served().iter().filter(|served| served.route == Some(route)).count()
    }

    /// How many requests would write.
    pub fn writes(&self) -> usize {
        self.served().iter().filter(|served| served.route.is_some_and(Route::writes)).count()
    }

    /// The most writing requests that were under way in one repository at the same time.
    pub fn most_writes_at_once(&self) -> usize {
        self.world().most_writes_at_once
    }

    /// Forgets what was served so far.
    pub fn forget_served(&self) {
        let mut world = self.world();
        world.forgotten = world.served.len();
        world.most_writes_at_once = 0;
    }

    /// Forgives unexpected requests so far; returns them.
    pub fn forgive(&self) -> Vec<String> {
        std::mem::take(&mut self.world().unexpected)
    }

    /// Fails on anything left over: unused faults, unexpected requests, unsound repositories.
    pub fn assert_clean(&self) {
        let world = self.world();
        assert!(world.faults.is_empty(), "faults that nobody ran into: {:?}", world.faults);
        assert!(world.unexpected.is_empty(), "requests that a GitHub client must not make: {:#?}", world.unexpected);
        for repo in &world.repos {
            repo.store.bare().assert_sound();
        }
    }
}

impl Drop for GitHub {
    fn drop(&mut self) {
        self.server.stop();
        self.world().record.write();
        if !std::thread::panicking() {
            self.assert_clean();
        }
    }
}

impl Hosted<'_> {
    /// What is really there.
    pub fn bare(&self) -> Bare {
        self.github.world().repos[self.at].store.bare().clone()
    }

    /// Somebody's clone of it.
    pub fn person(&self) -> Person {
        Person::clone_of(self.bare().path().to_str().expect("a path in UTF-8"))
    }

    /// Protects a branch in the classic way; `words` is what GitHub says to a push.
    pub fn protect(&self, branch: &str, words: &str) -> &Self {
        self.add_protection(branch, words, false)
    }

    /// The same, where REST says only the rule's own words, as it does for required checks and reviews.
    pub fn protect_saying_only(&self, branch: &str, words: &str) -> &Self {
        self.add_protection(branch, words, true)
    }

    fn add_protection(&self, branch: &str, words: &str, bare: bool) -> &Self {
        let protection = rules::Protection { words: words.to_owned(), bare };
        self.github.world().repos[self.at].protections.insert(branch.to_owned(), protection);
        self
    }

    /// Adds a ruleset for a branch; the logins in `bypass` need not keep to it.
    pub fn add_ruleset(&self, branch: &str, rules: &[Rule], bypass: &[&str]) -> &Self {
        let mut world = self.github.world();
        let id = world.next_id();
        let bypass = bypass.iter().map(|login| (*login).to_owned()).collect();
        let ruleset = rules::Ruleset { id, branch: branch.to_owned(), rules: rules.to_vec(), bypass };
        world.repos[self.at].rulesets.push(ruleset);
        self
    }

    /// Takes all protection away.
    pub fn unprotect(&self) {
        let repo = &mut self.github.world().repos[self.at];
        repo.protections.clear();
        repo.rulesets.clear();
    }

    /// Its pull requests, oldest first.
    pub fn pulls(&self) -> Vec<Pull> {
        self.github.look().repos[self.at].pulls.clone()
    }

    /// A person merges a pull request; gives the new head of its base.
    pub fn merge_pull(&self, number: u64, method: Method) -> String {
        let mut world = self.github.look();
        let place = world.repos[self.at].pulls.iter().position(|pull| pull.number == number);
        let merged = merge::merge(&mut world, self.at, place.expect("a pull request"), "a-person", method);
        merged.unwrap_or_else(|reply| panic!("it cannot be merged: {reply:?}"))
    }

    /// A person closes a pull request without merging it.
    pub fn close_pull(&self, number: u64) {
        let mut world = self.github.look();
        let now = world.now();
        let pull = world.repos[self.at].pulls.iter_mut().find(|pull| pull.number == number).expect("a pull request");
        (pull.open, pull.closed) = (false, Some(now));
    }

    /// Statuses of its commits, oldest first.
    pub fn statuses(&self) -> Vec<Status> {
        self.github.world().repos[self.at].statuses.clone()
    }

    pub fn hooks(&self) -> Vec<Hook> {
        self.github.world().repos[self.at].hooks.clone()
    }

    /// Registers an active webhook for pushes, without a ping.
    pub fn hook(&self, url: &str, secret: &str, content_type: ContentType) -> u64 {
        let mut world = self.github.look();
        let (id, now) = (world.next_id(), world.now());
        let events = vec!["push".to_owned()];
        let (url, secret) = (url.to_owned(), Some(secret.to_owned()));
        let repo = &mut world.repos[self.at];
        deliveries::begin(repo);
        let hook = Hook {
            id,
            url,
            content_type,
            secret,
            insecure_ssl: false,
            events,
            active: true,
            created: now,
            updated: now,
        };
        repo.hooks.push(hook);
        id
    }

    /// From now on the old name redirects.
    pub fn rename(&self, owner: &str, name: &str) {
        let repo = &mut self.github.world().repos[self.at];
        let former = repo.full_name();
        repo.former.push(former);
        (repo.owner, repo.name) = (owner.to_owned(), name.to_owned());
    }
}
