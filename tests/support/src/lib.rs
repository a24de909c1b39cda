//! What the integration tests have in common: a real service on a real database, asked over real HTTP, in
//! this process ([`TestApp`]) or in its own ([`binary::Server`]); and the faults that they inject.

#![expect(
    clippy::missing_panics_doc,
    reason = "a test fails by panicking, and so does everything here"
)]

mod answer;
pub mod binary;
mod conditional;
mod described;
pub mod factories;
pub mod faults;
pub mod keys;
pub mod postgres;
pub mod postgres_server;
pub mod proxy;
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

pub use self::answer::Answer;

/// How long a test may take on one database; one that hangs fails and says so. The property of the
/// roster's tag can be asked for on many more writes than usual.
const PATIENCE: Duration = Duration::from_mins(10);

/// Which database a test runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    Sqlite,
    Postgres,
}

/// A database of a test's own, gone when the test is over.
#[derive(Debug)]
pub struct TestDatabase {
    pub backend: Backend,
    pub url: String,
    place: Place,
}

#[derive(Debug)]
enum Place {
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

    fn file() -> Self {
        let folder = TempDir::new().expect("a folder");
        Self {
            backend: Backend::Sqlite,
            url: format!("sqlite:{}", folder.path().join("test.db").display()),
            place: Place::File(folder),
        }
    }

    fn on_server(name: String) -> Self {
        Self {
            backend: Backend::Postgres,
            url: postgres::url_of(&name),
            place: Place::Server(name),
        }
    }

    pub fn settings(&self) -> Settings {
        settings_for(&self.url)
    }

    pub async fn remove(self) {
        match self.place {
            Place::File(folder) => folder.close().expect("the folder goes"),
            Place::Server(name) => postgres::drop_database(&name).await,
        }
    }
}

/// One connection to a database.
pub async fn connect_to(url: &str) -> DatabaseConnection {
    let settings = settings_for(url).database;
    let target = Target::from_settings(&settings).expect("a target");
    connection::open(&settings, &target, PoolSize::ONE)
        .await
        .expect("a connection")
}

/// The texts that a query answers, past the service.
pub async fn texts_of(url: &str, sql: &str) -> Vec<String> {
    let db = connect_to(url).await;
    let statement = Statement::from_string(db.get_database_backend(), sql);
    let rows = db.query_all_raw(statement).await.expect(sql);
    db.close().await.expect("closed");
    rows.iter()
        .map(|row| row.try_get_by_index(0).expect("a text"))
        .collect()
}

/// Ends all other sessions on a PostgreSQL database, of which there has to be one.
pub async fn end_sessions_on(url: &str) {
    let ended = texts_of(
        url,
        "SELECT pg_terminate_backend(pid)::text FROM pg_stat_activity \
         WHERE datname = current_database() AND pid <> pg_backend_pid()",
    );
    assert!(!ended.await.is_empty());
}

/// The service's settings for a database, else as they are by default; any free port, and patience
/// with a machine that is busy with other tests.
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
        // A look for keys now and then would be counted among the statements of a request.
        "--key-check-interval",
        "1h",
        // Tests of keys are wrong about them many times a minute.
        "--rate-limit-auth-failures",
        "0",
        "--database-url",
        url,
    ];
    Arguments::parse_from(arguments).settings
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

    /// A body as it is, whatever it is.
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
        let patient = async {
            let test = tokio::time::timeout(PATIENCE, test(&database));
            assert!(test.await.is_ok(), "not done after {PATIENCE:?}");
        };
        let outcome = AssertUnwindSafe(patient).catch_unwind().await;
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
