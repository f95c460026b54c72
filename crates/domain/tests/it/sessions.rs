//! Whatever users and operators do, in whatever order: who is kept out is out, what is over stays
//! over, and nobody ends or keeps a session of somebody else.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use domain::identity::{
    Client, DeactivateUser, EndReason, EndSession, EndSessions, RecordPassword, RegisterUser,
    ReinstateUser, Session, StartSession, SuspendUser, User, VerifyEmail, session, user,
};
use domain::ids::{SessionId, UserId};
use domain::values::{Email, PersonName};
use domain::{Aggregates, Decision};
use proptest::prelude::*;
use uuid::Uuid;

#[derive(Debug, Clone)]
enum Step {
    Register { user: u128, is_verified: bool },
    Verify { user: u128, is_own: bool },
    Start { session: u128, user: u128 },
    End { session: u128, user: u128 },
    EndAll { user: u128, keep: Option<u128> },
    ChangePassword { user: u128, keep: Option<u128>, proves_address: bool },
    Suspend { user: u128 },
    Reinstate { user: u128 },
    Deactivate { user: u128 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (user, session) = (0..3_u128, 0..8_u128);
    let keep = prop::option::of(session.clone());
    let step = prop_oneof![
        2 => (user.clone(), any::<bool>())
            .prop_map(|(user, is_verified)| Step::Register { user, is_verified }),
        1 => (user.clone(), any::<bool>()).prop_map(|(user, is_own)| Step::Verify { user, is_own }),
        4 => (session.clone(), user.clone()).prop_map(|(session, user)| Step::Start { session, user }),
        2 => (session, user.clone()).prop_map(|(session, user)| Step::End { session, user }),
        1 => (user.clone(), keep.clone()).prop_map(|(user, keep)| Step::EndAll { user, keep }),
        1 => (user.clone(), keep, any::<bool>()).prop_map(|(user, keep, proves_address)| {
            Step::ChangePassword { user, keep, proves_address }
        }),
        1 => user.clone().prop_map(|user| Step::Suspend { user }),
        2 => user.clone().prop_map(|user| Step::Reinstate { user }),
        1 => user.prop_map(|user| Step::Deactivate { user }),
    ];
    prop::collection::vec(step, 1..60)
}

/// What ought to be: as simple as it can be said.
#[derive(Default)]
struct Model {
    users: BTreeMap<u128, Expected>,
    /// Whose each session is that was ever started.
    owners: BTreeMap<u128, u128>,
    /// Those that go on.
    running: BTreeSet<u128>,
}

struct Expected {
    is_verified: bool,
    is_suspended: bool,
    is_closed: bool,
}

impl Model {
    /// Whether it is done; what it does is done to the model.
    fn take(&mut self, step: &Step) -> bool {
        let known = |user: &u128| self.users.get(user);
        let is_in =
            |user: &u128| known(user).is_some_and(|user| !user.is_suspended && !user.is_closed);
        let is_mine = |keep: &u128, user: &u128| {
            self.owners.get(keep) == Some(user) && self.running.contains(keep)
        };
        match step {
            Step::Register { user, is_verified } => {
                let is_new = known(user).is_none();
                if is_new {
                    let expected = Expected {
                        is_verified: *is_verified,
                        is_suspended: false,
                        is_closed: false,
                    };
                    self.users.insert(*user, expected);
                }
                is_new
            }
            Step::Verify { user, is_own } => {
                let is_done = is_in(user) && *is_own;
                if let Some(expected) = self.users.get_mut(user).filter(|_| is_done) {
                    expected.is_verified = true;
                }
                is_done
            }
            Step::Start { session, user } => {
                let is_new = !self.owners.contains_key(session);
                let is_verified = known(user).is_some_and(|user| user.is_verified);
                let is_done = is_in(user) && is_verified && is_new;
                if is_done {
                    self.owners.insert(*session, *user);
                    self.running.insert(*session);
                }
                is_done
            }
            Step::End { session, user } => {
                let is_mine = self.owners.get(session) == Some(user);
                if is_mine {
                    self.running.remove(session);
                }
                is_mine
            }
            Step::EndAll { user, keep } => {
                let is_done =
                    known(user).is_some() && keep.as_ref().is_none_or(|keep| is_mine(keep, user));
                if is_done {
                    self.end_all(*user, *keep);
                }
                is_done
            }
            Step::ChangePassword { user, keep, proves_address } => {
                let is_done = is_in(user) && keep.as_ref().is_none_or(|keep| is_mine(keep, user));
                if let Some(expected) = self.users.get_mut(user).filter(|_| is_done) {
                    expected.is_verified |= proves_address;
                    self.end_all(*user, *keep);
                }
                is_done
            }
            Step::Suspend { user } => self.leave(*user, |expected| expected.is_suspended = true),
            Step::Deactivate { user } => {
                let is_known = known(user).is_some();
                self.leave(*user, |expected| expected.is_closed = true);
                is_known
            }
            Step::Reinstate { user } => match self.users.get_mut(user) {
                Some(expected) if !expected.is_closed => {
                    expected.is_suspended = false;
                    true
                }
                Some(_) | None => false,
            },
        }
    }

