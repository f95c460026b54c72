//! Every mail as it is sent.

use std::time::Duration;

use chrono::{DateTime, TimeZone as _, Utc};
use domain::identity::DisabledBy;

use super::*;

const TOKEN: &str = "q83vASNFZ4mrze_-ASNFZ4mrze8BI0VniavN7wEjRWc";

fn client() -> ClientUrl {
    "https://shop.example".parse().unwrap()
}

fn ticket(hours: u64) -> Ticket<'static> {
    Ticket { token: TOKEN, valid: Duration::from_hours(hours) }
}

fn noon() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2027, 3, 4, 12, 5, 6).unwrap()
}

/// Subject, text and HTML, as one text to compare.
fn whole(letter: &Letter) -> String {
    format!("{}\n\n{}\n{}", letter.subject, letter.text, letter.html)
}

macro_rules! snapshots {
    ($($name:ident: $letter:expr,)*) => {$(
        #[test]
        fn $name() {
            insta::assert_snapshot!(stringify!($name), whole(&$letter));
        }
    )*};
}

snapshots! {
    of_address_verification: address_verification(&client(), ticket(24)),
    of_repeated_registration: repeated_registration(&client()),
    of_password_reset: password_reset(&client(), ticket(1)),
    of_password_changed: password_changed(&client(), noon()),
    of_new_address: new_address(&client(), ticket(24)),
    of_address_changed: address_changed(&client(), noon()),
    of_invitation: invitation(&client(), Invitation {
        organization: "Tea & <b>Søn</b>",
        invited_by: Some("Ada\r\nBcc: all@shop.example"),
        valid: Duration::from_hours(7 * 24),
    }),
    of_invitation_by_nobody: invitation(&client(), Invitation {
        organization: "Tea",
        invited_by: None,
        valid: Duration::from_hours(1),
    }),
    of_new_device: new_device(&client(), SignIn {
        at: noon(),
        device: Some("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) <Gecko>"),
        address: Some("2001:db8::1".parse().unwrap()),
    }),
    of_new_device_that_says_nothing: new_device(&client(), SignIn {
        at: noon(),
        device: None,
        address: None,
    }),
    of_second_factor_enabled: second_factor_enabled(&client(), noon()),
    of_second_factor_disabled: second_factor_disabled(&client(), noon(), DisabledBy::User),
    of_second_factor_taken_away: second_factor_disabled(&client(), noon(), DisabledBy::Operator),
}

#[test]
fn a_token_is_in_the_fragment_of_its_link_and_in_the_text() {
    for letter in [
        address_verification(&client(), ticket(1)),
        password_reset(&client(), ticket(1)),
        new_address(&client(), ticket(1)),
    ] {
        for part in [&letter.text, &letter.html] {
            assert_eq!(part.matches(TOKEN).count(), 2, "{part}");
            assert_eq!(part.matches(&format!("#token={TOKEN}")).count(), 1, "{part}");
            assert!(part.contains("valid for 1 hour"), "{part}");
            assert!(part.contains("ignore this mail"), "{part}");
        }
        assert!(!letter.subject.contains(TOKEN));
    }
}
