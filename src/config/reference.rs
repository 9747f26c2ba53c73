//! Every setting, told to people: the declarations as a page.

use super::declared::{Declaration, Each, Group, Standard};
use super::environment::VARIABLES;

/// One setting, as the reference tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// Its paths through the file, two for a secret: `fabrics.<name>.branch`, `api_tokens[].role`.
    pub paths: Vec<String>,
    pub form: String,
    pub standard: Standard<String>,
    pub is_secret: bool,
    /// The environment variables that set it.
    pub variables: Vec<&'static str>,
    /// What it does, in one sentence.
    pub about: &'static str,
    /// Where the settings below it stand, such as `fabrics.<name>`, and these settings.
    pub below: Option<(String, Vec<Described>)>,
}

/// Every setting, in the reference's order; those of a group are below it.
pub fn described() -> Vec<Described> {
    describe(&super::SETTINGS, "")
}

fn describe(group: &Group, place: &str) -> Vec<Described> {
    let path = |name: &&str| if place.is_empty() { (*name).to_owned() } else { format!("{place}.{name}") };
    let one = |declaration: Declaration<'_>| {
        let paths: Vec<String> = declaration.names.iter().map(path).collect();
        let below = declaration.group.map(|group| {
            let place = match group.each {
                Each::Single => paths[0].clone(),
                Each::Named => format!("{}.<name>", paths[0]),
                Each::Listed | Each::Secrets => format!("{}[]", paths[0]),
            };
            let settings = describe(group, &place);
            (place, settings)
        });
        let sets = VARIABLES.iter().filter(|variable| paths.iter().any(|path| path == variable.setting));
        Described {
            variables: sets.map(|variable| variable.name).collect(),
            paths,
            form: declaration.form,
            standard: declaration.standard,
            is_secret: declaration.is_secret,
            about: declaration.about,
            below,
        }
    };
    group.settings.iter().map(|setting| one(setting.declaration())).collect()
}

const HEAD: &str = "\
# Settings

Every setting, as `fgd-sync settings` prints them. They stand in one YAML file, of which
[fgd-sync.example.yaml](fgd-sync.example.yaml) is an example; `fgd-sync check` names everything that is wrong with one.

- A variable wins over the file; an empty one counts as not set. In its name `<NAME>` is the name that the file gives a NetBox
  or a repository, in upper case and with `_` for `-`.
- A secret stands in place or, better, in a file. The tokens for NetBox and Git are read at every use, other secrets at the
  start.
- A relative path in the file starts at the file's directory, one in a variable at the working directory.
";

/// The reference as a page of Markdown: the settings that stand alone in one table, each group in its own.
pub fn reference() -> String {
    let (groups, alone): (Vec<_>, Vec<_>) = described().into_iter().partition(|setting| setting.below.is_some());
    let mut page = HEAD.to_owned();
    page.push_str(&table(&alone, ""));
    for group in &groups {
        let Some((place, settings)) = &group.below else { continue };
        let variables: String = group.variables.iter().map(|name| format!(" Variable: `{name}`.")).collect();
        page.push_str(&format!("\n## {place}\n\n{}{variables}\n", group.about));
        page.push_str(&table(settings, place));
    }
    page
}

fn table(settings: &[Described], place: &str) -> String {
    let mut table = "\n| setting | form | default | variable | |\n|---|---|---|---|---|\n".to_owned();
    rows(settings, place, &mut table);
    table
}

/// Names begin at `place`, which the table's heading says.
fn rows(settings: &[Described], place: &str, table: &mut String) {
    for setting in settings {
        let short = |path: &String| path.strip_prefix(place).unwrap_or(path).trim_start_matches('.').to_owned();
        let names: Vec<_> = setting.paths.iter().map(|path| format!("`{}`", short(path))).collect();
        let standard = match &setting.standard {
            Standard::Required => "required".to_owned(),
            Standard::Unset => String::new(),
            Standard::Written(text) => format!("`{text}`"),
        };
        let variables: Vec<_> = setting.variables.iter().map(|name| format!("`{name}`")).collect();
        let (names, variables) = (names.join(", "), variables.join(", "));
        let form = if setting.is_secret { format!("secret: {}", setting.form) } else { setting.form.clone() };
        table.push_str(&format!("| {names} | {form} | {standard} | {variables} | {} |\n", setting.about));
        if let Some((_, below)) = &setting.below {
            rows(below, place, table);
        }
    }
}
