//! The codes of problems. A code is for ever; texts may change.

use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;

/// What the catalogue says of a kind of problem.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
pub struct Entry {
    /// The stable name.
    pub code: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// What it is, in short.
    pub title: &'static str,
    /// What the client can do.
    pub remedy: &'static str,
}

/// Declares the kinds: name, status, code, title and remedy in one place.
macro_rules! catalogue {
    ($($(#[$doc:meta])* $kind:ident $status:ident $code:literal, $title:literal, $remedy:literal;)+) => {
        /// A kind of problem.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Code {
            $($(#[$doc])* $kind,)+
        }

        impl Code {
            /// Every kind there is.
            pub const ALL: &[Self] = &[$(Self::$kind,)+];

            /// The HTTP status.
            #[must_use]
            pub const fn status(self) -> StatusCode {
                match self {
                    $(Self::$kind => StatusCode::$status,)+
                }
            }

            /// What the catalogue says of it.
            #[must_use]
            pub const fn entry(self) -> Entry {
                let (code, title, remedy) = match self {
                    $(Self::$kind => ($code, $title, $remedy),)+
                };
                Entry { code, status: self.status().as_u16(), title, remedy }
            }
        }
    };
}

catalogue! {
    /// The body is no JSON.
    MalformedJson BAD_REQUEST "malformed-json",
        "The body is not JSON",
        "Send a complete JSON document.";
    /// The body is JSON, but not what this operation takes.
    InvalidBody UNPROCESSABLE_ENTITY "invalid-body",
        "The body is not what this operation takes",
        "Mend the fields that `errors` points to.";
    /// A parameter of the path or the query is not what this operation takes.
    InvalidParameter BAD_REQUEST "invalid-parameter",
        "A parameter is not what this operation takes",
        "Mend the parameters that `errors` names.";
    /// A header is not what this operation takes.
    InvalidHeader BAD_REQUEST "invalid-header",
        "A header is not what this operation takes",
        "Mend the headers that `errors` names.";
    /// The body is not declared as JSON.
    UnsupportedMediaType UNSUPPORTED_MEDIA_TYPE "unsupported-media-type",
        "The body is not declared as JSON",
        "Send `Content-Type: application/json`.";
    /// The body is larger than allowed.
    BodyTooLarge PAYLOAD_TOO_LARGE "body-too-large",
        "The body is too large",
        "Send less at a time.";
    /// What the public would be told is larger than the broker takes.
    MessageTooLarge PAYLOAD_TOO_LARGE "message-too-large",
        "What would be told of this is too large",
        "Ask for less at a time, for example fewer lines.";
    /// Nobody is logged in.
    NotLoggedIn UNAUTHORIZED "not-logged-in",
        "This takes a login",
        "Log in with `POST /v1/sessions` and send `Authorization: Bearer` with the access token.";
    /// The access token is not valid.
    InvalidToken UNAUTHORIZED "invalid-token",
        "The access token is not valid",
        "Get another one with `POST /v1/sessions/refresh`, or log in again; an API key that is over has \
         to be replaced.";
    /// Address or password are wrong, or who asks may not come in.
    LoginFailed UNAUTHORIZED "login-failed",
        "Address or password are wrong, or you have to wait",
        "Try again after a while, or ask for another password.";
    /// The password is right, and it takes a code as well.
    SecondFactorRequired UNAUTHORIZED "second-factor-required",
        "It takes a code of the second factor as well",
        "Send the same again with `code`: what the device shows, or a code for when it is lost.";
    /// The code is wrong, or was used.
    CodeRefused UNAUTHORIZED "code-refused",
        "The code is wrong, or has been used",
        "Send what the device shows now; a code is good for once.";
    /// The address was never proved.
    EmailNotVerified FORBIDDEN "email-not-verified",
        "The address is not verified",
        "Follow what was mailed, or ask for it again with `POST /v1/email-verifications/requests`.";
    /// A token that was given out once is not valid.
    TokenRefused UNPROCESSABLE_ENTITY "token-refused",
        "The token was never given out, has been used or is over",
        "Log in again, or ask for another mail.";
    /// The password may not be taken.
    WeakPassword UNPROCESSABLE_ENTITY "weak-password",
        "The password is too easy to guess",
        "Choose one that breaks none of the rules that `errors` names.";
    /// The address has another account.
    EmailTaken CONFLICT "email-taken",
        "The address has another account",
        "Use that account, or another address.";
    /// A login at a provider cannot be completed with what is sent.
    ExternalLoginRefused UNPROCESSABLE_ENTITY "external-login-refused",
        "The login at the provider was not begun here, has been completed or is over",
        "Begin again with `POST /v1/sessions/external/{provider}`.";
    /// The provider does not vouch for the address.
    AddressNotVouched FORBIDDEN "address-not-vouched",
        "The provider does not vouch for your address",
        "Prove the address at the provider, or open an account here and link the identity.";
    /// Somebody else comes in by this identity.
    IdentityTaken CONFLICT "identity-taken",
        "The identity is linked to another account",
        "Use that account, or unlink it there.";
    /// Nothing else lets the user in.
    LastWayIn CONFLICT "last-way-in",
        "Nothing else lets you in",
        "Choose a password with `POST /v1/password-resets/requests`, or link another identity first.";
    /// A provider does not answer.
    ProviderUnavailable SERVICE_UNAVAILABLE "provider-unavailable",
        "The provider does not answer",
        "Send the request again after a moment, or log in otherwise.";
    /// What a provider answers cannot be trusted.
    ProviderUntrusted BAD_GATEWAY "provider-untrusted",
        "What the provider answers cannot be trusted",
        "Log in otherwise; report the `X-Request-Id` of the response to the operator.";
    /// More want to come in than can be looked at.
    Busy SERVICE_UNAVAILABLE "busy",
        "Too many want to come in at once",
        "Send the request again after a moment.";
    /// Who asks may not.
    Forbidden FORBIDDEN "forbidden",
        "This takes a permission that you do not have",
        "Ask the operator for the permission that `detail` names.";
    /// A program asks for what takes a login.
    SessionRequired FORBIDDEN "session-required",
        "This takes a login, and an API key is none",
        "Log in with `POST /v1/sessions`: no API key looks after accounts, sessions and keys.";
    /// The address has asked too often.
    TooManyRequests TOO_MANY_REQUESTS "too-many-requests",
        "Too many requests came from your address",
        "Wait as long as `Retry-After` says; `RateLimit` tells beforehand what is left.";
    /// The request is for another host.
    Misdirected MISDIRECTED_REQUEST "misdirected-request",
        "The request is for another host",
        "Use a loopback address or `localhost`, or log in.";
    /// A page of another origin asks for a WebSocket.
    ForeignOrigin FORBIDDEN "foreign-origin",
        "The request comes from a page of another origin",
        "Open the WebSocket from a page of this service, or from what is no browser.";
    /// Nothing is at this address.
    NotFound NOT_FOUND "not-found",
        "Nothing is here",
        "Check the address. What was just made may take a moment to appear.";
    /// The moment asked for is still to come.
    NotReached NOT_FOUND "not-reached",
        "The log has not come that far",
        "Ask for an earlier moment, or again when it has come.";
    /// This address does not answer to this method.
    MethodNotAllowed METHOD_NOT_ALLOWED "method-not-allowed",
        "This address does not answer to this method",
        "Use a method that `Allow` names.";
    /// A line asks for what is not offered.
    UnknownProduct UNPROCESSABLE_ENTITY "unknown-product",
        "A line asks for a product that is not offered",
        "Take product ids from `GET /v1/products`.";
    /// The lines are priced in different currencies.
    MixedCurrencies UNPROCESSABLE_ENTITY "mixed-currencies",
        "The lines are priced in different currencies",
        "Place one order for each currency.";
    /// The total is more than can be counted.
    TotalTooLarge UNPROCESSABLE_ENTITY "total-too-large",
        "The total is more than can be counted",
        "Order less at a time.";
    /// The SKU is in use.
    SkuTaken CONFLICT "sku-taken",
        "Another product has this SKU",
        "Choose another SKU.";
    /// A rule forbids it in the present state.
    Rejected CONFLICT "rejected",
        "A rule forbids this in the present state",
        "Read the present state and decide anew.";
    /// The idempotency key was used for another request.
    IdempotencyKeyReused UNPROCESSABLE_ENTITY "idempotency-key-reused",
        "This idempotency key was used for another request",
        "Use a new key for a new request.";
    /// A command that must have a name has none.
    IdempotencyKeyMissing BAD_REQUEST "idempotency-key-missing",
        "This command must have an idempotency key",
        "Send a new `Idempotency-Key` with each command, and the same one when you send it again.";
    /// The first command of this name is still in hand.
    IdempotencyKeyInUse CONFLICT "idempotency-key-in-use",
        "The first request with this idempotency key is still in hand",
        "Send the request again after a moment, with the same key.";
    /// The command is meant for another state.
    PreconditionFailed PRECONDITION_FAILED "precondition-failed",
        "It has changed since you have seen it",
        "Read it again, decide anew and send the new `ETag` as `If-Match`.";
    /// The command does not say for which state it is meant.
    PreconditionRequired PRECONDITION_REQUIRED "precondition-required",
        "This command must say which state it is meant for",
        "Send the `ETag` of the state you have seen as `If-Match`, or `*`.";
    /// Others kept changing the same things.
    Contended SERVICE_UNAVAILABLE "contended",
        "Others kept changing the same things",
        "Send the request again after a moment.";
    /// The read model has not come as far as `Annals-Min-Position` says.
    NotYet SERVICE_UNAVAILABLE "not-yet",
        "What is asked for is not that fresh yet",
        "Send the query again after a moment, or without `Annals-Min-Position`.";
    /// The read model is made for the first time.
    InTheMaking SERVICE_UNAVAILABLE "in-the-making",
        "What is asked for is being made from the log",
        "Send the query again after a while; `/readyz` says how far it is.";
    /// As many connections of the feed are open as may be.
    FeedFull SERVICE_UNAVAILABLE "feed-full",
        "The feed has no place for another connection",
        "Connect again after a while, or to another process.";
    /// The database cannot be reached; nothing was changed.
    DatabaseUnavailable SERVICE_UNAVAILABLE "database-unavailable",
        "The database cannot be reached; nothing was changed",
        "Send the request again after a moment.";
    /// The answer of the database was lost; the change may have been made.
    Unconfirmed SERVICE_UNAVAILABLE "unconfirmed",
        "The change was sent, but its confirmation was lost",
        "Send the request again with the same `Idempotency-Key`: it has no second effect.";
    /// It took too long.
    DeadlineExceeded SERVICE_UNAVAILABLE "deadline-exceeded",
        "The request took too long",
        "Send the request again, a command with the same `Idempotency-Key`.";
    /// A fault of the service.
    Internal INTERNAL_SERVER_ERROR "internal",
        "A fault of the service",
        "Report the `X-Request-Id` of the response.";
}
