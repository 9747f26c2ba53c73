//! A fabric's directory that the settings move, where people merge what changes.

use fgd_sync::domain::directory::{DirectoryRecord, DirectoryStatus};

use super::*;

const NEW: &str = "sites/north";
/// What of the old directory is none of the fabric's files.
const THEIRS: &str = "lab/kustomization.yaml";

/// Two objects agreed on, a file of somebody's, and the settings that move the directory.
async fn to_be_moved() -> Reviewed {
    let reviewed = Reviewed::start().await;
    reviewed.create("one");
    reviewed.create("two");
    reviewed.compare().await;
    reviewed.merge(Method::Squash);
    reviewed.ask(Change::GitMoved).await;
    reviewed.person().update("main").write(THEIRS, "resources: []\n").push("main", "of no fabric");
    reviewed.ask(Change::GitMoved).await;
    assert_eq!((reviewed.status().await.objects, reviewed.held_codes().await.len()), (2, 0));
    reviewed.moved_to(NEW).await
}

impl Reviewed {
    fn writes(&self) -> usize {
        self.netbox.writes()
    }

    fn newest(&self) -> Pull {
        self.pulls().into_iter().max_by_key(|pull| pull.number).expect("a pull request")
    }

    fn open_pulls(&self) -> usize {
        self.pulls().iter().filter(|pull| pull.open).count()
    }

    /// Each file's blob by its path below a directory.
    fn blobs(&self, branch: &str, directory: &str) -> BTreeMap<String, String> {
        let listed = self.bare().git(&["ls-tree", "-r", "--format=%(path) %(objectname)", branch]);
        let below = |line: &str| {
            let (path, blob) = line.rsplit_once(' ')?;
            Some((path.strip_prefix(directory)?.strip_prefix('/')?.to_owned(), blob.to_owned()))
        };
        listed.lines().filter_map(below).collect()
    }

    async fn directory(&self) -> DirectoryRecord {
        let fabric = &self.runner.fabrics[&FabricName::new(FABRIC)];
        let standing = self.ledger.standings(&[(&fabric.name, &fabric.target)]).await.unwrap().remove(0);
        standing.directory.expect("a directory")
    }

    /// Where the ledger has the directory, and for which code it stands otherwise than it should.
    async fn place(&self) -> (String, String) {
        let record = self.directory().await;
        assert_eq!(record.condition.status, DirectoryStatus::Initialized);
        (record.path.to_string(), record.condition.reason.map(|reason| reason.code).unwrap_or_default())
    }
}

fn place(path: &str, code: &str) -> (String, String) {
    (path.to_owned(), code.to_owned())
}

#[tokio::test]
async fn until_it_is_merged_the_old_place_counts_and_the_pull_request_has_the_whole_move() {
    let reviewed = to_be_moved().await;
    let (before, writes) = (reviewed.blobs("main", "lab"), reviewed.writes());

    reviewed.compare().await;

    let moved: BTreeMap<_, _> = before.iter().filter(|(path, _)| *path != "kustomization.yaml").collect();
    assert_eq!(reviewed.newest().title, "Move the directory of lab");
    assert_eq!(reviewed.blobs(ROLLING, NEW).iter().collect::<BTreeMap<_, _>>(), moved);
    assert_eq!(reviewed.blobs(ROLLING, "lab").into_keys().collect::<Vec<_>>(), ["kustomization.yaml"]);
    assert_eq!((reviewed.blobs("main", "lab"), reviewed.writes()), (before, writes), "nothing is done before");
    assert_eq!(reviewed.place().await, place("lab", "proposed"));
    assert_eq!((reviewed.status().await.objects, reviewed.held_codes().await.len()), (2, 0), "no object waits");

    let (tip, asked) = (reviewed.bare().head(ROLLING), reviewed.github.writes());
    reviewed.compare().await;
    assert_eq!((reviewed.bare().head(ROLLING), reviewed.github.writes()), (tip, asked), "it says the same");
}

#[tokio::test]
async fn what_changes_meanwhile_on_either_side_joins_the_pull_request() {
    let reviewed = to_be_moved().await;
    reviewed.compare().await;
    let number = reviewed.newest().number;

    reviewed.update("one", "of NetBox");
    reviewed.create("three");
    let drop = "apiVersion: wiring.githedgehog.com/v1beta1\nkind: Server\nmetadata: {name: dropped}\nspec: {}\n";
    let text = reviewed.bare().show("main", &file("two")).replace("description: one", "description: of Git");
    let person = reviewed.person();
    person.update("main").write("lab/raw/drop.yaml", drop).write(&file("two"), format!("{text}\n"));
    person.push("main", "to the old place");
    reviewed.compare().await;

    assert_eq!((reviewed.newest().number, reviewed.open_pulls()), (number, 1), "one rolling pull request");
    let there = |name: &str| reviewed.bare().show(ROLLING, &format!("{NEW}/managed/servers/{name}.yaml"));
    assert!(there("one").contains("of NetBox") && there("two").contains("of Git"));
    assert!(!there("three").is_empty() && !there("dropped").is_empty());
    assert_eq!(reviewed.row("two")["spec"]["description"], "of Git");

    reviewed.merge(Method::Squash);
    reviewed.ask(Change::GitMoved).await;
    let writes = (reviewed.writes(), reviewed.github.writes());
    reviewed.compare().await;

    assert_eq!((reviewed.status().await.objects, reviewed.held_codes().await), (4, Vec::new()));
    assert_eq!(reviewed.place().await, place(NEW, ""));
    assert_eq!((reviewed.writes(), reviewed.github.writes()), writes, "and nothing more is to be done");
}

