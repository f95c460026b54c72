//! Who asks, and what they may do.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, LazyLock};

use application::identity::AuthenticatedKey;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use domain::identity::{Grant, Reach};
use domain::ids::{OrganizationId, SessionId, UserId};
use projections::Tenant;

use crate::problem::{Code, Problem};

/// Declares [`Permission`]; a permission is one line.
macro_rules! permissions {
    ($($(#[$doc:meta])* $permission:ident $name:literal,)+) => {
        /// What a route asks for.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Permission {
            $($(#[$doc])* $permission,)+
        }

        impl Permission {
            /// Every one there is.
            pub const ALL: &[Self] = &[$(Self::$permission,)+];

            /// Its name in the settings and in the description of the API.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$permission => $name,)+
                }
            }
        }
    };
}

permissions! {
    /// Come in: register, prove an address, log in.
    EnterAccount "account.enter",
    /// Do with one's own account what everybody may; comes with being logged in.
    OwnAccount "account.self",
    /// See users.
    ReadUsers "users.read",
    /// Suspend users, and grant them roles.
    ManageUsers "users.manage",
    /// See what roles grant.
    ReadRoles "roles.read",
    /// Say what roles grant.
    ManageRoles "roles.manage",
    /// Create organizations, which are one's own then.
    CreateOrganizations "organizations.create",
    /// See an organization, and who belongs to it.
    ReadOrganizations "organizations.read",
    /// Say who belongs to an organization, and what it is called.
    ManageOrganizations "organizations.manage",
    /// Close an organization, or make it another's.
    OwnOrganizations "organizations.own",
    /// See products.
    ReadProducts "products.read",
    /// Offer products, and change what they are offered as.
    ManageProducts "products.manage",
    /// See orders.
    ReadOrders "orders.read",
    /// Place orders.
    PlaceOrders "orders.place",
    /// See what happened and what was when.
    Audit "audit.read",
    /// See how the read models are doing.
    ReadProjections "projections.read",
    /// Follow what happens.
    FollowEvents "events.follow",
    /// Read what the API is: its description, its problems.
    ReadDescription "description.read",
}

/// Who asks.
#[derive(Debug, Clone)]
pub(crate) struct Principal {
    /// What events and command ids call it.
    actor: Arc<str>,
    who: Who,
    /// What everybody may do.
    everybody: Grants,
    /// What its roles grant.
    roles: Vec<Arc<BTreeSet<Grant>>>,
    acting: Option<Acting>,
}

/// The organization in which somebody acts.
#[derive(Debug, Clone)]
pub(crate) struct Acting {
    pub(crate) organization: OrganizationId,
    /// What a member's role in it grants.
    pub(crate) role: Arc<BTreeSet<Grant>>,
    /// Whether it was asked to act in no other: then no permission reaches further.
    pub(crate) is_confined: bool,
}

/// What is seen by a permission.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scope {
    /// What is of these.
    pub(crate) tenant: Tenant,
    /// Of that, only what is this user's.
    pub(crate) owner: Option<UserId>,
}

impl Scope {
    /// Whether what `owner` has for `tenant` is seen.
    pub(crate) fn sees(self, tenant: Option<OrganizationId>, owner: Option<UserId>) -> bool {
        self.tenant.sees(tenant) && (self.owner.is_none() || self.owner == owner)
    }
}

/// What is known of who asks.
#[derive(Debug, Clone)]
enum Who {
    Anybody,
    User(SignedIn),
    /// A program, on behalf of a user: it may do what the user may and the key grants.
    Program {
        user: UserId,
        grants: Arc<BTreeSet<Grant>>,
    },
}

/// A user who is logged in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SignedIn {
    pub(crate) user: UserId,
    pub(crate) session: SessionId,
}

/// What whoever reaches the listener may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grants(Arc<BTreeSet<Permission>>);

