//! How settings are declared: name, form, default and purpose once, for those who read them and for the reference.
//!
//! Each module that reads settings declares them beside its readers. A `Section` knows the settings of its `Group` and
//! no others, so a setting that is not declared cannot be written.

use std::ops::RangeInclusive;

/// A whole number.
pub(super) struct Number {
    pub name: &'static str,
    pub default: u64,
    pub range: RangeInclusive<u64>,
    pub about: &'static str,
}

/// One of a few words, never none; the first is the default.
pub(super) struct Choice<T: 'static> {
    pub name: &'static str,
    pub words: &'static [(&'static str, T)],
    pub about: &'static str,
}

/// Whatever a reader of its own makes of a text, or of a list or map of texts.
pub(super) struct Text {
    pub name: &'static str,
    form: &'static str,
    pub standard: Standard<&'static str>,
    about: &'static str,
}

/// A secret: in place, or in a file.
pub(super) struct Secret {
    pub text: &'static str,
    pub file: &'static str,
    pub standard: Standard<&'static str>,
    pub about: &'static str,
}

/// A map of settings.
pub(super) struct Group {
    pub name: &'static str,
    pub each: Each,
    pub about: &'static str,
    pub settings: &'static [&'static dyn Declared],
}

/// How many maps of a group's settings there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Each {
    Single,
    /// One below each name that the operator chose.
    Named,
    /// One for each item of a list.
    Listed,
    /// As `Listed`; an item may also be a secret in place.
    Secrets,
}

/// What holds where nobody wrote a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standard<Words> {
    /// It must be written.
    Required,
    /// Nothing of its own.
    Unset,
    /// This, as it would be written.
    Written(Words),
}

/// What is alike in all of them.
pub(super) trait Declared: Sync {
    fn declaration(&self) -> Declaration<'_>;
}

/// One setting, as the reference tells it.
pub(super) struct Declaration<'a> {
    /// The name in its section; a secret has two.
    pub names: Vec<&'static str>,
    pub form: String,
    pub standard: Standard<String>,
    pub about: &'static str,
    pub is_secret: bool,
    /// The settings below it.
    pub group: Option<&'a Group>,
}

impl Text {
    pub const fn required(name: &'static str, form: &'static str, about: &'static str) -> Self {
        Self { name, form, standard: Standard::Required, about }
    }

    pub const fn optional(name: &'static str, form: &'static str, about: &'static str) -> Self {
        Self { name, form, standard: Standard::Unset, about }
    }

    /// One that is read as `default` where it is not written.
    pub const fn or(name: &'static str, form: &'static str, default: &'static str, about: &'static str) -> Self {
        Self { name, form, standard: Standard::Written(default), about }
    }
}

impl Group {
    pub const fn single(name: &'static str, about: &'static str, settings: &'static [&'static dyn Declared]) -> Self {
        Self { name, each: Each::Single, about, settings }
    }

    /// Every name that may stand in it.
    pub fn names(&self) -> Vec<&'static str> {
        self.settings.iter().flat_map(|setting| setting.declaration().names).collect()
    }
}

impl Standard<&str> {
    fn owned(self) -> Standard<String> {
        match self {
            Self::Required => Standard::Required,
            Self::Unset => Standard::Unset,
            Self::Written(text) => Standard::Written(text.to_owned()),
        }
    }
}

/// A setting of one name, without settings below it.
fn plain(name: &'static str, form: String, standard: Standard<String>, about: &'static str) -> Declaration<'static> {
    Declaration { names: vec![name], form, standard, about, is_secret: false, group: None }
}

impl Declared for Number {
    fn declaration(&self) -> Declaration<'_> {
        let form = format!("whole number, {} to {}", self.range.start(), self.range.end());
        plain(self.name, form, Standard::Written(self.default.to_string()), self.about)
    }
}

impl<T: Sync> Declared for Choice<T> {
    fn declaration(&self) -> Declaration<'_> {
        let words: Vec<_> = self.words.iter().map(|(word, _)| format!("`{word}`")).collect();
        let standard = self.words.first().map_or(Standard::Unset, |(word, _)| Standard::Written((*word).to_owned()));
        let form = match words.split_last() {
            Some((last, others)) if !others.is_empty() => format!("{} or {last}", others.join(", ")),
            Some(_) | None => words.concat(),
        };
        plain(self.name, form, standard, self.about)
    }
}

impl Declared for Text {
    fn declaration(&self) -> Declaration<'_> {
        plain(self.name, self.form.to_owned(), self.standard.owned(), self.about)
    }
}

impl Declared for Secret {
    fn declaration(&self) -> Declaration<'_> {
        let names = vec![self.text, self.file];
        let form = "text, or path of a file that holds it".to_owned();
        Declaration { names, form, standard: self.standard.owned(), about: self.about, is_secret: true, group: None }
    }
}

impl Declared for Group {
    fn declaration(&self) -> Declaration<'_> {
        let form = match self.each {
            Each::Single => "map",
            Each::Named => "map of names",
            Each::Listed => "list of maps",
            Each::Secrets => "list of texts or maps",
        };
        let declaration = plain(self.name, form.to_owned(), Standard::Unset, self.about);
        Declaration { group: Some(self), is_secret: self.each == Each::Secrets, ..declaration }
    }
}
