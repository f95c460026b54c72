//! Whatever members do, in whatever order: an organization has one owner who belongs to it, nobody
//! belongs to it who was not invited by the address that is proved, and who has gone is gone.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use domain::identity::{RegisterUser, RoleName};
use domain::ids::{InvitationId, OrganizationId, UserId};
use domain::organizations::{
    AcceptInvitation, ChangeMemberRole, CloseOrganization, CreateOrganization, DeclineInvitation,
    InviteMember, LeaveOrganization, Organization, RemoveMember, TransferOwnership,
    WithdrawInvitation, organization,
};
use domain::values::{Email, OrganizationName, PersonName};
use domain::{Aggregates, Decision};
use proptest::prelude::*;
use uuid::Uuid;

const USERS: u128 = 4;
/// Who invites everybody.
const INVITES: u128 = 0;

#[derive(Debug, Clone)]
enum Step {
    Create { owner: u128 },
    Invite { address: u128, hours: i64 },
    Withdraw { invitation: usize },
    Accept { invitation: usize, user: u128 },
    Decline { invitation: usize, user: u128 },
    ChangeRole { user: u128 },
    Leave { user: u128 },
    Remove { user: u128 },
    Transfer { to: u128 },
    Close,
    Wait,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (user, invitation) = (0..USERS, 0..6_usize);
    let step = prop_oneof![
        2 => user.clone().prop_map(|owner| Step::Create { owner }),
        6 => (user.clone(), 1..4_i64).prop_map(|(address, hours)| Step::Invite { address, hours }),
        1 => invitation.clone().prop_map(|invitation| Step::Withdraw { invitation }),
        6 => (invitation.clone(), user.clone())
            .prop_map(|(invitation, user)| Step::Accept { invitation, user }),
        1 => (invitation, user.clone())
            .prop_map(|(invitation, user)| Step::Decline { invitation, user }),
        1 => user.clone().prop_map(|user| Step::ChangeRole { user }),
        2 => user.clone().prop_map(|user| Step::Leave { user }),
        1 => user.clone().prop_map(|user| Step::Remove { user }),
        2 => user.prop_map(|to| Step::Transfer { to }),
        1 => Just(Step::Close),
        2 => Just(Step::Wait),
    ];
    prop::collection::vec(step, 1..60)
}

/// What ought to be: as simple as it can be said.
#[derive(Default)]
struct Model {
    owner: Option<u128>,
    is_closed: bool,
    /// Those who belong to it, the owner among them.
    members: BTreeSet<u128>,
    /// For whose address each invitation is that was ever sent, and until when.
    invitations: Vec<(u128, DateTime<Utc>)>,
    /// Those that were neither used nor taken back.
    open: BTreeSet<usize>,
    /// Those who have another role than that of a plain member.
    admins: BTreeSet<u128>,
    now: DateTime<Utc>,
}

impl Model {
    /// Whether it is done; what it does is done to the model.
    fn take(&mut self, step: &Step) -> bool {
        let is_there = self.owner.is_some() && !self.is_closed;
        let is_other =
            |user: &u128| is_there && self.members.contains(user) && self.owner != Some(*user);
        let is_mine = |invitation: &usize, user: &u128| {
            let known = self.invitations.get(*invitation);
            let is_valid = known.is_some_and(|(of, until)| of == user && self.now < *until);
            is_there && is_valid && self.open.contains(invitation)
        };
        match step {
            Step::Create { owner } => {
                let is_new = self.owner.is_none();
                if is_new {
                    self.owner = Some(*owner);
                    self.members.insert(*owner);
                }
                is_new
            }
            Step::Invite { address, hours } => {
                if is_there {
                    let (now, known) = (self.now, &self.invitations);
                    self.open.retain(|open| known[*open].0 != *address && now < known[*open].1);
                    self.open.insert(self.invitations.len());
                }
                // Its id is taken in any case.
                self.invitations.push((*address, self.now + TimeDelta::hours(*hours)));
                is_there
            }
            Step::Withdraw { invitation } => is_there && self.open.remove(invitation),
            Step::Accept { invitation, user } => {
                let is_done = is_mine(invitation, user) && !self.members.contains(user);
                if is_done {
                    self.open.remove(invitation);
                    self.members.insert(*user);
                }
                is_done
            }
            Step::Decline { invitation, user } => {
                is_mine(invitation, user) && self.open.remove(invitation)
            }
            Step::ChangeRole { user } => {
                let is_done = is_other(user);
                if is_done && self.admins.insert(*user) {
                    self.withdraw_of(*user);
                }
                is_done
            }
            Step::Leave { user } | Step::Remove { user } => {
                let is_done = is_other(user);
                if is_done {
                    self.members.remove(user);
                    self.admins.remove(user);
                    self.withdraw_of(*user);
                }
                is_done
            }
            Step::Transfer { to } => {
                let is_done = is_there && self.members.contains(to);
                if let Some(owner) = self.owner.filter(|owner| is_done && owner != to) {
                    self.admins.insert(owner);
                    self.admins.remove(to);
                    self.owner = Some(*to);
                }
                is_done
            }
            Step::Close => {
                if is_there {
                    self.is_closed = true;
                    self.members.clear();
                    self.open.clear();
                }
                is_there
            }
            Step::Wait => {
                self.now += TimeDelta::hours(1);
                true
            }
        }
    }

    /// Everybody is invited by the same.
    fn withdraw_of(&mut self, user: u128) {
        if user == INVITES {
            self.open.clear();
        }
    }

