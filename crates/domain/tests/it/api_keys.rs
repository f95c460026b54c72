//! Whatever is done to API keys and their owners, in whatever order: a secret counts for as long as
//! it was said, of two that are rotated at once one is, and nobody touches a key of somebody else.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use domain::identity::{
    ApiKey, CreateApiKey, DeactivateUser, MOST_SECRETS, RegisterUser, ReinstateUser, RevokeApiKey,
    RotateApiKey, SuspendUser, User, api_key, user,
};
use domain::ids::{ApiKeyId, UserId};
use domain::values::{ApiKeyName, PersonName};
use domain::{Aggregates, Decision};
use proptest::prelude::*;
use uuid::Uuid;

#[derive(Debug, Clone)]
enum Step {
    Create { key: u128, user: u128, lives: Option<i64> },
    Rotate { key: u128, user: u128, is_last: bool, overlap: i64 },
    Revoke { key: u128, user: u128 },
    Suspend { user: u128 },
    Reinstate { user: u128 },
    Deactivate { user: u128 },
    Wait { hours: i64 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (user, key) = (0..2_u128, 0..3_u128);
    let step = prop_oneof![
        3 => (key.clone(), user.clone(), prop::option::of(0..40_i64))
            .prop_map(|(key, user, lives)| Step::Create { key, user, lives }),
        8 => (key.clone(), user.clone(), prop::bool::weighted(0.9), 0..20_i64)
            .prop_map(|(key, user, is_last, overlap)| Step::Rotate { key, user, is_last, overlap }),
        1 => (key, user.clone()).prop_map(|(key, user)| Step::Revoke { key, user }),
        1 => user.clone().prop_map(|user| Step::Suspend { user }),
        2 => user.clone().prop_map(|user| Step::Reinstate { user }),
        1 => user.prop_map(|user| Step::Deactivate { user }),
        4 => (0..12_i64).prop_map(|hours| Step::Wait { hours }),
    ];
    prop::collection::vec(step, 1..60)
}

/// What ought to be: as simple as it can be said.
#[derive(Default)]
struct Model {
    now: i64,
    suspended: BTreeSet<u128>,
    closed: BTreeSet<u128>,
    keys: BTreeMap<u128, Expected>,
}

struct Expected {
    owner: u128,
    ends: Option<i64>,
    is_revoked: bool,
    /// Until when each secret counts that there ever was, the last one as long as the key.
    secrets: Vec<i64>,
}

impl Model {
    fn is_in(&self, user: u128) -> bool {
        !self.suspended.contains(&user) && !self.closed.contains(&user)
    }

