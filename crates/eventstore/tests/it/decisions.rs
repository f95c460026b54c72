//! A decision over several aggregates holds for all of them, or has no effect on any.

use std::sync::Arc;

use eventstore::aggregate::{Aggregate, Decided, ExecuteError, Repository, Settings, States};
use eventstore::evolution::Evolution;
use eventstore::{
    AppendError, Claim, Condition, EventStore, Position, Query, QueryItem, Receipt, StreamId,
};
use tokio::task::JoinSet;

use crate::account::{Account, AccountEvent, Overdrawn, command};
use crate::support::{all, assert_gapless, log, stream};

fn accounts(store: &EventStore) -> Repository<Account> {
    Repository::new(store.clone(), Arc::new(Evolution::default()), Settings::default())
}

async fn deposit(accounts: &Repository<Account>, to: &StreamId, amount: i64) {
    let deposit = |_: &Account| Ok::<_, Overdrawn>(Account::deposit(amount));
    accounts.execute(to, &command(), deposit).await.unwrap();
}

/// What moves `amount` from one account to the other.
fn transfer(
    from: &StreamId,
    to: &StreamId,
    amount: i64,
) -> impl Fn(&States<'_, Account>) -> Result<Decided<AccountEvent>, Overdrawn> {
    move |states| {
        let withdrawn = states.get(from).unwrap().withdraw(amount)?;
        let withdrawn = withdrawn.into_iter().map(|event| (from.clone(), event));
        let deposited = Account::deposit(amount).into_iter().map(|event| (to.clone(), event));
        Ok(Decided { events: withdrawn.chain(deposited).collect(), ..Decided::default() })
    }
}

async fn balance(accounts: &Repository<Account>, of: &StreamId) -> i64 {
    accounts.load(of).await.unwrap().state.balance
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transfers_that_cross_each_other_lose_no_cent() {
    const TASKS: usize = 12;
    const EACH: usize = 8;
    let (database, store) = log().await;
    let other = EventStore::open(database.pool()).await.unwrap();
    let repositories = [accounts(&store), accounts(&other)];
    let ids: Arc<[StreamId; 3]> = Arc::new(["a", "b", "c"].map(stream));
    for id in ids.iter() {
        deposit(&repositories[0], id, 10).await;
    }
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        let (accounts, ids) = (repositories[task % 2].clone(), Arc::clone(&ids));
        tasks.spawn(async move {
            let mut made = 0;
            for round in 0..EACH {
                // Each names the same accounts in another order: nobody waits in a circle.
                let (from, to) =
                    (&ids[(task + round) % 3], &ids[(task + round + 1 + task % 2) % 3]);
                let named = [from.clone(), to.clone()];
                let once = command();
                loop {
                    match accounts.execute_over(&named, &once, transfer(from, to, 3)).await {
                        Ok(_) => made += 1,
                        Err(ExecuteError::Rejected(Overdrawn { balance })) => assert!(balance < 3),
                        Err(ExecuteError::Contended { .. }) => continue,
                        Err(error) => panic!("{error:?}"),
                    }
                    break;
                }
            }
            made
        });
    }
    let mut made = 0;
    while let Some(of_task) = tasks.join_next().await {
        made += of_task.unwrap();
    }
    let events = all(&store).await;
    assert_gapless(&events);
    assert_eq!(events.len(), 3 + 2 * made);
    assert!(made > 3, "some of them went through");
    for accounts in &repositories {
        let mut sum = 0;
        for id in ids.iter() {
            let balance = balance(accounts, id).await;
            assert!(balance >= 0);
            sum += balance;
        }
        assert_eq!(sum, 30);
    }
}

/// What is only read must not have moved either.
#[tokio::test]
async fn a_stream_that_is_only_read_is_part_of_the_decision() {
    let (_database, store) = log().await;
    let (here, there) = (accounts(&store), accounts(&store));
    let (rich, poor) = (stream("rich"), stream("poor"));
    deposit(&here, &rich, 100).await;
    deposit(&here, &poor, 1).await;
    let (named, once) = ([rich.clone(), poor.clone()], command());
    let give_if_rich = |states: &States<'_, Account>| {
        let is_rich = states.get(&rich).unwrap().balance >= 100;
        let given = if is_rich { Account::deposit(5) } else { vec![] };
        Ok::<_, Overdrawn>(Decided::on(&poor, given))
    };
    here.execute_over(&named, &once, give_if_rich).await.unwrap();
    let withdraw = |account: &Account| account.withdraw(1);
    there.execute(&rich, &command(), withdraw).await.unwrap();
    // Here it still looks rich.
    here.execute_over(&named, &command(), give_if_rich).await.unwrap();
    assert_eq!(balance(&there, &poor).await, 6, "given once");
}

