//! One request about a repository, before anybody knows where the repository is.

use reqwest::Method;
use serde_json::Value;

/// One request about the repository.
pub(super) struct Call<'a> {
    pub method: Method,
    /// Below the repository; parts are escaped.
    pub path: Vec<&'a str>,
    pub query: Vec<(&'static str, String)>,
    pub body: Option<&'a Value>,
    pub etag: Option<&'a str>,
}

impl<'a> Call<'a> {
    pub fn get(path: impl IntoIterator<Item = &'a str>) -> Self {
        Self::of(Method::GET, path)
    }

    pub fn of(method: Method, path: impl IntoIterator<Item = &'a str>) -> Self {
        Self { method, path: path.into_iter().collect(), query: Vec::new(), body: None, etag: None }
    }

    pub fn query(mut self, name: &'static str, value: impl ToString) -> Self {
        self.query.push((name, value.to_string()));
        self
    }

    pub fn body(mut self, body: &'a Value) -> Self {
        self.body = Some(body);
        self
    }

    /// As messages show it.
    pub fn shown(&self) -> String {
        format!("{} {}", self.method, self.path.join("/"))
    }
}
