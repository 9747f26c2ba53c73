use serde_json::{Value, json};

use super::*;
use crate::support::app::{API_TOKEN, TestApp, drop_of_all_kinds};

const SERVER: &str = "managed/servers/server-01.yaml";
/// What nobody's browser should run.
const SCRIPT: &str = "<script>alert(1)</script>";

/// A fabric with a history: documents of every kind, bad ones, and a conflict.
async fn lived_in() -> TestApp {
    let app = TestApp::ready().await;
    let files = drop_of_all_kinds();
    app.push(&files).await;
    app.sync().await;
    app.netbox_user("bob").update("Server", "server-01", json!({"description": SCRIPT})).await;
    let file = app.files().await[SERVER].replace("first server", "from git");
    app.push(&[(SERVER, &file)]).await;
    app.sync().await;
    app
}

async fn browser(app: &TestApp) -> Browser {
    Browser::signed_in(app.address(), API_TOKEN).await
}

async fn first(app: &TestApp, path: &str, list: &str) -> String {
    let all = app.get(path).await;
    all[list][0]["id"].as_str().unwrap().to_owned()
}

/// The newest job whose report has a document with this fate.
async fn job_with(app: &TestApp, fate: &str) -> Value {
    for job in app.get("/api/v1/jobs?limit=200").await["jobs"].as_array().unwrap() {
        let job = app.get(&format!("/api/v1/jobs/{}", job["id"].as_str().unwrap())).await;
        let items = job["parts"][0]["report"]["items"].as_array().cloned().unwrap_or_default();
        if items.iter().any(|item| item["fate"] == fate) {
            return job;
        }
    }
    panic!("no job has a document that is {fate}");
}

#[tokio::test]
async fn every_page_is_whole_and_keeps_to_itself() {
    let app = lived_in().await;
    let browser = browser(&app).await;
    let (job, run) = (first(&app, "/api/v1/jobs", "jobs").await, first(&app, "/api/v1/runs", "runs").await);
    let pages = [
        "/".to_owned(),
        "/?standing=held".to_owned(),
        "/fabrics/lab".to_owned(),
        "/fabrics/lab/objects?kind=Server".to_owned(),
        "/jobs".to_owned(),
        "/jobs?fabric=lab&state=held".to_owned(),
        format!("/jobs/{job}"),
        "/runs?fabric=lab".to_owned(),
        format!("/runs/{run}"),
        "/conflicts".to_owned(),
        "/conflicts/lab/Server/default/server-01".to_owned(),
        "/objects/lab/Server/default/server-01".to_owned(),
        "/drift".to_owned(),
        "/drift?fabric=lab".to_owned(),
        "/drops".to_owned(),
        "/dead-letters".to_owned(),
        "/deliveries?outcome=ignored".to_owned(),
        "/connections".to_owned(),
        "/docs".to_owned(),
        "/sign-in".to_owned(),
    ];

    for path in &pages {
        let page = browser.open(path).await;
        page.shows(&["<!DOCTYPE html>", "<html lang=\"en\">", "<h1", "</html>"]);
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8", "{path}");
        for directive in ["default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'"] {
            assert!(page.header("content-security-policy").contains(directive), "{path}");
        }
        assert_eq!(
            (page.header("referrer-policy"), page.header("cache-control")),
            ("same-origin", "no-store"),
            "{path}"
        );
        let text = &page.text;
        for foreign in
            ["src=\"http", "src=\"//", "href=\"//", "url(", "@import", " style=\"", "<style", " onclick", "javascript:"]
        {
            assert!(!text.contains(foreign), "{path} has {foreign}");
        }
        assert!(!text.contains(SCRIPT), "{path} shows a person's text as markup");
        assert!(!text.contains(API_TOKEN) && !text.contains(browser.cookie.as_deref().unwrap()), "{path}");
    }
    app.finish().await;
}