#[tokio::test]
async fn claims_are_taken_and_moved_with_the_decision() {
    let (_database, store) = log().await;
    let accounts = accounts(&store);
    let (first, second) = (stream("first"), stream("second"));
    let claim = |of: &StreamId| Claim::new("bank.name", "savings", of.clone());
    let named = [first.clone(), second.clone()];
    let open =
        |of: &StreamId| Decided { claims: vec![claim(of)], ..Decided::on(of, Account::deposit(1)) };
    let execute = async |decided: Decided<AccountEvent>| {
        let decide = |_: &States<'_, Account>| Ok::<_, Overdrawn>(decided.clone());
        accounts.execute_over(&named, &command(), decide).await
    };
    execute(open(&first)).await.unwrap();
    let refused = execute(open(&second)).await;
    let Err(ExecuteError::Append(AppendError::ClaimTaken { holder, .. })) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(holder, first);
    execute(Decided { releases: vec![claim(&first)], ..open(&second) }).await.unwrap();
    let refused = execute(open(&first)).await;
    assert!(matches!(refused, Err(ExecuteError::Append(AppendError::ClaimTaken { .. }))));
}

#[tokio::test]
async fn in_the_callers_transaction_it_commits_or_rolls_back_with_it() {
    let (database, store) = log().await;
    let accounts = accounts(&store);
    let (from, to) = (stream("from"), stream("to"));
    deposit(&accounts, &from, 10).await;
    let named = [from.clone(), to.clone()];
    let pool = database.pool();
    let once = command();
    for commits in [false, true, true] {
        let mut transaction = pool.begin().await.unwrap();
        let receipt: Receipt = accounts
            .execute_in(&mut transaction, &named, &once, transfer(&from, &to, 10))
            .await
            .unwrap();
        // Decided on what the transaction itself has written.
        let more = accounts
            .execute_in(&mut transaction, &named, &command(), transfer(&from, &to, 1))
            .await;
        assert!(matches!(more, Err(ExecuteError::Rejected(Overdrawn { balance: 0 }))), "{more:?}");
        let (before, after) = if receipt.repeated { (0, 10) } else { (10, 0) };
        assert_eq!(
            (balance(&accounts, &from).await, balance(&accounts, &to).await),
            (before, after),
            "nobody else sees what is not committed"
        );
        if commits {
            transaction.commit().await.unwrap();
        } else {
            transaction.rollback().await.unwrap();
        }
    }
    assert_eq!((balance(&accounts, &from).await, balance(&accounts, &to).await), (0, 10));
    assert_eq!(all(&store).await.len(), 3, "three givings of one command are one");
}

/// Another process moves money to and fro; the sum is the same at every moment.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_rejected_was_so_at_one_moment() {
    let (database, store) = log().await;
    let other = EventStore::open(database.pool()).await.unwrap();
    let (here, there) = (accounts(&store), accounts(&other));
    let (left, right) = (stream("left"), stream("right"));
    deposit(&here, &left, 50).await;
    deposit(&here, &right, 50).await;
    let named = [left.clone(), right.clone()];
    let moving = tokio::spawn({
        let (named, left, right) = (named.clone(), left.clone(), right.clone());
        async move {
            for round in 0..150 {
                let (from, to) = if round % 2 == 0 { (&left, &right) } else { (&right, &left) };
                let moved = there.execute_over(&named, &command(), transfer(from, to, 40)).await;
                moved.unwrap();
            }
        }
    });
    let reject_unless_whole = |states: &States<'_, Account>| {
        let sum: i64 = named.iter().map(|id| states.get(id).unwrap().balance).sum();
        if sum == 100 { Ok(Decided::default()) } else { Err(Overdrawn { balance: sum }) }
    };
    let mut looks = 0;
    while !moving.is_finished() {
        here.forget();
        match here.execute_over(&named, &command(), reject_unless_whole).await {
            Ok(_) | Err(ExecuteError::Contended { .. }) => looks += 1,
            Err(error) => panic!("{error:?}"),
        }
        let mut transaction = database.pool().begin().await.unwrap();
        let looked =
            here.execute_in(&mut transaction, &named, &command(), reject_unless_whole).await;
        match looked {
            Ok(_) | Err(ExecuteError::Append(AppendError::Conflict { .. })) => looks += 1,
            Err(error) => panic!("{error:?}"),
        }
        transaction.rollback().await.unwrap();
    }
    moving.await.unwrap();
    assert!(looks > 10, "it looked meanwhile");
}

