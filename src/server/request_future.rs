//! The memory of the futures that serve requests, which take about nine kilobytes each.
//!
//! hyper keeps the future of an HTTP/2 request for as long as its response is unread, so there it is a box
//! of its own, freed with the response's head. The requests of an HTTP/1.1 connection follow each other and
//! share one box: to allocate one for each costs more.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use poem::http::Version;
use tokio_util::sync::ReusableBoxFuture;

/// The box of one connection's HTTP/1.1 requests.
pub(super) struct RequestFutures<T>(SharedBox<T>);

type SharedBox<T> = Arc<Mutex<Option<ReusableBoxFuture<'static, T>>>>;

pub(super) enum RequestFuture<T> {
    Http1(SharedBox<T>),
    Http2(Pin<Box<dyn Future<Output = T> + Send>>),
}

impl<T> RequestFutures<T> {
    pub(super) fn new() -> Self {
        Self(Arc::default())
    }

    pub(super) fn start(
        &self,
        version: Version,
        request: impl Future<Output = T> + Send + 'static,
    ) -> RequestFuture<T> {
        if version == Version::HTTP_2 {
            return RequestFuture::Http2(Box::pin(request));
        }
        let mut shared = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *shared {
            Some(shared) => shared.set(request),
            None => *shared = Some(ReusableBoxFuture::new(request)),
        }
        drop(shared);
        RequestFuture::Http1(Arc::clone(&self.0))
    }
}

impl<T> Future for RequestFuture<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        match &mut *self {
            Self::Http2(request) => request.as_mut().poll(cx),
            Self::Http1(shared) => {
                let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
                let request = shared.as_mut().expect("a request was started");
                request.poll(cx)
            }
        }
    }
}
