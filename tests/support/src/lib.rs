//! Support for the integration tests: a service on a database, called by HTTP, in this process
//! ([`TestApp`]) or in its own ([`binary::Server`]), and the faults that tests inject. A newcomer
//! starts with [`on_both`].

#![expect(clippy::missing_panics_doc, reason = "tests fail by panicking")]

mod answer;
pub mod binary;
pub mod collector;
mod conditional;
mod description;
pub mod events;
pub mod factories;
pub mod faults;
pub mod followers;
pub mod haproxy;
pub mod keys;
pub mod nginx;
pub mod pgbouncer;
pub mod postgres;
pub mod postgres_server;
pub mod prometheus;
pub mod proxy;
pub mod receiver;
pub mod writers;

use std::{fmt, future::Future, panic::AssertUnwindSafe, time::Duration};

use circle_registry::{app::Application, config::Settings, database::Database};
use clap::Parser;
use futures_util::FutureExt;
use migration::connection::{self, PoolSize, Target};
use reqwest::{Client, Method};
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{sync::oneshot, task::JoinHandle};
use tracing::Level;

pub use self::answer::Answer;

/// How long a test may take on one database; a test that hangs fails. It is long enough for many more
/// random writes to rosters than usual (`ROSTER_WRITES`).
const TEST_TIMEOUT: Duration = Duration::from_mins(10);

/// Which database a test runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    Sqlite,
    Postgres,
}

/// A private database of a test.
#[derive(Debug)]
pub struct TestDatabase {
    pub backend: Backend,
    pub url: String,
    storage: Storage,
}

#[derive(Debug)]
enum Storage {
    File(TempDir),
    Server(String),
}

impl TestDatabase {
    /// A database with the schema in it.
    pub async fn create(backend: Backend) -> Self {
        match backend {
            Backend::Sqlite => Self::file(),
            Backend::Postgres => Self::on_server(postgres::create_migrated().await),
        }
    }

    /// A database with nothing in it.
    pub async fn create_empty(backend: Backend) -> Self {
        match backend {
            Backend::Sqlite => Self::file(),
            Backend::Postgres => Self::on_server(postgres::create_empty().await),
        }
    }

    /// A PostgreSQL database with a Turkish locale and nothing in it.
    pub async fn create_turkish() -> Self {
        Self::on_server(postgres::create_turkish().await)
    }

    fn file() -> Self {
        let folder = TempDir::new().expect("a folder");
        Self {
            backend: Backend::Sqlite,
            url: format!("sqlite:{}", folder.path().join("test.db").display()),
            storage: Storage::File(folder),
        }
    }

    fn on_server(name: String) -> Self {
        Self {
            backend: Backend::Postgres,
            url: postgres::url_of(&name),
            storage: Storage::Server(name),
        }
    }

    pub fn settings(&self) -> Settings {
        settings_for(&self.url)
    }

    pub async fn remove(self) {
        match self.storage {
            Storage::File(folder) => folder.close().expect("the folder goes"),
            Storage::Server(name) => postgres::drop_database(&name).await,
        }
    }
}

/// One connection to a database.
pub async fn connect_to(url: &str) -> DatabaseConnection {
    let settings = settings_for(url).database;
    let target = Target::from_settings(&settings).expect("a target");
    let db = connection::open(&settings, &target, PoolSize::ONE);
    db.ping().await.expect("a connection");
    db
}

/// The texts that a query on the database returns.
pub async fn texts_of(url: &str, sql: &str) -> Vec<String> {
    let db = connect_to(url).await;
    let statement = Statement::from_string(db.get_database_backend(), sql);
    let rows = db.query_all_raw(statement).await.expect(sql);
    db.close().await.expect("closed");
    rows.iter()
        .map(|row| row.try_get_by_index(0).expect("a text"))
        .collect()
}

/// Terminates all other sessions on a PostgreSQL database. There must be at least one.
pub async fn end_sessions_on(url: &str) {
    let ended = texts_of(
        url,
        "SELECT pg_terminate_backend(pid)::text FROM pg_stat_activity \
         WHERE datname = current_database() AND pid <> pg_backend_pid()",
    );
    assert!(!ended.await.is_empty());
}

