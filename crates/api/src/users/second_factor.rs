//! `DELETE /v1/users/{id}/second-factor`: somebody has lost the device, and the codes as well.

use application::identity::Identity;
use axum::extract::State;
use domain::identity::USER;
use domain::ids::UserId;

use crate::operation::Operation;
use crate::origin::CommandOrigin;
use crate::params::Path;
use crate::problem::Problem;
use crate::receipts::Changed;

pub(super) fn remove_operation() -> Operation {
    let done = "The password alone lets the user in, who is mailed that; sessions go on.";
    super::manage::operation("removeSecondFactor", "Take a second factor from a user", done)
}

pub(super) async fn remove(
    State(identity): State<Identity>,
    Path(user): Path<UserId>,
    CommandOrigin(origin): CommandOrigin,
) -> Result<Changed, Problem> {
    let receipt = identity.remove_second_factor(&origin, user).await?;
    Ok(Changed { category: USER, receipt })
}
