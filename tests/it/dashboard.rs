//! The dashboard over HTTP, as a browser speaks: cookies, forms, pages.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use reqwest::header::{HeaderMap, LOCATION, SET_COOKIE};
use reqwest::{Client, RequestBuilder};

use crate::receive::service::client;

mod forms;
mod pages;
mod signing_in;

/// A browser that follows no redirect and runs no script.
struct Browser {
    client: Client,
    address: String,
    /// The session, once signed in.
    cookie: Option<String>,
}

/// What a page was answered with.
struct Page {
    status: u16,
    headers: HeaderMap,
    text: String,
}

impl Browser {
    fn at(address: &str) -> Self {
        Self { client: client(), address: address.to_owned(), cookie: None }
    }

    async fn signed_in(address: &str, token: &str) -> Self {
        let mut browser = Self::at(address);
        let answer = browser.sign_in(token, "/").await;
        assert_eq!((answer.status, answer.location()), (303, "/"), "{}", answer.text);
        browser
    }

    async fn sign_in(&mut self, token: &str, to: &str) -> Page {
        let answer = self.send(self.form("/sign-in", &[("token", token), ("to", to)])).await;
        let cookie = answer.headers.get(SET_COOKIE).map(|cookie| cookie.to_str().unwrap());
        self.cookie = cookie.map(|cookie| cookie.split(';').next().unwrap().to_owned());
        answer
    }

    async fn open(&self, path: &str) -> Page {
        self.send(self.client.get(self.url(path))).await
    }

    /// Sends a form with the proof of a page of this session.
    async fn submit(&self, path: &str, fields: &[(&str, &str)]) -> Page {
        let proof = self.proof().await;
        self.submit_with(path, &proof, fields).await
    }

    async fn submit_with(&self, path: &str, proof: &str, fields: &[(&str, &str)]) -> Page {
        let fields: Vec<_> = fields.iter().copied().chain([("proof", proof)]).collect();
        self.send(self.form(path, &fields)).await
    }

    fn form(&self, path: &str, fields: &[(&str, &str)]) -> RequestBuilder {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = self.client.post(self.url(path));
        request.header("Content-Type", "application/x-www-form-urlencoded").body(body)
    }

    /// What every form of this session carries.
    async fn proof(&self) -> String {
        let page = self.open("/deliveries").await;
        let (_, rest) = page.text.split_once("name=\"proof\" value=\"").expect("a form");
        rest.split('"').next().unwrap().to_owned()
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.address)
    }

    async fn send(&self, request: RequestBuilder) -> Page {
        let request = request.header("Accept", "text/html,application/xhtml+xml");
        let request = self.cookie.iter().fold(request, |request, cookie| request.header("Cookie", cookie));
        let answer = request.send().await.expect("answered");
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        Page { status, headers, text: answer.text().await.expect("a whole page") }
    }
}

impl Page {
    fn location(&self) -> &str {
        self.headers.get(LOCATION).map_or("", |location| location.to_str().unwrap())
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Asserts that it is shown, and has these words.
    #[track_caller]
    fn shows(&self, words: &[&str]) -> &Self {
        assert_eq!(self.status, 200, "{}", self.text);
        for word in words {
            assert!(self.text.contains(word), "`{word}` is missing in\n{}", self.text);
        }
        self
    }
}