#[tokio::test]
async fn the_first_page_says_how_each_fabric_stands() {
    let app = lived_in().await;

    let page = browser(&app).await.open("/").await;

    page.shows(&[
        "href=\"/fabrics/lab\"",
        "held</span>",
        "1 conflict",
        "href=\"/conflicts?fabric=lab\"",
        "Longest lag",
    ]);
    let fabric = app.get("/api/v1/fabrics/lab").await;
    page.shows(&[fabric["commit"].as_str().unwrap(), "Sync", "Dry run", "Pause", "Resume"]);
    let none = browser(&app).await.open("/?standing=paused").await;
    none.shows(&["No fabric fits."]);
    app.finish().await;
}

#[tokio::test]
async fn one_of_many_fabrics_is_found_by_a_part_of_its_name() {
    let app = TestApp::ready().await;
    let browser = browser(&app).await;

    browser.open("/?name=la").await.shows(&["href=\"/fabrics/lab\"", "name=\"name\" value=\"la\""]);
    let none = browser.open("/?name=prod").await;

    none.shows(&["No fabric fits.", "<b>1</b> all"]);
    assert!(!none.text.contains("href=\"/fabrics/lab\""));
    app.finish().await;
}

#[tokio::test]
async fn a_fabrics_objects_are_listed_by_kind_and_name() {
    let app = lived_in().await;
    let browser = browser(&app).await;

    browser.open("/fabrics/lab").await.shows(&["href=\"/fabrics/lab/objects\""]);
    let servers = browser.open("/fabrics/lab/objects?kind=Server").await;
    servers.shows(&["/objects/lab/Server/default/server-01", "conflict", "lab/managed/servers/server-01.yaml", "row "]);
    assert!(!servers.text.contains("/objects/lab/VPC/"), "only of the kind");
    let vpcs = browser.open("/fabrics/lab/objects?name=vpc-01").await;
    vpcs.shows(&["/objects/lab/VPC/default/vpc-01"]);
    assert!(!vpcs.text.contains("/objects/lab/Server/default/server-01\""), "only with the name");
    browser.open("/fabrics/lab/objects?name=nobody").await.shows(&["No object fits."]);
    assert_eq!(browser.open("/fabrics/none/objects").await.status, 404);
    app.finish().await;
}

#[tokio::test]
async fn a_long_list_of_objects_goes_on_in_a_next_page() {
    let app = TestApp::ready().await;
    app.netbox_user("alice").bulk_create("Server", 120, json!({})).await;
    app.sync().await;
    let browser = browser(&app).await;

    let page = browser.open("/fabrics/lab/objects?kind=Server").await;
    page.shows(&["Next page"]);
    let (_, rest) = page.text.split_once("<p class=\"more\"><a href=\"").unwrap();
    let next = rest.split('"').next().unwrap().replace("&amp;", "&");
    let last = browser.open(&next).await;

    let links = |page: &Page| page.text.matches("href=\"/objects/lab/Server/").count();
    assert_eq!((links(&page), links(&last)), (100, 20), "{next}");
    app.finish().await;
}

#[tokio::test]
async fn the_apis_page_has_every_operation_of_the_description() {
    let app = TestApp::ready().await;
    let description = serde_json::to_value(fgd_sync::http::openapi()).unwrap();

    let page = browser(&app).await.open("/docs").await;

    for (path, methods) in description["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap();
            page.shows(&[path.as_str(), &format!("id=\"{id}\""), &method.to_uppercase()]);
        }
    }
    page.shows(&[
        "curl &quot;$FGD_URL/api/v1/fabrics/{name}/sync&quot;",
        "-d '{\n  &quot;dry_run&quot;: true\n}'",
        "data-path=\"/api/v1/jobs/{id}\"",
        "queued, running, waiting",
        "1 to 200",
        "with the role <code>operate</code>",
        "The <code>ETag</code> of an answer",
    ]);
    app.finish().await;
}

