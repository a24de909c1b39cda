//! peer URL PORT: answers on 127.0.0.1 from the PostgreSQL or SQLite database of that URL.

mod handles;
mod postgres;
mod sqlite;
mod wire;

use axum::{
    Router,
    routing::get,
    serve::ListenerExt,
};
use tokio::net::TcpListener;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(url), Some(port)) = (arguments.next(), arguments.next()) else {
        return Err("peer URL PORT".into());
    };
    let routes = match url.strip_prefix("sqlite:") {
        Some(path) => Router::new()
            .route("/v1/circles/{name}", get(sqlite::get_roster))
            .route("/v1/circles", get(sqlite::list_circles))
            .with_state(sqlite::App::open(path)?),
        None => Router::new()
            .route("/v1/circles/{name}", get(postgres::get_roster))
            .route("/v1/circles", get(postgres::list_circles))
            .route("/v1/circles/{name}/members", axum::routing::post(postgres::add_member))
            .route("/v1/circles/{name}/handles", get(postgres::get_handles))
            .route("/v1/models", get(postgres::list_models))
            .with_state(postgres::App::open(&url).await?),
    };
    let listener = TcpListener::bind(("127.0.0.1", port.parse()?)).await?;
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    axum::serve(listener, routes).with_graceful_shutdown(async { drop(tokio::signal::ctrl_c().await) }).await?;
    Ok(())
}
