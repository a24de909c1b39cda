//! The registry that the documents' commands work on: a database, or a service over HTTP.

use clap::Args;
use entity::values::{Scope, ScopeList};
use url::Url;
use uuid::Uuid;

use super::{Failure, circle::on_database, service::ServiceClient};
use crate::{
    as_code::DocumentFiles,
    config::Settings,
    database::Database,
    documents::{self, Applying, DocumentPlan, DocumentSet, ExportSelection, PlanOptions},
    members::jobs::MembershipsAtOnce,
    progress,
    write::{self, Actor},
    yaml::Node,
};

/// Where the registry is.
#[derive(Debug, Args)]
pub(super) struct RegistryArguments {
    /// Ask the service at this address instead of the database, as `https://registry.example.com`
    #[arg(long, value_name = "URL")]
    server: Option<Url>,

    /// API key for --server. An environment variable keeps it out of the list of processes
    #[arg(
        long,
        env = "CIRCLE_REGISTRY_API_KEY",
        hide_env_values = true,
        value_name = "KEY"
    )]
    api_key: Option<String>,
}

/// A registry that documents come from, and are applied to.
#[derive(Debug)]
pub(super) enum Registry<'d> {
    Database {
        database: &'d Database,
        at_once: MembershipsAtOnce,
    },
    Service(Box<ServiceClient>),
}

/// Documents, as they are in files and as they were understood.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReadDocuments<'d> {
    pub(super) files: &'d DocumentFiles,
    pub(super) set: &'d DocumentSet,
}

impl RegistryArguments {
    /// Whether the registry is a service.
    pub(super) fn is_service(&self) -> bool {
        self.server.is_some()
    }

    /// Does something with the registry, which is closed then.
    pub(super) async fn on_registry<T>(
        &self,
        settings: &Settings,
        command: impl AsyncFnOnce(&Registry<'_>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        if let Some(address) = &self.server {
            let client = ServiceClient::new(address.clone(), self.api_key.clone())?;
            return command(&Registry::Service(Box::new(client))).await;
        }
        let at_once = MembershipsAtOnce(settings.server.memberships_at_once);
        on_database(settings, async |database| {
            command(&Registry::Database { database, at_once }).await
        })
        .await
    }
}

impl Registry<'_> {
    pub(super) async fn export(&self, selection: &ExportSelection) -> Result<Node, Failure> {
        match self {
            Self::Database { database, .. } => Ok(documents::export(database, selection).await?),
            Self::Service(client) => {
                let document = client.export(selection).await;
                document.map_err(|error| error.into_failure(Into::into))
            }
        }
    }

    pub(super) async fn plan(
        &self,
        documents: ReadDocuments<'_>,
        options: PlanOptions,
    ) -> Result<DocumentPlan, Failure> {
        let ReadDocuments { files, set } = documents;
        match self {
            Self::Database { database, .. } => {
                let plan = documents::plan(database, set, options).await;
                plan.map_err(|error| files.locate(error))
            }
            Self::Service(client) => {
                let plan = client.plan(files.request_body()?, options).await;
                plan.map_err(|error| error.into_failure(|error| files.locate(error)))
            }
        }
    }

    /// Applies the plan with the digest, and returns the id of the change set.
    pub(super) async fn apply(
        &self,
        documents: ReadDocuments<'_>,
        options: PlanOptions,
        digest: String,
        message: Option<String>,
    ) -> Result<String, Failure> {
        let ReadDocuments { files, set } = documents;
        match self {
            Self::Database { database, at_once } => {
                let applying = Applying {
                    options,
                    digest: Some(digest),
                    at_once: *at_once,
                    progress: progress::bar(0, "rows"),
                };
                let applied = apply_to(database, set, &applying, message).await;
                applied.map_err(|error| files.locate(error))
            }
            Self::Service(client) => {
                let body = files.request_body()?;
                let applied = client
                    .apply(body, options, &digest, message.as_deref())
                    .await;
                applied.map_err(|error| error.into_failure(|error| files.locate(error)))
            }
        }
    }
}

async fn apply_to(
    database: &Database,
    set: &DocumentSet,
    applying: &Applying,
    message: Option<String>,
) -> Result<String, crate::error::Error> {
    let change_set = Uuid::now_v7().to_string();
    let actor = Actor {
        request_id: Some(change_set.clone()),
        scopes: ScopeList(vec![Scope::Admin]),
        message,
        ..Actor::default()
    };
    let applied = write::run(database, &actor, |work| {
        documents::apply(work, set, applying)
    });
    applied.await?;
    applying.progress.finish_and_clear();
    Ok(change_set)
}
