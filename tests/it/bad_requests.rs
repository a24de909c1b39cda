//! bad_requests
