//! A stand-in for NetBox 4.7: stateful, strict, over real HTTP on 127.0.0.1.
//!
//! It behaves as was measured on NetBox 4.7.3, for both object models: custom objects, and the Hedgehog plugin with its
//! faults (500s without `omit=display_url`, rows saved by a POST that answers 500, no filters). It knows nothing of the
//! product. A request to an unknown route or without a token, and a fault that nobody ran into, fail the test when it
//! is dropped.
//!
//! | file | is |
//! |---|---|
//! | `world` | the rows, the change log, the queue of deliveries: NetBox's models |
//! | `checks` | what NetBox refuses |
//! | `core` | one of NetBox's own models |
//! | `wire` | rows, snapshots and deliveries as JSON |
//! | `server` | the socket, tokens, faults, counting |
//! | `objects` | the REST endpoints of rows |
//! | `admin` | webhooks, event rules, custom object types and their fields |
//! | `user` | what people do in NetBox, without HTTP |

mod admin;
mod checks;
mod core;
mod objects;
mod server;
mod user;
mod wire;
mod world;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;

pub use server::{Fault, Served};
pub use user::{Object, User};
use world::World;
pub use world::{Delivery, Flavor};

/// The token that every stand-in takes, version 2; its user is `fgd-sync`.
pub const TOKEN: &str = "nbt_standin.0123456789abcdef0123456789abcdef01234567";
/// The same user's token in version 1.
pub const TOKEN_V1: &str = "0123456789abcdef0123456789abcdef01234567";

/// A running stand-in; stops and checks itself when dropped.
pub struct NetBox {
    world: Arc<Mutex<World>>,
    url: String,
    server: server::Running,
}

impl NetBox {
    /// With the 12 kinds as custom object types, as `setup` creates them; no webhook yet.
    pub fn custom_objects() -> Self {
        let netbox = Self::bare();
        admin::create_types(&mut netbox.world());
        netbox
    }

    /// As `custom_objects`, with a type for the fabrics themselves; their rows are of the kind `Fabric`.
    pub fn custom_objects_and_fabrics() -> Self {
        let netbox = Self::custom_objects();
        admin::create_fabrics_type(&mut netbox.world());
        netbox
    }

    /// As `custom_objects`, with more kinds as custom object types: kind and slug of each.
    pub fn custom_objects_and(more: &[(&str, &str)]) -> Self {
        let netbox = Self::custom_objects();
        admin::create_more_types(&mut netbox.world(), more);
        netbox
    }

    /// Adds one of NetBox's own models, whose rows are of the kind `Vlan`.
    pub fn add_vlans(&self) {
        core::add(&mut self.world());
    }

    /// A kind that setting up is expected to make a custom object type of.
    pub fn expect_kind(&self, kind: &str, slug: &str) {
        self.world().more_kinds.insert(kind.to_owned(), format!("plugins/custom-objects/{slug}/"));
    }

    /// With the custom objects plugin and no types.
    pub fn bare() -> Self {
        Self::start(Flavor::CustomObjects)
    }

    /// With the Hedgehog plugin and no fabrics.
    pub fn hedgehog() -> Self {
        Self::start(Flavor::Hedgehog)
    }

    fn start(flavor: Flavor) -> Self {
        let world = Arc::new(Mutex::new(World::new(flavor)));
        let (server, port) = server::start(Arc::clone(&world));
        Self { world, url: format!("http://127.0.0.1:{port}/"), server }
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where it answers.
    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn flavor(&self) -> Flavor {
        self.world().flavor
    }

    /// Does what a person does in NetBox: rows change, the log grows, deliveries are queued.
    pub fn user(&self, name: &str) -> User<'_> {
        User::new(self.world(), name)
    }

    /// Makes all that the change log has so much older.
    pub fn age_changes(&self, by: std::time::Duration) {
        self.world().age_changes(by);
    }