#[tokio::test]
async fn a_fabrics_page_says_what_waits_for_a_person() {
    let app = lived_in().await;
    let browser = browser(&app).await;

    let page = browser.open("/fabrics/lab").await;
    page.shows(&["changed_on_both_sides", "/conflicts/lab/Server/default/server-01", "Recent jobs", "Recent runs"]);
    assert_eq!(browser.open("/fabrics/none").await.status, 404);
    app.finish().await;
}

#[tokio::test]
async fn deletions_are_confirmed_in_the_fabrics_page() {
    let app = TestApp::ready().await;
    let browser = browser(&app).await;
    app.netbox_user("alice").bulk_create("Server", 30, json!({"description": "a"})).await;
    app.sync().await;
    app.netbox_user("alice").delete_all("Server").await;
    app.sync().await;

    browser.open("/fabrics/lab").await.shows(&["30 deletions are held", "server-007", "Confirm these deletions"]);
    let answer = browser.submit("/fabrics/lab", &[("action", "confirm_deletions")]).await;
    app.sync().await;

    browser.open(answer.location()).await.shows(&["30 deletions confirmed by test", "succeeded", "30 deleted in Git"]);
    assert!(!app.files().await.keys().any(|path| path.starts_with("managed/servers/server-")));
    app.finish().await;
}

#[tokio::test]
async fn a_jobs_page_has_every_fate_with_file_and_line() {
    let app = lived_in().await;
    let job = job_with(&app, "rejected").await;
    let items = job["parts"][0]["report"]["items"].as_array().unwrap().clone();

    let page = browser(&app).await.open(&format!("/jobs/{}", job["id"].as_str().unwrap())).await;

    let documents: Vec<_> = items.iter().filter(|item| item["item"] == "document").collect();
    assert!(documents.len() > 10, "{documents:?}");
    for document in documents {
        let line = document["reason"]["line"].as_u64().or(document["line"].as_u64()).unwrap();
        page.shows(&[&format!("{}:{line}", document["path"].as_str().unwrap()), document["fate"].as_str().unwrap()]);
    }
    page.shows(&["15 created in NetBox", "15 written to Git", "Worked", "Push"]);
    app.finish().await;
}

#[tokio::test]
async fn a_run_shows_what_it_changed_in_files_line_by_line() {
    let app = TestApp::ready().await;
    app.netbox_user("alice").create("Server", "one", json!({"description": "<b>old</b>", "profile": "a"})).await;
    app.sync().await;
    app.netbox_user("alice").update("Server", "one", json!({"description": "new", "profile": "a"})).await;
    app.sync().await;
    // The newest run is the one that the commit's own webhook asked for.
    let head = &app.commits().await[0].oid;
    let runs = app.get("/api/v1/runs").await["runs"].as_array().unwrap().clone();
    let run = runs.iter().find(|run| run["parts"][0]["commit"] == *head.as_str()).expect("it is kept");

    let page = browser(&app).await.open(&format!("/runs/{}", run["id"].as_str().unwrap())).await;

    page.shows(&["Changed files", "lab/managed/servers/one.yaml", "+1 −1", "class=\"hunk\""]);
    page.shows(&["class=\"removed\">-  description: &lt;b&gt;old", "class=\"added\">+  description: new"]);
    assert!(!page.text.contains("-  profile"), "{}", page.text);
    app.finish().await;
}

#[tokio::test]
async fn a_dry_runs_page_says_that_nothing_was_written() {
    let app = TestApp::ready().await;
    app.netbox_user("alice").create("Server", "one", json!({"description": "a"})).await;
    app.lose_all_deliveries().await;
    let browser = browser(&app).await;

    let answer = browser.submit("/fabrics/lab", &[("action", "dry_run")]).await;
    app.sync().await;

    let page = browser.open(answer.location()).await;
    page.shows(&["Nothing was written on either side", "Edits of Git, planned", "Server", "one", "created"]);
    assert!(!app.files().await.contains_key("managed/servers/one.yaml"));
    app.finish().await;
}

