//! Somebody's browser, as far as a provider of identities needs one: cookies, redirects, forms.

use std::collections::BTreeMap;

use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode, header};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use url::Url;

/// More pages than any login has.
const MOST: usize = 20;

/// A browser with its cookies.
pub(crate) struct Browser {
    client: Client<HttpConnector, Body>,
    cookies: BTreeMap<String, String>,
}

/// A page, or where the browser is sent.
struct Page {
    next: Option<Url>,
    text: String,
}

impl Browser {
    pub(crate) fn new() -> Self {
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self { client, cookies: BTreeMap::new() }
    }

    /// Goes to the provider's page `address`, logs in there as `name` if it asks who it is, agrees to
    /// everything, and answers with what it comes back to `redirect_uri` with.
    pub(crate) async fn log_in(
        &mut self,
        address: &str,
        name: &str,
        redirect_uri: &str,
    ) -> BTreeMap<String, String> {
        let mut at = Url::parse(address).unwrap();
        let mut page = self.ask(Method::GET, &at, String::new()).await;
        for _ in 0..MOST {
            if let Some(next) = page.next {
                if next.as_str().starts_with(redirect_uri) {
                    return next.query_pairs().into_owned().collect();
                }
                at = next;
                page = self.ask(Method::GET, &at, String::new()).await;
                continue;
            }
            let action = page.text.split("action=\"").nth(1).unwrap_or_else(|| {
                panic!("a page without a form at {at}: {}", page.text);
            });
            at = at.join(action.split('"').next().unwrap()).unwrap();
            let form = if page.text.contains("value=\"login\"") {
                format!("prompt=login&login={name}&password=any")
            } else {
                "prompt=consent".to_owned()
            };
            page = self.ask(Method::POST, &at, form).await;
        }
        panic!("a login without end at {at}");
    }

    async fn ask(&mut self, method: Method, address: &Url, form: String) -> Page {
        let cookies: Vec<_> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = Request::builder()
            .method(method)
            .uri(address.as_str())
            .header(header::COOKIE, cookies.join("; "))
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(form));
        let response = self.client.request(request.unwrap()).await.unwrap();
        for cookie in response.headers().get_all(header::SET_COOKIE) {
            let pair = cookie.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            if value.is_empty() {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        let next = response.headers().get(header::LOCATION);
        let next = next.map(|next| address.join(next.to_str().unwrap()).unwrap());
        let status = response.status();
        let body = to_bytes(Body::new(response.into_body()), usize::MAX).await.unwrap();
        let text = String::from_utf8(body.to_vec()).unwrap();
        assert!(status == StatusCode::OK || next.is_some(), "{address}: {status} {text}");
        Page { next, text }
    }
}
