//! What was let in is shut out, in every process, and stays out.

use serde_json::json;
use testkit::{Postgres, eventually};

use super::journey::is_shut_out;
use crate::support::{As, Beside, LIMIT, Login, Person, TestApp};

const CLERK: &str = "clerk";

/// Two processes, and somebody who is let in by both, with a role that grants `users.read`.
struct World {
    app: TestApp,
    beside: Beside,
    operator: As,
    login: Login,
    address: String,
}

impl World {
    async fn new() -> Self {
        let app = TestApp::with_doors().await;
        let beside = app.another().await;
        let operator = app.operator().await;
        let grants = json!([{"permission": "users.read", "reach": "all"}]);
        let user = app.appoint(&Person::ada(), CLERK, &grants).await;
        let login = app.log_in(&Person::ada()).await;
        let world = Self { app, beside, operator, login, address: format!("/v1/users/{user}") };
        assert_eq!(world.there(&world.login).get(&world.address).await.status, 200);
        world
    }

    /// Asks the other process.
    fn there(&self, login: &Login) -> As {
        As::user(&self.beside.router, &login.access)
    }

    async fn refreshed(&self) -> Login {
        Login::of(&self.app.refresh(&self.login.refresh).await)
    }

    /// Nobody gets in with the token any more, anywhere, nor does a process that starts now let it in.
    async fn is_over(&self, login: &Login) {
        is_shut_out(&self.there(login)).await;
        is_shut_out(&self.app.as_user(&login.access)).await;
        self.is_not_revived(login).await;
    }

    async fn is_not_revived(&self, login: &Login) {
        let third = self.app.another().await;
        for router in [&third.router, &self.beside.router, self.app.router()] {
            let answer = As::user(router, &login.access).get("/v1/me").await;
            assert_eq!(answer.code(), "invalid-token");
        }
    }
}

#[tokio::test]
async fn logging_out_takes_effect_everywhere() {
    let world = World::new().await;
    let other = world.app.log_in(&Person::ada()).await;
    let me = world.app.as_user(&world.login.access);
    assert_eq!(me.delete("/v1/me/sessions/current").await.status, 204);
    world.is_over(&world.login).await;
    assert_eq!(world.there(&other).get("/v1/me").await.status, 200, "this one goes on");
}

#[tokio::test]
async fn who_is_suspended_is_out_and_comes_in_by_a_new_session_only() {
    let world = World::new().await;
    let suspension = format!("{}/suspension", world.address);
    assert_eq!(world.operator.put(&suspension, None).await.status, 204);
    world.is_over(&world.login).await;
    assert_eq!(world.app.refresh(&world.login.refresh).await.code(), "token-refused");
    assert_eq!(world.app.try_log_in(&Person::ada()).await.code(), "login-failed");

    assert_eq!(world.operator.delete(&suspension).await.status, 204);
    assert_eq!(world.app.refresh(&world.login.refresh).await.code(), "token-refused");
    world.is_not_revived(&world.login).await;
    let login = world.app.log_in(&Person::ada()).await;
    assert_eq!(world.there(&login).get("/v1/me").await.status, 200);
    world.is_not_revived(&world.login).await;
}

#[tokio::test]
async fn another_password_shuts_out_the_tokens_of_before() {
    let world = World::new().await;
    let me = world.app.as_user(&world.login.access);
    let change = json!({"current": Person::ada().password, "password": "the tide is out tonight"});
    assert_eq!(me.put("/v1/me/password", change).await.status, 204);
    world.is_over(&world.login).await;
    let login = world.refreshed().await;
    assert_eq!(world.there(&login).get("/v1/me").await.status, 200);
    world.is_not_revived(&world.login).await;
}

#[tokio::test]
async fn whom_an_operator_logs_out_is_out() {
    let world = World::new().await;
    assert_eq!(world.operator.delete(&format!("{}/sessions", world.address)).await.status, 204);
    world.is_over(&world.login).await;
    assert_eq!(world.app.refresh(&world.login.refresh).await.code(), "token-refused");
}

