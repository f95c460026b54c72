//! Whatever happens to second factors, in whatever order: the password alone lets in if and only if there
//! is none, no session ends by it, and no more codes are used than there are.

use chrono::{DateTime, TimeDelta, Utc};
use domain::identity::{
    Client, DisableSecondFactor, DisabledBy, EnableSecondFactor, RegisterUser,
    ReplaceRecoveryCodes, Session, StartSession, SuspendUser, UseRecoveryCode, User, session, user,
};
use domain::ids::{SessionId, UserId};
use domain::values::PersonName;
use domain::{Aggregates, Decision};
use proptest::prelude::*;
use uuid::Uuid;

#[derive(Debug, Clone)]
enum Step {
    Enable { codes: u8 },
    Disable { by: DisabledBy },
    UseCode,
    ReplaceCodes { codes: u8 },
    Start { proves: bool },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        2 => (0..3_u8).prop_map(|codes| Step::Enable { codes }),
        1 => any::<bool>().prop_map(|own| Step::Disable {
            by: if own { DisabledBy::User } else { DisabledBy::Operator }
        }),
        3 => Just(Step::UseCode),
        1 => (0..3_u8).prop_map(|codes| Step::ReplaceCodes { codes }),
        2 => any::<bool>().prop_map(|proves| Step::Start { proves }),
    ];
    prop::collection::vec(step, 1..40)
}

fn user_id() -> UserId {
    UserId::new(Uuid::from_u128(1))
}

fn session_id(number: usize) -> SessionId {
    SessionId::new(Uuid::from_u128(1_000 + number as u128))
}

fn now() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH
}

fn start(number: usize, proves_second_factor: bool) -> StartSession {
    StartSession {
        session_id: session_id(number),
        user_id: user_id(),
        client: Client { address: "192.0.2.1".to_owned(), agent: None },
        proves_second_factor,
        started_at: now(),
        expires_at: now() + TimeDelta::days(30),
    }
}

fn registered() -> Aggregates {
    let mut aggregates = Aggregates::default();
    let register = RegisterUser {
        user_id: user_id(),
        email: "ada@example.org".parse().unwrap(),
        name: PersonName::try_from("Ada".to_owned()).unwrap(),
        is_verified: true,
        registered_at: now(),
    };
    apply(&mut aggregates, &register);
    aggregates
}

/// Whether it is done.
fn apply(aggregates: &mut Aggregates, decision: &dyn Decision) -> bool {
    let decided = decision.decide(aggregates);
    for event in decided.iter().flatten() {
        aggregates.apply(event);
    }
    decided.is_ok()
}

proptest! {
    #[test]
    fn the_password_alone_lets_in_if_there_is_none(steps in steps()) {
        let mut aggregates = registered();
        // What ought to be: the codes that are left, if there is a second factor.
        let (mut left, mut started) = (None::<u8>, 0);
        for step in &steps {
            let (done, expected) = match *step {
                Step::Enable { codes } => {
                    let enable = EnableSecondFactor { user_id: user_id(), recovery_codes: codes };
                    let expected = left.is_none();
                    left = left.or(Some(codes));
                    (apply(&mut aggregates, &enable), expected)
                }
                Step::Disable { by } => {
                    let disable = DisableSecondFactor { user_id: user_id(), by };
                    let expected = left.take().is_some() || by == DisabledBy::Operator;
                    (apply(&mut aggregates, &disable), expected)
                }
                Step::UseCode => {
                    let used = left.and_then(|left| left.checked_sub(1));
                    left = used.or(left);
                    (apply(&mut aggregates, &UseRecoveryCode { user_id: user_id() }), used.is_some())
                }
                Step::ReplaceCodes { codes } => {
                    let replace = ReplaceRecoveryCodes { user_id: user_id(), recovery_codes: codes };
                    let expected = left.is_some();
                    left = left.map(|_| codes);
                    (apply(&mut aggregates, &replace), expected)
                }
                Step::Start { proves } => {
                    let done = apply(&mut aggregates, &start(started, proves));
                    started += usize::from(done);
                    (done, proves || left.is_none())
                }
            };
            prop_assert_eq!(done, expected, "{:?}", step);
            let known: &User = aggregates.get(user(user_id())).unwrap();
            let account = known.account().unwrap();
            prop_assert_eq!(account.second_factor.map(|factor| factor.recovery_codes), left);
            for number in 0..started {
                let session: &Session = aggregates.get(session(session_id(number))).unwrap();
                prop_assert!(session.goes_on(account, now()), "session {}", number);
            }
        }
    }
}

/// The device of somebody who is kept out can be lost, too; but only an operator may look after it.
#[test]
fn who_is_kept_out_changes_nothing_of_it() {
    let mut aggregates = registered();
    let enable = EnableSecondFactor { user_id: user_id(), recovery_codes: 10 };
    assert!(apply(&mut aggregates, &enable));
    assert!(apply(&mut aggregates, &SuspendUser { user_id: user_id() }));
    let disable = |by| DisableSecondFactor { user_id: user_id(), by };
    assert!(!apply(&mut aggregates, &UseRecoveryCode { user_id: user_id() }));
    assert!(!apply(&mut aggregates, &disable(DisabledBy::User)));
    assert!(apply(&mut aggregates, &disable(DisabledBy::Operator)));
    assert!(!apply(&mut aggregates, &enable));
}
