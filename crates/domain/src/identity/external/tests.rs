use chrono::DateTime;

use super::*;
use crate::Event;
use crate::identity::{
    Account, EmailVerified, RecordPassword, StartSession, SuspendUser, UserRegistered,
};
use crate::ids::SessionId;
use crate::testing::decide;
use crate::{Aggregate as _, Claim};

fn user_id() -> UserId {
    UserId::new(Uuid::from_u128(7))
}

fn at() -> DateTime<Utc> {
    DateTime::from_timestamp_millis(1_767_323_045_678).unwrap()
}

fn link(subject: &str) -> NewLink {
    let provider = "google".to_owned().try_into().unwrap();
    let issuer = "https://accounts.google.com".to_owned();
    let identity = ExternalIdentity::new(provider, issuer, subject.to_owned()).unwrap();
    NewLink { id: Uuid::from_u128(subject.len() as u128), identity, at: at() }
}

fn email(text: &str) -> Email {
    text.parse().unwrap()
}

fn name(text: &str) -> PersonName {
    text.to_owned().try_into().unwrap()
}

fn registered(is_verified: bool) -> Event {
    let (user_id, registered_at) = (user_id(), at());
    let email = Personal::new(user_id, email("Ada@example.org"));
    let name = Personal::new(user_id, name("Mallory"));
    IdentityEvent::from(UserRegistered { user_id, email, name, is_verified, registered_at }).into()
}

fn by_address(takes_over: bool) -> LinkByAddress {
    LinkByAddress {
        user_id: user_id(),
        email: email("ada@example.org"),
        name: Some(name("Ada")),
        takes_over,
        link: link("1"),
    }
}

fn by_registration() -> RegisterByExternalIdentity {
    let (email, name) = (email("ada@example.org"), name("Ada"));
    RegisterByExternalIdentity { user_id: user_id(), email, name, link: link("1") }
}

fn account(history: &[Event]) -> Account {
    let user = history.iter().fold(User::default(), User::evolve);
    user.account().unwrap().clone()
}

fn unlink(subject: &str) -> UnlinkExternalIdentity {
    UnlinkExternalIdentity { user_id: user_id(), id: link(subject).id }
}

#[test]
fn who_registers_by_an_identity_is_verified_and_has_no_password() {
    let events = decide(&[], &by_registration()).unwrap();
    let account = account(&events);
    assert!(account.is_verified && account.is_passwordless);
    assert_eq!(account.external.len(), 1);
    let claims: Vec<&str> =
        events.iter().flat_map(Event::claims).map(|claim: Claim| claim.namespace).collect();
    assert_eq!(claims, ["identity.email", "identity.external"]);
}

#[test]
fn a_proved_address_keeps_what_it_has() {
    let mut history = vec![registered(true)];
    history.extend(decide(&history, &by_address(false)).unwrap());
    let account = account(&history);
    assert!(!account.is_passwordless);
    assert_eq!((account.generation, account.external.len()), (0, 1));
    assert_eq!(account.name.value(), Some(&name("Mallory")));
    assert_eq!(decide(&history, &by_address(false)), Ok(Vec::new()), "once is enough");
}

/// Whoever opened the account without having the address keeps nothing of it.
#[test]
fn an_address_that_nobody_proved_is_taken_over() {
    let mut history = vec![registered(false)];
    assert_eq!(
        decide(&history, &by_address(false)),
        Err(Rejection::VerifiedMeanwhile(user_id())),
        "not without dropping the password"
    );
    history.extend(decide(&history, &by_address(true)).unwrap());
    let account = account(&history);
    assert!(account.is_verified && account.is_passwordless);
    assert_eq!(account.generation, 1, "sessions are over");
    assert_eq!(account.name.value(), Some(&name("Ada")));
}

/// Its owner proved it between looking and deciding: nobody's password is dropped.
#[test]
fn what_was_proved_meanwhile_is_not_taken_over() {
    let verified = IdentityEvent::from(EmailVerified { user_id: user_id() }).into();
    let history = [registered(false), verified];
    assert_eq!(decide(&history, &by_address(true)), Err(Rejection::VerifiedMeanwhile(user_id())));
}

#[test]
fn another_address_links_nothing() {
    let other = LinkByAddress { email: email("bob@example.org"), ..by_address(false) };
    assert_eq!(decide(&[registered(true)], &other), Err(Rejection::OtherAddress(user_id())));
}

#[test]
fn the_last_way_in_stays_open() {
    let mut history = decide(&[], &by_registration()).unwrap();
    assert_eq!(decide(&history, &unlink("1")), Err(Rejection::LastWayIn(user_id())));
    assert_eq!(decide(&history, &unlink("333")), Err(Rejection::NotLinked(user_id())));
    let second = LinkExternalIdentity { user_id: user_id(), link: link("22") };
    history.extend(decide(&history, &second).unwrap());
    let gone = decide(&history, &unlink("1")).unwrap();
    assert_eq!(gone.iter().flat_map(Event::releases).count(), 1);
    history.extend(gone);
    assert_eq!(decide(&history, &unlink("22")), Err(Rejection::LastWayIn(user_id())));
    let password = RecordPassword { user_id: user_id(), keep: None, proves_address: true };
    history.extend(decide(&history, &password).unwrap());
    history.extend(decide(&history, &unlink("22")).unwrap());
    assert_eq!(account(&history).external, []);
}

#[test]
fn nobody_links_without_end() {
    let mut history = vec![registered(true)];
    for number in 1..=MOST_EXTERNAL_IDENTITIES {
        let one = LinkExternalIdentity { user_id: user_id(), link: link(&"1".repeat(number)) };
        history.extend(decide(&history, &one).unwrap());
    }
    let more = LinkExternalIdentity { user_id: user_id(), link: link("more") };
    assert_eq!(decide(&history, &more), Err(Rejection::TooManyLinked(user_id())));
}

#[test]
fn who_is_kept_out_links_nothing_and_starts_nothing() {
    let mut history = vec![registered(true)];
    history.extend(decide(&history, &SuspendUser { user_id: user_id() }).unwrap());
    let refused = Err(Rejection::NotActive(user_id()));
    assert_eq!(decide(&history, &by_address(false)), refused);
    let client = crate::identity::Client { address: String::new(), agent: None };
    let start = StartSession {
        proves_second_factor: false,
        session_id: SessionId::new(Uuid::from_u128(8)),
        user_id: user_id(),
        client,
        started_at: at(),
        expires_at: at(),
    };
    assert_eq!(decide(&history, &start), refused);
}
