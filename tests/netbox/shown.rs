//! What people see in NetBox of a fabric and its objects, and in fgd-sync of what they did there.

use serde_json::{Value, json};

use crate::support::real_netbox::RealNetBox;
use crate::world::World;

const FILE: &str = "managed/servers/one.yaml";

#[tokio::test]
async fn netbox_shows_how_a_fabric_stands_and_its_echo_causes_nothing() {
    let world = World::start("status").await;
    world.until_told("in_sync").await;

    world.push(&[("raw/bad.yaml", "kind: [broken\n")]).await;
    let told = world.until_told("out_of_sync").await;
    let reasons = told["sync_error"].as_str().unwrap();
    assert!(reasons.contains("raw/bad.yaml#0"), "{reasons}");

    world.create("Server", "one", json!({"description": "one"})).await;
    let told = world.until_told("in_sync").await;
    assert_eq!((&told["sync_error"], &told["desired_state_commit"]), (&json!(""), &json!(world.head())));
    assert!(told["last_sync"].is_string(), "{told}");

    let marker = world.file(".hnp/manifest.yaml");
    world.push(&[(".hnp/manifest.yaml", "ledger: [\n")]).await;
    let told = world.until_told("error").await;
    let why = told["sync_error"].as_str().unwrap();
    assert!(why.contains("What to do: correct .hnp/manifest.yaml"), "{why}");

    world.push(&[(".hnp/manifest.yaml", &format!("{marker}\n"))]).await;
    world.until_told("in_sync").await;
    world.settle().await;
    let statuses = ["never_synced", "in_sync", "out_of_sync", "in_sync", "error", "in_sync"];
    assert_eq!(world.told().await, statuses, "each is written once");

    let (jobs, commits) = (world.jobs().await, world.commits());
    world.until_ignored(statuses.len() - 1).await;
    world.settle().await;
    assert_eq!((world.jobs().await, world.commits()), (jobs, commits), "the echoes cause no job and no commit");
    world.finish().await;
}

/// Its own server gives them out; a stock NetBox leaves that to another one.
#[tokio::test]
async fn netboxs_pages_come_with_their_style() {
    let netbox = RealNetBox::running().unwrap();
    let page = netbox.page(&netbox.url).await;
    let mut files = page.split("href=\"/static/").skip(1).map(|rest| rest.split_once('"').unwrap().0);
    let sheet = files.find(|file| file.contains(".css")).unwrap();

    let style = netbox.page(&format!("{}static/{sheet}", netbox.url)).await;

    assert!(style.contains('{') && style.len() > 10_000, "{sheet}: {} bytes", style.len());
}

#[tokio::test]
async fn netboxs_pages_link_to_the_pages_that_show_the_same() {
    // A name that an address cannot hold as it is.
    let world = World::start("Nord & Süd").await;
    world.create("Server", "one", json!({"description": "one"})).await;
    world.until("the row is a file", |world| world.managed() == ["servers/one.yaml"]).await;
    world.settle().await;
    let object = world.get(&format!("/api/v1/objects/{}/Server/default/one", in_address(world.fabric()))).await;
    let fabric = world.fabric_row().await["url"].as_str().unwrap().replacen("/api/", "/", 1);

    let of_fabric = world.links_on(&fabric).await;
    let of_object = world.links_on(object["netbox"]["url"].as_str().unwrap()).await;

    for (links, heading) in [(of_fabric, world.fabric().replace('&', "&amp;")), (of_object, "one".to_owned())] {
        let words: Vec<&str> = links.iter().map(|(words, _)| words.as_str()).collect();
        assert_eq!(words, ["Status", "Sync now", "History"]);
        let places: Vec<_> = links.iter().map(|(_, address)| address.split_once('#').map(|(_, place)| place)).collect();
        assert_eq!(places, [None, Some("sync"), Some("history")]);
        for (words, address) in &links {
            let (page, place) = address.split_once('#').unwrap_or((address, ""));
            let shown = world.open(page).await;
            assert!(
                place.is_empty() || shown.contains(&format!("id=\"{place}\"")),
                "{address} leads nowhere on its page"
            );
            assert!(shown.contains(&heading), "{words} of {heading} leads to another page: {address}");
        }
    }
    world.finish().await;
}

#[tokio::test]
async fn an_objects_history_names_who_did_what_on_either_side() {
    let world = World::start("history").await;
    let id = world.create("Server", "one", json!({"description": "one"})).await;
    world.until("the row is a file", |world| world.managed() == ["servers/one.yaml"]).await;
    world.patch("Server", id, json!({"spec": {"description": "two"}})).await;
    world.until("the edit is in the file", |world| world.file(FILE).contains("description: two")).await;
    world.settle().await;
    let edited = world.head();

    world.push(&[(FILE, &format!("{}\n", world.file(FILE).replace("two", "three")))]).await;
    let pushed = world.head();
    world.settle().await;

    let object = world.get(&format!("/api/v1/objects/{}/Server/default/one", world.fabric())).await;
    let row = world.rows("Server").await[0].clone();
    assert_eq!((&row["spec"], &object["netbox"]["id"]), (&json!({"description": "three"}), &json!(id)));
    let history = object["history"].as_array().unwrap();
    let outcomes: Vec<&str> = history.iter().map(|touch| touch["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["netbox_updated", "git_updated", "git_created"]);
    let who = |touch: &Value| (touch["by"].clone(), touch["commit"].clone());
    assert_eq!(who(&history[1]), (json!(["alice"]), json!(edited)));
    assert_eq!(who(&history[0]), (json!([world.author_of(&pushed)]), json!(pushed)));

    let records = world.changes_of("hedgehog-servers", &row).await;
    let ours = records.last().unwrap();
    assert_eq!(ours["request_id"], history[0]["request"], "its history names NetBox's own record of the write");
    let message = ours["message"].as_str().unwrap();
    assert!(message.contains(&pushed) && message.contains(&world.author_of(&pushed)), "{message}");
    world.finish().await;
}

#[tokio::test]
async fn the_journal_of_an_object_tells_of_each_write_that_a_commit_asked_for() {
    let world = World::start_with_journal("journal").await;
    let id = world.create("Server", "one", json!({"description": "one"})).await;
    world.until("the row is a file", |world| world.managed() == ["servers/one.yaml"]).await;
    world.settle().await;
    assert!(world.journal_of("hedgehog-servers", id).await.is_empty(), "what NetBox itself asked for is no news there");

    world.push(&[(FILE, &world.file(FILE).replace("description: one", "description: two"))]).await;
    let pushed = world.head();
    world.settle().await;

    let entries = world.journal_of("hedgehog-servers", id).await;
    assert_eq!(entries.len(), 1, "{entries:?}");
    assert_eq!(entries[0]["kind"]["value"], "info");
    let comments = entries[0]["comments"].as_str().unwrap();
    for part in ["Updated", FILE, pushed.as_str(), world.author_of(&pushed).as_str(), "#history"] {
        assert!(comments.contains(part), "{part}: {comments}");
    }
    world.finish().await;
}

/// A name as a segment of a path.
fn in_address(name: &str) -> String {
    url::form_urlencoded::byte_serialize(name.as_bytes()).collect::<String>().replace('+', "%20")
}