/// Who decides over several streams may find a snapshot that another process took after the moment
/// as of which it reads them.
#[tokio::test]
async fn a_snapshot_of_a_later_moment_is_not_mixed_in() {
    let (database, store) = log().await;
    let accounts = accounts(&store);
    let (left, right) = (stream("left"), stream("right"));
    deposit(&accounts, &left, 50).await;
    deposit(&accounts, &right, 50).await;
    let later = store.head().await.unwrap().get() + 1;
    sqlx::query(
        "INSERT INTO eventstore.snapshots (stream, schema_version, version, position, state)
         VALUES ($1, $2, 2, $3, '{\"balance\":90,\"movements\":2}')",
    )
    .bind(left.as_str())
    .bind(Account::SNAPSHOTS.schema_version)
    .bind(later)
    .execute(&database.pool())
    .await
    .unwrap();
    accounts.forget();
    let named = [left.clone(), right.clone()];
    let seen = |states: &States<'_, Account>| {
        let sum: i64 = named.iter().map(|id| states.get(id).unwrap().balance).sum();
        Err::<Decided<_>, _>(Overdrawn { balance: sum })
    };
    let rejected = accounts.execute_over(&named, &command(), seen).await;
    assert!(
        matches!(rejected, Err(ExecuteError::Rejected(Overdrawn { balance: 100 }))),
        "{rejected:?}"
    );
}

#[tokio::test]
async fn only_conflicts_are_attempts_and_a_failed_condition_is_the_callers() {
    let (_database, store) = log().await;
    let settings = Settings { attempts: 1, ..Settings::default() };
    let accounts: Repository<Account> =
        Repository::new(store.clone(), Arc::new(Evolution::default()), settings);
    let id = stream("a");
    deposit(&accounts, &id, 10).await;
    let withdraw = |account: &Account| account.withdraw(11);
    let refused = accounts.execute(&id, &command(), withdraw).await;
    assert!(matches!(refused, Err(ExecuteError::Rejected(_))), "{refused:?}");
    let nothing = |_: &Account| Ok::<_, Overdrawn>(vec![]);
    accounts.execute(&id, &command(), nothing).await.unwrap();

    let query = Query::nothing().or(QueryItem::default().of_types(["bank.deposited"]));
    let conditions = vec![Condition { after: Position::START, query }];
    let decide = |_: &States<'_, Account>| {
        let decided = Decided::on(&id, Account::deposit(1));
        Ok::<_, Overdrawn>(Decided { conditions: conditions.clone(), ..decided })
    };
    let failed = accounts.execute_over(std::slice::from_ref(&id), &command(), decide).await;
    let Err(ExecuteError::Append(AppendError::ConditionFailed { position, .. })) = failed else {
        panic!("{failed:?}")
    };
    assert_eq!(position.get(), 1);
}

/// What would be too much by now was not when it took effect.
#[tokio::test]
async fn a_command_given_again_has_its_receipt_whatever_stands_in_its_way_now() {
    let (_database, store) = log().await;
    let accounts = accounts(&store);
    let (id, once) = (stream("a"), command());
    let double = |account: &Account| {
        let times = usize::try_from(account.movements + 300).unwrap();
        Ok::<_, Overdrawn>(vec![AccountEvent::Deposited { amount: 1 }; times])
    };
    let first = accounts.execute(&id, &once, double).await.unwrap();
    let again = accounts.execute(&id, &once, double).await.unwrap();
    assert_eq!(again, Receipt { repeated: true, ..first });
    let refused = accounts.execute(&id, &command(), double).await;
    let too_many = matches!(refused, Err(ExecuteError::Append(AppendError::TooManyEvents { .. })));
    assert!(too_many, "{refused:?}");
}
