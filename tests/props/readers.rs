//! What we write, other readers read as the same: PyYAML, which reads YAML 1.1 and differs from Go and us by design.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use fgd_sync::domain::digest::Digest;
use fgd_sync::domain::document::Document;
use fgd_sync::domain::kind::Catalogue;
use fgd_sync::plan::managed::{ManagedFile, read_document};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use crate::model::key;
use crate::render::{awkward_words, object, rendered};

/// Reads a JSON list of YAML texts, answers with a JSON list of their values.
const READ_ALL: &str = "import json, sys, yaml\n\
    def value(text):\n\
    \x20   try:\n\
    \x20       return {'is': yaml.safe_load(text)}\n\
    \x20   except yaml.YAMLError as error:\n\
    \x20       return {'error': str(error)}\n\
    json.dump([value(text) for text in json.load(sys.stdin)], sys.stdout, default=lambda odd: {'odd': repr(odd)})\n";

/// Reads a JSON list of YAML texts, answers with a JSON list of what PyYAML writes of their values. Texts are quoted: bare,
/// PyYAML writes some that Kubernetes reads as numbers, such as `0o17`.
const WRITE_ALL: &str = "import json, sys, yaml\n\
    class Quoting(yaml.SafeDumper):\n\
    \x20   pass\n\
    Quoting.add_representer(str, lambda dumper, text: dumper.represent_scalar('tag:yaml.org,2002:str', text, style='\"'))\n\
    json.dump([yaml.dump(yaml.safe_load(text), Dumper=Quoting) for text in json.load(sys.stdin)], sys.stdout)\n";

/// A Python with PyYAML: the system's, else one of our own below `.dev`, made on first use.
fn python() -> PathBuf {
    let has_yaml = |python: &Path| {
        let found = Command::new(python).args(["-c", "import yaml"]).stderr(Stdio::null()).status();
        found.is_ok_and(|status| status.success())
    };
    let system = PathBuf::from("python3");
    if has_yaml(&system) {
        return system;
    }
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join(".dev/pyyaml");
    let own = home.join("bin/python");
    if !has_yaml(&own) {
        run(Command::new(&system).args(["-m", "venv"]).arg(&home));
        run(Command::new(&own).args(["-m", "pip", "install", "--quiet", "PyYAML==6.0.3"]));
    }
    own
}

fn run(command: &mut Command) {
    let done = command.output();
    let good = done.as_ref().is_ok_and(|output| output.status.success());
    assert!(
        good,
        "this test needs Python 3 with PyYAML (or venv and pip to install it), and {command:?} failed: {done:?}"
    );
}

/// Has Python do something with each text.
fn by_python(program: &str, texts: &[String]) -> Vec<Value> {
    let mut child = Command::new(python())
        .args(["-c", program])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("Python was found a moment ago");
    let input = serde_json::to_vec(texts).expect("texts are JSON");
    child.stdin.take().expect("it is piped").write_all(&input).expect("Python reads its input");
    let output = child.wait_with_output().expect("Python ends");
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).expect("Python writes JSON")
}

/// Panics at the first text that Python reads as something else.
fn assert_read_alike(texts: &[(Value, String)]) {
    let found = by_python(READ_ALL, &texts.iter().map(|(_, text)| text.clone()).collect::<Vec<_>>());
    for ((expected, text), found) in texts.iter().zip(found) {
        let same = found.get("is").is_some_and(|found| Digest::of(found) == Digest::of(expected));
        assert!(same, "{text}\nis to us     {expected}\nto PyYAML it is {found}");
    }
}

fn document(text: &[u8]) -> Document {
    match read_document(Catalogue::hedgehog(), text) {
        ManagedFile::Document(document) => document,
        other => panic!("{} gave {other:?}", String::from_utf8_lossy(text)),
    }
}

/// The file of an object with this spec, and its whole value as we read it.
fn file_of(spec: Value) -> (Value, String) {
    let want = fgd_sync::domain::document::Shared {
        key: key("web"),
        labels: serde_json::Map::new(),
        annotations: serde_json::Map::new(),
        spec,
    };
    let bytes = rendered(&want, None);
    (Value::Object(document(&bytes).body), String::from_utf8(bytes).expect("we write UTF-8"))
}

#[test]
fn python_reads_every_awkward_word_as_we_do_as_key_and_as_value() {
    let words = awkward_words().into_iter();
    let files: Vec<_> =
        words.map(|word| file_of(json!({ "v": word, "k": { word: 1 }, "l": [word, [word]] }))).collect();

    assert_read_alike(&files);
}

#[test]
fn python_reads_numbers_as_we_do() {
    let numbers = json!([
        0,
        -1,
        493,
        1000,
        u64::MAX,
        i64::MIN,
        4_294_967_295u64,
        1e3,
        1.5,
        -0.25,
        1e16,
        1e17,
        1e21,
        1e22,
        1.5e300,
        5e-324,
        1e-5,
        1.25e-7,
        123456789.125,
        0.1
    ]);

    let files: Vec<_> =
        numbers.as_array().into_iter().flatten().map(|number| file_of(json!({ "n": number }))).collect();

    assert_read_alike(&files);
}

#[test]
fn what_kubernetes_reads_in_a_drop_python_reads_in_the_managed_file() {
    let drop = "{a: 0755, b: 010, c: 0o17, d: 0x1F, e: 1_000, f: on, g: No, h: 12:30:45, i: 2001-01-01, j: ~, k: 1e3,\n\
                l: 0c:20:12:ff:00:00, m: 18446744073709551615, u: y, o: '0755', p: \"on\", q: 1:30, r: .5, s: 0b11}";
    let text = format!("apiVersion: vpc.githedgehog.com/v1beta1\nkind: VPC\nmetadata: {{name: web}}\nspec: {drop}\n");
    let dropped = document(text.as_bytes());

    let bytes = rendered(&dropped.shared(), Some(&dropped));

    let body = Value::Object(dropped.body);
    assert_eq!(body["spec"]["a"], json!(493));
    assert_eq!(body["spec"]["h"], json!("12:30:45"));
    assert_eq!(body["spec"]["l"], json!("0c:20:12:ff:00:00"));
    assert_read_alike(&[(body, String::from_utf8(bytes).expect("we write UTF-8"))]);
}

/// Files of arbitrary objects, with their values as we read them.
fn any_files() -> Vec<(Value, String)> {
    let mut runner = TestRunner::default();
    (0..400)
        .map(|_| {
            let want = object().new_tree(&mut runner).expect("nothing is filtered out for long").current();
            let bytes = rendered(&want, None);
            (Value::Object(document(&bytes).body), String::from_utf8(bytes).expect("we write UTF-8"))
        })
        .collect()
}

#[test]
fn python_reads_any_object_as_we_do() {
    assert_read_alike(&any_files());
}

#[test]
fn any_object_comes_back_the_same_from_our_renderer_over_pyyaml() {
    let words = awkward_words().into_iter().map(|word| file_of(json!({ "v": word, "k": { word: 1 } })));
    let files: Vec<_> = any_files().into_iter().chain(words).collect();

    let texts: Vec<String> = files.iter().map(|(_, text)| text.clone()).collect();
    let written = by_python(WRITE_ALL, &texts);

    assert_eq!(written.len(), files.len());
    for ((expected, ours), theirs) in files.iter().zip(&written) {
        let theirs = theirs.as_str().expect("a text");
        let back = Value::Object(document(theirs.as_bytes()).body);
        assert_eq!(Digest::of(&back), Digest::of(expected), "{ours}\nPyYAML wrote\n{theirs}\nand we read {back}");
    }
}
