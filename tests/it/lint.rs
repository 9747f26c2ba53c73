//! `fgd-sync lint`: the real binary on local files.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

const CRD: &str = "\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
spec:
  group: wiring.githedgehog.com
  names: {kind: Switch, plural: switches}
  versions:
  - name: v1beta1
    served: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            required: [role]
            properties:
              role: {type: string, enum: [spine, server-leaf]}
              asn: {type: integer}
";

const SWITCH: &str =
    "apiVersion: wiring.githedgehog.com/v1beta1\nkind: Switch\nmetadata:\n  name: spine-1\nspec:\n  role: spine\n";

/// A directory with files, in which the binary runs.
struct Desk {
    directory: TempDir,
}

impl Desk {
    fn with(files: &[(&str, &str)]) -> Self {
        let desk = Self { directory: TempDir::new().unwrap() };
        for (path, content) in files {
            desk.write(path, content.as_bytes());
        }
        desk
    }

    fn write(&self, path: &str, content: &[u8]) {
        let file = self.directory.path().join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, content).unwrap();
    }

    fn lint(&self, args: &[&str]) -> Ended {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fgd-sync"));
        let output = command.arg("lint").args(args).current_dir(self.directory.path()).env_clear().output().unwrap();
        Ended { output }
    }
}

struct Ended {
    output: Output,
}

impl Ended {
    fn code(&self) -> i32 {
        self.output.status.code().unwrap()
    }

    fn out(&self) -> String {
        String::from_utf8(self.output.stdout.clone()).unwrap()
    }

    fn err(&self) -> String {
        String::from_utf8(self.output.stderr.clone()).unwrap()
    }

    /// The remarks of JSON output as `file:line:column severity code`.
    fn remarks(&self) -> Vec<String> {
        let report: Value = serde_json::from_str(&self.out()).unwrap();
        let text = |remark: &Value, field: &str| remark[field].as_str().unwrap().to_owned();
        let remarks = report["remarks"].as_array().unwrap().iter();
        remarks
            .map(|remark| {
                let place = format!("{}:{}:{}", text(remark, "file"), remark["line"], remark["column"]);
                format!("{place} {} {}", text(remark, "severity"), text(remark, "code"))
            })
            .collect()
    }
}

#[test]
fn good_files_end_with_0_and_a_summary() {
    let desk = Desk::with(&[
        ("raw/a.yaml", SWITCH),
        ("raw/deep/b.yml", &format!("---\n---\n{}", SWITCH.replace("spine-1", "spine-2"))),
    ]);

    let ended = desk.lint(&["raw"]);

    assert_eq!((ended.code(), ended.out().as_str()), (0, "2 documents in 2 files: 0 errors, 0 warnings\n"));
}

#[test]
fn errors_name_the_line_of_the_document_and_the_schemas_path() {
    let desk = Desk::with(&[("crds/switch.yaml", CRD)]);
    desk.write(
        "a.yaml",
        format!("# one\n{SWITCH}---\n{}", SWITCH.replace("role: spine", "asn: '65100'").replace("spine-1", "b"))
            .as_bytes(),
    );

    let ended = desk.lint(&["--crds", "crds", "a.yaml"]);

    assert_eq!(ended.code(), 1);
    assert_eq!(
        ended.out(),
        "a.yaml:13:1: error: spec.role: is missing [schema_required] (openAPIV3Schema.properties.spec.required)\n\
         a.yaml:14:3: error: spec.asn: must be a whole number, is \"65100\" [schema_type] \
         (openAPIV3Schema.properties.spec.properties.asn.type)\n\
         2 documents in 1 file: 2 errors, 0 warnings\n"
    );
}

