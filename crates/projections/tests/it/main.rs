//! The engine and the read models, on a real database.

use sqlx::migrate::Migrator;

static MIGRATOR: Migrator = sqlx::migrate!("../../migrations");

mod probe {
    #[tokio::test]
    async fn p() {
        let db = testkit::TestDatabase::create(&super::MIGRATOR).await;
        let pool = db.pool();
        let mut tx = pool.begin().await.unwrap();
        println!(
            "{:?}",
            sqlx::query!("SELECT pg_advisory_xact_lock(hashtext($1))", "x").execute(&mut *tx).await
        );
        println!(
            "{:?}",
            sqlx::query_scalar!("SELECT to_regnamespace($1) IS NOT NULL", "x")
                .fetch_one(&mut *tx)
                .await
        );
        println!("{:?}", sqlx::raw_sql("CREATE SCHEMA x").execute(&mut *tx).await);
        println!(
            "{:?}",
            sqlx::query!("SELECT set_config('search_path', $1, true)", "x")
                .fetch_one(&mut *tx)
                .await
        );
        println!("{:?}", sqlx::raw_sql(projections::ALL[1].schema).execute(&mut *tx).await);
        println!("{:?}", sqlx::raw_sql(projections::ALL[0].schema).execute(&mut *tx).await);
        println!(
            "{:?}",
            sqlx::raw_sql(sqlx::AssertSqlSafe("CREATE SCHEMA y".to_owned()))
                .execute(&mut *tx)
                .await
        );
        println!(
            "{:?}",
            sqlx::query!("SELECT set_config('search_path', $1, true)", "y")
                .fetch_one(&mut *tx)
                .await
        );
        println!("{:?}", tx.commit().await);
        let mut tx = pool.begin().await.unwrap();
        println!("{:?}", projections::ALL[0].create_in(&mut tx, "z").await);
    }
}
