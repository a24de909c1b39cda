//! The memory that responses take: reserved before it is used, from one budget for all requests.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The largest response that is not streamed, in bytes of what it shows: 8 MiB.
pub(crate) const MAX_RESPONSE: usize = 8 << 20;

/// How many bytes of each request do not count, so that large responses do not keep out small ones.
const UNCOUNTED: usize = 64 << 10;
/// The budget is counted in units of so many bytes.
const UNIT: usize = 1 << 10;
/// A response exists as rows, as JSON and, in between, as the values that are written.
const COPIES: usize = 3;

/// Other requests take all of the budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too much memory is taken by concurrent requests")]
pub(crate) struct MemoryExhausted;

/// The memory for responses. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct MemoryBudget(Arc<Semaphore>);

impl MemoryBudget {
    /// A budget of so many mebibytes. A request beyond it is rejected.
    pub(crate) fn new(mebibytes: usize) -> Self {
        Self(Arc::new(Semaphore::new((mebibytes << 20) / UNIT)))
    }

    /// The memory of a new request, of which nothing is reserved.
    pub(crate) fn of_request(&self) -> RequestMemory {
        RequestMemory(Arc::new(RequestMemoryInner {
            budget: Arc::clone(&self.0),
            reserved: Mutex::default(),
        }))
    }
}

/// What one request has reserved, until the last clone is dropped.
#[derive(Clone, Debug)]
pub(crate) struct RequestMemory(Arc<RequestMemoryInner>);

#[derive(Debug)]
struct RequestMemoryInner {
    budget: Arc<Semaphore>,
    reserved: Mutex<Reserved>,
}

#[derive(Debug, Default)]
struct Reserved {
    bytes: usize,
    permit: Option<OwnedSemaphorePermit>,
}

impl RequestMemory {
    /// Reserves memory for rows, and for what is made of them.
    pub(crate) fn reserve_rows(&self, bytes: usize) -> Result<(), MemoryExhausted> {
        let mut reserved = self.lock();
        let bytes = reserved.bytes.saturating_add(COPIES * bytes);
        self.set_locked(&mut reserved, bytes)
    }

    /// Gives the memory of rows back that are dropped.
    pub(crate) fn release_rows(&self, bytes: usize) {
        let mut reserved = self.lock();
        let bytes = reserved.bytes.saturating_sub(COPIES * bytes);
        // Less than before is always there.
        let _ = self.set_locked(&mut reserved, bytes);
    }

    /// Reserves so many bytes in place of all that was reserved.
    pub(crate) fn set(&self, bytes: usize) -> Result<(), MemoryExhausted> {
        self.set_locked(&mut self.lock(), bytes)
    }

    fn set_locked(&self, reserved: &mut Reserved, bytes: usize) -> Result<(), MemoryExhausted> {
        let units = bytes.saturating_sub(UNCOUNTED).div_ceil(UNIT);
        let held = reserved
            .permit
            .as_ref()
            .map_or(0, OwnedSemaphorePermit::num_permits);
        if units > held {
            let more = u32::try_from(units - held).map_err(|_| MemoryExhausted)?;
            let more = Arc::clone(&self.0.budget).try_acquire_many_owned(more);
            let more = more.map_err(|_| MemoryExhausted)?;
            match &mut reserved.permit {
                Some(permit) => permit.merge(more),
                none => *none = Some(more),
            }
        } else if let Some(permit) = &mut reserved.permit {
            drop(permit.split(held - units));
        }
        reserved.bytes = bytes;
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Reserved> {
        let reserved = self.0.reserved.lock();
        reserved.unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_requests_share_one_budget() {
        const MAX_RESERVED: usize = 64 << 20;
        let budget = MemoryBudget::new(64);
        let (one, other) = (budget.of_request(), budget.of_request());
        one.set(MAX_RESERVED + UNCOUNTED).expect("a free budget");
        other.set(UNCOUNTED).expect("what does not count");
        assert_eq!(other.set(2 * UNCOUNTED), Err(MemoryExhausted));
        one.set(MAX_RESERVED / 2).expect("less than before");
        other.reserve_rows(UNCOUNTED).expect("memory again");
        drop((one, other));
        let next = budget.of_request();
        next.set(MAX_RESERVED + UNCOUNTED).expect("all of it");
    }
}
