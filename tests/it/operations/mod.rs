//! The program as operators use it: commands, settings, TLS, start and stop, and its output.

mod catalog;
mod client_addresses;
mod command_line;
mod doctor;
mod exposure;
mod lifecycle;
mod proxies;
mod secrets_in_output;
mod settings_bounds;
mod tls;
