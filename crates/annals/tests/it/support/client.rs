//! A client of the HTTP API.

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderMap};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

/// Talks to the process at `base`.
#[derive(Clone)]
pub(crate) struct Client {
    base: String,
    http: reqwest::Client,
}

impl Client {
    pub(crate) fn new(base: String) -> Self {
        let http = reqwest::Client::builder().timeout(Duration::from_secs(30)).build().unwrap();
        Self { base, http }
    }

    /// The same client as who has the account of `email`.
    pub(crate) async fn log_in(&self, email: &str, password: &str) -> Self {
        let request = self.http.post(format!("{}/v1/sessions", self.base));
        let answer = request.json(&json!({ "email": email, "password": password }));
        let answer = answer.send().await.unwrap().error_for_status().unwrap();
        let answer: Value = answer.json().await.unwrap();
        let token = format!("Bearer {}", answer["access_token"].as_str().unwrap());
        let headers = HeaderMap::from_iter([(AUTHORIZATION, token.parse().unwrap())]);
        let http = reqwest::Client::builder().timeout(Duration::from_secs(30));
        Self { http: http.default_headers(headers).build().unwrap(), ..self.clone() }
    }

    pub(crate) async fn get(&self, path: &str) -> (StatusCode, Value) {
        let response = self.http.get(format!("{}{path}", self.base)).send().await.unwrap();
        (response.status(), response.json().await.unwrap())
    }

    pub(crate) async fn text(&self, path: &str) -> String {
        let response = self.http.get(format!("{}{path}", self.base)).send().await.unwrap();
        response.text().await.unwrap()
    }

    /// Posts until the answer is not "try again", at most for a minute: a command with a key has
    /// one effect.
    pub(crate) async fn post(&self, path: &str, key: &str, body: &Value) -> Response {
        let answered = async {
            loop {
                let request = self.http.post(format!("{}{path}", self.base));
                let sent = request.header("Idempotency-Key", key).json(body).send().await;
                match sent {
                    Ok(response) if response.status() != StatusCode::SERVICE_UNAVAILABLE => {
                        return response;
                    }
                    Ok(_) | Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            }
        };
        tokio::time::timeout(Duration::from_mins(1), answered).await.unwrap()
    }

    /// Lists a product; answers with its id.
    pub(crate) async fn list_product(&self, sku: &str, stock: u32) -> String {
        let price = json!({ "amount": 250, "currency": "EUR" });
        let body =
            json!({ "sku": sku, "name": format!("Product {sku}"), "price": price, "stock": stock });
        self.created("/v1/products", sku, &body).await
    }

    /// Gives a product another price, whatever it was.
    pub(crate) async fn reprice_product(&self, id: &str, amount: u32) {
        let request = self.http.put(format!("{}/v1/products/{id}/price", self.base));
        let price = json!({ "amount": amount, "currency": "EUR" });
        let answer = request.header("If-Match", "*").json(&price).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    }

    /// Places an order; answers with its id.
    pub(crate) async fn place_order(&self, key: &str, lines: &[(String, u32)]) -> String {
        let lines: Vec<_> = lines
            .iter()
            .map(|(product_id, quantity)| json!({ "product_id": product_id, "quantity": quantity }))
            .collect();
        self.created("/v1/orders", key, &json!({ "lines": lines })).await
    }

    async fn created(&self, path: &str, key: &str, body: &Value) -> String {
        let response = self.post(path, key, body).await;
        let status = response.status();
        let location = response.headers().get("location").cloned();
        let answer: Value = response.json().await.unwrap();
        assert_eq!(status, StatusCode::CREATED, "{answer}");
        let id = answer["id"].as_str().unwrap().to_owned();
        assert_eq!(location.unwrap(), format!("{path}/{id}").as_str());
        id
    }

    /// Everything of a list, page by page.
    pub(crate) async fn all(&self, path: &str) -> Vec<Value> {
        let mut items = Vec::new();
        let mut cursor = String::new();
        loop {
            let (status, mut page) = self.get(&format!("{path}?limit=50{cursor}")).await;
            assert_eq!(status, StatusCode::OK, "{page}");
            items.append(page["items"].as_array_mut().unwrap());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return items,
            }
        }
    }
}