    fn decision(&self, step: &Step) -> Option<Box<dyn Decision>> {
        let (organization_id, now) = (ID, self.now);
        Some(match step {
            Step::Create { owner } => Box::new(CreateOrganization {
                organization_id,
                name: OrganizationName::try_from("Teapots & Co.".to_owned()).unwrap(),
                owner_id: user_id(*owner),
                created_at: now,
            }),
            Step::Invite { address, hours } => Box::new(InviteMember {
                organization_id,
                invitation_id: invitation_id(self.invitations.len()),
                email: email(*address, true),
                role: role("organization-member"),
                invited_by: user_id(INVITES),
                invited_at: now,
                expires_at: now + TimeDelta::hours(*hours),
            }),
            Step::Withdraw { invitation } => {
                let invitation_id = invitation_id(*invitation);
                Box::new(WithdrawInvitation { organization_id, invitation_id })
            }
            Step::Accept { invitation, user } => Box::new(AcceptInvitation {
                organization_id,
                invitation_id: invitation_id(*invitation),
                user_id: user_id(*user),
                accepted_at: now,
            }),
            Step::Decline { invitation, user } => Box::new(DeclineInvitation {
                organization_id,
                invitation_id: invitation_id(*invitation),
                user_id: user_id(*user),
                declined_at: now,
            }),
            Step::ChangeRole { user } => {
                let (user_id, role) = (user_id(*user), role("organization-admin"));
                Box::new(ChangeMemberRole { organization_id, user_id, role })
            }
            Step::Leave { user } => {
                Box::new(LeaveOrganization { organization_id, user_id: user_id(*user) })
            }
            Step::Remove { user } => {
                Box::new(RemoveMember { organization_id, user_id: user_id(*user) })
            }
            Step::Transfer { to } => {
                let (to, role) = (user_id(*to), role("organization-admin"));
                Box::new(TransferOwnership { organization_id, to, role })
            }
            Step::Close => Box::new(CloseOrganization { organization_id }),
            Step::Wait => return None,
        })
    }
}

const ID: OrganizationId = OrganizationId::new(Uuid::from_u128(1));

const fn user_id(user: u128) -> UserId {
    UserId::new(Uuid::from_u128(100 + user))
}

fn invitation_id(number: usize) -> InvitationId {
    InvitationId::new(Uuid::from_u128(1_000 + u128::try_from(number).unwrap()))
}

fn role(name: &str) -> RoleName {
    name.to_owned().try_into().unwrap()
}

/// The address of a user; those who invite write it in their own way.
fn email(user: u128, is_shouted: bool) -> Email {
    let name = if is_shouted { "USER" } else { "user" };
    format!("{name}{user}@example.org").try_into().unwrap()
}

/// Everybody but the last has proved the address.
fn everybody() -> Aggregates {
    let mut aggregates = Aggregates::default();
    for user in 0..USERS {
        let register = RegisterUser {
            user_id: user_id(user),
            email: email(user, false),
            name: PersonName::try_from("Somebody".to_owned()).unwrap(),
            is_verified: true,
            registered_at: DateTime::UNIX_EPOCH,
        };
        for event in register.decide(&aggregates).unwrap() {
            aggregates.apply(&event);
        }
    }
    aggregates
}

proptest! {
    #[test]
    fn an_organization_is_what_its_members_did(steps in steps()) {
        let mut model = Model::default();
        let mut aggregates = everybody();
        for step in steps {
            if let Some(decision) = model.decision(&step) {
                let decided = decision.decide(&aggregates);
                prop_assert_eq!(model.take(&step), decided.is_ok(), "{:?}: {:?}", step, decided);
                for event in decided.unwrap_or_default() {
                    prop_assert!(decision.streams().contains(&event.stream()), "{:?}", event);
                    aggregates.apply(&event);
                }
            } else {
                model.take(&step);
            }
            let known = aggregates.get::<Organization>(organization(ID));
            let Some(charter) = known.and_then(Organization::charter) else { continue };
            let belongs = |user: &u128| charter.has(user_id(*user));
            let members: BTreeSet<_> = (0..USERS).filter(belongs).collect();
            prop_assert_eq!(&members, &model.members);
            prop_assert_eq!(Some(charter.owner), model.owner.map(user_id));
            prop_assert!(!charter.members.contains_key(&charter.owner));
            let open: BTreeSet<_> = model.open.iter().map(|open| invitation_id(*open)).collect();
            prop_assert!(charter.invitations.keys().eq(&open));
        }
    }
}

/// An address that is not proved is nobody's.
#[test]
fn who_has_not_proved_the_address_cannot_accept() {
    let mut aggregates = Aggregates::default();
    let mut run = |decision: &dyn Decision| {
        let events = decision.decide(&aggregates);
        for event in events.iter().flatten() {
            aggregates.apply(event);
        }
        events.map_err(|rejection| rejection.to_string())
    };
    let model = Model { owner: Some(0), ..Model::default() };
    run(&RegisterUser {
        user_id: user_id(3),
        email: email(3, false),
        name: PersonName::try_from("Somebody".to_owned()).unwrap(),
        is_verified: false,
        registered_at: DateTime::UNIX_EPOCH,
    })
    .unwrap();
    run(model.decision(&Step::Create { owner: 0 }).unwrap().as_ref()).unwrap();
    run(model.decision(&Step::Invite { address: 3, hours: 1 }).unwrap().as_ref()).unwrap();
    let refused = run(model.decision(&Step::Accept { invitation: 0, user: 3 }).unwrap().as_ref());
    assert!(refused.unwrap_err().contains("there is no invitation"));
}
