//! Passwords by example.

use proptest::prelude::*;

use super::*;
use crate::ports::passwords::NoneBreached;

struct Lost(&'static str);

impl BreachedPasswords for Lost {
    fn contains(&self, password: &str) -> bool {
        password == self.0
    }
}

fn faults(password: &str) -> Vec<PasswordFault> {
    check(&password.into(), "grace.hopper@navy.example", &NoneBreached).err().unwrap_or_default()
}

#[test]
fn is_long_enough_and_not_too_long() {
    assert_eq!(faults("kälte-wüste"), [PasswordFault::TooShort]);
    assert_eq!(faults("kälte-wüsten"), []);
    assert_eq!(faults(&"kälte-wüsten! ".repeat(9)[..]), [PasswordFault::Common]);
    let longest: String = ('!'..='~').chain('一'..).take(MOST_CHARACTERS).collect();
    assert_eq!(faults(&longest), []);
    assert_eq!(faults(&format!("{longest}x")), [PasswordFault::TooLong]);
}

#[test]
fn characters_count_however_they_are_written() {
    // The same text: é as one character and as two.
    let (one, two) = ("r\u{e9}sum\u{e9}-caf\u{e9}", "re\u{301}sume\u{301}-cafe\u{301}");
    assert_eq!((one.chars().count(), two.chars().count()), (11, 14));
    assert_eq!(faults(one), [PasswordFault::TooShort]);
    assert_eq!(faults(two), [PasswordFault::TooShort]);
    let same = normalised(&two.into());
    assert_eq!(same.expose_secret(), normalised(&one.into()).expose_secret());
}

#[test]
fn does_not_hold_the_address() {
    for password in ["grace.hopper@navy.example", "GRACE.hopper-1906", "my grace.hopper is it"] {
        assert_eq!(faults(password), [PasswordFault::HoldsAddress], "{password}");
    }
    assert_eq!(faults("hopper of the navy"), []);
    let short = check(&"robust beneath plums".into(), "be@example.com", &NoneBreached);
    assert_eq!(short, Ok(()), "two letters are in many passwords");
    assert_eq!(check(&"robust beneath plums".into(), "", &NoneBreached), Ok(()));
}

#[test]
fn is_not_what_everybody_takes() {
    for password in [
        "password1234",
        "P@ssw0rd2024!",
        "Passw0rd!Passw0rd!",
        "qwertyuiop123",
        "QWERTZUIOPasdf",
        "aaaaaaaaaaaa",
        "abcabcabcabc",
        "123456789012",
        "739104826517",
        "letmein-letmein",
        "Welcome12345!",
        "iloveyou1234",
        "1q2w3e4r5t6y",
        "administrator1",
        "abcdefghijkl",
        "zyxwvutsrqpo",
        "!!!!!!!!!!!!",
        "Sommer2026!!",
        "l3tm31n!!2025",
        "correcthorsebatterystaple",
        "passwordpassword",
        "asdfghjkl;'12",
        "ééééééééééééé",
        "iloveyou€2026",
    ] {
        assert_eq!(faults(password), [PasswordFault::Common], "{password}");
    }
}

#[test]
fn what_nobody_else_takes_may_hold_common_words() {
    for password in [
        "correct horse battery staple",
        "xK9#mQ2$vL7@pR4",
        "the password of my boat",
        "q7!Zr0%w2^Lk",
        "four grey owls at dusk",
        "пять серых сов ночью",
        "黒い猫が三匹屋根で寝ている",
        "🦉🌲🪵🌧🕯🎻🧭🪁🐚🧵🗝🪞",
        "kjhwqtzbnxpl",
    ] {
        assert_eq!(faults(password), [], "{password}");
    }
}

#[test]
fn is_not_known_to_be_lost() {
    let lost = Lost("four grey owls at dusk");
    let check = |password: &str| check(&password.into(), "", &lost);
    assert_eq!(check("four grey owls at dusk"), Err(vec![PasswordFault::Breached]));
    assert_eq!(check("four grey owls at dawn"), Ok(()));
}

#[test]
fn every_fault_is_named() {
    let all = check(&"Grace.Hopper".into(), "grace.hopper@navy.example", &NoneBreached);
    assert_eq!(all, Err(vec![PasswordFault::HoldsAddress]));
    assert_eq!(faults("12345"), [PasswordFault::TooShort, PasswordFault::Common]);
    let all = check(&"password1".into(), "password@example.com", &NoneBreached).unwrap_err();
    let three = [PasswordFault::TooShort, PasswordFault::HoldsAddress, PasswordFault::Common];
    assert_eq!(all, three);
}

proptest! {
    #[test]
    fn any_text_is_answered(password in "\\PC{0,140}", address in "\\PC{0,40}") {
        let _ = check(&password.into(), &address, &NoneBreached);
    }

    #[test]
    fn what_a_password_manager_makes_is_taken(password in "[a-z]{4}[A-Z]{4}[0-9]{4}[#%&+=]{4}[bcdfg]{6}") {
        // Chance may make a word or a run of it, never all of it.
        prop_assert_eq!(faults(&password), []);
    }
}