impl Principal {
    pub(crate) fn anonymous(everybody: Grants) -> Self {
        static ANONYMOUS: LazyLock<Arc<str>> = LazyLock::new(|| "anonymous".into());
        let (actor, who) = (ANONYMOUS.clone(), Who::Anybody);
        Self { actor, who, everybody, roles: Vec::new(), acting: None }
    }

    /// A user, who may do what everybody may, what `roles` grant, and what comes with being logged in.
    pub(crate) fn user(
        signed_in: SignedIn,
        everybody: Grants,
        roles: Vec<Arc<BTreeSet<Grant>>>,
    ) -> Self {
        let actor = format!("user:{}", signed_in.user).into();
        Self { actor, who: Who::User(signed_in), everybody, roles, acting: None }
    }

    /// A program that has the API key `known`, of a user who may do what `roles` grant.
    pub(crate) fn program(
        known: &AuthenticatedKey,
        everybody: Grants,
        roles: Vec<Arc<BTreeSet<Grant>>>,
    ) -> Self {
        let AuthenticatedKey { key, user, grants, .. } = known;
        let actor = format!("api-key:{key}/user:{user}").into();
        let who = Who::Program { user: *user, grants: Arc::clone(grants) };
        Self { actor, who, everybody, roles, acting: None }
    }

    /// Who acts in an organization.
    pub(crate) fn acting(self, acting: Acting) -> Self {
        Self { acting: Some(acting), ..self }
    }

    /// In which organization it acts, if in one.
    pub(crate) fn organization(&self) -> Option<OrganizationId> {
        self.acting.as_ref().map(|acting| acting.organization)
    }

    pub(crate) fn actor(&self) -> &str {
        &self.actor
    }

    pub(crate) fn shared_actor(&self) -> Arc<str> {
        Arc::clone(&self.actor)
    }

    /// The user, if it is one.
    ///
    /// # Errors
    /// Nobody is logged in: it is a stranger or a program.
    pub(crate) fn signed_in(&self) -> Result<SignedIn, Problem> {
        match &self.who {
            Who::Anybody => Err(not_logged_in()),
            Who::User(signed_in) => Ok(*signed_in),
            Who::Program { .. } => Err(takes_a_session()),
        }
    }

    /// The user it is, or on whose behalf it asks.
    ///
    /// # Errors
    /// It is a stranger.
    pub(crate) fn user_id(&self) -> Result<UserId, Problem> {
        match &self.who {
            Who::Anybody => Err(not_logged_in()),
            Who::User(SignedIn { user, .. }) | Who::Program { user, .. } => Ok(*user),
        }
    }

    /// How far `permission` goes; nothing if it is not granted.
    pub(crate) fn reach(&self, permission: Permission) -> Option<Reach> {
        if self.everybody.0.contains(&permission) {
            return Some(Reach::All);
        }
        let granted = self.roles.iter().filter_map(|role| reach_in(role, permission)).max();
        let everywhere = granted.map(|reach| match &self.acting {
            Some(acting) if acting.is_confined => reach.min(Reach::Organization),
            // Where there is no organization, what is of it is what is one's own.
            None if reach == Reach::Organization => Reach::Own,
            Some(_) | None => reach,
        });
        let here = self.acting.as_ref().and_then(|acting| reach_in(&acting.role, permission));
        let held = everywhere.max(here.map(|reach| reach.min(Reach::Organization)));
        match &self.who {
            Who::Anybody => held,
            Who::User(_) => {
                let own = permission == Permission::OwnAccount;
                held.max(own.then_some(Reach::Own))
            }
            // What comes with being logged in does not come with a key.
            Who::Program { .. } if permission == Permission::OwnAccount => None,
            Who::Program { grants, .. } => held.min(reach_in(grants, permission)),
        }
    }

