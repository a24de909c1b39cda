//! `circle-registry copy`.

use std::{fmt, process::ExitCode};

use clap::Args;
use migration::connection::{Target, TargetError};

use super::{Failure, print_as};
use crate::{
    config::{LogFormat, Settings},
    copy::{self, CopyReport},
};

#[derive(Args)]
pub(super) struct CopyArguments {
    /// URL of the database to copy, which is only read: sqlite:FILE or postgres://USER:PASSWORD@HOST:PORT/NAME
    #[arg(
        long,
        value_name = "URL",
        env = "CIRCLE_REGISTRY_COPY_FROM",
        hide_env_values = true
    )]
    from: String,

    /// URL of the database to copy into: one that is empty, or into which a copy has begun
    #[arg(
        long,
        value_name = "URL",
        env = "CIRCLE_REGISTRY_COPY_TO",
        hide_env_values = true
    )]
    to: String,

    /// Format of the report
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: LogFormat,
}

impl fmt::Debug for CopyArguments {
    /// Without the URLs, which have passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CopyArguments").finish_non_exhaustive()
    }
}

pub(super) async fn run(
    settings: &Settings,
    arguments: CopyArguments,
) -> Result<ExitCode, Failure> {
    let CopyArguments { from, to, format } = arguments;
    let from: Target = from.parse().map_err(of_setting("--from"))?;
    let to: Target = to.parse().map_err(of_setting("--to"))?;
    let report: CopyReport = copy::copy(&settings.database, from, to).await?;
    print_as(format, &report)?;
    Ok(ExitCode::from(u8::from(!report.identical)))
}

fn of_setting(setting: &str) -> impl Fn(TargetError) -> TargetError {
    move |error| error.of_setting(setting)
}
