//! Commits as Git writes them.

/// A person and a time, as a commit has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stamp {
    pub name: String,
    pub email: String,
    /// Seconds since 1970.
    pub at: i64,
    /// Minutes east of UTC.
    pub offset: i32,
}

/// A commit, taken apart or about to be made.
#[derive(Debug, Clone)]
pub(super) struct Commit {
    pub tree: String,
    pub parents: Vec<String>,
    pub author: Stamp,
    pub committer: Stamp,
    pub signature: Option<String>,
    pub message: String,
}

impl Stamp {
    fn to_line(&self) -> String {
        let (sign, minutes) = if self.offset < 0 { ('-', -self.offset) } else { ('+', self.offset) };
        format!("{} <{}> {} {sign}{:02}{:02}", self.name, self.email, self.at, minutes / 60, minutes % 60)
    }

    fn parse(line: &str) -> Option<Self> {
        let (name, rest) = line.split_once('<')?;
        let (email, time) = rest.split_once("> ")?;
        let (at, zone) = time.split_once(' ')?;
        let zone: i32 = zone.parse().ok()?;
        let offset = zone / 100 * 60 + zone % 100;
        Some(Self { name: name.trim_end().to_owned(), email: email.to_owned(), at: at.parse().ok()?, offset })
    }
}

impl Commit {
    pub fn to_bytes(&self) -> String {
        let (head, message) = (self.head(), &self.message);
        match &self.signature {
            Some(signature) => {
                format!("{head}gpgsig {}\n\n{message}", signature.trim_end().replace('\n', "\n "))
            }
            None => format!("{head}\n{message}"),
        }
    }

    /// What is signed: the commit without its signature.
    pub fn payload(&self) -> String {
        format!("{}\n{}", self.head(), self.message)
    }

    fn head(&self) -> String {
        let parents: String = self.parents.iter().map(|parent| format!("parent {parent}\n")).collect();
        let (author, committer) = (self.author.to_line(), self.committer.to_line());
        format!("tree {}\n{parents}author {author}\ncommitter {committer}\n", self.tree)
    }

    pub fn parse(text: &str) -> Option<Self> {
        let (head, message) = text.split_once("\n\n")?;
        let head = head.replace("\n ", "\u{1}");
        let all = |name: &str| -> Vec<String> {
            head.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).map(str::to_owned).collect()
        };
        let one = |name: &str| all(name).into_iter().next();
        Some(Self {
            tree: one("tree")?,
            parents: all("parent"),
            author: Stamp::parse(&one("author")?)?,
            committer: Stamp::parse(&one("committer")?)?,
            signature: one("gpgsig").map(|signature| signature.replace('\u{1}', "\n")),
            message: message.to_owned(),
        })
    }
}
