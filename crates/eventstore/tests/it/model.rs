//! The store and a model of it agree on any run of appends, one after another and all at once.
//!
//! A run is a sequence of rounds, made of every form of append ([`ask`]). In a round one caller or
//! many ask through two stores, which share nothing but the database, as two processes do. Each
//! waits until some of the others were answered before it asks, so that batches are cut in all kinds
//! of places; in a crowd nobody waits, so that there are batches of many and two of them at once.
//!
//! The model ([`state`]) says what one append would be answered in one state, and what the state
//! is then. Of a round with many callers the order is not known beforehand, so what is checked
//! ([`order`]) is that there is an order which explains every answer, and in which nobody comes
//! before who was answered before they asked. Because receipts hold positions that must be exactly
//! the model's, there is hardly ever more than one to try.
//!
//! After each round the claims, which alone do not follow from the receipts, are compared; after the
//! last one everything is ([`check`]).
//!
//! `PROPTEST_CASES=2000` makes more runs.

mod ask;
mod check;
mod make;
mod order;
mod state;
mod tell;

use std::cell::RefCell;
use std::collections::BTreeSet;

use eventstore::EventStore;
use proptest::prelude::*;
use sqlx::postgres::PgPoolOptions;
use testkit::TestDatabase;

use self::make::Call;
use self::state::{Answer, State};
use crate::support::MIGRATOR;

/// How many runs there are if nobody says otherwise. To begin one costs more than its rounds.
const RUNS: u32 = 16;

/// How often the runs are made at most: what is rare may be missing after the first turn.
const MOST_TURNS: u32 = 8;

/// What all runs together must have come across: else they would show little.
const WANTED: [&str; 11] = [
    "a claim taken",
    "a condition failed",
    "a conflict",
    "a first time",
    "a repetition",
    "a shared batch",
    "a transaction given up",
    "a transaction kept",
    "a transaction void",
    "another body",
    "refused by the database",
];

#[test]
#[expect(clippy::disallowed_methods, reason = "whether proptest was told how much to do")]
fn the_store_and_a_vec_agree_on_any_run_of_appends() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut config = ProptestConfig { max_shrink_time: 120_000, ..ProptestConfig::default() };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = RUNS;
    }
    let runs = config.cases;
    let met = RefCell::new(BTreeSet::new());
    let lacks_some = || WANTED.iter().any(|wanted| !met.borrow().contains(wanted));
    for turn in 0..MOST_TURNS {
        if turn == 0 || (runs >= RUNS && lacks_some()) {
            proptest!(config.clone(), |(rounds in make::rounds())| {
                runtime.block_on(run(rounds, &mut met.borrow_mut()));
            });
        }
    }
    assert!(runs < RUNS || !lacks_some(), "{met:?}");
}

async fn run(rounds: Vec<Vec<Call>>, met: &mut BTreeSet<&'static str>) {
    let database = TestDatabase::create(&MIGRATOR).await;
    // Enough for both stores to write on two and for transactions beside them; each costs time.
    let pool = PgPoolOptions::new().max_connections(6).connect(database.url()).await.unwrap();
    let store = EventStore::open(pool.clone()).await.unwrap();
    let stores = [store.clone(), EventStore::open(pool).await.unwrap()];
    ask::prepare(store.pool()).await;
    let mut state = State::default();
    let (mut made, mut kept) = (Vec::new(), BTreeSet::new());
    for calls in rounds {
        let asked = calls.iter().map(|call| call.make(&state, &mut made)).collect();
        let answered = ask::all_at_once(&stores, asked).await;
        for call in &answered {
            met.extend(call.answers.iter().map(Answer::kind));
            met.extend(call.kind());
            if call.is_transaction() && call.is_kept() {
                kept.extend(call.appends.iter().map(|append| append.command_id));
            }
        }
        let claims = check::claims(&store).await;
        state = order::find(&state, &answered, &claims).unwrap_or_else(|| {
            panic!("no order explains {answered:?}\nin a log of\n{state:?}\nand then {claims:?}")
        });
    }
    check::all_of(&store, &state, &made, &kept).await;
    if check::has_shared_batch(&store).await {
        met.insert("a shared batch");
    }
}