#[test]
fn json_tells_everything_a_program_may_ask_for() {
    let desk = Desk::with(&[("crds/switch.yaml", CRD)]);
    let items = SWITCH.replace("role: spine", "role: leaf").trim_end().replace('\n', "\n  ");
    desk.write("a.yaml", format!("---\n---\napiVersion: v1\nkind: List\nitems:\n- {items}\n").as_bytes());

    let ended = desk.lint(&["--crds", "crds", "--output", "json", "a.yaml"]);

    let report: Value = serde_json::from_str(&ended.out()).unwrap();
    assert_eq!((&report["documents"], &report["errors"], &report["warnings"]), (&1.into(), &1.into(), &0.into()));
    let remark = &report["remarks"][0];
    assert_eq!((&remark["line"], &remark["column"]), (&11.into(), &5.into()));
    assert_eq!((&remark["index"], &remark["item"]), (&1.into(), &0.into()));
    assert_eq!(remark["object"], "Switch/default/spine-1");
    assert_eq!(remark["field"], "spec.role");
    assert_eq!(remark["schema"], "openAPIV3Schema.properties.spec.properties.role.enum");
}

#[test]
fn github_gets_annotations_that_cannot_be_broken_out_of() {
    let desk = Desk::with(&[("a,b.yaml", "a: 1\n---\nx: [1\n::error::forged\n")]);

    let ended = desk.lint(&["--output", "github", "a,b.yaml"]);

    let out = ended.out();
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines.len(), 2, "{out}");
    assert!(lines[0].starts_with("::warning file=a%2Cb.yaml,line=1,col=1,title=not_kubernetes::"), "{out}");
    assert!(lines[1].starts_with("::error file=a%2Cb.yaml,line=3"), "{out}");
}

#[test]
fn every_kind_of_fault_of_a_drop_is_told() {
    let other = SWITCH.replace("role: spine", "role: server-leaf");
    let desk = Desk::with(&[
        ("raw/a.yaml", SWITCH),
        ("raw/b.yaml", SWITCH),
        ("raw/c.yaml", &other),
        ("raw/d.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n"),
        ("raw/e.yaml", &format!("{}---\nkind: &a [*a]\n", SWITCH.replace("name: spine-1", "name: Spine_1"))),
        ("raw/unmanaged/f.yaml", "not: looked at"),
        ("raw/.hidden/g.yaml", "nor: this"),
        ("raw/h.yaml.archived", "nor: [this"),
        ("raw/notes.txt", "nor this"),
    ]);

    let ended = desk.lint(&["--output", "json", "raw"]);

    assert_eq!(
        ended.remarks(),
        [
            "raw/b.yaml:1:1 warning several_documents_for_one_key",
            "raw/c.yaml:1:1 error several_documents_for_one_key",
            "raw/d.yaml:1:1 warning unknown_kind",
            "raw/e.yaml:1:1 error bad_name",
            "raw/e.yaml:8:11 error unreadable_value",
        ]
    );
}

#[test]
fn managed_files_are_held_to_their_place() {
    let two = format!("{SWITCH}---\n{}", SWITCH.replace("spine-1", "spine-2"));
    let desk = Desk::with(&[
        ("lab/managed/switches/spine-1.yaml", &two),
        ("lab/managed/spine-3.yaml", &SWITCH.replace("spine-1", "spine-3")),
        ("lab/raw/spine-1.yaml", SWITCH),
    ]);

    let ended = desk.lint(&["--output", "json", "lab"]);

    assert_eq!(
        ended.remarks(),
        [
            "lab/managed/spine-3.yaml:1:1 warning misplaced",
            "lab/managed/switches/spine-1.yaml:8:1 error several_documents",
            "lab/managed/switches/spine-1.yaml:8:1 warning misplaced",
        ]
    );
}

