//! What everybody takes.
//!
//! The words were written down for this file from what such lists are known to hold; they are no copy
//! of one.

use zeroize::Zeroizing;

/// Rows of keyboards and of the alphabet, of which passwords take pieces, forward and backward.
const ROWS: &[&str] = &[
    "abcdefghijklmnopqrstuvwxyz",
    "01234567890",
    "qwertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "qwertzuiop",
    "yxcvbnm",
    "azertyuiop",
    "qsdfghjklm",
    "1q2w3e4r5t6y7u8i9o0p",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik",
    "qazwsxedcrfvtgbyhnujmikolp",
    "zaq12wsxcde34rfvbgt56yhn",
];

/// Words and names that are in many passwords, in lower case and ASCII.
const WORDS: &str = "
    administrator administrador administrateur trustno correcthorsebatterystaple passwort
    passwords password passcode passphrase passw motdepasse contrasena wachtwoord parola senha
    haslo geheim kennwort secret letmein iloveyou ilovemyself ilove loveyou welcome willkommen
    bienvenue changeme change default temporary test testing guest login logmein admin root
    superuser super user username master access account system server computer internet security
    secure private monkey dragon shadow sunshine princess prinzessin football fussball baseball
    basketball soccer hockey superman batman spiderman pokemon starwars startrek matrix mustang
    ferrari porsche mercedes yamaha harley michael michelle jennifer jessica jordan daniel thomas
    andrew joshua matthew robert william charlie george ashley nicole amanda alexander alexandra
    anthony christian christopher elizabeth hannah maria martin liverpool chelsea arsenal
    barcelona realmadrid juventus bayern london berlin paris newyork america england deutschland
    schalke whatever nothing something freedom liberty forever family friends friend mother father
    mommy daddy brother sister darling schatz honey sweet angel lovely love beautiful flower
    butterfly cookie chocolate cheese pepper ginger orange banana apple samsung google facebook
    microsoft windows linux android iphone summer winter spring autumn sommer herbst january
    february march april august september october november december monday tuesday wednesday
    thursday friday saturday sunday hello hallo please number killer hunter ranger tigger buster
    maggie bailey thunder silver golden purple diamond phoenix falcon eagle tiger jesus christ
    blessed heaven rockstar metallica nirvana company office annals
";

/// As many characters of a row make a run.
const RUN: usize = 4;

/// As many letters beside common ones do not make a password.
const FEW: usize = 3;

/// Whether `password`, in lower case, is made of little.
pub(super) fn is_common(password: &str) -> bool {
    let written = Zeroizing::new(password.chars().collect::<Vec<_>>());
    if repeats(&written) || written.iter().all(char::is_ascii_digit) {
        return true;
    }
    let meant = Zeroizing::new(written.iter().copied().map(letter).collect::<Vec<_>>());
    let mut common = vec![false; written.len()];
    for word in WORDS.split_ascii_whitespace() {
        let length = word.len();
        for text in [&written, &meant] {
            for (start, piece) in text.windows(length).enumerate() {
                if word.chars().eq(piece.iter().copied()) {
                    common[start..start + length].fill(true);
                }
            }
        }
    }
    for (start, piece) in written.windows(RUN).enumerate() {
        if is_run(piece) {
            common[start..start + RUN].fill(true);
        }
    }
    let is_other = |(character, common): (&char, &bool)| {
        !common && (character.is_alphabetic() || !character.is_ascii())
    };
    let others = written.iter().zip(&common).filter(|pair| is_other(*pair)).count();
    common.contains(&true) && others <= FEW
}

/// Whether one piece of at most a third of it is all there is, again and again.
fn repeats(characters: &[char]) -> bool {
    let again =
        |length: usize| characters.iter().zip(&characters[length..]).all(|(one, next)| one == next);
    (1..=characters.len() / 3).any(again)
}

/// Whether a piece is of a row, forward or backward, or one character only.
fn is_run(piece: &[char]) -> bool {
    let forward = Zeroizing::new(piece.iter().collect::<String>());
    let backward = Zeroizing::new(piece.iter().rev().collect::<String>());
    let in_row = |row: &&str| row.contains(forward.as_str()) || row.contains(backward.as_str());
    piece.iter().all(|character| *character == piece[0]) || ROWS.iter().any(in_row)
}

/// The letter that people mean by a digit or a sign.
fn letter(character: char) -> char {
    match character {
        '0' => 'o',
        '1' | '!' | '|' => 'i',
        '3' | '€' => 'e',
        '4' | '@' => 'a',
        '5' | '$' => 's',
        '7' => 't',
        other => other,
    }
}