#[tokio::test]
async fn however_it_is_merged_nothing_counts_as_deleted_and_the_history_goes_on() {
    for method in [Method::Merge, Method::Squash, Method::Rebase] {
        let reviewed = to_be_moved().await;
        let (before, writes) = (reviewed.blobs("main", "lab"), reviewed.writes());
        reviewed.compare().await;

        reviewed.merge(method);
        reviewed.ask(Change::GitMoved).await;
        let asked = reviewed.github.writes();
        reviewed.compare().await;

        let after = reviewed.blobs("main", NEW);
        assert!(after.iter().all(|(path, blob)| before[path] == *blob), "{method:?}: {after:#?}");
        assert_eq!(reviewed.blobs("main", "lab").into_keys().collect::<Vec<_>>(), ["kustomization.yaml"]);
        assert_eq!((reviewed.status().await.objects, reviewed.held_codes().await.len()), (2, 0), "{method:?}");
        assert_eq!(reviewed.place().await, place(NEW, ""), "{method:?}");
        assert_eq!((reviewed.writes(), reviewed.github.writes(), reviewed.open_pulls()), (writes, asked, 0));
        let path = format!("{NEW}/managed/servers/one.yaml");
        let followed = reviewed.bare().git(&["log", "--follow", "--no-merges", "--format=%H", "main", "--", &path]);
        assert_eq!(followed.lines().count(), 2, "{method:?}: its birth and its move");

        reviewed.update("one", "after the move");
        reviewed.compare().await;
        assert!(reviewed.bare().show(ROLLING, &path).contains("after the move"));
    }
}

#[tokio::test]
async fn closed_without_a_merge_it_stays_where_it_was_says_so_and_comes_again_with_other_content() {
    let reviewed = to_be_moved().await;
    let (before, writes) = (reviewed.blobs("main", "lab"), reviewed.writes());
    reviewed.compare().await;
    reviewed.github.hosted("acme/fabric").close_pull(reviewed.newest().number);

    reviewed.compare().await;
    reviewed.compare().await;

    assert_eq!(reviewed.place().await, place("lab", "proposal_declined"));
    assert_eq!((reviewed.open_pulls(), reviewed.blobs("main", "lab"), reviewed.writes()), (0, before, writes));
    assert_eq!(reviewed.held_codes().await.len(), 0);

    reviewed.update("one", "since");
    reviewed.compare().await;
    assert_eq!((reviewed.open_pulls(), reviewed.place().await), (1, place("lab", "proposed")));
    let moved = reviewed.bare().show(ROLLING, &format!("{NEW}/managed/servers/one.yaml"));
    assert!(moved.contains("since"), "the move is proposed again with it: {moved}");
}

#[tokio::test]
async fn who_takes_the_move_out_of_the_settings_again_has_everything_as_before() {
    for closed in [false, true] {
        let reviewed = to_be_moved().await;
        let before = reviewed.blobs("main", "lab");
        reviewed.compare().await;
        if closed {
            reviewed.github.hosted("acme/fabric").close_pull(reviewed.newest().number);
            reviewed.compare().await;
        }

        let reviewed = reviewed.moved_to(FABRIC).await;
        reviewed.compare().await;

        assert_eq!((reviewed.open_pulls(), reviewed.blobs("main", "lab")), (0, before), "closed by people: {closed}");
        assert_eq!(reviewed.place().await, place("lab", ""));
        assert_eq!((reviewed.status().await.objects, reviewed.held_codes().await.len()), (2, 0));
        reviewed.update("one", "after all");
        reviewed.compare().await;
        assert!(reviewed.bare().show(ROLLING, &file("one")).contains("after all"));
    }
}

#[tokio::test]
async fn a_reviewer_who_merges_half_of_it_gets_the_rest_proposed() {
    let reviewed = to_be_moved().await;
    reviewed.compare().await;
    let files = reviewed.blobs("main", "lab").len() - 1;
    let person = reviewed.person();
    person.update(ROLLING).git(&["mv", &format!("{NEW}/managed/servers/two.yaml"), "lab/kept.yaml"]);
    std::fs::create_dir_all(person.dir().join("lab/managed/servers")).unwrap();
    person.git(&["mv", "lab/kept.yaml", &file("two")]);
    person.push(ROLLING, "not this one yet");

    reviewed.merge(Method::Squash);
    reviewed.ask(Change::GitMoved).await;

    assert_eq!(reviewed.open_pulls(), 1);
    assert_eq!(reviewed.place().await, place("lab", "proposed"));
    reviewed.merge(Method::Squash);
    reviewed.ask(Change::GitMoved).await;
    assert_eq!((reviewed.blobs("main", NEW).len(), reviewed.place().await), (files, place(NEW, "")));
    assert_eq!((reviewed.status().await.objects, reviewed.held_codes().await.len()), (2, 0));
}