    /// Refuses if it has not `permission`, as far as `reach`.
    pub(crate) fn check(&self, permission: Permission, reach: Reach) -> Result<(), Problem> {
        if self.reach(permission) >= Some(reach) {
            return Ok(());
        }
        let detail = format!("It takes the permission `{permission}`.");
        Err(match &self.who {
            Who::Anybody => Problem::new(Code::NotLoggedIn, detail),
            Who::Program { .. } if permission == Permission::OwnAccount => takes_a_session(),
            Who::User(_) | Who::Program { .. } => Problem::new(Code::Forbidden, detail),
        })
    }

    /// What it may see by `permission`.
    ///
    /// # Errors
    /// Nobody is logged in, and not everybody may see everything.
    pub(crate) fn scope(&self, permission: Permission) -> Result<Scope, Problem> {
        let tenant = Tenant::Of(self.organization());
        Ok(match self.reach(permission) {
            Some(Reach::All) => Scope { tenant: Tenant::All, owner: None },
            Some(Reach::Organization) => Scope { tenant, owner: None },
            Some(Reach::Own) | None => Scope { tenant, owner: Some(self.user_id()?) },
        })
    }

    /// Refuses if it may not itself do what it would let others do.
    pub(crate) fn check_grants<'a>(
        &self,
        grants: impl IntoIterator<Item = &'a Grant>,
    ) -> Result<(), Problem> {
        for grant in grants {
            let asked = grant.permission.as_str();
            let covered: Vec<_> = Permission::ALL
                .iter()
                .filter(|known| asked == "*" || known.as_str() == asked)
                .collect();
            let is_held = |known: &&&Permission| self.reach(***known) >= Some(grant.reach);
            if !covered.iter().all(|known| is_held(&known)) {
                let detail =
                    format!("You cannot grant `{asked}`, for you do not have it that far.");
                return Err(Problem::new(Code::Forbidden, detail));
            }
        }
        Ok(())
    }
}

fn not_logged_in() -> Problem {
    Problem::new(Code::NotLoggedIn, "It takes a login.")
}

fn takes_a_session() -> Problem {
    Problem::new(Code::SessionRequired, "It takes a login, and an API key is none.")
}

/// How far `permission` goes by `grants`.
fn reach_in(grants: &BTreeSet<Grant>, permission: Permission) -> Option<Reach> {
    let granted = grants.iter().filter(|grant| {
        let name = grant.permission.as_str();
        name == "*" || name == permission.as_str()
    });
    granted.map(|grant| grant.reach).max()
}

impl<S: Send + Sync> FromRequestParts<S> for SignedIn {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let principal = parts.extensions.get::<Principal>();
        principal.ok_or_else(not_logged_in)?.signed_in()
    }
}

impl Grants {
    /// Everything.
    #[must_use]
    pub fn all() -> Self {
        Self(Arc::new(Permission::ALL.iter().copied().collect()))
    }

    /// Whether strangers may have it: nothing that others have done can be seen or changed with it.
    #[must_use]
    pub fn are_for_strangers(&self) -> bool {
        self.0.iter().all(|permission| {
            matches!(
                permission,
                Permission::EnterAccount | Permission::ReadDescription | Permission::ReadProducts
            )
        })
    }

    /// What `names` name; `*` is everything.
    ///
    /// # Errors
    /// There is no permission of a name.
    pub fn named<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, UnknownPermission> {
        let mut granted = BTreeSet::new();
        for name in names {
            match name {
                "*" => granted.extend(Permission::ALL),
                name => {
                    granted.insert(name.parse()?);
                }
            }
        }
        Ok(Self(Arc::new(granted)))
    }
}

impl FromStr for Permission {
    type Err = UnknownPermission;

    fn from_str(name: &str) -> Result<Self, UnknownPermission> {
        let known = Self::ALL.iter().copied().find(|known| known.as_str() == name);
        known.ok_or_else(|| UnknownPermission(name.to_owned()))
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// There is no such permission.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no permission `{0}`; there are `{known}`", known = known())]
pub struct UnknownPermission(String);

fn known() -> String {
    let names: Vec<_> = Permission::ALL.iter().map(|known| known.as_str()).collect();
    names.join("`, `")
}
