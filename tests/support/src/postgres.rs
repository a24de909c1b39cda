//! PostgreSQL databases for the tests, on a private server that they share or on the one that
//! `TEST_DATABASE_URL` names.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use migration::runner;
use sea_orm::{ConnectionTrait, DatabaseConnection};
use tokio::sync::OnceCell;
use url::Url;

pub use super::postgres_server::free_port;
use super::postgres_server::{Durability, PostgresServer};

/// The database from which others are created.
fn admin_url() -> &'static Url {
    static ADMIN: OnceLock<Url> = OnceLock::new();
    ADMIN.get_or_init(|| {
        let url = std::env::var("TEST_DATABASE_URL").unwrap_or_else(|_| start());
        Url::parse(&url).expect("TEST_DATABASE_URL is a URL")
    })
}

/// Starts a server that the tests share and returns the URL of its first database.
fn start() -> String {
    let mut server = PostgresServer::create(Durability::Off);
    server.start();
    let url = server.url_of("postgres");
    server.leave_running();
    url
}

/// The URL of a database on the test server.
pub fn url_of(name: &str) -> String {
    let mut url = admin_url().clone();
    url.set_path(name);
    url.to_string()
}

/// A new database with the schema in it.
pub async fn create_migrated() -> String {
    static TEMPLATE: OnceCell<String> = OnceCell::const_new();
    let template = TEMPLATE
        .get_or_init(|| async {
            let name = create_empty().await;
            let db = connect(&name).await;
            runner::up(&db, None).await.expect("the migrations apply");
            db.close().await.expect("the template is let go");
            name
        })
        .await;
    let name = fresh_name();
    admin(&format!("CREATE DATABASE {name} TEMPLATE {template}")).await;
    name
}

/// A new database with nothing in it.
pub async fn create_empty() -> String {
    let name = fresh_name();
    admin(&format!("CREATE DATABASE {name}")).await;
    name
}

/// A new database with nothing in it, in which the lower case of I is not i.
pub async fn create_turkish() -> String {
    let name = fresh_name();
    let locale = "LOCALE_PROVIDER icu ICU_LOCALE 'tr-TR' LOCALE 'C.UTF-8' ENCODING 'UTF8'";
    admin(&format!(
        "CREATE DATABASE {name} TEMPLATE template0 {locale}"
    ))
    .await;
    name
}

pub async fn drop_database(name: &str) {
    admin(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await;
}

/// One connection to a database on the test server.
pub async fn connect(name: &str) -> DatabaseConnection {
    super::connect_to(&url_of(name)).await
}

async fn admin(sql: &str) {
    let name = admin_url().path().trim_start_matches('/').to_owned();
    let db = connect(&name).await;
    for attempt in 0.. {
        match db.execute_unprepared(sql).await {
            Ok(_) => break,
            Err(_) if attempt < 50 => tokio::time::sleep(Duration::from_millis(100)).await,
            Err(error) => panic!("{sql}: {error}"),
        }
    }
    db.close().await.expect("the connection is let go");
}

fn fresh_name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("circle_test_{}_{number}", std::process::id())
}

/// A role that may have two connections to a database and no more.
#[derive(Debug)]
pub struct LimitedRole {
    pub name: String,
    /// The URL of the database, with this role.
    pub url: String,
}

impl LimitedRole {
    /// `direct` is a connection to the database.
    pub async fn create(direct: &DatabaseConnection, database_url: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("limited_{}_{number}", std::process::id());
        let sql = format!(
            "CREATE ROLE {name} LOGIN PASSWORD 'limited' CONNECTION LIMIT 2; \
             GRANT ALL ON ALL TABLES IN SCHEMA public TO {name}"
        );
        direct.execute_unprepared(&sql).await.expect("a role");
        let mut url = Url::parse(database_url).expect("a URL");
        url.set_username(&name).expect("a user");
        url.set_password(Some("limited")).expect("a password");
        let url = url.to_string();
        Self { name, url }
    }

    pub async fn lift_limit(&self, direct: &DatabaseConnection) {
        let sql = format!("ALTER ROLE {} CONNECTION LIMIT -1", self.name);
        direct.execute_unprepared(&sql).await.expect("no limit");
    }

    pub async fn remove(self, direct: &DatabaseConnection) {
        let sql = format!("DROP OWNED BY {0}; DROP ROLE {0}", self.name);
        direct.execute_unprepared(&sql).await.expect("no role");
    }
}
