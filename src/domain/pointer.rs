//! A place within a document's value.

use std::fmt;

/// One step down: into a mapping or into a list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    Key(String),
    Index(usize),
}

/// The way from a document's root to one of its values; empty for the root.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pointer(Vec<Step>);

impl Pointer {
    /// The steps, outermost first.
    pub fn steps(&self) -> &[Step] {
        &self.0
    }

    /// The pointer one mapping key further.
    pub fn key(&self, name: &str) -> Self {
        self.then(Step::Key(name.to_owned()))
    }

    /// The pointer one list item further.
    pub fn index(&self, index: usize) -> Self {
        self.then(Step::Index(index))
    }

    /// This pointer, and from there the other.
    pub fn join(&self, rest: &Pointer) -> Self {
        Self(self.0.iter().chain(&rest.0).cloned().collect())
    }

    fn then(&self, step: Step) -> Self {
        Self(self.0.iter().cloned().chain([step]).collect())
    }
}

impl From<&[Step]> for Pointer {
    fn from(steps: &[Step]) -> Self {
        Self(steps.to_vec())
    }
}

impl fmt::Display for Pointer {
    /// `spec.ports[0].name`, and `metadata.labels["a.b/c"]` where a name would be read as two.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Key(name) if is_plain(name) && place == 0 => f.write_str(name)?,
                Step::Key(name) if is_plain(name) => write!(f, ".{name}")?,
                Step::Key(name) => write!(f, "[{name:?}]")?,
            }
        }
        Ok(())
    }
}

fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '$'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_reads_like_an_expression() {
        let pointer = Pointer::default().key("spec").key("ports").index(0).key("a.b/c").key("name");

        assert_eq!(pointer.to_string(), "spec.ports[0][\"a.b/c\"].name");
        assert_eq!(Pointer::default().to_string(), "");
    }
}
