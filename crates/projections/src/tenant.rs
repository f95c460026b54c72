//! Of whom a query sees rows.
//!
//! Queries connect as the role `annals_queries`, for which the tables of what belongs to organizations
//! have a policy: it sees the rows of the tenant that `annals.tenant` names, and none if nothing does.
//! The setting is made by the statement that asks, in its own transaction, so that neither a pooled
//! connection nor a forgotten `WHERE` can show anything of others:
//!
//! ```sql
//! SELECT … FROM set_config('annals.tenant', $1, true) AS tenant (told),
//!     LATERAL (SELECT … FROM orders WHERE told IS NOT NULL AND … LIMIT …) AS seen
//! ```
//!
//! The inner query depends on what the outer one told, and has a limit, so it is neither merged into the
//! outer one nor begun before it.

use std::fmt;

use domain::ids::OrganizationId;

/// The role as which read models are asked.
pub const ROLE: &str = "annals_queries";

/// Of whom rows are seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tenant {
    /// Of everybody.
    All,
    /// Of the organization; without one, of what belongs to none.
    Of(Option<OrganizationId>),
}

impl Tenant {
    /// Whether it sees what belongs to `tenant`.
    #[must_use]
    pub fn sees(self, tenant: Option<OrganizationId>) -> bool {
        self == Self::All || self == Self::Of(tenant)
    }
}

/// As `annals.tenant`.
impl fmt::Display for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("*"),
            Self::Of(None) => f.write_str("-"),
            Self::Of(Some(id)) => id.fmt(f),
        }
    }
}