/// The default settings for a database, with any free port, and a long acquire timeout because the
/// machine may be busy with other tests.
pub fn settings_for(url: &str) -> Settings {
    #[derive(Parser)]
    struct Arguments {
        #[command(flatten)]
        settings: Settings,
    }
    let arguments = [
        "test",
        "--bind",
        "127.0.0.1:0",
        "--shutdown-delay",
        "0s",
        "--db-acquire-timeout",
        "30s",
        // What is done now and then would count among the statements of a request.
        "--key-check-interval",
        "1h",
        "--membership-job-interval",
        "1h",
        "--webhook-poll-interval",
        "1h",
        // Tests of keys send many wrong ones.
        "--rate-limit-auth-failures",
        "0",
        "--database-url",
        url,
    ];
    Arguments::parse_from(arguments).settings
}

/// Prints the errors that services in this process log with the output of a test that fails.
fn log_errors() {
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(Level::ERROR)
        .with_test_writer();
    // Fails if another test has set it already.
    let _ = subscriber.try_init();
}

/// A service that is running in this process.
pub struct TestApp {
    pub backend: Backend,
    pub base: String,
    pub database: Database,
    client: Client,
    stop: oneshot::Sender<()>,
    running: JoinHandle<()>,
}

impl TestApp {
    pub async fn start(backend: Backend, settings: Settings) -> Self {
        log_errors();
        let application = Application::start(settings)
            .await
            .expect("the service starts");
        let address = application.address().expect("an address");
        let database = application.database().clone();
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(async move {
            let stop = async {
                let _ = stopped.await;
            };
            application.run(stop).await.expect("the service runs");
        });
        let app = Self {
            backend,
            base: format!("http://{address}"),
            database,
            client: Client::new(),
            stop,
            running,
        };
        while app.get("/readyz").await.status != 200 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        app
    }

    pub async fn stop(self) {
        drop(self.client);
        self.stop.send(()).expect("the service is running");
        self.running.await.expect("the service stops");
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, None).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::POST, path, Some(body)).await
    }

    pub async fn patch(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::PATCH, path, Some(body)).await
    }

    pub async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let mut request = self.request(method, path);
        if let Some(body) = body {
            request = request.json(body);
        }
        Answer::to(request).await
    }

    /// Sends any body.
    pub async fn post_text(
        &self,
        path: &str,
        content_type: &str,
        body: impl Into<reqwest::Body>,
    ) -> Answer {
        let request = self.request(Method::POST, path);
        Answer::to(request.header("content-type", content_type).body(body)).await
    }

    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.client
            .request(method, format!("{}{path}", self.base))
            .timeout(Duration::from_secs(30))
    }

    /// How many statements the driver sent while `action` ran.
    pub async fn statements<T>(&self, action: impl Future<Output = T>) -> (T, u64) {
        let before = self.database.statistics().statements;
        let result = action.await;
        (result, self.database.statistics().statements - before)
    }
}

impl fmt::Debug for TestApp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TestApp on {:?} at {}", self.backend, self.base)
    }
}

/// Runs a test on SQLite and on PostgreSQL, each with a service on a database of its own.
pub async fn on_both(test: impl AsyncFn(&TestApp)) {
    on_both_databases(async |database| {
        let app = TestApp::start(database.backend, database.settings()).await;
        let outcome = AssertUnwindSafe(test(&app)).catch_unwind().await;
        app.stop().await;
        if let Err(panic) = outcome {
            std::panic::resume_unwind(panic);
        }
    })
    .await;
}

/// Runs a test on a SQLite and on a PostgreSQL database with the schema in it.
pub async fn on_both_databases(test: impl AsyncFn(&TestDatabase)) {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let database = TestDatabase::create(backend).await;
        let bounded = async {
            let test = tokio::time::timeout(TEST_TIMEOUT, test(&database));
            assert!(test.await.is_ok(), "not done after {TEST_TIMEOUT:?}");
        };
        let outcome = AssertUnwindSafe(bounded).catch_unwind().await;
        database.remove().await;
        if let Err(panic) = outcome {
            #[expect(
                clippy::print_stderr,
                reason = "names the database in the test's output"
            )]
            {
                eprintln!("failed on {backend:?}");
            }
            std::panic::resume_unwind(panic);
        }
    }
}
