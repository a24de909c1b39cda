//! Streams of server-sent events, read part by part.

use std::time::Duration;

use futures_util::StreamExt;
use reqwest::{RequestBuilder, Response, header::HeaderMap};
use serde_json::Value;
use tokio::time::timeout;

/// How long a test waits for the next part before it fails: longer than the interval of heartbeats.
const PART_TIMEOUT: Duration = Duration::from_secs(30);

/// What stands between two empty lines.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EventBlock {
    pub id: Option<String>,
    /// Empty if the block is no event.
    pub event: String,
    pub data: Value,
    pub comment: Option<String>,
    pub retry: Option<u64>,
}

impl EventBlock {
    fn parse(text: &str) -> Self {
        let mut block = Self::default();
        for line in text.lines() {
            match line.split_once(": ").expect(line) {
                ("id", id) => block.id = Some(id.to_owned()),
                ("event", event) => event.clone_into(&mut block.event),
                ("data", data) => block.data = serde_json::from_str(data).expect(data),
                ("", comment) => block.comment = Some(comment.to_owned()),
                ("retry", time) => block.retry = Some(time.parse().expect(time)),
                _ => panic!("{line}"),
            }
        }
        block
    }

    /// The name of what was changed.
    pub fn name(&self) -> &str {
        self.data["name"].as_str().unwrap_or_default()
    }
}

/// A stream that is open.
#[derive(Debug)]
pub struct EventReader {
    response: Response,
    unread: String,
}

impl EventReader {
    /// # Panics
    /// If the response is no stream of events.
    pub async fn open(request: RequestBuilder) -> Self {
        // A request of the tests has a timeout, which would hold for the whole stream.
        let request = request.timeout(Duration::from_hours(1));
        let response = request.send().await.expect("an answer");
        assert_eq!(response.status(), 200);
        Self::of(response)
    }

    pub fn of(response: Response) -> Self {
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self {
            response,
            unread: String::new(),
        }
    }

    pub fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// The next block; `None` at the end, and an error if the stream broke off.
    ///
    /// # Errors
    /// The connection was lost.
    pub async fn try_next(&mut self) -> Result<Option<EventBlock>, reqwest::Error> {
        loop {
            if let Some(end) = self.unread.find("\n\n") {
                let rest = self.unread.split_off(end + 2);
                let block = std::mem::replace(&mut self.unread, rest);
                return Ok(Some(EventBlock::parse(block.trim_end())));
            }
            let part = timeout(PART_TIMEOUT, self.response.chunk()).await;
            let Some(part) = part.expect("a part in time")? else {
                assert_eq!(self.unread, "", "it ends within a block");
                return Ok(None);
            };
            self.unread += std::str::from_utf8(&part).expect("UTF-8");
        }
    }

    /// The next event; `None` at the end.
    pub async fn next_event(&mut self) -> Option<EventBlock> {
        loop {
            match self.try_next().await.expect("a sound stream") {
                Some(block) if block.event.is_empty() => {}
                end_or_event => return end_or_event,
            }
        }
    }

    /// The names of the next changes.
    pub async fn names(&mut self, count: usize) -> Vec<String> {
        let mut names = Vec::new();
        while names.len() < count {
            let event = self.next_event().await.expect("an event");
            assert_eq!(event.event, "change", "{}", event.data);
            names.push(event.name().to_owned());
        }
        names
    }
}

/// What a response says, of one without end only the first part.
pub(crate) async fn text_of(response: Response) -> String {
    let is_endless = response
        .headers()
        .get("content-type")
        .is_some_and(|media_type| media_type == "text/event-stream");
    if !is_endless {
        return response.text().await.expect("a body");
    }
    let part = response.bytes_stream().next().await;
    let part = part.map(|part| part.expect("a part")).unwrap_or_default();
    String::from_utf8(part.to_vec()).expect("UTF-8")
}