    fn leave(&mut self, user: u128, how: impl FnOnce(&mut Expected)) -> bool {
        let Some(expected) = self.users.get_mut(&user).filter(|user| !user.is_closed) else {
            return false;
        };
        how(expected);
        self.end_all(user, None);
        true
    }

    fn end_all(&mut self, user: u128, keep: Option<u128>) {
        let owners = &self.owners;
        self.running.retain(|session| owners.get(session) != Some(&user) || Some(*session) == keep);
    }
}

fn user_id(number: u128) -> UserId {
    UserId::new(Uuid::from_u128(number + 1))
}

fn session_id(number: u128) -> SessionId {
    SessionId::new(Uuid::from_u128(number + 1_000))
}

fn email(name: &str, number: u128) -> Email {
    format!("{name}-{number}@example.org").parse().unwrap()
}

fn start() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH
}

fn bind(step: &Step) -> Box<dyn Decision> {
    match *step {
        Step::Register { user, is_verified } => Box::new(RegisterUser {
            user_id: user_id(user),
            email: email("user", user),
            name: PersonName::try_from("Ada".to_owned()).unwrap(),
            is_verified,
            registered_at: start(),
        }),
        Step::Verify { user, is_own } => Box::new(VerifyEmail {
            user_id: user_id(user),
            email: email(if is_own { "user" } else { "other" }, user),
        }),
        Step::Start { session, user } => Box::new(StartSession {
            session_id: session_id(session),
            user_id: user_id(user),
            client: Client { address: "192.0.2.1".to_owned(), agent: None },
            proves_second_factor: false,
            started_at: start(),
            expires_at: start() + TimeDelta::days(30),
        }),
        Step::End { session, user } => Box::new(EndSession {
            session_id: session_id(session),
            user_id: user_id(user),
            reason: EndReason::LoggedOut,
        }),
        Step::EndAll { user, keep } => {
            Box::new(EndSessions { user_id: user_id(user), keep: keep.map(session_id) })
        }
        Step::ChangePassword { user, keep, proves_address } => Box::new(RecordPassword {
            user_id: user_id(user),
            keep: keep.map(session_id),
            proves_address,
        }),
        Step::Suspend { user } => Box::new(SuspendUser { user_id: user_id(user) }),
        Step::Reinstate { user } => Box::new(ReinstateUser { user_id: user_id(user) }),
        Step::Deactivate { user } => Box::new(DeactivateUser { user_id: user_id(user) }),
    }
}

proptest! {
    #[test]
    fn sessions_go_on_as_long_as_they_may(steps in steps()) {
        let (mut aggregates, mut model) = (Aggregates::default(), Model::default());
        for step in &steps {
            let decided = bind(step).decide(&aggregates);
            prop_assert_eq!(decided.is_ok(), model.take(step), "{:?} gave {:?}", step, decided);
            for event in decided.into_iter().flatten() {
                aggregates.apply(&event);
            }
            for (number, owner) in &model.owners {
                let session: &Session = aggregates.get(session(session_id(*number))).unwrap();
                let user: &User = aggregates.get(user(user_id(*owner))).unwrap();
                let account = user.account().unwrap();
                prop_assert_eq!(session.user_id(), Some(user_id(*owner)));
                let is_running = model.running.contains(number);
                let last = start() + TimeDelta::days(30) - TimeDelta::microseconds(1);
                prop_assert_eq!(session.goes_on(account, last), is_running, "session {}", number);
                prop_assert!(!session.goes_on(account, start() + TimeDelta::days(30)), "too old");
            }
        }
    }
}
