//! `annals dead-letters`: messages that failed, and what shall become of them.

use anyhow::{Context as _, bail};
use relay::dead_letters::{self, DeadLetter, Selection, State};
use serde_json::value::RawValue;
use sqlx::PgPool;

use super::{answer, open_log};
use crate::cli;
use crate::config::Config;

/// How many letters are read at once.
const PAGE: u16 = 500;

pub(super) async fn run(config: &Config, command: cli::DeadLetters) -> anyhow::Result<()> {
    let store = open_log(config).await?;
    let pool = store.pool();
    match command {
        cli::DeadLetters::List { consumer, key, state, json } => {
            list(pool, Selection { consumer, key, state: state.map(Into::into), after: 0 }, json)
                .await
        }
        cli::DeadLetters::Show { id } => show(&dead_letters::find(pool, id).await?),
        cli::DeadLetters::Retry { id: Some(id), by, .. } => {
            dead_letters::retry(pool, id, &by).await?;
            answer(&format!("{id} is tried again now, and those behind it after it"))
        }
        cli::DeadLetters::Retry { id: None, consumer, by, .. } => {
            let keys = dead_letters::retry_all(pool, consumer.as_deref(), &by).await?;
            answer(&format!("the first messages of {keys} keys are tried again now"))
        }
        cli::DeadLetters::Discard { id, reason, by } => {
            if reason.trim().is_empty() {
                bail!("say why with --reason: it is all that is left of the message here");
            }
            dead_letters::discard(pool, id, &reason, &by).await?;
            answer(&format!("{id} is discarded, those behind it are tried"))
        }
    }
}

async fn list(pool: &PgPool, mut selection: Selection, json: bool) -> anyhow::Result<()> {
    if !json {
        answer(&format!(
            "{:>8}  {:<8}  {:>8}  {:<24}  {:<52}  {}",
            "ID", "STATE", "ATTEMPTS", "CONSUMER", "KEY", "ERROR"
        ))?;
    }
    loop {
        let letters = dead_letters::list(pool, &selection, PAGE).await?;
        let Some(last) = letters.last() else { return Ok(()) };
        selection.after = last.id;
        for letter in &letters {
            if json {
                answer(&serde_json::to_string(&document(letter)?)?)?;
            } else {
                answer(&line(letter))?;
            }
        }
    }
}

fn line(letter: &DeadLetter) -> String {
    let DeadLetter { id, attempts, consumer, key, .. } = letter;
    let (state, error) = (letter.state.as_str(), letter.error.as_deref().unwrap_or_default());
    format!("{id:>8}  {state:<8}  {attempts:>8}  {consumer:<24}  {key:<52}  {error}")
}

fn show(letter: &DeadLetter) -> anyhow::Result<()> {
    answer(&serde_json::to_string_pretty(&document(letter)?)?)
}

/// A letter as JSON.
#[derive(serde::Serialize)]
struct Document<'a> {
    id: i64,
    consumer: &'a str,
    key: &'a str,
    message_id: uuid::Uuid,
    state: &'static str,
    attempts: i32,
    next_attempt_at: Option<chrono::DateTime<chrono::Utc>>,
    error: Option<&'a str>,
    held_at: chrono::DateTime<chrono::Utc>,
    last_attempt_at: Option<chrono::DateTime<chrono::Utc>>,
    subject: &'a str,
    headers: &'a RawValue,
    body: std::borrow::Cow<'a, str>,
}

fn document(letter: &DeadLetter) -> anyhow::Result<Document<'_>> {
    Ok(Document {
        id: letter.id,
        consumer: &letter.consumer,
        key: &letter.key,
        message_id: letter.message_id,
        state: letter.state.as_str(),
        attempts: letter.attempts,
        next_attempt_at: letter.next_attempt_at,
        error: letter.error.as_deref(),
        held_at: letter.held_at,
        last_attempt_at: letter.last_attempt_at,
        subject: &letter.subject,
        headers: serde_json::from_str(&letter.headers).context("read the headers")?,
        body: String::from_utf8_lossy(&letter.body),
    })
}

impl From<cli::LetterState> for State {
    fn from(state: cli::LetterState) -> Self {
        match state {
            cli::LetterState::Retrying => Self::Retrying,
            cli::LetterState::Dead => Self::Dead,
            cli::LetterState::Waiting => Self::Waiting,
        }
    }
}