#[test]
fn references_are_looked_for_among_all_files() {
    let attachment = "apiVersion: vpc.githedgehog.com/v1beta1\nkind: VPCAttachment\nmetadata: {name: a}\nspec: {connection: c, subnet: web/x}\n";
    let vpc = "apiVersion: vpc.githedgehog.com/v1beta1\nkind: VPC\nmetadata: {name: web}\nspec:\n  subnets: {back: {subnet: 10.0.0.0/24}}\n";
    let desk = Desk::with(&[("a.yaml", attachment), ("b.yaml", vpc)]);

    let ended = desk.lint(&["a.yaml", "b.yaml"]);

    assert_eq!(ended.code(), 0, "warnings alone are no failure");
    assert!(
        ended.out().contains("a.yaml:4:8: warning: spec.connection: there is no Connection `c`"),
        "{}",
        ended.out()
    );
    assert!(ended.out().contains("the VPC `web` has no subnet `x`"), "{}", ended.out());
    assert_eq!(desk.lint(&["--deny-warnings", "a.yaml", "b.yaml"]).code(), 1);
    assert_eq!(desk.lint(&["--deny-warnings", "--validation", "off", "a.yaml", "b.yaml"]).code(), 0);
}

#[test]
fn any_kind_with_a_crd_is_checked() {
    let crd =
        CRD.replace("wiring.githedgehog.com", "example.com").replace("Switch", "Robot").replace("switches", "robots");
    let desk = Desk::with(&[("crds/all.yaml", &format!("{CRD}---\n{crd}"))]);
    desk.write(
        "a.yaml",
        SWITCH
            .replace("wiring.githedgehog.com", "example.com")
            .replace("Switch", "Robot")
            .replace("spine\n", "chief\n")
            .as_bytes(),
    );

    let strict = desk.lint(&["--crds", "crds/all.yaml", "--output", "json", "a.yaml"]);
    let warn = desk.lint(&["--crds", "crds", "--validation", "warn", "--output", "json", "a.yaml"]);

    assert_eq!(strict.remarks(), ["a.yaml:6:3 error schema_enum"]);
    assert_eq!((warn.remarks(), warn.code()), (vec!["a.yaml:6:3 warning schema_enum".to_owned()], 0));
}

#[test]
fn what_cannot_be_read_ends_with_2() {
    let desk = Desk::with(&[("a.yaml", SWITCH), ("empty/x.yaml", "a: 1\n"), ("broken/x.yaml", "a: [\n")]);

    for (args, words) in [
        (&["nowhere.yaml"][..], "nowhere.yaml cannot be read"),
        (&["--crds", "nowhere", "a.yaml"], "nowhere cannot be read"),
        (&["--crds", "empty", "a.yaml"], "holds no CRD at all"),
        (&["--crds", "broken", "a.yaml"], "holds no CRDs that can be read: not YAML"),
        (&[], "required"),
    ] {
        let ended = desk.lint(args);
        assert_eq!(ended.code(), 2, "{args:?}");
        assert!(ended.err().contains(words), "{args:?}: {}", ended.err());
    }
}

#[test]
fn rules_that_are_not_checked_are_named() {
    let crd = CRD.replace(
        "              asn: {type: integer}\n",
        "              asn: {type: integer, x-kubernetes-validations: [{rule: self > 1}]}\n",
    );
    let desk = Desk::with(&[("crds/switch.yaml", &crd), ("a.yaml", SWITCH)]);

    let ended = desk.lint(&["--crds", "crds", "a.yaml"]);

    assert_eq!(ended.code(), 0);
    assert!(ended.err().contains("1 rules written in CEL"), "{}", ended.err());
}

#[test]
fn the_help_teaches() {
    let ended = Desk::with(&[]).lint(&["--help"]);

    for words in ["Exit codes: 0 no errors; 1 errors", "kubectl get crds -o yaml", "pre-commit", "--output github"] {
        assert!(ended.out().contains(words), "{words}: {}", ended.out());
    }
}

#[test]
fn the_labs_own_drop_is_judged_as_the_service_judges_it() {
    let drop = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab/drop");

    let ended = Desk::with(&[]).lint(&["--output", "json", drop.to_str().unwrap()]);

    let errors: Vec<String> = ended.remarks().into_iter().filter(|remark| remark.contains(" error ")).collect();
    assert!(!errors.is_empty() && errors.iter().all(|error| error.contains("mixed/bad.yaml")), "{errors:?}");
}