    /// Whether it is done; what it does is done to the model.
    fn take(&mut self, step: &Step) -> bool {
        let (now, last) = (self.now, i64::MAX);
        match *step {
            Step::Create { key, user, lives } => {
                let is_new = !self.keys.contains_key(&key);
                let is_done = self.is_in(user) && is_new && lives.is_none_or(|hours| hours > 0);
                if is_done {
                    let ends = lives.map(|hours| now + hours);
                    let expected =
                        Expected { owner: user, ends, is_revoked: false, secrets: vec![last] };
                    self.keys.insert(key, expected);
                }
                is_done
            }
            Step::Rotate { key, user, is_last, overlap } => {
                let is_in = self.is_in(user);
                let Some(expected) = self.keys.get_mut(&key).filter(|key| key.owner == user) else {
                    return false;
                };
                let is_over = expected.ends.is_some_and(|ends| ends <= now);
                let is_done = is_in && is_last && !is_over && !expected.is_revoked;
                if is_done {
                    for until in &mut expected.secrets {
                        *until = (*until).min(now + overlap);
                    }
                    expected.secrets.push(last);
                    let many = expected.secrets.len().saturating_sub(MOST_SECRETS);
                    expected.secrets[..many].fill(i64::MIN);
                }
                is_done
            }
            Step::Revoke { key, user } => {
                let Some(expected) = self.keys.get_mut(&key).filter(|key| key.owner == user) else {
                    return false;
                };
                expected.is_revoked = true;
                true
            }
            Step::Suspend { user } => {
                let is_done = !self.closed.contains(&user);
                if is_done {
                    self.suspended.insert(user);
                }
                is_done
            }
            Step::Reinstate { user } => {
                let is_done = !self.closed.contains(&user);
                if is_done {
                    self.suspended.remove(&user);
                }
                is_done
            }
            Step::Deactivate { user } => {
                self.closed.insert(user);
                true
            }
            Step::Wait { hours } => {
                self.now += hours;
                true
            }
        }
    }
}

fn user_id(number: u128) -> UserId {
    UserId::new(Uuid::from_u128(number + 1))
}

fn key_id(number: u128) -> ApiKeyId {
    ApiKeyId::new(Uuid::from_u128(number + 1_000))
}

fn at(hours: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::hours(hours)
}

fn bind(step: &Step, aggregates: &Aggregates, now: i64) -> Option<Box<dyn Decision>> {
    Some(match *step {
        Step::Create { key, user, lives } => Box::new(CreateApiKey {
            key_id: key_id(key),
            user_id: user_id(user),
            name: ApiKeyName::try_from("import".to_owned()).unwrap(),
            grants: BTreeSet::new(),
            created_at: at(now),
            expires_at: lives.map(|hours| at(now + hours)),
        }),
        Step::Rotate { key, user, is_last, overlap } => {
            let known: Option<&ApiKey> = aggregates.get(api_key(key_id(key)));
            let number = known.and_then(ApiKey::issued).map_or(1, |issued| issued.number);
            Box::new(RotateApiKey {
                key_id: key_id(key),
                user_id: user_id(user),
                from: if is_last { number } else { number + 1 },
                rotated_at: at(now),
                previous_until: at(now + overlap),
            })
        }
        Step::Revoke { key, user } => {
            Box::new(RevokeApiKey { key_id: key_id(key), user_id: user_id(user) })
        }
        Step::Suspend { user } => Box::new(SuspendUser { user_id: user_id(user) }),
        Step::Reinstate { user } => Box::new(ReinstateUser { user_id: user_id(user) }),
        Step::Deactivate { user } => Box::new(DeactivateUser { user_id: user_id(user) }),
        Step::Wait { .. } => return None,
    })
}

fn with_users() -> Aggregates {
    let mut aggregates = Aggregates::default();
    for number in 0..2 {
        let register = RegisterUser {
            user_id: user_id(number),
            email: format!("user-{number}@example.org").parse().unwrap(),
            name: PersonName::try_from("Ada".to_owned()).unwrap(),
            is_verified: true,
            registered_at: at(0),
        };
        for event in Decision::decide(&register, &aggregates).unwrap() {
            aggregates.apply(&event);
        }
    }
    aggregates
}

proptest! {
    #[test]
    fn secrets_count_as_long_as_they_may(steps in steps()) {
        let (mut aggregates, mut model) = (with_users(), Model::default());
        for step in &steps {
            let decided = bind(step, &aggregates, model.now)
                .map_or_else(|| Ok(Vec::new()), |decision| decision.decide(&aggregates));
            prop_assert_eq!(decided.is_ok(), model.take(step), "{:?} gave {:?}", step, decided);
            for event in decided.into_iter().flatten() {
                aggregates.apply(&event);
            }
            for (number, expected) in &model.keys {
                let key: &ApiKey = aggregates.get(api_key(key_id(*number))).unwrap();
                let issued = key.issued().unwrap();
                let owner: &User = aggregates.get(user(user_id(expected.owner))).unwrap();
                let account = owner.account().unwrap();
                let now = model.now;
                let goes_on = model.is_in(expected.owner)
                    && !expected.is_revoked
                    && expected.ends.is_none_or(|ends| now < ends);
                prop_assert_eq!(issued.user_id, user_id(expected.owner));
                prop_assert_eq!(issued.goes_on(account, at(now)), goes_on, "key {}", number);
                prop_assert!(issued.replaced.len() < MOST_SECRETS);
                for (secret, until) in (1_u32..).zip(&expected.secrets) {
                    prop_assert_eq!(issued.takes(secret, at(now)), now < *until, "secret {}", secret);
                }
                let unknown = u32::try_from(expected.secrets.len()).unwrap() + 1;
                prop_assert!(!issued.takes(unknown, at(now)) && !issued.takes(0, at(now)));
            }
        }
    }
}