    /// Registers a webhook and an event rule for everything that is there, as `setup` would.
    pub fn hook(&self, url: &str, secret: &str) {
        admin::create_hook(&mut self.world(), url, secret);
    }

    /// A custom field of these types, as an administrator might make it.
    pub fn add_custom_field(&self, name: &str, kind: &str, object_types: &[&str]) {
        admin::create_custom_field(&mut self.world(), name, kind, object_types);
    }

    /// Changes every webhook and every event rule, as an administrator might.
    pub fn set_hook(&self, webhook: Value, rule: Value) {
        admin::change_hooks(&mut self.world(), &webhook, &rule);
    }

    /// The next request with this method, whose path contains `path`, runs into the fault. Once; the oldest fault first.
    pub fn before(&self, method: &str, path: &str, fault: Fault) {
        self.world().faults.push((method.to_owned(), path.to_owned(), fault));
    }

    /// The request that comes after `others` more runs into the fault, whatever it asks for. Replaces the last such fault;
    /// with `None` there is none.
    pub fn later(&self, fault: Option<(usize, Fault)>) {
        self.world().later = fault;
    }

    /// Something that a user does right before the next such request is answered.
    pub fn meanwhile(&self, method: &str, path: &str, act: impl FnOnce(&mut User<'_>) + Send + 'static) {
        self.before(method, path, Fault::Meanwhile(Box::new(act)));
    }

    /// From now on every write that holds a row of this name answers 500 and saves nothing.
    pub fn break_name(&self, name: &str) {
        self.world().broken_names.insert(name.to_owned());
    }

    /// Ends what `break_name` began.
    pub fn mend_name(&self, name: &str) {
        self.world().broken_names.remove(name);
    }

    /// From now on every write that holds a row of this name is refused with these words, as a custom validator does.
    pub fn refuse_name(&self, name: &str, words: &str) {
        self.world().refused_names.insert(name.to_owned(), words.to_owned());
    }

    /// Removes a field from a kind's custom object type, as an administrator might.
    pub fn forget_field(&self, kind: &str, field: &str) {
        admin::forget_field(&mut self.world(), kind, field);
    }

    /// Gives a kind's custom object type a field of another type, as an administrator might.
    pub fn retype_field(&self, kind: &str, field: &str, kind_of_field: &str) {
        admin::retype_field(&mut self.world(), kind, field, kind_of_field);
    }

    /// From now on requests whose path contains `path` answer 403.
    pub fn deny(&self, path: &str) {
        self.world().denied.push(path.to_owned());
    }

    /// Takes a permission (`view`, `add`, `change`, `delete`) on what is below a path from the token's user.
    pub fn take_permission(&self, action: &str, path: &str) {
        self.world().lacking.push((action.to_owned(), path.to_owned()));
    }

    /// From now on the token may only view rows whose path contains `path`.
    pub fn allow_only_viewing(&self, path: &str) {
        self.world().read_only.push(path.to_owned());
    }

    /// A row that nobody may delete: 409 with the names of its dependents.
    pub fn protect_name(&self, name: &str) {
        self.world().protected_names.insert(name.to_owned());
    }

    /// The objects of a kind take no journal entries, in the words of NetBox's own source.
    pub fn without_journal(&self, kind: &str) {
        let mut world = self.world();
        let object_type = world.table_of_kind(kind).object_type.clone();
        world.without_journal.insert(object_type);
    }

    /// The journal entries of a kind's objects: name of the object, level and text, in the order they were made.
    pub fn journal(&self, kind: &str) -> Vec<(String, String, String)> {
        let world = self.world();
        let table = world.table_of_kind(kind);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let entries = world.admin["extras/journal-entries/"].rows.values();
        entries
            .filter(|entry| entry["assigned_object_type"] == table.object_type.as_str())
            .map(|entry| {
                let id = entry["assigned_object_id"].as_u64().unwrap_or_default();
                let name = table.rows.get(&id).map(|row| text(&row.fields["name"]));
                (name.unwrap_or_default(), text(&entry["kind"]), text(&entry["comments"]))
            })
            .collect()
    }

    /// The largest page (NetBox's MAX_PAGE_SIZE).
    pub fn set_max_page(&self, rows: usize) {
        self.world().max_page = rows;
    }

    /// The rows of a kind as REST shows them, ordered by id.
    pub fn rows(&self, kind: &str) -> Vec<Value> {
        let world = self.world();
        let table = world.table_of_kind(kind);
        table.rows.values().map(|row| wire::rest(&world, table, row, &self.url)).collect()
    }

    /// The names of a kind's rows, sorted.
    pub fn names(&self, kind: &str) -> Vec<String> {
        let name = |row: &Value| row["name"].as_str().unwrap_or_default().to_owned();
        let mut names: Vec<String> = self.rows(kind).iter().map(name).collect();
        names.sort();
        names
    }

    /// The change log as REST shows it, ordered by id.
    pub fn changes(&self) -> Vec<Value> {
        self.world().changes.iter().map(wire::change).collect()
    }

    /// Rows of `extras/webhooks/` or `extras/event-rules/` and the like.
    pub fn admin_rows(&self, path: &str) -> Vec<Value> {
        self.world()
            .admin
            .get(path)
            .map(|table| table.rows.values().cloned().map(Value::Object).collect())
            .unwrap_or_default()
    }

    /// NetBox's names of the types of all rows there are.
    pub fn object_types(&self) -> Vec<String> {
        self.world().tables.values().map(|table| table.object_type.clone()).collect()
    }

    /// Takes a type out of every event rule, as an administrator might.
    pub fn forget_in_event_rules(&self, object_type: &str) {
        admin::forget_in_event_rules(&mut self.world(), object_type);
    }

    /// Every request so far.
    pub fn served(&self) -> Vec<Served> {
        self.world().served.clone()
    }

    /// How many requests with this method were answered, faults included.
    pub fn count(&self, method: &str) -> usize {
        self.world().served.iter().filter(|served| served.method == method).count()
    }

    /// How many requests tried to change something.
    pub fn writes(&self) -> usize {
        self.world().served.iter().filter(|served| !matches!(served.method.as_str(), "GET" | "OPTIONS")).count()
    }

    /// Requests by method.
    pub fn counts(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for served in &self.world().served {
            *counts.entry(served.method.clone()).or_default() += 1;
        }
        counts
    }

    /// From now on every connection is cut, until it is up again.
    pub fn set_down(&self, down: bool) {
        self.world().down = down;
    }

    /// How many requests came while it was down.
    pub fn unanswered(&self) -> usize {
        self.world().unanswered
    }

    /// Takes the queued deliveries, oldest first.
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.world().queue.drain(..).collect()
    }

    /// Sends the queued deliveries in order, as NetBox's worker does, to `url` or where their webhook says.
    ///
    /// Returns each answer's status; a delivery that cannot be sent, or is not taken, is lost, as NetBox's are.
    pub async fn deliver_all(&self, url: Option<&str>) -> Vec<Result<u16, String>> {
        let mut answers = Vec::new();
        for delivery in self.deliveries() {
            answers.push(delivery.send(url).await);
        }
        answers
    }

    /// Forgives unexpected requests so far; returns them.
    pub fn forgive(&self) -> Vec<String> {
        std::mem::take(&mut self.world().unexpected)
    }

    /// Fails on anything left over: unused faults, unexpected requests.
    pub fn assert_clean(&self) {
        let world = self.world();
        let faults: Vec<String> =
            world.faults.iter().map(|(method, path, fault)| format!("{method} {path}: {fault:?}")).collect();
        assert!(faults.is_empty(), "faults that nobody ran into: {faults:?}");
        assert!(world.unexpected.is_empty(), "requests that a NetBox client must not make: {:?}", world.unexpected);
    }
}

impl Drop for NetBox {
    fn drop(&mut self) {
        self.server.stop();
        if !std::thread::panicking() {
            self.assert_clean();
        }
    }
}
