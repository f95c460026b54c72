//! `/v1/me`: one's own account and sessions.

mod account;
mod external_identities;
mod permissions;
mod second_factor;
mod sessions;

use crate::routes::Routes;

pub(crate) fn routes() -> Routes {
    Routes::default()
        .get("/v1/me", account::show_operation(), account::show)
        .put("/v1/me/profile", account::profile_operation(), account::change_profile)
        .put("/v1/me/email", account::email_operation(), account::change_email)
        .put("/v1/me/password", account::password_operation(), account::change_password)
        .post("/v1/me/closure", account::closure_operation(), account::close)
        .get(
            "/v1/me/external-identities",
            external_identities::list_operation(),
            external_identities::list,
        )
        .post(
            "/v1/me/external-identities/requests",
            external_identities::begin_operation(),
            external_identities::begin,
        )
        .post(
            "/v1/me/external-identities",
            external_identities::complete_operation(),
            external_identities::complete,
        )
        .delete(
            "/v1/me/external-identities/{id}",
            external_identities::unlink_operation(),
            external_identities::unlink,
        )
        .get("/v1/me/permissions", permissions::operation(), permissions::show)
        .get("/v1/me/sessions", sessions::list_operation(), sessions::list)
        .delete("/v1/me/sessions", sessions::end_others_operation(), sessions::end_others)
        .delete("/v1/me/sessions/current", sessions::log_out_operation(), sessions::log_out)
        .delete("/v1/me/sessions/{id}", sessions::end_operation(), sessions::end)
        .and(second_factor::routes())
}
