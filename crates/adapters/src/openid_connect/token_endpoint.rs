//! A code for tokens, and a token for what its owner is called.

use application::ports::external_login::{Distrust, Grant};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Request, StatusCode, request};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use url::Url;
use url::form_urlencoded::{Serializer, byte_serialize};
use zeroize::Zeroizing;

use super::Failure;
use super::discovery::Metadata;
use super::http_client::Client;
use super::id_token::Profile;
use super::settings::ProviderSettings;

/// What is given for a code. None of it is kept.
#[derive(Deserialize)]
pub(super) struct Tokens {
    pub(super) id_token: SecretString,
    pub(super) access_token: Option<SecretString>,
}

#[derive(Deserialize)]
struct Refusal {
    error: String,
}

#[derive(Deserialize)]
struct UserInfo {
    sub: String,
    #[serde(flatten)]
    profile: Profile,
}

/// The tokens for the code of `grant`.
pub(super) async fn redeem(
    client: &Client,
    settings: &ProviderSettings,
    metadata: &Metadata,
    grant: &Grant<'_>,
) -> Result<Tokens, Failure> {
    let (request, form) = request(settings, metadata, grant)?;
    let (status, body) = client.ask(request, form).await?;
    match status {
        StatusCode::OK => Ok(serde_json::from_slice(&body).map_err(|_| Distrust::Form)?),
        StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED => {
            let refusal: Refusal = serde_json::from_slice(&body).map_err(|_| Distrust::Form)?;
            Err(if refusal.error == "invalid_grant" {
                Failure::Refused
            } else {
                Distrust::Client.into()
            })
        }
        _ => Err(Distrust::Form.into()),
    }
}

/// What is asked.
fn request(
    settings: &ProviderSettings,
    metadata: &Metadata,
    grant: &Grant<'_>,
) -> Result<(request::Builder, Bytes), Distrust> {
    let mut form = Serializer::new(String::new());
    form.append_pair("grant_type", "authorization_code")
        .append_pair("code", grant.code.expose_secret())
        .append_pair("redirect_uri", grant.redirect_uri)
        .append_pair("code_verifier", grant.verifier.expose_secret());
    let mut request = Request::post(metadata.token_endpoint.as_str())
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    match &settings.client_secret {
        Some(secret) if !metadata.takes_secret_in_body => {
            request = request.header(AUTHORIZATION, basic(&settings.client_id, secret)?);
        }
        secret => {
            form.append_pair("client_id", &settings.client_id);
            if let Some(secret) = secret {
                form.append_pair("client_secret", secret.expose_secret());
            }
        }
    }
    Ok((request, Bytes::from(form.finish())))
}

/// What the provider says of `subject`, to whom `token` belongs.
pub(super) async fn user_info(
    client: &Client,
    endpoint: &Url,
    token: &SecretString,
    subject: &str,
) -> Result<Profile, Failure> {
    let bearer = Zeroizing::new(format!("Bearer {}", token.expose_secret()));
    let request = Request::get(endpoint.as_str()).header(AUTHORIZATION, secret_value(&bearer)?);
    let (status, body) = client.ask(request, Bytes::new()).await?;
    if status != StatusCode::OK {
        return Err(Distrust::Form.into());
    }
    let UserInfo { sub, profile } = serde_json::from_slice(&body).map_err(|_| Distrust::Form)?;
    // Of whom it is must not depend on which token it was asked with (section 5.3.2).
    if sub == subject { Ok(profile) } else { Err(Distrust::Subject.into()) }
}

/// Who we are, as RFC 6749 has it: both are encoded as in a form first.
fn basic(client: &str, secret: &SecretString) -> Result<HeaderValue, Distrust> {
    let mut pair = Zeroizing::new(String::new());
    pair.extend(byte_serialize(client.as_bytes()));
    pair.push(':');
    pair.extend(byte_serialize(secret.expose_secret().as_bytes()));
    secret_value(&Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes()))))
}

fn secret_value(text: &str) -> Result<HeaderValue, Distrust> {
    let mut value = HeaderValue::from_str(text).map_err(|_| Distrust::Form)?;
    value.set_sensitive(true);
    Ok(value)
}