#[tokio::test]
async fn a_role_that_is_withdrawn_opens_nothing_any_more() {
    let world = World::new().await;
    let role = format!("{}/roles/{CLERK}", world.address);
    assert_eq!(world.operator.delete(&role).await.status, 204);
    world.is_over(&world.login).await;
    let login = world.refreshed().await;
    assert_eq!(world.there(&login).get(&world.address).await.code(), "forbidden");

    // Granted again it counts for tokens of then.
    assert_eq!(world.operator.put(&role, None).await.status, 204);
    world.is_over(&login).await;
    let login = Login::of(&world.app.refresh(&login.refresh).await);
    assert_eq!(world.there(&login).get(&world.address).await.status, 200);
    world.is_not_revived(&world.login).await;
}

#[tokio::test]
async fn a_role_that_is_redefined_grants_what_it_says_now() {
    let world = World::new().await;
    let may = async |expected: u16| {
        eventually(LIMIT, "the role to be another", async || {
            let answer = world.there(&world.login).get(&world.address).await;
            if answer.status == expected { Ok(()) } else { Err(answer) }
        })
        .await;
    };
    let role = format!("/v1/roles/{CLERK}");
    let define = async |grants| {
        let answer = world.operator.put(&role, json!({"grants": grants})).await;
        assert_eq!(answer.status, 204, "{answer:?}");
    };
    define(json!([{"permission": "roles.read", "reach": "all"}])).await;
    may(403).await;
    define(json!([{"permission": "users.read", "reach": "all"}])).await;
    may(200).await;
    assert_eq!(world.operator.delete(&role).await.status, 204);
    may(403).await;
    let third = world.app.another().await;
    let answer = As::user(&third.router, &world.login.access).get(&world.address).await;
    assert_eq!(answer.code(), "forbidden");
}

/// Who follows the log knows of a revocation without being asked.
#[tokio::test]
async fn a_process_hears_of_it_by_itself() {
    let world = World::new().await;
    let suspended = world.operator.put(&format!("{}/suspension", world.address), None).await;
    let position: i64 = suspended.headers["annals-position"].parse().unwrap();
    eventually(LIMIT, "the other process to hear of it", async || {
        let known = world.beside.access.position().get();
        if known >= position { Ok(()) } else { Err(known) }
    })
    .await;
    assert_eq!(world.there(&world.login).get("/v1/me").await.code(), "invalid-token");
}

/// Whether a token still holds is not guessed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_log_is_not_heard_of_nobody_is_let_in() {
    let mut postgres = Postgres::start_ephemeral().unwrap();
    let app = TestApp::on(&postgres).await;
    app.welcome(&Person::ada()).await;
    let login = app.log_in(&Person::ada()).await;
    let me = app.as_user(&login.access);
    assert_eq!(me.get("/problems").await.status, 200);
    postgres.kill9();
    // This one asks no table.
    let answer = eventually(LIMIT, "trust to be over", async || {
        let answer = me.get("/problems").await;
        if answer.status == 200 { Err(answer) } else { Ok(answer) }
    })
    .await;
    for _ in 0..3 {
        let answer = me.get("/problems").await;
        assert_eq!((answer.status, answer.code()), (503, "database-unavailable"));
    }
    assert_eq!((answer.status, answer.code()), (503, "database-unavailable"));
    assert_eq!(app.nobody().get("/problems").await.status, 200, "strangers need no log");
    let refresh = app.refresh(&login.refresh).await;
    assert_eq!((refresh.status, refresh.code()), (503, "database-unavailable"));
    let another = app.try_log_in(&Person::ada()).await;
    assert_eq!((another.status, another.code()), (503, "database-unavailable"));

    postgres.restart().unwrap();
    eventually(LIMIT, "the token to hold again", async || {
        let answer = me.get("/problems").await;
        if answer.status == 200 { Ok(()) } else { Err(answer) }
    })
    .await;
}
