//! Branch names, by the rules of `git check-ref-format`, less those that git reads in another way on a command line.
//!
//! <https://git-scm.com/docs/git-check-ref-format>

use super::section::Refusal;

/// Takes a branch name without `refs/heads/`.
pub(super) fn check(text: &str) -> Result<String, Refusal> {
    match fault(text) {
        None => Ok(text.to_owned()),
        Some(fault) => Err(Refusal::new(
            format!("`{}` cannot be a branch: {fault}", text.escape_debug()),
            "Write the branch's short name, such as `main`.",
        )),
    }
}

fn fault(text: &str) -> Option<&'static str> {
    let forbidden = |c: char| c.is_control() || matches!(c, ' ' | '~' | '^' | ':' | '?' | '*' | '[' | '\\');
    let part = |part: &str| part.is_empty() || part.starts_with('.') || part.ends_with(".lock");
    if text.is_empty() {
        Some("it is empty")
    } else if text.starts_with("refs/") {
        Some("it is a full reference")
    } else if text.starts_with('-') {
        Some("it starts with a dash")
    } else if text == "@" || text == "HEAD" {
        Some("git gives that name another meaning")
    } else if text.contains("..") || text.contains("@{") {
        Some("`..` and `@{` are not allowed")
    } else if text.ends_with('.') {
        Some("it ends with a dot")
    } else if text.chars().any(forbidden) {
        Some("it holds a blank, a control character or one of `~^:?*[\\`")
    } else if text.split('/').any(part) {
        Some("one of its parts is empty, starts with a dot or ends with `.lock`")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn git_agrees_about_every_name() {
        let names = [
            "main", "team/a", "a@b", "ä", "v1.2", "a.lock.b", "a..b", "a@{b", "a b", "a~1", "a^", "a:b", "a?", "a*",
            "a[", "a\\b", "/a", "a/", "a//b", ".a", "a/.b", "a.", "a.lock", "a.lock/b", "\u{7f}", "a\tb",
        ];

        for name in names {
            let git = Command::new("git").args(["check-ref-format", &format!("refs/heads/{name}")]).output().unwrap();

            assert_eq!(check(name).is_ok(), git.status.success(), "{name:?}");
        }
    }
    #[test]
    fn a_name_with_another_meaning_on_a_command_line_is_refused() {
        for name in ["", "-x", "@", "HEAD", "refs/heads/main"] {
            assert!(check(name).is_err(), "{name:?} was taken");
        }
    }
}
