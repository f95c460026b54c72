//! Aggregates: whatever is kept in memory or in a snapshot, a decision is made on what is true.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use eventstore::EventStore;
use eventstore::aggregate::{ExecuteError, Repository, Settings};
use eventstore::evolution::Evolution;
use sqlx::PgPool;
use testkit::eventually;
use tokio::task::JoinSet;

use crate::account::{Account, AccountEvent, Overdrawn, command};
use crate::support::{all, append, assert_gapless, exactly, log, stream, to};

fn accounts(store: &EventStore) -> Repository<Account> {
    Repository::new(store.clone(), Arc::new(Evolution::default()), Settings::default())
}

async fn deposit(accounts: &Repository<Account>, of: &str, amount: i64) {
    let deposit = |_: &Account| Ok::<_, Infallible>(Account::deposit(amount));
    accounts.execute(&stream(of), &command(), deposit).await.unwrap();
}

async fn withdraw(
    accounts: &Repository<Account>,
    of: &str,
    amount: i64,
) -> Result<(), ExecuteError<Overdrawn>> {
    let withdraw = |account: &Account| account.withdraw(amount);
    accounts.execute(&stream(of), &command(), withdraw).await.map(drop)
}

async fn snapshot(pool: &PgPool, of: &str) -> Option<(i32, i64, String)> {
    let query =
        "SELECT schema_version, version, state::text FROM eventstore.snapshots WHERE stream = $1";
    sqlx::query_as(query).bind(of).fetch_optional(pool).await.unwrap()
}

#[tokio::test]
async fn a_state_is_the_fold_of_its_stream() {
    let (_database, store) = log().await;
    let accounts = accounts(&store);
    deposit(&accounts, "a", 50).await;
    withdraw(&accounts, "a", 20).await.unwrap();
    let refused = withdraw(&accounts, "a", 31).await;
    assert!(matches!(refused, Err(ExecuteError::Rejected(Overdrawn { balance: 30 }))));
    let loaded = accounts.load(&stream("a")).await.unwrap();
    assert_eq!(loaded.state, Account { balance: 30, movements: 2 });
    assert_eq!(loaded.version.get(), 2);
    assert_eq!(accounts.load(&stream("none")).await.unwrap().version.get(), 0);
}

/// Two repositories are two processes: what one keeps in memory falls behind by the other's work.
#[tokio::test]
async fn a_state_that_is_behind_neither_overdraws_nor_refuses_wrongly() {
    let (_database, store) = log().await;
    let (here, there) = (accounts(&store), accounts(&store));
    deposit(&here, "a", 10).await;
    deposit(&there, "a", 10).await;
    withdraw(&here, "a", 15).await.unwrap();
    // There it still looks like 20.
    let refused = withdraw(&there, "a", 10).await;
    assert!(matches!(refused, Err(ExecuteError::Rejected(Overdrawn { balance: 5 }))));
    deposit(&here, "a", 95).await;
    // There it still looks like 5.
    withdraw(&there, "a", 100).await.unwrap();
    let events = all(&store).await;
    assert_eq!(events.len(), 5);
    assert_gapless(&events);
}

#[tokio::test]
async fn a_command_given_again_has_the_receipt_of_the_first_time() {
    let (_database, store) = log().await;
    let accounts = accounts(&store);
    deposit(&accounts, "a", 10).await;
    let once = command();
    let all_of_it = |account: &Account| account.withdraw(10);
    let first = accounts.execute(&stream("a"), &once, all_of_it).await.unwrap();
    for _ in 0..2 {
        let again = accounts.execute(&stream("a"), &once, all_of_it).await.unwrap();
        assert!(again.repeated);
        assert_eq!(again.streams, first.streams);
        accounts.forget();
    }
    assert_eq!(all(&store).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_on_one_stream_from_two_processes_loses_nothing() {
    const TASKS: i64 = 64;
    const EACH: i64 = 5;
    let (database, store) = log().await;
    let other = EventStore::open(database.pool()).await.unwrap();
    let repositories = [accounts(&store), accounts(&other)];
    deposit(&repositories[0], "a", TASKS * EACH / 2).await;
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        let accounts = repositories[usize::try_from(task % 2).unwrap()].clone();
        tasks.spawn(async move {
            let mut done = 0;
            for _ in 0..EACH {
                loop {
                    match withdraw(&accounts, "a", 1).await {
                        Ok(()) => done += 1,
                        Err(ExecuteError::Rejected(_)) => {}
                        Err(ExecuteError::Contended { .. }) => continue,
                        Err(error) => panic!("{error:?}"),
                    }
                    break;
                }
            }
            done
        });
    }
    let mut withdrawn = 0;
    while let Some(done) = tasks.join_next().await {
        withdrawn += done.unwrap();
    }
    assert_eq!(withdrawn, TASKS * EACH / 2, "all of it, and no more");
    let events = all(&store).await;
    assert_gapless(&events);
    assert_eq!(i64::try_from(events.len()).unwrap(), 1 + withdrawn);
    for accounts in repositories {
        assert_eq!(accounts.load(&stream("a")).await.unwrap().state.balance, 0);
    }
}

#[tokio::test]
async fn a_snapshot_is_taken_used_and_given_up_when_the_state_has_another_shape() {
    let (database, store) = log().await;
    let first = accounts(&store);
    for _ in 0..10 {
        deposit(&first, "a", 1).await;
    }
    let pool = database.pool();
    let (schema_version, version, state) =
        eventually(Duration::from_secs(10), "a snapshot", async || {
            snapshot(&pool, "a").await.ok_or("none")
        })
        .await;
    assert_eq!((schema_version, version), (3, 10));
    assert_eq!(state, r#"{"balance":10,"movements":10}"#);

    // It is used: a state that no event explains is seen, and the tail is folded onto it.
    let forge = "UPDATE eventstore.snapshots SET state = '{\"balance\":1000,\"movements\":10}'";
    sqlx::raw_sql(forge).execute(&pool).await.unwrap();
    append(&store, {
        let mut tail = to("a", exactly(10), 1);
        tail.events[0].payload =
            serde_json::to_string(&AccountEvent::Deposited { amount: 7 }).unwrap();
        tail
    })
    .await
    .unwrap();
    let loaded = accounts(&store).load(&stream("a")).await.unwrap();
    assert_eq!((loaded.state.balance, loaded.version.get()), (1007, 11));

    // Of another shape, or no state at all: the events are read instead.
    for change in ["schema_version = 2", "schema_version = 3, state = '{\"x\":1}'"] {
        let change = format!("UPDATE eventstore.snapshots SET {change}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(change)).execute(&pool).await.unwrap();
        let loaded = accounts(&store).load(&stream("a")).await.unwrap();
        assert_eq!(loaded.state, Account { balance: 17, movements: 11 });
    }
}

#[tokio::test]
async fn states_in_memory_stay_within_their_budget() {
    let (_database, store) = log().await;
    let settings = Settings { cache_bytes: 20_000, ..Settings::default() };
    let accounts: Repository<Account> =
        Repository::new(store.clone(), Arc::new(Evolution::default()), settings);
    for number in 0..300 {
        deposit(&accounts, &format!("account-{number}"), number).await;
        assert!(accounts.cached_bytes() <= 20_000);
    }
    assert!(accounts.cached_bytes() > 5_000, "it is used");
    for number in 0..300 {
        let loaded = accounts.load(&stream(&format!("account-{number}"))).await.unwrap();
        assert_eq!(loaded.state.balance, number);
    }
}
