//! What a provider says of itself (`OpenID` Connect Discovery 1.0).

use application::ports::external_login::Distrust;
use bytes::Bytes;
use http::{Request, StatusCode};
use serde::Deserialize;
use url::Url;

use super::Failure;
use super::http_client::Client;
use super::settings::is_loopback;

/// What is used of the description of a provider.
pub(super) struct Metadata {
    pub(super) authorization_endpoint: Url,
    pub(super) token_endpoint: Url,
    pub(super) jwks_uri: Url,
    pub(super) userinfo_endpoint: Option<Url>,
    /// Whether we say in the body who we are, and not in a header.
    pub(super) takes_secret_in_body: bool,
    /// Whether it always tells the client who gave the code (RFC 9207).
    pub(super) names_itself: bool,
}

#[derive(Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: Address,
    token_endpoint: Address,
    jwks_uri: Address,
    userinfo_endpoint: Option<Address>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    code_challenge_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Address(Url);

impl TryFrom<String> for Address {
    type Error = url::ParseError;

    fn try_from(text: String) -> Result<Self, url::ParseError> {
        Url::parse(&text).map(Self)
    }
}

/// Asks the provider that is `issuer`.
pub(super) async fn fetch(client: &Client, issuer: &str) -> Result<Metadata, Failure> {
    let address = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
    let (status, body) = client.ask(Request::get(address), Bytes::new()).await?;
    if status != StatusCode::OK {
        return Err(Distrust::Description.into());
    }
    Ok(read(issuer, &body)?)
}

fn read(issuer: &str, body: &[u8]) -> Result<Metadata, Distrust> {
    let document: Document = serde_json::from_slice(body).map_err(|_| Distrust::Description)?;
    if document.issuer != issuer {
        return Err(Distrust::Description);
    }
    // What is asked for with TLS is answered with TLS, and only a loopback issuer has others there.
    let is_plain = issuer.starts_with("http:");
    let is_safe = |url: &Url| match url.scheme() {
        "https" => !is_plain,
        "http" => is_plain && is_loopback(url),
        _ => false,
    };
    let Document { authorization_endpoint, token_endpoint, jwks_uri, userinfo_endpoint, .. } =
        document;
    let (Address(authorization_endpoint), Address(token_endpoint), Address(jwks_uri)) =
        (authorization_endpoint, token_endpoint, jwks_uri);
    let userinfo_endpoint = userinfo_endpoint.map(|Address(address)| address);
    let endpoints = [&authorization_endpoint, &token_endpoint, &jwks_uri];
    if !endpoints.into_iter().chain(&userinfo_endpoint).all(is_safe) {
        return Err(Distrust::Description);
    }
    let challenges = document.code_challenge_methods_supported;
    if challenges.is_some_and(|methods| methods.iter().all(|method| method != "S256")) {
        return Err(Distrust::Description);
    }
    // None means the header.
    let methods = document.token_endpoint_auth_methods_supported.unwrap_or_default();
    let has = |wanted: &str| methods.iter().any(|method| method == wanted);
    Ok(Metadata {
        authorization_endpoint,
        token_endpoint,
        jwks_uri,
        userinfo_endpoint,
        takes_secret_in_body: has("client_secret_post") && !has("client_secret_basic"),
        names_itself: document.authorization_response_iss_parameter_supported,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const ISSUER: &str = "https://id.example";

    fn document() -> Value {
        json!({
            "issuer": ISSUER,
            "authorization_endpoint": "https://id.example/auth",
            "token_endpoint": "https://id.example/token",
            "jwks_uri": "https://keys.example/jwks",
        })
    }

    fn with(field: &str, value: Value) -> Result<Metadata, Distrust> {
        let mut document = document();
        document[field] = value;
        read(ISSUER, document.to_string().as_bytes())
    }

    #[test]
    fn a_description_is_of_its_issuer_and_leads_nowhere_without_tls() {
        let metadata = read(ISSUER, document().to_string().as_bytes()).ok().unwrap();
        assert!(!metadata.takes_secret_in_body && !metadata.names_itself);
        for (field, value) in [
            ("issuer", json!("https://id.example/")),
            ("token_endpoint", json!("http://id.example/token")),
            ("token_endpoint", json!("http://127.0.0.1/token")),
            ("userinfo_endpoint", json!("http://id.example/me")),
            ("jwks_uri", json!("file:///etc/passwd")),
            ("jwks_uri", Value::Null),
            ("code_challenge_methods_supported", json!(["plain"])),
        ] {
            let refused = with(field, value.clone());
            assert_eq!(refused.err(), Some(Distrust::Description), "{field}: {value}");
        }
        let methods = json!(["client_secret_post"]);
        let metadata = with("token_endpoint_auth_methods_supported", methods).ok().unwrap();
        assert!(metadata.takes_secret_in_body);
    }
}
