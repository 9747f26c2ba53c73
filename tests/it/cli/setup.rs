//! `fgd-sync setup netbox --model hedgehog`: all that the plugin needs, once, and told by name what the token lacks.

use super::*;
use crate::support::fakes::netbox::{NetBox, TOKEN};

/// A NetBox with the plugin, and settings that say so in a directory of their own.
struct World {
    netbox: NetBox,
    directory: TempDir,
}

impl World {
    fn new() -> Self {
        let netbox = NetBox::hedgehog();
        netbox.user("admin").create_fabric("lab");
        Self { netbox, directory: TempDir::new().unwrap() }
    }

    async fn run_with(&self, setting: &str, args: &[&str]) -> Ended {
        // The settings do not say which model it is: --model does.
        let text = format!(
            "public_url: https://sync.example.com\ndata_directory: data\nredis: embedded\n\
             api_tokens: [{{name: test, token: {API_TOKEN}}}]\n\
             netbox:\n  main: {{url: '{}', token: '{TOKEN}', webhook_secret: a-secret-of-this-test, {setting}}}\n\
             repositories:\n  main: {{kind: git, url: 'https://git.example.com/a.git', webhook_secret: another-secret-of-it}}\n\
             fabrics:\n  lab: {{netbox: main, repository: main, branch: main, directory: lab}}\n",
            self.netbox.url(),
        );
        std::fs::write(self.directory.path().join("fgd-sync.yaml"), text).unwrap();
        let mut command = command(&[&["setup", "netbox"], args].concat());
        Ended(command.current_dir(self.directory.path()).output().await.unwrap())
    }

    async fn set_up(&self, args: &[&str]) -> Ended {
        self.run_with("", &[&["--model", "hedgehog"], args].concat()).await
    }

    fn rows(&self, path: &str) -> Vec<Value> {
        self.netbox.admin_rows(path)
    }
}

#[tokio::test]
async fn everything_that_the_plugin_needs_is_made() {
    let world = World::new();

    let ended = world.set_up(&[]).await;

    let out = ended.code(0).out();
    for line in [
        "main: webhook fgd-sync created",
        "main: event rule fgd-sync created",
        "main: custom field fgd_drift_status created",
        "main: custom field fgd_drift_count created",
        "main: custom field fgd_desired_state_commit created",
        "main: custom link fgd-sync fabric: status created",
        "main: custom link fgd-sync VPC: history created",
    ] {
        assert!(out.lines().any(|found| found == line), "no `{line}` in\n{out}");
    }
    let webhook = &world.rows("extras/webhooks/")[0];
    assert_eq!(webhook["payload_url"], "https://sync.example.com/webhooks/netbox");
    assert_eq!(webhook["secret"], "a-secret-of-this-test");
    let rule = &world.rows("extras/event-rules/")[0];
    assert_eq!((rule["object_types"].as_array().unwrap().len(), &rule["action_object_id"]), (13, &webhook["id"]));
    let fields = world.rows("extras/custom-fields/");
    assert_eq!(fields.len(), 3, "the plugin has the other columns itself");
    assert!(
        fields.iter().all(|field| field["object_types"] == json!(["netbox_hedgehog.hedgehogfabric"])),
        "{fields:?}"
    );
    assert_eq!(world.rows("extras/custom-links/").len(), 13 * 3);
}

#[tokio::test]
async fn a_second_run_changes_nothing() {
    let world = World::new();
    world.set_up(&[]).await.code(0);
    let writes = world.netbox.writes();

    let ended = world.set_up(&[]).await;

    let out = ended.code(0).out();
    assert_eq!(world.netbox.writes(), writes);
    let steps: Vec<&str> = out.lines().filter(|line| !line.contains("the settings say another `model`")).collect();
    assert_eq!(steps.len(), 2 + 3 + 13 * 3);
    assert!(steps.iter().all(|line| line.ends_with(" is right")), "{out}");
}

#[tokio::test]
async fn a_dry_run_says_what_would_be_and_writes_nothing() {
    let world = World::new();

    let out = world.set_up(&["--dry-run"]).await.code(0).out();

    assert_eq!(world.netbox.writes(), 0);
    for line in ["main: webhook fgd-sync would be created", "main: custom field fgd_drift_status would be created"] {
        assert!(out.lines().any(|found| found == line), "no `{line}` in\n{out}");
    }
}

#[tokio::test]
async fn each_permission_that_the_setup_lacks_is_named_and_nothing_is_changed() {
    let world = World::new();
    world.netbox.take_permission("view", "extras/webhooks/");
    world.netbox.take_permission("add", "extras/custom-fields/");
    world.netbox.take_permission("change", "extras/event-rules/");

    let ended = world.set_up(&[]).await;

    let error = ended.code(1).err();
    for lacking in ["view extras/webhooks/", "add extras/custom-fields/", "change extras/event-rules/"] {
        assert!(error.contains(lacking), "{error}");
    }
    assert!(!error.contains("view, add"), "NetBox does not tell of the others: {error}");
    assert_eq!(world.netbox.writes(), 0);
}

#[tokio::test]
async fn each_permission_that_the_work_lacks_is_named_and_the_rest_is_set_up() {
    let world = World::new();
    world.netbox.take_permission("view", "plugins/hedgehog/externals/");
    world.netbox.take_permission("add", "plugins/hedgehog/vpcs/");
    world.netbox.take_permission("change", "plugins/hedgehog/fabrics/");
    world.netbox.take_permission("view", "core/object-changes/");

    let out = world.set_up(&[]).await.code(0).out();

    for lacking in [
        "view plugins/hedgehog/externals/",
        "add plugins/hedgehog/vpcs/",
        "change plugins/hedgehog/fabrics/",
        "view core/object-changes/",
    ] {
        let line = format!("main: permission to {lacking} is missing: ");
        assert!(out.lines().any(|found| found.starts_with(&line)), "no `{line}` in\n{out}");
    }
    assert_eq!(world.rows("extras/webhooks/").len(), 1);
}

#[tokio::test]
async fn a_token_that_may_not_write_the_journals_that_it_shall_is_told() {
    let world = World::new();
    world.netbox.take_permission("add", "extras/journal-entries/");

    assert!(!world.set_up(&[]).await.code(0).out().contains("journal"), "nobody wants entries");
    let out = world.run_with("journal: on", &["--model", "hedgehog"]).await.code(0).out();
    assert!(out.contains("main: permission to add extras/journal-entries/ is missing: "), "{out}");
}

#[tokio::test]
async fn without_a_fabric_the_custom_fields_wait_for_one() {
    let world = World { netbox: NetBox::hedgehog(), directory: TempDir::new().unwrap() };

    let out = world.set_up(&[]).await.code(0).out();
    assert!(
        out.contains("main: custom fields of the fabrics' status show what is missing once there is a fabric"),
        "{out}"
    );
    assert!(world.rows("extras/custom-fields/").is_empty());

    world.netbox.user("admin").create_fabric("lab");
    world.set_up(&[]).await.code(0);
    assert_eq!(world.rows("extras/custom-fields/").len(), 3);
}

#[tokio::test]
async fn a_custom_field_of_another_type_is_told_and_left_alone() {
    let world = World::new();
    world.netbox.add_custom_field("fgd_drift_count", "text", &["netbox_hedgehog.vpc"]);

    let ended = world.set_up(&[]).await;

    let error = ended.code(1).err();
    assert!(error.contains("custom field `fgd_drift_count`") && error.contains("it is of type text"), "{error}");
    assert_eq!(world.rows("extras/custom-fields/")[0]["type"]["value"], "text");
}
