//! Which names an object may have: those that Kubernetes takes, which are also safe as file names.

/// Why a text cannot be an object's name (an RFC 1123 subdomain); `None` when it can.
pub fn name_fault(name: &str) -> Option<String> {
    if name.is_empty() {
        return Some("the name is empty".to_owned());
    }
    if name.len() > 253 {
        return Some(format!("the name has {} characters; 253 is the most", name.len()));
    }
    let fault = name.split('.').find_map(label_fault);
    fault.map(|why| format!("`{}` cannot be a name: {why}", shown(name)))
}

/// Why a text cannot be a namespace (an RFC 1123 label); `None` when it can.
pub fn namespace_fault(namespace: &str) -> Option<String> {
    if namespace.len() > 63 {
        return Some(format!("the namespace has {} characters; 63 is the most", namespace.len()));
    }
    label_fault(namespace).map(|why| format!("`{}` cannot be a namespace: {why}", shown(namespace)))
}

fn label_fault(label: &str) -> Option<&'static str> {
    let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    match label.as_bytes() {
        [] => Some("a part of it is empty"),
        [first, .., last] if !word(*first) || !word(*last) => Some("it must begin and end with a-z or 0-9"),
        [only] if !word(*only) => Some("it must begin and end with a-z or 0-9"),
        bytes if !bytes.iter().all(|&byte| word(byte) || byte == b'-') => {
            Some("only a-z, 0-9, `-` and `.` are allowed")
        }
        _ => None,
    }
}

/// At most 60 characters, control characters escaped: for messages.
fn shown(text: &str) -> String {
    text.chars().take(60).flat_map(|c| c.escape_debug()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_kubernetes_takes_are_taken() {
        for name in ["a", "web-01", "leaf-1.rack-2", &"a".repeat(253)] {
            assert_eq!(name_fault(name), None);
        }
    }

    #[test]
    fn names_that_could_leave_their_directory_or_hide_are_refused() {
        let long = "a".repeat(254);
        for name in ["", "..", ".", "a/b", "a\\b", "a\nb", "A", "a_b", "-a", "a-", "a..b", ".a", "a b", "ü", &long] {
            assert!(name_fault(name).is_some(), "{name:?} was taken");
        }
        assert!(namespace_fault("a.b").is_some());
        assert!(namespace_fault(&"a".repeat(64)).is_some());
    }
}
