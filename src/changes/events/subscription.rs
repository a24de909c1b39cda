//! Hearing of what the hub reads, for those who read the feed themselves.

use tokio::sync::broadcast::{self, error::RecvError};

use super::{Events, hub::HubMessage};
use crate::changes::{cursor::ChangeCursor, queries::ChangeFilter};

/// What the hub has read since. While it is held, the hub reads.
#[derive(Debug)]
pub(crate) struct Subscription(broadcast::Receiver<HubMessage>);

/// What a subscriber at the end of the feed hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// All that followed, up to here, is left out by the filter.
    Nothing(ChangeCursor),
    /// There may be something to read.
    Something,
}

impl Events {
    /// What is read after this is heard.
    pub(crate) fn subscribe(&self) -> Subscription {
        let subscription = Subscription(self.0.messages.subscribe());
        self.0.arrival.notify_one();
        subscription
    }
}

impl Subscription {
    /// Waits for what follows a position that was the end of the feed after this subscription began.
    pub(crate) async fn next(&mut self, filter: &ChangeFilter, at: ChangeCursor) -> Heard {
        let batch = match self.0.recv().await {
            Ok(HubMessage::Changes(batch)) => batch,
            Ok(HubMessage::Restart) | Err(RecvError::Lagged(_) | RecvError::Closed) => {
                return Heard::Something;
            }
        };
        let mut following = batch
            .events
            .iter()
            .filter(|event| event.position > at.position);
        if following.any(|event| filter.shows(&event.resource, &event.action, event.circle_id)) {
            return Heard::Something;
        }
        let is_ahead = batch.end.position > at.position;
        Heard::Nothing(if is_ahead { batch.end } else { at })
    }
}
