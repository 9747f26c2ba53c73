//! Complete listings: every row, or an error.
//!
//! Pages are asked for by offset, which works in every version, and overlap by one row: if the first row of a page is
//! not the last of the page before, rows moved in between and the listing starts over. (The cursor of NetBox 4.6 would
//! be simpler, but refuses `ordering`, which the Hedgehog plugin's lists need.)

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::Error;
use super::http::Http;

/// The most rows that NetBox gives at once; it lowers larger wishes silently.
const PAGE: usize = 1_000;
/// How often a listing starts over because rows moved under it.
const PASSES: usize = 3;

#[derive(Deserialize)]
struct Page {
    count: usize,
    next: Option<String>,
    /// Each is read when it is looked at: as values a page takes many times its text.
    results: Vec<Box<RawValue>>,
}

/// Rows moved while they were listed.
struct Moved(String);

enum Failed {
    Moved(Moved),
    Error(Error),
}

impl Http {
    /// Every row of a list endpoint, ordered by id. Filters are hints to the server: the caller checks each row.
    pub async fn list(&self, path: &str, filters: &[(&str, String)]) -> Result<Vec<Map<String, Value>>, Error> {
        self.list_as(path, filters, |_, row| Ok(Some(row))).await
    }

    /// The same, each row with its id made into what is kept of it, if anything, as soon as its page is here: what a
    /// listing takes in memory is a page and what is kept.
    pub async fn list_as<T>(
        &self,
        path: &str,
        filters: &[(&str, String)],
        mut read: impl FnMut(u64, Map<String, Value>) -> Result<Option<T>, Error>,
    ) -> Result<Vec<T>, Error> {
        let mut last = String::new();
        for _ in 0..PASSES {
            match self.one_pass(path, filters, &mut read).await {
                Ok(rows) => return Ok(rows),
                Err(Failed::Moved(Moved(detail))) => last = detail,
                Err(Failed::Error(error)) => return Err(error),
            }
        }
        Err(self.unexpected(&self.request(path), format!("{last}, {PASSES} times in a row")))
    }

    async fn one_pass<T>(
        &self,
        path: &str,
        filters: &[(&str, String)],
        mut read: impl FnMut(u64, Map<String, Value>) -> Result<Option<T>, Error>,
    ) -> Result<Vec<T>, Failed> {
        let mut kept: Vec<T> = Vec::new();
        let mut seen: usize = 0;
        let mut last_id = None;
        let mut count = None;
        loop {
            let offset = seen.saturating_sub(1);
            let page = self.page(path, filters, offset).await.map_err(Failed::Error)?;
            if count.is_some_and(|count| count != page.count) {
                return Err(Failed::Moved(Moved("the number of rows changed while they were listed".to_owned())));
            }
            count = Some(page.count);
            let more = page.next.is_some();
            let before = seen;
            for (place, row) in page.results.into_iter().enumerate() {
                let row: Map<String, Value> =
                    serde_json::from_str(row.get()).map_err(|_| self.broken(path, "a row that is no object"))?;
                let id =
                    row.get("id").and_then(Value::as_u64).ok_or_else(|| self.broken(path, "a row without an id"))?;
                match last_id {
                    Some(last) if place == 0 && last != id => {
                        return Err(Failed::Moved(Moved("rows moved while they were listed".to_owned())));
                    }
                    Some(last) if place == 0 && last == id => continue,
                    Some(last) if last >= id => return Err(self.broken(path, "rows that are not ordered by id")),
                    Some(_) | None => {}
                }
                last_id = Some(id);
                seen += 1;
                kept.extend(read(id, row).map_err(Failed::Error)?);
            }
            match more {
                false if seen == page.count => return Ok(kept),
                true if seen > before && seen < page.count => {}
                _ => return Err(self.broken(path, &format!("a page that ends at row {seen} of {}", page.count))),
            }
        }
    }

    async fn page(&self, path: &str, filters: &[(&str, String)], offset: usize) -> Result<Page, Error> {
        let mut query = vec![("ordering", "id".to_owned()), ("limit", PAGE.to_string())];
        if offset > 0 {
            query.push(("offset", offset.to_string()));
        }
        query.extend(filters.iter().cloned());
        self.get_present_as(path, &query).await
    }

    fn broken(&self, path: &str, detail: &str) -> Failed {
        Failed::Error(self.unexpected(&self.request(path), detail.to_owned()))
    }

    fn request(&self, path: &str) -> String {
        format!("GET {}", self.shown(path))
    }
}