#[tokio::test]
async fn the_drops_are_listed_with_their_newest_fate() {
    let app = TestApp::ready().await;
    let browser = browser(&app).await;
    browser.open("/drops").await.shows(&["No raw document lately"]);
    app.push(&drop_of_all_kinds()).await;
    app.sync().await;

    browser.open("/drops").await.shows(&["raw/mixed/bad.yaml", "rejected", "unmanaged", "ingested, created", "vpc-01"]);
    app.finish().await;
}

#[tokio::test]
async fn what_differs_leads_to_the_object_and_the_object_to_what_happened() {
    let app = lived_in().await;
    let browser = browser(&app).await;
    let (object, drift) = ("/objects/lab/Server/default/server-01", "/drift?fabric=lab");

    browser.open("/drift").await.shows(&[drift, "1 conflict"]);
    browser.open(drift).await.shows(&[object, "conflict", "/spec/description", "Decide"]);
    browser.open(object).await.shows(&[
        "lab/managed/servers/server-01.yaml",
        "changed_on_both_sides",
        "History",
        "created",
        "in Git",
        "A Person",
        "bob",
    ]);
    assert_eq!(browser.open("/objects/lab/Server/default/nobody").await.status, 404);
    app.finish().await;
}

#[tokio::test]
async fn a_conflict_is_shown_in_three_columns_and_decided_there() {
    let app = lived_in().await;
    let browser = browser(&app).await;
    let path = "/conflicts/lab/Server/default/server-01";
    browser.open("/conflicts").await.shows(&[path, "/spec/description", "bob"]);

    let page = browser.open(path).await;
    page.shows(&[
        "Last agreed on",
        "/plugins/custom-objects/",
        "description: first server",
        "description: from git",
        "&lt;script&gt;alert(1)",
    ]);
    let (_, rest) = page.text.split_once("name=\"version\" value=\"").unwrap();
    let version = rest.split('"').next().unwrap();
    let stale = browser.submit(path, &[("side", "git"), ("version", "an old one")]).await;
    assert!(stale.status == 409 && stale.text.contains("A side moved"), "{}", stale.text);
    let decided = browser.submit(path, &[("side", "git"), ("version", version)]).await;
    browser.open(path).await.shows(&["test decided for Git's content"]);
    app.sync().await;

    browser.open(decided.location()).await.shows(&["succeeded", "updated in NetBox"]);
    browser.open("/conflicts").await.shows(&["No conflict"]);
    assert_eq!(browser.open(path).await.status, 404);
    let rows = app.rows("Server").await;
    let row = rows.iter().find(|row| row["name"] == "server-01").unwrap();
    assert_eq!(row["spec"]["description"], "from git");
    app.finish().await;
}

#[tokio::test]
async fn a_merged_document_is_taken_as_yaml() {
    let app = lived_in().await;
    let browser = browser(&app).await;
    let path = "/conflicts/lab/Server/default/server-01";
    let document = |name: &str| {
        format!(
            "apiVersion: wiring.githedgehog.com/v1beta1\nkind: Server\nmetadata: {{name: {name}}}\nspec: {{description: both}}\n"
        )
    };

    for (wrong, words) in
        [("- a list", "no YAML mapping"), ("a: [", "no YAML mapping"), (&document("other"), "is not Server")]
    {
        let answer = browser.submit(path, &[("side", "merged"), ("document", wrong)]).await;
        assert!(answer.status == 400 && answer.text.contains(words), "{wrong}: {}", answer.text);
    }
    browser.submit(path, &[("side", "merged"), ("document", &document("server-01"))]).await;
    app.sync().await;

    browser.open("/conflicts").await.shows(&["No conflict"]);
    assert!(app.files().await[SERVER].contains("description: both"));
    app.finish().await;
}

