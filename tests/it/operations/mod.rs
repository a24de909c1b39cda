//! The program as operators use it: commands, settings, TLS, start and stop, and its output.

mod as_code;
mod catalog;
mod client_addresses;
mod command_line;
mod copying;
mod database_addresses;
mod database_certificates;
mod doctor;
mod doctor_postgresql;
mod environment;
mod exposure;
mod formats;
mod health;
mod image;
mod lifecycle;
mod logs;
mod metrics;
mod nginx;
mod proxies;
mod pruning;
mod releases;
mod secrets_in_output;
mod settings_bounds;
mod systemd;
mod tls;
mod traces;