#[tokio::test]
async fn a_reader_sees_no_button_that_writes() {
    use crate::receive::service::{READ_TOKEN, Service};
    let service = Service::start(fgd_sync::webhook::netbox::Model::CustomObjects).await;
    let job = service.ask("/api/v1/fabrics/lab-fabric/sync").await.job();
    let browser = Browser::signed_in(service.address(), READ_TOKEN).await;

    for path in ["/", "/fabrics/lab-fabric", "/jobs", &format!("/jobs/{job}"), "/dead-letters", "/connections"] {
        let page = browser.open(path).await;
        page.shows(&["Sign out"]);
        assert_eq!(page.text.matches("method=\"post\"").count() - usize::from(path == "/"), 1, "{path}: signing out");
        assert_eq!(page.text.matches("name=\"action\"").count(), 0, "{path}");
    }
}

#[tokio::test]
async fn long_lists_go_on_in_a_next_page() {
    use crate::receive::service::{READ_TOKEN, Service};
    let service = Service::start(fgd_sync::webhook::netbox::Model::CustomObjects).await;
    let mut jobs = Vec::new();
    for _ in 0..60 {
        jobs.push(service.ask("/api/v1/fabrics/lab-fabric/sync").await.job());
    }
    let browser = Browser::signed_in(service.address(), READ_TOKEN).await;

    let page = browser.open("/jobs?fabric=lab-fabric").await;
    page.shows(&["Next page", &jobs[59], &jobs[10]]);
    assert!(!page.text.contains(&jobs[9]));
    let (_, rest) = page.text.split_once("<p class=\"more\"><a href=\"").unwrap();
    let next = rest.split('"').next().unwrap().replace("&amp;", "&");

    assert!(next.starts_with("/jobs?fabric=lab-fabric&cursor="), "{next}");
    let last = browser.open(&next).await;
    last.shows(&[&jobs[9], &jobs[0]]);
    assert!(!last.text.contains("Next page"));
}

#[tokio::test]
async fn what_is_not_there_is_told_to_people_as_a_page_and_to_programs_as_a_problem() {
    let app = TestApp::ready().await;
    let browser = browser(&app).await;

    for path in ["/nothing", "/jobs/nothing", "/runs/nothing", "/conflicts/lab/VPC/default/none", "/fabrics/none"] {
        let page = browser.open(path).await;
        assert_eq!((page.status, page.header("content-type")), (404, "text/html; charset=utf-8"), "{path}");
        assert!(page.text.contains("Not found"), "{}", page.text);
    }
    let wrong = browser.open("/jobs?state=sleeping").await;
    assert!(wrong.status == 400 && wrong.text.contains("one of queued, running"), "{}", wrong.text);
    let problem = browser.client.get(browser.url("/nothing")).send().await.unwrap();
    assert_eq!(problem.headers()["content-type"], "application/problem+json");
    app.finish().await;
}

#[tokio::test]
async fn the_style_sheet_and_the_script_are_part_of_the_binary() {
    let app = TestApp::ready().await;
    let browser = Browser::at(app.address());

    for (path, kind) in [
        ("style.css", "text/css"),
        ("live.js", "text/javascript"),
        ("docs.js", "text/javascript"),
        ("icon.svg", "image/svg+xml"),
    ] {
        let asset = browser.open(&format!("/assets/{path}")).await;
        assert_eq!(asset.status, 200);
        assert!(asset.header("content-type").starts_with(kind), "{}", asset.header("content-type"));
        assert!(
            !asset.text.contains("//") || !asset.text.replace("http://www.w3.org/2000/svg", "").contains("http"),
            "{path}"
        );
        let known = asset.header("etag").to_owned();
        let again = browser.client.get(browser.url(&format!("/assets/{path}"))).header("If-None-Match", known);
        assert_eq!(again.send().await.unwrap().status().as_u16(), 304);
    }
    app.finish().await;
}
